"""Page faults where dask starts its workers: a count that does not depend on how busy a computer is."""

import json
import os
import platform
import subprocess
import sys

import pytest

FUSES = """
import json, resource
import dask.array as da, numpy as np
from napari_gifnet import fuse

planes = [da.from_array(plane) for plane in np.random.default_rng(0).random((2, 512, 512), np.float32)]
fused = fuse(*planes, model="gifnet-bands", device="cpu", precision="float32", intensity=(0, 1))
fused.compute(scheduler="synchronous")
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fused.compute(scheduler="synchronous")
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before))
"""


def page_faults(**environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FUSES],
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told so")
def test_a_worker_uses_freed_memory_again():
    as_dask_starts_it = page_faults(MALLOC_TRIM_THRESHOLD_="65536")
    without_our_word = page_faults(MALLOC_TRIM_THRESHOLD_="65536", MALLOC_MMAP_THRESHOLD_="131072")
    assert as_dask_starts_it < without_our_word / 3
