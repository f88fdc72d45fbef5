"""``robench.api.metrics(run)``: results of a run from its stored predictions, without the model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, overload

from robench.api.options import Names, Place
from robench.api.words import names, place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.predictions import RunFolder
    from robench.results.schema import Result, Value


@overload
def metrics(
    run: Place,
    *,
    metric: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
    baseline: None = None,
    corruption: None = None,
    out: Place | None = None,
) -> Result: ...


@overload
def metrics(
    run: Place, *, resamples: int = 1000, seed: int = 0, baseline: Place, corruption: Names | None = None
) -> dict[str, Value]: ...


@overload
def metrics(
    run: Place,
    *,
    metric: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
    baseline: Place | None = None,
    corruption: Names | None = None,
    out: Place | None = None,
) -> Result | dict[str, Value]: ...


@spelled_out()
def metrics(
    run: Place,
    *,
    metric: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
    baseline: Place | None = None,
    corruption: Names | None = None,
    out: Place | None = None,
) -> Result | dict[str, Value]:
    """Score a run again, with other metrics, or against a baseline.

    Args:
        run: the run's folder.
        metric: names of metrics, ``"adaptive_ece,aurc"`` or a sequence; None: the suite's own, and the result is
            written to ``run/result.json``, unless a better one of the same predictions stands there: standard
            error then says so.
        resamples: bootstrap resamples of the intervals.
        seed: of the bootstrap.
        baseline: another run of the same suite, or a published table (``alexnet``, ``tiny-imagenet-resnet18``):
            corruption errors, mCE and relative mCE against it.
        corruption: with ``baseline``, the corruptions; None: those of the benchmark.
        out: JSON to write the result to, for plots, reports and tables of other metrics than the suite's own.

    Returns:
        The result; with ``baseline``, the normalised values by name.

    Raises:
        RobenchError: not a run, an unknown metric or baseline, or options that exclude each other.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 100, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = robench.evaluate("reference:digits/standard", "digits-c", out=folder, **few)
    ...     result = robench.api.metrics(folder, metric="aurc,error", resamples=0)
    >>> sorted(result.cells[1].metrics)
    ['aurc', 'error']
    """
    from robench.predictions import RunFolder
    from robench.results import score_run
    from robench.results.normalising import normalised_values
    from robench.results.scoring import save

    folder = place("run", run)
    whole("resamples", resamples, least=0, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    chosen = None if corruption is None else names("corruption", corruption)
    if baseline is not None:
        if out is not None:
            raise RobenchError("`out` has no effect with `baseline`.", hint="Omit `out`.")
        if metric is not None:
            raise RobenchError(
                "`baseline` and `metric` cannot be combined: a baseline normalises errors only.",
                hint="Use only one of them.",
            )
        against = place("baseline", baseline)
        return normalised_values(folder, str(against), corruptions=chosen, resamples=resamples, seed=seed)
    if chosen is not None:
        raise RobenchError("`corruption` has no effect without `baseline`.", hint="Add `baseline`.")
    wanted = None if metric is None else names("metric", metric)
    opened = RunFolder.open(folder)
    result = score_run(opened, metrics=wanted, resamples=resamples, seed=seed)
    if out is not None:
        save(result, place("out", out))
    elif wanted is None and (why := _store(result, opened)) is not None:
        print(f"robench: {why}", file=sys.stderr)
    return result


def _store(result: Result, run: RunFolder) -> str | None:
    """Keep the result with its run; return why that was not done, as on a read-only disk, or None."""
    from robench.results import store

    try:
        return store(result, run)
    except RobenchError as error:
        return f"The result was not stored. {error.message}"
