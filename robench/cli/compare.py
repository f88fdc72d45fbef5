"""``robench compare``: which differences between runs are statistically significant, and what they amount to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from robench.cli import completion as complete
from robench.cli import options as o

if TYPE_CHECKING:
    from rich.console import Console

    from robench.results.comparing import Comparison
    from robench.results.comparing_many import ManyComparison

HELP = """\
Two runs: paired differences with 95% confidence intervals, and McNemar's test in every cell, with Holm's correction. \
More runs: the differences of all pairs with simultaneous intervals, and ranks. With --margin: better, worse, \
equivalent within the margin, or undecided.

Examples:

    robench compare runs/digits-c/augmix-1a2b3c4d runs/digits-c/standard-5e6f7a8b
    robench compare NEW OLD --margin 0.5
    robench compare NEW OLD --fail-if mean_error:worse,clean_error:worse
    robench compare A B C D --margin 0.5,mean_brier=0.01
    robench compare A B C --figures mean_error --format latex
    robench compare A B --cells

Verdicts are of A against B, adjusted for the number of values tested. Exit code: 1 where a condition of --fail-if \
holds, else 0.
"""


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Folders of two or more runs of one suite.")],
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS",
            help="Differences up to POINTS count as equivalent; VALUE=AMOUNT,... for single values.",
            rich_help_panel=o.TESTS,
        ),
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Test these summary values, e.g. mean_error,mean_brier (default: the main ones).",
            autocompletion=complete.values,
            rich_help_panel=o.TESTS,
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE:VERDICT",
            help="Exit with 1 where it holds: mean_error:worse, any:undecided (repeatable).",
            rich_help_panel=o.TESTS,
        ),
    ] = None,
    cells: Annotated[
        bool, typer.Option("--cells", help="Also print every cell (two runs).", rich_help_panel=o.OUTPUT)
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="terminal, markdown, latex or csv.",
            autocompletion=complete.one_of("terminal", "markdown", "latex", "csv"),
            rich_help_panel=o.OUTPUT,
        ),
    ] = "terminal",
    json_: o.Json = False,
    resamples: o.Resamples = 1000,
    seed: o.BootstrapSeed = 0,
) -> int:
    """Compare and print; see HELP."""
    from robench import api
    from robench.api.compare import check_shown, conditions_of
    from robench.cli.common import print_json

    conditions = ",".join(fail_if or ())
    if conditions:
        conditions_of(conditions, margin=margin)
    check_shown(len(runs), form, as_json=json_, cells=cells)
    found = api.compare(*runs, margin=margin, figures=figures, resamples=resamples, seed=seed)
    failed = api.failing(found, conditions) if conditions else ()
    if json_:
        print_json(found.model_dump(mode="json"))
    elif form != "terminal":
        print(api.comparison_table(found, format=form), end="")
    else:
        if len(runs) == 2:
            _print_two(cast("Comparison", found), cells=cells)
        else:
            _print_many(cast("ManyComparison", found))
    for text in failed:
        typer.echo(f"failed: {text}", err=True)
    return 1 if failed else 0


def _print_two(found: Comparison, *, cells: bool) -> None:
    from rich import box
    from rich.table import Table

    from robench.catalogue import headlines, row
    from robench.cli.common import console
    from robench.tables.comparisons import difference_text

    screen = console()
    screen.print(f"{found.a} minus {found.b} on {found.suite} (* = significant at the 5 % level)")
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("difference", justify="right")
    judged = any(one.margin is not None for one in found.differences.values())
    if judged:
        table.add_column(found.a)
    shown = {name: one for name, one in found.differences.items() if one.value is not None}
    groups = [name for name in shown if name.startswith("mean_error_")]
    for name in dict.fromkeys([*headlines(shown), *groups]):
        extra = [shown[name].verdict or ""] if judged else []
        table.add_row(row(name).head, difference_text(name, shown[name]), *extra)
    screen.print(table)
    if cells:
        screen.print(_cell_table(found))
    _print_sentences(found.sentences)


def _print_many(found: ManyComparison) -> None:
    """Print the matrix of the first value, or its pairs where it would not fit, and the ranks in all values."""
    from robench.catalogue import row
    from robench.cli.common import console
    from robench.tables.comparisons import lines_of, matrix

    screen, name = console(), next(iter(found.values), None)
    if name is None:
        _print_sentences(found.sentences)
        return
    screen.print(
        f"{row(name).axis} on {found.suite}: differences with simultaneous 95 % intervals\n"
        "(*: significant at the 5 % level; =: equivalent within the margin)"
    )
    head, rows = matrix(name, found.values[name])
    two_lines = rows
    if sys.stdout.isatty():  # in a pipe a row is one line
        two_lines = [[*line[:2], *(cell.replace(" (", "\n(") for cell in line[2:])] for line in rows]
    widths = [
        max(len(part) for cell in column for part in cell.split("\n")) for column in zip(head, *two_lines, strict=True)
    ]
    if sum(widths) + 2 * len(widths) + 2 <= screen.width:
        screen.print(_plain_table(head, two_lines))
    else:
        screen.print(_plain_table(head[:3], [line[:3] for line in rows]))
        screen.print(_plain_table(*lines_of(found, name)))
    if len(found.values) > 1:
        _print_ranks(screen, found)
    _print_sentences(found.sentences)


def _print_sentences(sentences: Sequence[str]) -> None:
    from robench.cli.common import say

    for sentence in sentences:
        say(f"- {sentence}", "  ")


def _plain_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 2) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for i, title in enumerate(head):
        table.add_column(title, justify="left" if i < left else "right", overflow="fold")
    for line in rows:
        table.add_row(*line)
    return table


def _print_ranks(screen: Console, found: ManyComparison) -> None:
    """Print the ranks of every run in every value: a table, or where it would not fit a line per value."""
    from robench.catalogue import row
    from robench.tables.comparisons import in_order, rank_text

    heads = {name: row(name).short or row(name).title for name in found.values}
    if max(map(len, heads.values())) + sum(len(run) + 2 for run in found.runs) + 8 <= screen.width:
        rows = [[heads[n], *(rank_text(one.runs[run]) for run in found.runs)] for n, one in found.values.items()]
        screen.print(_plain_table(["ranks", *found.runs], rows, left=1))
        return
    screen.print("Ranks:")
    for name, one in found.values.items():
        ranks = "; ".join(f"{run} {rank_text(one.runs[run])}" for run in in_order(one, name))
        screen.print(f"  {heads[name]}: {ranks}", highlight=False)


def _cell_table(comparison: Comparison) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for head in ("cell", comparison.a, comparison.b, "difference", "p (Holm)"):
        table.add_column(head, justify="left" if head == "cell" else "right", overflow="fold", no_wrap=head == "cell")
    for cell in comparison.cells:
        table.add_row(
            cell.name,
            f"{100 * cell.a:.2f}",
            f"{100 * cell.b:.2f}",
            f"{100 * (cell.difference.value or 0.0):+.2f}",
            f"{cell.p_holm:.2g}" + (" *" if cell.p_holm < 0.05 else ""),
        )
    return table
