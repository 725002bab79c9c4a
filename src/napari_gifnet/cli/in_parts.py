"""Results written to OME-Zarr part by part, of images that are read part by part."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_gifnet import __version__
from napari_gifnet.files.formats import find_format
from napari_gifnet.files.image_file import written_text
from napari_gifnet.files.ome_zarr_parts import write_in_parts

from .case import Case, Settings
from .console import ProgressBar
from .preparing import Prepared

if TYPE_CHECKING:
    from .making import LateFuser


def goes_in_parts(case: Case, prepared: Prepared) -> bool:
    """Whether a result need never be in memory."""
    into_zarr = find_format(case.output) is find_format(Path("a.zarr"))
    return into_zarr and prepared.job.lazy and case.height is None and not prepared.bands_in_color


def make_in_parts(
    case: Case, settings: Settings, prepared: Prepared, fuser: LateFuser, bar: ProgressBar
) -> tuple[str, float]:
    """Make a result, or what is missing of it; return how in words, and how long it took in seconds."""
    from napari_gifnet.lazy.areas import chunks_of
    from napari_gifnet.lazy.methods import Method
    from napari_gifnet.lazy.storing import store_result

    job, start, how = prepared.job, time.perf_counter(), []
    made_by = fuser.open(bar).summary if fuser.client is None else Method.of(fuser.model).summary
    _, rows, columns = chunks_of(job, by_plane=False)
    made_of = {
        "images": [[str(path.resolve()), _changed(path)] for path in case.inputs],
        "settings": json.loads(json.dumps(asdict(settings), default=str)),
        "precision": fuser.backend.precision,
    }

    def fill(target: Any, record: Path) -> str:
        bar.set_title("Fusing part by part")
        done = store_result(
            job, fuser.model, fuser.backend, target, record, made_of, fuser.client, bar
        )
        how.extend([*prepared.notes, done.summary(), made_by])
        sentence = f"napari-gifnet {__version__}, from {prepared.sources}: {'; '.join(how)}"
        return written_text(sentence)

    write_in_parts(
        case.output,
        job.shape,
        job.dtype,
        prepared.axes,
        (rows[0], columns[0]),
        fill,
        like=prepared.like,
    )
    return "; ".join(how), time.perf_counter() - start


def _changed(path: Path) -> int:
    """When an image was changed last, as far as its metadata tell."""
    names = (path / name for name in ("zarr.json", ".zattrs", ".zgroup"))
    return next((name.stat().st_mtime_ns for name in names if name.is_file()), 0)
