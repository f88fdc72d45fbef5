"""How near the built-in frost textures are to the original's images: statistics, and a network's error on both.

    python benchmarks/frost.py --frost FOLDER [--write robench/corruptions/frost_statistics.json]
        [--model SPEC --data PLACE --size 32 --dataset cifar10 [--images 2000] [--draws 1] [--measurements FILE]]

FOLDER holds the frost images of hendrycks/robustness. Without --model the statistics of both are compared, and --write
measures those of the originals anew. With it, the model's error under frost is measured on images of PLACE (in any form
that robench reads) of one side: every image under every one of the five frost images of both kinds, at --draws places
of it. The difference is paired by image, over the five severities, with its 95 % interval. --measurements adds a
line to the
file from which fidelity.py writes its page.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import original
import torch

from robench.corruptions.frost import SCALES, load
from robench.corruptions.frost_matching import Statistics, known, measure
from robench.corruptions.frost_textures import COUNT, texture
from robench.corruptions.registered import parameters
from robench.corruptions.severities import SEVERITIES
from robench.data import Geometry, open_images
from robench.models import load_model

DIFFERENT = (0, 1, 3, 4)  # the original's second and third image are one
BATCH = 50
Z = 1.959964


def originals(folder: Path) -> list[np.ndarray]:
    """Return the original's five frost images, uint8 (H, W, 3)."""
    flat, shapes, starts = load(str(folder), 1.0)
    return [
        flat[start : start + 3 * height * width].reshape(3, height, width).transpose(1, 2, 0)
        for start, (height, width) in zip(starts, shapes, strict=True)
    ]


def write(found: list[Statistics], path: Path) -> None:
    """Write statistics as JSON, a quantity per line."""
    rows = [",\n  ".join(f'"{name}": {json.dumps(value)}' for name, value in row.document().items()) for row in found]
    path.write_text("[\n" + ",\n".join(f" {{{row}}}" for row in rows) + "\n]\n", encoding="utf-8")


def statistics() -> str:
    """Return the Markdown of what the built-in textures' statistics differ by from those they were matched to."""
    lines = [
        "| texture | standard deviation | largest difference of a band's power | of local contrast |",
        "| --- | ---: | ---: | ---: |",
    ]
    for number in range(COUNT):
        wanted, ours = known()[(0, 1, 1, 2, 3)[number]], measure(texture(number))
        power, contrast = np.abs(ours.power - wanted.power).max(), np.abs(ours.contrast - wanted.contrast).max()
        spread = np.sqrt((wanted.power[0] ** 2).sum())
        lines.append(f"| {number + 1} | {spread:.1f} | {power:.1f} | {contrast:.1f} |")
    return "\n".join(lines)


def layers(folder: Path | None, size: int, count: int, number: int, draw: int) -> np.ndarray:
    """Return a crop of one frost image per test image, spread evenly over it, uint8 (N, 3, H, W)."""
    flat, shapes, starts = load(None if folder is None else str(folder), SCALES[size])
    (height, width), start = shapes[number], starts[number]
    frost = flat[start : start + 3 * height * width].reshape(3, height, width)
    rng = np.random.default_rng([folder is None, number, draw])
    down, across = ((rng.permutation(count) + rng.random(count)) / count for _ in range(2))
    top, left = (down * (height - size)).astype(int), (across * (width - size)).astype(int)
    return np.stack([frost[:, y : y + size, x : x + size] for y, x in zip(top, left, strict=True)])


def wrong(model: Any, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which images are misclassified, float64 (N,)."""
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (model.preprocessing.mean, model.preprocessing.std)
    )
    with torch.inference_mode():
        parts = torch.from_numpy(images).split(BATCH)
        found = [model.module((part.float() / 255 - mean) / std).argmax(1) for part in parts]
    return (torch.cat(found).cpu().numpy() != labels).astype(np.float64)


def errors(args: argparse.Namespace) -> dict[str, Any]:
    """Return a model's error with both kinds of frost, as a line of fidelity.py's file."""
    model = load_model(args.model, arch=args.arch, num_classes=args.classes, mean=args.mean, std=args.std)
    if isinstance(model.module, torch.nn.Module):
        model.module.eval()
    geometry = None if args.size == 32 else Geometry(round(args.size * 8 / 7), args.size)
    opened = open_images(args.data, dataset=args.dataset, geometry=geometry)
    count = min(args.images, len(opened))
    pixels = np.ascontiguousarray(opened.read(np.arange(count)).transpose(0, 3, 1, 2))
    labels = np.asarray(opened.labels)[:count]
    mistakes = np.zeros((2, len(SEVERITIES), count))
    for draw, number in product(range(args.draws), range(COUNT)):
        for side, folder in enumerate((args.frost, None)):
            layer = layers(folder, args.size, count, number, draw)
            for row, severity in enumerate(SEVERITIES):
                image, frost = parameters("frost", severity, args.size)
                frosted = np.clip(np.float32(image) * pixels + np.float32(frost) * layer, 0, 255).astype(np.uint8)
                mistakes[side, row] += wrong(model, frosted, labels) / (args.draws * COUNT)
        print(f"frost image {number + 1} of {COUNT}, draw {draw + 1} of {args.draws}", flush=True)
    gaps = 100 * (mistakes[1] - mistakes[0])
    theirs, ours = (100 * mistakes).mean(axis=2).tolist()
    return {
        "part": "frost",
        "name": args.name or args.model,
        "size": args.size,
        "images": count,
        "draws": args.draws,
        "clean": float(100 * wrong(model, pixels, labels).mean()),
        "theirs": theirs,
        "ours": ours,
        "half_widths": [half_width(gap) for gap in gaps],
        "difference": float(gaps.mean()),
        "half": half_width(gaps.mean(axis=0)),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": original.machine(),
    }


def half_width(values: np.ndarray) -> float:
    """Return half the 95 % interval of a mean over images."""
    return float(Z * values.std(ddof=1) / np.sqrt(len(values)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frost", type=Path, required=True)
    for name in ("write", "data", "measurements"):
        parser.add_argument(f"--{name}", type=Path)
    for name in ("model", "arch", "dataset", "name"):
        parser.add_argument(f"--{name}")
    for name in ("mean", "std"):
        parser.add_argument(f"--{name}", type=float, nargs=3)
    for name, value in {"size": 32, "classes": 10, "images": 2000, "draws": 1, "threads": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.write:
        found = originals(args.frost)
        write([measure(found[number]) for number in DIFFERENT], args.write)
    if not args.model:
        print(statistics())
        return
    figure = errors(args)
    print(json.dumps(figure))
    if args.measurements:
        with args.measurements.open("a", encoding="utf-8") as file:
            file.write(json.dumps(figure) + "\n")


if __name__ == "__main__":
    main()
