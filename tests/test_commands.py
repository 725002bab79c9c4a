"""The scripts of tools/ and benchmarks/ start, and each is described in CONTRIBUTING.md."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("tools", "benchmarks")
    for path in (ROOT / folder).iterdir()
    if path.suffix == ".py" or (path / "__main__.py").is_file()
)
OPTIONAL = {"matplotlib", "cv2", "psutil"}


def test_scripts_are_found():
    assert {"tools/samples", "benchmarks/speed.py"} < set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script):
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "COLUMNS": "200"},
    )
    missing = re.search(r"No module named '(\w+)", done.stderr)
    if missing and missing[1] in OPTIONAL:
        pytest.skip(f"{script} needs {missing[1]}, which the extra dev installs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_command_is_in_the_tables(script):
    assert f"`python {script}" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
