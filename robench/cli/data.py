"""``robench data``: list, download, check, describe and generate data sets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import options as o
from robench.cli.app import group
from robench.cli.generate import HELP as GENERATE
from robench.cli.generate import generate
from robench.cli.help import Command
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.data.catalogue import Entry
    from robench.data.download import Report

HELP = """\
Examples:

    robench data list
    robench data download cifar10-c
    robench data verify cifar10-c --data CIFAR-10-C
    robench data generate --suite cifar10-c --source cifar-10-batches-py \\
        --out CIFAR-10-C
"""
Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="Folder of all sets (default: ROBENCH_DATA, else the system's data folder).",
    ),
]
SetName = Annotated[str, typer.Argument(metavar="SET", help="A set of `robench data list`.")]
app = group()
app.command("generate", cls=Command, help=GENERATE)(generate)


@app.command("list", cls=Command)
def list_sets(root: Root = None, json_: o.Json = False) -> None:
    """List the known sets, their size and licence, and which are installed."""
    from rich.table import Table

    from robench.cli.common import console, path, plain_width, print_json
    from robench.data.catalogue import catalogue, data_root, installed

    entries, place = catalogue().values(), path("root", root)
    if json_:
        print_json([_record(entry, place) for entry in entries])
        return
    table = Table(box=None)
    for head in ("set", "size", "licence", "there", "what it is"):
        table.add_column(head, overflow="fold", no_wrap=head == "set")  # a name cut short cannot be typed
    for entry in entries:
        there = "yes" if installed(entry.name, place) else "-"
        table.add_row(entry.name, _size(entry), entry.licence, there, entry.title)
    console(width=plain_width()).print(table)
    print(f"Folder: {place or data_root()}")


def _record(entry: Entry, root: Path | None) -> dict[str, Any]:
    """Return a set as a JSON-able document."""
    from robench.data.catalogue import installed

    folder = installed(entry.name, root)
    return {
        "set": entry.name,
        "title": entry.title,
        "bytes": entry.size or None,
        "licence": entry.licence,
        "source": entry.source,
        "folder": str(folder) if folder else None,
    }


@app.command(cls=Command)
def info(name: SetName, root: Root = None, json_: o.Json = False) -> None:
    """Show where a set comes from, its files and checksums. E.g. `robench data info cifar10-c`."""
    from robench.cli.common import path, print_json
    from robench.data.catalogue import data_root, find_entry, installed

    entry, place = find_entry(name), path("root", root)
    if json_:
        print_json(_record(entry, place) | {"files": [{"url": file.url, "md5": file.md5} for file in entry.files]})
        return
    lines = [("set", entry.name), ("what it is", entry.title), ("licence", entry.licence), ("source", entry.source)]
    lines += [("size", _size(entry)), ("folder", str((place or data_root()) / entry.name))]
    lines += [("installed", "yes" if installed(name, place) else "no")]
    for file in entry.files:
        lines.append(("file", f"{file.url}\n{'':12}MD5 {file.md5 or 'not published'}"))
    for key, value in lines:
        print(f"{key:12}{value}")


@app.command(cls=Command)
def download(
    names: Annotated[list[str], typer.Argument(metavar="SET", help="Sets of `robench data list`.")],
    root: Root = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Web address that holds SET/FILE, asked before the set's own host (repeatable; default: "
            "ROBENCH_MIRROR).",
        ),
    ] = None,
    retries: Annotated[int, typer.Option(metavar="N", help="How often a broken download is resumed.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=o.OUTPUT)] = False,
) -> None:
    """Download, check and unpack sets; a broken download resumes. E.g. `robench data download cifar10-c`."""
    from robench.api.words import whole
    from robench.cli.common import path
    from robench.data.catalogue import find_entry
    from robench.data.install import install

    place = path("root", root)
    whole("retries", retries, least=0, most=1000)
    for entry in [find_entry(name) for name in names]:
        with _Progress(quiet) as progress:
            folder = install(
                entry, place, mirror=mirror or (), report=progress.file, notify=progress.note, retries=retries
            )
        if not quiet:
            print(f"{entry.name} is at {folder}")


@app.command(cls=Command)
def verify(
    name: SetName,
    data: Annotated[
        str | None, typer.Option("--data", metavar="PATH", help="Your own copy (default: the downloaded one).")
    ] = None,
    root: Root = None,
    json_: o.Json = False,
) -> int:
    """Check every file of a set and name those that are wrong. E.g. `robench data verify cifar10-c --data DIR`."""
    from robench.cli.common import path, print_json
    from robench.data.catalogue import find_entry, installed
    from robench.data.install import verify as problems_of

    entry = find_entry(name)
    folder = installed(name, path("root", root)) if data is None else path("data", data)
    if folder is None:
        raise RobenchError(f"{name} is not installed.", hint=f"Set `data`, or run `robench data download {name}`.")
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise RobenchError(f"{folder} {what}.", hint="Give the folder of the set in `data`.")
    problems = list(problems_of(folder, entry))
    if json_:
        print_json({"set": name, "folder": str(folder), "problems": [str(problem) for problem in problems]})
        return 1 if problems else 0
    for problem in problems:
        print(problem)
    print(f"{folder}: {len(problems)} problem(s)." if problems else f"{folder}: every file is correct.")
    return 1 if problems else 0


@app.command("manifest-dfr", cls=Command)
def manifest_dfr(
    root: Annotated[
        str, typer.Argument(metavar="FOLDER", help="DeepFashion2's folder, with train and validation in it.")
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it (default: in the folder).")
    ] = None,
) -> None:
    """Write DeepFashion Remixed's manifest from DeepFashion2's annotations. E.g. `robench data manifest-dfr DIR`."""
    from robench.api.words import place
    from robench.cli.common import path
    from robench.data.deepfashion2 import write_manifest

    print(write_manifest(place("root", root), path("out", out)))


def _size(entry: Entry) -> str:
    known = all(file.size for file in entry.files)
    if not entry.size:
        return "not known"
    amount = f"{entry.size / 1e9:.1f} GB" if entry.size >= 1e9 else f"{entry.size / 1e6:.0f} MB"
    return amount if known else f"over {amount}"


class _Progress:
    """Bars on a terminal, a plain line every ten seconds elsewhere, nothing if quiet."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bars: Any = None

    def __enter__(self) -> _Progress:
        import sys

        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bars = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def file(self, name: str) -> Report:
        """Return the function that is told the progress of one file."""
        if self._quiet:
            return lambda done, total: None
        if self._bars is not None:
            task = self._bars.add_task(name, total=None)
            return lambda done, total: self._bars.update(task, completed=done, total=total)
        return _lines(name)

    def note(self, text: str) -> None:
        """Say why there is a pause or another host."""
        import sys

        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        elif not self._quiet:
            print(text, file=sys.stderr)


def _lines(name: str) -> Report:
    import sys

    last = time.monotonic()

    def report(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= 10 or done == total:
            last = time.monotonic()
            share = f" ({100 * done / total:.0f} %)" if total else ""
            print(f"{name}: {done / 1e6:,.0f} MB{share}", file=sys.stderr)

    return report
