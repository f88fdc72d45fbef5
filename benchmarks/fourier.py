"""The Fourier map at 32 x 32 with a ResNet-20: ours beside the loop one would write first, and what bfloat16 shifts.

    python benchmarks/fourier.py
    python benchmarks/fourier.py --checkpoint resnet20.th --norm-preset imagenet --data CIFAR-10

Candidates, each in a process of its own, take turns on the same few frequencies, and the median over rounds is
extrapolated: the naive loop to all 1,024 frequencies, ours to the 514 that differ, plus what its preparation (folding,
compiling) took. What was compiled before finds the program, as the second map of a network on a machine does. Ours
keeps freed memory as `robench fourier` does; the naive loop stands there both ways, for what that alone gains.
The time does not depend on the weights. The shift under bfloat16 does: it is that of the checkpoint on the data, or,
without a checkpoint, of a reference model on the embedded digits.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.flop_counter import FlopCounterMode

from robench.cpu import cores, kept_memory
from robench.evaluation.fourier import Classifier, FourierOptions, error_under, perturbation_of
from robench.evaluation.fourier_basis import Frequency, basis_vector, frequencies
from robench.models import load_model, preset
from robench.models.architectures import build
from robench.models.base import Model, Preprocessing
from robench.suites import OpenOptions, open_suite

SIZE = (32, 32)
DISTINCT = sum(1 for _ in frequencies(SIZE))
NAIVE = {
    "naive loop, batches of 250": (250, False),
    "naive loop, batches of 250, memory kept": (250, True),
    "naive loop, batches of 50": (50, False),
    "naive loop, batches of 50, memory kept": (50, True),
}
OURS = {
    "float32": FourierOptions(),
    "float32, compiled": FourierOptions(compile=True),
    "float32, compiled before": FourierOptions(compile=True),
    "bfloat16": FourierOptions(precision="bf16"),
    "bfloat16, compiled": FourierOptions(precision="bf16", compile=True),
    "bfloat16, compiled before": FourierOptions(precision="bf16", compile=True),
}
Labelled = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Timing:
    """Seconds of one frequency in every round, of the preparation, and how many frequencies a whole map runs."""

    rounds: list[float]
    preparation: float
    frequencies: int

    @property
    def whole_map(self) -> float:
        """Seconds of a whole map, extrapolated."""
        return self.preparation + self.frequencies * statistics.median(self.rounds)


def spread(count: int) -> list[Frequency]:
    """Return frequencies spread evenly over those that a map runs."""
    every = list(frequencies(SIZE))
    return [every[round(k)] for k in np.linspace(0, len(every) - 1, count + 2)[1:-1]]


def naive(model: Model, data: Labelled, frequency: Frequency, batch: int) -> float:
    """Return the error at a frequency as a plain loop computes it: perturb, normalise, run."""
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (model.preprocessing.mean, model.preprocessing.std))
    wave = torch.from_numpy(4.0 * basis_vector(frequency, SIZE)).float()
    wrong = 0
    with torch.no_grad():
        for x, y in zip(data[0].split(batch), data[1].split(batch), strict=True):
            signs = torch.randint(0, 2, (len(x), 3, 1, 1)) * 2 - 1
            perturbed = (x.float() / 255 + signs * wave).clamp(0, 1)
            wrong += int((model.module((perturbed - mean) / std).argmax(1) != y).sum())
    return wrong / len(data[0])


def ours(classify: Classifier, data: Labelled, frequency: Frequency, options: FourierOptions) -> float:
    """Return the error at a frequency by the package's own functions."""
    return error_under(classify, *data, options, perturbation_of(frequency, SIZE, options, len(data[0])))


def serve(name: str, images: int, threads: int, pipe: Connection) -> None:
    """Prepare a candidate, send what that took, then time as many frequencies as asked for until asked for none."""
    torch.set_num_threads(threads)
    model, data = drawn(images)
    with kept_memory() if name not in NAIVE or NAIVE[name][1] else contextlib.nullcontext():
        began = time.perf_counter()
        measure = candidate(name, model, data)
        measure(spread(1)[0])
        pipe.send(time.perf_counter() - began)
        while count := pipe.recv():
            began = time.perf_counter()
            for frequency in spread(count):
                measure(frequency)
            pipe.send((time.perf_counter() - began) / count)


def candidate(name: str, model: Model, data: Labelled) -> Callable[[Frequency], float]:
    """Return the function that measures the error at a frequency in a candidate's way."""
    if name in NAIVE:
        return lambda frequency: naive(model, data, frequency, NAIVE[name][0])
    options = OURS[name]
    classify = Classifier(model, options)
    return lambda frequency: ours(classify, data, frequency, options)


def drawn(images: int) -> tuple[Model, Labelled]:
    """Return a ResNet-20 with random weights and random images."""
    torch.manual_seed(0)
    model = Model("resnet-20", build("resnet-20", 10).eval(), 10, Preprocessing(*preset("cifar10")), "random")
    x = torch.randint(0, 256, (images, 3, *SIZE), dtype=torch.uint8)
    return model, (x, torch.randint(0, 10, (images,)))


