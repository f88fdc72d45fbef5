"""``robench figure``: the papers' figures, drawn again from the user's results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.errors import RobenchError, in_users_words

HELP = """\
Each panel reads the results of its models, which are found by content as for tables. Writes a PNG and an SVG for every
panel, or what --out says.

Examples:

    robench figure list
    robench figure augmix/1 --image photo.jpg
    robench figure augmix/7 --results runs/
    robench figure split-bn/3 --results runs/ --out figures/tradeoff.pdf
"""


def figure(
    address: Annotated[
        str,
        typer.Argument(
            metavar="[FIGURE]", help="Paper and number, such as augmix/7; or list.", autocompletion=complete.figures
        ),
    ] = "list",
    results: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Results, Fourier documents and training runs.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="FILE", help="The image in panels that show one (default: a bundled digit).")
    ] = None,
    networks: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="DeepAugment's panels: folder of its trained networks.")
    ] = None,
    generated: Annotated[bool, typer.Option("--generated", help="Also accept images that robench generated.")] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", help="A .png, .svg or .pdf.", rich_help_panel=o.OUTPUT),
    ] = None,
    json_: o.Json = False,
) -> int:
    """List figures or draw one; see HELP."""
    from robench import api
    from robench.cli.common import print_files, print_json, say
    from robench.cli.plot import written
    from robench.tables.figures import figures, list_text

    if address == "list":
        if any((results, image, networks, generated, out)):
            raise RobenchError("`list` takes no options.", hint="Omit them, or name a figure.")
        if json_:
            listed = {
                name: {"title": one.title, "drawn": bool(one.panels), "why": one.why} for name, one in figures().items()
            }
            print_json(listed)
        else:
            say(list_text().rstrip(), " " * 40)
        return 0
    drawn = api.figure(address, results=results, image=image, networks=networks, generated=generated)
    base = Path(out if out is not None else address.replace("/", "-"))
    files = []
    for number, panel in drawn.panels.items():
        name = base if len(drawn.panels) == 1 else base.with_name(f"{base.stem}-{number}{base.suffix}")
        files += written(panel, str(name), name.name)
    print_files(files, as_json=json_)
    for note in drawn.notes:
        typer.echo(in_users_words(note), err=True)
    return 0
