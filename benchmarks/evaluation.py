"""What the engine costs over the bare forward pass, beside RobustBench's and timm's own loops.

    python benchmarks/evaluation.py [--parts free,wrn-40-2,resnet-18,resnet-50,generated,start] [--robustbench CHECKOUT]
                                    [--photos FOLDER] [--rounds 5] [--threads 2]
                                    [--device cpu] [--precision fp32]

CHECKOUT holds RobustBench/robustbench; packages that it imports and that are not installed get stand-ins, since its
loading and accuracy functions need none of them. Without it, its rows are measured with a loop of the same steps
(load the whole file, cut out the severity, transpose, divide by 255, batches in order), named "as RobustBench".
FOLDER holds JPEGs in class folders; without it, JPEGs of about that size are made up (smooth noise, 500 x 375).
Candidates take turns, in an order that rotates; times are medians, and a ratio is the median over rounds of the ratio
within a round. A ratio above 1 means slower than the first line of its group. Rows of --fold count tracing and
folding, which a run does once, however long it is.
"""

from __future__ import annotations

import argparse
import copy
import functools
import importlib
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from PIL import Image
from profiled import keep_profile
from torch import nn
from torchvision import models

from robench.corruptions.severities import BENCHMARK
from robench.cpu import cores, kept_memory
from robench.data.base import Geometry
from robench.data.classes import imagenet_wnids
from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.options import Precision
from robench.evaluation.pixels import load_loops
from robench.evaluation.progress import QuietProgress
from robench.models import architectures
from robench.models.base import Model, Preprocessing
from robench.models.folding import fold_module
from robench.models.presets import PRESETS
from robench.suites import OpenOptions, OpenSuite, open_suite

PER_SEVERITY = 10_000
CIFAR_IMAGES, CIFAR_BATCH = 1024, 64
PHOTOS, PHOTO_BATCH = {"resnet-18": 192, "resnet-50": 48}, 16
# A GPU needs more to show its rate.
GPU_CIFAR_IMAGES, GPU_CIFAR_BATCH, GPU_PHOTOS, GPU_PHOTO_BATCH = 10_000, 1024, 1024, 256
GENERATED, GPU_GENERATED = 8, 512
MADE_UP = 64  # photographs; further ones are copies
PARTS = ("free", "wrn-40-2", "resnet-18", "resnet-50", "generated", "start")
OPTIONS = OpenOptions(conditions=("fog",))
LAST, FIRST = torch.channels_last, torch.contiguous_format
Candidates = dict[str, Callable[[], Any]]

START = """
import time, sys, os, torch
began = time.perf_counter()
from pathlib import Path
from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.models import load_model
from robench.suites import open_suite
from robench.suites.base import OpenOptions
weights, data, out = sys.argv[1:]
def show(module, inputs):
    assert inputs[0].shape == (256, 3, 32, 32)
    print(time.perf_counter() - began, flush=True)
    os._exit(0)
model = load_model(weights, arch="wrn-40-2", num_classes=10)
model.module.register_forward_pre_hook(show)
suite = open_suite("cifar10-c", Path(data), OpenOptions())
evaluate_suite(model, suite, out, EvaluationOptions(device="cpu"))
"""


@dataclass(frozen=True)
class Machine:
    """Where models run, in which number format, on how many images at a time."""

    device: str
    precision: Precision
    profiles: Path | None = None

    @property
    def gpu(self) -> bool:
        """Return whether it is not the CPU."""
        return self.device != "cpu"

    @property
    def cifar(self) -> tuple[int, int]:
        """Return CIFAR-sized images and their batch size."""
        return (GPU_CIFAR_IMAGES, GPU_CIFAR_BATCH) if self.gpu else (CIFAR_IMAGES, CIFAR_BATCH)

    def photos(self, name: str) -> tuple[int, int]:
        """Return photographs and their batch size."""
        return (GPU_PHOTOS, GPU_PHOTO_BATCH) if self.gpu else (PHOTOS[name], PHOTO_BATCH)

    def place(self, network: nn.Module, layout: torch.memory_format = torch.contiguous_format) -> nn.Module:
        """Return a copy of the network that is there."""
        return copy.deepcopy(network).eval().to(self.device, memory_format=layout)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the number format's context."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device, torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def keep_profiles(self, title: str, candidates: Candidates) -> None:
        """Write what the time of robench's own rows, and of the bare pass beside them, goes into."""
        for name, candidate in candidates.items():
            if name.startswith("robench") or name == "bare pass, channels_last":
                keep_profile(self.profiles, f"{title}, {name}", candidate, self.device, calls=1)

    def wait(self) -> None:
        """Wait until it has done what it was given."""
        if self.gpu:
            torch.cuda.synchronize()


