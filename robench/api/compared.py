"""What is compared look by look: a model that is measured as far as a look needs, a baseline, and a budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.packing import Given
    from robench.models.base import Model
    from robench.predictions import RunFolder
    from robench.results import Result
    from robench.suites import OpenSuite


@dataclass(frozen=True)
class Budget:
    """How much may be measured.

    Args:
        passes: forward passes of all models that are measured here; None: all images of the suite.
        minutes: of this call; None: any.
    """

    passes: int | None = None
    minutes: float | None = None


@dataclass
class Measured:
    """A model that is measured as far as a look needs.

    Args:
        model: the model.
        suite: the suite, with its images sized for the model.
        folder: the run's folder.
        given: how it is measured.
        passes: forward passes made by this call.
    """

    model: Model
    suite: OpenSuite
    folder: Path
    given: Given
    passes: int = 0

    def run(self, images: int, title: str) -> RunFolder:
        """Measure what is missing of a sample of so many images per cell, and return the run.

        Raises:
            RobenchError: a cell's images cannot be read.
        """
        from robench.evaluation import evaluate_suite, make_progress
        from robench.evaluation.progress import unit_of

        suite, last = self.suite, max(self.suite.total(cell) for cell in self.suite.suite.cells)
        wanted = suite.with_limit(images if images < last else None)
        progress = make_progress(title, quiet=self.given.report.quiet, unit=unit_of(suite.suite))
        before = passes_in(self.folder, suite)
        outcome = evaluate_suite(self.model, wanted, self.folder, self.given.engine, progress=progress)
        self.passes += passes_in(self.folder, suite) - before
        if outcome.failures:
            cell, why = next(iter(outcome.failures.items()))
            raise RobenchError(f"{len(outcome.failures)} cells could not be read: {cell}: {why}", hint="Check `data`.")
        return outcome.run


def passes_in(folder: Path, suite: OpenSuite) -> int:
    """Return how many forward passes of a suite's cells a folder holds."""
    from robench.evaluation.pieces import missing_of
    from robench.predictions import RunFolder

    if not (folder / "run.json").exists():
        return 0
    run, every = RunFolder.open(folder), suite.with_limit(None)
    found = 0
    for cell in suite.suite.cells:
        missing = missing_of(run, every, cell)
        drawn = suite.total(cell) if missing is None else missing.after
        found += drawn * suite.suite.frame_count(cell.condition)
    return found


@dataclass(frozen=True)
class Baseline:
    """What the first model is compared with: a model, a run, or a result without predictions; one of them.

    Args:
        name: what it is called.
        measured: a model that is measured too.
        run: a finished run or sample.
        result: a stored result.
        most: images per cell that a run holds; None: all.
    """

    name: str
    measured: Measured | None = None
    run: RunFolder | None = None
    result: Result | None = None
    most: int | None = None
