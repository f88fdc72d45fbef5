"""RobustBench's accuracies under corruption -> one CSV a suite, cells in our names and order.

Their files have two head lines, corruption and severity, and the corruptions in an order that differs between files;
each model has a JSON of its own with clean accuracy and paper, whose name may differ by an underscore.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from robench.corruptions.severities import BENCHMARK
from robench.errors import RobenchError
from robench.tables.importers.writing import write_csv, write_yaml

SUITES = {"cifar10": ("cifar10-c", 10000), "cifar100": ("cifar100-c", 10000), "imagenet": ("imagenet-c", 5000)}
PROTOCOL = {
    "cifar10": "published files of CIFAR-10-C, 10,000 images per cell",
    "cifar100": "published files of CIFAR-100-C, 10,000 images per cell",
    "imagenet": "published files of ImageNet-C, a fixed list of 5,000 images per cell; the images are not resized where"
    " the entry was measured after their repair of the preprocessing (their issue 59), which the files do not say",
}


def import_robustbench(folder: Path, out: Path, *, commit: str, date: str) -> list[str]:
    """Write ``<suite>.csv`` and ``<suite>.yaml`` for each of the three suites.

    Args:
        folder: holds ``<data set>_unaggregated_results.csv`` and ``<data set>/*.json`` as RobustBench has them.
        out: where to write.
        commit: of RobustBench's repository, or ``unknown``.
        date: of that commit, or of the copy.

    Returns:
        The names of the suites written.

    Raises:
        RobenchError: a file is missing, or lacks a cell.
    """
    written = []
    for dataset, (suite, images) in SUITES.items():
        entries = {file.stem.replace("_", ""): file for file in sorted((folder / dataset).glob("*.json"))}
        read = read_cells(folder / f"{dataset}_unaggregated_results.csv")
        unknown = [name for name in read if name.replace("_", "") not in entries]
        if unknown:
            raise RobenchError(f"{folder / dataset} has no entry for: {', '.join(unknown)}.")
        accuracies = {entries[name.replace("_", "")].stem: cells for name, cells in read.items()}
        models = {name: _entry(folder / dataset / f"{name}.json") for name in accuracies}
        cells = [f"{condition}/{severity}" for condition in BENCHMARK for severity in range(1, 6)]
        rows = [
            [name, models[name]["clean_accuracy"], *[accuracies[name][cell] for cell in cells]]
            for name in sorted(accuracies)
        ]
        write_csv(out / f"{suite}.csv", ["model", "clean", *cells], rows)
        write_yaml(
            out / f"{suite}.yaml",
            {
                "suite": suite,
                "quantity": "accuracy, fraction",
                "source": "RobustBench",
                "url": "https://github.com/RobustBench/robustbench",
                "commit": commit,
                "date": date,
                "licence": "MIT",
                "images_kind": "published",
                "images": images,
                "protocol": PROTOCOL[dataset],
                "models": {name: models[name] for name in sorted(models)},
            },
        )
        written.append(suite)
    return written


def read_cells(path: Path) -> dict[str, dict[str, float]]:
    """Return model -> cell -> accuracy from a file of theirs.

    Raises:
        RobenchError: no such file, or a benchmark corruption lacks a severity.
    """
    if not path.is_file():
        raise RobenchError(
            f"There is no {path}.", hint="Give the folder with RobustBench's *_unaggregated_results.csv."
        )
    with open(path, newline="", encoding="utf-8") as file:
        conditions, severities, *lines = list(csv.reader(file))
    cells = [f"{name}/{severity}" for name, severity in zip(conditions[1:], severities[1:], strict=True)]
    missing = [f"{name}/{s}" for name in BENCHMARK for s in range(1, 6) if f"{name}/{s}" not in cells]
    if missing:
        raise RobenchError(f"{path} has no column for: {', '.join(missing)}.")
    # Some accuracies carry the dust of a subtraction (0.9390000000000001).
    return {line[0]: {c: round(float(v), 6) for c, v in zip(cells, line[1:], strict=True)} for line in lines if line}


def _entry(path: Path) -> dict[str, Any]:
    """Return what we carry of a model's entry; accuracies become fractions."""
    about = json.loads(path.read_text(encoding="utf-8"))
    entry = {
        "paper": about["name"],
        "link": about["link"],
        "venue": about["venue"],
        "architecture": about["architecture"],
        "additional_data": bool(about["additional_data"]),
        "clean_accuracy": round(float(about["clean_acc"]) / 100, 6),
        "published_accuracy": round(float(about["corruptions_acc"]) / 100, 6),
    }
    if about.get("corruptions_mce"):
        entry["published_mce"] = round(float(about["corruptions_mce"]) / 100, 6)
    return entry
