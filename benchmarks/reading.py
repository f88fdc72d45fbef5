"""How fast images are read: JPEGs beside torchvision on Pillow and timm's loader, arrays beside nothing.

    python benchmarks/reading.py --photos FOLDER [--threads 2]

FOLDER holds full-size JPEGs in class folders (a part of ImageNet's validation set). Candidates take turns, and the
best of several rounds counts, so that a slow moment of the machine hits both. Without FOLDER only the arrays are
measured.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robench.cpu import cores
from robench.data.base import Geometry
from robench.data.decode import decode
from robench.data.folders import load_folders
from robench.evaluation.pixels import Normaliser, load_loops
from robench.suites import Cell, get
from robench.suites.opened import Found, OpenSuite
from robench.suites.reading import view_of

ROUNDS = 5
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def race(candidates: dict[str, Callable[[], None]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the best seconds of each candidate, which take turns."""
    best = dict.fromkeys(candidates, float("inf"))
    for candidate in candidates.values():
        candidate()
    for _ in range(rounds):
        for name, candidate in candidates.items():
            began = time.perf_counter()
            candidate()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def decoding(files: list[bytes], interpolation: str) -> dict[str, float]:
    """Decode, resize to 256, crop to 224 on one core: ours beside torchvision's transforms on Pillow."""
    from torchvision import transforms

    mode = transforms.InterpolationMode(interpolation)
    cut = transforms.Compose([transforms.Resize(256, mode), transforms.CenterCrop(224)])
    usual = transforms.Compose([cut, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    geometry = Geometry(256, 224, interpolation)
    torch.set_num_threads(1)

    def pillow() -> None:
        for data in files:
            usual(Image.open(io.BytesIO(data)).convert("RGB"))

    def ours() -> None:
        for data in files:
            decode(data, geometry, "")

    def ours_normalised() -> None:
        """The same as a normalised float tensor: what the forward pass does for the whole batch."""
        scale = torch.tensor(STD)[:, None, None].mul(255).reciprocal()
        shift = -(torch.tensor(MEAN) / torch.tensor(STD))[:, None, None]
        for data in files:
            torch.addcmul(shift, torch.from_numpy(decode(data, geometry, "")).permute(2, 0, 1).float(), scale)

    seconds = race({"pillow": pillow, "ours": ours, "normalised": ours_normalised})
    levels = max(
        int(
            np.abs(
                np.asarray(cut(Image.open(io.BytesIO(d)).convert("RGB"))).astype(int) - decode(d, geometry, "")
            ).max()
        )
        for d in files
    )
    rate = {name: len(files) / value for name, value in seconds.items()}
    return {
        "torchvision_on_pillow_per_s": rate["pillow"],
        "robench_per_s": rate["ours"],
        "robench_normalised_per_s": rate["normalised"],
        "ratio": rate["ours"] / rate["pillow"],
        "ratio_normalised": rate["normalised"] / rate["pillow"],
        "largest_difference_grey_levels": levels,
    }


def end_to_end(folder: Path, threads: int) -> dict[str, float]:
    """Decode and run a small model on the same cores: ours beside timm's loader with and without workers.

    timm's validation script keeps the usual memory layout unless told otherwise, so that is its row; what it would be
    with our layout (channels last) stands beside it.
    """
    import timm
    from timm.data import create_dataset, create_loader

    torch.set_num_threads(threads)
    usual = timm.create_model("mobilenetv3_small_100", pretrained=False).eval()
    model = copy.deepcopy(usual).to(memory_format=torch.channels_last)
    images = load_folders(folder, geometry=Geometry(256, 224, "bicubic"), workers=threads)
    scale = torch.tensor(STD)[None, :, None, None].mul(255).reciprocal()
    shift = -(torch.tensor(MEAN) / torch.tensor(STD))[None, :, None, None]

    @torch.inference_mode()
    def ours() -> None:
        suite = get("clean")
        opened = OpenSuite.of(Found(suite, suite.cells, "published", lambda _: view_of(images), {}))
        for batch in opened.batches(Cell("clean"), 64):
            x = batch.images.to(torch.float32, memory_format=torch.channels_last)
            model(torch.addcmul(shift, x, scale))

    def with_timm(workers: int, layout: torch.memory_format) -> Callable[[], None]:
        runs = usual if layout == torch.contiguous_format else model

        loader = create_loader(
            create_dataset("", str(folder)), (3, 224, 224), 64, use_prefetcher=False, interpolation="bicubic",
            crop_pct=0.875, num_workers=workers, mean=MEAN, std=STD,
        )  # fmt: skip

        @torch.inference_mode()
        def run() -> None:
            for x, _ in loader:
                runs(x.contiguous(memory_format=layout))

        return run

    candidates = {"robench": ours}
    for workers in (0, 2):
        candidates[f"timm_{workers}_workers"] = with_timm(workers, torch.contiguous_format)
        candidates[f"timm_{workers}_workers_channels_last"] = with_timm(workers, torch.channels_last)
    seconds = race(candidates, rounds=3)
    rate = {f"{name}_per_s": len(images) / value for name, value in seconds.items()}
    timm_best = max(rate["timm_0_workers_per_s"], rate["timm_2_workers_per_s"])
    best_of_all = max(value for name, value in rate.items() if name.startswith("timm"))
    return {
        **rate,
        "ratio_to_timm": rate["robench_per_s"] / timm_best,
        "ratio_to_timm_channels_last": rate["robench_per_s"] / best_of_all,
    }


def arrays(count: int = 10_000) -> dict[str, float]:
    """The cost of a CIFAR-C cell in a memory map, from the file to float32 batches that a model takes."""
    import tempfile

    from robench.data.arrays import ArrayImages, map_npy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fog.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8))
        images = ArrayImages(map_npy(path), np.zeros(count, np.int64))
        suite = get("clean")
        opened = OpenSuite.of(Found(suite, suite.cells, "published", lambda _: view_of(images), {}))

        def read() -> None:
            for _ in opened.batches(Cell("clean"), 256):
                pass

        normalise = Normaliser(torch.full((3,), 1 / 255), torch.zeros(3))
        out = torch.empty(256, 3, 32, 32).to(memory_format=torch.channels_last)

        def read_as_float() -> None:
            for batch in opened.batches(Cell("clean"), 256):
                normalise(batch.images, out[: len(batch.images)])

        seconds = race({"uint8": read, "float_short_run": read_as_float}, rounds=20)
        load_loops()  # as runs of 200,000 images and more do
        seconds |= race({"float": read_as_float}, rounds=20)
    return {f"{name}_microseconds_per_image": 1e6 * value / count for name, value in seconds.items()}


def main() -> None:
    """Measure all and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--threads", type=int, default=cores(), help="what this process may use, by default")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found: dict[str, dict[str, float]] = {"arrays": arrays()}
    if given.photos:
        files = [path.read_bytes() for path in sorted(given.photos.glob("*/*"))[:128]]
        for interpolation in ("bicubic", "bilinear"):
            found[f"decode_{interpolation}"] = decoding(files, interpolation)
        found["end_to_end"] = end_to_end(given.photos, given.threads)
    print(json.dumps({k: {n: round(v, 3) for n, v in row.items()} for k, row in found.items()}, indent=2))


if __name__ == "__main__":
    main()
