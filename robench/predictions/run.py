"""The folder of a run: what is being measured, one predictions file per cell, and a log of how it went.

RUN/run.json                 identity and record of the run, written first
RUN/predictions/CELL.parquet one file per finished cell (``gaussian_noise__3``), and its ``.sha256``
RUN/probe.json               the model's logits for the first images, to recognise it
RUN/log.jsonl                one line per finished cell: seconds, images, device; never read
RUN/result.json              the result, computed from run.json and the predictions alone
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from robench.cpu import in_threads
from robench.errors import RobenchError
from robench.files import read_document, unwritable, write_json
from robench.predictions import parquet
from robench.predictions.notes import Sample
from robench.predictions.records import RunRecord, Timing
from robench.predictions.resuming import nothing_measured, refuse_foreign, taken_up
from robench.predictions.table import Predictions

_NAMED = 3
_AGAIN = "Run the same `robench evaluate` again: only this cell is measured again."


class RunFolder:
    """A run on disk; several processes can use it at the same time.

    Args:
        path: the folder.
        record: what it measures.
    """

    def __init__(self, path: Path, record: RunRecord) -> None:
        self.path = path
        self.record = record

    def __repr__(self) -> str:
        about = f"{self.record.model.name!r} on {self.record.suite.name}"
        return f"<RunFolder {str(self.path)!r}: {about}, {len(self.done())} of {len(self.record.cells)} cells>"

    @classmethod
    def create(cls, path: str | os.PathLike[str], record: RunRecord) -> RunFolder:
        """Open the folder of this run, or create it; finished cells are kept.

        A run may be asked for more cells than before (its list grows); another identity is refused, unless nothing has
        been measured here: a run that failed at once gives its folder to the same command with the option that its
        message names. A run that has all the cells asked for needs no write permission.

        Raises:
            RobenchError: the folder holds another run or other files, or cannot be created.
        """
        path = Path(path)
        try:
            refuse_foreign(path)
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            with _locked(path):
                known = (path / "run.json").exists()
                there = cls.open(path).record if known else None
                if there is not None:
                    record = _with_what_is_there(path, there, record)
                if record != there:
                    write_json(path / "run.json", record.document(), own=True)
        except RobenchError:
            found = _finished_without_writing(path, record)
            if found is None:
                raise
            return found
        return cls(path, record)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open an existing run, of this version or an earlier one.

        Raises:
            RobenchError: no such folder, it is not a run, or its record is damaged.
        """
        path = Path(path)
        file = path / "run.json"
        try:
            there = file.exists()
        except OSError:  # a name that is too long, a folder that may not be looked into
            there = False
        if not there:
            raise RobenchError(
                f"{path} is not a run: it holds no run.json.",
                hint="Give the folder that `robench evaluate` printed at its end.",
            )
        document = read_document(file, "record of the run", hint="Evaluate into a new folder: `out`.")
        return cls(path, RunRecord.parse(document, str(file)))

    def cell_path(self, cell: str) -> Path:
        """Return the file of a cell."""
        return self.path / "predictions" / (cell.replace("/", "__") + ".parquet")

    def is_done(self, cell: str) -> bool:
        """Return whether the cell's file exists and is undamaged."""
        return parquet.is_whole(self.cell_path(cell))

    def is_damaged(self, cell: str) -> bool:
        """Return whether the cell's file exists but its bytes are not those that were written."""
        path = self.cell_path(cell)
        return path.exists() and parquet.stored_checksum(path) is not None and not parquet.is_whole(path)

    def has(self, cell: str) -> bool:
        """Return whether the cell's file and its checksum exist, without reading the file."""
        path = self.cell_path(cell)
        return path.exists() and parquet.stored_checksum(path) is not None

    def sample(self, cell: str) -> Sample | None:
        """Return which sample of a finished cell was measured; None: all its images.

        Raises:
            RobenchError: the cell's file is damaged.
        """
        notes = parquet.read_notes(self.cell_path(cell))
        return None if notes is None else notes.sample

    def lock(self, cell: str) -> FileLock:
        """Return the lock that a process holds while it measures this cell.

        Raises:
            RobenchError: the run's folder is gone or cannot be written to.
        """
        folder = self.path / ".locks"
        try:
            self._require_folder()
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        # The engine acquires the lock in one thread and releases it in the one that writes.
        return FileLock(folder / (cell.replace("/", "__") + ".lock"), thread_local=False)

    def write(self, cell: str, predictions: Predictions) -> str:
        """Write a finished cell and return its checksum.

        Raises:
            RobenchError: the folder is gone or cannot be written to, or the disk is full.
        """
        self._require_folder()
        if self.open(self.path).record.hash != self.record.hash:
            raise RobenchError(
                f"{self.path} has become the folder of another run.", hint="Choose another folder: `out`."
            )
        return parquet.write(self.cell_path(cell), predictions)

    def _require_folder(self) -> None:
        if not (self.path / "run.json").exists():
            raise RobenchError(
                f"{self.path} was removed while its cells were measured.", hint="Run the same command again."
            )

    def part_path(self, cell: str, start: int, stop: int, after: int = 0) -> Path:
        """Return the file of a part of a cell, used when several processes share a cell.

        ``start`` and ``stop`` count the images that are measured beyond the first ``after`` draws.
        """
        drawn = f"__after-{after}" if after else ""
        return self.path / "parts" / f"{cell.replace('/', '__')}{drawn}__{start}-{stop}.parquet"

    def join_parts(
        self,
        cell: str,
        bounds: list[tuple[int, int]],
        *,
        after: int = 0,
        grown: Callable[[Predictions], Predictions] = lambda rows: rows,
        joined: Callable[[], bool] | None = None,
    ) -> str:
        """Write a cell from its parts, remove them, and return the cell's checksum.

        Where another process has already joined the cell, only left-over parts are removed.

        Args:
            cell: its name.
            bounds: start and stop of the parts.
            after: draws that the cell had before.
            grown: from the rows of the parts to those of the cell.
            joined: whether the cell has these rows already; None: whether its file is there.

        Raises:
            RobenchError: a part is missing or damaged.
        """
        paths = [self.part_path(cell, start, stop, after) for start, stop in bounds]
        known = joined or partial(self.is_done, cell)
        if not known():
            try:
                self.write(cell, grown(Predictions.concatenate([self._read_part(path) for path in paths])))
            except RobenchError:
                if not known():  # parts are removed only after their cell was written
                    raise
        for path in paths:
            parquet.remove(path)
        return parquet.stored_checksum(self.cell_path(cell)) or ""

    def _read_part(self, path: Path) -> Predictions:
        if not parquet.is_whole(path):
            raise RobenchError(f"{path} is missing or damaged.", hint="Run the same command again.")
        return parquet.read(path)

    def read(self, cell: str, optional: Collection[str] | None = None) -> Predictions:
        """Read a finished cell.

        Args:
            cell: the cell's name.
            optional: as for :func:`robench.predictions.parquet.read`.

        Raises:
            RobenchError: it is missing or damaged.
        """
        path = self.cell_path(cell)
        if not path.exists():
            raise RobenchError(f"{self.path} has no cell '{cell}'.", hint="Run `robench evaluate` to its end first.")
        if not self.is_done(cell):
            raise RobenchError(
                f"{path} is damaged: its bytes do not match its checksum.",
                hint=_AGAIN,
            )
        return replace(parquet.read(path, optional), difficulty=self.record.suite.difficulty)

    def column_names(self, cell: str) -> list[str]:
        """Return the names of the columns that a cell has.

        Raises:
            RobenchError: it is missing or damaged.
        """
        return parquet.column_names(self.cell_path(cell))

    def done(self) -> list[str]:
        """Return the finished cells in the run's order."""
        done = in_threads(self.is_done, self.record.cells)
        return [cell for cell, whole in zip(self.record.cells, done, strict=True) if whole]

    def read_done(self, optional: Collection[str] | None = None) -> dict[str, Predictions]:
        """Read all finished cells, in the run's order; see :meth:`read`."""
        done = self.done()
        return dict(zip(done, in_threads(lambda cell: self.read(cell, optional), done), strict=True))

    def refuse_damaged(self, excused: Collection[str] = ()) -> None:
        """Refuse a run with damaged cells.

        Args:
            excused: cells known to be damaged, as measuring them again failed.

        Raises:
            RobenchError: a cell is damaged; the message names it.
        """
        cells = [cell for cell in self.record.cells if cell not in excused]
        damaged = [cell for cell, found in zip(cells, in_threads(self.is_damaged, cells), strict=True) if found]
        if damaged:
            more = f" and {len(damaged) - _NAMED} more" if len(damaged) > _NAMED else ""
            raise RobenchError(
                f"{self.path} is damaged: the bytes of {', '.join(damaged[:_NAMED])}{more} do not match the checksums.",
                hint="Run the same `robench evaluate` again: only these are measured again.",
            )

    def note_timings(self, timings: Mapping[str, Timing]) -> None:
        """Add to the record on disk how long cells took.

        Raises:
            RobenchError: the folder is gone or cannot be written to.
        """
        if not timings:
            return
        self._require_folder()
        with _locked(self.path):
            record = self.open(self.path).record
            self.record = record.model_copy(update={"timings": {**record.timings, **timings}})
            write_json(self.path / "run.json", self.record.document(), own=True)

    def log(self, line: dict[str, Any]) -> None:
        """Append one line to the log; a line cut short by a crash stays separate.

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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a run's record.

    Raises:
        RobenchError: the lock cannot be created, as on a read-only disk.
    """
    lock = FileLock(path / ".run.lock")
    try:
        lock.acquire()
    except (OSError, NotImplementedError, Timeout) as error:
        reason = error if isinstance(error, OSError) else OSError(str(error))
        raise unwritable(path / ".run.lock", reason) from error
    try:
        yield
    finally:
        lock.release()


def _with_what_is_there(path: Path, there: RunRecord, wanted: RunRecord) -> RunRecord:
    run = RunFolder(path, there)
    if there.hash != wanted.hash and nothing_measured(path):
        (path / "probe.json").unlink(missing_ok=True)  # of the other run
        return wanted
    return taken_up(path, there, wanted, {cell for cell in there.cells if run.has(cell)})


def _finished_without_writing(path: Path, record: RunRecord) -> RunFolder | None:
    """Return the run in a read-only folder if it is the same run with all cells asked for, else None."""
    try:
        run = RunFolder.open(path)
        same = _with_what_is_there(path, run.record, record).cells == run.record.cells
    except RobenchError:
        return None
    return run if same and all(run.is_done(cell) for cell in record.cells) else None
