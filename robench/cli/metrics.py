"""``robench metrics``: figures of a run from its stored predictions, without the model."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import typer

from robench.errors import RobenchError

HELP = """\
Compute figures of a run from its predictions (no model, no images), or list the metrics there are.

**Examples**

    robench metrics                                   the list: name, unit, direction, range

    robench metrics runs/digits-c/augmix-1a2b3c4d     score the run again and write its result.json

    robench metrics RUN --metric adaptive_ece,aurc    other metrics, per cell and in the mean

    robench metrics RUN --baseline OTHER-RUN          CE, mCE and relative mCE against any run, or a published table

    robench metrics RUN --baseline alexnet --corruption snow,frost,fog     ... over chosen corruptions
"""

_NAME, _FIGURE, _INTERVAL = 28, 28, 22  # columns of the table of cells, in characters


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("metrics", help=HELP)(metrics)


def metrics(
    run: Path | None = typer.Argument(None, help="Folder of a run."),
    metric: str | None = typer.Option(None, help="Names with commas between them."),
    resamples: int = typer.Option(1000, min=0, help="Bootstrap resamples of the intervals."),
    seed: int = typer.Option(0, min=0, help="Seed of the bootstrap."),
    cells: bool = typer.Option(False, help="Also print every cell."),
    baseline: str | None = typer.Option(None, help="A run, alexnet or tiny-imagenet-resnet18: figures against it."),
    corruption: str | None = typer.Option(None, help="With --baseline: these corruptions, not the benchmark's 15."),
    json_: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> int:
    """Score or list; see HELP."""
    if run is None:
        _print_list(as_json=json_)
        return 0
    if baseline is not None and (metric is not None or cells):
        raise RobenchError(
            "--baseline divides errors; it does not go together with --metric or --cells.",
            hint="Ask for one and then for the other.",
        )
    if baseline is not None:
        return _against(run, baseline, corruption, resamples, seed, json_=json_)
    if corruption is not None:
        raise RobenchError("--corruption chooses what --baseline divides.", hint="Give --baseline too.")
    from robench.cli.common import print_json, print_summary, split_names
    from robench.results import save, score_run

    names = split_names(metric)
    result = score_run(run, metrics=names, resamples=resamples, seed=seed)
    if names is None:
        save(result, run / "result.json")
    if json_:
        print_json(result.model_dump(mode="json"))
    elif names is None and not cells:
        print_summary([result])
        print(f"{run / 'result.json'}")
    else:
        _print_cells(result, names)
    return 0


def _against(run: Path, baseline: str, corruption: str | None, resamples: int, seed: int, *, json_: bool) -> int:
    """Print figures normalised by a baseline, in percent as tables have them."""
    from rich import box
    from rich.table import Table

    from robench.catalogue import row
    from robench.cli.common import console, print_json, split_names
    from robench.results.labels import show
    from robench.results.normalising import normalised_figures

    found = normalised_figures(run, baseline, corruptions=split_names(corruption), resamples=resamples, seed=seed)
    if json_:
        print_json({name: figure.model_dump() for name, figure in found.items()})
        return 0
    count = sum(name.startswith("ce_") for name in found)
    title = f"{run.name} against {baseline}, {count} corruption{'s' if count > 1 else ''}"
    table = Table("figure", "value", box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name, figure in found.items():
        table.add_row(row(name).head, show(figure, name, interval=True))
    console().print(table)
    return 0


def _print_list(*, as_json: bool) -> None:
    from rich import box
    from rich.table import Table

    from robench.catalogue import METRICS
    from robench.cli.common import console, print_json

    entries = {name: METRICS.get(name) for name in METRICS}
    if as_json:
        keys = ("unit", "better", "needs", "source")
        # JSON has no infinity: null is no end.
        ends = {name: [end if isfinite(end) else None for end in entry.range] for name, entry in entries.items()}
        print_json({n: {key: getattr(m, key) for key in keys} | {"range": ends[n]} for n, m in entries.items()})
        return
    table = Table(box=box.SIMPLE_HEAD)
    for head in ("metric", "unit", "better", "range", "needs"):
        table.add_column(head, overflow="fold", no_wrap=head == "metric")
    for name, entry in entries.items():
        low, high = entry.range
        table.add_row(name, entry.unit, entry.better, f"{low:g} to {high:g}", ", ".join(entry.needs))
    console().print(table)


def _print_cells(result: object, names: tuple[str, ...] | None) -> None:
    from rich import box
    from rich.table import Table

    from robench.cli.common import console
    from robench.results.labels import show
    from robench.results.schema import Result, Value

    if not isinstance(result, Result):
        raise TypeError("a result is needed")
    shown = names or tuple(result.cells[0].metrics)
    screen = console()
    if narrow := screen.width < _NAME + _FIGURE * len(shown):  # intervals on lines of their own, never cut
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
    for condition, figures in result.conditions.items():
        if len(result.conditions) < len(result.cells):
            table.add_row(condition, *row(figures))
    screen.print(table)
