"""Every code block of the documentation runs, or is marked as what a program prints."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
RUN = {"python", "sh"}
OUTPUT = {"text", "console", "{toctree}", "{include}"}


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the code of each fenced block."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^ *```([^\n]*)\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)


WITH_CODE = [page for page in PAGES if any(language in RUN for language, _ in blocks(page))]


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_code_that_runs_or_marked_as_output(page):
    for language, code in blocks(page):
        assert (language.split() or [""])[0] in RUN | OUTPUT, f"{page}: {code[:60]}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the folders of pictures that docs/folders.md speaks of."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (8, 24, 32), dtype=np.uint8)
    places = [
        "infrared/1.png",
        "visible/1.png",
        "photographs/1.png",
        "planes/z1.tif",
        "planes/z2.tif",
    ]
    for place, plane in zip([*places, "stacks/s/1.tif", "stacks/s/2.tif"], noise, strict=False):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plane).save(tmp_path / place)
    (tmp_path / "pairs.csv").write_text("a,b,name\ninfrared/1.png,visible/1.png,pair\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", WITH_CODE)
def test_code_of_a_page(page, folder):
    """In the page's order and in one folder; Python's names last from block to block.

    Where a line leaves the model to the program, it is run with the quickest one.
    """
    from typer.testing import CliRunner

    from napari_gifnet.cli import app

    names: dict = {}
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, page, "exec"), names)
        elif language == "sh":
            for line in code.strip().splitlines():
                program, *arguments = shlex.split(line, comments=True) or ["gifnet", "--version"]
                assert program == "gifnet", line
                if arguments[0] == "fuse" and not {"--model", "--height"} & {*arguments}:
                    arguments += ["--model", "mean"]
                result = CliRunner().invoke(app, arguments)
                assert result.exit_code == 0, f"{line}: {result.output}"


@pytest.mark.parametrize("path", sorted(DOCS.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_hold_no_outputs(path):
    """The site runs them; an output that was kept would be one that nobody checks."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] for cell in code)


def test_the_gallery_shows_at_least_twelve_pairs():
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((gallery/[^)]+)\)", text)
    assert len(pictures) >= 12
    assert all((DOCS / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("page", PAGES)
def test_each_picture_has_its_command(page):
    """On its page, or in CONTRIBUTING.md as the README's, which the first page shows, too."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)) - {"readme.png"}:
        tools = set(re.findall(r"python ((?:tools|benchmarks)/\w+\.py)", text))
        assert tools
        assert all((DOCS.parent / tool).is_file() for tool in tools)


@pytest.mark.parametrize("page", [*PAGES, "../README.md", "../src/napari_gifnet/weights/README.md"])
def test_the_modules_that_a_page_names_are_there(page):
    """By their path in the repository, or in the package."""
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:python )?([a-z_]+/[\w/]+\.py)\b", text))
    roots = (DOCS.parent, DOCS.parent / "src" / "napari_gifnet")
    gone = {path for path in named if not any((root / path).is_file() for root in roots)}
    assert not gone
