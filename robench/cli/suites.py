"""``robench suites``: which protocols there are, and what each measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command

if TYPE_CHECKING:
    from robench.api import SuiteDescription
    from robench.suites import Suite

HELP = """\
Examples:

    robench suites list
    robench suites show imagenet-c
"""
app = group()


@app.command("list", cls=Command)
def list_suites(json_: o.Json = False) -> None:
    """List all suites."""
    from robench import api
    from robench.cli.common import print_columns, print_json

    found = api.list_suites()
    if json_:
        print_json([one.record() for one in found])
        return
    columns = {
        "suite": [one.suite.name for one in found],
        ">cells": [str(len(one.suite.cells)) for one in found],
        ">classes": [f"{one.suite.num_classes:,}" if one.suite.num_classes else "any" for one in found],
        "images": [" or ".join(one.suite.sources) for one in found],
        "what it measures": [one.suite.title for one in found],
    }
    print_columns(columns, narrower=[{"images": None}])


@app.command(cls=Command)
def show(
    name: Annotated[
        str, typer.Argument(metavar="SUITE", help="A suite of `robench suites list`.", autocompletion=complete.suites)
    ],
    json_: o.Json = False,
) -> None:
    """Show what a suite measures, on what, and how to get it. E.g. `robench suites show imagenet-c`."""
    from robench import api
    from robench.cli.common import print_fields, print_json

    found = api.describe_suite(name)
    if json_:
        print_json(found.record())
        return
    print_fields([(key, value) for key, value in _lines(found) if value], 14)


def _lines(found: SuiteDescription) -> list[tuple[str, str]]:
    suite = found.suite
    return [
        ("suite", suite.name),
        ("measures", suite.title),
        ("task", suite.task),
        ("classes", str(suite.num_classes or "those of the data")),
        ("cells", f"{len(suite.cells)}: {', '.join(found.conditions)}"),
        ("summary", ", ".join(suite.summary)),
        ("normalised by", suite.normaliser or ""),
        ("logits cut to", f"the 200 classes of {suite.subset}" if suite.subset else ""),
        ("predicted", "superclasses, by the mean probability of their classes" if suite.superclasses else ""),
        ("geometry", _geometry(suite)),
        ("images", " or ".join(suite.sources)),
        ("cost", _cost(found)),
        ("get it", found.to_get.replace("give `data`", "give --data DIR").replace("; then give", "; then")),
        *_of_split(found),
        ("paper", suite.paper),
        ("source", suite.url),
        ("licence", suite.licence or ("not stated" if suite.url else "")),
        ("notes", suite.notes),
        ("version", str(suite.version)),
    ]


def _of_split(found: SuiteDescription) -> list[tuple[str, str]]:
    """Return what the manifest of a metadata split must hold, and what each set is."""
    if not found.columns:
        return []
    numbers = f"{found.first_label} to {found.first_label + len(found.classes) - 1}"
    lines = [
        ("columns", ", ".join(found.columns)),
        ("labels", f"numbers {numbers}, or names: {', '.join(found.classes)}"),
    ]
    for name, rule in found.sets.items():
        lines.append(("set", f"{name}: " + "; ".join(f"{key} {_either(value)}" for key, value in rule.items())))
    return lines


def _either(value: object) -> str:
    return " or ".join(map(str, value)) if isinstance(value, list) else str(value)


def _geometry(suite: Suite) -> str:
    geometry = suite.geometry
    if geometry.resize is None:
        return "images keep their size" if suite.side is not None else "--resize, --crop where sizes differ"
    sides = f"resized to {geometry.resize}" + (f", centre crop {geometry.crop}" if geometry.crop else "")
    whose = "for every model (--resize, --crop replace it)" if suite.fixed_geometry else "the model's own replaces it"
    return f"{sides}, {geometry.interpolation}; {whose}"


def _cost(found: SuiteDescription) -> str:
    """Return the forward passes of a whole run on the published number of images."""
    if found.passes is None:
        return "as many forward passes as there are images"
    text = f"{found.passes:,} forward passes" + (" for all cells" if len(found.suite.cells) > 1 else "")
    if found.usual_passes is None or found.usual_passes == found.passes:
        return text
    return f"{text}, {found.usual_passes:,} without those of {', '.join(found.suite.held_out)}"
