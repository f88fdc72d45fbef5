"""What :func:`robench.conformal` is made of: held-out scores, sets of every cell, their values with intervals."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from robench.api.held_out import Columns, Seen, chosen
from robench.api.refitting import SHIFTED, shifted_cells
from robench.api.words import number, whole
from robench.catalogue import row
from robench.errors import RobenchError
from robench.metrics.cells import compute, mean_over_cells
from robench.metrics.conformal import LEAST, STRATA, Rule, set_sizes, stratum, target_scores, with_own_class
from robench.metrics.statistics import bootstrap_cells
from robench.predictions import RunFolder
from robench.results.halves import Index
from robench.results.own_images import images_apart
from robench.results.protocols import protocol_of_run
from robench.results.schema import Value
from robench.results.values import with_interval
from robench.suites import Cell

COVERAGE, SIZE, WORST = "conformal_coverage", "conformal_set_size", "size_stratified_coverage"
_TARGET = ("target_tail", "target_rank", "target_probability")
_OTHERS = ("log_complement", "second_logit", "logsumexp", "logits")


@dataclass(frozen=True)
class Stratum:
    """Images whose sets hold ``low`` to ``high`` classes, and the share of these sets with the right class."""

    low: int
    high: int
    images: int
    coverage: float


def rule_of(method: str, penalty: float | None, kreg: int | None) -> Rule:
    """Return the score of a method.

    Raises:
        RobenchError: an option of ``raps`` with another method, or out of its range.
    """
    for name, given in (("penalty", penalty), ("kreg", kreg)):
        if given is not None and method != "raps":
            raise RobenchError(
                f"`{name}` has no effect on the method '{method}'; it applies only to raps.",
                hint=f"Omit `{name}`, or set `method='raps'`.",
            )
    usual = Rule(method)
    return Rule(
        method,
        usual.penalty if penalty is None else number("penalty", penalty, least=0.0),
        usual.kreg if kreg is None else whole("kreg", kreg, least=0),
    )


def used(folder: RunFolder, cell: str, alpha: float, half: Index | None) -> Columns:
    """Return the columns of the images that the threshold is found on: those of ``half``; None: all.

    Raises:
        RobenchError: they are too few for alpha, or not what a threshold can be found on.
    """
    columns = _columns(folder, cell, ("log_complement",))
    columns = columns if half is None else chosen(columns, np.isin(columns["index"], half))
    found, least = len(columns["index"]), ceil(1.0 / alpha - 1e-9) - 1
    if found < max(least, 1):
        raise RobenchError(
            f"`alpha={alpha:g}` needs at least {max(least, 1):,} held-out images; '{cell}' of {folder.path} gives"
            f" {found:,}.",
            hint="Set a larger `alpha`, or evaluate more images.",
        )
    return columns


def _columns(folder: RunFolder, cell: str, more: tuple[str, ...]) -> Columns:
    rows = folder.read(cell, ("frame", "targets", "fingerprint", *_TARGET, *more))
    if rows.targets is not None or rows.frame is not None or not len(rows) or bool(np.any(rows.target < 0)):
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} does not have one label per image.",
            hint="Give a run of a classification suite.",
        )
    if rows.target_tail is None:
        raise RobenchError(
            f"{folder.path} was measured by an earlier version, which kept no ranks of the right class.",
            hint="Evaluate the model again into a new folder.",
        )
    return dict(rows.stored())


def measured(folder: RunFolder, seen: Seen, rule: Rule, limit: float) -> dict[str, Columns]:
    """Return, for every cell, ``index``, ``covered`` and ``set_size`` of the images that were not held out."""
    found = {}
    for cell in folder.done():
        columns = seen.left(cell, _columns(folder, cell, _OTHERS))
        covered = target_scores(columns, rule) <= limit
        which: Columns = {name: columns[name] for name in ("index", "fingerprint") if name in columns}
        found[cell] = which | {
            "covered": covered.astype(np.uint8),
            "set_size": with_own_class(set_sizes(columns, rule, limit), covered, columns["target_rank"]),
        }
    return found


def values_of(
    run: RunFolder, cells: Mapping[str, Columns], fit_on: str, resamples: int, seed: int
) -> tuple[dict[str, dict[str, Value]], dict[str, tuple[Stratum, ...]]]:
    """Return the values of every cell, severity and of the mean under shift, and the cells' strata."""
    names, metrics = list(cells), (COVERAGE, SIZE, WORST)
    known = {name: bool(np.isfinite(columns["set_size"]).all()) for name, columns in cells.items()}
    suite = protocol_of_run(run.record.suite)
    prints = {name: columns.get("fingerprint") for name, columns in cells.items()}
    index = images_apart({name: columns["index"] for name, columns in cells.items()}, suite, prints)
    one = {name: {} if known[name] else {"set_size": np.ones(len(index[name]))} for name in cells}
    filled = [columns | {"index": index[name]} | one[name] for name, columns in cells.items()]
    found = {m: np.array([compute(m, columns) for columns in filled]) for m in metrics}
    drawn = bootstrap_cells(filled, metrics, resamples=resamples, seed=seed)

    def of_group(metric: str, at: list[int]) -> Value:
        if metric != COVERAGE and not all(known[names[i]] for i in at):
            return Value(value=None, note="set sizes need the logits of every class")
        value = float(mean_over_cells(metric, found[metric][at]))
        if metric == WORST and not np.isfinite(value):
            return Value(value=None, note=f"no stratum of set sizes has {LEAST} images")
        images = min(len(cells[names[i]]["index"]) for i in at) if row(metric).share else None
        return with_interval(value, mean_over_cells(metric, drawn[metric][:, at]), metric, trials=images)

    shifted = shifted_cells(suite, names, fit_on)
    groups = {name: [i] for i, name in enumerate(names)}
    for severity in range(1, 6):
        if at := [i for i in shifted if Cell.parse(names[i]).severity == severity]:
            groups[f"severity/{severity}"] = at
    groups |= {SHIFTED: shifted} if shifted else {}
    values = {group: {m: of_group(m, at) for m in metrics} for group, at in groups.items()}
    return values, {name: _strata(cells[name]) for name in names if known[name]}


