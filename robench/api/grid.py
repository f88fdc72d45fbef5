"""``robench.grid(models, suites)``: many models on many suites, one after another; a failing model stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from robench.api.options import EvaluateWords, ModelOptions, ModelWords, Place, Places, ReportOptions
from robench.api.words import place, spelled_out
from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from robench.api.options import EngineOptions, ModelLike, SuiteOptions
    from robench.api.packing import Given
    from robench.api.planning import Plan
    from robench.models.base import Model
    from robench.processes import World
    from robench.results import Result
    from robench.suites import OpenSuite

_KEYS = ("model", *ModelWords.__annotations__)


@dataclass(frozen=True)
class GridModel:
    """One model of a grid: a spec, module or callable (several: an ensemble), and how it is loaded."""

    model: tuple[ModelLike, ...]
    options: ModelOptions = ModelOptions()

    @property
    def title(self) -> str:
        """What the model is called before it is loaded."""
        from robench.api.models import title_of

        return self.options.name or "+".join(title_of(one) for one in self.model)


@dataclass(frozen=True)
class Job:
    """One model on one suite.

    Args:
        model, suite: their names.
        plan: what was left to measure before; None: the model could not be loaded.
        result: its result; None: not measured.
        folder: the run's folder, where it is known.
        problem: why it, or a part of it, could not be measured.
        remark: a sentence where nothing was run, as every cell was finished.
    """

    model: str
    suite: str
    plan: Plan | None = None
    result: Result | None = None
    folder: Path | None = None
    problem: str | None = None
    remark: str | None = None

    @property
    def title(self) -> str:
        """What tables and messages call it."""
        return f"{self.model} on {self.suite}"


@spelled_out(EvaluateWords)
def grid(
    models: Place | Sequence[Any],
    suite: str | Sequence[str],
    *,
    data: Places | None = None,
    out: Place | None = None,
    dry_run: bool = False,
    planned: Callable[[tuple[Job, ...]], None] | None = None,
    model_options: ModelOptions | None = None,
    suite_options: SuiteOptions | None = None,
    engine_options: EngineOptions | None = None,
    report_options: ReportOptions | None = None,
    **words: Unpack[EvaluateWords],
) -> tuple[Job, ...] | None:
    """Measure every model on every suite; what is finished is not measured again.

    Args:
        models: a YAML file with a list of models, specs as ``"A,B"``, or a sequence of models: specs, modules,
            callables, loaded models, mappings with ``model`` and the keywords of :func:`robench.evaluate` that say how
            it is loaded, or sequences of models (an ensemble each).
        suite: names of suites, ``"cifar10-c,cifar10-p"`` or a sequence.
        data: one path for all suites, a mapping from suite to path, or ``SUITE=PATH`` entries.
        out: folder of the runs (``out/SUITE/MODEL-HASH``); None: ``runs``.
        dry_run: plan only.
        planned: called with the planned jobs before the first is measured.
        model_options, suite_options, engine_options, report_options, words: as for :func:`robench.evaluate`. Model
            options hold for models given without options of their own.

    Returns:
        A job for each model and suite, each with its plan, and with its result or what went wrong. Under ``torchrun``
        the processes go through the jobs together; the first returns them, the others return None.

    Raises:
        RobenchError: the list of models or a suite cannot be read. A single failing model is not an error.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 100, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     models = ["reference:digits/augmix", "reference:digits/standard", "no-such-file.pth"]
    ...     jobs = robench.grid(models, "digits-c", out=folder, **few)
    >>> [(job.model, job.result is not None) for job in jobs]
    [('augmix', True), ('standard', True), ('no-such-file.pth', False)]
    >>> jobs[2].problem.splitlines()[0]
    'No such file: no-such-file.pth'
    """
    from robench.api.packing import pack
    from robench.api.suites import open_all

    options = pack(words, model_options, suite_options, engine_options, report_options)
    rows = rows_of(models, options.model)
    suites = open_all(suite, data, options)
    folder = None if out is None else place("out", out)
    return run_grid(rows, suites, options, out=folder, dry_run=dry_run, planned=planned)


def rows_of(models: Place | Sequence[Any], options: ModelOptions) -> list[GridModel]:
    """Return the models of a list; ``options`` hold for those without options of their own.

    Raises:
        RobenchError: no such file, not such a list, an unknown key, or options that no model heeds.
    """
    where = "`models`"
    if isinstance(models, str) and "," in models and not Path(models).exists():
        models = [part.strip() for part in models.split(",")]
    if isinstance(models, (str, Path)):
        path = place("models", models)
        models, where = _read(path), str(path)
    rows = [_row(row, options, where) for row in models]
    if not rows:
        raise RobenchError(f"{where} lists no model.", hint="One model per line: `- timm:resnet50`")
    if options != ModelOptions() and not any(row.options == options for row in rows):
        raise RobenchError(
            f"Every model in {where} has its own options; those given beside the list have no effect.",
            hint="Write them into the list.",
        )
    return rows


def _read(path: Path) -> list[Any]:
    from robench.files import read_document

    hint = "One model per line: `- timm:resnet50`"
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise RobenchError(f"{path} is not a list of models: its name must end in .yaml.", hint=hint)
    document = read_document(path, "list of models", top=None, hint=hint)
    rows = document.get("models") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise RobenchError(f"{path} is not a list of models.", hint=hint)
    return rows


def _row(row: Any, options: ModelOptions, where: str) -> GridModel:
    from robench.api.packing import model_of

    if isinstance(row, GridModel):
        return row
    if not isinstance(row, Mapping):
        parts = tuple(row) if isinstance(row, (list, tuple)) else (row,)
        if not parts:
            raise RobenchError("No model given.", hint="Set `model`, for example `model='reference:digits/augmix'`.")
        if not all(_is_model(part) for part in parts):
            raise _not_a_model(row, where)
        return GridModel(parts, options)
    unknown = sorted(str(key) for key in row if key not in _KEYS)
    if unknown:
        raise RobenchError(f"{where}: unknown key '{unknown[0]}'.", hint=did_you_mean(unknown[0], _KEYS))
    found = row.get("model")
    parts = tuple(found) if isinstance(found, (list, tuple)) else (found,)
    if not parts or not all(_is_model(part) for part in parts):
        raise _not_a_model(row, where)
    words = {key: value for key, value in row.items() if key != "model"}
    try:
        return GridModel(parts, model_of(words))  # type: ignore[arg-type]
    except RobenchError as error:
        raise RobenchError(f"{where}: {error.message}", hint=error.hint) from error


def _is_model(part: Any) -> bool:
    if isinstance(part, (str, Path)):
        return str(part).strip() not in ("", ".")
    return callable(part) or hasattr(part, "module")


def _not_a_model(row: Any, where: str) -> RobenchError:
    return RobenchError(
        f"{where}: {str(row)[:80]!r} is not a model.", hint="Write `- PATH` or `- {model: PATH, arch: NAME}`."
    )


def run_grid(
    rows: Sequence[GridModel],
    suites: Sequence[OpenSuite],
    options: Given,
    *,
    out: Path | None,
    dry_run: bool,
    planned: Callable[[tuple[Job, ...]], None] | None,
) -> tuple[Job, ...] | None:
    """Plan and measure models on open suites; see :func:`grid`."""
    from robench.api.ranks import together

    with together(options.engine.device) as world:
        entries = _shared([_loaded(row, suite, options) for suite in suites for row in rows], world)
        entries = _shared([_planned(entry, options, out, world) for entry in entries], world)
        speaks = world is None or world.first
        if planned is not None and speaks:
            planned(tuple(entry.job for entry in entries))
        jobs = tuple(entry.job if dry_run else _measured(entry, options) for entry in entries)
        return jobs if speaks else None


@dataclass(frozen=True)
class _Entry:
    """A job with the model and the suite that it is of."""

    job: Job
    suite: OpenSuite
    model: Model | None = None

    def failing(self, problem: object) -> _Entry:
        """Return the entry with what is wrong with it."""
        return replace(self, job=replace(self.job, problem=str(problem)))


def _shared(entries: list[_Entry], world: World | None) -> list[_Entry]:
    """Return entries with what is wrong with them in any process: all go on with the same jobs."""
    if world is None:
        return entries
    from robench.evaluation.distributed import share_problems

    problems = share_problems([entry.job.problem for entry in entries])
    return [one if why is None else one.failing(why) for one, why in zip(entries, problems, strict=True)]


def _loaded(row: GridModel, suite: OpenSuite, options: Given) -> _Entry:
    """Load a job's model; a problem is noted, not raised."""
    from robench.api.models import model_for
    from robench.processes import quietly

    entry = _Entry(Job(row.title, suite.suite.name), suite)
    try:
        with quietly(options.report.quiet):
            model, suite = model_for(row.model, row.options, suite, options.sizes)
    except RobenchError as error:
        return entry.failing(error)
    return _Entry(Job(model.name, suite.suite.name), suite, model)


