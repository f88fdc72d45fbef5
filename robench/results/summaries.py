"""Summary rules: from the metrics of cells to the values that people quote.

A rule works on arrays whose last axis is the cells, so the same code gives the value (one row) and its bootstrap
replicates (a row per resample). Rules are pure; a suite names the ones it wants, and says which conditions they
average. Installed packages add rules through the entry-point group ``robench.rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.catalogue import means_of
from robench.metrics.cells import mean_over_cells
from robench.registry import Registry
from robench.results.protocols import averaged, clean_condition
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellArrays:
    """Metrics of a run's cells.

    Args:
        cells: the cells, in the order of the last axis.
        metrics: metric name -> float64 array (..., cells).
        suite: the protocol: its clean condition, benchmark and held-out conditions, groups and normaliser.
    """

    cells: tuple[Cell, ...]
    metrics: Mapping[str, Array]
    suite: Suite

    def columns(self, conditions: Iterable[str], severity: int | None = None) -> list[int]:
        """Return the positions of the cells with these conditions and, where given, this severity."""
        wanted = set(conditions)
        return [
            i
            for i, cell in enumerate(self.cells)
            if cell.condition in wanted and (severity is None or cell.severity == severity)
        ]

    def clean(self) -> list[int]:
        """Return the position of the images without a shift, none where they were not measured."""
        return self.columns((clean_condition(self.suite),))

    def averaged(self) -> tuple[str, ...]:
        """Return the measured conditions that the headline values average."""
        return averaged(self.suite, self.cells)

    def mean(self, metric: str, positions: list[int]) -> Array:
        """Return the mean of a metric over some cells (see ``over_cells`` in its row), NaN where there are none."""
        values = self.metrics[metric]
        if not positions:
            return np.full(values.shape[:-1], np.nan)
        return mean_over_cells(metric, values[..., positions])


Rule = Callable[[CellArrays], dict[str, Array]]


def clean(arrays: CellArrays) -> dict[str, Array]:
    """``clean_<metric>`` of every metric, where the run has a clean cell."""
    positions = arrays.clean()
    if not positions:
        return {}
    return {f"clean_{name}": arrays.mean(name, positions) for name in arrays.metrics}


def corruption(arrays: CellArrays) -> dict[str, Array]:
    """Means over the benchmark's corruptions by 5 severities, over each group, and robust accuracy.

    ``mean_error`` is the unnormalised mean (the uCE of some papers); ``mean_<metric>`` the same for every other
    metric; ``robust_accuracy`` is one minus it; ``mean_error_noise`` and so on are the groups' means;
    ``mean_error_19`` has the four held-out corruptions too, where all 19 were measured.
    """
    positions = arrays.columns(arrays.averaged())
    found = {f"mean_{name}": arrays.mean(name, positions) for name in arrays.metrics if name != "error"}
    if "error" not in arrays.metrics:  # other metrics were asked for
        return found
    error = arrays.mean("error", positions)
    found = {"mean_error": error, "robust_accuracy": 1.0 - error} | found
    for group, members in arrays.suite.groups:
        if members_here := arrays.columns(members):
            found[f"mean_error_{group}"] = arrays.mean("error", members_here)
    every = (*arrays.suite.benchmark, *arrays.suite.held_out)
    if arrays.suite.held_out and {cell.condition for cell in arrays.cells}.issuperset(every):
        found[f"mean_error_{len(every)}"] = arrays.mean("error", arrays.columns(every))
    return found


def attacked(arrays: CellArrays) -> dict[str, Array]:
    """``attacked_<metric>``: the mean over the benchmark's attacks."""
    positions = arrays.columns(arrays.averaged())
    return {f"attacked_{name}": arrays.mean(name, positions) for name in arrays.metrics}


def normalised(arrays: CellArrays) -> dict[str, Array]:
    """``mce`` and ``relative_mce``, normalised by the suite's published baseline; all its corruptions are needed."""
    from robench.metrics.corruption import baseline_errors, mean_corruption_error, relative_mean_corruption_error

    conditions = arrays.suite.benchmark
    if arrays.suite.normaliser is None or "error" not in arrays.metrics:
        return {}
    error = _cube(arrays, conditions)
    if error is None:
        return {}
    baseline = baseline_errors(arrays.suite.normaliser)
    found = {"mce": mean_corruption_error(error, baseline, conditions)}
    if arrays.clean() and baseline.clean is not None:
        unshifted = arrays.mean("error", arrays.clean())
        found["relative_mce"] = relative_mean_corruption_error(error, unshifted, baseline, conditions)
    return found


