"""timm's published top-1 accuracies -> one CSV: a row a model, a column a test set."""

from __future__ import annotations

import csv
from pathlib import Path

from robench.errors import RobenchError
from robench.tables.importers.writing import write_csv, write_yaml

# our column: (their file, suite or None, what the images are)
SETS = {
    "imagenet": ("results-imagenet.csv", "ImageNet validation set, 50,000 images"),
    "imagenet-a": ("results-imagenet-a.csv", "ImageNet-A, 7,500 images, 200 classes"),
    "imagenet-a-clean": ("results-imagenet-a-clean.csv", "validation images of ImageNet-A's 200 classes"),
    "imagenet-r": ("results-imagenet-r.csv", "ImageNet-R, 30,000 images, 200 classes"),
    "imagenet-r-clean": ("results-imagenet-r-clean.csv", "validation images of ImageNet-R's 200 classes"),
    "imagenet-v2": ("results-imagenetv2-matched-frequency.csv", "ImageNetV2 matched-frequency, 10,000 images"),
    "imagenet-sketch": ("results-sketch.csv", "ImageNet-Sketch, 50,889 images"),
    "imagenet-real": ("results-imagenet-real.csv", "ImageNet-ReaL, the 46,837 validation images with a label"),
}


def import_timm(folder: Path, out: Path, *, commit: str, date: str) -> int:
    """Write ``top1.csv`` and ``top1.yaml`` and return the number of models.

    Args:
        folder: holds timm's ``results-*.csv``.
        out: where to write.
        commit: of timm's repository, or ``unknown``.
        date: of that commit, or of the copy.

    Raises:
        RobenchError: a file is missing.
    """
    top1: dict[tuple[str, str], dict[str, str]] = {}
    facts: dict[tuple[str, str], list[str]] = {}
    for name, (file, _) in SETS.items():
        for line in _read(folder / file):
            key = (line["model"], line["img_size"])
            top1.setdefault(key, {})[name] = line["top1"]
            facts.setdefault(key, [line["param_count"], line["crop_pct"], line["interpolation"]])
    rows = [[*key, *facts[key], *[top1[key].get(name, "") for name in SETS]] for key in sorted(top1)]
    head = ["model", "image_size", "parameters_millions", "crop", "interpolation", *SETS]
    write_csv(out / "top1.csv", head, rows)
    write_yaml(
        out / "top1.yaml",
        {
            "quantity": "top-1 accuracy, percent",
            "source": "timm (huggingface/pytorch-image-models), results/",
            "url": "https://github.com/huggingface/pytorch-image-models",
            "commit": commit,
            "date": date,
            "licence": "Apache-2.0",
            "images_kind": "published",
            "protocol": "each model at the image size, crop and interpolation of its row; on ImageNet-A and -R the"
            " logits are cut to the set's 200 classes",
            "sets": {name: about for name, (_, about) in SETS.items()},
        },
    )
    return len(rows)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise RobenchError(f"There is no {path}.", hint="Give the folder with timm's results-*.csv.")
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
