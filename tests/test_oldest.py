"""The oldest versions that pyproject.toml allows are those that .ci/oldest runs the suite with."""

import itertools
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PINS = ROOT / ".ci" / "oldest-constraints.txt"


def test_every_lower_bound_is_the_version_that_was_run():
    if not PINS.is_file():
        pytest.skip("a source distribution has no .ci")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = {}
    for requirement in map(Requirement, itertools.chain(*groups)):
        for specifier in requirement.specifier:
            if specifier.operator == ">=":
                bounds[canonicalize_name(requirement.name)] = specifier
    pins = {
        canonicalize_name(name): version
        for line in PINS.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
        for name, version in [line.split("==")]
    }
    assert set(bounds) == set(pins)
    for name, bound in bounds.items():
        assert Version(pins[name]) == Version(bound.version), (
            f"{name}: {bound} is allowed, {pins[name]} was run"
        )
