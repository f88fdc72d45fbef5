"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from robench.errors import in_users_words

if TYPE_CHECKING:
    from robench.suites.base import Suite

_BAR = 12  # columns of the bar itself


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
                print(in_users_words(text), file=sys.stderr)


class LineProgress(QuietProgress):
    """One plain line every few seconds, for logs and pipes.

    Args:
        title: first words of each line.
        every: seconds between lines.
        unit: what is counted.
    """

    quiet = False

    def __init__(self, title: str, every: float = 10.0, unit: str = "images") -> None:
        self._title, self._every, self._unit = title, every, unit
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
            when = f"{clock(left)} left" if self._done < self._total else f"took {clock(now - self._begin)}"
            count = f"{self._done}/{self._total} {self._unit}"
            self.say(f"{self._title}: {when}, {cell}, {count}, {rate:{'.0f' if rate >= 10 else '.2g'}} {self._unit}/s")


def clock(seconds: float) -> str:
    """Return a time as a clock shows it.

    >>> clock(75), clock(4000)
    ('1:15', '1:06:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class BarProgress:
    """A rich progress bar: the time left first, then how much is done, the rate, the cell, and the title last.

    What does not fit the terminal is cut from the end; the time left and the count always show. When all is done,
    the time that it took stands in the place of the time left; "done" where nothing was left to do.

    Args:
        title: what runs.
        unit: what is counted.
    """

    def __init__(self, title: str, unit: str = "images") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column
        from rich.text import Text

        console = Console(stderr=True)
        ended = self._ended

        class When(ProgressColumn):
            def render(self, task: Any) -> Text:
                if task.completed >= task.total:
                    return Text(ended(), style="bold")
                left = task.time_remaining
                return Text(f"{'-:--' if left is None else clock(left)} left", style="bold")

        class Rest(ProgressColumn):
            def render(self, task: Any) -> Text:
                told = task.fields
                text = f"{task.completed:.0f}/{task.total:.0f} {unit}" + (
                    f", {told['rate']:,.0f}/s" if told["rate"] else ""
                )
                line = Text("  ".join(part for part in (text, told["cell"], task.description) if part))
                line.truncate(max(console.width - _BAR - 15, len(text)), overflow="ellipsis")
                return line

        whole = Column(no_wrap=True)
        self._title = title
        self._bar: Any = RichProgress(
            When(table_column=Column(no_wrap=True, min_width=9)),
            BarColumn(_BAR, table_column=whole),
            Rest(table_column=whole),
            console=console,
            transient=True,
        )
        self._task: Any = None
        self._begin = self._last = time.monotonic()
        self._fresh = 0

    def __enter__(self) -> BarProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, total: int, done: int) -> None:
        """Draw the bar."""
        self._begin = self._last = time.monotonic()
        self._fresh = 0
        if self._task is not None:  # another round of the same work
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(self._title, total=total, completed=done, rate=0.0, cell="")

    def retitle(self, title: str) -> None:
        """Change the title."""
        self._title = title
        if self._task is not None:
            self._bar.update(self._task, description=title)

    def advance(self, images: int, cell: str) -> None:
        """Move the bar."""
        self._fresh += images
        self._last = time.monotonic()
        rate = self._fresh / max(self._last - self._begin, 1e-9)
        self._bar.update(self._task, advance=images, rate=rate, cell=cell)

    def _ended(self) -> str:
        """Return what stands in the place of the time left when everything is done."""
        return f"took {clock(self._last - self._begin)}" if self._fresh else "done"

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        self._bar.console.print(in_users_words(text), highlight=False, markup=False)


def make_progress(title: str, *, quiet: bool = False, unit: str = "images") -> Progress:
    """Return the fitting kind of progress: none when quiet, a bar on a terminal, else plain lines.

    Args:
        title: what runs.
        quiet: show nothing but messages.
        unit: what is counted; see :func:`unit_of`.
    """
    if quiet:
        return QuietProgress()
    terminal = sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()
    return BarProgress(title, unit) if terminal else LineProgress(title, unit=unit)


def unit_of(suite: Suite) -> str:
    """Return what goes through the model: images; ``frames`` of clips; ``passes`` where an image is tried repeatedly.

    >>> from robench.suites import get
    >>> unit_of(get("cifar10-c")), unit_of(get("cifar10-p")), unit_of(get("cifar10-sta"))
    ('images', 'frames', 'passes')
    """
    if suite.frames == 1 and not suite.frames_of:
        return "images"
    return "frames" if suite.task == "perturbation" else "passes"
