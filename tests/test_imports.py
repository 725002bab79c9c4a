"""The packages stand in one order, and importing them is quick and brings nothing heavy along."""

import ast
import functools
import graphlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_gifnet"

HEAVY = {"torch", "napari", "qtpy", "PyQt6", "PySide6", "magicgui", "scipy", "skimage", "dask"}

FLOORS = [
    {"errors"},
    {"backend", "progress", "download"},
    {"pyramid", "planes", "grids", "metrics"},
    {"placed"},
    {"alignment"},
    {"network"},
    {"engine"},
    {"checkpoints"},
    {"models"},
    {"baselines"},
    {"fuser"},
    {"fusers"},
    {"locality"},
    {"lazy"},
    {"fusion"},
    {"files"},
    {"napari_gifnet"},  # the package itself: its public names, and the version
    {"exchange", "viewer", "training"},  # "viewer" is all of it but Qt
    {"viewer.qt", "cli"},
    {"__main__"},
]
"""From the ground: each package and top-level module; one imports only what is on a floor below it."""

BARRED = {("cli", "viewer")}
"""Pairs that may not import although the second stands below the first."""

ALLOWED = {("cli.demo", "viewer")}
"""The demonstration alone opens napari."""

QT = {"qtpy", "PyQt6", "PyQt5", "PySide6", "magicgui", "superqt", "napari.qt", "napari._qt"}


def name_of(path: Path) -> str:
    """A module's name inside the package; the package's own is `napari_gifnet`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "napari_gifnet"


SOURCES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def imports_of(name: str, *, in_functions: bool = True, for_types: bool = True) -> frozenset[str]:
    """The full names that a module's source imports, also by `import_module` with a literal name.

    Parameters
    ----------
    in_functions, for_types : bool
        Count what is imported inside functions, and under TYPE_CHECKING.
    """
    path = SOURCES[name]
    package = ["napari_gifnet", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in nodes(ast.parse(path.read_text(encoding="utf-8")), in_functions, for_types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            target = node.args[0]
            if isinstance(target, ast.Constant):
                inside = target.value.lstrip(".")
                level = len(target.value) - len(inside)
                base = package[: len(package) - level + 1] if level else []
                found.add(".".join([*base, inside]))
    return frozenset(found)


def nodes(parent: ast.AST, in_functions: bool, for_types: bool) -> Iterator[ast.AST]:
    """The nodes of a tree, with or without those inside functions and under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(parent):
        function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        types = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        if (function and not in_functions) or (types and not for_types):
            continue
        yield child
        yield from nodes(child, in_functions, for_types)


def module_of(full_name: str) -> str | None:
    """Which module of the package a full name is, or is in; None for other packages' names."""
    parts = full_name.split(".")
    if parts[0] != "napari_gifnet":
        return None
    inside = parts[1:]
    while inside and ".".join(inside) not in SOURCES:
        inside.pop()
    return ".".join(inside) or "napari_gifnet"


def unit_of(module: str) -> str:
    """What stands on a floor: the package or the top-level module that a module belongs to."""
    return "viewer.qt" if module.startswith("viewer.qt") else module.partition(".")[0]


def floor_of(unit: str) -> int:
    for height, floor in enumerate(FLOORS):
        if unit in floor:
            return height
    raise AssertionError(
        f"{unit!r} of napari_gifnet is on no floor: give it one in FLOORS of tests/test_imports.py, "
        "and say in CONTRIBUTING.md what it knows and what it may import."
    )


def of(names: Iterable[str], packages: set[str]) -> list[str]:
    """Those of the full names that are one of the packages, or in one."""
    return [name for name in names if any(f"{name}.".startswith(f"{p}.") for p in packages)]


def test_every_package_has_a_floor():
    for module in SOURCES:
        floor_of(unit_of(module))


def test_each_module_imports_only_what_stands_below_it():
    upwards = set()
    for module in SOURCES:
        unit = unit_of(module)
        for imported in filter(None, map(module_of, imports_of(module))):
            other = unit_of(imported)
            allowed = (module, other) in ALLOWED
            barred = floor_of(other) >= floor_of(unit) or (unit, other) in BARRED
            if other != unit and barred and not allowed:
                upwards.add(f"{module} imports {imported}")
    assert not upwards


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        module: {
            imported
            for imported in map(module_of, imports_of(module, in_functions=False, for_types=False))
            if imported not in (None, module)
        }
        for module in SOURCES
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_only_the_widget_knows_qt():
    assert not {
        module: found
        for module in SOURCES
        if unit_of(module) != "viewer.qt" and (found := of(imports_of(module), QT))
    }


def test_only_the_viewer_and_the_demonstration_open_napari():
    assert not {
        module: found
        for module in SOURCES
        if unit_of(module) not in {"viewer", "viewer.qt"}
        and module not in {module for module, _ in ALLOWED}
        and (found := of(imports_of(module, for_types=False), {"napari"}))
    }


def test_heavy_packages_are_imported_late_except_by_those_who_are_about_them():
    early = {}
    for module in SOURCES:
        names = imports_of(module, in_functions=False, for_types=False)
        barred = set()
        if unit_of(module) not in {"network", "engine", "exchange", "training"}:
            barred |= {"torch"}
        if unit_of(module) != "viewer.qt":
            barred |= {"napari", "vispy", *QT}
        if found := of(names, barred):
            early[module] = found
    assert not early


@pytest.mark.parametrize("folder", ["src", "tools", "benchmarks"])
def test_no_module_is_longer_than_400_lines(folder):
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert lengths
    too_long = {path: length for path, length in lengths.items() if length > 400}
    assert not too_long


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("module", "barred"),
    [
        ("napari_gifnet", HEAVY | {"numpy", "pooch"}),
        ("napari_gifnet.fusion", HEAVY | {"pooch"}),
        ("napari_gifnet.models", HEAVY | {"numpy", "pooch"}),
        ("napari_gifnet.planes.job", HEAVY),
        ("napari_gifnet.metrics", HEAVY - {"scipy", "skimage"}),
        ("napari_gifnet.viewer", HEAVY | {"numpy", "pooch"}),
    ],
)
def test_import_is_light(module, barred):
    loaded = run(f"import {module}, sys; print(*{{m.partition('.')[0] for m in sys.modules}})")
    assert "napari_gifnet" in loaded.split()
    assert not barred & set(loaded.split())


def test_import_is_quick():
    code = (
        "import time; start = time.perf_counter(); import napari_gifnet; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(run(code)) for _ in range(5)) < 0.3


def test_public_names_are_there_when_asked_for():
    import napari_gifnet

    for name in napari_gifnet.__all__:
        assert callable(getattr(napari_gifnet, name))
    assert set(napari_gifnet.__all__) < set(dir(napari_gifnet))
    with pytest.raises(AttributeError, match="no attribute 'defuse'"):
        napari_gifnet.defuse  # noqa: B018
