"""Many models on many suites, one after another: skips what is done, goes on past a failing model."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.evaluation import EvaluationOptions
    from robench.models.base import Model
    from robench.results.schema import Result
    from robench.suites import OpenOptions, OpenSuite

_MODEL_KEYS = ("model", "arch", "num_classes", "mean", "std", "norm_preset", "norm", "ema", "ensemble", "name")
_TIMED_BATCHES = 2


@dataclass
class Job:
    """One model on one suite, and what is left of it."""

    entry: dict[str, Any]
    suite: OpenSuite
    model: Model | None = None
    folder: Path | None = None
    left: int = 0
    total: int = 0
    seconds: float | None = None
    problem: str | None = None
    result: Result | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What the job is called in tables and messages."""
        name = self.model.name if self.model is not None else self.entry.get("name") or "+".join(self.entry["model"])
        return f"{name} on {self.suite.suite.name}"


def run_grid(given: dict[str, Any], options: EvaluationOptions, opening: OpenOptions) -> int:
    """Measure every model of ``--models`` on every suite of ``--suite``; return the exit code.

    Under ``torchrun`` the processes go through the jobs together, each with its share of every one.

    Raises:
        RobenchError: the list of models or a suite cannot be read. A single failing model is no error.
    """
    from robench.cli.common import print_json
    from robench.evaluation.distributed import share_problems
    from robench.processes import joined, launched_by_torchrun

    entries = read_models(given["models"]) if given["models"] is not None else [_entry_from_options(given)]
    suites = open_suites(given["suite"], given["data"], opening)
    with joined(options.device) if launched_by_torchrun() else nullcontext() as world:
        speaks = world is None or world.first
        jobs = [plan(entry, suite, options, given) for suite in suites for entry in entries]
        if world is not None:
            for job, problem in zip(jobs, share_problems([job.problem for job in jobs]), strict=True):
                job.problem = problem
        if speaks and not given["quiet"]:
            print_plan(jobs, title="What would be measured" if given["dry_run"] else "What is to be measured")
        if given["dry_run"]:
            if speaks and given["json_"]:
                print_json([_as_planned(job) for job in jobs])
            return 0
        for job in jobs:
            if job.problem is None:
                _run(job, options, given)
    if speaks:
        _print_end(jobs, given)
    return 1 if any(job.problem for job in jobs) else 0


def read_models(path: Path) -> list[dict[str, Any]]:
    """Read a YAML list of models: specs, or mappings with ``model`` and the options of `robench evaluate`.

    Raises:
        RobenchError: no such file, not such a list, or an unknown key.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise RobenchError(f"Cannot read {path}: {error.strerror}.", hint="Give a YAML list of models.") from error
    except yaml.YAMLError as error:
        raise RobenchError(f"{path} is not YAML: {error}", hint="One model a line: `- timm:resnet50`") from error
    rows = document.get("models") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not rows:
        raise RobenchError(f"{path} holds no list of models.", hint="One model a line: `- timm:resnet50`")
    return [_entry(row, path) for row in rows]


def open_suites(names: str, data: list[str] | None, opening: OpenOptions) -> list[OpenSuite]:
    """Open ``a,b`` with ``--data PATH`` for all, or ``--data a=PATH --data b=PATH``.

    Raises:
        RobenchError: an unknown suite, or data for a suite that is not asked for.
    """
    from robench.suites import open_suite

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    places = data_by_suite(data, wanted)
    return [open_suite(name, places.get(name), opening) for name in wanted]


def data_by_suite(data: list[str] | None, suites: list[str]) -> dict[str, str]:
    """Return the data folder of every suite that has one."""
    places: dict[str, str] = {}
    for entry in data or []:
        name, equals, path = entry.partition("=")
        if equals and name in suites:
            places[name] = path
        elif equals and not Path(entry).exists():
            raise RobenchError(
                f"--data {entry} is for a suite '{name}' that is not asked for (asked for: {', '.join(suites)}).",
                hint="Write --data SUITE=PATH with a suite of --suite, or --data PATH for all of them.",
            )
        else:
            places |= {suite: entry for suite in suites if suite not in places}
    return places


def plan(entry: dict[str, Any], suite: OpenSuite, options: EvaluationOptions, given: dict[str, Any]) -> Job:
    """Load a job's model and see what is left to do; a problem is noted, not raised."""
    from robench.cli.evaluate import load_models
    from robench.evaluation import default_folder
    from robench.predictions import RunFolder
    from robench.suites import fit_to_model

    job = Job(entry, suite)
    cells = suite.suite.cells
    job.total = sum(suite.length(cell) for cell in cells)
    try:
        job.model = load_models({**given, **entry}, suite.suite.num_classes)
        job.suite = suite = fit_to_model(suite, job.model.preprocessing.geometry)
        root = Path(given["out"]) / suite.suite.name if given["out"] else None
        folder = default_folder(job.model, suite, options)
        job.folder = root / folder.name if root else folder
        done = set(RunFolder.open(job.folder).done()) if (job.folder / "run.json").exists() else set()
        job.left = sum(suite.length(cell) for cell in cells if cell.name not in done)
        if job.left:
            job.seconds = job.left * _seconds_per_image(job.model, suite, options)
    except RobenchError as error:
        job.problem = str(error)
    return job


