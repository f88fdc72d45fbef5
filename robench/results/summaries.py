"""Summary rules: from the figures of cells to the figures people quote.

A rule works on arrays whose last axis is the cells, so the same code gives the value (one row) and its bootstrap
replicates (a row a resample). Rules are pure; a suite names the ones it wants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.suites.base import Cell

Array = npt.NDArray[np.float64]
CLEAN = "clean"


@dataclass(frozen=True)
class CellArrays:
    """Figures of a run's cells.

    Args:
        cells: the cells, in the order of the last axis.
        metrics: metric name -> float64 array (..., cells).
        normaliser: name of the suite's table of baseline errors, or None.
    """

    cells: tuple[Cell, ...]
    metrics: Mapping[str, Array]
    normaliser: str | None = None

    def columns(self, conditions: tuple[str, ...] | None = None, severity: int | None = None) -> list[int]:
        """Return the positions of the cells with these conditions and this severity."""
        return [
            i
            for i, cell in enumerate(self.cells)
            if (conditions is None or cell.condition in conditions) and (severity is None or cell.severity == severity)
        ]

    def mean(self, metric: str, positions: list[int]) -> Array:
        """Return the mean of a metric over some cells, NaN where there are none."""
        values = self.metrics[metric]
        if not positions:
            return np.full(values.shape[:-1], np.nan)
        return values[..., positions].mean(axis=-1)


Rule = Callable[[CellArrays], dict[str, Array]]


def corrupted_conditions(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    """Return the corruptions that the headline figures average: the 15 benchmark ones that the run has."""
    from robench.corruptions.severities import BENCHMARK

    present = list(dict.fromkeys(cell.condition for cell in cells if cell.severity is not None))
    benchmark = tuple(name for name in present if name in BENCHMARK)
    return benchmark or tuple(present)


def clean(arrays: CellArrays) -> dict[str, Array]:
    """``clean_<metric>`` of every metric, where the run has a clean (or iid) cell."""
    positions = arrays.columns((CLEAN,))
    if not positions:
        return {}
    return {f"clean_{name}": arrays.mean(name, positions) for name in arrays.metrics}


def corruption(arrays: CellArrays) -> dict[str, Array]:
    """Means over the 15 corruptions by 5 severities, over each group, and robust accuracy.

    ``mean_error`` is the unnormalised mean (the uCE of CIFAR-C papers); ``mean_<metric>`` the same for
    every other metric; ``robust_accuracy`` is one minus it; ``mean_error_noise`` and so on are the groups' means;
    ``mean_error_19`` has the four held-out corruptions too, where all 19 were measured.
    """
    from robench.corruptions.severities import BENCHMARK, EXTRA, GROUPS

    conditions = corrupted_conditions(arrays.cells)
    positions = arrays.columns(conditions)
    found = {f"mean_{name}": arrays.mean(name, positions) for name in arrays.metrics if name != "error"}
    if "error" not in arrays.metrics:  # other metrics were asked for
        return found
    error = arrays.mean("error", positions)
    found = {"mean_error": error, "robust_accuracy": 1.0 - error} | found
    for group, members in GROUPS.items():
        if members_here := arrays.columns(tuple(members)):
            found[f"mean_error_{group}"] = arrays.mean("error", members_here)
    every = (*BENCHMARK, *EXTRA)
    if {cell.condition for cell in arrays.cells}.issuperset(every):
        found["mean_error_19"] = arrays.mean("error", arrays.columns(every))
    return found


def normalised(arrays: CellArrays) -> dict[str, Array]:
    """``mce`` and ``relative_mce``, normalised by the suite's published baseline; all 15 corruptions are needed."""
    from robench.corruptions.severities import BENCHMARK
    from robench.metrics.corruption import baseline_errors, mean_corruption_error, relative_mean_corruption_error

    if arrays.normaliser is None or "error" not in arrays.metrics:
        return {}
    error = _cube(arrays, tuple(BENCHMARK))
    if error is None:
        return {}
    baseline = baseline_errors(arrays.normaliser)
    found = {"mce": mean_corruption_error(error, baseline)}
    clean_positions = arrays.columns((CLEAN,))
    if clean_positions and baseline.clean is not None:
        found["relative_mce"] = relative_mean_corruption_error(error, arrays.mean("error", clean_positions), baseline)
    return found


