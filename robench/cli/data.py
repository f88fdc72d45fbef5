"""``robench data``: list, download, check, describe and generate data sets."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.app import group
from robench.cli.deepaugment import HELP as DEEPAUGMENT
from robench.cli.deepaugment import deepaugment
from robench.cli.generate import HELP as GENERATE
from robench.cli.generate import generate
from robench.cli.help import Command

if TYPE_CHECKING:
    from robench.api import DataSet
    from robench.api.data_sets import Report

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
SetName = Annotated[
    str, typer.Argument(metavar="SET", help="A set of `robench data list`.", autocompletion=complete.data_sets)
]
app = group()
app.command("generate", cls=Command, help=GENERATE)(generate)
app.command("deepaugment", cls=Command, help=DEEPAUGMENT)(deepaugment)


@app.command("list", cls=Command)
def list_sets(root: Root = None, json_: o.Json = False) -> None:
    """List the known sets, their size and licence, which are installed, and where others are."""
    from robench import api
    from robench.cli.common import print_columns, print_json, say

    found, others = api.list_data(root=root), api.list_other_data()
    if json_:
        by_hand = [asdict(one) for one in others]
        print_json([*map(_record, found), *({"set": one.pop("name")} | one | {"download": False} for one in by_hand)])
        return
    columns = {
        "set": [one.name for one in found],
        ">size": [_size(one) for one in found],
        "there": ["yes" if one.folder else "-" for one in found],
        "licence": [one.licence for one in found],
        "what it is": [one.title for one in found],
    }
    print("`robench data download SET` gets:\n")
    print_columns(columns, narrower=[{"licence": None}])
    columns = {
        "set": [one.name for one in others],
        "source": [one.source for one in others],
        "licence": [one.licence for one in others],
        "what it is": [one.title for one in others],
    }
    say("\nYou get or generate, and name with --data (`robench suites show SET` says what must be there):\n")
    print_columns(columns, narrower=[{"what it is": None}, {"licence": None}])
    print(f"\nFolder: {found[0].place.parent}")


def _record(one: DataSet) -> dict[str, Any]:
    """Return a set as a JSON-able document."""
    return {
        "set": one.name,
        "title": one.title,
        "bytes": one.bytes or None,
        "licence": one.licence,
        "source": one.source,
        "folder": str(one.folder) if one.folder else None,
        "download": True,
    }


@app.command(cls=Command)
def info(name: SetName, root: Root = None, json_: o.Json = False) -> None:
    """Show where a set comes from, its files and checksums. E.g. `robench data info cifar10-c`."""
    from robench import api
    from robench.cli.common import print_fields, print_json

    one = api.describe_data(name, root=root)
    if json_:
        print_json(_record(one) | {"files": [{"url": file.url, "md5": file.md5} for file in one.files]})
        return
    lines = [("set", one.name), ("what it is", one.title), ("licence", one.licence), ("source", one.source)]
    lines += [("size", _size(one)), ("folder", str(one.place)), ("installed", "yes" if one.folder else "no")]
    for file in one.files:
        lines.append(("file", f"{file.url}\n{'':12}MD5 {file.md5 or 'not published'}"))
    print_fields(lines, 12)


@app.command(cls=Command)
def download(
    names: Annotated[
        list[str], typer.Argument(metavar="SET", help="Sets of `robench data list`.", autocompletion=complete.data_sets)
    ],
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
    json_: o.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=o.OUTPUT)] = False,
) -> None:
    """Download, check and unpack sets; a broken download resumes. E.g. `robench data download cifar10-c`."""
    from robench import api
    from robench.cli.common import print_json

    folders = {}
    for name in [api.describe_data(name, root=root).name for name in names]:  # all are known before the first begins
        with _Progress(quiet or json_) as progress:
            (folder,) = api.download_data(
                name, root=root, mirror=mirror or (), retries=retries, report=progress.file, notify=progress.note
            )
        folders[name] = str(folder)
        if not (quiet or json_):
            print(f"{name} is at {folder}")
    if json_:
        print_json(folders)


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
    from robench import api
    from robench.cli.common import print_json

    found = api.verify_data(name, data=data, root=root)
    problems = found.problems
    if json_:
        print_json({"set": name, "folder": str(found.folder), "problems": list(problems)})
        return 1 if problems else 0
    for problem in problems:
        print(problem)
    wrong = f"{len(problems)} problem(s). Get these files again, and verify once more."
    print(f"{found.folder}: {wrong if problems else 'every file is correct.'}")
    return 1 if problems else 0


@app.command("manifest-dfr", cls=Command)
def manifest_dfr(
    root: Annotated[
        str, typer.Argument(metavar="FOLDER", help="DeepFashion2's folder, with train and validation in it.")
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write it (default: in the folder).")
    ] = None,
    json_: o.Json = False,
) -> None:
    """Write DeepFashion Remixed's manifest from DeepFashion2's annotations. E.g. `robench data manifest-dfr DIR`."""
    from robench import api
    from robench.cli.common import print_files

    print_files([api.dfr_manifest(root, out=out)], as_json=json_)


def _size(one: DataSet) -> str:
    if not one.bytes:
        return "not known"
    amount = f"{one.bytes / 1e9:.1f} GB" if one.bytes >= 1e9 else f"{one.bytes / 1e6:.0f} MB"
    return amount if one.whole else f"over {amount}"


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
