"""The Python way to the same things as the command line: ``robench.evaluate(model, suite) -> Result``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, Progress, default_folder, evaluate_suite, make_progress
from robench.evaluation.distributed import evaluate_over_ranks, launched_by_torchrun
from robench.models.base import Model
from robench.results import Result, save, score_run
from robench.results.scoring import current_result
from robench.suites import fit_to_model, open_suite
from robench.suites.base import OpenOptions, OpenSuite

if TYPE_CHECKING:
    import torch


def evaluate(
    model: Model | str | Callable[[torch.Tensor], torch.Tensor],
    suite: str | OpenSuite,
    *,
    data: str | Path | None = None,
    out: str | Path | None = None,
    num_classes: int | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    name: str | None = None,
    options: EvaluationOptions | None = None,
    open_options: OpenOptions | None = None,
    resamples: int = 1000,
    quiet: bool = False,
    progress: Progress | None = None,
    **model_options: Any,
) -> Result:
    """Measure a model on a suite and return its result; what is finished already is not measured again.

    Args:
        model: a model of ours, a spec (path, ``timm:NAME``...), an ``nn.Module``, or any callable from float32
            images (n, 3, H, W), normalised, to logits (n, K).
        suite: a suite's name or an open suite.
        data: the suite's files, or the clean images it is generated from; None: the default data folder.
        out: the run's folder; None: ``runs/SUITE/MODEL-HASH``.
        num_classes: classes that the model puts out; None: the suite's.
        mean, std: the model's normalisation, in units of images in [0, 1]; None: the model's own, else none.
        name: what tables call the model.
        options: device, precision, batch size.
        open_options: seed, limit, subsets of cells, geometry.
        resamples: bootstrap resamples of the intervals.
        quiet: show no progress.
        progress: show progress this way.
        model_options: more for :func:`robench.models.load_model` (``arch=...``).

    Returns:
        The result, also written to ``out/result.json``.

    Raises:
        RobenchError: bad input; the message says what to do. Finished cells are kept.
    """
    opened = open_suite(suite, data, open_options or OpenOptions()) if isinstance(suite, str) else suite
    loaded = as_model(model, num_classes or opened.suite.num_classes, mean=mean, std=std, name=name, **model_options)
    opened = fit_to_model(opened, loaded.preprocessing.geometry)
    options = options or EvaluationOptions()
    folder = Path(out) if out is not None else default_folder(loaded, opened, options)
    shown = progress or make_progress(f"{loaded.name} on {opened.suite.name}", quiet=quiet)
    if launched_by_torchrun():
        outcome, first = evaluate_over_ranks(loaded, opened, folder, options, progress=shown)
        if not first:
            raise SystemExit(0)
    else:
        outcome = evaluate_suite(loaded, opened, folder, options, progress=shown)
    if not outcome.run.done():
        reasons = "; ".join(sorted(set(outcome.failures.values()))[:3])
        raise RobenchError(f"No cell of {opened.suite.name} could be measured: {reasons}", hint="Check --data.")
    if not outcome.fresh and not outcome.failures and (known := current_result(outcome.run, resamples)):
        return known
    result = score_run(outcome.run, resamples=resamples, failures=outcome.failures)
    result.notes += notes_on(opened, result)
    save(result, outcome.run.path / "result.json")
    return result


def as_model(model: Any, num_classes: int | None, **options: Any) -> Model:
    """Return ``model`` as a :class:`robench.models.base.Model`: loaded from its spec, or wrapped."""
    if isinstance(model, Model):
        return model
    from robench.models import load_model, wrap

    given = {key: value for key, value in options.items() if value is not None}
    if isinstance(model, (str, Path)):
        return load_model(str(model), num_classes=num_classes, **given)
    return wrap(model, num_classes=num_classes, **given)


_CHANCE_FACTOR = 0.8
_CONFIDENCE = ("error", "overconfidence_gap")


def notes_on(opened: OpenSuite, result: Result) -> list[str]:
    """Return what a reader should know: what the suite remarks, a suspiciously bad clean error or confidence."""
    notes = list(opened.remarks)
    clean = result.summary.get("clean_error")
    classes = result.suite.num_classes
    if clean is not None and clean.value is not None and classes > 1 and clean.value > 0.5:
        chance = 1.0 - 1.0 / classes
        if clean.value > _CHANCE_FACTOR * chance:
            notes.append(
                f"The clean error is {100 * clean.value:.1f} %, near chance ({100 * chance:.1f} %). The likeliest "
                "cause is a wrong normalisation (--mean, --std or --norm-preset), then classes in another order, then "
                "weights that belong to another architecture."
            )
    return [*notes, *_probabilities(result)]


def _probabilities(result: Result) -> Iterator[str]:
    """Yield a sentence where the model seems to put out probabilities: softmax leaves little of their differences."""
    most = math.e / (math.e + result.suite.num_classes - 1)  # for a row of one 1 and zeros
    right, sure = {}, []
    for cell in result.cells:
        error, gap = (cell.metrics[name].value if name in cell.metrics else None for name in _CONFIDENCE)
        if error is not None and gap is not None:
            right[cell.name] = 1.0 - error
            sure.append(gap + 1.0 - error)
    best = max(right, key=right.__getitem__, default="")
    if sure and max(sure) <= most + 1e-4 and right[best] > most + 0.1:
        yield (
            f"The mean confidence is {100 * max(sure):.3g} % at most, though {100 * right[best]:.3g} % of {best} are "
            "right: the model seems to put out probabilities, and they were taken for logits. The errors hold; "
            "calibration, Brier scores and likelihoods do not. Let it return logits, or the probabilities' logarithm."
        )
