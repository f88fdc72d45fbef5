"""Progress over several rounds of one evaluation: one bar, with the time left until the answer is precise enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from robench.evaluation import Progress
    from robench.predictions import RunFolder


class SeenWhole:
    """Shows rounds as one piece of work, whose size is what the last round says that the answer takes.

    The engine opens, starts and closes it in every round; the progress behind it is opened once.

    Args:
        progress: shows the work.
        title: of the work.
    """

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress, self._title = progress, title
        self._depth = self._expected = 0
        self.quiet = bool(getattr(progress, "quiet", False))

    def begin(self, expected: int, state: str) -> None:
        """Begin a round.

        Args:
            expected: passes that the answer takes in all.
            state: how precise it is so far, in words; "" before the first round.
        """
        self._expected = expected
        if state:
            self.quiet = True  # hints were given in the first round
            if (retitle := getattr(self._progress, "retitle", None)) is not None:
                retitle(f"{self._title}: {state}")

    def __enter__(self) -> SeenWhole:
        if self._depth == 0:
            self._progress.__enter__()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._progress.__exit__(kind, error, trace)

    def start(self, total: int, done: int) -> None:
        """Report the passes that the answer takes, and how many were finished before this round."""
        self._progress.start(max(total, self._expected), done)

    def advance(self, images: int, cell: str) -> None:
        """Report a finished batch."""
        self._progress.advance(images, cell)

    def say(self, text: str) -> None:
        """Print one line without disturbing the bar."""
        self._progress.say(text)


def begun(folder: Path) -> RunFolder | None:
    """Return the run in a folder; None where there is none yet."""
    from robench.predictions import RunFolder

    return RunFolder.open(folder) if (folder / "run.json").exists() else None
