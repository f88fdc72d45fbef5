"""How close the corruptions are to the published generators', run side by side on real images.

    python benchmarks/fidelity.py --original CHECKOUT --frost FOLDER --measurements FILE \
        [--photos FOLDER] [--cifar PARQUET [--checkpoint WEIGHTS]] [--only NAME ...] [--page docs/fidelity.md]

CHECKOUT holds hendrycks/robustness; FOLDER (frost) its frost images; photos are JPEGs at any depth; PARQUET is
CIFAR-10's test split in the hub's layout. Every measurement becomes a line of FILE, and what FILE has already is not
measured again, so a run can be cut, resumed and split over processes by --only. Measured:

* pixels: corruptions without chance, mean and largest difference in grey levels, at 32, 64, 224 and 299 pixels;
* statistics: corruptions with chance at 32 and 224, relative difference of the mean, the variance within an image
  and the power in rings of spatial frequency, with 95 % intervals over images;
* sequences: the frames of CIFAR-10-P, mean and largest difference in grey levels, both sides with the same draws;
* errors (with --checkpoint): a ResNet-20's error on our images less its error on theirs, paired by image; with
  --draws, the mean over so many drawings of what is random.

--page writes the document from FILE.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import original
import original_sequences
import torch
from fidelity_bar import HEADING as BAR
from fidelity_page import page

from robench.corruptions import ALL, corrupt, perturb
from robench.corruptions.random import Stream
from robench.corruptions.severities import SEVERITIES
from robench.models import load_model

CERTAIN = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate",
)  # fmt: skip
DRAWS = {  # by name and size; the original's glass blur is too slow for more, and maps vary most at 224
    ("glass_blur", 32): 1,
    ("glass_blur", 224): 1,
    ("frost", 32): 24,
    ("frost", 224): 24,
    ("fog", 32): 24,
    ("fog", 224): 96,
    ("elastic_transform", 224): 18,
}
USUAL_DRAWS = 6
DRAWN_AT = (32, 224)
SEQUENCES = 256
RINGS = 8
Z = 1.959964
Bytes = original.Bytes
Floats = npt.NDArray[np.float64]


class Sides(NamedTuple):
    """The two implementations at one image size."""

    theirs: dict[str, original.Corruption]
    frost: Path

    def their_images(self, name: str, images: Bytes, severity: int, seed: int) -> Bytes:
        """Return the original's images, uint8 (N, H, W, 3)."""
        np.random.seed([seed, severity, ALL.index(name)])
        return np.stack([self.theirs[name](image, severity) for image in images])

    def our_images(self, name: str, images: Bytes, severity: int, seed: int) -> Bytes:
        """Return robench's, of the same form."""
        batch = torch.from_numpy(images).permute(0, 3, 1, 2)
        index = torch.arange(len(batch))
        found = corrupt(batch, name, severity, index=index, seed=seed, frost=str(self.frost))
        return found.permute(0, 2, 3, 1).numpy()


def pixels(ours: Bytes, theirs: Bytes) -> dict[str, float]:
    """Return mean and largest absolute difference, and the percentage of values that differ."""
    gap = np.abs(ours.astype(np.int16) - theirs)
    return {"mean": float(gap.mean()), "max": int(gap.max()), "differing": float(100 * (gap > 0).mean())}


def rings(side: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return each place of a half spectrum's ring (RINGS: beyond Nyquist's circle, or the mean) and its weight."""
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    radius = np.hypot(rows, columns)
    ring = np.minimum((radius * 2 * RINGS).astype(np.int64), RINGS)
    ring[0, 0] = RINGS
    weight = np.broadcast_to(np.where((columns == 0) | (columns == 0.5), 1.0, 2.0), radius.shape)
    return ring, weight


def summaries(images: Bytes) -> Floats:
    """Return (N, 2 + RINGS): each image's mean, variance within channels, and power per ring."""
    side = images.shape[1]
    ring, weight = rings(side)
    out = np.empty((len(images), 2 + RINGS))
    for row, image in enumerate(images):
        x = image.astype(np.float32)
        power = (np.abs(np.fft.rfft2(x, axes=(0, 1))) ** 2).sum(axis=2) / side**4 * weight
        out[row, :2] = x.mean(), x.var(axis=(0, 1)).mean()
        out[row, 2:] = np.bincount(ring.ravel(), power.ravel(), RINGS + 1)[:RINGS]
    return out


