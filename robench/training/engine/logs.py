"""What a run reports: a row per epoch as CSV and JSON, TensorBoard where installed, progress with the time left."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

from robench.files import atomic_write


class Log:
    """One row of values per epoch, in ``log.csv``, ``log.jsonl`` and, where installed, in TensorBoard.

    ``log.jsonl`` has one object per epoch and line, with lists too: AutoLabel's ``labels``.

    The rows are part of the checkpoint, and the files are rewritten with it: after a restart the log has
    neither a gap nor a duplicate row.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]], writing: bool) -> None:
        self.rows = rows
        self._path = folder / "log.csv"
        self._writing = writing
        self._board = _tensorboard(folder) if writing else None

    def add(self, row: dict[str, Any]) -> None:
        """Append one epoch's values and write them."""
        self.rows.append(row)
        if not self._writing:
            return
        numbers = [{name: value for name, value in one.items() if not isinstance(value, list)} for one in self.rows]
        columns = list(dict.fromkeys(name for one in numbers for name in one))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(numbers)
        with atomic_write(self._path, own=True) as file:
            file.write(text.getvalue().encode())
        with atomic_write(self._path.with_suffix(".jsonl"), own=True) as file:
            file.write("".join(json.dumps(one) + "\n" for one in self.rows).encode())
        if self._board is not None:
            for name, value in numbers[-1].items():
                self._board.add_scalar(name, value, row["epoch"])
            self._board.flush()


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


class Progress:
    """Rate and time left: one line that is updated on a terminal, a plain line every few seconds elsewhere.

    The last one says how long it took.
    """

    def __init__(self, title: str, steps: int, done: int, quiet: bool, unit: str = "steps") -> None:
        self._unit = unit
        self._title, self._steps, self._first, self._quiet = title, steps, done, quiet
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._next = self._start

    def show(self, step: int, images: int, note: str) -> None:
        """Show that ``step`` updates are done, ``images`` since the start of this process."""
        now = time.monotonic()
        last = step >= self._steps
        if self._quiet or (now < self._next and not last):
            return
        self._next = now + (0.2 if self._terminal else 10.0)
        elapsed = max(now - self._start, 1e-9)
        left = elapsed / max(step - self._first, 1) * (self._steps - step)
        done = f"{self._title}: {step:,}/{self._steps:,} {self._unit}"
        when = f"took {_clock(elapsed)}" if last else f"{_clock(left)} left"
        text = f"{done}, {images / elapsed:,.0f} images/s, {when}{note}"
        ending = "\n" if last or not self._terminal else ""
        sys.stderr.write(("\r\x1b[2K" if self._terminal else "") + text + ending)
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
