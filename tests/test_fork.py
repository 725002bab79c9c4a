"""A forked process that fuses after its parent did: the cure that the README names works."""

import multiprocessing
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing
import numpy as np
import torch
from napari_gifnet import fuse

plane = np.random.default_rng(0).random((64, 64), dtype=np.float32)


def mean(_):
    {cure}
    return float(fuse(plane, plane, device="cpu").mean())


if __name__ == "__main__":
    in_parent = mean(0)
    with multiprocessing.get_context({start!r}).Pool(1) as pool:
        in_child = pool.map_async(mean, [0]).get(timeout=60)
    assert in_child == [in_parent]
"""

CURES = {"spawn": "pass", "fork": "torch.set_num_threads(1)"}


@pytest.mark.parametrize("start", CURES)
def test_a_child_process_fuses_after_its_parent_did(start, tmp_path):
    if start not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {start} processes")
    path = tmp_path / "pool.py"
    path.write_text(SCRIPT.format(start=start, cure=CURES[start]), encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