def statistics(sides: Sides, name: str, images: Bytes, severity: int) -> dict[str, Any]:
    """Return relative differences in per cent and half widths of their 95 % intervals over images.

    Keys ``mean``, ``variance`` and ``power`` (the ring whose difference is largest, of ``rings``).
    """
    draws = DRAWS.get((name, images.shape[1]), USUAL_DRAWS)
    total = np.zeros((2, len(images), 2 + RINGS))
    for draw in range(draws):
        total[0] += summaries(sides.our_images(name, images, severity, draw))
        total[1] += summaries(sides.their_images(name, images, severity, draw))
    gap = (total[0] - total[1]) / draws
    level = total[1].mean(axis=0) / draws
    difference = 100 * gap.mean(axis=0) / level
    half = 100 * Z * gap.std(axis=0, ddof=1) / np.sqrt(len(gap)) / level
    pairs = [[float(d), float(h)] for d, h in zip(difference, half, strict=True)]
    bands = pairs[2:]
    worst = max(range(RINGS), key=lambda ring: abs(bands[ring][0]))
    found = {"mean": pairs[0], "variance": pairs[1], "power": bands[worst], "ring": worst, "rings": bands}
    return {**found, "draws": draws}


class Classifier:
    """A ResNet-20 for CIFAR-10 of akamaster/pytorch_resnet_cifar10."""

    def __init__(self, checkpoint: Path) -> None:
        module: Any = load_model(str(checkpoint), arch="resnet-20", num_classes=10).module
        self.module = module.eval().to(memory_format=torch.channels_last)
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        self.std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    @torch.inference_mode()
    def classes(self, images: Bytes) -> npt.NDArray[np.int64]:
        """Return the classes of uint8 (N, 32, 32, 3)."""
        found = []
        for part in torch.from_numpy(images).permute(0, 3, 1, 2).split(250):
            found.append(self.module((part.float() / 255 - self.mean) / self.std).argmax(1))
        return torch.cat(found).numpy()


def errors(
    sides: Sides, name: str, images: Bytes, labels: npt.NDArray[np.int64], classifier: Classifier, draws: int
) -> dict[str, Any]:
    """Return both errors per severity and the mean difference over severities with its half width, in points."""
    wrong = np.zeros((2, len(SEVERITIES), len(images)))  # ours, theirs; mean over drawings
    for draw in range(draws):
        for row, severity in enumerate(SEVERITIES):
            our, their = (side(name, images, severity, draw) for side in (sides.our_images, sides.their_images))
            their_wrong = classifier.classes(their) != labels
            our_wrong, changed = their_wrong.copy(), (our != their).any(axis=(1, 2, 3))
            if changed.any():
                our_wrong[changed] = classifier.classes(our[changed]) != labels[changed]
            wrong[:, row] += np.stack([our_wrong, their_wrong]) / draws
    ours, theirs = 100 * wrong.mean(axis=2)
    gaps = 100 * (wrong[0] - wrong[1])
    overall = gaps.mean(axis=0)
    return {
        "ours": ours.tolist(),
        "theirs": theirs.tolist(),
        "half_widths": [_half_width(gap) for gap in gaps],
        "difference": float(overall.mean()),
        "half": _half_width(overall),
        "draws": draws,
    }


def _half_width(values: Floats) -> float:
    return float(Z * values.std(ddof=1) / np.sqrt(len(values)))


