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
    from collections.abc import Mapping

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
    from robench.catalogue import METRICS
    from robench.cli.common import print_columns, print_json

    rows = {name: METRICS.get(name) for name in METRICS}
    if as_json:
        keys = ("title", "unit", "better", "needs", "source", "notes")
        # JSON has no infinity: null stands for an open end.
        ends = {name: [end if isfinite(end) else None for end in one.range] for name, one in rows.items()}
        told = {name: {key: getattr(one, key) for key in keys} for name, one in rows.items()}
        print_json({name: one | {"range": ends[name]} for name, one in told.items()})
        return
    columns = {
        "metric": list(rows),
        "unit": [one.unit for one in rows.values()],
        "better": [one.better for one in rows.values()],
        "range": [f"{one.range[0]:g} to {one.range[1]:g}" for one in rows.values()],
        "needs": [", ".join(one.needs) for one in rows.values()],
    }
    print_columns(columns, narrower=[{"needs": None}])


def _print_cells(result: Result) -> None:
    """Print a table of the cells, and one of the conditions where they have several cells."""
    from robench.api.values import amount_words, image_words, show
    from robench.cli.common import print_rows, say

    names = tuple(result.cells[0].metrics)

    def texts(found: Mapping[str, Value]) -> dict[str, str]:
        return {name: show(found[name], name, interval=True) for name in names}

    about = ", ".join(filter(None, (image_words(result), amount_words(result))))
    title = f"{result.model.name} on {result.suite.name}"
    print_rows(f"{title} ({about})", {cell.name: texts(cell.metrics) for cell in result.cells})
    if len(result.conditions) < len(result.cells):
        print_rows(f"{title}, means over severities", {name: texts(one) for name, one in result.conditions.items()})
    for name in names:
        values = [cell.metrics[name] for cell in result.cells]
        for note in dict.fromkeys(one.note for one in values if one.value is None and one.note):
            say(f"note: {name}: {note}", "      ")
