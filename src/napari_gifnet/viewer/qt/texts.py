"""The words of the form: tasks, roles, choices, sizes and durations."""

from __future__ import annotations

from collections.abc import Mapping

from napari_gifnet.planes.tasks import TASKS

ANY, ENHANCE = "any", "enhance"
FOCUS_STACK, EXPOSURE_BRACKET = "focus_stack", "exposure_bracket"

STACKS = {FOCUS_STACK: "multi_focus", EXPOSURE_BRACKET: "multi_exposure"}
"""Tasks that make one plane of many, and what their planes are."""

TASK_TITLES = {
    ANY: "Any pair",
    **{task.name: task.title for task in TASKS.values()},
    FOCUS_STACK: "Focus stack",
    EXPOSURE_BRACKET: "Exposure bracket",
    ENHANCE: "Enhance one layer",
}

EXTENTS = {"all": "Whole layers", "slice": "Current slice", "view": "Current view"}
INTENSITIES = {
    "layer": "Contrast limits",
    "dtype": "Full range of the data type",
    "minmax": "Minimum to maximum",
    "percentile": "Percentiles (0.1 to 99.9)",
}
INTERPOLATIONS = {"linear": "Linear", "cubic": "Cubic"}
NORMALIZATIONS = {"stack": "Over the whole stack", "plane": "Of each plane by itself"}
WHEN = {"auto": "Automatic", "now": "All at once", "lazily": "Each when you come to it"}
DEVICES = {
    "auto": "Automatic",
    "cpu": "Processor (CPU)",
    "cuda": "NVIDIA or AMD GPU (CUDA)",
    "mps": "Apple GPU (MPS)",
    "xpu": "Intel GPU (XPU)",
}
PRECISIONS = {
    "auto": "Automatic",
    "float32": "float32 (exact)",
    "bfloat16": "bfloat16",
    "float16": "float16",
}

LABELS = (
    *("Task", "Image", "Image A", "Image B", "Planes", "Layers", "Region", "Model", "Checkpoint"),
    *("Colour", "Intensity", "Result grid", "Interpolation", "Level", "Normalization"),
    *("Computed", "Device", "Precision", "Show", "Line", "Beside"),
    *(role.removesuffix(" bands") for task in TASKS.values() for role in (task.a, task.b)),
)
"""All that may stand before a control."""


def roles_of(task: str) -> tuple[str, str]:
    """Return what the two images of a task are called in the form."""
    preset = TASKS.get(task)
    if preset is None:
        return "Image A", "Image B"
    return preset.a.removesuffix(" bands"), preset.b


def in_a_sentence(role: str) -> str:
    """Return a role as it stands within a sentence: "infrared", "PET", "image A"."""
    first = role.split()[0]
    return role if first.isupper() and len(first) > 1 else role[0].lower() + role[1:]


def as_sentence(text: str) -> str:
    """Return a text with a capital letter at its start."""
    return text[:1].upper() + text[1:]


def shortened(name: str, letters: int = 60) -> str:
    """Return a name without its middle if it is long."""
    if len(name) <= letters:
        return name
    half = (letters - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def swap_text(task: str) -> str:
    """Return what the button that exchanges the two images says."""
    a, b = (in_a_sentence(role) for role in roles_of(task))
    return f"Swap {a} and {b}"


def color_texts(task: str) -> dict[str, str]:
    """Return the colour rules in the words of a task."""
    return _with_roles(
        task, {"auto": "Automatic", "displayed": "As displayed (colormaps)", "gray": "Gray"}
    )


def grid_texts(task: str) -> dict[str, str]:
    """Return the rules for the result's grid in the words of a task."""
    return _with_roles(task, {"auto": "Automatic", "finer": "The finer one"})


def _with_roles(task: str, others: Mapping[str, str]) -> dict[str, str]:
    a, b = (in_a_sentence(role) for role in roles_of(task))
    return {"auto": others["auto"], "a": f"That of {a}", "b": f"That of {b}"} | dict(others)


def as_choices(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return texts by their values as a box of choices takes them."""
    return [(text, value) for value, text in texts.items()]


def bytes_text(count: float) -> str:
    """A size in words: "12 MB"."""
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.0f} {unit}"
    return f"{count / 1000:.1f} GB"


def duration_text(seconds: float) -> str:
    """A duration in words: "4.2 s"."""
    if seconds < 90:
        return f"{max(seconds, 0.1):.0f} s" if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
