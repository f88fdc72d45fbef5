"""The table of commands, each imported when it is asked for; installed packages add theirs through entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import typer

from robench.cli.help import Command, Group, summary
from robench.errors import RobenchError
from robench.registry import Registry


@dataclass(frozen=True)
class Row:
    """A command that comes with robench.

    Args:
        summary: what it does, in one sentence: the first of its help.
        target: its function, or its ``typer.Typer`` with commands of its own, as ``module:attribute``; what else its
            help says is the module's ``HELP``.
    """

    summary: str
    target: str


def _row(name: str, text: str, attribute: str | None = None) -> tuple[str, Row]:
    return name, Row(text, f"robench.cli.{name}:{attribute or name}")


COMMANDS: Registry[Row | typer.Typer | Callable[..., Any]] = Registry(
    "command",
    dict(
        (
            _row("quickstart", "Evaluate two small models on digits, and write a report."),
            _row("evaluate", "Measure a model on a suite."),
            _row("gate", "Check that a new model is not worse than the old one; for scripts and CI."),
            _row("metrics", "Score a run again from its predictions, or list the metrics."),
            _row("compare", "Compare two or more runs on the same images."),
            _row("calibrate", "Fit temperature or vector scaling; show its effect under shift."),
            _row("conformal", "Find conformal prediction sets; show their coverage under shift."),
            _row("ood", "Score how well confidence detects out-of-distribution images."),
            _row("affinity", "Measure how far a recipe's augmented images are from a model's training images."),
            _row("fourier", "Measure sensitivity to frequencies: Fourier map, low-pass curve."),
            _row("table", "Show the papers' tables, with your results beside them."),
            _row("figure", "Redraw the papers' figures from your results."),
            _row("plot", "Plot results, several models in one plot.", "app"),
            _row("report", "Write a report of one or several runs, as HTML or Markdown."),
            _row("rank", "Show where a run would rank among published results of its protocol."),
            _row("export", "Convert a result to the formats of other tools."),
            _row("leaderboard", "Check submissions, build the leaderboard's page, list its boards.", "app"),
            _row("train", "Train a model by a recipe: every method in one loop."),
            _row("data", "List, download, check and generate data sets.", "app"),
            _row("suites", "List the suites, and show what each measures.", "app"),
            _row("models", "List the forms of a model spec and the reference models.", "app"),
        )
    ),
    group="robench.commands",
)


def build(name: str) -> Any:
    """Return a command, imported, as the command line runs it; a second time the same one.

    Raises:
        RobenchError: no such command, or a package's that cannot be imported.
    """
    found = COMMANDS.get(name)
    if not isinstance(found, Row):
        return _built(name, found)
    module, _, attribute = found.target.partition(":")
    command = _built(name, getattr(import_module(module), attribute))
    command.help = f"{found.summary}\n\n{getattr(sys.modules[module], 'HELP', '')}".strip()
    return command


@cache  # typer evaluates every annotation of a command twice, and a refusal asks for the command's options again
@cache  # typer evaluates every annotation of a command twice, and a refusal asks for the command's options again
def _built(name: str, target: typer.Typer | Callable[..., Any]) -> Any:
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False, rich_markup_mode=None)
        target.command(name, cls=Command)(function)
    target._add_completion = False
    command = typer.main.get_command(target)
    command.name = name
    return command


def group(kind: type[Group] = Group) -> typer.Typer:
    """Return an application for a command that has commands of its own."""
    return typer.Typer(cls=kind, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


class Root(Group):
    """``robench`` itself: its commands are those of the table."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or None where there is none."""
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            self.add_command(build(cmd_name), cmd_name)
        return self.commands.get(cmd_name)

    def summaries(self, ctx: Any) -> list[tuple[str, str]]:
        """Return every command with its summary; only those of packages are imported."""
        rows = []
        for name in COMMANDS:
            try:
                found = COMMANDS.get(name)
            except RobenchError as error:
                rows.append((name, error.message))
                continue
            rows.append((name, found.summary if isinstance(found, Row) else summary(_built(name, found).help)))
        return rows
