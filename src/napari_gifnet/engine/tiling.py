"""Where tiles lie and how far beyond them their stages look: integers only.

A plane is reflect-padded to multiples of 4, and tiles divide the padded map at multiples of 8, the
borders of the attention windows of block 0. Every stage is computed on its tile *and* on what the
stages behind it look at around the tile. Backwards from the output, along one side of a tile at
pixel t (all sides are alike)::

    fused plane                                    t├──────── tile ────────
    4 convolutions 3×3 (DECODER_HALO)          t−4 ┊├┄┄┄┄
    unembed 3×3                                t−5 ┊├┄┄┄┄┄
    block 1: whole shifted windows         ≤ t−5  ┃├┄┄┄┄┄┄┄   ┃ at …, t−12, t−4, t+4, …
      its depthwise 5×5 (DEPTHWISE_HALO)  2 more ┊├┄┄┄┄┄┄┄┄
    ---------- behind block 0: kept between the passes, or computed again ----------
    block 0 needs no more windows than its own tile has, since tiles end where they do
      its depthwise 5×5 (DEPTHWISE_HALO)       t−2 ┊├┄┄
    embedding 3×3                              t−3 ┊├┄┄┄
    encoder, 3 convolutions 3×3 (ENCODER_HALO) t−6 ┊├┄┄┄┄┄┄

Block 1 looks over the border of its tile, so its input is put together of up to nine tiles. Where
the *image* ends a stage lacks its halo; there, and only there, its map is reflect-padded, as the
whole image's would be: `Region.grown` says what there is, `Region.lacking` what is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from napari_gifnet.network.attention import WINDOW

Key = tuple[int, int]
"""Row and column of a tile among the tiles."""

Padding = tuple[int, int, int, int]
"""Pixels left, right, top, bottom, as `torch.nn.functional.pad` has it."""

SHIFT = WINDOW // 2
DECODER_HALO = 4
ENCODER_HALO = 3
DEPTHWISE_HALO = 2

FUSE_HALO = DECODER_HALO + 1 + SHIFT + WINDOW
"""Pixels of a cut of the planes, its corner at multiples of 8, that are wrong in the fused cut.