def _as_planned(job: Job) -> dict[str, Any]:
    """Return a job as `--dry-run --json` prints it."""
    return {
        "model": job.model.name if job.model is not None else None,
        "suite": job.suite.suite.name,
        "source": job.suite.source,
        "cells": len(job.suite.suite.cells),
        "images": job.total,
        "images_left": job.left,
        "seconds": job.seconds,
        "folder": str(job.folder) if job.folder is not None else None,
        "problem": job.problem,
    }


def print_plan(jobs: list[Job], title: str) -> None:
    """Print jobs with forward passes left and an estimate of the time."""
    from rich import box
    from rich.table import Table

    from robench.cli.common import console

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for head in ("model and suite", "images left", "of", "about"):
        table.add_column(head, justify="left" if head == "model and suite" else "right", overflow="fold")
    for job in jobs:
        about = f"fails: {job.problem.splitlines()[0]}" if job.problem else _duration(job.seconds or 0.0)
        table.add_row(job.title, f"{job.left:,}", f"{job.total:,}", about)
    total = sum(job.seconds or 0.0 for job in jobs)
    table.add_section()
    table.add_row("all", f"{sum(job.left for job in jobs):,}", f"{sum(job.total for job in jobs):,}", _duration(total))
    console(stderr=True).print(table)


def _seconds_per_image(model: Model, suite: OpenSuite, options: EvaluationOptions) -> float:
    """Time a few batches, after one to warm up, on the suite's last cell (a corrupted one where there are any)."""
    from itertools import islice

    from robench.evaluation.forward import Forward
    from robench.evaluation.plan import prepare

    forward = Forward(prepare(model, options, say=lambda _: None), options)
    size = min(options.resolved_batch_size(forward.device), 64)
    cell = suite.suite.cells[-1]
    times, images = [], []
    batches = suite.batches(cell, size, device=forward.device)
    for batch in islice(batches, 1 + _TIMED_BATCHES):
        began = time.monotonic()
        forward(batch.images).float().cpu()
        times.append(time.monotonic() - began)
        images.append(len(batch.index))
    chosen = slice(1, None) if len(times) > 1 else slice(0, None)
    return sum(times[chosen]) / max(1, sum(images[chosen]))


def _run(job: Job, options: EvaluationOptions, given: dict[str, Any]) -> None:
    from robench.api import evaluate

    try:
        job.result = evaluate(
            job.model,  # type: ignore[arg-type]
            job.suite,
            out=job.folder,
            options=options,
            resamples=given["resamples"],
            quiet=given["quiet"] or given["json_"],
        )
        if job.result.failures:
            job.problem = f"{len(job.result.failures)} cells could not be read: {job.result.failures[0]}"
    except KeyboardInterrupt:
        from robench.cli.evaluate import stopped

        raise stopped() from None
    except SystemExit:  # a rank of torchrun that does not speak: its share of this job is done
        pass
    except Exception as error:  # one bad model must not cost the others their turn
        job.problem = str(error) if isinstance(error, RobenchError) else f"{type(error).__name__}: {error}"


def _print_end(jobs: list[Job], given: dict[str, Any]) -> None:
    import typer

    from robench.cli.common import print_json, print_summary

    results = [job.result for job in jobs if job.result is not None]
    if given["json_"]:
        print_json([result.model_dump(mode="json") for result in results])
    elif not given["quiet"]:
        for name in dict.fromkeys(result.suite.name for result in results):
            print_summary([result for result in results if result.suite.name == name])
        for job in jobs:
            if job.result is not None:
                print(f"run: {job.folder}")
    for job in jobs:
        if job.problem:
            typer.echo(f"failed: {job.title}: {job.problem}", err=True)


def _entry(row: Any, path: Path) -> dict[str, Any]:
    if isinstance(row, str):
        row = {"model": row}
    if not isinstance(row, dict) or "model" not in row:
        raise RobenchError(f"{path}: '{row}' is no model.", hint="Write `- PATH` or `- {model: PATH, arch: NAME}`.")
    unknown = sorted(set(row) - set(_MODEL_KEYS))
    if unknown:
        raise RobenchError(f"{path}: unknown keys {', '.join(unknown)}.", hint=f"Known: {', '.join(_MODEL_KEYS)}.")
    entry = dict(row)
    entry["model"] = entry["model"] if isinstance(entry["model"], list) else [str(entry["model"])]
    for key in ("mean", "std"):
        if isinstance(entry.get(key), list):
            entry[key] = ",".join(map(str, entry[key]))
    return {key: entry.get(key) for key in _MODEL_KEYS if key in entry} | _cleared(entry)


def _cleared(entry: dict[str, Any]) -> dict[str, Any]:
    """Return None for what a row leaves open, so that one model's options never leak into another's."""
    return {key: None for key in ("arch", "num_classes", "mean", "std", "norm_preset", "name") if key not in entry}


def _entry_from_options(given: dict[str, Any]) -> dict[str, Any]:
    return {key: given[key] for key in _MODEL_KEYS}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
