"""``robench.evaluate(model, suite) -> Result``, and what it would do: ``robench.plan(model, suite) -> Plan``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from robench.api.options import EvaluateWords, ModelOptions, Place, ReportOptions
from robench.api.scored import Evaluated, scored
from robench.api.words import both_given, place, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.options import EngineOptions, ModelLike, SuiteOptions
    from robench.api.packing import Given
    from robench.api.planning import Plan
    from robench.evaluation import Outcome, Progress
    from robench.models.base import Model
    from robench.results import Result
    from robench.suites import OpenSuite


@spelled_out(EvaluateWords)
def evaluate(
    model: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    *,
    data: Place | None = None,
    out: Place | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
    model_options: ModelOptions | None = None,
    suite_options: SuiteOptions | None = None,
    engine_options: EngineOptions | None = None,
    report_options: ReportOptions | None = None,
    **words: Unpack[EvaluateWords],
) -> Result | None:
    """Measure a model on a suite and return its result; cells that are finished are not measured again.

    Args:
        model: a spec (path, ``timm:NAME``, ``reference:NAME``...), an ``nn.Module``, any callable from normalised
            float32 images (n, 3, H, W) to logits (n, K), a loaded model, or several of these as one ensemble.
        suite: a suite's name, or an open suite.
        data: the suite's files, or the clean images it is generated from; None: the default data folder.
        out: the run's folder; None: ``runs/SUITE/MODEL-HASH``.
        cluster: spread the work over this Ray cluster (``auto``, or an address); the model must be a spec.
        progress: shows progress; None: a bar on a terminal, else plain lines.
        model_options, suite_options, engine_options, report_options: options as frozen objects.
        words: the same options as flat keywords: ``limit=500``, ``device="cpu"``, ``corruption="fog"``; see
            :class:`robench.api.options.ModelWords`, ``SuiteWords``, ``EngineWords`` and ``ReportWords``.

    Returns:
        The result, also written to ``out/result.json``; where nothing was run because all cells were finished, a
        note says so. Under ``torchrun`` the first process returns it, the others
        return None.

    Raises:
        RobenchError: bad input, or an option that contradicts another or would have no effect; the message says what
            to do. Finished cells are kept.

    >>> import tempfile, robench
    >>> with tempfile.TemporaryDirectory() as out:
    ...     result = robench.evaluate("reference:digits/standard", "digits-c", corruption="fog", severity=5, limit=50,
    ...                               device="cpu", resamples=0, quiet=True, out=out)
    >>> [cell.name for cell in result.cells], result.cells[0].images
    (['clean', 'fog/5'], 50)
    """
    from robench.api.packing import pack

    given = pack(words, model_options, suite_options, engine_options, report_options)
    found = run_one(model, suite, given, data=data, out=out, cluster=cluster, progress=progress)
    return None if found is None else found.result


@spelled_out(EvaluateWords)
def plan(
    model: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    *,
    data: Place | None = None,
    out: Place | None = None,
    model_options: ModelOptions | None = None,
    suite_options: SuiteOptions | None = None,
    engine_options: EngineOptions | None = None,
    **words: Unpack[EvaluateWords],
) -> Plan:
    """Say what :func:`evaluate` would measure with the same arguments, and about how long it would take.

    Returns:
        The plan: cells, images, images left, folder and estimated seconds (a few batches are timed), and a small table
        of what ``within``, ``limit`` and all images would take and how precise the answer would be.

    Raises:
        RobenchError: as :func:`evaluate`.

    >>> import robench
    >>> found = robench.plan("reference:digits/standard", "digits-c", corruption="fog,snow", limit=100, device="cpu")
    >>> found.cells, found.images, found.preprocessing["mean"]
    (11, 1100, (0.5, 0.5, 0.5))
    """
    from robench.api.packing import pack
    from robench.api.planning import plan_one

    given = pack(words, model_options, suite_options, engine_options)
    loaded, opened = loaded_and_opened(model, suite, data, given)
    return plan_one(loaded, opened, given.engine, None if out is None else place("out", out), given.within)


def run_one(
    model: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    given: Given,
    *,
    data: Place | None = None,
    out: Place | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> Evaluated | None:
    """Evaluate with packed options; see :func:`evaluate`. Returns None in processes that do not speak for all."""
    folder = None if out is None else place("out", out)
    if cluster is not None:
        both_given([("cluster", cluster, "surrogate", given.surrogate)])
        from robench.api.clustered import evaluate_clustered

        return evaluate_clustered(model, suite, given, data=data, out=folder, address=cluster, progress=progress)
    loaded, opened = loaded_and_opened(model, suite, data, given)
    return measure(loaded, opened, given, folder, progress)


def loaded_and_opened(
    model: ModelLike | Sequence[ModelLike], suite: str | OpenSuite, data: Place | None, given: Given
) -> tuple[Model, OpenSuite]:
    """Return the model, and the suite with its images sized for it."""
    from robench.api.models import model_for
    from robench.api.suites import open_one
    from robench.processes import quietly

    opened = open_one(suite, data, given)
    _refuse_surrogate(given, opened)
    with quietly(given.report.quiet):
        return model_for(model, given.model, opened, given.sizes)


def _refuse_surrogate(given: Given, suite: OpenSuite) -> None:
    if given.surrogate is not None and not suite.suite.attacks:
        from robench.suites import get, names

        attacking = [name for name in names() if get(name).attacks]
        raise RobenchError(
            f"`surrogate` has no effect on {suite.suite.name}; it applies only to {', '.join(attacking)}.",
            hint="Omit `surrogate`.",
        )


def _with_surrogate(given: Given, suite: OpenSuite) -> Given:
    """Return the options with the surrogate loaded, a model of the same classes with its own preprocessing."""
    from robench.api.models import model_for
    from robench.api.packing import Sizes

    if given.surrogate is None:
        return given
    _refuse_surrogate(given, suite)
    loaded, _ = model_for(given.surrogate, ModelOptions(), suite, Sizes())
    return replace(given, engine=replace(given.engine, surrogate=loaded))


def measure(
    model: Model, suite: OpenSuite, given: Given, out: Path | None = None, progress: Progress | None = None
) -> Evaluated | None:
    """Measure a loaded model on an open suite, alone or with the other processes of ``torchrun``."""
    from robench.api.ranks import agreed, of_first, together
    from robench.api.rounds import begun
    from robench.api.within import Rounds
    from robench.evaluation import default_folder, evaluate_suite, make_progress
    from robench.evaluation.distributed import evaluate_over_ranks
    from robench.evaluation.progress import QuietProgress, unit_of

    given = _with_surrogate(given, suite)
    title, unit = f"{model.name} on {suite.suite.name}", unit_of(suite.suite)
    with together(given.engine.device) as world:
        model = agreed(model, world)
        speaks = world is None or world.first
        shown = (progress or make_progress(title, quiet=given.report.quiet, unit=unit)) if speaks else QuietProgress()
        folder = out or of_first(default_folder(model, suite, given.engine, say=shown.say), world)

        def run(opened: OpenSuite, seen: Progress) -> Outcome:
            if world is None:
                return evaluate_suite(model, opened, folder, given.engine, progress=seen)
            return evaluate_over_ranks(model, opened, folder, given.engine, progress=seen)[0]

        outcome = Rounds(suite, given.within, given.with_run, begun(folder), shown, title).measured(run)
    if not speaks:
        return None
    return scored(outcome, suite.suite.name, given.report)
