"""``robench export``: a result in the formats that others read."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from robench.cli import completion as complete
from robench.cli import options as o

HELP = """\
Examples:

    robench export RUN                for a Hugging Face model card
    robench export RUN --format eval-results --dataset OWNER/NAME \\
        --out .eval_results/imagenet-c.yaml
    robench export RUN --format every-eval-ever \\
        --organisation "My laboratory" --out record.json
    robench export RUN --format csv > cells.csv

Every Eval Ever files its records as data/SUITE/DEVELOPER/MODEL/UUID.json; the last folders are the record's model id.
"""


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its result.json.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="model-index, eval-results, every-eval-ever or csv.",
            autocompletion=complete.one_of("model-index", "eval-results", "every-eval-ever", "csv"),
        ),
    ] = "model-index",
    dataset: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="With eval-results: the benchmark's data set on the Hub.")
    ] = None,
    organisation: Annotated[
        str | None, typer.Option(metavar="NAME", help="With every-eval-ever: who ran the evaluation.")
    ] = None,
    developer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With every-eval-ever: who provides the model (default: --organisation)."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="File to write (default: print it).", rich_help_panel=o.OUTPUT
        ),
    ] = None,
    json_: o.Json = False,
) -> None:
    """Export a result; see HELP."""
    from robench import api
    from robench.cli.common import print_files, print_json

    text = api.export(run, form, dataset=dataset, organisation=organisation, developer=developer, out=out)
    if out is not None:
        print_files([out], as_json=json_)
    elif json_:
        print_json(_parsed(text, form))
    else:
        print(text, end="")


def _parsed(text: str, form: str) -> Any:
    """Return an export as a JSON-able document: the rows of CSV, or what YAML (and so JSON) holds."""
    import csv

    import yaml

    if form == "csv":
        return list(csv.DictReader(text.splitlines()))
    return yaml.safe_load(text.removeprefix("---\n").removesuffix("---\n"))
