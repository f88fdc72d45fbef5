"""The Python way to the same things as the command line: ``robench.evaluate(model, suite) -> Result``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, Progress, default_folder, evaluate_suite, make_progress
from robench.evaluation.distributed import evaluate_over_ranks
from robench.models.base import Model
from robench.processes import launched_by_torchrun
from robench.results import Result, save, score_run
from robench.results.scoring import current_result
from robench.suites import OpenOptions, OpenSuite, fit_to_model, open_suite

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
    save(result, outcome.run.path / "result.json")
    return result


def as_model(model: Any, num_classes: int | None, **options: Any) -> Model:
    """Return ``model`` as a :class:`robench.models.base.Model`: loaded from its spec, or wrapped.

    Raises:
        RobenchError: it cannot be loaded, or one of mean and std was given without the other.
    """
    if isinstance(model, Model):
        return model
    from robench.models import load_model, wrap

    given = {key: value for key, value in options.items() if value is not None}
    if ("mean" in given) != ("std" in given):
        raise RobenchError(
            f"{'mean' if 'mean' in given else 'std'} was given alone: half a normalisation gives figures of no model.",
            hint="Give both mean and std, of images in [0, 1].",
        )
    if isinstance(model, (str, Path)):
        return load_model(str(model), num_classes=num_classes, **given)
    return wrap(model, num_classes=num_classes, **given)
