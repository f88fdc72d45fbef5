"""``robench.api.own_table(runs)``: a table of the user's models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Names, Place
from robench.api.words import names, one_of, place, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.results import Result
    from robench.results.comparing_many import ManyComparison


@spelled_out()
def own_table(
    runs: Sequence[Place | Result],
    *,
    format: str = "terminal",
    figures: Names | None = None,
    by: str | None = None,
    with_published: bool = False,
) -> str:
    """Return a table with a row per model, with 95 % intervals, as text.

    Values that are statistically significantly better than those of every other model are marked: by paired,
    simultaneous intervals where all runs' predictions are there, else where an interval overlaps no other.

    Args:
        runs: run folders, result files or results, of one suite.
        format: ``terminal``, ``markdown``, ``latex``, ``csv`` or ``html``.
        figures: the columns, names of summary values; with ``by`` one metric; None: the main ones.
        by: ``corruption``, ``severity`` or ``group``: a column for each, of one metric (default: error).
        with_published: also rows that papers and RobustBench publish of the same suite, on the published files.

    Raises:
        RobenchError: no result, results of several suites, or a value that they do not have.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 50, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = robench.evaluate("reference:digits/augmix", "digits-c", out=folder, **few)
    >>> print(robench.api.own_table([result], format="csv", figures="clean_error").splitlines()[1].split(",")[0])
    augmix
    """
    from robench.results import Result
    from robench.results.loading import load
    from robench.tables.own import BY, own_table, with_rows
    from robench.tables.own_forms import FORMS, render
    from robench.tables.own_published import published_lines

    one_of("format", format, tuple(FORMS))
    if by is not None:
        one_of("by", by, BY)
    if isinstance(runs, (str, Path)) or not runs:
        raise RobenchError("`runs` must be a sequence of runs.", hint='For example `runs=["runs/a", "runs/b"]`.')
    results = [one if isinstance(one, Result) else load(place("runs", one)) for one in runs]
    made = own_table(
        results,
        figures=() if figures is None else names("figures", figures),
        by=by,
        comparison=_compared(runs, results) if by is None else None,
    )
    if with_published:
        made = with_rows(made, published_lines(results[0], made.columns, by))
    return render(made, format)


def _compared(runs: Sequence[Place | Result], results: Sequence[Result]) -> ManyComparison | None:
    """Return the paired comparison of all runs; None where some are only results, or not of the same images."""
    from robench.predictions import RunFolder
    from robench.results import Result
    from robench.results.comparing_many import compare_many

    folders = [Path(one) for one in runs if not isinstance(one, Result)]
    if len(runs) < 2 or len(folders) < len(runs) or not all(folder.is_dir() for folder in folders):
        return None
    resamples = min(result.statistics.resamples for result in results)
    if resamples < 100:
        return None
    try:
        return compare_many([RunFolder.open(folder) for folder in folders], resamples=resamples)
    except RobenchError:
        return None
