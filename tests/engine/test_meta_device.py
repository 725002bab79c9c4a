"""The passes on torch's meta device: they find a tensor left on the CPU without a GPU at hand."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_gifnet.engine.folded import FoldedGIFNet
from napari_gifnet.engine.moments import Statistics
from napari_gifnet.engine.passes import fuse_pair, prepare

SHARED = Statistics(*[(0.1, 0.2)] * 3)


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU does; single numbers may be mixed in."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        devices = {str(x.device) for x in tensors if x.dim()}
        if len(devices) > 1 and operation is not torch.ops.aten._to_copy.default:
            raise RuntimeError(f"{operation} on {' and '.join(sorted(devices))}")
        return operation(*args, **(kwargs or {}))


def run(folded, *, tile_size, memory=1e9, statistics=None, size=(50, 71)):
    """Fuse planes that lie on the meta device into one that does."""
    a, b, out = (torch.empty(size, device="meta") for _ in range(3))
    with OneDevice(), torch.inference_mode():
        pair = prepare(folded, a, b, tile_size, memory, statistics_known=statistics is not None)
        assert pair.tiling.count == (1 if tile_size is None else 4 * 3)
        fuse_pair(pair, out, statistics)
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("statistics", [None, SHARED])
@pytest.mark.parametrize(("tile_size", "memory"), [(None, 1e9), (16, 1e9), (16, 0)])
def test_all_that_the_passes_use_is_on_the_device(
    random_model, dtype, statistics, tile_size, memory
):
    folded = FoldedGIFNet(random_model.network, torch.device("meta"), dtype)
    out = run(folded, tile_size=tile_size, memory=memory, statistics=statistics)
    assert out.shape == (50, 71)
    assert out.device.type == "meta"


def test_a_network_made_on_the_cpu_moves_as_a_whole(random_model):
    folded = FoldedGIFNet(random_model.network, torch.device("cpu"), torch.float32).to("meta")
    assert {x.device.type for x in folded.buffers()} == {"meta"}
    assert not list(folded.parameters())
    run(folded, tile_size=16)


def test_any_tensor_left_on_the_cpu_is_found(random_model):
    """Each in turn is put back; the gate is a single number, which every device takes from the CPU."""
    folded = FoldedGIFNet(random_model.network, torch.device("cpu"), torch.float32)
    on_cpu = dict(folded.named_buffers())
    folded.to("meta")
    for name, tensor in on_cpu.items():
        module, _, attribute = name.rpartition(".")
        owner = folded.get_submodule(module)
        moved = getattr(owner, attribute)
        setattr(owner, attribute, tensor)
        if name != "gate":
            with pytest.raises(RuntimeError, match="cpu"):
                run(folded, tile_size=None, size=(16, 16))
        setattr(owner, attribute, moved)
    assert len(on_cpu) > 40
    run(folded, tile_size=None, size=(16, 16))
