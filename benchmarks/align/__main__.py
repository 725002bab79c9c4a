"""How well two images are aligned: pairs moved by a known amount, pairs at rest, and pairs of nothing.

    python benchmarks/align --output align.md --cases align.jsonl
    python benchmarks/align --sets phantom lytro --count 4
    python benchmarks/align --look --sets lytro still_lytro
    python benchmarks/align own --sets lytro
    python benchmarks/align marked
    python benchmarks/align thresholds

A case is right if it is trusted and near enough, on average over the head's voxels or a 7×7 grid of
the picture. Cases that `--cases` holds are not done again. The sets are described in `align_cases.py`;
lytro_own is lytro, counted from where each pair lies on itself (`own_place.py`), which `own` tells of;
`marked` tells of a pair by points marked by hand (`landmarks.py`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import landmarks
import numpy as np
import thresholds
from align_cases import SETS, Case, grid_points, pairs_of
from own_place import apart, own_place

from napari_gifnet import WorldGrid, align, looks_misaligned
from napari_gifnet.alignment.picture import Frame, Picture
from napari_gifnet.alignment.run import in_units_of
from napari_gifnet.alignment.search import search_plane

NEAR = {
    "phantom": 1.0,
    "phantom_affine": 2.0,
    "lytro": 0.5,
    "lytro_own": 0.5,
    "roadscene": 3.0,
    "harvard_pet": 2.0,
    "vifb": 3.0,
    "still_phantom": 0.3,
    "still_lytro": 0.3,
    "still_harvard_pet": 0.3,
    "still_roadscene": 2.0,
    "still_vifb": 2.0,
    "training": 3.0,
    "training_more": 3.0,
    "training_still": 2.0,
}
"""What is near enough, in mm or pixels."""

FAR = 5.0
"""Beyond it nothing may be trusted."""

COLUMNS = (
    "set",
    "cases",
    "near enough",
    "right",
    "trusted",
    "trusted and beyond 5",
    "median",
    "seconds",
    "of CPU",
)
LOOKS = ("set", "pairs", "warned, moved by 6 px at least", "warned, at rest", "seconds", "of CPU")


def look(case: Case) -> dict[str, Any]:
    """Look at a pair as the widget does before a run."""
    start = time.perf_counter(), time.process_time()
    found = looks_misaligned(*_first(case), **_grids(case))
    return {
        "name": case.name,
        "distance": None if case.truth is None else case.distance(np.eye(len(case.truth))),
        "warned": found.found,
        "sentence": found.sentence,
        "seconds": time.perf_counter() - start[0],
        "cpu": time.process_time() - start[1],
    }


def row_of_looks(name: str, done: list[dict[str, Any]]) -> str:
    """Return a row of the table of looks: a move counts from 6 px on."""
    far = [each for each in done if (each["distance"] or 0) >= 6]
    still = [each for each in done if (each["distance"] or 0) < 0.1]
    cells = [name, len(done)]
    cells += [f"{sum(each['warned'] for each in group)} of {len(group)}" for group in (far, still)]
    cells += [f"{np.median([each[key] for each in done]):.1f}" for key in ("seconds", "cpu")]
    return f"| {' | '.join(map(str, cells))} |"


def judge(case: Case) -> dict[str, Any]:
    """Align a pair and say how far off it is."""
    start, used = time.perf_counter(), time.process_time()
    found = align(*_first(case), transform=case.transform, **_grids(case))
    seconds, used = time.perf_counter() - start, time.process_time() - used
    away = None if case.truth is None else case.distance(found.matrix)
    return {
        "name": case.name,
        "matrix": found.matrix.tolist(),
        "distance": away,
        "trusted": found.trusted,
        "reason": found.reason,
        "seconds": seconds,
        "cpu": used,
        "before": found.before,
        "after": found.after,
        "overlap": found.overlap,
        **found.facts,
    }


def _first(case: Case) -> tuple[np.ndarray, np.ndarray]:
    return case.fixed[0], case.moving[0]


def _grids(case: Case) -> dict[str, Any]:
    return {"fixed_grid": case.fixed[1], "moving_grid": case.moving[1]}


def row(name: str, done: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    trusted = [each for each in done if each["trusted"]]
    seconds = " | ".join(
        f"{np.median([each.get(key, np.nan) for each in done]):.1f}" for key in ("seconds", "cpu")
    )
    if name not in NEAR:
        cells = [name, len(done), "", "", len(trusted), "", "", seconds]
        return f"| {' | '.join(map(str, cells))} |"
    near = [each for each in done if each["distance"] <= NEAR[name]]
    right = [each for each in trusted if each["distance"] <= NEAR[name]]
    wrong = [each for each in trusted if each["distance"] > FAR]
    middle = f"{np.median([each['distance'] for each in done]):.2f}"
    cells = [
        f"{name} (≤ {NEAR[name]:g})",
        len(done),
        len(near),
        len(right),
        len(trusted),
        len(wrong),
        middle,
        seconds,
    ]
    return f"| {' | '.join(map(str, cells))} |"


def rows_of_own_places(name: str) -> list[str]:
    """Return a row for each pair of a set: where it lies on itself, by two measures, and how surely."""
    columns = (
        "pair",
        "off by itself",
        "standard error",
        "there and back",
        "from where `align` searches it",
        "blocks",
    )
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for pair, fixed, moving in pairs_of(name):
        points, still = grid_points(fixed.shape[:2]), np.eye(3)
        own = own_place(fixed, moving)
        back = np.linalg.inv(own_place(moving, fixed, 0).matrix)
        searched = search_at_rest(fixed, moving)
        off, round_trip, other = (
            apart(each, own.matrix, points) for each in (still, back, searched)
        )
        error = np.sqrt(np.mean([apart(each, own.matrix, points) ** 2 for each in own.draws]))
        numbers = " | ".join(f"{each:.2f}" for each in (off, error, round_trip, other))
        lines.append(f"| {pair} | {numbers} | {own.blocks} |")
        print(lines[-1], flush=True)
    return lines


def rows_of_marked_pairs() -> list[str]:
    """Return a row for each pair in which points were marked: how far off it came, and is once aligned.

    First how far the points lie apart; then how far transforms are, over a 7×7 grid, from the similarity
    that brings the points nearest.
    """
    columns = ("pair", "points", "as it came", "aligned", "nearest", "the pair", "at rest", "moved")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    print(*lines, sep="\n", flush=True)
    for name, pair in landmarks.MARKED:
        points = landmarks.marked_points(name, pair)
        nearest = landmarks.nearest_similarity(*points)
        resting, moved = (
            next(case for case in SETS[each]() if case.name == pair)
            for each in (f"still_{name}", name)
        )
        places = [np.eye(3)]
        for case in (resting, moved):
            found = align(*_first(case), transform=case.transform, **_grids(case))
            assert case.truth is not None
            places.append(found.matrix @ np.linalg.inv(case.truth))
        numbers = [landmarks.distance(matrix, *points) for matrix in (*places[:2], nearest)]
        numbers += [apart(matrix, nearest, resting.points) for matrix in places]
        cells = [pair, len(points[0]), *(f"{number:.1f} px" for number in numbers)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
        print(lines[-1], flush=True)
    return lines


def search_at_rest(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Return where `align` would move a picture if it did not leave alone what lies right already."""
    pictures = [
        Picture(each, WorldGrid(each.shape[:2]), each.ndim == 3) for each in (fixed, moving)
    ]
    frame = Frame.of(pictures[0].grid, pictures[1].grid)
    f, m = (frame.sample(each.read(), 1.0) for each in pictures)
    last = search_plane(f, m, "similarity", 0, lambda: None)[-1]
    return in_units_of(pictures[1].grid, frame, last.pull)


