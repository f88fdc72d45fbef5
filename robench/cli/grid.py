"""What ``robench evaluate`` prints of plans, and of many models on many suites."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robench.cli.streams import folded

if TYPE_CHECKING:
    from robench.api import Job, Plan
    from robench.api.options import EvaluateWords


def run_grid(
    models: Path | Sequence[Any],
    suite: str,
    data: Sequence[str] | None,
    out: str | None,
    words: EvaluateWords,
    *,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Measure every model on every suite, print, and return the exit code."""
    from robench.api import grid

    def planned(jobs: Sequence[Job]) -> None:
        if not quiet:
            print_plan(jobs, title="What would be measured" if dry_run else "What is to be measured")

    jobs = grid(models, suite, data=data, out=out, dry_run=dry_run, planned=planned, **words)
    if jobs is None:  # under torchrun, another process speaks
        return 0
    if dry_run and as_json:
        from robench.cli.common import print_json

        print_json([as_planned(job) for job in jobs])
    elif not dry_run:
        _print_end(jobs, quiet=quiet, as_json=as_json)
    return 1 if any(job.problem for job in jobs) else 0


def as_planned(job: Job) -> dict[str, Any]:
    """Return a job as ``--dry-run --json`` prints it."""
    if job.plan is None:
        return {"model": job.model, "suite": job.suite, "problem": job.problem}
    return plan_document(job.plan) | {"problem": job.problem}


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return a plan as a JSON-able document."""
    from dataclasses import asdict

    return asdict(plan) | {"folder": str(plan.folder)}


_WORTH_SAYING = 0.8  # of the time


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """Print what would be measured of one model on one suite."""
    from robench.api.values import normalisation
    from robench.cli.common import print_json, say

    if as_json:
        print_json(plan_document(plan))
        return
    model = plan.model if plan.members == 1 else f"{plan.model} (one ensemble of {plan.members} models)"
    cells = f"{plan.cells} cell" + "s" * (plan.cells != 1)
    say(f"{model} on {plan.suite} ({plan.source}): {cells}, {plan.images:,} {plan.unit}")
    left = "nothing is left" if plan.images_left == 0 else f"{plan.images_left:,} {plan.unit} left"
    print(f"{left}, {_about(plan.seconds)}")
    if plan.seconds is not None and plan.bf16_share is not None and plan.bf16_share < _WORTH_SAYING:
        faster = _duration(plan.bf16_share * plan.seconds)
        say(f"with --precision bf16 about {faster}, as timed; it shifts errors by some tenths of a point")
    print_amounts(plan)
    say(f"normalisation: {normalisation(plan.preprocessing)}")
    print(f"into {plan.folder}")


def print_amounts(plan: Plan) -> None:
    """Print what choices of how much to measure take, and how precise the suite's main value would be."""
    from rich import box
    from rich.table import Table

    from robench.catalogue import row
    from robench.cli.common import console

    if not plan.amounts:
        return
    about = row(plan.amounts[0].name)
    basis = "as the images measured so far vary" if plan.seen else "as a typical network's errors vary"
    title = f"{about.head}: 95 % intervals, {basis} (*: what was asked for)"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for head in ("", "per cell", "passes", "time left", "full run", "new images"):
        table.add_column(head, justify="right" if head else "left")
    for i, one in enumerate(plan.amounts):
        choice, equals, value = one.choice.partition("=")
        named = f"--{choice} {value}" if equals else choice
        time = "" if one.seconds is None else _duration(one.seconds)
        table.add_row(
            f"{named} *" if i == 0 else named, f"{one.images:,}", f"{one.passes:,}", time, f"±{one.full_run:.2f}",
            f"±{one.new_images:.2f}",
        )  # fmt: skip
    console().print(table)


def print_plan(jobs: Sequence[Job], title: str) -> None:
    """Print jobs with the images that are left and an estimate of the time."""
    from rich import box
    from rich.table import Table

    from robench.api.values import ABSENT
    from robench.cli.common import console

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for head in ("model and suite", "images left", "of", "about", "full run", "new images"):
        table.add_column(head, justify="left" if head == "model and suite" else "right", overflow="fold")
    for job in jobs:
        if job.plan is None:
            table.add_row(job.title, "fails", ABSENT, ABSENT)
            continue
        about = "not known" if job.plan.seconds is None else _duration(job.plan.seconds)
        table.add_row(job.title, f"{job.plan.images_left:,}", f"{job.plan.images:,}", about, *_widths(job))
    plans = [job.plan for job in jobs if job.plan is not None]
    known = [plan.seconds for plan in plans if plan.seconds is not None]
    total = _duration(sum(known))
    table.add_section()
    table.add_row(
        "all",
        f"{sum(plan.images_left for plan in plans):,}",
        f"{sum(plan.images for plan in plans):,}",
        total if len(known) == len(plans) else f"over {total}" if known else "not known",
        "",
        "",
    )
    console(stderr=True).print(table)
    for job in jobs:
        if job.problem:
            _say_failed(job, "fails")


def _say_failed(job: Job, verb: str) -> None:
    from robench.cli.common import note_in_options

    text = f"{verb}: {job.title}: {note_in_options(job.problem or '')}"
    typer.echo(folded(text, sys.stderr, "  "), err=True)


def _widths(job: Job) -> tuple[str, str]:
    if job.plan is None or not job.plan.amounts:
        return "", ""
    asked = job.plan.amounts[0]
    return f"±{asked.full_run:.2f}", f"±{asked.new_images:.2f}"


def _about(seconds: float | None) -> str:
    """Return how long work takes in words; of an attack with steps of its own that is not known.

    >>> _about(30.0), _about(None)
    ('about 30 s', 'how long it takes is not known')
    """
    return "how long it takes is not known" if seconds is None else f"about {_duration(seconds)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print_end(jobs: Sequence[Job], *, quiet: bool, as_json: bool) -> None:
    from robench.cli.common import note_in_options, print_json, print_summary

    results = [job.result for job in jobs if job.result is not None]
    if as_json:
        problems = [
            {"model": job.model, "suite": job.suite, "error": {"message": note_in_options(job.problem)}}
            for job in jobs
            if job.problem
        ]
        print_json([*(result.model_dump(mode="json") for result in results), *problems])
    elif not quiet:
        for name in dict.fromkeys(result.suite.name for result in results):
            print_summary([result for result in results if result.suite.name == name])
        for job in jobs:
            if job.result is not None:
                print(f"run: {job.folder}" + ("" if job.remark is None else " (nothing was run: it was finished)"))
    for job in jobs:
        if job.problem:
            _say_failed(job, "failed")
