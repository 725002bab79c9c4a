"""``gifnet fuse`` and ``gifnet enhance`` of folders: many results in one run, as their users meet them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_gifnet import enhance, fuse, fuse_stack
from napari_gifnet.cli import app
from napari_gifnet.files.formats import read, write

GIFNET = [sys.executable, "-m", "napari_gifnet"]
SIDE = 48
COUNT = 20
BROKEN, ALONE, SMALLER = "03", "07", "11"
FUSE = ["fuse", "a", "b", "-o", "out", "--model", "mean"]


def gifnet(*arguments, code=0):
    """Run the command line in this process; return what it printed, on both ways."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout + done.stderr


def in_a_process(*arguments, **options):
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [*GIFNET, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        **options,
    )


def make_pairs(side=SIDE, count=COUNT, suffix=".png"):
    """Pairs of noise in the folders a and b."""
    rng = np.random.default_rng(0)
    for folder in "ab":
        Path(folder).mkdir()
        for number in range(count):
            plane = rng.integers(0, 256, (side, side), np.uint8)
            write(f"{folder}/{number:02d}{suffix}", plane, "YX")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pairs(here):
    """20 pairs: one broken, one without its partner, one of another size."""
    make_pairs()
    Path("a", f"{BROKEN}.png").write_bytes(Path("a", f"{BROKEN}.png").read_bytes()[:200])
    Path("b", f"{ALONE}.png").unlink()
    write(f"b/{SMALLER}.png", np.zeros((40, SIDE), np.uint8), "YX")


