"""Where GIFNet runs, in which precision, in how much memory, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_gifnet.backend import DEVICES
from napari_gifnet.errors import DeviceError

CPU_MEMORY = 560e6
"""Bytes spent on keeping maps between the passes on a CPU, unless the user says otherwise."""

GPU_SHARE = 0.5
"""The share of a GPU's free memory spent likewise."""


@dataclass(frozen=True)
class Device:
    """A device with the reason why it was chosen, in words fit for a user."""

    torch: torch.device
    reason: str

    @property
    def is_cpu(self) -> bool:
        """Whether it is the processor itself."""
        return self.torch.type == "cpu"


def choose_device(name: str = "auto") -> Device:
    """Return the device asked for; for "auto" the first there is of CUDA, XPU, MPS, CPU.

    Parameters
    ----------
    name : str
        As `Backend` understands it.

    Raises
    ------
    DeviceError
        The device asked for is not there.
    """
    if name != "auto":
        return _named(name)
    for kind in DEVICES:
        if kind not in ("auto", "cpu") and _module(kind).is_available():
            return Device(torch.device(kind), _name_of(kind))
    return Device(torch.device("cpu"), _why_no_gpu())


def _module(kind: str) -> Any:
    """The part of torch that knows whether there is such a device."""
    return torch.backends.mps if kind == "mps" else getattr(torch, kind)


def _name_of(kind: str) -> str:
    return "Apple GPU" if kind == "mps" else _module(kind).get_device_name()


def _why_no_gpu() -> str:
    if torch.version.cuda is None and not torch.backends.mps.is_built():
        return "this PyTorch is built without GPU support"
    return "PyTorch finds no GPU"


def _named(name: str) -> Device:
    device = torch.device(name)
    if device.type == "cpu":
        return Device(device, "asked for")
    module = _module(device.type)
    if not module.is_available():
        raise DeviceError(
            f"The device {name!r} is not there ({_why_no_gpu()}): expected one that PyTorch finds; "
            "choose 'auto' or 'cpu'."
        )
    count = 1 if device.type == "mps" else module.device_count()
    if (device.index or 0) >= count:
        raise DeviceError(
            f"The device {name!r} is not there: expected a number below {count}; choose 'auto'."
        )
    return Device(device, "asked for")


def fast_reduced_precision(device: torch.device) -> torch.dtype | None:
    """The reduced precision that the device computes convolutions fast in, or None.

    bfloat16 on CPUs with AMX tiles or AVX-512's bfloat16 dot products and on NVIDIA GPUs from
    Ampere on, float16 on older ones and on Apple's.
    """
    if device.type == "cpu":
        return torch.bfloat16 if _multiplies_bfloat16() else None
    if device.type == "cuda":
        return (
            torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
        )
    return {"mps": torch.float16, "xpu": torch.bfloat16}.get(device.type)


def _multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products of bfloat16."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:  # since PyTorch 2.11
        able = capabilities()
        return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    # processors with AMX have had its bfloat16 products from the first
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(asked() for name in names if (asked := getattr(torch.cpu, name, None)))


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype for one of `backend.PRECISIONS`."""
    if precision == "auto":
        return fast_reduced_precision(device) or torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def memory_budget(device: torch.device) -> float:
    """Bytes that maps kept between the passes may take on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return GPU_SHARE * (free + reusable)
    if device.type == "mps":
        return GPU_SHARE * (
            torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
        )
    if device.type == "xpu":
        try:
            free, _ = torch.xpu.mem_get_info(device)
        except RuntimeError:  # not every driver can tell
            total = torch.xpu.get_device_properties(device).total_memory
            free = total - torch.xpu.memory_reserved(device)
        return GPU_SHARE * free
    return CPU_MEMORY


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device's memory, or the computer's, did not suffice."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError)
        and any(
            words in str(error)
            for words in ("out of memory", "not enough memory", "can't allocate memory")
        )
    )


def free_memory(device: torch.device) -> None:
    """Give back what PyTorch holds of a device's memory without using it."""
    if device.type in {"cuda", "xpu", "mps"}:
        getattr(torch, device.type).empty_cache()


def start_transfer(fused: Tensor) -> Callable[[], np.ndarray]:
    """Start to bring a plane home from a CUDA device; what is returned waits for it."""
    # among several GPUs the event belongs on the stream that computes and copies, not on the first's
    with torch.cuda.device(fused.device):
        home = torch.empty(fused.shape, dtype=fused.dtype, pin_memory=True)
        home.copy_(fused, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()

    def wait() -> np.ndarray:
        arrived.synchronize()
        return home.numpy()

    return wait
