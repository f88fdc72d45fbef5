"""How fast the corruptions are, beside the published generators and a forward pass on the same device.

    python benchmarks/corruptions.py [--original CHECKOUT --frost FOLDER] [--photos FOLDER] [--device cpu] [--threads 2]
        [--busy 2]

CHECKOUT holds hendrycks/robustness (needs Wand and ImageMagick); without it only our own columns are printed. Photos
are JPEGs at any depth; without them images are made from the embedded digits (32) and frost textures (224). Every
number is over all five severities. Ours has whole batches and --threads threads, theirs one image at a time as it
was written; the two take turns, and each column is the median over rounds. --busy runs so many processes beside it
that do nothing but compute, as on a shared machine. On a GPU (--device cuda) the last line
says how the 75 cells of ImageNet-C, made on the device, compare with a ResNet-50's forward passes in bfloat16.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import original
import torch
from profiled import keep_profile

from robench.corruptions import ALL, BENCHMARK, _gpu, corrupt
from robench.corruptions.frost_textures import texture
from robench.corruptions.jpeg import roundtrip
from robench.corruptions.severities import SEVERITIES
from robench.cpu import cores
from robench.data import digits

BATCH = {32: 512, 224: 32}
GPU_BATCH = 256
ORIGINAL_SECONDS, MOST_IMAGES = 0.1, 64  # of a corruption, severity and round
BLOCK = 1e-3  # seconds: shorter work is repeated until it fills this
ROUNDTRIP = "JPEG round trip of imagenet-c"
Bytes = original.Bytes


class Row(NamedTuple):
    """A corruption's milliseconds per image, mean over severities; None: not measured."""

    name: str
    ours: float
    theirs: float | None


def test_images(size: int, count: int, photos: Path | None) -> Bytes:
    """Return uint8 (count, size, size, 3)."""
    from PIL import Image

    if photos is not None:
        found = original.photos(photos, min(count, 32))
        if size != 224:
            small = [Image.fromarray(p).resize((size, size), Image.Resampling.BICUBIC) for p in found]
            found = np.stack([np.asarray(p) for p in small])
    elif size == 32:
        found = digits.load("test").array[:count]
    else:
        found = np.stack([np.roll(texture(i % 5), 40 * i, axis=1)[:size, :size] for i in range(min(count, 32))])
    return np.ascontiguousarray(np.resize(found, (count, *found.shape[1:])))


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Return how long one call takes, of as many as fill :data:`BLOCK`."""
    calls, spent = 0, 0.0
    began = time.perf_counter()
    while spent < BLOCK:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        calls += 1
        spent = time.perf_counter() - began
    return spent / calls


def their_seconds(function: original.Corruption, images: Bytes, severity: int) -> float:
    """Return the original's time per image, over as many as fit into :data:`ORIGINAL_SECONDS`, two at least."""
    began = time.perf_counter()
    for done, image in enumerate(images[:MOST_IMAGES], 1):
        function(image, severity)
        spent = time.perf_counter() - began
        if done >= 2 and spent > ORIGINAL_SECONDS:
            break
    return spent / done


def names(size: int) -> tuple[str, ...]:
    """Return what is timed at a size: every corruption, and what imagenet-c adds to each of its images."""
    return (*ALL, *([ROUNDTRIP] if size == 224 else []))