def contents(folder="out"):
    """The results of a folder, by name, as bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and ".gifnet" not in path.parts
    }


def leftovers(folder="out"):
    """What lies about that is neither a result nor a record nor a claim."""
    return [
        path
        for path in Path(folder).rglob("*")
        if path.suffix == ".part" or (path.name[0] == "." and path.name != ".gifnet")
    ]


def test_one_bad_case_does_not_stop_the_rest(pairs):
    told = gifnet(*FUSE, "--report", "report.json", code=1)
    assert "20 cases: 17 done, 3 failed" in told
    rows = {line.split()[0]: line for line in told.splitlines() if line[:2].isdigit()}
    assert len([row for row in rows.values() if " done " in row]) == 17
    assert "a/03.png cannot be read" in rows[BROKEN]
    assert "a/07.png has no partner: there is no image of its name in b." in rows[ALONE]
    assert "on the same grid" in rows[SMALLER]
    good = {f"{n:02d}" for n in range(COUNT)} - {BROKEN, ALONE, SMALLER}
    assert set(contents()) == {f"{name}.png" for name in good}
    for name in good:
        sides = (read(f"{folder}/{name}.png").data for folder in "ab")
        expected = fuse(*sides, model="mean", dtype="uint8")
        np.testing.assert_array_equal(read(f"out/{name}.png").data, expected)
    assert not leftovers()

    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert report["counts"] == {"done": 17, "failed": 3}
    cases = {case["name"]: case for case in report["cases"]}
    assert cases["00"]["inputs"] == [str(Path("a/00.png")), str(Path("b/00.png"))]
    assert cases["00"]["output"] == str(Path("out/00.png"))
    assert cases["00"]["status"] == "done"
    assert "mean, without a network" in cases["00"]["made_how"]
    assert cases["00"]["seconds"] > 0
    assert "cannot be read" in cases[BROKEN]["error"]
    assert cases[BROKEN]["seconds"] is None


def test_a_dry_run_touches_nothing(pairs):
    def state():
        return {path: path.stat().st_mtime_ns for path in [Path(), *Path().rglob("*")]}

    before = state()
    told = gifnet(*FUSE, "--dry-run", "--report", "report.json")
    assert "19 to be done, 1 would fail; nothing was touched" in told
    assert "out/00.png, of a/00.png and b/00.png" in told.replace(os.sep, "/")
    assert state() == before

    gifnet(*FUSE, code=1)
    before = state()
    assert "2 to be done, 18 would fail" in gifnet(*FUSE, "--dry-run")
    assert "2 to be done, 17 finished before, 1 would" not in gifnet(*FUSE, "--dry-run")
    told = gifnet(*FUSE, "--dry-run", "--resume")
    assert "17 finished before, 2 to be done, 1 would fail" in told
    assert state() == before
    assert "c.png, of 2 planes" not in gifnet(
        "fuse", "a/00.png", "b/00.png", "-o", "c.png", "--dry-run"
    )
    assert state() == before


def test_killed_again_and_again_and_resumed(here):
    """At whatever moment: no finished case is made again, and the results are those of one run."""
    make_pairs(side=300)
    gifnet("fuse", "a", "b", "-o", "whole", "--model", "mean")
    seen, kills, made = {}, 0, 0
    for patience in (0, 0.01, 0.03, 0.005, 0.02):
        process = in_a_process(*FUSE, "--resume")
        before = len(seen)
        while process.poll() is None and len(list(Path().glob("out/*.png"))) < before + 2:
            time.sleep(0.001)
        time.sleep(patience)
        process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        kills += process.wait() != 0
        process.communicate()
        now = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
        assert seen.items() <= now.items()
        seen = now
        assert {name: contents("whole")[name] for name in contents()} == contents()
    assert kills
    told = gifnet(*FUSE, "--resume", "--report", "report.json")
    made = json.loads(Path("report.json").read_text(encoding="utf-8"))["counts"]
    assert made.get("finished before", 0) == len(seen), told
    now = {path: path.stat().st_mtime_ns for path in Path("out").glob("*.png")}
    assert seen.items() <= now.items()
    assert contents() == contents("whole")
    assert not leftovers()
    assert "20 finished before" in gifnet(*FUSE, "--resume")


def test_what_a_killed_run_left_is_swept_away(here):
    make_pairs(count=2)
    gifnet(*FUSE)
    record = next(Path("out/.gifnet").glob("*.json"))
    name = json.loads(record.read_text())["name"]
    record.with_suffix(".part").mkdir()
    record.with_suffix(".part").joinpath("00.png").write_bytes(b"half of it")
    Path("out", f"{name}.png").unlink()  # written down, and not moved to its place any more
    assert "1 done, 1 finished before" in gifnet(*FUSE, "--resume")
    assert not leftovers()
    record.write_text('{"name": "00", "ru')  # half of a record
    told = gifnet(*FUSE, "--resume", code=1)
    assert "exists already, but it is not known what it was made of" in told
    gifnet(*FUSE, "--resume", "--overwrite")
    assert "2 finished before" in gifnet(*FUSE, "--resume")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX's signals")
def test_stopped_by_hand(here):
    make_pairs(side=800, suffix=".tif")
    process = in_a_process(
        *FUSE,
        *("--report", "report.json"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.poll() is None and not list(Path().glob("out/*.tif")):
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopped: the same command with --resume goes on" in told
    assert "Traceback" not in told
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    done = [case["output"] for case in report["cases"] if case["status"] == "done"]
    assert {Path(output).name for output in done} == set(contents()), printed + told
    assert f"{len(done)} done, " in printed
    assert " not begun" in printed
    assert not leftovers()


def test_two_runs_at_once_make_each_case_once(here):
    make_pairs(side=200)
    runs = [in_a_process(*FUSE, "--resume", "--report", f"{i}.json") for i in range(2)]
    for run in runs:
        _, told = run.communicate(timeout=100)
        assert run.returncode == 0, told
    outcomes = [
        [case["status"] for case in json.loads(Path(f"{i}.json").read_text())["cases"]]
        for i in range(2)
    ]
    for statuses in zip(*outcomes, strict=True):
        assert sorted(status == "done" for status in statuses) == [False, True]
    assert len(contents()) == COUNT
    assert not leftovers()
    gifnet("fuse", "a", "b", "-o", "alone", "--model", "mean")
    assert contents() == contents("alone")


def test_a_case_that_another_run_has_is_left_to_it(here):
    from napari_gifnet.files.results_folder import ResultsFolder

    make_pairs(count=3)
    with ResultsFolder(Path("out")).claim(Path("out/01.png")) as ours:
        assert ours
        assert "2 done, 1 at work in another run" in gifnet(*FUSE)
    assert "1 done, 2 finished before" in gifnet(*FUSE, "--resume")


def test_existing_results_are_kept(pairs):
    Path("out").mkdir()
    Path("out/00.png").write_text("precious")
    told = gifnet(*FUSE, code=1)
    assert "16 done, 4 failed" in told
    assert "00.png exists already: choose another place, or add --overwrite" in told
    assert Path("out/00.png").read_text() == "precious"
    before = contents()
    told = gifnet(*FUSE, code=1)
    assert "exists already: go on with --resume, or replace it with --overwrite" in told
    assert contents() == before
    told = gifnet(*FUSE, "--resume", "--color", "gray", code=1)
    assert "exists already, but it was made with other options" in told
    write("a/05.png", np.zeros((SIDE, SIDE), np.uint8), "YX")
    told = gifnet(*FUSE, "--resume", code=1)
    assert "05.png is not what it was when the result was made" in told
    assert contents() == before
    told = gifnet(*FUSE, "--resume", "--overwrite", code=1)
    assert "2 done, 15 finished before, 3 failed" in told
    assert read("out/00.png").data.shape == (SIDE, SIDE)
    later = contents()
    assert [name for name in later if later[name] != before[name]] == ["00.png", "05.png"]
    assert "17 done" in gifnet(*FUSE, "--overwrite", code=1)
    assert contents() == later


def test_copies_are_known_again(here):
    make_pairs(count=2)
    gifnet(*FUSE)
    shutil.copytree("out", "moved", copy_function=shutil.copyfile)  # other times, the same bytes
    shutil.copytree("a", "c", copy_function=shutil.copyfile)
    command = "fuse", "c", "b", "-o", "moved", "--model", "mean", "--resume"
    assert "2 finished before" in gifnet(*command)
    Path("moved/00.png").write_bytes(Path("moved/01.png").read_bytes())
    assert "but it was changed since it was made" in gifnet(*command, code=1)


FULL_DISK = """
mount -t tmpfs -o size=700k none out || exit 77
cp kept.png out/00.png
"$@"
code=$?
cp -a out/. after
exit $code
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mount namespaces")
def test_a_full_disk_loses_nothing(here):
    make_pairs(side=400)
    Path("out").mkdir()
    Path("after").mkdir()
    gifnet("enhance", "a/00.png", "-o", "kept.png", "--model", "maximum")
    kept = Path("kept.png").read_bytes()
    command = ["unshare", "-rm", "sh", "-c", FULL_DISK, "sh", *GIFNET, *FUSE, "--report", "r.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no file system may be mounted here")
    assert done.returncode == 1, done.stderr
    assert "no room for more results: free some space, and go on with --resume" in done.stderr
    after = contents("after")
    assert after.pop("00.png") == kept
    counts = json.loads(Path("r.json").read_text(encoding="utf-8"))["counts"]
    assert counts["done"] == len(after) > 0
    assert counts["failed"] == 2  # the one that was there, and the one that was one too many
    assert counts["not begun"] == COUNT - 2 - len(after)
    assert not leftovers("after")
    gifnet("fuse", "a", "b", "-o", "whole", "--model", "mean")
    assert after.items() <= contents("whole").items()
    again = gifnet("fuse", "a", "b", "-o", "after", "--model", "mean", "--resume", code=1)
    assert f"{COUNT - 1 - len(after)} done, {len(after)} finished before, 1 failed" in again


