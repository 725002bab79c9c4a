"""Napari's grid mode and camera, taken for a while and given back as they were."""

from __future__ import annotations

from typing import Any

import napari


class GridMode:
    """The grid of a viewer's canvas.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._before: dict[str, Any] | None = None
        self._set: dict[str, Any] = {}

    @property
    def _grid(self) -> Any:
        return getattr(self._viewer, "canvas", self._viewer).grid  # viewer.grid before napari 0.9

    @property
    def _camera(self) -> Any:
        return getattr(self._viewer, "scene", self._viewer).camera

    def take(self, side_by_side: bool) -> None:
        """Show every layer in a cell of its own, all of it, or all layers in one place."""
        self.give_back()
        self._before = {
            "grid": self._state(),
            "camera": (tuple(self._camera.center), float(self._camera.zoom)),
        }
        if side_by_side:
            self._apply({"enabled": True, "stride": 1, "shape": (-1, -1)})
            self._viewer.reset_view()
        else:
            self._apply({**self._state(), "enabled": False})
        self._set = self._state()

    def give_back(self) -> None:
        """Put back what was taken; what a user has changed since stays as it is."""
        before, self._before = self._before, None
        if before is None or self._state() != self._set:
            return
        fitted = self._set["enabled"]
        self._apply(before["grid"])
        if fitted:
            self._camera.center, self._camera.zoom = before["camera"]

    def _state(self) -> dict[str, Any]:
        grid = self._grid
        return {name: getattr(grid, name) for name in ("enabled", "stride", "shape")}

    def _apply(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if getattr(self._grid, name) != value:
                setattr(self._grid, name, value)