def our_work(args: argparse.Namespace, images: Bytes) -> Callable[[str, int], Callable[[], torch.Tensor]]:
    """Return what makes the call of a corruption and severity over all images, which are on the device already."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(args.device)
    index = torch.arange(len(images))

    def ours(name: str, severity: int) -> Callable[[], torch.Tensor]:
        if name == ROUNDTRIP:
            return lambda: roundtrip(tensor, 85)
        return lambda: corrupt(tensor, name, severity, index=index, frost=str(args.frost) if args.frost else None)

    return ours


def keep_profiles(args: argparse.Namespace, size: int, batch: int) -> None:
    """Write what the time of every corruption at severity 3 goes into."""
    ours = our_work(args, test_images(size, batch, args.photos))
    for name in names(size):
        keep_profile(args.profile, f"{name}, {size} pixels", ours(name, 3), args.device)


def measure(args: argparse.Namespace, size: int, batch: int) -> list[Row]:
    """Time every corruption at one size, ours and theirs in turns."""
    device = torch.device(args.device)
    images = test_images(size, batch, args.photos)
    ours = our_work(args, images)
    theirs = original.load(args.original, size, args.frost) if args.original else {}

    rows, prepared = [], 0.0
    for name in names(size):
        severities = (3,) if name == ROUNDTRIP else SEVERITIES
        began = time.perf_counter()
        for severity in severities:
            ours(name, severity)()  # compiles kernels, builds tables
        prepared += time.perf_counter() - began
        spent: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(args.rounds):
            spent["ours"].append(statistics.fmean(seconds(ours(name, s), device) for s in severities) / batch)
            if name in theirs:
                times = [their_seconds(theirs[name], images, s) for s in severities]
                spent["theirs"].append(statistics.fmean(times))
        theirs_ms = 1e3 * statistics.median(spent["theirs"]) if spent["theirs"] else None
        rows.append(Row(name, 1e3 * statistics.median(spent["ours"]), theirs_ms))
    print(f"The first calls at {size} pixels, which compile and build tables, took {prepared:.1f} s.", flush=True)
    return rows


def forward(args: argparse.Namespace, size: int, batch: int) -> tuple[str, float]:
    """Return a model's name and the milliseconds of its forward pass for an image."""
    from torchvision import models

    from robench.models import architectures

    device = torch.device(args.device)
    if size == 32:
        name, model = "WRN-40-2", architectures.build("wrn-40-2", 10)
    elif device.type == "cuda":
        name, model = "ResNet-50, bfloat16", models.resnet50()
    else:
        name, model = "ResNet-18", models.resnet18()
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = model.eval().to(device, dtype).to(memory_format=torch.channels_last)
    x = torch.zeros(batch, 3, size, size, device=device, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        model(x)
        times = [seconds(lambda: model(x), device) for _ in range(max(3, args.rounds))]
    return name, 1e3 * statistics.median(times) / batch


def rate(ms: float | None) -> str:
    """Return images a second of milliseconds per image."""
    return "" if ms is None else f"{1e3 / ms:,.0f}" if ms < 100 else f"{1e3 / ms:.2f}"


def ratio(ours: float, theirs: float | None) -> str:
    """Return how many times faster ours is."""
    return "" if theirs is None else f"{theirs / ours:,.1f}" if theirs < 100 * ours else f"{theirs / ours:,.0f}"


def table(size: int, rows: Sequence[Row], model: tuple[str, float]) -> str:
    """Return the Markdown of one size."""
    lines = [
        f"### {size} x {size}",
        "",
        "| corruption | images/s | original, images/s | times faster |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {row.name} | {rate(row.ours)} | {rate(row.theirs)} | {ratio(row.ours, row.theirs)} |" for row in rows),
    ]
    summed = [row for row in rows if row.name in BENCHMARK]
    ours = sum(row.ours for row in summed)
    known = [row.theirs for row in summed if row.theirs is not None]
    theirs = sum(known) if len(known) == len(summed) else None
    shown = "" if theirs is None else f"{theirs:,.1f} ms"
    lines.append(f"| **the 15 summed, ms per image** | {ours:,.2f} ms | {shown} | {ratio(ours, theirs)} |")
    name, ms = model
    mean = ours / len(summed)
    told = (
        f"Forward pass of {name}: {rate(ms)} images/s, {ms:.3f} ms per image. "
        f"A corruption takes {mean:.3f} ms on average, {mean / ms:.2f} of a forward pass"
    )
    trip = [row.ours for row in rows if row.name == ROUNDTRIP]
    told += f"; {(mean + trip[0]) / ms:.2f} with imagenet-c's JPEG round trip." if trip else "."
    lines += ["", told]
    if known:
        slower = [row.name for row in rows if row.theirs is not None and row.theirs < row.ours]
        lines.append(f"Slower than the original: {', '.join(slower) or 'none'}.")
    return "\n".join(lines)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep so many other processes computing while the block runs."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("original", "frost", "photos"):
        parser.add_argument(f"--{option}", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=cores(), help="what this process may use, by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside the measured one")
    parser.add_argument("--sizes", type=int, nargs="+", choices=(32, 224), default=(32, 224))
    parser.add_argument("--plain", action="store_true", help="time a GPU's tensor operations, without kernels")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="keep PyTorch's profiles there")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.plain:
        _gpu.WHERE.clear()
    with busy(args.busy):
        batches = {size: BATCH[size] if args.device == "cpu" else GPU_BATCH for size in args.sizes}
        for size, batch in batches.items():
            print(table(size, measure(args, size, batch), forward(args, size, batch)), end="\n\n", flush=True)
    beside = f", beside {args.busy} busy processes" if args.busy else ""
    print(f"Threads: {args.threads}; original: one{beside}. {original.machine()}.", flush=True)
    if args.profile is not None:  # last: the profiler slows what comes after it
        for size, batch in batches.items():
            keep_profiles(args, size, batch)


if __name__ == "__main__":
    main()
