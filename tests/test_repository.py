"""What surrounds the package (workflows, recipe, README on PyPI) says the same as pyproject.toml."""

import json
import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
yaml = pytest.importorskip("yaml")


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def requirements(lines: list[str]) -> dict[str, str]:
    """A lower bound for each name."""
    found = (re.fullmatch(r"([\w.-]+?)\s*(?:>=(\S+))?", line) for line in lines)
    return {match[1].lower(): match[2] or "" for match in found if match}


def test_every_link_of_the_readme_on_pypi_is_absolute_and_leads_to_a_file():
    absolute = runpy.run_path(str(ROOT / "hatch_build.py"))["absolute"]
    readme = absolute((ROOT / "README.md").read_text(encoding="utf-8"), REPOSITORY)
    targets = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert all(target.startswith("https://") for target in targets)
    own = [target for target in targets if target.startswith(REPOSITORY)]
    assert any("/raw/main/" in target for target in own)
    for target in own:
        path = re.sub(r".*/(?:blob|raw)/main/([^#]*).*", r"\1", target)
        assert (ROOT / path).exists(), target


def test_the_project_address_stands_in_one_place():
    texts = {
        path
        for pattern in ("*.md", "*.py", "*.toml", "docs/**/*.md", "docs/*.py", ".github/**/*")
        for path in ROOT.glob(pattern)
        if path.is_file() and REPOSITORY in path.read_text(encoding="utf-8")
    }
    assert {path.name for path in texts} == {"pyproject.toml"}


def test_the_recipe_asks_for_what_the_project_asks_for():
    recipe = read("recipe/recipe.yaml")
    assert recipe["context"]["version"] == PROJECT["version"]
    assert PROJECT["requires-python"] == f">={recipe['context']['python_min']}"
    asked = requirements([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cli"]])
    asked["pytorch"] = asked.pop("torch")
    given = requirements([r for r in recipe["requirements"]["run"] if not r.startswith("python ")])
    assert given == asked


def test_conda_can_read_the_recipe():
    rattler_build = pytest.importorskip("rattler_build")
    text = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    (variant,) = rattler_build.Stage0Recipe.from_yaml(text).render()
    assert "napari-gifnet" in repr(variant)


def test_the_workflows_test_every_python_that_is_said_to_work():
    matrix = read(".github/workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]
    said = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert said <= set(matrix["python"])
    assert min(matrix["python"]) == PROJECT["requires-python"].removeprefix(">=")
    platforms = {*matrix["platform"], *(extra["platform"] for extra in matrix["include"])}
    assert platforms == {"ubuntu-latest", "windows-latest", "macos-latest"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")))
def test_what_a_workflow_runs_is_there(path):
    text = path.read_text(encoding="utf-8")
    for script in re.findall(r"(?<![\w/])\.ci/\w+", text):
        assert (ROOT / script).is_file(), script
    for extra in re.findall(r"\.\[(\w+)\]", text):
        assert extra in PROJECT["optional-dependencies"], extra
    for workflow in re.findall(r"uses: (\./\S+)", text):
        assert (ROOT / workflow).is_file(), workflow


def test_the_devcontainer_runs_a_script_that_is_there():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert (ROOT / container["postCreateCommand"].split()[-1]).is_file()
