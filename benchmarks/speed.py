"""Speed and memory of the engine against the published graph: ``python benchmarks/speed.py``.

Every case runs in a process of its own, on random planes with random weights (neither changes the
cost). The published graph is `network.GIFNet`: eager, float32, the whole image at once.

``--against REV`` compares the engine with that of another git revision instead, in pairs of
processes that take turns, so that what else the machine does meets both.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

SIZES = {"256×256": (256, 256), "520×520": (520, 520), "1280×1024": (1024, 1280)}
LARGE = {"1024×1024": (1024, 1024), "4096×4096": (4096, 4096), "8192×8192": (8192, 8192)}
ROOT = Path(__file__).resolve().parents[1]
PAIRS = 7
LIVE_MACS = 644_000  # multiply-adds a pixel of the folded graph, each stage computed once


def planes(height, width):
    """Two random planes."""
    import numpy as np

    rng = np.random.default_rng(0)
    return [rng.random((height, width), dtype=np.float32) for _ in "ab"]


def random_network():
    """The network with random weights."""
    import torch

    from napari_gifnet.network import GIFNet

    torch.manual_seed(0)
    return GIFNet().eval()


def peak_memory():
    """Peak resident memory of this process, in bytes."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def published(height, width, device, repeats):
    """Seconds of the published graph, and its output's mean as a check."""
    import torch

    network = random_network().to(device)
    a, b = (torch.from_numpy(p)[None, None].to(device) for p in planes(height, width))
    best = float("inf")
    with torch.inference_mode():
        for _ in range(repeats):
            start = time.perf_counter()
            network(a, b).cpu()
            best = min(best, time.perf_counter() - start)
    return best, {}


def engine(height, width, device, repeats, precision, tile_size, memory):
    """Seconds of the engine."""
    runner = open_engine(device, precision, tile_size, memory)
    a, b = planes(height, width)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        list(runner.fuse_planes([(a, b)], 1))
        best = min(best, time.perf_counter() - start)
    return best, {"precision": runner.precision, "notes": runner.notes, "source": source()}


def open_engine(*options):
    """The engine of the source tree at hand, which `--against` makes an older one."""
    try:
        from napari_gifnet.backend import Backend
        from napari_gifnet.engine import GIFNetEngine
    except ImportError:  # before there were backends
        from napari_gifnet.engine import Engine

        return Engine(random_network(), *options)
    return GIFNetEngine(random_network(), Backend(*options))


def source():
    """The folder that the package came from."""
    import napari_gifnet

    return str(Path(napari_gifnet.__file__).resolve().parents[2])


def ceiling(device, precision):
    """Multiply-adds a second of a large matrix product, doubled: FLOP/s."""
    import torch

    n = 2048 if device == "cpu" else 8192
    x = torch.randn(n, n, dtype=getattr(torch, precision), device=device)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        (x @ x)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * n**3 / best, {}


