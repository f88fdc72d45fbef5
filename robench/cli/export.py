"""``robench export``: a result in the formats that others read."""

from __future__ import annotations

from typing import Annotated

import typer

from robench.cli import options as o

HELP = """\
Examples:

    robench export RUN                                   for a Hugging Face model card
    robench export RUN --format eval-results --dataset OWNER/NAME --out .eval_results/imagenet-c.yaml
    robench export RUN --format every-eval-ever --organisation "My laboratory" --out record.json
    robench export RUN --format csv > cells.csv
"""


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its result.json.")],
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help="model-index, eval-results, every-eval-ever or csv.")
    ] = "model-index",
    dataset: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="With eval-results: the benchmark's data set on the Hub.")
    ] = None,
    organisation: Annotated[
        str | None, typer.Option(metavar="NAME", help="With every-eval-ever: who ran the evaluation.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write there, not to the screen.", rich_help_panel=o.OUTPUT),
    ] = None,
) -> None:
    """Export a result; see HELP."""
    from robench import api

    text = api.export(run, form, dataset=dataset, organisation=organisation, out=out)
    print(text if out is None else f"{out}\n", end="")