From the border of the cut on: the first windows of block 0, the half windows of block 1 behind them,
and what the convolutions carry further.
"""

MEASURE_HALO = WINDOW
"""The same of the maps that statistics are taken of: the first windows of block 0."""


@dataclass(frozen=True)
class Region:
    """A rectangle of pixels, half-open: rows [top, bottom), columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def grown(self, halo: int, bounds: Region) -> Region:
        """With `halo` more pixels on each side, as far as `bounds` has them."""
        return Region(
            max(self.top - halo, bounds.top),
            min(self.bottom + halo, bounds.bottom),
            max(self.left - halo, bounds.left),
            min(self.right + halo, bounds.right),
        )

    def clipped(self, bounds: Region) -> Region:
        """The part of it within `bounds`."""
        return self.grown(0, bounds)

    def lacking(self, halo: int, bounds: Region) -> Padding:
        """The part of the halo that lies beyond `bounds`."""
        return (
            max(0, halo - (self.left - bounds.left)),
            max(0, halo - (bounds.right - self.right)),
            max(0, halo - (self.top - bounds.top)),
            max(0, halo - (bounds.bottom - self.bottom)),
        )

    def within(self, other: Region) -> tuple[slice, slice]:
        """Slices that cut it out of an array that covers `other`."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )

    def snapped(self, bounds: Region) -> Region:
        """Grown to whole windows of the shifted block, whose borders lie at 4, 12, 20 …"""

        def down(x: int) -> int:
            return (x - SHIFT) // WINDOW * WINDOW + SHIFT

        def up(x: int) -> int:
            return -((SHIFT - x) // WINDOW) * WINDOW + SHIFT

        return Region(down(self.top), up(self.bottom), down(self.left), up(self.right)).clipped(
            bounds
        )

    def windows(self, shift: int, bounds: Region) -> Padding:
        """Padding that completes the windows where the map ends."""
        left = shift if self.left == bounds.left else 0
        top = shift if self.top == bounds.top else 0
        return left, -(self.width + left) % WINDOW, top, -(self.height + top) % WINDOW

    def before_reflection(self, image: Region) -> Region:
        """What must be known of the image to reflect it into the part of the region beyond it.

        Pixel e + k beyond an image that ends at e is its pixel e − 2 − k, which may lie further
        back than the region itself::

            image ──────────────────────┤e
                    ├─ this much ───────┤
                         region ├───────┼────────┤
        """
        below = max(0, self.bottom - image.bottom)
        beside = max(0, self.right - image.right)
        return Region(
            min(self.top, image.bottom - 1 - below),
            min(self.bottom, image.bottom),
            min(self.left, image.right - 1 - beside),
            min(self.right, image.right),
        )


def partition(length: int, tile_size: int | None) -> list[int]:
    """Cut points that divide `length` evenly into tiles of at most `tile_size`, at multiples of 8.

    None is for one tile, whatever the length.
    """
    if tile_size is None:
        return [0, length]
    windows = -(-length // WINDOW)
    # a last tile of half a window would be too thin for its reflect padding
    parts = min(-(-windows // max(tile_size // WINDOW, 2)), max(windows // 2, 1))
    cuts = [round(i * windows / parts) * WINDOW for i in range(parts)]
    return [*cuts, length]


@dataclass(frozen=True)
class Tiling:
    """The tiles of a plane.

    Parameters
    ----------
    height, width : int
        Of the plane in pixels, at least 5.
    tile_size : int or None
        Side of a tile in pixels, at most; at least 16. None for one tile.
    """

    height: int
    width: int
    tile_size: int | None

    @cached_property
    def image(self) -> Region:
        """The plane as it is."""
        return Region(0, self.height, 0, self.width)

    @cached_property
    def padded(self) -> Region:
        """The map that the two blocks see, reflect-padded to multiples of 4."""
        return Region(0, self.height + -self.height % 4, 0, self.width + -self.width % 4)

    @cached_property
    def rows(self) -> list[int]:
        """Where rows of tiles begin, and where the last one ends."""
        return partition(self.padded.height, self.tile_size)

    @cached_property
    def columns(self) -> list[int]:
        """Where columns of tiles begin, and where the last one ends."""
        return partition(self.padded.width, self.tile_size)

    @property
    def down(self) -> int:
        """How many tiles there are from top to bottom."""
        return len(self.rows) - 1

    @property
    def across(self) -> int:
        """How many tiles there are from left to right."""
        return len(self.columns) - 1

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.down * self.across

    @property
    def side(self) -> int:
        """Of the largest tile, in pixels."""
        return max(y - x for cuts in (self.rows, self.columns) for x, y in pairwise(cuts))

    def tile(self, key: Key) -> Region:
        """The region of a tile, within the padded map."""
        i, j = key
        return Region(*self.rows[i : i + 2], *self.columns[j : j + 2])

    def walk(self, band: int) -> Iterator[Key]:
        """Go through the tiles row by row within bands of `band` columns.

        Narrow bands bring a tile's lower neighbours soon, while what it shares with them is still
        in memory::

            1 2 │ 7  8          1 2  3  4
            3 4 │ 9 10   and not 5 6  7  8
            5 6 │11 12          9 10 11 12
        """
        for start in range(0, self.across, band):
            for i in range(self.down):
                for j in range(start, min(start + band, self.across)):
                    yield i, j

    def touching(self, region: Region) -> list[Key]:
        """The tiles that have pixels in a region."""
        return [
            (i, j)
            for i, (top, bottom) in enumerate(pairwise(self.rows))
            if top < region.bottom and bottom > region.top
            for j, (left, right) in enumerate(pairwise(self.columns))
            if left < region.right and right > region.left
        ]
