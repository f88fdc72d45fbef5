"""``robench data``: list, download, verify and describe data sets."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.data.catalogue import Entry
    from robench.data.download import Report

ROOT = typer.Option(None, "--root", help="Folder of all sets; else ROBENCH_DATA, else the system's data folder.")


def register(app: typer.Typer) -> None:
    """Add the verb with its commands."""
    data = typer.Typer(
        help="Data sets: which are known, get them, check them.\n\n"
        "    robench data list\n\n    robench data download cifar10-c\n\n    robench data verify cifar10-c",
        no_args_is_help=True,
    )
    data.command("list")(list_sets)
    data.command("info")(info)
    data.command("download")(download)
    data.command("verify")(verify)
    data.command("manifest-dfr")(manifest_dfr)
    if find_spec("robench.cli.generate") is not None:
        from importlib import import_module

        import_module("robench.cli.generate").register(data)
    app.add_typer(data, name="data")


def list_sets(root: Path | None = ROOT) -> None:
    """List the known sets, their size and licence, and which are there. E.g. `robench data list`."""
    from rich.table import Table

    from robench.cli.common import console
    from robench.data.catalogue import catalogue, data_root, installed

    table = Table(box=None)
    for head in ("set", "size", "licence", "there", "what it is"):
        table.add_column(head, overflow="fold", no_wrap=head == "set")  # a name cut short cannot be typed
    for entry in catalogue().values():
        there = "yes" if installed(entry.name, root) else "-"
        table.add_row(entry.name, _size(entry), entry.licence, there, entry.title)
    console().print(table)
    print(f"Folder: {root or data_root()}")


def info(name: str = typer.Argument(..., help="A set of `robench data list`."), root: Path | None = ROOT) -> None:
    """Say where a set comes from, its files and checksums. E.g. `robench data info cifar10-c`."""
    from robench.data.catalogue import data_root, find_entry, installed

    entry = find_entry(name)
    lines = [("set", entry.name), ("what it is", entry.title), ("licence", entry.licence), ("source", entry.source)]
    lines += [("size", _size(entry)), ("folder", str((root or data_root()) / entry.name))]
    lines += [("there", "yes" if installed(name, root) else "no")]
    for file in entry.files:
        lines.append(("file", f"{file.url}\n{'':12}MD5 {file.md5 or 'not published'}"))
    for key, value in lines:
        print(f"{key:12}{value}")


def download(
    names: list[str] = typer.Argument(..., help="Sets of `robench data list`."),
    root: Path | None = ROOT,
    mirror: list[str] | None = typer.Option(
        None, help="Web address that holds SET/FILE, asked before the set's own host. Default: ROBENCH_MIRROR."
    ),
    retries: int = typer.Option(8, min=0, help="How often a broken download is taken up again."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> None:
    """Download sets, check and unpack them; a broken download goes on. E.g. `robench data download cifar10-c`."""
    from robench.data.catalogue import find_entry
    from robench.data.install import install

    for entry in [find_entry(name) for name in names]:
        with _Progress(quiet) as progress:
            folder = install(
                entry, root, mirror=mirror or (), report=progress.file, notify=progress.note, retries=retries
            )
        if not quiet:
            print(f"{entry.name} is at {folder}")


def verify(
    name: str = typer.Argument(..., help="A set of `robench data list`."),
    data: Path | None = typer.Option(None, "--data", help="Your own copy; else the downloaded one."),
    root: Path | None = ROOT,
) -> int:
    """Check every file of a set and name those that are wrong. E.g. `robench data verify cifar10-c --data DIR`."""
    from robench.data.catalogue import find_entry, installed
    from robench.data.install import verify as problems_of

    entry = find_entry(name)
    folder = data or installed(name, root)
    if folder is None:
        raise RobenchError(f"{name} is not there.", hint=f"Give --data DIR, or run `robench data download {name}`.")
    problems = list(problems_of(folder, entry))
    for problem in problems:
        print(problem)
    print(f"{folder}: {len(problems)} problem(s)." if problems else f"{folder}: every file is as it must be.")
    if problems:
        raise typer.Exit(1)
    return 0


def manifest_dfr(
    root: Path = typer.Argument(..., help="DeepFashion2's folder, with train and validation in it."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Where to write it; else ROOT/manifest.csv."),
) -> None:
    """Make DeepFashion Remixed's manifest from DeepFashion2's annotations. E.g. `robench data manifest-dfr DIR`."""
    from robench.data.deepfashion2 import write_manifest

    print(write_manifest(root, out))


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
