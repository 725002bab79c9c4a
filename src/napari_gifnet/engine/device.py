"""Where GIFNet runs, in which precision, in how much memory, and why."""

from __future__ import annotations

from dataclasses import dataclass

import torch

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

    Raises
    ------
    DeviceError
        The device asked for is not there.
    """
    if name != "auto":
        return _named(name)
    if torch.cuda.is_available():
        return Device(torch.device("cuda"), torch.cuda.get_device_name())
    if torch.xpu.is_available():
        return Device(torch.device("xpu"), torch.xpu.get_device_name())
    if torch.backends.mps.is_available():
        return Device(torch.device("mps"), "Apple GPU")
    return Device(torch.device("cpu"), _why_no_gpu())


def _why_no_gpu() -> str:
    if torch.version.cuda is None and not torch.backends.mps.is_built():
        return "this PyTorch is built without GPU support"
    return "PyTorch finds no GPU"


def _named(name: str) -> Device:
    device = torch.device(name)
    module = {"cpu": None, "cuda": torch.cuda, "xpu": torch.xpu, "mps": torch.backends.mps}
    backend = module[device.type]
    if backend is None:
        return Device(device, "asked for")
    if not backend.is_available():
        raise DeviceError(
            f"The device {name!r} is not there ({_why_no_gpu()}): expected one that PyTorch finds; "
            "choose 'auto' or 'cpu'."
        )
    count = 1 if device.type == "mps" else backend.device_count()
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
        able = torch.cpu.get_capabilities()
        fast = able.get("amx_bf16") or able.get("avx512_bf16")
        return torch.bfloat16 if fast else None
    if device.type == "cuda":
        return (
            torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
        )
    return {"mps": torch.float16, "xpu": torch.bfloat16}.get(device.type)


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype for "auto", "float32", "bfloat16" or "float16"."""
    if precision == "auto":
        return fast_reduced_precision(device) or torch.float32
    return {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }[precision]


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
        free, _ = torch.xpu.mem_get_info(device)
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
