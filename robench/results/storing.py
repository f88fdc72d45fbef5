"""Where a run's result is kept: beside its predictions, and never in place of a better one."""

from __future__ import annotations

from pathlib import Path

from robench.errors import RobenchError
from robench.predictions import RunFolder
from robench.results.loading import load
from robench.results.schema import Result
from robench.results.scoring import save

_NAMED = 3


def store(result: Result, run: RunFolder) -> str | None:
    """Write ``RUN/result.json``, unless a better result of the same predictions stands there.

    Better is one of more cells, where the predictions of all that this one has are the same; or one of the same cells
    with intervals of more resamples. What cannot be read is replaced.

    Args:
        result: with the suite's usual metrics.
        run: the run that it is of.

    Returns:
        None, or a sentence that says why the one that was there is kept, and what to do.

    Raises:
        RobenchError: the folder cannot be written to, or the disk is full.
    """
    path = run.path / "result.json"
    why = _better(path, result) if path.exists() else None
    if why is None:
        save(result, path)
    return why


def _better(path: Path, result: Result) -> str | None:
    try:
        there = load(path)
    except RobenchError:
        return None
    old, new = ({cell.name: cell.predictions_sha256 for cell in found.cells} for found in (there, result))
    if there.run.identity != result.run.identity or any(old.get(name) != checksum for name, checksum in new.items()):
        return None
    if missing := [name for name in old if name not in new]:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        return (
            f"{path} was kept: it has {len(old)} cells, this result {len(new)}, without"
            f" {', '.join(missing[:_NAMED])}{more}. Run the same `robench evaluate` again to measure what is missing."
        )
    if there.statistics.resamples > result.statistics.resamples:
        return (
            f"{path} was kept: its intervals are of {there.statistics.resamples:,} resamples, these of"
            f" {result.statistics.resamples:,}."
        )
    return None