def bandwidth(device):
    """Bytes a second that a copy reads and writes."""
    import torch

    x = torch.empty(1 << 28, dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        y.copy_(x)
        y[0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * x.nbytes / best, {}


def first_result(side):
    """Seconds from fuse(...) to the array in a fresh process, torch's import not counted."""
    import torch  # noqa: F401

    import napari_gifnet
    from napari_gifnet.models import list_models

    a, b = planes(side, side)
    if not list_models()[0].shipped:
        return float("nan"), {"precision": "no weights"}
    start = time.perf_counter()
    napari_gifnet.fuse(a, b)
    seconds = time.perf_counter() - start
    from napari_gifnet.engine.device import choose_device, choose_precision

    precision = choose_precision("auto", choose_device().torch)
    return seconds, {"precision": str(precision).removeprefix("torch.")}


def closeness(device, precision):
    """PSNR of a reduced precision against float32, and gray levels between them, on a sample."""
    import numpy as np

    from napari_gifnet import fuse
    from napari_gifnet.files.samples import load_sample

    sides = [side.data for side in load_sample("infrared_visible")]
    options = {"task": "infrared_visible", "color": "gray", "device": device}
    exact, reduced = (fuse(*sides, **options, precision=p) for p in ("float32", precision))
    levels = 255 * np.abs(exact - reduced)
    psnr = -10 * np.log10(np.mean((levels / 255) ** 2))
    return float(psnr), {"most": float(np.quantile(levels, 0.999)), "largest": float(levels.max())}


CASES = {f.__name__: f for f in (published, engine, ceiling, bandwidth, first_result, closeness)}


def measure(case, tree=ROOT, **options):
    """Run a case in a process of its own; None if it failed, as from lack of memory."""
    command = [sys.executable, __file__, "--case", case, "--options", json.dumps(options)]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        reason = "killed" if done.returncode < 0 else done.stderr.strip().splitlines()[-1]
        print(f"{case} {options}: {reason}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def machine(device):
    """One line on the machine."""
    import torch

    if device != "cpu":
        name = torch.cuda.get_device_name()
    else:
        info = Path("/proc/cpuinfo")
        models = [
            line.split(":")[1].strip()
            for line in (info.read_text().splitlines() if info.exists() else [])
            if line.startswith("model name")
        ]
        name = models[0] if models else platform.processor()
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()
        widest = next(
            (n for n in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if capabilities.get(n)), ""
        )
        name = f"{name}, {os.cpu_count()} cores, {widest}"
    return f"{name}; PyTorch {torch.__version__}, Python {platform.python_version()}"


def report(device, sizes, precisions, repeats, large_repeats):
    """Measure everything and return the Markdown lines."""
    lines = [f"Machine: {machine(device)}.", ""]
    ceilings = {}
    for precision in dict.fromkeys(["float32", *precisions]):  # the published graph's first
        found = measure("ceiling", device=device, precision=precision)
        ceilings[precision] = found["value"]
        lines.append(f"Large matrix product, {precision}: {found['value'] / 1e9:,.0f} GFLOP/s.")
    if device != "cpu":
        copied = measure("bandwidth", device=device)["value"]
        lines.append(f"Copy bandwidth: {copied / 1e9:,.0f} GB/s.")
    lines += [
        "",
        "| plane | graph | precision | seconds | ratio | kpx/s | of the ceiling | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def row(size, graph, precision, found, reference, macs=None):
        if found is None:
            return f"| {size} | {graph} | {precision} | did not finish | | | | |"
        height, width = {**SIZES, **LARGE}[size]
        rate = height * width / found["value"]
        share = f"{2 * macs * rate / ceilings[precision]:.0%}" if macs else ""
        ratio = f"{reference['value'] / found['value']:.1f}×" if reference else ""
        return (
            f"| {size} | {graph} | {precision} | {found['value']:.2f} | {ratio} | "
            f"{rate / 1e3:.0f} | {share} | {found['memory'] / 1e9:.2f} GB |"
        )

    for size in sizes:
        height, width = {**SIZES, **LARGE}[size]
        common = {"height": height, "width": width, "device": device}
        large = size in LARGE
        count = large_repeats if large or size == "1280×1024" else repeats
        reference = None if large else measure("published", **common, repeats=count)
        if not large:
            lines.append(row(size, "published", "float32", reference, reference, 785_000))
        for precision in precisions:
            found = measure(
                "engine",
                **common,
                repeats=count,
                precision=precision,
                tile_size="auto",
                memory=None,
            )
            lines.append(row(size, "engine", precision, found, reference, LIVE_MACS))
            print(lines[-1], file=sys.stderr, flush=True)
    lines.append("")
    for side in (256, 512):
        found = measure("first_result", side=side)
        lines.append(
            f"First result at {side}×{side}, model loading included: {found['value']:.2f} s "
            f"({found['precision']})."
        )
    for precision in set(precisions) - {"float32"}:
        found = measure("closeness", device=device, precision=precision)
        lines.append(
            f"{precision} against float32 on the sample infrared_visible: {found['value']:.1f} dB, "
            f"99.9 % of the pixels within {found['most']:.2f} gray levels, all within "
            f"{found['largest']:.2f}."
        )
    return lines


@contextmanager
def checked_out(revision):
    """A folder with the files of a git revision, for the time being."""
    git = ("git", "-C", str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        subprocess.run(
            [*git, "worktree", "add", "--quiet", "--detach", str(tree), revision], check=True
        )
        try:
            yield tree
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def compare(revision, device, sizes, precisions, pairs):
    """Measure this tree and another revision in turns, and return the Markdown lines."""
    lines = [
        f"Machine: {machine(device)}.",
        "",
        f"| plane | precision | median of {revision} | of this tree | its speed | at the best | "
        "peak memory before | now |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with checked_out(revision) as tree:
        for size in sizes:
            height, width = {**SIZES, **LARGE}[size]
            for precision in precisions:
                found = {tree: [], ROOT: []}
                for i in range(pairs):
                    for each in (tree, ROOT) if i % 2 else (ROOT, tree):
                        one = measure(
                            "engine",
                            each,
                            height=height,
                            width=width,
                            device=device,
                            repeats=3 if height * width < 1e5 else 2 if height * width < 1e6 else 1,
                            precision=precision,
                            tile_size="auto",
                            memory=None,
                        )
                        if one is None or Path(one["source"]) != each:
                            sys.exit(f"{each} could not be measured: {one}")
                        found[each].append(one)
                lines.append(comparison(size, precision, found[tree], found[ROOT]))
                print(lines[-1], file=sys.stderr, flush=True)
    return lines


def comparison(size, precision, before, now):
    """A line of `compare`; the speed is the median over the pairs."""
    old, new = ([one["value"] for one in each] for each in (before, now))
    speed = median(x / y for x, y in zip(old, new, strict=True))
    memory = (max(one["memory"] for one in each) / 1e9 for each in (before, now))
    return (
        f"| {size} | {precision} | {median(old):.3f} s | {median(new):.3f} s | {speed:.3f}× | "
        f"{min(old) / min(new):.3f}× | " + " | ".join(f"{m:.2f} GB" for m in memory) + " |"
    )


def main():
    """Print the table, or run one case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--sizes", nargs="+", choices=[*SIZES, *LARGE])
    parser.add_argument("--against", metavar="REV", help="compare with a git revision")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of processes, with --against")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large-repeats", type=int, default=1)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--options", type=json.loads, default={})
    arguments = parser.parse_args()
    if arguments.case:
        value, more = CASES[arguments.case](**arguments.options)
        print(json.dumps({"value": value, "memory": peak_memory(), **more}))
        return
    if arguments.against:
        sizes = arguments.sizes or [*SIZES]
        print(
            "\n".join(
                compare(
                    arguments.against,
                    arguments.device,
                    sizes,
                    arguments.precisions,
                    arguments.pairs,
                )
            )
        )
        return
    lines = report(
        arguments.device,
        arguments.sizes or [*SIZES, "4096×4096"],
        arguments.precisions,
        arguments.repeats,
        arguments.large_repeats,
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
