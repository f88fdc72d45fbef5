"""Corruption errors of a run against any baseline, over any subset of corruptions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robench.catalogue import row
from robench.corruptions.severities import BENCHMARK
from robench.errors import RobenchError, did_you_mean
from robench.metrics.cells import compute
from robench.metrics.corruption import (
    BASELINES,
    Baseline,
    corruption_errors,
    mean_corruption_error,
    relative_mean_corruption_error,
)
from robench.metrics.statistics import bootstrap_cells
from robench.predictions import RunFolder
from robench.results.own_images import indices_of
from robench.results.protocols import protocol_of_run
from robench.results.schema import Value
from robench.results.values import with_interval
from robench.suites.base import Cell

Array = npt.NDArray[np.float64]
_ALL = frozenset(range(1, 6))


def normalised_values(
    run: str | Path,
    baseline: str | Path,
    *,
    corruptions: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Value]:
    """Return the corruption errors of a run against a baseline, which counts as exact.

    Args:
        run: folder of the run.
        baseline: name of a published table (:data:`robench.metrics.corruption.BASELINES`), or folder of another run.
        corruptions: the subset; None: of the 15 of the benchmark those that both have, else all that both have.
        resamples: bootstrap resamples over the run's images.
        seed: of the bootstrap.

    Returns:
        ``ce_<corruption>`` of each, ``mce``, ``mean_error`` (unnormalised) and, where both have a clean
        error and the baseline's is below its error under every corruption, ``relative_mce``; ratios and fractions.

    Raises:
        RobenchError: no such baseline or corruption, a baseline of another data set, or one of other severities.
    """
    folder = RunFolder.open(run)
    folder.refuse_damaged()
    severities = _severities(folder)
    table, theirs = _baseline(baseline)
    _refuse_other_data(folder, table)
    chosen = _chosen(corruptions, severities, table, theirs, Path(run))
    names = [f"{name}/{severity}" for name in chosen for severity in sorted(severities[name])]
    # A corruption that the baseline finds no harder than clean images has nothing to divide a rise by.
    rises = table.clean is not None and all(table.mean[name] > table.clean for name in chosen)
    clean = ["clean"] if "clean" in folder.done() and rises else []
    cells = {name: folder.read(name, ()) for name in (*clean, *names)}
    index = indices_of(cells, protocol_of_run(folder.record.suite))
    columns = [rows.columns() | {"index": index[name]} for name, rows in cells.items()]
    values = np.array([compute("error", cell) for cell in columns])
    drawn = bootstrap_cells(columns, ("error",), resamples=resamples, seed=seed)["error"]
    exact = _values(values, len(clean), chosen, severities, table)
    replicates = _values(drawn, len(clean), chosen, severities, table)
    fewest = min(len(cell["index"]) for cell in columns)
    return {
        name: with_interval(float(exact[name]), replicates[name], name, trials=fewest if row(name).share else None)
        for name in exact
    }


def _values(
    errors: Array, clean: int, chosen: tuple[str, ...], severities: dict[str, set[int]], table: Baseline
) -> dict[str, Array]:
    """Return the normalised values of errors (..., cells), the clean one first where there is one."""
    bounds = np.cumsum([clean, *(len(severities[name]) for name in chosen)])
    means = np.stack([errors[..., a:b].mean(axis=-1) for a, b in pairwise(bounds)], axis=-1)
    by_severity = means[..., None]  # means over severities: one number each is the mean of itself
    ce = corruption_errors(by_severity, np.array([table.mean[name] for name in chosen]))
    found = {f"ce_{name}": ce[..., i] for i, name in enumerate(chosen)}
    found["mce"] = mean_corruption_error(by_severity, table, chosen)
    if clean:
        found["relative_mce"] = relative_mean_corruption_error(by_severity, errors[..., 0], table, chosen)
    found["mean_error"] = means.mean(axis=-1)
    return found


def _severities(folder: RunFolder) -> dict[str, set[int]]:
    """Return the severities that a run has finished of each corruption."""
    found: dict[str, set[int]] = {}
    for cell in map(Cell.parse, folder.done()):
        if cell.severity is not None:
            found.setdefault(cell.condition, set()).add(cell.severity)
    if not found:
        raise RobenchError(f"{folder.path} has no finished corrupted cell.", hint="Give a run of a -C suite.")
    return found


def _baseline(given: str | Path) -> tuple[Baseline, dict[str, set[int]] | None]:
    """Return a published table, or that of a run's errors with the severities they are over."""
    if str(given) in BASELINES:
        return BASELINES[str(given)], None
    if not Path(given).is_dir():
        raise RobenchError(
            f"'{given}' is neither a published baseline nor the folder of a run.",
            hint=did_you_mean(str(given), list(BASELINES)),
        )
    folder = RunFolder.open(given)
    severities = _severities(folder)

    def error(cell: str) -> float:
        return compute("error", folder.read(cell, ()).columns())

    means = {
        name: float(np.mean([error(f"{name}/{severity}") for severity in sorted(found)]))
        for name, found in severities.items()
    }
    clean = error("clean") if "clean" in folder.done() else None
    return Baseline(str(given), means, clean, f"run {given}", folder.record.suite.dataset), severities


def _refuse_other_data(folder: RunFolder, table: Baseline) -> None:
    """Refuse errors on one data set divided by errors on another, which look like an mCE and mean nothing."""
    suite = folder.record.suite
    if table.dataset == suite.dataset:
        return
    fitting = [name for name, one in BASELINES.items() if one.dataset == suite.dataset]
    raise RobenchError(
        f"The baseline {table.name} is of {table.dataset}, but {folder.path} is a run on {suite.dataset} "
        f"({suite.name}).",
        hint=f"Use the run of a reference model on {suite.name}{', or ' + fitting[0] if fitting else ''}.",
    )


def _chosen(
    wanted: Sequence[str] | None,
    ours: dict[str, set[int]],
    table: Baseline,
    theirs: dict[str, set[int]] | None,
    run: Path,
) -> tuple[str, ...]:
    both = [name for name in ours if name in table.mean]
    for name in wanted or ():
        if name not in both:
            raise RobenchError(
                f"Corruption '{name}' is not in both {run} and the baseline {table.name}.",
                hint=f"Both have: {', '.join(both) or 'none'}.",
            )
    # What is named mCE is of the benchmark's 15: the four held-out corruptions come in by name only.
    chosen = tuple(wanted or [name for name in both if name in BENCHMARK] or both)
    if not chosen:
        raise RobenchError(f"{run} and the baseline {table.name} share no corruption.", hint="Give runs of one suite.")
    for name in chosen:
        expected = theirs[name] if theirs else set(_ALL)
        if ours[name] != expected:
            raise RobenchError(
                f"{run} has severities {sorted(ours[name])} of '{name}', the baseline {sorted(expected)}.",
                hint="Both errors must be over the same severities; evaluate the missing ones.",
            )
        if table.mean[name] <= 0:
            raise RobenchError(
                f"The baseline {table.name} makes no error on '{name}', so nothing can be divided by it.",
                hint="Omit it with `corruption`, or use another baseline.",
            )
    return chosen
