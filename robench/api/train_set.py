"""``robench.train_set("cifar10")``: several models under one budget, each evaluated as soon as it is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.api.options import Names, Place
from robench.api.set_work import Work, measure
from robench.api.train import settings_of
from robench.api.words import names, place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.train import Settings
    from robench.training.sets import Measurement, Run, TrainingSet


@dataclass(frozen=True)
class SetPlan:
    """What training a set takes.

    Args:
        runs: the models, in order.
        images: training images per epoch.
        passes: forward and backward passes per training image, over all runs.
        seconds: run -> estimated time on the device of its passes and of DeepAugment's distorted images, one model at a
            time; augmentation and evaluation come on top.
    """

    runs: tuple[Run, ...]
    images: int
    passes: float
    seconds: dict[str, float]


@dataclass(frozen=True)
class SetModel:
    """One model of a set.

    Args:
        name: in the set.
        folder: with weights, card, recipe and log.
        results: suite -> result file; of further branches ``SUITE?BRANCH``.
        analyses: name -> document, such as ``fourier``; of further branches ``NAME?BRANCH``.
        problem: why it is not finished, and where the log is; empty: it is.
    """

    name: str
    folder: Path
    results: dict[str, Path] = field(default_factory=dict)
    analyses: dict[str, Path] = field(default_factory=dict)
    problem: str = ""


@spelled_out()
def is_set(
    all: str | None,
    recipe: Place | None = None,
    *,
    data: Place | None = None,
    fresh: bool = False,
    only: Names | None = None,
    suite: Names | None = None,
    limit: int | None = None,
    jobs: int | None = None,
    dry_run: bool | None = None,
) -> bool:
    """Return whether ``robench train --all NAME`` means a set of models; if not, it is every recipe for that data.

    Raises:
        RobenchError: a set without its images, or with an option that it would ignore; or options for sets without one.
    """
    from robench.training import sets

    if recipe is None and all in sets.names():
        if data is None:
            raise RobenchError(f"Set {all} needs its images.", hint="Give their folder: `data`.")
        if fresh:
            raise RobenchError("`fresh` has no effect on a set of models.", hint="Give a new folder: `out`.")
        return True
    of_sets = {"only": only, "suite": suite, "limit": limit, "jobs": jobs, "dry_run": dry_run}
    for option, value in of_sets.items():
        if value is not None:
            raise RobenchError(f"`{option}` is for sets of models.", hint=f"`all`: {', '.join(sets.names())}.")
    return False


@spelled_out()
def train_set(
    name: str,
    *,
    data: Place,
    out: Place | None = None,
    set: Settings = (),
    only: Names | None = None,
    suite: Names | None = None,
    limit: int | None = None,
    jobs: int = 1,
    device: str | None = None,
    precision: str | None = None,
    dry_run: bool = False,
    planned: Callable[[SetPlan], None] | None = None,
    finished: Callable[[SetModel], None] | None = None,
) -> tuple[SetModel, ...]:
    """Train the models of a set and evaluate each; what is finished in ``out`` is neither trained nor measured again.

    Args:
        name: of the set (``robench.training.sets.names()``).
        data: folder of the images, training and test split.
        out: output folder; None: ``runs/NAME``. Models go to ``models/``, results to ``results/SUITE/``, Fourier maps
            and low-pass curves to ``analyses/``, the output of every model to ``logs/``.
        set: fields to override for all models: ``{"epochs": 20}`` or ``["epochs=20"]``.
        only: names of runs, or of one of their seeds (``standard-seed2``); None: all.
        suite: names of the suites to evaluate on; None: the set's, and its analyses; ``"none"``: no evaluation.
        limit: images per cell of the evaluation, at most; None: as many as the set says.
        jobs: models at a time, each in its own process with its part of the cores, on one device.
        device: ``cpu``, ``cuda``, ``cuda:1``; None: a GPU where there is one.
        precision: of training and evaluation, ``fp32`` or ``bf16``; None: fp32.
        dry_run: plan only: nothing is trained or written.
        planned: called with the plan before the first model.
        finished: called with each model as soon as it is done, or has failed.

    Returns:
        The models, in the set's order; none with ``dry_run``.

    Raises:
        RobenchError: no such set or run, settings that do not fit, or a folder of another budget.
    """
    from robench.training import sets

    jobs = whole("jobs", jobs, least=1, most=1000)
    settings = (*settings_of(set), *([f"precision={precision}"] if precision is not None else []))
    found = sets.load(name, settings, names("only", only) if only is not None else ())
    work = Work(
        place("data", data),
        Path("runs") / name if out is None else place("out", out),
        found.measurements if suite is None else _chosen(found, names("suite", suite)),
        None if limit is None else whole("limit", limit, least=1),
        device,
        precision,
        jobs,
    )
    if not dry_run:
        work.check_budget(found)
    if planned is not None:
        planned(plan_set(found, work.data, device))
    if dry_run:
        return ()
    return _run_all(found, work, jobs, finished)


def _chosen(found: TrainingSet, suites: Sequence[str]) -> tuple[Measurement, ...]:
    """Return the suites that the user names, those of the set with its options."""
    from robench.training.sets import Measurement

    known = {one.name: one for one in found.measurements if one.command == "evaluate"}
    return tuple(known.get(name, Measurement(name)) for name in suites if name != "none")


def plan_set(found: TrainingSet, data: Path, device: str | None) -> SetPlan:
    """Return what a set takes; the seconds follow from a few timed steps of every network."""
    from robench.training.engine.source import open_split
    from robench.training.run_times import seconds_of

    first = next(run for run in found.runs if run.measured).load()
    images = len(open_split(first.data, data, first.data.train_split))
    images = min(images, first.data.limit or images)
    passes = sum(run.passes for run in found.runs)
    return SetPlan(found.runs, images, passes, seconds_of(found.runs, images, device))


def _run_all(
    found: TrainingSet, work: Work, jobs: int, finished: Callable[[SetModel], None] | None
) -> tuple[SetModel, ...]:
    futures: dict[str, Future[SetModel]] = {}

    def one(run: Run) -> SetModel:
        needed = [futures[name].result() for name in run.needs]
        model = _train_and_measure(run, work) if not any(other.problem for other in needed) else _blocked(run, work)
        if finished is not None and not work.stopped.is_set():
            finished(model)
        return model

    with ThreadPoolExecutor(jobs) as pool:
        try:
            # A run waits for those that it needs within its thread; they come before it, so they are running already.
            for run in found.runs:
                futures[run.name] = pool.submit(one, run)
            return tuple(future.result() for future in futures.values())
        except BaseException:
            for future in futures.values():
                future.cancel()
            work.stop()
            raise


def _blocked(run: Run, work: Work) -> SetModel:
    return SetModel(run.name, work.out / "models" / run.name, problem=f"needs {' and '.join(run.needs)}")


def _train_and_measure(run: Run, work: Work) -> SetModel:
    folder = work.out / "models" / run.name
    words = ["train", "--recipe", run.recipe, "--data", str(work.data), "--out", str(folder), *work.common()]
    for setting in run.settings:
        words += ["--set", setting]
    log = work.out / "logs" / f"{run.name}.log"
    if not _trained(folder) and not work.call(run.name, words):
        return SetModel(run.name, folder, problem=f"training failed, see {log}")
    model = SetModel(run.name, folder)
    failed: list[str] = []
    for measurement in work.measurements if run.measured else ():
        for branch in ("", *run.branches):
            made = measure(run, work, measurement, branch)
            kept = model.results if measurement.command == "evaluate" else model.analyses
            if made is None:
                failed.append(measurement.name)
            else:
                kept[measurement.name + (f"?{branch}" if branch else "")] = made
    if failed:
        return replace(model, problem=f"{' and '.join(dict.fromkeys(failed))} failed, see {log}")
    return model


def _trained(folder: Path) -> bool:
    return (folder / "card.yaml").is_file() and not (folder / "checkpoint.pt").is_file()


def summary(models: Sequence[SetModel]) -> dict[str, dict[str, Any]]:
    """Return every finished model's cost and summary values, by name and suite."""
    import yaml

    rows: dict[str, dict[str, Any]] = {}
    for model in models:
        if not _trained(model.folder):
            continue
        row: dict[str, Any] = {"trained_with": yaml.safe_load((model.folder / "card.yaml").read_text())["trained_with"]}
        for suite, path in model.results.items():
            document = json.loads(path.read_text(encoding="utf-8"))
            row[suite] = {name: value["value"] for name, value in document["summary"].items()}
        rows[model.name] = row
    return rows
