"""``robench.gate(model, suite, baseline)``: does a new model lose against the one it is to replace?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from robench.api.against import Chosen, baseline_of, budget_of, chosen_values, opened, packed
from robench.api.gate_outcome import GateOutcome, GateValue, Verdict, method_of
from robench.api.margins import Margin, margins_of
from robench.api.options import EvaluateWords, ModelOptions, Names, Place, ReportOptions
from robench.api.words import spelled_out

if TYPE_CHECKING:
    from robench.api.compared import Budget
    from robench.api.looks import Bounds, Look, Looks
    from robench.api.options import EngineOptions, ModelLike, SuiteOptions
    from robench.suites import OpenSuite

LEVEL = 0.05
# A little below 5 %: a nominal 5 % came out at 5.2 % of 1,000 simulated gates (docs/deciding.md).
ALARMS = 0.04


@spelled_out(EvaluateWords)
def gate(
    model: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    *,
    baseline: ModelLike | Place,
    max_loss: Margin,
    figures: Names | None = None,
    budget: int | None = None,
    minutes: float | None = None,
    baseline_arch: str | None = None,
    data: Place | None = None,
    out: Place | None = None,
    model_options: ModelOptions | None = None,
    suite_options: SuiteOptions | None = None,
    engine_options: EngineOptions | None = None,
    report_options: ReportOptions | None = None,
    **words: Unpack[EvaluateWords],
) -> GateOutcome:
    """Measure a model until it is clear whether it loses more than allowed against a baseline.

    The sample grows until every value's loss is shown to be below ``max_loss`` (pass), or one's above it (loss). Where
    the budget ends before that, a value whose loss is shown to be above 0, and not to be below ``max_loss``, is a loss;
    else the gate is undecided. Of two equal models at most 5 % of gates end in a loss; a model that loses ``max_loss``
    or more passes in at most 5 %.

    Args:
        model, suite, data: as for :func:`robench.evaluate`.
        baseline: a model, which is measured on the same images; a run's folder; or a ``result.json``, whose predictions
            are not there: the comparison is then unpaired, and needs more images.
        max_loss: points by which a value may be worse; ``"mean_error=1,mean_brier=0.01"`` or a mapping for several.
        figures: names of the values, or of metrics, which stand for their mean; None: those that ``max_loss`` names, or
            the suite's headline.
        budget: forward passes, those of the baseline included where it is measured; None: the whole suite.
        minutes: of this call.
        baseline_arch: architecture of a baseline that is a file of weights; None: that of the model.
        out: folder of the runs (``out/SUITE/MODEL-HASH``); None: ``runs``.
        model_options, suite_options, engine_options, report_options, words: as for :func:`robench.evaluate`.

    Returns:
        The outcome. A gate that is stopped and repeated goes on where it was.

    Raises:
        RobenchError: bad input, contradicting options, or a budget that is too small for any answer.

    >>> import tempfile, robench
    >>> with tempfile.TemporaryDirectory() as out:
    ...     found = robench.gate("reference:digits/standard", "digits-c", baseline="reference:digits/augmix",
    ...                          max_loss=1.0, corruption="fog,frost", device="cpu", quiet=True, out=out)
    >>> found.verdict, found.exit_code, found.values[0].name
    ('loss', 1, 'mean_error')
    """
    from robench.api.looks import Looks

    began = time.monotonic()
    margins, allowed = margins_of("max_loss", max_loss), budget_of(budget, minutes)
    options = packed(words, model_options, suite_options, engine_options, report_options)
    first = opened(model, suite, data, options, out)
    against = baseline_of(baseline, suite, data, options, out, first, baseline_arch)
    chosen = chosen_values("max_loss", figures, margins, first)
    title = f"{first.model.name} against {against.name}"
    looks = Looks(first, against, chosen.margins, _levels(chosen.margins), allowed, title)
    seen = looks.until(lambda look: of_look(chosen.margins, look, ended=False) != "undecided")
    return _outcome(looks, seen, chosen, allowed, time.monotonic() - began)


def _levels(margins: dict[str, float]) -> tuple[float, float]:
    """Return the error rates of the lower and of the upper bounds.

    A loss of any value is one of the gate, so the lower bounds hold for all values together (Bonferroni). A gate passes
    only if all values do, so each upper bound holds for itself (intersection-union, Berger 1982).
    """
    return ALARMS / len(margins), LEVEL


def of_bounds(margins: dict[str, float], name: str, found: Bounds, *, ended: bool) -> Verdict:
    """Return what a look says of one value; ``ended``: no look follows."""
    low, high = _levels(margins)
    if found.high(high) < margins[name]:
        return "pass"
    return "loss" if found.low(low) > (0.0 if ended else margins[name]) else "undecided"


def of_look(margins: dict[str, float], look: Look, *, ended: bool) -> Verdict:
    """Return what a look says of all values together; ``ended``: no look follows."""
    verdicts = [of_bounds(margins, name, one, ended=ended) for name, one in look.bounds.items()]
    if "loss" in verdicts:
        return "loss"
    return "pass" if len(verdicts) == len(margins) and set(verdicts) == {"pass"} else "undecided"


def _outcome(looks: Looks, seen: Sequence[Look], chosen: Chosen, allowed: Budget, seconds: float) -> GateOutcome:
    last, first, against = seen[-1], looks.first, looks.baseline
    notes = list(chosen.notes)
    notes += [f"{name} is undefined for so few images." for name in chosen.margins if name not in last.bounds]
    if against.result is not None:
        notes.append("Unpaired: the baseline's predictions are not there, so its stored interval was taken.")
    every = max(first.suite.total(cell) for cell in first.suite.suite.cells)
    folders = [first.folder]
    folders += [against.measured.folder] if against.measured is not None else []
    return GateOutcome(
        verdict=of_look(chosen.margins, last, ended=True),
        suite=first.suite.suite.name,
        model=first.model.name,
        baseline=against.name,
        paired=against.result is None,
        values=tuple(_value(chosen.margins, name, one) for name, one in last.bounds.items()),
        images=last.images,
        passes=last.passes,
        measured=first.passes + (against.measured.passes if against.measured is not None else 0),
        of=looks.passes(every),
        looks=len(seen),
        budget=allowed.passes,
        minutes=allowed.minutes,
        seconds=round(seconds, 1),
        folders=tuple(folders),
        notes=tuple(notes),
        method=method_of(len(chosen.margins)),
    )


def _value(margins: dict[str, float], name: str, found: Bounds) -> GateValue:
    low, high = _levels(margins)
    return GateValue(
        name=name,
        model=found.loss.a,
        baseline=found.loss.b,
        loss=found.loss.loss,
        low=found.low(low),
        high=found.high(high),
        max_loss=margins[name],
        verdict=of_bounds(margins, name, found, ended=True),
    )
