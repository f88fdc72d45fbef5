"""Results that others publish and keep up to date, carried over with their source, licence and protocol."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

from robench.files import read_document
from robench.suites import get
from robench.tables.locations import leaderboards

ROBUSTBENCH = ("cifar10-c", "cifar100-c", "imagenet-c")
"""Suites of RobustBench's rows."""

TIMM_MATCHING = {
    "imagenet-a": "imagenet-a-clean",
    "imagenet-r": "imagenet-r-clean",
    "imagenet-v2": "imagenet",
    "imagenet-sketch": "imagenet",
    "imagenet-real": None,
}
"""Suites that timm publishes accuracies of -> its column for the matching clean images; None: they are the same."""


@dataclass(frozen=True)
class CellAccuracies:
    """Accuracies by cell of one suite from one source.

    Args:
        about: source, date, licence, protocol, number of images, and the models' papers.
        clean: model -> clean accuracy, fraction.
        cells: model -> cell name -> accuracy, fraction.
    """

    about: dict[str, Any]
    clean: dict[str, float]
    cells: dict[str, dict[str, float]]

    @property
    def conditions(self) -> tuple[str, ...]:
        """The suite's benchmark corruptions."""
        return get(self.about["suite"]).benchmark

    def mean_error(self, model: str, condition: str | None = None) -> float:
        """Return the mean error over the severities of one corruption, or over all 15 corruptions by 5."""
        names = self.conditions if condition is None else (condition,)
        values = [self.cells[model][f"{name}/{severity}"] for name in names for severity in range(1, 6)]
        return 1.0 - sum(values) / len(values)

    def error_at(self, model: str, severity: int) -> float:
        """Return the mean error over the corruptions at one severity."""
        values = [self.cells[model][f"{name}/{severity}"] for name in self.conditions]
        return 1.0 - sum(values) / len(values)

    def mce(self, model: str, reference: str = "AlexNet") -> float:
        """Return the mean corruption error, normalised by a model of the same list, measured on the same images."""
        ratios = [self.mean_error(model, name) / self.mean_error(reference, name) for name in self.conditions]
        return sum(ratios) / len(ratios)


def robustbench(suite: str) -> CellAccuracies:
    """Return RobustBench's values of ``cifar10-c``, ``cifar100-c`` or ``imagenet-c``."""
    base = leaderboards() / "published" / "robustbench" / suite
    about = read_document(base.with_suffix(".yaml"), "list of published results")
    with open(base.with_suffix(".csv"), newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    clean = {line["model"]: float(line["clean"]) for line in lines}
    cells = {line["model"]: {k: float(v) for k, v in line.items() if "/" in k} for line in lines}
    return CellAccuracies(about, clean, cells)


def timm() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what timm's accuracies are, and a row per model: sizes as published, accuracies as fractions or None."""
    base = leaderboards() / "published" / "timm" / "top1"
    about = read_document(base.with_suffix(".yaml"), "list of published results")
    with open(base.with_suffix(".csv"), newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    sets = about["sets"]
    return about, [line | {n: float(line[n]) / 100 if line[n] else None for n in sets} for line in lines]