def test_a_table_of_pairs(here):
    make_pairs(count=4)
    Path("pairs.csv").write_text(
        "a;b;Name\na/00.png;b/03.png;\na/01.png;b/02.png;day/x\na/01.png;b/01.png;y.jpg\na/02.png;gone.png;\na/03.png;;\n",
        encoding="utf-8-sig",
    )
    told = gifnet("fuse", "--pairs", "pairs.csv", "-o", "out", "--model", "mean", code=1)
    assert set(contents()) == {"00.png", "day/x.png", "y.jpg"}
    assert "gone.png cannot be read" in told
    assert "Row 6 of pairs.csv names one image" in told
    expected = fuse(read("a/00.png").data, read("b/03.png").data, model="mean", dtype="uint8")
    np.testing.assert_array_equal(read("out/00.png").data, expected)

    Path("names.csv").write_text("a,b\n00.png,01.png\n02.png,02.png\n")
    gifnet("fuse", "a", "b", "--pairs", "names.csv", "-o", "other", "--model", "mean")
    assert set(contents("other")) == {"00.png", "02.png"}


def test_three_folders_and_subfolders(here):
    rng = np.random.default_rng(0)
    for folder in ("dark", "mid", "bright"):
        for part in ("day", "night"):
            Path(folder, part).mkdir(parents=True)
            write(f"{folder}/{part}/1.jpg", rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), "YXS")
    gifnet(
        "fuse", "dark", "mid", "bright", "-o", "out", "--model", "mean", "--task", "multi_exposure"
    )
    assert set(contents()) == {"day/1.png", "night/1.png"}  # a JPEG would lose something
    planes = [read(f"{folder}/day/1.jpg").data for folder in ("dark", "mid", "bright")]
    expected = fuse(*planes, model="mean", task="multi_exposure", dtype="uint8")
    np.testing.assert_array_equal(read("out/day/1.png").data, expected)


