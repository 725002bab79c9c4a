"""The band network as an ONNX graph, for planes of any size and number.

torch's own exporters fix sizes that the network derives from others, and take minutes. What stands
here is `napari_gifnet.network.bands` once more in ONNX's operations; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from torch import nn

from napari_gifnet.network.band_index import REACH_LEVELS
from napari_gifnet.network.bands import ALIGNMENT, LOGIT_LIMIT, TASKS, WIDTHS, GIFNetBands
from napari_gifnet.pyramid import LEVELS

from .onnx_graph import Graph, Value

TAPS = np.array([1, 4, 6, 4, 1], np.float32) / 16
BETWEEN = np.array([[2, 12, 2], [0, 8, 8]], np.float32) / 16
"""The same taps, of pixels that were kept and of those between two of them."""

HEIGHT, WIDTH = 2, 3
"""Axes of maps."""


def onnx_of_bands(network: GIFNetBands, task: str | None, facts: dict[str, str]) -> Any:
    """Return the network as an ONNX model.

    Its input is ``planes`` (1, P, H, W), float32 in [0, 1]; its outputs are ``fused``, in [0, 1], and
    ``index``, where among the planes a pixel comes from, (1, 1, H, W) float32.

    Parameters
    ----------
    network : GIFNetBands
    task : str or None
        The preset that all planes will be of, one of `TASKS`.
    facts : dict of str
        What the file tells of itself.

    Returns
    -------
    onnx.ModelProto
    """
    graph = Graph()
    kind = len(TASKS) if task is None else TASKS.index(task)
    plane, index = _Writer(graph, network, kind).fused(Value(graph, "planes"))
    inputs = {"planes": (1, "count", "height", "width")}
    return graph.model(inputs, {"fused": plane, "index": index}, facts)


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().cpu().numpy()


class _Writer:
    """Writes the network's steps; maps of all planes are (P, C, h, w), what they share (1, C, h, w)."""

    def __init__(self, graph: Graph, network: GIFNetBands, kind: int) -> None:
        self.graph, self.network, self.kind = graph, network, kind

    def fused(self, given: Value) -> tuple[Value, Value]:
        """Return the fused plane and the index of planes of any size."""
        graph = self.graph
        planes = graph.apply("Transpose", given, perm=[1, 0, 2, 3])
        for axis in (HEIGHT, WIDTH):
            side = graph.length(given, axis)
            missing = graph.apply("Mod", graph.apply("Neg", side), np.array([ALIGNMENT], np.int64))
            planes = graph.mirrored(planes, axis, 0, missing)
        made = self._fused_aligned(planes)
        for axis in (HEIGHT, WIDTH):
            made = [graph.cut(x, axis, 0, graph.length(given, axis)) for x in made]
        return made[0], made[1]

    def _fused_aligned(self, planes: Value) -> list[Value]:
        g = self.graph
        bands = self._bands(planes)
        sizes = [g.halved(g.apply("Abs", bands[0]))]
        sizes += [g.mean_of_nine(g.apply("Abs", band)) for band in bands[1:LEVELS]]
        sizes = [g.log1p(500.0 * x) / 6.0 for x in sizes]
        tones = [g.halved(planes)]
        for _ in WIDTHS[1:]:
            tones.append(g.halved(tones[-1]))
        features = self._features(planes, bands, sizes)

        strongest = [g.over_planes("Max", g.apply("Abs", band)) for band in bands[:LEVELS]]
        largest = [g.over_planes("Max", x) for x in sizes]
        brightest = [g.over_planes("Max", x) for x in tones]
        apart = [
            g.log1p(30.0 * (high - g.over_planes("Min", x))) / 3.0
            for high, x in zip(brightest, tones, strict=True)
        ]
        count = g.apply("Cast", g.length(planes, 0), to=1)

        x: Value | None = None
        heads: list[Value] = []
        for i in reversed(range(1, len(WIDTHS))):
            mean = g.over_planes("Sum", features[i]) / count
            shared = g.joined(g.over_planes("Max", features[i]), mean, apart[i])
            own = g.joined(features[i], sizes[i + 1] - largest[i + 1], tones[i] - brightest[i])
            x = self._mixed(i, own, shared, x)
            if i == len(WIDTHS) - 1:
                base = self._pointwise(self.network.base, g.halved(x))
            heads.insert(0, self._pointwise(self.network.heads[i], x))
        zero = 0.0 * sizes[0]  # of all planes
        seen = [sizes[i] - largest[i] for i in (0, 1)]
        seen += [tones[0] - brightest[0], apart[0] + zero]
        x = self._mixed(0, g.joined(features[0], *seen), None, x)
        finest = self._pointwise(self.network.heads[0], x)
        return self._finished(planes, bands, strongest, largest, heads, base, finest, count)

    # -- a plane on its own -----------------------------------------------------------------------

    def _reduced(self, x: Value) -> Value:
        for axis in (HEIGHT, WIDTH):
            x = self.graph.mirrored(x, axis, 2, 2)
        return self.graph.convolved(x, np.outer(TAPS, TAPS)[None, None], stride=2)

    def _expanded(self, x: Value) -> Value:
        """Interpolate to twice the side."""
        graph = self.graph
        for axis in (HEIGHT, WIDTH):
            count = graph.length(x, axis)
            one = np.array([1], np.int64)
            first, last = graph.apply("Min", one, count - one), count - one
            places = graph.apply("Concat", first, graph.range(0, count), last, axis=0)
            x = graph.apply("Gather", x, places, axis=axis)
        kernels = np.stack([np.outer(a, b) for a in BETWEEN for b in BETWEEN])[:, None]
        return graph.shuffled(graph.convolved(x, kernels))

    def _bands(self, planes: Value) -> list[Value]:
        bands = []
        for _ in range(LEVELS):
            smaller = self._reduced(planes)
            bands.append(planes - self._expanded(smaller))
            planes = smaller
        return [*bands, planes]

    def _features(
        self, planes: Value, bands: Sequence[Value], sizes: Sequence[Value]
    ) -> list[Value]:
        g = self.graph
        details = [g.apply("Tanh", 8.0 * band) for band in bands[: len(WIDTHS)]]
        quarters = [g.unshuffled(planes), g.unshuffled(details[0])]
        x = self._level(0, g.joined(*quarters, details[1], sizes[0], sizes[1]))
        features = [x]
        for i in range(1, len(WIDTHS)):
            x = self._level(i, g.joined(x, details[i], sizes[i]))
            features.append(x)
        return features

    def _level(self, i: int, x: Value) -> Value:
        level: Any = self.network.levels[i]
        x = self.graph.relu(self._convolution(level.enter, x))
        if level.refine is None:
            return x
        return self.graph.relu(self._convolution(level.refine, x) + x)

    # -- planes beside each other -----------------------------------------------------------------

    def _mixed(self, i: int, own: Value, shared: Value | None, coarser: Value | None) -> Value:
        g, module = self.graph, cast("Any", self.network.mixings[i])
        named = _array(module.task.weight)[self.kind][:, None, None]
        x = self._pointwise(module.own, own) + named
        if shared is not None:
            x = x + self._pointwise(module.shared, shared)
        if coarser is not None:
            x = x + g.doubled(self._pointwise(module.coarser, coarser))
        x = g.relu(x)
        for refine in module.refine:
            x = g.relu(self._convolution(refine, x) + x)
        return x

    def _convolution(self, module: nn.Conv2d, x: Value) -> Value:
        assert module.bias is not None
        return self.graph.convolved(
            x,
            _array(module.weight),
            _array(module.bias),
            module.stride[0],
            pad=1,
            replicate=module.padding_mode == "replicate",
        )

    def _pointwise(self, module: Any, x: Value) -> Value:
        bias = None if module.bias is None else _array(module.bias)
        return self.graph.convolved(x, _array(module.weight), bias)

    # -- weights and sums -------------------------------------------------------------------------

    def _limited(self, x: Value) -> Value:
        return LOGIT_LIMIT * self.graph.apply("Tanh", x / LOGIT_LIMIT)

    def _positive(self, x: Value) -> Value:
        return self.graph.apply("Softplus", x + 0.5413)

    def _ways(self, head: Value, start: int) -> list[Value]:
        hardness, gain, steering = (head.channels(i, i + 1) for i in range(start, start + 3))
        gain = self.graph.apply("Exp", 0.8 * self.graph.apply("Tanh", gain))
        return [8.0 * self._positive(hardness), gain, self._positive(steering)]

    def _rule(self, band: Value, strongest: Value) -> Value:
        return (self.graph.apply("Abs", band) - strongest) / (strongest + 0.002)

    def _weighed(
        self, band: Value, rule: Value, choice: Value, logit: Value, ways: Sequence[Value]
    ) -> Value:
        """Return the weighted mean of a band over all planes."""
        hardness, gain, steering = ways
        g = self.graph
        weight = g.apply("Exp", self._limited(logit + steering * choice) + hardness * rule)
        return g.over_planes("Sum", weight * gain * band) / g.over_planes("Sum", weight)

    def _finished(
        self,
        planes: Value,
        bands: Sequence[Value],
        strongest: Sequence[Value],
        largest: Sequence[Value],
        heads: Sequence[Value],
        base: Value,
        finest: Value,
        count: Value,
    ) -> list[Value]:
        g = self.graph
        selection = 4.0 * finest.channels(0, 4)
        rules = [self._rule(band, most) for band, most in zip(bands, strongest, strict=False)]
        trust = g.doubled(4.0 * self._positive(finest.channels(11, 12)))
        choice = self._limited(g.shuffled(selection) + trust * rules[0])
        mean = g.apply("ReduceMean", selection, np.array([1], np.int64), keepdims=1)
        choices = [self._limited(mean)]
        for _ in range(LEVELS - 1):
            choices.append(g.halved(choices[-1]))
        ways = [g.doubled(x) for x in self._ways(finest, 8)]
        logit = g.shuffled(finest.channels(4, 8))
        fused = [self._weighed(bands[0], rules[0], choice, logit, ways)]
        logit, ways = finest.channels(12, 13), self._ways(finest, 13)
        fused.append(self._weighed(bands[1], rules[1], choices[0], logit, ways))
        for i, head in enumerate(heads, 2):
            logit, ways = head.channels(0, 1), self._ways(head, 1)
            fused.append(self._weighed(bands[i], rules[i], choices[i - 1], logit, ways))
        steering = self._positive(base.channels(1, 2)) * choices[-1]
        weight = g.apply("Exp", self._limited(base.channels(0, 1) + steering))
        fused.append(g.over_planes("Sum", weight * bands[LEVELS]) / g.over_planes("Sum", weight))
        blended = fused[-1]
        for detail in reversed(fused[:-1]):
            blended = self._expanded(blended) + detail
        weight = g.apply("Exp", choice)
        selected = g.over_planes("Sum", weight * planes) / g.over_planes("Sum", weight)
        votes = g.over_planes("Sum", finest.channels(16, 17)) / (4.0 * count)
        gate = g.doubled(g.apply("Sigmoid", 4.0 * g.apply("Tanh", votes)))
        plane = blended + gate * (selected - blended)
        plane = g.apply("Clip", plane, 0.0, 1.0)
        return [plane, self._index(choices[0], planes, largest)]

    def _index(self, choice: Value, planes: Value, largest: Sequence[Value]) -> Value:
        """Return where among the planes a pixel comes from."""
        g = self.graph
        at = g.apply("Cast", g.range(0, g.length(planes, 0)), to=1)
        at = g.apply("Unsqueeze", at, np.array([1, 2, 3], np.int64))
        weight = g.apply("Exp", 2.0 * choice)
        shares = g.over_planes("Sum", weight)
        mean, square = (g.over_planes("Sum", weight * x) / shares for x in (at, at * at))
        spread = g.relu(square - mean * mean) / 1.5
        size = ((g.apply("Exp", 6.0 * largest[0]) - 1.0) / 500.0) + (
            (g.apply("Exp", 6.0 * largest[1]) - 1.0) / 500.0
        )
        told = size * size
        trust = told / (told + (1 / 255) ** 2) / (spread * spread + 1.0) + 1e-4
        sums, weights = [trust * mean], [trust]
        for _ in range(REACH_LEVELS):
            sums.append(self._reduced(sums[-1]))
            weights.append(self._reduced(weights[-1]))
        settled = sums[-1] / weights[-1]
        for total, weight in zip(sums[-2::-1], weights[-2::-1], strict=True):
            settled = self._expanded(settled)
            sure = weight * weight
            settled = settled + sure / (sure + 0.01) * (total / weight - settled)
        return g.doubled(settled, smooth=True)