def shift(arrays: CellArrays) -> dict[str, Array]:
    """Metadata splits: ``iid_<metric>``, ``mean_ood_<metric>`` (plain mean over the OOD sets) and ``gap_<metric>``."""
    iid = arrays.columns(("iid",))
    ood = [i for i, cell in enumerate(arrays.cells) if cell.condition not in ("iid", CLEAN)]
    found: dict[str, Array] = {}
    for name in arrays.metrics:
        if iid:
            found[f"iid_{name}"] = arrays.mean(name, iid)
        if ood:
            found[f"mean_ood_{name}"] = arrays.mean(name, ood)
        if iid and ood:
            found[f"gap_{name}"] = found[f"mean_ood_{name}"] - found[f"iid_{name}"]
    return found


def gap(arrays: CellArrays) -> dict[str, Array]:
    """A shifted set beside the matching clean one (ImageNet-R with ImageNet-200): its figures and ``gap_error``."""
    found: dict[str, Array] = {}
    matching = arrays.columns(("imagenet-200", CLEAN))
    shifted = [i for i in range(len(arrays.cells)) if i not in matching]
    for name in arrays.metrics:
        found[name] = arrays.mean(name, shifted)
    if matching and shifted and "error" in arrays.metrics:
        found["gap_error"] = found["error"] - arrays.mean("error", matching)
    return found


def flips(arrays: CellArrays) -> dict[str, Array]:
    """``mfp`` (mean flip probability), ``mt5d`` and, normalised by AlexNet, ``mfr``; cells are sequences.

    ``mfr`` needs all ten perturbations of the benchmark, as ``mce`` needs its 15 corruptions.
    """
    from robench.corruptions.perturbations import PERTURBATIONS
    from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY

    names = [cell.condition for cell in arrays.cells]
    scored = [i for i, name in enumerate(names) if name != CLEAN]
    means = {"mfp": "flip_probability", "mt5d": "top5_distance"}
    found = {name: arrays.mean(metric, scored) for name, metric in means.items() if metric in arrays.metrics}
    if arrays.normaliser == "alexnet" and "mfp" in found and set(names).issuperset(PERTURBATIONS):
        baseline = np.array([ALEXNET_FLIP_PROBABILITY[name] for name in PERTURBATIONS])
        positions = [names.index(name) for name in PERTURBATIONS]
        found["mfr"] = (arrays.metrics["flip_probability"][..., positions] / baseline).mean(axis=-1)
    return found


def plain(arrays: CellArrays) -> dict[str, Array]:
    """The mean over all cells of every metric, for suites of one or a few equal test sets."""
    return {name: arrays.mean(name, list(range(len(arrays.cells)))) for name in arrays.metrics}


RULES: dict[str, Rule] = {
    "clean": clean,
    "corruption": corruption,
    "normalised": normalised,
    "shift": shift,
    "gap": gap,
    "flips": flips,
    "plain": plain,
}


_SHARES = ("mean_error", "mean_error_19", "robust_accuracy", "mfp")
_PREFIXES = ("", "clean_", "iid_", "mean_ood_", "mean_")


def metric_of(name: str) -> str | None:
    """Return the metric that a figure is, or is a mean of; ``error`` for shares of images; None for other figures."""
    from robench.metrics.table import METRICS

    if name in _SHARES or name.startswith("mean_error_"):
        return "error"
    return next((rest for prefix in _PREFIXES if (rest := name.removeprefix(prefix)) in METRICS), None)


def is_share(name: str) -> bool:
    """Return whether a summary figure is a share of images, or a plain mean of such shares."""
    from robench.metrics.table import SHARES

    return metric_of(name) in SHARES


def highest(name: str) -> float:
    """Return the largest value that a figure can have."""
    from robench.metrics.table import METRICS

    metric = metric_of(name)
    return np.inf if metric is None else METRICS[metric].range[1]


def summarise(rules: tuple[str, ...], arrays: CellArrays) -> dict[str, Array]:
    """Apply the named rules, in order.

    Raises:
        KeyError: no such rule.
    """
    found: dict[str, Array] = {}
    for rule in rules:
        found |= RULES[rule](arrays)
    return found


def _cube(arrays: CellArrays, conditions: tuple[str, ...]) -> Array | None:
    """Return errors as (..., conditions, 5), or None where a cell is missing."""
    rows = []
    for condition in conditions:
        positions = [i for s in range(1, 6) for i in arrays.columns((condition,), s)]
        if len(positions) != 5:
            return None
        rows.append(arrays.metrics["error"][..., positions])
    return np.stack(rows, axis=-2)
