"""The band network: it weighs planes against each other, and a Laplacian pyramid makes the pixels.

Every plane is encoded alone, meets the others in the maximum and the mean over all planes of its
features, and is then weighed: a weight for each of its pixels, and with it for each band of its pyramid.
The fused plane lies between a sum of weighted bands (`blended`) and a sum of weighted pixels
(`selected`), whose weights also tell which plane a pixel comes from. So planes may come in any number
and order, and two passes over them suffice where they do not fit into memory together::

    summary = None
    for plane in planes:
        summary = network.summarise(network.encode(plane), summary)
    sums = None
    for position, plane in enumerate(planes):
        sums = network.weigh(network.encode(plane), summary, position, task, sums)
    fused = network.finish(sums, summary)

Shapes: N scenes of P planes of H x W pixels, H and W multiples of `ALIGNMENT`; level l has 1 / 2^l of
the side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_gifnet.pyramid import LEVELS, collapse, decompose

from .band_index import certainty, settled_index
from .band_layers import TASKS, Level, Mixing, Pointwise, joined
from .band_maps import Encoded, Finest, Fused, Summary, Sums

__all__ = ["ALIGNMENT", "HALO", "TASKS", "Fused", "GIFNetBands", "padded"]

ALIGNMENT = 2**LEVELS
"""Sides of planes, and corners of tiles, are multiples of it."""

HALO = 256
"""Pixels farther away than this do not touch a pixel of the result."""

WIDTHS = (16, 24, 32, 48)
"""Features at 1/2, 1/4, 1/8 and 1/16 of the side."""

LOGIT_LIMIT = 15.0

STRIP_ROWS = 32
"""Rows of half the side that the finest level, most of the work, is computed in: they fit into a cache."""


class GIFNetBands(nn.Module):
    """Fuse any number of planes of one scene, in any order.

    Everything it adds to its planes is a weight for each band and each pixel, and a gain of a band between
    0.45 and 2.2. So where all planes are black the result is black.

    Attributes
    ----------
    map_strips : callable
        As `map`: what works on the strips of the finest level, one after the other or on several at a time.
    """

    map_strips: Callable[[Callable, Iterable], Iterable] = staticmethod(map)

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.levels = nn.ModuleList(
            [
                Level(4 + 4 + 1 + 2, first, 1, False),
                Level(first + 2, second, 2, False),
                Level(second + 2, third, 2, True),
                Level(third + 2, fourth, 2, True),
            ]
        )
        self.mixings = nn.ModuleList(
            [
                Mixing(first, second, 4, 1, False, shared=False),
                Mixing(second, third, 2, 2, False, shared=True),
                Mixing(third, fourth, 2, 1, True, shared=True),
                Mixing(fourth, 0, 2, 2, True, shared=True),
            ]
        )
        # of a band: a logit, the hardness of the pyramid's own rule, a gain, how much the selection steers;
        # level 1: four pixels' selection, four pixels' logits of band 0, its other three and how much its
        # rule counts in the selection, the four of band 1, the gate
        self.heads = nn.ModuleList(
            Pointwise(width, 17 if i == 0 else 4) for i, width in enumerate(WIDTHS)
        )
        self.base = Pointwise(fourth, 2)
        for head in (*self.heads, self.base):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def forward(self, planes: Tensor, task: str | Tensor | None = None) -> Fused:
        """Fuse planes that fit into memory together.

        Parameters
        ----------
        planes : Tensor (N, P, H, W) or (P, H, W)
            In [0, 1]; sides of any length from 1 on.
        task : str, optional
            One of `TASKS`, if it is known; or a tensor (N,) of their positions, `len(TASKS)` for none.

        Returns
        -------
        Fused
        """
        planes = planes[None] if planes.ndim == 3 else planes
        height, width = planes.shape[-2:]
        encoded = self.encode(padded(planes))
        summary = self.summarise(encoded)
        fused = self.finish(self.weigh(encoded, summary, 0, task), summary)
        return Fused(*(x[..., :height, :width] for x in fused))

    def encode(self, planes: Tensor) -> Encoded:
        """Encode planes (N, P, H, W), each on its own."""
        bands = decompose(planes)
        local = [_halved(bands[0].abs()), *(_mean_of_nine(b.abs()) for b in bands[1:LEVELS])]
        sizes = [torch.log1p(500 * x) / 6 for x in local]
        tones = [_halved(planes)]
        for _ in WIDTHS[1:]:
            tones.append(_halved(tones[-1]))
        x = self._encode_finest(planes, bands, sizes)
        features = [x[:, : WIDTHS[0]]]
        for i, level in enumerate(self.levels[1:], 2):
            x = level(x)
            features.append(x)
            if i < len(WIDTHS):
                seen = torch.stack((torch.tanh(8 * bands[i]), sizes[i]), 2).flatten(0, 1)
                x = joined(x, seen)
        return Encoded(planes, bands, sizes, tones, features)

    def _encode_finest(self, planes: Tensor, bands: list[Tensor], sizes: list[Tensor]) -> Tensor:
        """Return the features of level 1 beside its band and its size, (N P, C + 2, H/2, W/2)."""

        def encode(strip: tuple[slice, slice]) -> Tensor:
            rows, inside = strip
            fine = slice(2 * rows.start, 2 * rows.stop)
            seen = (
                planes[..., fine, :].flatten(0, 1)[:, None],
                torch.tanh(8 * bands[0][..., fine, :]).flatten(0, 1)[:, None],
                torch.tanh(8 * bands[1][..., rows, :]).flatten(0, 1)[:, None],
                *(size[..., rows, :].flatten(0, 1)[:, None] for size in sizes[:2]),
            )
            quarters = [functional.pixel_unshuffle(x, 2) for x in seen[:2]]
            x = self.levels[0](joined(*quarters, torch.cat(seen[2:], 1)))
            return joined(x, torch.cat(seen[2::2], 1))[..., inside, :]

        parts = list(self.map_strips(encode, _strips(planes.shape[-2] // 2)))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 2)

    def summarise(self, encoded: Encoded, summary: Summary | None = None) -> Summary:
        """Add planes to what is known of all."""
        n, count = encoded.planes.shape[:2]
        features = [f.unflatten(0, (n, count)) for f in encoded.features[1:]]
        new = Summary(
            count,
            [b.abs().amax(1, keepdim=True) for b in encoded.bands[:LEVELS]],
            [s.amax(1, keepdim=True) for s in encoded.sizes],
            [t.amax(1, keepdim=True) for t in encoded.tones],
            [t.amin(1, keepdim=True) for t in encoded.tones],
            [f.amax(1) for f in features],
            [f.float().sum(1) for f in features],
        )
        if summary is None:
            return new

        def larger(old: list[Tensor], now: list[Tensor]) -> list[Tensor]:
            return [torch.maximum(x, y) for x, y in zip(old, now, strict=True)]

        return Summary(
            summary.count + count,
            larger(summary.strongest, new.strongest),
            larger(summary.sizes, new.sizes),
            larger(summary.brightest, new.brightest),
            [torch.minimum(x, y) for x, y in zip(summary.darkest, new.darkest, strict=True)],
            larger(summary.maximum, new.maximum),
            [x + y for x, y in zip(summary.total, new.total, strict=True)],
        )

    def weigh(
        self,
        encoded: Encoded,
        summary: Summary,
        position: int = 0,
        task: str | Tensor | None = None,
        sums: Sums | None = None,
    ) -> Sums:
        """Add planes, each by its weight, to what is summed up; the first one is at `position`."""
        n, count = encoded.planes.shape[:2]
        kind = self._kind(task, n, encoded.planes.device)
        x: Tensor | None = None
        heads: list[Tensor] = []
        for i in reversed(range(1, len(WIDTHS))):
            size = encoded.sizes[i + 1] - summary.sizes[i + 1]
            seen = torch.stack((size, encoded.tones[i] - summary.brightest[i]), 2).flatten(0, 1)
            mean = summary.total[i - 1] / summary.count
            shared = joined(summary.maximum[i - 1], mean, summary.apart(i))
            own = joined(encoded.features[i], seen)
            mixing = self.mixings[i]
            x = mixing(own, shared, None if x is None else mixing.coarser(x), kind)
            if i == len(WIDTHS) - 1:
                base = self.base(_halved(x)).float().unflatten(0, (n, count))
            heads.insert(0, self.heads[i](x).float().contiguous().unflatten(0, (n, count)))
        finest = self._weigh_finest(encoded, summary, self.mixings[0].coarser(x), position, kind)
        choices = [finest.choice]  # of the selection, at the levels of the bands from the second on
        for _ in range(LEVELS - 1):
            choices.append(_halved(choices[-1]))
        weights, totals = list(finest.weights), list(finest.bands)
        for band, strongest, choice, head in zip(
            encoded.bands[2:LEVELS], summary.strongest[2:], choices[1:], heads, strict=False
        ):
            ways = _ways(head[:, :, 1:])
            weight, total = _weighed(band, _rule(band, strongest), choice, head[:, :, 0], ways)
            weights.append(weight)
            totals.append(total)
        weight = torch.exp(_limited(base[:, :, 0] + _positive(base[:, :, 1]) * choices[-1]))
        weights.append(weight.sum(1, keepdim=True))
        totals.append((weight * encoded.bands[LEVELS]).sum(1, keepdim=True))
        new = Sums(totals, weights, *finest.sums)
        if sums is None:
            return new
        return Sums(
            [x + y for x, y in zip(sums.bands, new.bands, strict=True)],
            [x + y for x, y in zip(sums.weights, new.weights, strict=True)],
            *(x + y for x, y in zip(sums[2:], new[2:], strict=True)),
        )

    def _weigh_finest(
        self, encoded: Encoded, summary: Summary, projected: Tensor, position: int, kind: Tensor
    ) -> Finest:
        """Weigh pixels and the two finest bands, strip by strip."""
        n, count = encoded.planes.shape[:2]
        at = torch.arange(position, position + count, device=kind.device, dtype=torch.float32)
        powers = torch.stack((at**0, at, at**2), 1)[..., None, None]  # (P, 3, 1, 1)

        def weigh(strip: tuple[slice, slice]) -> tuple[Tensor, ...]:
            rows, inside = strip
            inner = slice(rows.start + inside.start, rows.start + inside.stop)
            fine = slice(2 * inner.start, 2 * inner.stop)
            seen = [
                *(encoded.sizes[i][..., rows, :] - summary.sizes[i][..., rows, :] for i in (0, 1)),
                encoded.tones[0][..., rows, :] - summary.brightest[0][..., rows, :],
                summary.apart(0, rows).expand(-1, count, -1, -1),
            ]
            own = encoded.features[0][..., rows, :]
            own = joined(own, torch.stack(seen, 2).flatten(0, 1))
            coarse = projected[..., rows.start // 2 : rows.stop // 2, :]
            x = self.mixings[0](own, None, coarse, kind)
            head = self.heads[0](x)[..., inside, :].float().contiguous()
            head = head.unflatten(0, (n, count))
            planes, band = encoded.planes[..., fine, :], encoded.bands[0][..., fine, :]
            rule = _rule(band, summary.strongest[0][..., fine, :])
            selection = 4 * head[:, :, :4]
            *ways, trust = (
                x.repeat_interleave(2, -2).repeat_interleave(2, -1)
                for x in (*_ways(head[:, :, 8:11]), 4 * _positive(head[:, :, 11]))
            )
            choice = _limited(_shuffled(selection) + trust * rule)
            weight_0, total_0 = _weighed(band, rule, choice, _shuffled(head[:, :, 4:8]), ways)
            coarse_choice = _limited(selection.mean(2))
            band = encoded.bands[1][..., inner, :]
            rule = _rule(band, summary.strongest[1][..., inner, :])
            ways = _ways(head[:, :, 13:16])
            weight_1, total_1 = _weighed(band, rule, coarse_choice, head[:, :, 12], ways)
            weight = torch.exp(choice)
            return (
                weight_0,
                weight_1,
                total_0,
                total_1,
                coarse_choice,
                (weight * planes).sum(1, keepdim=True),
                (weight * at[:, None, None]).sum(1, keepdim=True),
                weight.sum(1, keepdim=True),
                head[:, :, 16].sum(1, keepdim=True),
                (torch.exp(2 * coarse_choice)[:, :, None] * powers).sum(1),
            )

        parts = list(self.map_strips(weigh, _strips(encoded.tones[0].shape[-2])))
        whole = [torch.cat(part, -2) for part in zip(*parts, strict=True)]
        return Finest(whole[:2], whole[2:4], whole[4], whole[5:])

    def finish(self, sums: Sums, summary: Summary) -> Fused:
        """Make the result of the sums over all planes."""
        blended = collapse([x / w for x, w in zip(sums.bands, sums.weights, strict=True)])
        selected, places = sums.pixels / sums.shares, sums.positions / sums.shares
        mean, square = (sums.guesses[:, 1:] / sums.guesses[:, :1]).split(1, 1)
        size = sum(torch.expm1(6 * size) / 500 for size in summary.sizes[:2])
        trust = certainty((square - mean**2).clamp_min(0), size)
        index = settled_index(mean, trust)
        gate = torch.sigmoid(4 * torch.tanh(sums.gate / (4 * summary.count)))
        gate = functional.interpolate(gate, scale_factor=2)
        return Fused(torch.lerp(blended, selected, gate), index, places, selected, blended, gate)

    @staticmethod
    def _kind(task: str | Tensor | None, n: int, device: torch.device) -> Tensor:
        if isinstance(task, Tensor):
            return task
        place = len(TASKS) if task is None else TASKS.index(task)
        return torch.full((n,), place, device=device)


def padded(planes: Tensor) -> Tensor:
    """Mirror planes (..., H, W) beyond their lower and right border to multiples of `ALIGNMENT`."""
    for axis in (-2, -1):
        side = planes.shape[axis]
        missing = -side % ALIGNMENT
        if missing:
            period = max(1, 2 * (side - 1))
            places = torch.arange(side + missing, device=planes.device) % period
            planes = planes.index_select(
                axis, torch.minimum(places, period - places) if side > 1 else places
            )
    return planes


def _halved(x: Tensor) -> Tensor:
    """Means of 2 x 2 pixels."""
    x = x[..., ::2, :] + x[..., 1::2, :]
    return (x[..., ::2] + x[..., 1::2]) / 4


def _mean_of_nine(x: Tensor) -> Tensor:
    """Means of 3 x 3 pixels, zeros beyond the border."""
    x = functional.pad(x, (1, 1, 1, 1))
    x = x[..., :-2, :] + x[..., 1:-1, :] + x[..., 2:, :]
    return (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) / 9


def _strips(rows: int) -> Iterator[tuple[slice, slice]]:
    """Yield strips with two rows more on each side, and which of theirs are the strip's own.

    Where gradients are wanted there is one strip alone.
    """
    step = rows if torch.is_grad_enabled() else STRIP_ROWS
    for start in range(0, rows, step):
        stop = min(rows, start + step)
        low, high = max(0, start - 2), min(rows, stop + 2)
        yield slice(low, high), slice(start - low, stop - low)


def _rule(band: Tensor, strongest: Tensor) -> Tensor:
    """The pyramid's own rule: 0 for the plane of the strongest detail, down to -1."""
    return (band.abs() - strongest) / (strongest + 0.002)


def _ways(head: Tensor) -> list[Tensor]:
    """Of (N, P, 3, h, w): the rule's hardness, the band's gain, and how much the selection steers."""
    hardness, gain, steering = head.unbind(2)
    return [8 * _positive(hardness), torch.exp(0.8 * torch.tanh(gain)), _positive(steering)]


def _weighed(
    band: Tensor, rule: Tensor, choice: Tensor, logit: Tensor, ways: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the sum over planes of a band's weights, and of the band so weighed."""
    hardness, gain, steering = ways
    weight = torch.exp(_limited(logit + steering * choice) + hardness * rule)
    return weight.sum(1, keepdim=True), (weight * gain * band).sum(1, keepdim=True)


def _limited(logit: Tensor) -> Tensor:
    return LOGIT_LIMIT * torch.tanh(logit / LOGIT_LIMIT)


def _positive(x: Tensor) -> Tensor:
    """1 at 0."""
    return functional.softplus(x + 0.5413)


def _shuffled(x: Tensor) -> Tensor:
    """(N, P, 4, h, w) to (N, P, 2 h, 2 w)."""
    return functional.pixel_shuffle(x, 2)[:, :, 0]