def _strata(columns: Columns) -> tuple[Stratum, ...]:
    which = stratum(columns["set_size"])
    return tuple(
        Stratum(low, high, int((which == k).sum()), float(columns["covered"][which == k].mean()))
        for k, (low, high) in enumerate(STRATA)
        if (which == k).any()
    )


def expected_coverage(fit_images: int, alpha: float, images: int) -> tuple[float, float]:
    """Return the 95 % range of the coverage of ``images`` exchangeable images, over draws of the held-out ones.

    The number of covered images is beta-binomial with k and n + 1 - k, k = ceil((n + 1)(1 - alpha)).

    Source: Vovk 2012; Angelopoulos and Bates 2023, section 3.2.

    >>> [round(float(end), 3) for end in expected_coverage(500, 0.1, 500)]
    [0.86, 0.934]
    """
    from scipy.stats import betabinom

    k = ceil((fit_images + 1) * (1.0 - alpha) - 1e-9)
    low, high = betabinom.ppf([0.025, 0.975], images, k, fit_images + 1 - k)
    return float(low) / images, float(high) / images


def notes_of(run: RunFolder, cells: Mapping[str, Columns], method: str) -> list[str]:
    """Say which cells' set sizes are not known, and the command that keeps what they need."""
    lacking = [name for name, columns in cells.items() if not np.isfinite(columns["set_size"]).all()]
    if not lacking:
        return []
    where = f"'{lacking[0]}'" if len(lacking) == 1 else f"{len(lacking)} of {len(cells)} cells"
    return [
        f"The sizes of {method.upper()} sets in {where} are not known without the logits of every class. To keep them:"
        f" {_with_logits(run)}"
    ]


def _with_logits(run: RunFolder) -> str:
    """Return the command that measured a run, with its logits kept in a new folder."""
    words = shlex.split(run.record.command or "")
    if words[:2] != ["robench", "evaluate"]:
        return "robench.evaluate(model, suite, keep_logits='yes')"
    kept, skip = [], False
    for word in words:
        if skip or word in ("--out", "-o", "--keep-logits"):
            skip = not skip
        elif not word.startswith(("--out=", "--keep-logits=")):
            kept.append(word)
    return shlex.join([*kept, "--keep-logits", "yes", "--out", f"{run.path}-logits"])
