"""``robench.decide(models, suite, margin=...)``: measure two models in turn until it is clear which is better."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from robench.api.against import Chosen, baseline_of, budget_of, chosen_values, opened, packed
from robench.api.margins import Margin, margins_of
from robench.api.options import EvaluateWords, ModelOptions, Names, Place, ReportOptions
from robench.api.words import both_given, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.looks import Bounds, Look, Looks
    from robench.api.options import EngineOptions, SuiteOptions
    from robench.suites import OpenSuite

Verdict = Literal["better", "worse", "equivalent", "undecided"]
LEVEL = 0.05
METHOD = (
    "repeated confidence intervals, O'Brien-Fleming-type spending (Lan and DeMets 1983; Jennison and Turnbull 1989): "
    "better or worse at 5 % two-sided, equivalent by two one-sided tests at 5 %; Bonferroni over the values"
)


@dataclass(frozen=True)
class DecidedValue:
    """One value of two models; all numbers are as they are stored (shares, not percentages).

    Args:
        name: of the summary value.
        a, b: the two models' values.
        difference: ``a`` minus ``b``, in this sample.
        low, high: 95 % interval of the true difference, valid at all looks together.
        margin: within which they count as equivalent.
        verdict: of ``a`` against ``b``.
    """

    name: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    margin: float
    verdict: Verdict


@dataclass(frozen=True)
class Decision:
    """Which of two models is better, or that they are equivalent.

    Args:
        suite: its name.
        a, b: the models' names.
        values: what was found of each value.
        images: per cell.
        passes: forward passes in the sample, of all models that are measured here.
        measured: those of them that this call made.
        of: forward passes of the whole suite.
        looks: how often the growing sample was looked at.
        seconds: that this call took.
        folders: the runs' folders.
        notes: what a reader should know.
        method: how the intervals were computed.
    """

    suite: str
    a: str
    b: str
    values: tuple[DecidedValue, ...]
    images: int
    passes: int
    measured: int
    of: int
    looks: int
    seconds: float
    folders: tuple[Path, ...]
    notes: tuple[str, ...]
    method: str = METHOD

    @property
    def decided(self) -> bool:
        """Whether no value is undecided."""
        return all(one.verdict != "undecided" for one in self.values)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON-able document."""
        folders = [str(folder) for folder in self.folders]
        return {"kind": "robench-decision", **asdict(self), "folders": folders, "decided": self.decided}


@spelled_out(EvaluateWords)
def decide(
    models: Place | Sequence[Any],
    suite: str | OpenSuite,
    *,
    margin: Margin,
    figures: Names | None = None,
    budget: int | None = None,
    minutes: float | None = None,
    data: Place | None = None,
    out: Place | None = None,
    model_options: ModelOptions | None = None,
    suite_options: SuiteOptions | None = None,
    engine_options: EngineOptions | None = None,
    report_options: ReportOptions | None = None,
    **words: Unpack[EvaluateWords],
) -> Decision:
    """Measure two models in turn on the same images until it is clear which is better, or that they are equivalent.

    The sample grows, and is looked at, until every value's interval leaves 0 out (better or worse) or lies within the
    margin (equivalent). Each verdict is wrong in at most 5 % of decisions, however often the sample is looked at.

    Args:
        models: two models, as for :func:`robench.grid`; the second may be the folder of a run.
        suite, data: as for :func:`robench.evaluate`.
        margin: points within which they count as equivalent; ``"mean_error=1,mean_brier=0.01"`` or a mapping for
            several values.
        figures: names of the values, or of metrics, which stand for their mean; None: those that ``margin`` names, or
            the suite's headline.
        budget: forward passes of both models; None: the whole suite.
        minutes: of this call.
        out: folder of the runs (``out/SUITE/MODEL-HASH``); None: ``runs``.
        model_options, suite_options, engine_options, report_options, words: as for :func:`robench.grid`.

    Returns:
        The decision; undecided where the budget, or the whole suite, was not enough. A call that is stopped and
        repeated goes on where it was.

    Raises:
        RobenchError: bad input, contradicting options, or a budget that is too small for any answer.

    >>> import tempfile, robench
    >>> two = ["reference:digits/augmix", "reference:digits/standard"]
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = robench.decide(two, "digits-c", margin=1.0, corruption="fog", device="cpu", quiet=True, out=out)
    >>> found.values[0].verdict, found.passes < found.of
    ('better', True)
    """
    from robench.api.grid import rows_of
    from robench.api.looks import Looks

    began = time.monotonic()
    margins, allowed = margins_of("margin", margin), budget_of(budget, minutes)
    options = packed(words, model_options, suite_options, engine_options, report_options)
    rows = rows_of(models, options.model)
    if len(rows) != 2:
        raise RobenchError(f"A decision is between two models; found {len(rows)}.", hint="Name two in `models`.")
    given = [row.model if len(row.model) > 1 else row.model[0] for row in rows]
    first = opened(given[0], suite, data, replace(options, model=rows[0].options), out)
    other = baseline_of(given[1], suite, data, replace(options, model=rows[1].options), out, first, as_given=True)
    chosen = chosen_values("margin", figures, margins, first)
    looks = Looks(
        first, other, chosen.margins, _levels(chosen.margins), allowed, f"{first.model.name} and {other.name}"
    )
    seen = looks.until(lambda look: settled(chosen.margins, look))
    return _decision(looks, seen, chosen, time.monotonic() - began)


