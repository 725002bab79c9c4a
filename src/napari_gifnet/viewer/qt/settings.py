"""How the widget was last set, kept from one session of napari to the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from napari_gifnet.models import list_models

FROM_FILE = "from a file …"
"""Stands for a checkpoint file among the names of models."""


def settings_file() -> Path:
    """Return the file that `remember` writes, in the user's configuration folder."""
    return user_config_path("napari-gifnet") / "widget.json"


def recall() -> dict[str, Any]:
    """Return what was remembered; nothing where there is nothing that can be read."""
    try:
        settings = json.loads(settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def remember(settings: dict[str, Any]) -> None:
    """Keep plain values under their names; where the folder cannot be written, they are forgotten."""
    path = settings_file()
    half_made = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half_made.write_text(json.dumps(settings, indent=2), encoding="utf-8")
        half_made.replace(path)
    except OSError:
        return


def restore(controls: Mapping[str, Any]) -> float | None:
    """Set controls as they were left; what napari's plugin settings say goes first if it is new.

    Parameters
    ----------
    controls : dict
        Controls with a `value`, by the names under which `keep` keeps their values.

    Returns
    -------
    float or None
        The memory budget in megabytes that the plugin settings name.
    """
    last, chosen = recall(), preferences()
    memory = chosen.pop("memory", None) or None
    same = last.get("preferences") == chosen
    values = {**last.get("controls", {}), **({} if same else chosen)}
    if values.get("model") == FROM_FILE and not Path(values.get("model_file", "")).is_file():
        del values["model"]
    for name, control in controls.items():
        try:
            if name in values:
                control.value = values[name]
        except (ValueError, TypeError):
            continue  # a task or model that there is no more
    return memory


def keep(controls: Mapping[str, Any]) -> None:
    """Remember the values of controls, and the plugin settings beside which they were chosen."""
    values = {name: control.value for name, control in controls.items()}
    if not isinstance(values["extent"], str):  # a layer, which the next session has not
        del values["extent"]
    chosen = preferences()
    chosen.pop("memory", None)
    state = {"controls": values, "preferences": chosen}
    if state != recall():
        remember(state)


def scheduler_address() -> str | None:
    """Return the address of the cluster that napari's plugin settings name, None without one."""
    try:
        from napari.settings import get_plugin_settings

        address = str(get_plugin_settings("napari-gifnet").defaults.scheduler).strip()
    except (ImportError, KeyError, AttributeError):
        return None
    return address or None


def preferences() -> dict[str, Any]:
    """What napari's plugin settings say of the widget; nothing before napari 0.9."""
    try:
        from napari.settings import get_plugin_settings

        defaults = get_plugin_settings("napari-gifnet").defaults
    except (ImportError, KeyError, AttributeError):
        return {}
    known = {info.name for info in list_models()}
    model, file = (defaults.model, "") if defaults.model in known else (FROM_FILE, defaults.model)
    return {
        "model_file": file,
        "model": model,
        "device": str(defaults.device),
        "precision": str(defaults.precision),
        "memory": int(getattr(defaults, "memory", 0)),
    }
