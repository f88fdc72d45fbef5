"""``robench plot``: one command for each plot of the registry, built-in or of an installed package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.app import group
from robench.cli.help import Command, Group
from robench.errors import RobenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robench.plots.registry import Option, Plot

HELP = """\
RUN is a run folder or a result.json; several models go into one plot. Writes a PNG and an SVG named after the plot, \
or what --out says.

Examples:

    robench plot severity runs/digits-c/augmix-1a2b3c4d \\
        runs/digits-c/standard-5e6f7a8b
    robench plot reliability RUN --level clean --level severity/3 \\
        --out figures/reliability.pdf
    robench plot corruptions RUN... --metric rms_calibration_error
    robench plot severity A B --labels "ours,baseline" --title "" \\
        --width 3.4 --out figures/severity.pdf
"""
GALLERY = "corruptions-gallery"
AUGMENTATIONS = "augmentations"
OPERATIONS = "operations"
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="A .png, .svg or .pdf; without a suffix, a PNG and an SVG of that name.",
        rich_help_panel=o.OUTPUT,
    ),
]
Title = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Title instead of the plot's own; '' for none.", rich_help_panel=o.OUTPUT),
]
Width = Annotated[
    float | None,
    typer.Option(
        metavar="INCHES",
        help="Width; a paper's column is 3.4 inches, its page 6.9 (default: one of these). Text keeps its size.",
        rich_help_panel=o.OUTPUT,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Names of the models in the plot, one per input (default: their own).",
        rich_help_panel=o.OUTPUT,
    ),
]


class Plots(Group):
    """The commands of ``robench plot``: the registry's plots, each imported when it is asked for, and the gallery."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all plots."""
        from robench.plots.registry import PLOTS

        return [*PLOTS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a plot, or None where there is none."""
        from robench.plots.registry import PLOTS

        if cmd_name not in self.commands and cmd_name in PLOTS:
            self.add_command(_command(PLOTS.get(cmd_name)), cmd_name)
        return self.commands.get(cmd_name)


def _command(plot: Plot) -> Any:
    """Return a plot as a command, with its inputs and options."""
    made = typer.Typer(add_completion=False, rich_markup_mode=None)
    made.command(plot.name, cls=Command, help=plot.help)(_function(plot))
    return typer.main.get_command(made)


def _function(plot: Plot) -> Callable[..., int]:
    def draw(inputs: list[Path], out: str | None, json_: bool, **options: Any) -> int:
        given: dict[str, Any] = {name: _several(one) if isinstance(one, list) else one for name, one in options.items()}
        return write(plot.figure(inputs, **given), out, plot.name, as_json=json_)

    several = typer.Argument(metavar=plot.inputs, help=plot.inputs_help)
    kinds: dict[str, Any] = {"inputs": Annotated[list[Path], several]}
    kinds |= {option.name: _kind(option) for option in plot.options}
    shared = {"title": Title, "width": Width, "labels": Labels, "out": Out, "json_": o.Json}
    kinds |= shared
    usual: dict[str, Any] = (
        {option.name: _default(option) for option in plot.options} | dict.fromkeys(shared) | {"json_": False}
    )
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=usual.get(name, inspect.Parameter.empty)
        )
        for name, kind in kinds.items()
    ]
    draw.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    draw.__annotations__ = kinds
    return draw


def _several(given: list[str]) -> tuple[str, ...]:
    """Return the values of an option that was repeated, or has several as ``A,B``."""
    return tuple(part for one in given for part in one.split(",") if part)


def _kind(option: Option) -> Any:
    names = complete.metrics if "--metric" in option.flags else None
    metavar = "A,B" if option.repeated else "NAME"
    info = typer.Option(*option.flags, metavar=metavar, help=option.help, autocompletion=names)
    return Annotated[list[str], info] if option.repeated else Annotated[str, info]


def _default(option: Option) -> Any:
    return list(option.default) if isinstance(option.default, tuple) else option.default


app = group(Plots)


@app.command(GALLERY, cls=Command)
def gallery(
    image: Annotated[str | None, typer.Option(metavar="FILE", help="Input image (default: a bundled digit).")] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Resize the shorter side and crop the centre (default: 224, or 32 for the digit)."
        ),
    ] = None,
    index: Annotated[
        int, typer.Option(metavar="N", help="The image's index, which the randomness depends on; also which digit.")
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the corruptions.")] = 0,
    title: Title = None,
    width: Width = None,
    out: Out = None,
    json_: o.Json = False,
) -> int:
    """All corruptions at all severities on one image."""
    from robench import api

    return write(
        api.gallery(image, size=size, index=index, seed=seed, title=title, width=width), out, GALLERY, as_json=json_
    )


@app.command(AUGMENTATIONS, cls=Command)
def augmentations(
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", "-r", metavar="A,B", help="Recipes of one image size.", autocompletion=complete.recipes
        ),
    ],
    image: Annotated[str | None, typer.Option(metavar="FILE", help="Input image (default: a bundled digit).")] = None,
    count: Annotated[int, typer.Option(metavar="N", help="Views of every recipe.")] = 8,
    index: Annotated[
        int, typer.Option(metavar="N", help="Which digit; also the image's index, which the randomness depends on.")
    ] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of the recipes (repeatable)."),
    ] = None,
    networks: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where DeepAugment's trained networks are (default: runs).")
    ] = None,
    title: Title = None,
    width: Width = None,
    labels: Labels = None,
    out: Out = None,
    json_: o.Json = False,
) -> int:
    """What training sees of an image, recipe by recipe."""
    from robench import api

    found = api.augmentations(
        recipe,
        image=image,
        count=count,
        index=index,
        set=set_ or (),
        networks=networks,
        title=title,
        width=width,
        labels=labels,
    )
    return write(found, out, AUGMENTATIONS, as_json=json_)


@app.command(OPERATIONS, cls=Command)
def operations(
    image: Annotated[str | None, typer.Option(metavar="FILE", help="Input image (default: a bundled digit).")] = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Resize the shorter side and crop the centre (default: 224, or 32 for the digit)."
        ),
    ] = None,
    index: Annotated[int, typer.Option(metavar="N", help="Which digit.")] = 0,
    title: Title = None,
    width: Width = None,
    out: Out = None,
    json_: o.Json = False,
) -> int:
    """AugMix's operations, one by one, at five levels."""
    from robench import api

    return write(
        api.operations(image, size=size, index=index, title=title, width=width), out, OPERATIONS, as_json=json_
    )


@app.callback()
def _plot() -> None:
    """Plot results."""


def write(figure: Figure, out: str | None, name: str, *, as_json: bool = False) -> int:
    """Write a plot as one file, or as a PNG and an SVG, and print their paths."""
    from robench.cli.common import print_files

    print_files(written(figure, out, name), as_json=as_json)
    return 0


def written(figure: Figure, out: str | None, name: str) -> list[Path]:
    """Write a plot as one file, or as a PNG and an SVG, and return their paths."""
    from robench import plots
    from robench.api.words import place

    path = Path(name) if out is None else place("out", out)
    if path.is_dir():
        raise RobenchError(f"{path} is a folder.", hint="Give `out` a file's name, such as plot.png.")
    paths: Sequence[Path] = [path] if path.suffix else [path.with_name(f"{path.name}.{s}") for s in ("png", "svg")]
    return [plots.save(figure, one) for one in paths]