def time_candidates(given: argparse.Namespace) -> dict[str, Timing]:
    """Return the times of every candidate; preparation is the first call less a later one.

    Each lives in a process of its own, so that none finds memory that another has freed or a setting of its; they take
    turns.
    """
    start = multiprocessing.get_context("spawn")
    names = [*NAIVE, *OURS]
    pipes: dict[str, Connection] = {}
    timings: dict[str, Timing] = {}
    for name in names:
        pipes[name], theirs = start.Pipe()
        start.Process(target=serve, args=(name, given.images, given.threads, theirs), daemon=True).start()
        timings[name] = Timing([], pipes[name].recv(), DISTINCT if name in OURS else SIZE[0] * SIZE[1])
    for turn in range(given.rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            pipes[name].send(given.frequencies)
            timings[name].rounds.append(pipes[name].recv())
    for name, timing in timings.items():
        pipes[name].send(0)
        once = timing.preparation - statistics.median(timing.rounds)
        timing.preparation = max(0.0, once) if name in OURS else 0.0
    return timings


def least_seconds(model: Model, images: int, dtype: torch.dtype) -> float:
    """Return how long the network's products take at the rate of its fastest convolution (64 channels, 8 x 8)."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.module(torch.zeros(1, 3, *SIZE))
    x, w = (
        torch.randn(*shape).to(dtype, memory_format=torch.channels_last) for shape in ((50, 64, 8, 8), (64, 64, 3, 3))
    )
    best = float("inf")
    with torch.inference_mode():
        for _ in range(200):
            began = time.perf_counter()
            torch.nn.functional.conv2d(x, w, padding=1)
            best = min(best, time.perf_counter() - began)
    rate = 2 * 50 * 64 * 64 * 9 * 64 / best
    return images * counter.get_total_flops() / rate


def errors(model: Model, data: Labelled, options: FourierOptions, count: int) -> npt.NDArray[np.float64]:
    """Return the errors at frequencies spread over the map, the clean one first."""
    classify = Classifier(model, options)
    clean = error_under(classify, *data, options, None)
    return np.array([clean, *(ours(classify, data, f, options) for f in spread(count))])


def open_data(path: Path | None, images: int) -> Labelled:
    """Return the first images and labels of a test set, or of the embedded digits."""
    opened = open_suite("clean", path, OpenOptions(limit=images))
    batches = list(opened.batches(opened.suite.cells[0], 500))
    return torch.cat([b.images for b in batches]), torch.as_tensor(np.concatenate([b.target for b in batches]))


def speed_table(timings: dict[str, Timing], least: dict[str, float]) -> list[str]:
    """Return the lines of the table of times."""
    lines = [
        "| candidate | ms per frequency | preparation, s | frequencies | whole map, s | gain | limit of the gain |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    reference = timings[next(iter(NAIVE))].whole_map
    for name, timing in timings.items():
        dtype = name.split(",")[0]
        limit = f"{reference / (DISTINCT * least[dtype]):.1f}" if dtype in least else ""
        lines.append(
            f"| {name} | {1e3 * statistics.median(timing.rounds):.0f} | {timing.preparation:.1f} |"
            f" {timing.frequencies:,} | {timing.whole_map:.0f} | {reference / timing.whole_map:.2f} | {limit} |"
        )
    return lines


def shift_lines(title: str, exact: npt.NDArray[np.float64], short: npt.NDArray[np.float64], images: int) -> list[str]:
    """Return the lines of the table of what bfloat16 does to errors, in points."""
    shift = 100 * np.abs(exact - short)[1:]
    sampling = 100 * float(np.sqrt(exact[1:] * (1 - exact[1:]) / images).mean())
    return [
        f"| {title} | clean error, % | errors of {len(shift)} cells, % | mean shift | largest shift | sampling error |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| float32 | {100 * exact[0]:.1f} | {100 * exact[1:].min():.1f} to {100 * exact[1:].max():.1f} | | |"
        f" {sampling:.1f} |",
        f"| bfloat16 | {100 * short[0]:.1f} | {100 * short[1:].min():.1f} to {100 * short[1:].max():.1f} |"
        f" {shift.mean():.2f} | {shift.max():.2f} | |",
    ]


def machine() -> str:
    """Return what a value depends on besides the code."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")]
    short = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in info] or ["none"]
    return (
        f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__},"
        f" bfloat16 instructions: {', '.join(short)}"
    )


def shift_setting(given: argparse.Namespace) -> tuple[str, Model, float]:
    """Return whose shift is measured: its title, the model and the norm."""
    if given.checkpoint is None:
        return "reference:digits/augmix, embedded digits, norm 2", load_model("reference:digits/augmix"), 2.0
    mean, std = preset(given.norm_preset)
    model = load_model(str(given.checkpoint), arch="resnet-20", num_classes=10, mean=mean, std=std)
    return f"{given.checkpoint.name}, {given.data.name if given.data else 'digits'}, norm 4", model, 4.0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--frequencies", type=int, default=3, help="that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores(), help="what this process may use, by default")
    parser.add_argument("--checkpoint", type=Path, help="of a ResNet-20 for CIFAR-10")
    parser.add_argument("--norm-preset", default="imagenet", help="what the checkpoint was trained with")
    parser.add_argument("--data", type=Path, help="CIFAR-10")
    parser.add_argument("--shift-frequencies", type=int, default=32)
    return parser.parse_args()


def main() -> None:
    """Measure and print Markdown."""
    given = arguments()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        timed = time_candidates(given)
    model, _ = drawn(1)
    least = {
        name: least_seconds(model, given.images, dtype)
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    print(f"ResNet-20, {given.images:,} images of 32 x 32, {machine()}.")
    print(f"Whole maps are extrapolated from {given.frequencies} of them, the median of {given.rounds} rounds.\n")
    print("\n".join(speed_table(timed, least)))
    print(
        "\nThe limit is the gain if every convolution ran at the rate of the network's fastest, with nothing between.\n"
    )
    title, trained, norm = shift_setting(given)
    data = open_data(given.data, given.images)
    exact, short = (
        errors(trained, data, FourierOptions(norm=norm, precision=precision), given.shift_frequencies)
        for precision in ("fp32", "bf16")
    )
    print("\n".join(shift_lines(title, exact, short, len(data[0]))))


if __name__ == "__main__":
    main()
