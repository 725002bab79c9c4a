"""A graph in ONNX, written operation by operation: sizes are numbers of the graph and not of Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

OPSET = 18
IR_VERSION = 9


@dataclass(frozen=True)
class Value:
    """A tensor in a graph, with the arithmetic of one."""

    graph: Graph
    name: str

    def __add__(self, other: Any) -> Value:
        return self.graph.apply("Add", self, other)

    def __sub__(self, other: Any) -> Value:
        return self.graph.apply("Sub", self, other)

    def __mul__(self, other: Any) -> Value:
        return self.graph.apply("Mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return self.graph.apply("Mul", other, self)

    def __truediv__(self, other: Any) -> Value:
        return self.graph.apply("Div", self, other)

    def channels(self, start: int, stop: int) -> Value:
        """Return some channels of maps (P, C, h, w)."""
        return self.graph.cut(self, 1, start, stop)


class Graph:
    """Nodes and constants in the making; maps are (P, C, h, w) unless said otherwise."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: dict[bytes, str] = {}

    def apply(self, operation: str, *inputs: Any, **attributes: Any) -> Value:
        """Add a node and return its output; numbers and arrays among the inputs become constants."""
        from onnx import helper

        name = f"{operation.lower()}_{len(self.nodes)}"
        names = [self._named(each) for each in inputs]
        self.nodes.append(helper.make_node(operation, names, [name], name=name, **attributes))
        return Value(self, name)

    def _named(self, value: Any) -> str:
        if isinstance(value, Value):
            return value.name
        return self._constant(np.array(value, np.float32 if isinstance(value, float) else None))

    def _constant(self, array: np.ndarray) -> str:
        """Return the name of an array in the graph; equal ones are kept once."""
        from onnx import numpy_helper

        key = repr((array.dtype, array.shape)).encode() + array.tobytes()
        if key not in self._names:
            self._names[key] = f"constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    # -- sizes ----------------------------------------------------------------------------------

    def length(self, x: Value, axis: int) -> Value:
        """Return how long an axis is, a tensor (1,) of int64."""
        return self.apply("Shape", x, start=axis, end=axis + 1)

    def range(self, start: int, stop: Value) -> Value:
        """Return the integers from `start` to before `stop`, which is (1,)."""
        last = self.apply("Squeeze", stop, np.array([0], np.int64))
        return self.apply("Range", np.int64(start), last, np.int64(1))

    # -- shapes ---------------------------------------------------------------------------------

    def cut(self, x: Value, axis: int, start: int, stop: int | Value) -> Value:
        """Return a part of an axis."""
        last = stop if isinstance(stop, Value) else np.array([stop], np.int64)
        return self.apply("Slice", x, np.array([start], np.int64), last, np.array([axis], np.int64))

    def joined(self, *parts: Value) -> Value:
        """Join maps by their channels."""
        return self.apply("Concat", *parts, axis=1)

    def mirrored(self, x: Value, axis: int, before: int, after: int | Value) -> Value:
        """Mirror an axis beyond both ends, as often as need be; a single pixel is repeated."""
        count = self.length(x, axis)
        one, two = np.array([1], np.int64), np.array([2], np.int64)
        period = self.apply("Max", (count - one) * two, one)
        end = count + (np.array([after], np.int64) if isinstance(after, int) else after)
        places = self.apply("Mod", self.range(-before, end), period)
        places = self.apply("Min", places, period - places, count - one)
        return self.apply("Gather", x, places, axis=axis)

    # -- over planes, which are the first axis ----------------------------------------------------

    def over_planes(self, how: str, x: Value) -> Value:
        """Return the "Max", "Min" or "Sum" over all planes, (1, C, h, w)."""
        return self.apply(f"Reduce{how}", x, np.array([0], np.int64), keepdims=1)

    # -- maps -------------------------------------------------------------------------------------

    def convolved(
        self,
        x: Value,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        stride: int = 1,
        pad: int = 0,
        replicate: bool = False,
    ) -> Value:
        """Return a convolution; beyond the border there are zeros, or the border again."""
        if pad and replicate:
            sides = np.array([0, 0, pad, pad] * 2, np.int64)
            x, pad = self.apply("Pad", x, sides, mode="edge"), 0
        inputs = [x, weight] if bias is None else [x, weight, bias]
        return self.apply("Conv", *inputs, strides=[stride] * 2, pads=[pad] * 4)

    def halved(self, x: Value) -> Value:
        """Return means of 2 × 2 pixels."""
        return self.apply("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])

    def mean_of_nine(self, x: Value) -> Value:
        """Return means of 3 × 3 pixels, zeros beyond the border."""
        return self.apply("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)

    def doubled(self, x: Value, smooth: bool = False) -> Value:
        """Return each pixel as 2 × 2 of them, or interpolated linearly."""
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        if not smooth:
            how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
            how["nearest_mode"] = "floor"
        scales = np.array([1, 1, 2, 2], np.float32)
        return self.apply("Resize", x, np.zeros(0, np.float32), scales, **how)

    def shuffled(self, x: Value) -> Value:
        """Return (P, 4, h, w) as (P, 1, 2 h, 2 w)."""
        return self.apply("DepthToSpace", x, blocksize=2, mode="CRD")

    def unshuffled(self, x: Value) -> Value:
        """Return (P, 1, h, w) as (P, 4, h / 2, w / 2)."""
        return self.apply("SpaceToDepth", x, blocksize=2)

    def relu(self, x: Value) -> Value:
        """Return x where it is positive."""
        return self.apply("Relu", x)

    def log1p(self, x: Value) -> Value:
        """Return log(1 + x)."""
        return self.apply("Log", x + 1.0)

    def model(
        self,
        inputs: Mapping[str, Sequence[str | int]],
        outputs: Mapping[str, Value],
        facts: Mapping[str, str],
    ) -> Any:
        """Return the whole as a model of float32 tensors, checked.

        Parameters
        ----------
        inputs : mapping
            Of each the axes: a name where any length will do, or a number.
        outputs : mapping
            All of them (1, 1, height, width).
        facts : mapping
            What the file tells of itself.
        """
        import onnx
        from onnx import TensorProto, helper

        def described(name: str, axes: Sequence[str | int]) -> Any:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)

        given = [described(name, axes) for name, axes in inputs.items()]
        made = [described(name, (1, 1, "height", "width")) for name in outputs]
        for name, value in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        graph = helper.make_graph(self.nodes, "gifnet-bands", given, made, self.constants)
        model = helper.make_model(
            graph,
            producer_name="napari-gifnet",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, dict(facts))
        onnx.checker.check_model(model, full_check=True)
        return model