def without_noise(arrays: CellArrays) -> dict[str, Array]:
    """``mean_error_without_noise`` and ``mce_without_noise``: over the benchmark without its noises.

    The twelve corruptions on which Rusak et al. 2020 and AugMax (Table 6) compare models that are trained with noise.
    """
    from robench.metrics.corruption import baseline_errors, mean_corruption_error

    noises = dict(arrays.suite.groups).get("noise", ())
    conditions = tuple(name for name in arrays.suite.benchmark if name not in noises)
    error = _cube(arrays, conditions) if "error" in arrays.metrics else None
    if error is None:
        return {}
    found = {"mean_error_without_noise": error.mean(axis=(-2, -1))}
    if arrays.suite.normaliser is not None:
        baseline = baseline_errors(arrays.suite.normaliser)
        found["mce_without_noise"] = mean_corruption_error(error, baseline, conditions)
    return found


def shift(arrays: CellArrays) -> dict[str, Array]:
    """Metadata splits: ``iid_<metric>``, ``mean_ood_<metric>`` (plain mean over the OOD sets) and ``gap_<metric>``."""
    iid = arrays.clean()
    ood = [i for i in range(len(arrays.cells)) if i not in iid]
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
    """A shifted set and the matching clean one (ImageNet-R and ImageNet-200): its metrics, and ``gap_error``."""
    found: dict[str, Array] = {}
    matching = arrays.clean()
    shifted = [i for i in range(len(arrays.cells)) if i not in matching]
    for name in arrays.metrics:
        found[name] = arrays.mean(name, shifted)
    if matching and shifted and "error" in arrays.metrics:
        found["gap_error"] = found["error"] - arrays.mean("error", matching)
    return found


def flips(arrays: CellArrays) -> dict[str, Array]:
    """``mfp`` (mean flip probability), ``mt5d`` and, normalised by AlexNet, ``mfr``; cells are sequences.

    Other metrics have the name ``mean_<metric>``. ``mfr`` needs all perturbations of the benchmark, as ``mce`` needs
    all corruptions.
    """
    from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY

    positions = arrays.columns(arrays.averaged())
    found = {means_of(name)[0]: arrays.mean(name, positions) for name in arrays.metrics}
    names, benchmark = [cell.condition for cell in arrays.cells], arrays.suite.benchmark
    if arrays.suite.normaliser == "alexnet" and "mfp" in found and set(names).issuperset(benchmark):
        baseline = np.array([ALEXNET_FLIP_PROBABILITY[name] for name in benchmark])
        chosen = [names.index(name) for name in benchmark]
        found["mfr"] = (arrays.metrics["flip_probability"][..., chosen] / baseline).mean(axis=-1)
    return found


def plain(arrays: CellArrays) -> dict[str, Array]:
    """The mean over all cells of every metric, for suites of one or a few equal test sets."""
    return {name: arrays.mean(name, list(range(len(arrays.cells)))) for name in arrays.metrics}


RULES: Registry[Rule] = Registry(
    "summary rule",
    {
        "clean": clean,
        "corruption": corruption,
        "attacked": attacked,
        "normalised": normalised,
        "without_noise": without_noise,
        "shift": shift,
        "gap": gap,
        "flips": flips,
        "plain": plain,
    },
    group="robench.rules",
)


def summarise(arrays: CellArrays) -> dict[str, Array]:
    """Apply the rules that the suite names, in order: name of the summary value -> float64 (...).

    Raises:
        RobenchError: no such rule.

    >>> from robench.suites import get
    >>> suite = get("cifar10-c")
    >>> cells = (Cell("clean"), Cell("fog", 1), Cell("fog", 2))
    >>> found = summarise(CellArrays(cells, {"error": np.array([0.1, 0.2, 0.4])}, suite))
    >>> {name: round(float(value), 2) for name, value in found.items()}
    {'clean_error': 0.1, 'mean_error': 0.3, 'robust_accuracy': 0.7, 'mean_error_weather': 0.3}
    """
    found: dict[str, Array] = {}
    for rule in arrays.suite.summary:
        found |= RULES.get(rule)(arrays)
    return found


def _cube(arrays: CellArrays, conditions: tuple[str, ...]) -> Array | None:
    """Return errors as (..., conditions, 5), or None where a cell is missing."""
    rows = []
    for condition in conditions:
        positions = [i for s in range(1, 6) for i in arrays.columns((condition,), s)]
        if len(positions) != 5:
            return None
        rows.append(arrays.metrics["error"][..., positions])
    return np.stack(rows, axis=-2) if rows else None