def known_cases(path: Path | None) -> dict[str, dict[str, Any]]:
    """Return the cases that were done before."""
    if path is None or not path.is_file():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {f"{record['set']}/{record['name']}": record for record in records}


def do_set(name: str, known: dict[str, dict[str, Any]], options: Any) -> list[dict[str, Any]]:
    """Do the cases of a set that are not known yet."""
    done = []
    for case in itertools.islice(SETS[name](), options.count):
        record = known.get(f"{name}/{case.name}")
        same = known.get(f"{name.removesuffix('_own')}/{case.name}")
        if record is None and same is not None and "matrix" in same:
            record = same | {"distance": case.distance(np.array(same["matrix"]))}
        if record is None:
            record = {"set": name, **(look if options.look else judge)(case)}
            known[f"{name}/{case.name}"] = record
            if options.cases:
                with options.cases.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
        if options.verbose:
            numbers = {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in record.items()
                if key not in ("set", "name")
            }
            print(record["name"], numbers, flush=True)
        done.append(record)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "what", nargs="?", choices=("table", "thresholds", "own", "marked"), default="table"
    )
    parser.add_argument(
        "--sets", nargs="+", default=[name for name in SETS if "training" not in name]
    )
    parser.add_argument("--count", type=int, help="no more than so many cases of each set")
    parser.add_argument("--cases", type=Path, help="a file (JSON, a case a line) to go on with")
    parser.add_argument("--output", type=Path, help="write the table to this file, too")
    parser.add_argument("--look", action="store_true", help="the quick look before a run instead")
    parser.add_argument("--verbose", action="store_true", help="print each case")
    options = parser.parse_args()
    known = known_cases(options.cases)
    if options.what == "thresholds":
        done = [each for name in thresholds.SETS for each in do_set(name, known, options)]
        lines = thresholds.report(done)
        for name in thresholds.GAINS:
            lines.append(thresholds.report_gains(name, do_set(name, known, options)))
        print(*lines, sep="\n")
    elif options.what == "own":
        lines = [line for name in options.sets for line in rows_of_own_places(name)]
    elif options.what == "marked":
        lines = rows_of_marked_pairs()
    else:
        columns = LOOKS if options.look else COLUMNS
        lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        print(*lines, sep="\n", flush=True)
        for name in options.sets:
            done = do_set(name, known, options)
            lines.append((row_of_looks if options.look else row)(name, done))
            print(lines[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
