"""``robench suites``: which protocols there are, and what each measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command

if TYPE_CHECKING:
    from robench.suites.base import Suite

HELP = """\
Examples:

    robench suites list
    robench suites show imagenet-c
"""
app = group()


@app.command("list", cls=Command)
def list_suites(json_: o.Json = False) -> None:
    """List all suites."""
    from robench.cli.common import print_json
    from robench.suites import get, names

    if json_:
        print_json([_record(get(name)) for name in names()])
        return
    from rich.table import Table

    from robench.cli.common import console, plain_width

    table = Table(box=None)
    for head in ("suite", "cells", "classes", "images", "what it measures"):
        table.add_column(head, overflow="fold", no_wrap=head == "suite")  # a name cut short cannot be typed
    for name in names():
        suite = get(name)
        classes = str(suite.num_classes) if suite.num_classes else "any"
        table.add_row(name, str(len(suite.cells)), classes, " or ".join(suite.sources), suite.title)
    console(width=plain_width()).print(table)


@app.command(cls=Command)
def show(
    name: Annotated[str, typer.Argument(metavar="SUITE", help="A suite of `robench suites list`.")],
    json_: o.Json = False,
) -> None:
    """Show what a suite measures, on what, and how to get it. E.g. `robench suites show imagenet-c`."""
    from robench.cli.common import print_json
    from robench.suites import get

    suite = get(name)
    if json_:
        print_json(_record(suite))
        return
    for key, value in _lines(suite):
        if value:
            print(f"{key:14}{value}")


def _lines(suite: Suite) -> list[tuple[str, str]]:
    conditions = list(dict.fromkeys(cell.condition for cell in suite.cells))
    return [
        ("suite", suite.name),
        ("measures", suite.title),
        ("task", suite.task),
        ("classes", str(suite.num_classes or "those of the data")),
        ("cells", f"{len(suite.cells)}: {', '.join(conditions)}"),
        ("summary", ", ".join(suite.summary)),
        ("normalised by", suite.normaliser or ""),
        ("logits cut to", f"the 200 classes of {suite.subset}" if suite.subset else ""),
        ("geometry", _geometry(suite)),
        ("images", " or ".join(suite.sources)),
        ("cost", _cost(suite)),
        ("get it", _how_to_get(suite)),
        *_of_split(suite),
        ("paper", suite.paper),
        ("source", suite.url),
        ("licence", suite.licence),
        ("notes", suite.notes),
        ("version", str(suite.version)),
    ]


def _of_split(suite: Suite) -> list[tuple[str, str]]:
    """Return what the manifest of a metadata split must hold, and what each set is."""
    if not suite.takes("definition"):
        return []
    from robench.suites.splits import load_definition

    definition = load_definition(suite.name)
    numbers = f"{definition.first_label} to {definition.first_label + len(definition.classes) - 1}"
    lines = [("columns", ", ".join(("file", "label", *definition.attributes())))]
    lines.append(("labels", f"numbers {numbers}, or names: {', '.join(definition.classes)}"))
    for name, rule in definition.rules().items():
        lines.append(("set", f"{name}: " + "; ".join(f"{key} {_either(value)}" for key, value in rule.items())))
    return lines


def _either(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _geometry(suite: Suite) -> str:
    geometry = suite.geometry
    if geometry.resize is None:
        return "images keep their size" if suite.side is not None else "--resize, --crop where sizes differ"
    sides = f"resized to {geometry.resize}" + (f", centre crop {geometry.crop}" if geometry.crop else "")
    return f"{sides}, {geometry.interpolation}; the model's own replaces it"


def _cost(suite: Suite) -> str:
    """Return the forward passes of a whole run on the published number of images."""
    counts = [suite.published_images(cell.condition) for cell in suite.cells]
    if None in counts:
        return "as many forward passes as there are images"
    frames = [suite.frame_count(cell.condition) for cell in suite.cells]
    passes = sum((images or 0) * each for images, each in zip(counts, frames, strict=True))
    return f"{passes:,} forward passes" + (" for all cells" if len(suite.cells) > 1 else "")


def _how_to_get(suite: Suite) -> str:
    from robench.data.catalogue import catalogue

    if suite.embedded:
        return "embedded"
    if suite.name in catalogue():
        return f"robench data download {suite.name}"
    generated = f"robench data download {suite.dataset}" if suite.dataset in catalogue() else ""
    if "generated" in suite.sources and generated:
        return f"{generated} (generated from it)"
    return "give --data DIR" if suite.takes("definition") or not suite.url else "see the source; then --data DIR"


def _record(suite: Suite) -> dict[str, object]:
    from dataclasses import asdict

    record: dict[str, object] = asdict(suite)
    record["cells"] = [cell.name for cell in suite.cells]
    return record