class Free(nn.Module):
    """A model that costs nothing: the same logits for every batch of a size."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("logits", torch.randn(512, 10, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits that owe nothing to the images."""
        return self.logits[: len(x)]


class Silent(QuietProgress):
    """Says nothing at all."""

    def say(self, text: str) -> None:
        """Say nothing."""


class Normalised(nn.Module):
    """A network on images in [0, 1], with the normalisation inside, as RobustBench's models have it."""

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(std)[None, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the network's logits."""
        return self.network((x - self.mean) / self.std)


def race(candidates: Candidates, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each candidate in each round, after a warm-up of all."""
    for candidate in candidates.values():
        candidate()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    for _ in range(rounds):
        for name in order:
            began = time.perf_counter()
            candidates[name]()
            seconds[name].append(time.perf_counter() - began)
        order = order[1:] + order[:1]
    return seconds


def print_group(title: str, seconds: dict[str, list[float]], images: dict[str, int]) -> None:
    """Print a group's rows: time an image, spread, ratio to the group's first line."""
    first = next(iter(seconds))
    base = [value / images[first] for value in seconds[first]]
    for name, values in seconds.items():
        each = [1e6 * value / images[name] for value in values]
        ratio = statistics.median(value / 1e6 / reference for value, reference in zip(each, base, strict=True))
        spread = f"{min(each):,.2f} to {max(each):,.2f}"
        print(f"| {title} | {name} | {statistics.median(each):,.2f} | {spread} | {ratio:.3f} |", flush=True)


def bare(
    network: nn.Module,
    x: torch.Tensor,
    batch: int,
    layout: torch.memory_format,
    machine: Machine,
    *,
    keep: bool = False,
) -> Callable[[], None]:
    """Return the forward pass alone, over normalised float images that are in memory in this layout.

    ``keep`` lets it have the memory of the batch before, as robench does and a plain loop does not.
    """
    module = machine.place(network, layout)
    batches = [part.to(machine.device).contiguous(memory_format=layout) for part in x.split(batch)]

    @torch.inference_mode()
    def run() -> None:
        with kept_memory() if keep else nullcontext(), machine.autocast():
            for part in batches:
                module(part)
        machine.wait()

    return run


def engine(
    network: nn.Module,
    suite: OpenSuite,
    batch: int | None,
    preset: str,
    folder: Path,
    machine: Machine,
    *,
    fold: bool = False,
) -> Callable[[], None]:
    """Return an evaluation of all cells into a folder of its own, as ``robench evaluate`` runs it."""
    mean, std = PRESETS[preset]
    classes = suite.suite.num_classes
    model = Model("benchmark", copy.deepcopy(network), classes, Preprocessing(mean=mean, std=std), hash="benchmark")
    options = EvaluationOptions(device=machine.device, precision=machine.precision, batch_size=batch, fold=fold)

    def run() -> None:
        # Into a new folder each time, which goes with the scratch folder: removing it is not part of an evaluation.
        evaluate_suite(model, suite, Path(tempfile.mkdtemp(dir=folder)) / "run", options, progress=Silent())

    return run


def normalised(suite: OpenSuite, preset: str) -> torch.Tensor:
    """Return a suite's first cell as normalised float images."""
    mean, std = (torch.tensor(part)[None, :, None, None] for part in PRESETS[preset])
    batches = suite.batches(suite.suite.cells[0], 64)
    return torch.cat([(batch.images.float() / 255 - mean) / std for batch in batches])


def folded(network: nn.Module) -> nn.Module:
    """Return the network with its BatchNorms folded into the convolutions before them, where there is one."""
    return fold_module(network)[0]


def randomise(network: nn.Module) -> nn.Module:
    """Give BatchNorms statistics that are not the identity, as training would."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    return network.eval()


def write_layout(folder: Path) -> Path:
    """Write a condition of CIFAR-10-C's published layout, five blocks of 10,000 random images; return its folder."""
    place = folder / "CIFAR-10-C"
    place.mkdir()
    rng = np.random.default_rng(0)
    np.save(place / "fog.npy", rng.integers(0, 256, (5 * PER_SEVERITY, 32, 32, 3), np.uint8))
    np.save(place / "labels.npy", np.tile(rng.integers(0, 10, PER_SEVERITY), 5))
    return place


@functools.cache
def import_robustbench(checkout: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return RobustBench's ``load_cifar10c`` and ``clean_accuracy``, with stand-ins for packages that are missing."""
    import timm  # noqa: F401  (before any stand-in, so that it finds only what is really there)

    sys.path.insert(0, str(checkout))
    missing: list[str] = []
    while True:
        try:
            with warnings.catch_warnings(action="ignore"):
                data = importlib.import_module("robustbench.data")
                utils = importlib.import_module("robustbench.utils")
        except ModuleNotFoundError as error:
            if error.name is None or error.name in missing or error.name.startswith("robustbench"):
                raise
            missing.append(error.name)
            sys.modules[error.name] = MagicMock(name=error.name, __path__=[], __spec__=None)
            for name in [name for name in sys.modules if name.startswith("robustbench")]:
                del sys.modules[name]
        else:
            break
    for name in missing:  # others must not take them for the packages
        del sys.modules[name]
    print(f"RobustBench's missing packages: {', '.join(missing) or 'none'}", file=sys.stderr)
    return data.load_cifar10c, utils.clean_accuracy


def loop_of(checkout: Path | None) -> tuple[str, Callable[..., Any], Callable[..., Any]]:
    """Return RobustBench's name, loader and accuracy loop, or a loop written anew that takes the same steps."""
    if checkout is not None:
        return "RobustBench", *import_robustbench(checkout)

    def load(n: int, severity: int, folder: str, shuffle: bool, corruptions: tuple[str, ...]) -> Any:
        place = Path(folder) / "CIFAR-10-C"
        labels = np.load(place / "labels.npy")
        first = (severity - 1) * PER_SEVERITY
        batch_images = np.load(place / f"{corruptions[0]}.npy")[first : first + n]
        channels_first = np.transpose(batch_images, (0, 3, 1, 2)).astype(np.float32) / 255
        return torch.tensor(channels_first), torch.tensor(labels[:n])

    def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor, batch_size: int, device: torch.device) -> float:
        right = 0.0
        with torch.no_grad():
            for batch_images, labels in zip(x.split(batch_size), y.split(batch_size), strict=True):
                right += (model(batch_images.to(device)).max(1)[1] == labels.to(device)).float().sum().item()
        return right / len(x)

    return "as RobustBench", load, accuracy


def free_model(place: Path, scratch: Path, checkout: Path | None, rounds: int, machine: Machine) -> None:
    """Print what everything around the model costs for CIFAR-10-C, from the file to stored predictions."""
    suite = open_suite("cifar10-c", place, OPTIONS)
    candidates: Candidates = {
        "robench (5 cells, predictions stored)": engine(Free(), suite, None, "cifar10", scratch, machine),
        "robench: opening the suite (checksums)": lambda: open_suite("cifar10-c", place, OPTIONS),
    }
    images = dict.fromkeys(candidates, 5 * PER_SEVERITY)
    who, load, accuracy = loop_of(checkout)
    name = f"{who} (1 severity: load_cifar10c, clean_accuracy)"

    load_loops()  # as a run over all of CIFAR-10-C does beside its first passes
    free = machine.place(Free())

    def theirs() -> None:
        batch_images, labels = load(PER_SEVERITY, 3, str(place.parent), False, ("fog",))
        accuracy(free, batch_images, labels, batch_size=256, device=torch.device(machine.device))

    candidates[name], images[name] = theirs, PER_SEVERITY
    print_group("free model, CIFAR-10-C", race(candidates, 3 * rounds), images)


def wide_resnet(place: Path, scratch: Path, checkout: Path | None, rounds: int, machine: Machine) -> None:
    """Print the engine's time over the bare pass of WRN-40-2."""
    torch.manual_seed(0)
    network = randomise(architectures.build("wrn-40-2", 10))
    number, batch = machine.cifar
    # What a run costs beside its images shows in 10,000 that take a GPU a tenth of a second: there, all severities.
    limited = OpenOptions(conditions=("fog",), severities=None if machine.gpu else (3,), limit=number)
    suite = open_suite("cifar10-c", place, limited)
    cells = len(suite.suite.cells)
    x = normalised(suite, "cifar10")
    candidates: Candidates = {
        **bare_passes(network, x, batch, machine),
        "bare pass, channels_last, BatchNorm folded": bare(folded(network), x, batch, LAST, machine),
        "robench": engine(network, suite, batch, "cifar10", scratch, machine),
        "robench --fold": engine(network, suite, batch, "cifar10", scratch, machine, fold=True),
    }
    who, load, accuracy = loop_of(checkout)
    batch_images, labels = load(number, 3, str(place.parent), False, ("fog",))
    whole = machine.place(Normalised(network, *PRESETS["cifar10"]))

    def theirs() -> None:
        with machine.autocast():
            accuracy(whole, batch_images, labels, batch_size=batch, device=torch.device(machine.device))

    candidates[f"{who} (clean_accuracy, loading not counted)"] = theirs
    counts = dict.fromkeys(candidates, number) | dict.fromkeys(("robench", "robench --fold"), cells * number)
    print_group("WRN-40-2, 32 pixels", race(candidates, rounds), counts)
    machine.keep_profiles("WRN-40-2", candidates)


def bare_passes(network: nn.Module, x: torch.Tensor, batch: int, machine: Machine) -> Candidates:
    """Return the forward pass in both memory layouts, and with the memory kept that it frees."""
    found = {"bare pass, channels_last": bare(network, x, batch, LAST, machine)}
    if not machine.gpu:
        found["bare pass, channels_last, freed memory kept"] = bare(network, x, batch, LAST, machine, keep=True)
    return found | {"bare pass, contiguous": bare(network, x, batch, FIRST, machine)}


def write_photos(folder: Path, source: Path | None, count: int) -> Path:
    """Put ``count`` JPEGs of class folders into ``folder``: those of ``source``, or smooth noise of a photo's size."""
    place = folder / f"photos-{count}"
    found = sorted(source.glob("*/*")) if source is not None else []
    for number, path in enumerate(itertools.islice(itertools.cycle(found), count)):
        (place / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place / path.parent.name / f"{number}-{path.name}")
    rng, names = np.random.default_rng(0), imagenet_wnids()
    for number in range(count if source is None else 0):
        path = place / names[number % 8] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number >= MADE_UP:
            shutil.copy(path.parent / f"{number % MADE_UP}.jpg", path)
            continue
        coarse = Image.fromarray(rng.integers(0, 256, (94, 125, 3), np.uint8)).resize(
            (500, 375), Image.Resampling.BICUBIC
        )
        coarse.save(path, quality=92)
    return place


def photos(name: str, source: Path | None, scratch: Path, rounds: int, machine: Machine) -> None:
    """Print decoding and a ResNet together over the bare pass, beside timm's loader and loop."""
    number, batch = machine.photos(name)
    folder = write_photos(scratch, source, number)
    suite = open_suite("clean", folder, OpenOptions(geometry=Geometry(256, 224, "bicubic")))
    torch.manual_seed(0)
    network = randomise(models.get_model(name.replace("-", ""), weights=None, num_classes=suite.suite.num_classes))
    x = normalised(suite, "imagenet")
    candidates: Candidates = {
        **bare_passes(network, x, batch, machine),
        "decoding alone": lambda: list(suite.batches(suite.suite.cells[0], batch)),
        "robench (decoding counted)": engine(network, suite, batch, "imagenet", scratch, machine),
        "robench --fold (decoding counted)": engine(network, suite, batch, "imagenet", scratch, machine, fold=True),
    }
    workers = torch.get_num_threads()
    loops = ((0, FIRST), (workers, FIRST), (workers, LAST))
    for many, layout in () if machine.gpu else loops:  # a few decoding processes cannot feed a GPU
        label = f"timm's loader, {many} workers, {'channels_last' if layout == LAST else 'contiguous'}"
        candidates[label] = timm_loop(network, folder, batch, many, layout, machine)
    kind = "JPEGs" if source is not None else "made-up JPEGs"
    print_group(f"{name}, 224-pixel {kind}", race(candidates, rounds), dict.fromkeys(candidates, len(x)))
    machine.keep_profiles(name, candidates)


def generated(source: Path | None, scratch: Path, rounds: int, machine: Machine) -> None:
    """Print ImageNet-C made on the device and classified by a ResNet-50, over the bare passes of as many images."""
    number = GPU_GENERATED if machine.gpu else GENERATED
    batch = machine.photos("resnet-50")[1]
    folder = write_photos(scratch, source, number)
    suite = open_suite("imagenet-c", folder, OpenOptions(geometry=Geometry(256, 224, "bicubic")))
    torch.manual_seed(0)
    network = randomise(models.resnet50(weights=None, num_classes=suite.suite.num_classes))
    cells = len(suite.suite.cells)
    x = normalised(open_suite("clean", folder, OpenOptions(geometry=Geometry(256, 224, "bicubic"))), "imagenet")
    once = bare(network, x, batch, LAST, machine)
    candidates: Candidates = {
        "bare pass, channels_last": lambda: [once() for _ in range(cells)],
        "robench (decoding and corruptions counted)": engine(network, suite, batch, "imagenet", scratch, machine),
    }
    counts = dict.fromkeys(candidates, cells * number)
    print_group(f"ResNet-50, imagenet-c generated, {cells} cells", race(candidates, rounds), counts)
    machine.keep_profiles("generated", candidates)


def timm_loop(
    network: nn.Module, folder: Path, batch: int, workers: int, layout: torch.memory_format, machine: Machine
) -> Callable[[], None]:
    """Return timm's loader and a loop over it that counts what is right."""
    from timm.data import create_dataset, create_loader

    mean, std = PRESETS["imagenet"]
    module = machine.place(network, layout)
    loader = create_loader(
        create_dataset("", str(folder)), (3, 224, 224), batch, use_prefetcher=False, interpolation="bicubic",
        crop_pct=0.875, num_workers=workers, mean=mean, std=std, pin_memory=machine.gpu,
    )  # fmt: skip

    @torch.inference_mode()
    def run() -> None:
        with machine.autocast():
            for x, target in loader:
                batch_images = x.to(machine.device, non_blocking=True).contiguous(memory_format=layout)
                (module(batch_images).argmax(1) == target.to(machine.device)).sum().item()

    return run


def start_up(place: Path, scratch: Path, rounds: int) -> None:
    """Print the seconds from ``import torch`` being done to the first batch entering the model, in new processes.

    Files of all 15 conditions are there and get their checksums; they are links to one, so the page cache has them. The
    first of the processes makes the checksums and the modules' bytecode, the others find both.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for condition in BENCHMARK:
        if condition != "fog":
            os.link(place / "fog.npy", place / f"{condition}.npy")
    weights = scratch / "wrn.pth"
    torch.save(architectures.build("wrn-40-2", 10).state_dict(), weights)
    seconds = []
    for attempt in range(rounds):
        arguments = [sys.executable, "-c", START, str(weights), str(place), str(scratch / f"start-{attempt}")]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment)
        seconds.append(float(done.stdout))
    first, later = seconds[0], seconds[1:]
    print(f"| start to first batch, in seconds | robench, the first time | {first:.2f} | | |")
    spread = f"{min(later):.2f} to {max(later):.2f}"
    print(f"| | robench, {len(BENCHMARK)} conditions known | {statistics.median(later):.2f} | {spread} | |")


def main() -> None:
    """Measure the parts asked for and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--robustbench", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores(), help="what this process may use, by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"), default="fp32")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="keep PyTorch's profile of robench's rows there")
    given = parser.parse_args()
    machine = Machine(given.device, given.precision, given.profile)
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    torch.set_num_threads(given.threads)
    print("| what | candidate | microseconds an image | smallest to largest | ratio to the group's first |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        place = write_layout(scratch)
        if "free" in parts:
            free_model(place, scratch, given.robustbench, given.rounds, machine)
        if "wrn-40-2" in parts:
            wide_resnet(place, scratch, given.robustbench, given.rounds, machine)
        for name in ("resnet-18", "resnet-50"):
            if name in parts:
                photos(name, given.photos, scratch, given.rounds, machine)
        if "generated" in parts:
            generated(given.photos, scratch, min(given.rounds, 2), machine)
        if "start" in parts:
            start_up(place, scratch, 1 + given.rounds)


if __name__ == "__main__":
    main()
