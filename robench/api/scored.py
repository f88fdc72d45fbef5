"""From a finished evaluation to its result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import ReportOptions
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.evaluation import Outcome
    from robench.results import Result


@dataclass(frozen=True)
class Evaluated:
    """How one evaluation ended.

    Args:
        result: its result.
        folder: the run's folder.
        fresh: names of the cells that were measured now; the others were in the folder already.
        kept: a sentence where a better result of the run was stored already, and stays.
        remark: a sentence where nothing was run; it is also the last of the result's notes.
    """

    result: Result
    folder: Path
    fresh: tuple[str, ...]
    kept: str | None = None
    remark: str | None = None


def scored(outcome: Outcome, suite: str, report: ReportOptions) -> Evaluated:
    """Return the result of a finished evaluation, the stored one where nothing has changed.

    Raises:
        RobenchError: no cell could be measured.
    """
    from robench.results import score_run, store
    from robench.results.scoring import current_result

    run, fresh, remark = outcome.run, tuple(outcome.fresh), outcome.remark
    if not run.done():
        reasons = "; ".join(sorted(set(outcome.failures.values()))[:3])
        hint = None if "\n" in reasons else "Check `data`."  # a reason has its own next step
        raise RobenchError(f"No cell of {suite} could be measured: {reasons}", hint=hint)
    if not fresh and not outcome.failures and (known := current_result(run, report.resamples)):
        return Evaluated(_noted(known, remark), run.path, fresh, remark=remark)
    result = score_run(run, resamples=report.resamples, failures=outcome.failures)
    kept = store(result, run)
    return Evaluated(_noted(result, remark), run.path, fresh, kept, remark)


def _noted(result: Result, remark: str | None) -> Result:
    """Return the result with a note that the stored one does not have: it is of this call, not of the run."""
    return result if remark is None else result.model_copy(update={"notes": [*result.notes, remark]})
