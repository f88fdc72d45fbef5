"""The labels that AutoLabel learned: the true class's share by distance of the augmentation (AutoLabel, Figure 1)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robench.errors import RobenchError
from robench.files import read_document
from robench.plots.common import Array
from robench.plots.registry import Plot
from robench.plots.style import finish, look, panels, style
from robench.results.labels import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HINT = "Give the folder that `robench train` wrote for an AutoLabel recipe; its log.csv has the labels."

_AXES = {
    "autolabel-augmix": "share of the clean image in the mix (1: near)",
    "autolabel-mixup": "twice the share of the minor image (1: far)",
    "autolabel-adversarial": "radius of the attack, share of the largest",
}


@dataclass(frozen=True)
class LearnedLabels:
    """One training run's labels.

    Args:
        model: the run's name.
        epochs: float64 (epochs,).
        labels: float64 (epochs, groups, buckets) in percent: the true class's share by bucket of distance.
        group: what a group is: ``depth`` of AugMix's chain, or "" where there is one only.
        axis: what the buckets divide, from 0 to 1.
        nearest_last: whether the last bucket is the nearest to the clean image, as AugMix's share of it.
    """

    model: str
    epochs: Array
    labels: Array
    group: str = ""
    axis: str = "distance of the augmentation, share of the largest"
    nearest_last: bool = False

    def plot(self, over_time: Axes, at_end: Axes, *, number: int = 0) -> None:
        """Draw the labels over the epochs on one pair of axes, and the last ones by distance on the other."""
        groups, buckets = self.labels.shape[1:]
        edges = (np.arange(buckets) + 0.5) / buckets
        with style():
            for g in range(groups):
                seen = look(number + g)
                for b in range(buckets):  # further away is fainter
                    far = (buckets - 1 - b if self.nearest_last else b) / max(buckets - 1, 1)
                    over_time.plot(
                        self.epochs, self.labels[:, g, b], color=seen.color, linewidth=0.8, alpha=1.0 - 0.75 * far
                    )
                name = self.model if not self.group else f"{self.model}, {self.group} {g + 1}"
                at_end.plot(edges, self.labels[-1, g], label=name, markeredgewidth=0, **seen._asdict())


def labels(runs: Sequence[LearnedLabels]) -> Figure:
    """Draw the labels of the runs: over the epochs, and the last ones by distance.

    Raises:
        RobenchError: no run.
    """
    if not runs:
        raise RobenchError("There is no training run to plot.", hint=_HINT)
    with style():
        figure, grid = panels(2, 2.4, sharey=True)
        over_time, at_end = grid.flat
        number = 0
        for run in runs:
            run.plot(over_time, at_end, number=number)
            number += run.labels.shape[1]
        over_time.set_xlabel("epoch")
        over_time.set_ylabel("label of the true class, %")
        over_time.set_title("Labels as they are learned (faint: far away)")
        kinds = {run.axis for run in runs}
        at_end.set_xlabel(runs[0].axis if len(kinds) == 1 else "bucket of distance, share of their number")
        at_end.set_title("Labels after the last epoch")
        at_end.set_xlim(0, 1)
        names = [str(line.get_label()) for line in at_end.get_lines()]
        finish(figure, at_end, names, "one line per bucket of distance on the left · from log.csv of the training")
    return figure


def read_labels(path: str | Path) -> LearnedLabels:
    """Read the labels of a training run's folder: ``log.csv`` with ``label_1``, ``label_2``..., and ``recipe.yaml``.

    Raises:
        RobenchError: no such folder, or no labels in its log.
    """
    folder = Path(path)
    folder = folder.parent if folder.is_file() else folder
    log = folder / "log.csv"
    if not log.is_file():
        raise RobenchError(f"{folder} has no log.csv.", hint=_HINT)
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else {}) if name.startswith("label_")]
    if not names:
        raise RobenchError(f"{log} has no learned labels.", hint=_HINT)
    if not all(name.removeprefix("label_").isdigit() for name in names):
        raise RobenchError(
            f"{log} has the labels of some buckets only: {', '.join(names)}.",
            hint="It was written by an earlier version; train the recipe again.",
        )
    names.sort(key=_place)
    values = 100 * np.array([[float(line[name]) for name in names] for line in rows])
    recipe = read_document(folder / "recipe.yaml", "recipe", hint=_HINT)
    buckets = int((recipe.get("options") or {}).get("buckets", 10))
    groups = len(names) // buckets if buckets and len(names) % buckets == 0 else 1
    shape = (len(rows), groups, len(names) // groups)
    epochs = np.array([float(line["epoch"]) for line in rows])
    name = shorten(str(recipe.get("name") or folder.name), 40)
    of_augmix = recipe.get("method") == "autolabel-augmix"
    axis = _AXES.get(str(recipe.get("method")), "distance of the augmentation, share of the largest")
    return LearnedLabels(name, epochs, values.reshape(shape), "depth" if groups > 1 else "", axis, of_augmix)


def _place(name: str) -> int:
    return int(name.removeprefix("label_"))


PLOT = Plot(
    "labels",
    "The labels that AutoLabel learned, by epoch and by distance of the augmentation.",
    labels,
    read=read_labels,
    inputs="FOLDER",
    inputs_help="Folders that `robench train` wrote for AutoLabel recipes.",
)
