"""``robench.rank(run)``: where a model would stand among the published rows of the same protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import place, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.results.schema import Result
    from robench.tables.ranking import Standing


@spelled_out()
def rank(run: Place | Result, *, suite: str | None = None, metric: str | None = None) -> Standing:
    """Return where a result would stand among published rows on the same images, with the interval of its rank.

    Args:
        run: a run's folder, a ``result.json``, or a result.
        suite: the suite that the result must be of; None: whatever it is of.
        metric: the summary value to rank by (``mean_error``, ``mce``, ``clean_error``); None: the board's first.

    Raises:
        RobenchError: no result, one of another suite, or one whose protocol nobody publishes rows of.

    >>> import robench
    >>> try:
    ...     robench.rank("nowhere")
    ... except robench.RobenchError as error:
    ...     print(error.message)
    No result at nowhere.
    """
    from robench.results.loading import load
    from robench.results.schema import Result
    from robench.suites import get
    from robench.tables.ranking import standing_of

    result = run if isinstance(run, Result) else load(place("run", run))
    if suite is not None and get(suite).name != result.suite.name:
        raise RobenchError(
            f"The result is of {result.suite.name}, not of {suite}.",
            hint=f"Omit `suite`, or evaluate the model on {suite}.",
        )
    return standing_of(result, metric)
