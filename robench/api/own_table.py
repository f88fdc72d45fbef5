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
    sources: Names | None = None,
    group_rows: str | None = None,
    seeds: bool = False,
) -> str:
    """Return a table with a row per model, with 95 % intervals, as text.

    Values that are statistically significantly better than those of every other model are marked: by paired,
    simultaneous intervals where all runs' predictions are there, else where an interval overlaps no other.

    Args:
        runs: run folders, result files or results, of one suite.
        format: ``terminal``, ``markdown``, ``latex``, ``csv`` or ``html``.
        figures: the columns, names of summary values; with ``by`` one metric; None: the main ones.
        by: ``corruption``, ``severity`` or ``group``: a column for each, of one metric (default: error; ``ce`` and
            ``flip_rate`` are normalised as mCE and mFR are), and one for the mean.
        with_published: also rows that others publish of the same suite, version and images.
        sources: whose: ``papers``, ``robustbench``, ``timm``; None: all.
        group_rows: ``architecture`` or ``method``: models of one stand together under its name.
        seeds: trainings that differ only in their seed are one row: their mean and standard deviation.

    Raises:
        RobenchError: no result, results of several suites, a value that they do not have, or nothing published.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 50, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = robench.evaluate("reference:digits/augmix", "digits-c", out=folder, **few)
    >>> print(robench.api.own_table([result], format="csv", figures="clean_error").splitlines()[1].split(",")[0])
    augmix
    """
    from robench.results import Result
    from robench.results.loading import load
    from robench.tables.own import BY, GROUPS, own_table, with_rows
    from robench.tables.own_forms import FORMS, render
    from robench.tables.own_published import SOURCES, published_lines

    one_of("format", format, tuple(FORMS))
    if by is not None:
        one_of("by", by, BY)
    if group_rows is not None:
        one_of("group_rows", group_rows, GROUPS)
    if sources is not None and not with_published:
        raise RobenchError("`sources` has no effect without `with_published`.", hint="Add `with_published`.")
    chosen = SOURCES if sources is None else names("sources", sources)
    for one in chosen:
        one_of("sources", one, SOURCES)
    if isinstance(runs, (str, Path)) or not runs:
        raise RobenchError("`runs` must be a sequence of runs.", hint='For example `runs=["runs/a", "runs/b"]`.')
    results = [one if isinstance(one, Result) else load(place("runs", one)) for one in runs]
    made = own_table(
        results,
        figures=() if figures is None else names("figures", figures),
        by=by,
        comparison=_compared(results) if by is None and not seeds else None,
        group_rows=group_rows,
        seeds=seeds,
    )
    if with_published:
        found = published_lines(results, made.columns, chosen)
        made = with_rows(made, found.lines, found.notes)
    return render(made, format)


def _compared(results: Sequence[Result]) -> ManyComparison | None:
    """Return the paired comparison of all runs; None where some are only results, or not of the same images."""
    from robench.predictions import RunFolder
    from robench.results.comparing_many import compare_many

    folders = [found for one in results if (found := one.folder) is not None]
    if len(results) < 2 or len(folders) < len(results) or not all(folder.is_dir() for folder in folders):
        return None
    resamples = min(result.statistics.resamples for result in results)
    if resamples < 100:
        return None
    try:
        return compare_many([RunFolder.open(folder) for folder in folders], resamples=resamples)
    except RobenchError:
        return None