def comparisons(args: argparse.Namespace, names: list[str], done: set[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Yield the pixel and statistics measurements that are not there yet."""
    for size in args.sizes:
        source = args.cifar if size == 32 else args.photos
        if source is None:
            continue
        sides = Sides(original.load(args.original, size, args.frost), args.frost)
        images = original.cifar(source, 512)[0] if size == 32 else original.photos(source, args.photo_count, size)
        for name in (name for name in names if name in CERTAIN or (name in ALL and size in DRAWN_AT)):
            part = "pixels" if name in CERTAIN else "statistics"
            for severity in SEVERITIES:
                if (part, name, str(size), str(severity)) in done:
                    continue
                if part == "pixels":
                    both = (side(name, images, severity, 0) for side in (sides.our_images, sides.their_images))
                    found: dict[str, Any] = dict(pixels(*both))
                else:
                    found = statistics(sides, name, images, severity)
                key = {"part": part, "name": name, "size": size, "severity": severity}
                yield {**key, "images": len(images), **found}


def sequence_measurements(args: argparse.Namespace, done: set[tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """Yield the measurements of perturbation sequences that are not there yet."""
    images = original.cifar(args.cifar, SEQUENCES)[0]
    batch, index = torch.from_numpy(images).permute(0, 3, 1, 2), torch.arange(SEQUENCES)
    for name, theirs in original_sequences.load(args.original).items():
        if ("sequences", name, "32", "") in done:
            continue
        perturbation = name.split(",")[0]
        normals = Stream(0, "perturb", perturbation, 1, 0, index=index).normal(0, (32, 32)).numpy()
        expected = np.stack([theirs(*both) for both in zip(images, normals, strict=True)], axis=1)
        found = [frame.permute(0, 2, 3, 1).numpy() for frame in perturb(batch, perturbation, index=index)]
        measurements = pixels(np.stack(found), expected)
        yield {"part": "sequences", "name": name, "size": 32, "images": SEQUENCES, "frames": len(found), **measurements}


def error_measurements(
    args: argparse.Namespace, names: list[str], done: set[tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """Yield the error measurements that are not there yet."""
    sides = Sides(original.load(args.original, 32, args.frost), args.frost)
    classifier = Classifier(args.checkpoint)
    images, labels = original.cifar(args.cifar, args.images)
    clean = 100 * float((classifier.classes(images) != labels).mean())
    for name in names:
        if ("errors", name, "32", "") not in done:
            found = errors(sides, name, images, labels, classifier, 1 if name in CERTAIN else args.draws)
            yield {"part": "errors", "name": name, "size": 32, "images": len(images), "clean": clean, **found}


def arguments() -> argparse.Namespace:
    """Return the command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("original", "frost", "photos", "cifar", "checkpoint", "page"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--measurements", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--images", type=int, default=5000, help="CIFAR images for the errors")
    parser.add_argument("--photo-count", type=int, default=48)
    parser.add_argument("--sizes", type=int, nargs="+", choices=tuple(original.SCRIPTS), default=list(original.SCRIPTS))
    parser.add_argument("--draws", type=int, default=1, help="drawings of what is random, for the errors")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    if args.checkpoint and not args.cifar:
        parser.error("--checkpoint needs --cifar")
    if (args.photos or args.cifar) and not (args.original and args.frost):
        parser.error("--photos and --cifar need --original and --frost")
    return args


def _kept(path: Path) -> str:
    """Return the section that fidelity_bar.py wrote at the end of the page, after an empty line."""
    _, heading, rest = (path.read_text(encoding="utf-8") if path.exists() else "").partition(BAR)
    return f"\n{heading}{rest}" if heading else ""


def main() -> None:
    """Measure what is missing, then write the page."""
    args = arguments()
    torch.set_num_threads(args.threads)
    lines = (
        [json.loads(line) for line in args.measurements.read_text().splitlines()] if args.measurements.exists() else []
    )
    done: set[tuple[str, ...]] = {(x["part"], x["name"], str(x["size"]), str(x.get("severity", ""))) for x in lines}
    parts = [comparisons(args, args.only, done)]
    if args.cifar:
        parts.append(sequence_measurements(args, done))
    if args.checkpoint:
        parts.append(error_measurements(args, args.only, done))
    stamp = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": original.machine()}
    for part in parts if args.original else []:
        for measurement in part:
            with args.measurements.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**measurement, **stamp}) + "\n")
            lines.append(measurement)
            print(json.dumps(measurement), flush=True)
    if args.page:
        everything = [json.loads(line) for line in args.measurements.read_text().splitlines()]
        args.page.write_text(page(everything) + _kept(args.page), encoding="utf-8")


if __name__ == "__main__":
    main()
