"""``robench metrics``: results of a run from its stored predictions, or of saved logits, without the model."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.metrics import LogitMetrics
    from robench.results.schema import Result, Value

HELP = """\
Neither the model nor the images are needed.

Examples:

    robench metrics                                 list all metrics
    robench metrics runs/digits-c/augmix-1a2b3c4d   score again: result.json
    robench metrics RUN --metric adaptive_ece,aurc  other metrics, per cell
    robench metrics RUN --metric error,failure_auroc --out confidence.json
    robench plot severity confidence.json --metric failure_auroc
    robench metrics RUN --baseline OTHER-RUN        CE, mCE and relative mCE
    robench metrics RUN --baseline alexnet --corruption snow,frost,fog
    robench metrics --logits logits.npy --labels labels.npy

--logits and --labels are for outputs of another framework: .npy, .npz, .csv, .tsv or .parquet, one row per image.
"""

_NAME, _VALUE, _INTERVAL = 28, 28, 22  # columns of the table of cells, in characters


def metrics(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Folder of a run; omit it for the list.")] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Names of metrics, from the list.", autocompletion=complete.metrics),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Normalise errors by this run, alexnet or tiny-imagenet-resnet18."),
    ] = None,
    corruption: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="With --baseline: these corruptions (default: the benchmark's 15).",
            autocompletion=complete.corruptions,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write the result there, for plots and reports.",
            rich_help_panel=o.OUTPUT,
        ),
    ] = None,
    logits: o.Logits = None,
    labels: o.Labels = None,
    probabilities: o.Probabilities = False,
    class_names: o.SavedClassNames = None,
    cells: Annotated[bool, typer.Option("--cells", help="Also print every cell.", rich_help_panel=o.OUTPUT)] = False,
    json_: o.Json = False,
    resamples: o.Resamples = 1000,
    seed: o.BootstrapSeed = 0,
) -> int:
    """Score or list; see HELP."""
    from robench import api
    from robench.cli.common import print_json, print_summary

    if logits is not None or labels is not None:
        if cells:
            raise RobenchError("`cells` has no effect with `logits`.", hint="Omit `cells`.")
        scored = api.metrics(run, metric=metric, baseline=baseline, corruption=corruption, resamples=resamples,
                             seed=seed, out=out, logits=logits, labels=labels, probabilities=probabilities,
                             class_names=class_names)  # fmt: skip
        assert isinstance(scored, api.LogitMetrics)
        _print_logits(scored, as_json=json_)
        return 0
    if probabilities or class_names is not None:
        raise RobenchError(
            f"`{'probabilities' if probabilities else 'class_names'}` has no effect without `logits`.",
            hint="Add `logits` and `labels`.",
        )
    if run is None:
        given = {"metric": metric, "baseline": baseline, "out": out}
        both_lists = [name for name, one in given.items() if one is not None]
        if both_lists:
            raise RobenchError(f"`{both_lists[0]}` needs a run.", hint="Give a run's folder.")
        _print_list(as_json=json_)
        return 0
    if baseline is not None and cells:
        raise RobenchError("`cells` has no effect with `baseline`.", hint="Omit `cells`.")
    found = api.metrics(
        run, metric=metric, baseline=baseline, corruption=corruption, resamples=resamples, seed=seed, out=out
    )
    assert not isinstance(found, api.LogitMetrics)
    if isinstance(found, dict):
        _print_normalised(found, run, str(baseline), as_json=json_)
    elif json_:
        print_json(found.model_dump(mode="json"))
    elif metric is None and not cells:
        print_summary([found])
        print(Path(run) / "result.json" if out is None else out)
    else:
        _print_cells(found)
        if out is not None:
            print(out)
    return 0


def _print_logits(found: LogitMetrics, *, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    from robench.api.values import show
    from robench.catalogue import row
    from robench.cli.common import console, print_json, say

    if as_json:
        print_json(found.document())
        return
    title = f"{found.logits}: {found.images:,} images, {found.classes:,} classes"
    table = Table("", "value", box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name, value in found.metrics.items():
        table.add_row(row(name).axis, show(value, name, interval=True))
    console().print(table)
    for note in found.notes:
        say(f"note: {note}", "      ")


def _print_normalised(found: dict[str, Value], run: str, baseline: str, *, as_json: bool) -> None:
    """Print values normalised by a baseline, in percent as tables have them."""
    from rich import box
    from rich.table import Table

    from robench.api.values import show
    from robench.catalogue import row
    from robench.cli.common import console, print_json

    if as_json:
        print_json({name: value.model_dump() for name, value in found.items()})
        return
    count = sum(name.startswith("ce_") for name in found)
    title = f"{Path(run).name} against {baseline}, {count} corruption{'s' if count > 1 else ''}"
    table = Table("", "value", box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name, value in found.items():
        table.add_row(row(name).head, show(value, name, interval=True))
    console().print(table)


def _print_list(*, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    from robench.catalogue import METRICS
    from robench.cli.common import console, print_json

    rows = {name: METRICS.get(name) for name in METRICS}
    if as_json:
        keys = ("title", "unit", "better", "needs", "source", "notes")
        # JSON has no infinity: null stands for an open end.
        ends = {name: [end if isfinite(end) else None for end in one.range] for name, one in rows.items()}
        told = {name: {key: getattr(one, key) for key in keys} for name, one in rows.items()}
        print_json({name: one | {"range": ends[name]} for name, one in told.items()})
        return
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("metric", "unit", "better", "range", "needs"):
        table.add_column(head, overflow="fold", no_wrap=head != "needs")
    for name, one in rows.items():
        low, high = one.range
        table.add_row(name, one.unit, one.better, f"{low:g} to {high:g}", ", ".join(one.needs))
    console().print(table)


def _print_cells(result: Result) -> None:
    from rich import box
    from rich.table import Table

    from robench.api.values import show
    from robench.cli.common import console

    shown = tuple(result.cells[0].metrics)
    screen = console()
    if narrow := screen.width < _NAME + _VALUE * len(shown):  # intervals on lines of their own, never cut
        screen = console(width=max(screen.width, _NAME + _INTERVAL * len(shown)))

    def row(found: dict[str, Value]) -> list[str]:
        texts = [show(found[name], name, interval=True) for name in shown]
        return [text.replace(" (", "\n(") for text in texts] if narrow else texts

    table = Table(box=box.SIMPLE_HEAD, title=f"{result.model.name} on {result.suite.name}", title_justify="left")
    table.add_column("cell", no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", overflow="fold", min_width=_INTERVAL - 3)
    for cell in result.cells:
        table.add_row(cell.name, *row(cell.metrics))
    table.add_section()
    for condition, values in result.conditions.items():
        if len(result.conditions) < len(result.cells):
            table.add_row(condition, *row(values))
    screen.print(table)