def _decision(looks: Looks, seen: Sequence[Look], chosen: Chosen, seconds: float) -> Decision:
    last, first, other = seen[-1], looks.first, looks.baseline
    folders = [first.folder, *([other.measured.folder] if other.measured is not None else [])]
    return Decision(
        suite=first.suite.suite.name,
        a=first.model.name,
        b=other.name,
        values=tuple(_value(chosen, name, one) for name, one in last.bounds.items()),
        images=last.images,
        passes=last.passes,
        measured=first.passes + (other.measured.passes if other.measured is not None else 0),
        of=looks.passes(max(first.suite.total(cell) for cell in first.suite.suite.cells)),
        looks=len(seen),
        seconds=round(seconds, 1),
        folders=tuple(folders),
        notes=chosen.notes,
    )


def _levels(margins: dict[str, float]) -> tuple[float, float]:
    """Return the error rates of each end of the intervals: for a difference (two-sided), and for equivalence."""
    return LEVEL / (2 * len(margins)), LEVEL / len(margins)


def verdict_of(margins: dict[str, float], name: str, found: Bounds) -> Verdict:
    """Return what a look says of one value; equivalence comes first."""
    two_sided, one_sided = _levels(margins)
    margin = margins[name]
    if found.low(one_sided) > -margin and found.high(one_sided) < margin:
        return "equivalent"
    if found.high(two_sided) < 0:
        return "better"
    return "worse" if found.low(two_sided) > 0 else "undecided"


def settled(margins: dict[str, float], look: Look) -> bool:
    """Return whether a look decides all values."""
    verdicts = [verdict_of(margins, name, one) for name, one in look.bounds.items()]
    return len(verdicts) == len(margins) and "undecided" not in verdicts


def _value(chosen: Chosen, name: str, found: Bounds) -> DecidedValue:
    from robench.catalogue import row

    level = _levels(chosen.margins)[0]
    sign = 1.0 if row(name).lower_is_better is not False else -1.0  # a loss is always above 0
    ends = sorted((sign * found.low(level), sign * found.high(level)))
    margin, verdict = chosen.margins[name], verdict_of(chosen.margins, name, found)
    loss = found.loss
    return DecidedValue(name, loss.a, loss.b, loss.a - loss.b, ends[0], ends[1], margin, verdict)


def check_deciding(
    until_decided: bool, models: object, others: Mapping[str, object], amounts: Mapping[str, object]
) -> None:
    """Refuse options of an evaluation that do not go with a decision, and those of a decision without one.

    Args:
        until_decided: whether a decision is wanted.
        models: the two models.
        others: options that have no effect on a decision, by name.
        amounts: options that only a decision has, by name.

    Raises:
        RobenchError: there are some, or the models or the margin are missing.
    """
    if not until_decided:
        for name, value in amounts.items():
            if value is not None:
                raise RobenchError(f"`{name}` has no effect without `until_decided`.", hint="Add `until_decided=True`.")
        return
    both_given([("until_decided", True, name, value) for name, value in others.items()])
    if models is None:
        raise RobenchError("`until_decided` needs two models.", hint="Name them in `models`, as `models='a.pt,b.pt'`.")
    if amounts["margin"] is None:
        raise RobenchError("`until_decided` needs a margin.", hint="For example `margin=0.5`.")
