"""How fast the augmentation and the training loop are, beside Pillow one image at a time and the bare network.

    python benchmarks/training.py [--original DIR] [--device cuda] [--arch wrn-10-1] [--batch-size 128]

``--original`` is a checkout of google-research/augmix, whose operations then run in place of a list of Pillow calls
(the same nine, with the same levels). Prints two tables for benchmarks/README.md in about a minute: images per second,
the median of many calls, on a quiet machine, random numbers included. The published loop (cut, mix, normalise
one image at a time) is restated here, so that it can run without its data set.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from profiled import keep_profile

from robench.processes import World
from robench.training.engine.batch import Batch
from robench.training.engine.loop import Trainer
from robench.training.methods.augmix import AugMix
from robench.training.ops import augment
from robench.training.ops.chains import ChainDistribution, augmix
from robench.training.recipes.schema import DataPart

SEVERITY, WIDTH = 3, 3
PART = DataPart(dataset="benchmark", size=32, flip=True, pad=4)
Operation = Callable[[Image.Image, float], Image.Image]
METHODS = (
    ("standard-digits", "Standard", 1, 0),
    ("augmix-digits", "AugMix, three views", 3, 0),
    ("augmax-digits", "AugMax, three views and five steps of the attack", 3, 5),
)
"""Recipe, title, views and attack steps of the table of training."""


def rate(work: Callable[[], Any], images: int, device: str = "cpu", seconds: float = 1.5) -> float:
    """Return images per second: the median over single calls of ``work`` for some seconds, after a warm-up."""

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    for _ in range(2):
        work()
    wait()
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took) < 3:
        begun = time.perf_counter()
        work()
        wait()
        took.append(time.perf_counter() - begun)
    return images / statistics.median(took)


def pillow_operations() -> list[Operation]:
    """Return AugMix's nine operations as Pillow calls, each drawing its own level and sign."""

    def level() -> float:
        return float(np.random.uniform(0.1, SEVERITY))

    def sign() -> float:
        return 1.0 if np.random.uniform() > 0.5 else -1.0

    def warp(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
        return image.transform((32, 32), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)

    return [
        lambda p, s: ImageOps.autocontrast(p),
        lambda p, s: ImageOps.equalize(p),
        lambda p, s: ImageOps.posterize(p, 4 - int(0.4 * level())),
        lambda p, s: p.rotate(sign() * int(3 * level()), resample=Image.Resampling.BILINEAR),
        lambda p, s: ImageOps.solarize(p, 256 - int(25.6 * level())),
        lambda p, s: warp(p, (1, sign() * 0.03 * level(), 0, 0, 1, 0)),
        lambda p, s: warp(p, (1, 0, 0, sign() * 0.03 * level(), 1, 0)),
        lambda p, s: warp(p, (1, 0, sign() * int(level() * 32 / 30), 0, 1, 0)),
        lambda p, s: warp(p, (1, 0, 0, 0, 1, sign() * int(level() * 32 / 30))),
    ]


def original_operations(checkout: Path) -> list[Operation]:
    """Return the operations of a checkout of google-research/augmix."""
    spec = importlib.util.spec_from_file_location("augmentations", checkout / "augmentations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.augmentations)


class PerImage(torch.utils.data.Dataset):
    """AugMix as the published training script does it: one image at a time, chains normalised, then mixed."""

    def __init__(self, images: np.ndarray, operations: list[Operation], mixed: bool) -> None:
        self._images = [Image.fromarray(one) for one in images]
        self._operations, self._mixed = operations, mixed

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> torch.Tensor:
        image = self._images[number]
        clean = self._tensor(image)
        weights = np.random.dirichlet([1.0] * WIDTH).tolist()
        chains = [self._tensor(self._chain(image)) for _ in range(WIDTH)]
        if not self._mixed:
            return torch.stack([clean, *chains])
        m = float(np.random.beta(1.0, 1.0))
        mixture = sum(w * chain for w, chain in zip(weights, chains, strict=True))
        return (1 - m) * clean + m * mixture

    def _chain(self, image: Image.Image) -> Image.Image:
        for _ in range(np.random.randint(1, 4)):
            image = self._operations[np.random.randint(len(self._operations))](image, SEVERITY)
        return image

    @staticmethod
    def _tensor(image: Image.Image) -> torch.Tensor:
        pixels = torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())
        return (pixels.float() / 255 - 0.5) / 0.5


def per_image_rates(
    images: np.ndarray, operations: list[Operation], mixed: bool, seconds: float
) -> tuple[float, float]:
    """Return images per second in this process, and through a loader with two workers."""
    data = PerImage(images, operations, mixed)
    torch.set_num_threads(1)
    alone = rate(lambda: [data[i] for i in range(64)], 64, seconds=seconds)
    loader = torch.utils.data.DataLoader(data, batch_size=128, num_workers=2, persistent_workers=True)
    return alone, rate(lambda: [None for _ in loader], len(data), seconds=3 * seconds)


def make_batch(images: np.ndarray, device: str) -> Batch:
    """Return the images as one batch on the device."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    index = torch.arange(len(pixels), device=device)
    return Batch(pixels, index % 10, index, PART, seed=0, epoch=0)


def batched(batch: Batch, mixed: bool) -> Callable[[], torch.Tensor]:
    """Return robench's augmentation of the batch, random numbers included."""
    chains = ChainDistribution(WIDTH, -1, SEVERITY)

    def run() -> torch.Tensor:
        stream = batch.stream("benchmark")
        if mixed:
            return augmix(batch.images, stream, chains)
        return augment.chains(batch.images, *chains.draw(stream, 32))

    return run


def augmentation(images: np.ndarray, operations: list[Operation], device: str, seconds: float) -> None:
    """Print the rates of AugMix (mixed) and of AugMax's un-mixed chains."""
    print("| augmentation at 32 pixels | images/s | of one core, one image at a time | of its two-worker loader |")
    print("| --- | ---: | ---: | ---: |")
    for mixed, title in ((True, "AugMix"), (False, "AugMax's chains, unmixed")):
        alone, loader = per_image_rates(images, operations, mixed, seconds)
        print(f"| {title}, one image at a time, one core | {alone:,.0f} | 1.0 | {alone / loader:.2f} |")
        print(f"| {title}, one image at a time, loader with two workers | {loader:,.0f} | {loader / alone:.1f} | 1.0 |")

        def row(where: str, found: float, title: str = title, alone: float = alone, loader: float = loader) -> None:
            print(
                f"| {title}, robench, {where} | {found:,.0f} | {found / alone:.1f} | {found / loader:.1f} |", flush=True
            )

        for threads in (1, 2):
            torch.set_num_threads(threads)
            for size in (128, 512):
                found = rate(batched(make_batch(images[:size], "cpu"), mixed), size, seconds=seconds)
                row(f"{threads} thread{'s' * (threads > 1)}, batches of {size}", found)
        if device != "cpu":
            for size in (512, 4096, 32768):
                many = np.concatenate([images] * (size // 512))
                found = rate(batched(make_batch(many, device), mixed), size, device, seconds)
                row(f"{torch.cuda.get_device_name()}, batches of {size}", found)


def training(images: np.ndarray, options: argparse.Namespace) -> None:
    """Print the loop's rate beside that of the bare forward and backward pass of as many images."""
    from robench.training import recipes

    torch.set_num_threads(2)
    arch, device, size = options.arch, options.device, options.batch_size
    settings = [f"architecture={arch}", "epochs=1", f"batch_size={size}", "data.validation_split=null"]
    settings += ["precision=bf16"] if device != "cpu" else []
    print(f"\n| training {arch}, batches of {size} | images/s | bare passes, images/s | ratio |")
    print("| --- | ---: | ---: | ---: |")
    profiled: list[tuple[str, Callable[[], Any]]] = []
    alone_ms: list[str] = []
    for name, title, views, steps in METHODS:
        more = ["options.early_stop=none"] if steps else []
        recipe = recipes.load(name, [*settings, *more])
        trainer = Trainer(recipe, None, Path(tempfile.mkdtemp()), torch.device(device), World(), True)
        batch = make_batch(np.resize(images, (size, *images.shape[1:])), device)
        whole = functools.partial(trainer._step, batch, 1)
        bare = bare_passes(trainer, batch, views, steps)
        loop, alone = paired_rates(whole, bare, size, device, options.rounds, options.seconds)
        print(f"| {title} | {loop:,.0f} | {alone:,.0f} | {loop / alone:.2f} |", flush=True)
        profiled.append((f"training, {name}", whole))
        if isinstance(trainer.method, AugMix):
            views_alone = functools.partial(make_views, trainer.method, batch)
            took = 1e3 * size / rate(views_alone, size, device, options.seconds)
            alone_ms.append(f"{title}: its augmented images alone take {took:.2f} ms a step.")
            profiled.append((f"views of {name}", views_alone))
    print("\n" + "\n".join(alone_ms), flush=True)
    for name, whole in profiled:  # last: the profiler slows what comes after it
        keep_profile(options.profile, name, whole, device)


def make_views(method: AugMix, batch: Batch) -> list[torch.Tensor]:
    """Return the augmented views of a step."""
    clean = batch.view()
    return [method.mixed(batch, clean, view) for view in range(method.views - 1)]


def bare_passes(trainer: Trainer, batch: Batch, views: int, steps: int) -> Callable[[], None]:
    """Return the network's passes of a step alone: over all views to the weights, and the attack's to the images."""
    one = trainer.net.normalise(batch.images)
    inputs, labels = trainer.net.normalise(torch.cat([batch.images] * views)), batch.labels.repeat(views)

    def run() -> None:
        with trainer.net.frozen():
            for _ in range(steps):
                attacked = one.detach().requires_grad_(True)
                loss = torch.nn.functional.cross_entropy(trainer.net.raw(attacked), batch.labels)
                torch.autograd.grad(loss, attacked)
        trainer.optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(trainer.net.raw(inputs), labels).backward()

    return run


def paired_rates(
    first: Callable[[], Any], second: Callable[[], Any], images: int, device: str, rounds: int, seconds: float
) -> tuple[float, float]:
    """Return the median rates of two pieces of work that take turns, so that both see the same machine."""
    rates = [[rate(work, images, device, seconds) for work in (first, second)] for _ in range(rounds)]
    ours, theirs = zip(*rates, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--arch", default="wrn-10-1")
    parser.add_argument("--batch-size", type=int, default=128, help="of the training table")
    parser.add_argument("--rounds", type=int, default=5, help="of the training table")
    parser.add_argument("--seconds", type=float, default=1.5, help="per measurement")
    parser.add_argument("--loop-only", action="store_true", help="the training table alone")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="keep PyTorch's profiles there")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (512, 3, 8, 8)).astype(np.float32)
    large = torch.nn.functional.interpolate(torch.from_numpy(small), (32, 32), mode="bicubic")
    images = np.ascontiguousarray(large.clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
    operations = pillow_operations() if options.original is None else original_operations(options.original)
    whose = "google-research/augmix" if options.original else "Pillow's calls as google-research/augmix makes them"
    print(f"One image at a time: {whose}. Python {sys.version.split()[0]}, PyTorch {torch.__version__}.\n")
    if not options.loop_only:
        augmentation(images, operations, options.device, options.seconds)
    training(images, options)


if __name__ == "__main__":
    main()
