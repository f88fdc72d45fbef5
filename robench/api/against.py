"""Two models that are decided between: how each is opened, and on which values with which margins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.api.options import EvaluateWords, ModelOptions, Names, Place
from robench.api.words import names, place, shown, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.compared import Baseline, Budget, Measured
    from robench.api.options import ModelLike
    from robench.api.packing import Given
    from robench.results import Result
    from robench.suites import OpenSuite


@dataclass(frozen=True)
class Chosen:
    """The values that are decided on: their margins in stored units, and what is to be said of them."""

    margins: dict[str, float]
    notes: tuple[str, ...]


def budget_of(budget: int | None, minutes: float | None) -> Budget:
    """Return how much may be measured.

    Raises:
        RobenchError: not a number of passes, or not a time.
    """
    from robench.api.compared import Budget

    return Budget(
        None if budget is None else whole("budget", budget, least=1), None if minutes is None else _minutes(minutes)
    )


def _minutes(value: Any) -> float:
    try:
        minutes = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        minutes = 0.0
    if not 0 < minutes < 1e6:
        raise RobenchError(f"`minutes` must be above 0; found {shown(value)}.", hint="For example `minutes=5`.")
    return minutes


def packed(words: EvaluateWords, *objects: Any) -> Given:
    """Return the options; those that say how much is measured are refused.

    Raises:
        RobenchError: as :func:`robench.api.packing.pack`, or such an option.
    """
    from robench.api.packing import pack
    from robench.processes import launched_by_torchrun

    found = pack(words, *objects)
    for name, value in (
        ("limit", found.suite.limit),
        ("within", found.within),
        ("resamples", words.get("resamples")),
    ):
        if value:
            raise RobenchError(f"`{name}` has no effect here: the sample grows until the decision stands.",
                               hint=f"Omit `{name}`, or set `budget`.")  # fmt: skip
    if launched_by_torchrun():
        raise RobenchError("Deciding between models runs in one process.", hint="Run it without torchrun.")
    return found


def opened(
    model: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    data: Place | None,
    options: Given,
    out: Place | None,
) -> Measured:
    """Return a model with its suite and the folder of its run."""
    from robench.api.compared import Measured
    from robench.api.evaluate import loaded_and_opened
    from robench.evaluation import default_folder

    loaded, images = loaded_and_opened(model, suite, data, options)
    root = Path("runs") if out is None else place("out", out)
    return Measured(loaded, images, default_folder(loaded, images, options.engine, root), options)


def baseline_of(
    baseline: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    data: Place | None,
    options: Given,
    out: Place | None,
    first: Measured,
    arch: str | None = None,
    *,
    as_given: bool = False,
) -> Baseline:
    """Return the baseline: a run, a result, or a model that is measured too.

    Args:
        baseline: which.
        suite, data, options, out: as of the first model.
        first: the first model.
        arch: architecture of a baseline that is a file of weights; None: that of the first model.
        as_given: whether the options are the baseline's own, not those of the first model.

    Raises:
        RobenchError: it is of another protocol, or lacks cells.
    """
    from robench.api.compared import Baseline
    from robench.predictions import RunFolder
    from robench.results import load

    path = Path(baseline) if isinstance(baseline, (str, Path)) else None
    if path is not None and path.suffix == ".json" and path.is_file():
        if (path.parent / "run.json").exists() and path.name == "result.json":
            path = path.parent
        else:
            result = load(path)
            _refuse_other(result.suite.protocol, [cell.name for cell in result.cells], first, str(path))
            _refuse_other_means(result, first, str(path))
            return Baseline(result.model.name, result=result)
    if path is not None and (path / "run.json").exists():
        if arch is not None:
            raise RobenchError("`baseline_arch` has no effect on a run.", hint="Omit `baseline_arch`.")
        run = RunFolder.open(path)
        _refuse_other(run.record.identity.protocol, run.done(), first, str(path))
        samples = [run.sample(cell.name) for cell in first.suite.suite.cells]
        drawn = [sample.drawn for sample in samples if sample is not None]
        return Baseline(run.record.model.name, run=run, most=min(drawn, default=None))
    if not as_given:
        options = replace(options, model=_own(baseline, options.model, arch))
    try:
        measured = opened(baseline, suite, data, options, out)
    except RobenchError as error:  # its loader names the option of the first model
        if as_given or "path in `model`" not in (error.hint or ""):
            raise
        hint = str(error.hint).replace("path in `model`", "path in `baseline`")
        raise RobenchError(error.message, hint=hint) from error
    return Baseline(measured.model.name, measured=measured)


def _own(baseline: ModelLike | Sequence[ModelLike], options: ModelOptions, arch: str | None) -> ModelOptions:
    """Return how a baseline is loaded: as the model, unless it brings its own architecture and preprocessing."""
    from robench.api.models import is_weights

    if isinstance(baseline, (str, Path)) and is_weights(str(baseline)):
        return replace(options, arch=arch or options.arch, name=None)
    if arch is not None:
        raise RobenchError("`baseline_arch` has no effect on this baseline.", hint="Omit `baseline_arch`.")
    if isinstance(baseline, (str, Path)):
        return ModelOptions(num_classes=options.num_classes)
    return replace(options, arch=None, norm=None, ema=False, name=None)


def _refuse_other(protocol: dict[str, Any], cells: Sequence[str], first: Measured, where: str) -> None:
    from robench.results.protocols import of_images

    there, here = of_images(protocol), of_images(first.suite.protocol)
    keys = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
    if keys:
        raise RobenchError(
            f"The baseline {where} is not of the same protocol; it differs in {', '.join(keys)}.",
            hint="Evaluate the baseline on the same suite and `data`, or give its model as `baseline`.",
        )
    missing = [cell.name for cell in first.suite.suite.cells if cell.name not in set(cells)]
    if missing:
        raise RobenchError(
            f"The baseline {where} lacks {len(missing)} of {len(first.suite.suite.cells)} cells, such as {missing[0]}.",
            hint="Finish it with `robench evaluate`, or choose its cells with `corruption` and `severity`.",
        )


def _refuse_other_means(result: Result, first: Measured, where: str) -> None:
    """Refuse a result whose means are over more cells than are measured here: its predictions are not there."""
    from robench.results.protocols import averaged
    from robench.suites import Cell

    here = {cell.name for cell in first.suite.suite.cells}
    counted = averaged(first.suite.suite, (Cell(cell.condition, cell.severity) for cell in result.cells))
    more = [cell.name for cell in result.cells if cell.condition in counted and cell.name not in here]
    if more:
        raise RobenchError(
            f"The baseline {where} has {len(more)} cells that are not measured here, such as {more[0]}: its means are"
            " over them too.",
            hint="Measure all of its cells, or give the folder of its run, which has the predictions of every cell.",
        )


def chosen_values(option: str, figures: Names | None, margins: dict[str, float], first: Measured) -> Chosen:
    """Return the values that are decided on, each with its margin.

    Args:
        option: the name of the option with the margins.
        figures: names of values or metrics; None: those that the margins name, or the suite's headline.
        margins: of :func:`robench.api.margins.margins_of`.
        first: the model that is judged.

    Raises:
        RobenchError: a value that is not there, cannot be decided from a sample, or has no margin.
    """
    from robench.results.deciding import value_names
    from robench.results.judging import margin_of

    named = [name for name in margins if name]
    wanted = list(names("figures", figures)) if figures is not None else named
    if lost := [name for name in named if name not in wanted]:
        raise RobenchError(f"`{option}` names '{lost[0]}', which `figures` does not.", hint="Add it to `figures`.")
    cells = [cell.name for cell in first.suite.suite.cells]
    found, notes = {}, []
    for name, value in value_names(wanted, first.suite.suite, cells).items():
        allowed = {value: margins[name]} if name in margins else {"": margins[""]} if "" in margins else {}
        margin = margin_of(value, allowed)
        if margin is None:
            raise RobenchError(f"`{option}` has no value for '{name}'.", hint=f"For example `{option}='{name}=0.01'`.")
        found[value] = margin
        if name not in value:
            notes.append(f"{name} stands for {value}.")
        if value.endswith("_debiased") and not name.endswith("_debiased"):
            notes.append(f"{name} is biased in a sample: its debiased form {value} stands in its place.")
    return Chosen(found, tuple(notes))
