"""The Fourier map at 32 x 32 with a ResNet-20: ours beside the loop one would write first, and what bfloat16 shifts.

    python benchmarks/fourier.py
    python benchmarks/fourier.py --checkpoint resnet20.th --norm-preset imagenet --data CIFAR-10

Candidates take turns on the same few frequencies, and the median over rounds is extrapolated: the naive loop to all
1,024 frequencies, ours to the 514 that differ, plus what its preparation (folding, compiling without a cache) took.
The time does not depend on the weights. The shift under bfloat16 does: it is that of the checkpoint on the data, or,
without a checkpoint, of a reference model on the embedded digits.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.flop_counter import FlopCounterMode

from robench.evaluation.fourier import Classifier, FourierOptions, error_under, perturbation_of
from robench.evaluation.fourier_basis import Frequency, basis_vector, frequencies
from robench.models import load_model, preset
from robench.models.architectures import build
from robench.models.base import Model, Preprocessing
from robench.suites import OpenOptions, open_suite

SIZE = (32, 32)
DISTINCT = sum(1 for _ in frequencies(SIZE))
NAIVE_BATCHES = (250, 50)
OURS = {
    "float32": FourierOptions(),
    "float32, compiled": FourierOptions(compile=True),
    "bfloat16": FourierOptions(bf16=True),
    "bfloat16, compiled": FourierOptions(bf16=True, compile=True),
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


def time_candidates(model: Model, data: Labelled, count: int, rounds: int) -> dict[str, Timing]:
    """Return the times of every candidate; preparation is the first call less a later one."""
    candidates: dict[str, Callable[[Frequency], float]] = {}
    timings: dict[str, Timing] = {}
    first = spread(1)[0]
    for batch in NAIVE_BATCHES:
        name = f"naive loop, batches of {batch}"
        candidates[name] = lambda f, batch=batch: naive(model, data, f, batch)  # type: ignore[misc]
        candidates[name](first)
        timings[name] = Timing([], 0.0, SIZE[0] * SIZE[1])
    for name, options in OURS.items():
        began = time.perf_counter()
        classify = Classifier(model, options)
        candidates[name] = lambda f, c=classify, o=options: ours(c, data, f, o)  # type: ignore[misc]
        candidates[name](first)
        timings[name] = Timing([], time.perf_counter() - began, DISTINCT)
    names = list(candidates)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            began = time.perf_counter()
            for frequency in spread(count):
                candidates[name](frequency)
            timings[name].rounds.append((time.perf_counter() - began) / count)
    for name in OURS:
        timings[name].preparation = max(0.0, timings[name].preparation - statistics.median(timings[name].rounds))
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
    reference = timings[f"naive loop, batches of {NAIVE_BATCHES[0]}"].whole_map
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
    """Return what a figure depends on beside the code."""
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
    parser.add_argument("--frequencies", type=int, default=1, help="that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=Path, help="of a ResNet-20 for CIFAR-10")
    parser.add_argument("--norm-preset", default="imagenet", help="what the checkpoint was trained with")
    parser.add_argument("--data", type=Path, help="CIFAR-10")
    parser.add_argument("--shift-frequencies", type=int, default=32)
    return parser.parse_args()


def main() -> None:
    """Measure and print Markdown."""
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = Model("resnet-20", build("resnet-20", 10).eval(), 10, Preprocessing(*preset("cifar10")), "random")
    drawn = torch.randint(0, 256, (given.images, 3, *SIZE), dtype=torch.uint8), torch.randint(0, 10, (given.images,))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        timed = time_candidates(model, drawn, given.frequencies, given.rounds)
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
        errors(trained, data, FourierOptions(norm=norm, bf16=bf16), given.shift_frequencies) for bf16 in (False, True)
    )
    print("\n".join(shift_lines(title, exact, short, len(data[0]))))


if __name__ == "__main__":
    main()
