"""The folder of a run: what is being measured, one predictions file a cell, and a log of how it went.

RUN/run.json                 identity and record of the run, written first
RUN/predictions/CELL.parquet one file a finished cell (``gaussian_noise__3``), with ``.sha256`` beside it
RUN/log.jsonl                one line a finished cell: seconds, images, device (never read back as truth)
RUN/result.json              the figures, made from the above alone
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from robench.errors import RobenchError
from robench.files import digest, unwritable, write_json
from robench.predictions import parquet
from robench.predictions.table import FORMAT_VERSION, Predictions


@dataclass(frozen=True)
class RunRecord:
    """What a run measures.

    Args:
        identity: JSON-able record of everything that changes a prediction (suite protocol, model hash,
            preprocessing, precision); two runs with equal identities have equal predictions up to float noise.
        cells: names of the cells to be measured, in the suite's order.
        info: what is worth knowing beside (model card, options, versions); changes nothing.
    """

    identity: dict[str, Any]
    cells: tuple[str, ...]
    info: dict[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the identity."""
        return digest({"format": FORMAT_VERSION, **self.identity})


class RunFolder:
    """A run on disk; several processes may use one at the same time.

    Args:
        path: the folder.
        record: what it measures.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record

    @classmethod
    def create(cls, path: str | os.PathLike[str], record: RunRecord) -> RunFolder:
        """Open ``path`` for this run, making it where it is not there, and take up what is finished.

        More cells may be asked of a run than before (the list grows); another identity is refused.

        Raises:
            RobenchError: the folder holds a run of another model or protocol, or something else.
        """
        path = Path(path)
        _refuse_foreign(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        with FileLock(path / ".run.lock"):
            if (path / "run.json").exists():
                there = cls.open(path)
                _refuse_other(path, there.record, record)
                known = set(record.cells)
                info = _merged_info(there, record)
                cells = record.cells + tuple(cell for cell in there.record.cells if cell not in known)
                record = RunRecord(record.identity, cells, info)
            write_json(
                path / "run.json",
                {
                    "kind": "robench-run",
                    "format": FORMAT_VERSION,
                    "hash": record.hash,
                    "identity": record.identity,
                    "cells": list(record.cells),
                    "info": record.info,
                },
            )
        return cls(path, record)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open a run that is there.

        Raises:
            RobenchError: no such folder, or it is not a run.
        """
        path = Path(path)
        try:
            document = json.loads((path / "run.json").read_text())
            record = RunRecord(document["identity"], tuple(document["cells"]), document["info"])
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RobenchError(
                f"{path} is not a run: it holds no run.json.",
                hint="Give the folder that `robench evaluate` printed at its end.",
            ) from error
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise RobenchError(
                f"{path / 'run.json'} cannot be read: {error}", hint="Evaluate into a new folder with --out."
            ) from error
        return cls(path, record)

    def cell_path(self, cell: str) -> Path:
        """Return the file of a cell."""
        return self.path / "predictions" / (cell.replace("/", "__") + ".parquet")

    def is_done(self, cell: str) -> bool:
        """Return whether the cell's file is there, whole and undamaged."""
        return parquet.is_whole(self.cell_path(cell))

    def is_damaged(self, cell: str) -> bool:
        """Return whether a file is there whose bytes are not those that were written."""
        path = self.cell_path(cell)
        return path.exists() and parquet.stored_checksum(path) is not None and not parquet.is_whole(path)

    def lock(self, cell: str) -> FileLock:
        """Return the lock that a process holds while it measures this cell."""
        folder = self.path / ".locks"
        folder.mkdir(exist_ok=True)
        # The engine takes the lock in one thread and lets go of it in the one that writes.
        return FileLock(folder / (cell.replace("/", "__") + ".lock"), thread_local=False)

    def write(self, cell: str, predictions: Predictions) -> str:
        """Write a finished cell and return its checksum."""
        return parquet.write(self.cell_path(cell), predictions)

    def part_path(self, cell: str, start: int, stop: int) -> Path:
        """Return the file of a part of a cell, made when several processes split one."""
        return self.path / "parts" / f"{cell.replace('/', '__')}__{start}-{stop}.parquet"

    def join_parts(self, cell: str, bounds: list[tuple[int, int]]) -> str:
        """Write a cell from its parts, remove them, and return the cell's checksum.

        Where another run in the same folder has joined the cell already, only left-over parts are removed.

        Raises:
            RobenchError: a part is missing or damaged.
        """
        paths = [self.part_path(cell, start, stop) for start, stop in bounds]
        if not self.is_done(cell):
            try:
                self.write(cell, Predictions.concatenate([self._read_part(path) for path in paths]))
            except RobenchError:
                if not self.is_done(cell):  # parts are removed when their cell is written, not before
                    raise
        for path in paths:
            parquet.remove(path)
        return parquet.stored_checksum(self.cell_path(cell)) or ""

    def _read_part(self, path: Path) -> Predictions:
        if not parquet.is_whole(path):
            raise RobenchError(f"{path} is missing or damaged.", hint="Run the same command again.")
        return parquet.read(path)

    def read(self, cell: str) -> Predictions:
        """Read a finished cell.

        Raises:
            RobenchError: it is missing or damaged.
        """
        path = self.cell_path(cell)
        if not path.exists():
            raise RobenchError(f"{self.path} has no cell '{cell}'.", hint="Run `robench evaluate` to its end first.")
        if not self.is_done(cell):
            raise RobenchError(
                f"{path} is damaged: its bytes do not match the checksum beside it.",
                hint="Run the same `robench evaluate` again: only this cell is redone.",
            )
        return parquet.read(path)

    def done(self) -> list[str]:
        """Return the finished cells in the run's order."""
        return [cell for cell in self.record.cells if self.is_done(cell)]

    def log(self, line: dict[str, Any]) -> None:
        """Append one line to the log; what a crash left of one stays on a line of its own.

        Raises:
            RobenchError: the folder cannot be written to, or the disk is full.
        """
        path = self.path / "log.jsonl"
        try:
            with open(path, "ab+") as file:
                torn = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
                file.write(b"\n" * torn + json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise unwritable(path, error) from error

    def read_log(self) -> list[dict[str, Any]]:
        """Return the log's lines; a line cut short by a crash is left out."""
        lines = []
        try:
            text = (self.path / "log.jsonl").read_text()
        except OSError:
            return []
        for line in text.splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
        return lines


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise RobenchError(f"{path} is a file, not a folder.", hint="Choose another folder with --out.")
    if path.is_dir() and not (path / "run.json").exists():
        strangers = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
        if strangers:
            raise RobenchError(
                f"{path} holds other things ({', '.join(sorted(strangers)[:3])}) and no run.",
                hint="Choose an empty or new folder with --out.",
            )


def _refuse_other(path: Path, there: RunRecord, wanted: RunRecord) -> None:
    if there.hash == wanted.hash:
        return
    differences = list(_differences(there.identity, wanted.identity))
    raise RobenchError(
        f"{path} holds a run of something else; it differs in "
        + "; ".join(f"{key}: there {_short(old)}, now {_short(new)}" for key, old, new in differences[:4])
        + ".",
        hint="Choose another folder with --out, or leave --out away and robench picks one for this model and protocol.",
    )


# Of an environment, what can change figures or how far they are trusted.
_TELLING = ("robench", "torch", "device")


def _merged_info(there: RunFolder, record: RunRecord) -> dict[str, Any]:
    """Return the info of a run taken up again: on what its cells were measured, not on what it was looked at last."""
    old, new = there.record.info, record.info
    if said := dict.fromkeys([*old.get("remarks", []), *new.get("remarks", [])]):
        new = new | {"remarks": list(said)}  # now perhaps fewer cells were opened
    finished = {cell for cell in there.record.cells if parquet.stored_checksum(there.cell_path(cell)) is not None}
    if finished.issuperset(record.cells):
        return new | {key: old[key] for key in ("environment", "command", "earlier") if key in old}
    before = [*old.get("earlier", []), *([old["environment"]] if finished and "environment" in old else [])]
    told = {tuple(new.get("environment", {}).get(key) for key in _TELLING)}
    earlier = []
    for environment in before:
        if (key := tuple(environment.get(name) for name in _TELLING)) not in told:
            told.add(key)
            earlier.append(environment)
    return new | ({"earlier": earlier} if earlier else {})


def _differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted({*old, *new}):
            found += _differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
        return found
    return [] if old == new else [(prefix, old, new)]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:18] + "..."