def test_enhance_a_folder(here):
    make_pairs(count=3)
    Path("a/nested").mkdir()
    Path("a/01.png").rename("a/nested/01.png")
    command = "enhance", "a", "-o", "a/sharp", "--model", "maximum"
    assert "3 cases: 3 done" in gifnet(*command)
    assert set(contents("a/sharp")) == {"00.png", "02.png", "nested/01.png"}
    expected = enhance(read("a/00.png").data, model="maximum", dtype="uint8")
    np.testing.assert_array_equal(read("a/sharp/00.png").data, expected)
    assert "3 cases: 3 finished before" in gifnet(*command, "--resume")  # no result is an image


@pytest.fixture
def planes(here):
    """Twelve planes of a stack in a folder, whose numbers have no leading zeros."""
    stack = np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE), np.uint8)
    Path("stacks/one").mkdir(parents=True)
    for number, plane in enumerate(stack):
        write(f"stacks/one/plane{number}.png", plane, "YX")
    return stack


@pytest.mark.parametrize("given", ["stacks/one", "stacks/one/plane*.png"])
def test_a_folder_or_a_pattern_of_planes(planes, random_bands, given):
    """In the order of their numbers, which the height map tells."""
    from safetensors.torch import save_file

    save_file(random_bands.network.state_dict(), "bands.safetensors")
    gifnet(
        *("fuse", given, "-o", "flat.tif", "--task", "multi_focus", "--height", "height.tif"),
        *("--model", "bands.safetensors", "--precision", "float32"),
    )
    options = {"model": "bands.safetensors", "precision": "float32", "return_index": True}
    flat, index = fuse_stack(planes, **options)
    np.testing.assert_array_equal(read("flat.tif").data, flat)
    np.testing.assert_array_equal(read("height.tif").data, index)


def test_a_result_among_its_planes_is_none_of_them(planes, monkeypatch):
    monkeypatch.chdir("stacks/one")
    for _ in range(2):
        gifnet("fuse", ".", "-o", "flat.png", "--model", "mean", "--overwrite")
    expected = fuse_stack(planes, model="mean", dtype="uint8")
    np.testing.assert_array_equal(read("flat.png").data, expected)
    overwriting = "--overwrite", "--dry-run"
    told = gifnet("fuse", "*.png", "-o", "flat.png", "--height", "plane3.png", *overwriting)
    assert "of 11 planes, plane0.png to plane11.png" in told


def test_a_folder_of_folders_of_planes(planes):
    shutil.copytree("stacks/one", "stacks/two")
    write("stacks/two/plane12.png", planes[0], "YX")
    Path("stacks/empty").mkdir()
    told = gifnet(
        "fuse", "stacks", "-o", "out", "--task", "multi_focus", "--model", "mean", "--dry-run"
    )
    assert "of 13 planes, stacks/two/plane0.png to stacks/two/plane12.png" in told.replace(
        os.sep, "/"
    )
    gifnet("fuse", "stacks", "-o", "out", "--task", "multi_focus", "--model", "mean")
    assert set(contents()) == {"one.png", "two.png"}
    expected = fuse_stack(planes, model="mean", dtype="uint8")
    np.testing.assert_array_equal(read("out/one.png").data, expected)


