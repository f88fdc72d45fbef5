"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol


class Progress(Protocol):
    """What the engine reports while it works; a context manager."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, total: int, done: int) -> None:
        """Report the number of images, and how many were finished before."""
        ...

    def advance(self, images: int, cell: str) -> None:
        """Report a finished batch."""
        ...

    def say(self, text: str) -> None:
        """Print one line without disturbing the bar."""
        ...


class QuietProgress:
    """Prints nothing but messages."""

    quiet = True  # whether hints are wanted, too

    def __enter__(self) -> QuietProgress:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def start(self, total: int, done: int) -> None:
        """Print nothing."""

    def advance(self, images: int, cell: str) -> None:
        """Print nothing."""

    def say(self, text: str) -> None:
        """Print the line to standard error; a closed or full one does not end the run."""
        if sys.stderr is not None:
            with suppress(OSError, ValueError):
                print(text, file=sys.stderr)


class LineProgress(QuietProgress):
    """One plain line every few seconds, for logs and pipes.

    Args:
        title: first words of each line.
        every: seconds between lines.
    """

    quiet = False

    def __init__(self, title: str, every: float = 10.0) -> None:
        self._title, self._every = title, every
        self._total = self._done = self._fresh = 0
        self._begin = self._last = time.monotonic()

    def retitle(self, title: str) -> None:
        """Change the first words of each line, and print them: how precise a sample is, between its rounds."""
        self._title = title
        self.say(title)

    def start(self, total: int, done: int) -> None:
        """Begin counting."""
        self._total, self._done, self._fresh = total, done, 0
        self._begin = self._last = time.monotonic()

    def advance(self, images: int, cell: str) -> None:
        """Count, and print a line when it is time."""
        self._done += images
        self._fresh += images
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            rate = self._fresh / max(now - self._begin, 1e-9)
            left = (self._total - self._done) / max(rate, 1e-9)
            self.say(
                f"{self._title}: {cell}, {self._done}/{self._total} images, {rate:.0f} images/s, {left:.0f} s left"
            )


class BarProgress:
    """A rich progress bar with rate and time left.

    Args:
        title: shown left of the bar.
    """

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._title = title
        self._bar: Any = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} images"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None
        self._begin, self._fresh = time.monotonic(), 0

    def __enter__(self) -> BarProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, total: int, done: int) -> None:
        """Draw the bar."""
        self._begin, self._fresh = time.monotonic(), 0
        if self._task is not None:  # another round of the same work
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(self._title, total=total, completed=done, rate="")

    def retitle(self, title: str) -> None:
        """Change the words left of the bar."""
        self._title = title
        if self._task is not None:
            self._bar.update(self._task, description=title)

    def advance(self, images: int, cell: str) -> None:
        """Move the bar."""
        self._fresh += images
        rate = self._fresh / max(time.monotonic() - self._begin, 1e-9)
        self._bar.update(
            self._task, advance=images, description=f"{self._title}  {cell:<22}", rate=f"{rate:,.0f} images/s"
        )

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        self._bar.console.print(text, highlight=False, markup=False)


def make_progress(title: str, *, quiet: bool = False) -> Progress:
    """Return the fitting kind of progress: none when quiet, a bar on a terminal, else plain lines."""
    if quiet:
        return QuietProgress()
    terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    return BarProgress(title) if terminal else LineProgress(title)
