"""The README's code runs as it stands."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def test_there_are_blocks_of_both_kinds():
    assert len(blocks("python")) == 3
    assert len(blocks("sh")) == 3


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    fused = names.get("fused", names.get("flat"))
    values = np.asarray(getattr(fused, "data", fused))
    assert np.isfinite(values).any()
    assert np.nanmin(values) >= 0
    assert np.nanmax(values) <= 1


def test_shell_block(tmp_path, monkeypatch):
    from PIL import Image
    from typer.testing import CliRunner

    from napari_gifnet.cli import app

    monkeypatch.chdir(tmp_path)
    (block,) = (b for b in blocks("sh") if b.startswith("gifnet "))
    for line in block.strip().splitlines():
        program, *arguments = shlex.split(line)
        assert program == "gifnet"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{line}: {result.output}"
    with Image.open("fused.png") as fused:
        assert fused.size == (640, 480)


@pytest.mark.parametrize("purpose", ["demo", "test"])
def test_the_two_commands_install_what_they_run(purpose):
    """The commands themselves are run by .ci/run; here: what they name is there."""
    command = re.search(rf"<!-- {purpose} command -->\n```sh\n(.*?)\n```", README, re.DOTALL)[1]
    extras = set(re.findall(r"\.\[(\w+)\]", command))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert extras
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)
    assert (ROOT / re.search(r"-c (\S+)", command)[1]).is_file()


def test_powershell_installs_the_same():
    """It cannot be run here: it is the demo command, with Windows' paths and separators."""
    (windows,) = blocks("powershell")
    demo = re.search(r"<!-- demo command -->\n```sh\n(.*?)\n```", README, re.DOTALL)[1]
    translated = windows.strip().replace("; ", " && ").replace(".venv\\Scripts\\", ".venv/bin/")
    assert translated.replace("py -m venv", "python3 -m venv") == demo


def test_every_link_into_the_repository_leads_somewhere():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target