def _planned(entry: _Entry, options: Given, out: Path | None, world: World | None) -> _Entry:
    """See what is left to do of a job; a problem is noted, not raised."""
    from robench.api.planning import plan_one
    from robench.api.ranks import agreed, of_first
    from robench.evaluation import default_folder

    if entry.model is None or entry.job.problem is not None:
        return entry
    try:
        model = agreed(entry.model, world)
        folder = of_first(default_folder(model, entry.suite, options.engine, out or Path("runs")), world)
        plan = plan_one(model, entry.suite, options.engine, folder, options.within)
    except RobenchError as error:
        return entry.failing(error)
    return replace(entry, job=replace(entry.job, plan=plan, folder=plan.folder), model=model)


def _measured(entry: _Entry, options: Given) -> Job:
    """Measure one job; one bad model must not cost the others their turn."""
    from robench.api.evaluate import measure

    if entry.model is None or entry.job.problem is not None:
        return entry.job
    try:
        found = measure(entry.model, entry.suite, options, entry.job.folder)
    except Exception as error:
        said = str(error) if isinstance(error, RobenchError) else f"{type(error).__name__}: {error}"
        return replace(entry.job, problem=said)
    if found is None:  # a process of torchrun that does not speak: its share of this job is done
        return entry.job
    failures = found.result.failures
    problem = f"{len(failures)} cells could not be read: {failures[0]}" if failures else None
    return replace(entry.job, result=found.result, problem=problem, remark=found.remark)