def test_patterns_among_images(here):
    bands = np.random.default_rng(0).integers(0, 256, (11, SIDE, SIDE), np.uint8)
    for number, band in enumerate(bands):
        write(f"band{number}.tif", band, "YX")
    write("pan.tif", bands.mean(axis=0).astype(np.uint8), "YX")
    gifnet(
        "fuse", "band*.tif", "pan.tif", "-o", "ms.tif", "--task", "pansharpening", "--model", "mean"
    )
    expected = fuse(bands, read("pan.tif").data, task="pansharpening", model="mean")
    np.testing.assert_array_equal(read("ms.tif").data, expected)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("fuse -o out", "No images were given"),
        ("fuse a b -o out --task mri", "--task mri is unknown"),
        ("fuse a b -o out --dtype complex", "--dtype complex"),
        ("fuse a b -o out --model nobody", "no model 'nobody'"),
        ("fuse a b -o out --model a/00.png", "not a checkpoint"),
        ("fuse a b -o out --device gpu", "--device gpu is unknown"),
        ("fuse a b -o out --suffix gif", "result.gif is of an unknown format"),
        ("fuse a b -o out --suffix x/y.png", "--suffix x/y.png is not understood"),
        ("fuse a b -o out.png", "out.png is the name of a file"),
        ("fuse a b -o note.txt", "note.txt is a file: expected a folder"),
        ("fuse a b -o a", "a is a folder that is read"),
        ("fuse a b/00.png -o out", "b/00.png is no folder: expected only folders, or only images"),
        ("fuse a empty -o out", "have no images of the same name"),
        ("fuse empty -o out", "empty has no images"),
        ("fuse empty -o out.png", "empty has no images"),
        ("fuse a -o out", "holds 2 images and no folders of planes"),
        ("fuse a b -o out --height h.tif", "--height is of a stack"),
        ("fuse a b -o out --report note.txt", "note.txt exists already"),
        ("fuse a b -o note.txt/out", "note.txt/out/.gifnet cannot be made: Not a directory"),
        ("fuse a b -o out --report no/r.json", "The folder no does not exist"),
        ("fuse 'x*.png' -o out.png", "No images fit the pattern x*.png"),
        ("fuse a/00.png b/00.png -o out.png --resume", "--resume is of folders"),
        ("fuse a/00.png b/00.png -o out.png --suffix tif", "--suffix is of many results"),
        ("fuse --pairs gone.csv -o out", "gone.csv cannot be read: No such file"),
        ("fuse --pairs note.txt -o out", "note.txt begins with 'precious'"),
        ("fuse --pairs two.csv -o out", "Row 3 of two.csv makes 00, as another does"),
        ("fuse a --pairs two.csv -o out", "came with 1 paths"),
        ("enhance empty -o out", "empty has no images"),
        ("enhance a/00.png -o out.png --suffix tif", "--suffix is of many results"),
    ],
)
def test_mistakes_are_told_in_a_sentence_and_leave_nothing(here, line, sentence):
    make_pairs(count=2)
    Path("empty").mkdir()
    Path("note.txt").write_text("precious")
    Path("two.csv").write_text("a,b\na/00.png,b/00.png\na/00.png,b/01.png\n")
    before = {path for path in Path().rglob("*") if path.is_file()}
    told = gifnet(*(word.strip("'") for word in line.split()), code=2)
    assert sentence in told.replace(os.sep, "/")
    assert len(told.splitlines()) == 1
    made = {path for path in Path().rglob("*") if path.is_file() and path.suffix != ".lock"}
    assert made == before


def test_names_that_are_not_utf8(here):
    if sys.platform != "linux":
        pytest.skip("names are text there")
    make_pairs(count=1)
    for folder in "ab":
        Path(folder, "00.png").rename(os.fsdecode(folder.encode() + b"/caf\xe9.png"))
    gifnet(*FUSE, "--report", "out/report.json")
    report = json.loads(Path("out/report.json").read_text(encoding="utf-8"))
    assert report["counts"] == {"done": 1}
    assert report["cases"][0]["inputs"] == ["a/caf\udce9.png", "b/caf\udce9.png"]
    assert sorted(contents()) == ["caf\udce9.png", "report.json"]
    assert "1 finished before" in gifnet(*FUSE, "--resume")


def test_what_a_file_cannot_hold_is_told_of_its_case(here):
    """In the table and the report, under the name that the result has."""
    from napari_gifnet.files.formats import Length

    for folder in "ab":
        Path(folder).mkdir()
        spacing = {axis: Length(0.5, "µm") for axis in "YX"}
        write(f"{folder}/00.tif", np.eye(SIDE, dtype=np.float32), "YX", spacing=spacing)
    process = in_a_process(*FUSE, "--suffix", ".png", "--report", "report.json")
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    sentence = f"{Path('out/00.png')} was written without the pixel size along Y"
    assert sentence in printed
    (case,) = json.loads(Path("report.json").read_text(encoding="utf-8"))["cases"]
    assert case["notes"][0].startswith(sentence)
