"""``robench.api.metrics(run)``: results of a run from its stored predictions, or metrics of saved logits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from robench.api.options import Names, Place, SavedArray
from robench.api.words import both_given, names, place, run_place, spelled_out, whole, without_logits
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.saved_logits import SavedLogits
    from robench.predictions import RunFolder
    from robench.results.schema import Result, Value


@dataclass(frozen=True)
class LogitMetrics:
    """Metrics of logits and labels that another framework saved.

    Args:
        logits, labels: what they were read from.
        images, classes: how many there are.
        resamples, seed: of the bootstrap.
        metrics: name -> value with its 95 % interval.
        notes: what was chosen or converted.
    """

    logits: str
    labels: str
    images: int
    classes: int
    resamples: int
    seed: int
    metrics: dict[str, Value] = field(repr=False)
    notes: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return all of it as a JSON-able document."""
        from robench.api.calibration import plain

        found = {key: getattr(self, key) for key in ("logits", "labels", "images", "classes", "resamples", "seed")}
        return {"kind": "robench-metrics", **found, "metrics": plain(self.metrics), "notes": list(self.notes)}


@overload
def metrics(
    run: None = None,
    *,
    metric: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
    out: Place | None = None,
    logits: Place | SavedArray,
    labels: Place | SavedArray,
    probabilities: bool = False,
    class_names: Place | Sequence[str] | None = None,
) -> LogitMetrics: ...


@overload
def metrics(
    run: Place | Result,
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
    run: Place | Result, *, resamples: int = 1000, seed: int = 0, baseline: Place, corruption: Names | None = None
) -> dict[str, Value]: ...


@overload
def metrics(
    run: Place | Result | None = None,
    *,
    metric: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
    baseline: Place | None = None,
    corruption: Names | None = None,
    out: Place | None = None,
    logits: Place | SavedArray | None = None,
    labels: Place | SavedArray | None = None,
    probabilities: bool = False,
    class_names: Place | Sequence[str] | None = None,
) -> Result | dict[str, Value] | LogitMetrics: ...


@spelled_out()
def metrics(
    run: Place | Result | None = None,
    *,
    metric: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
    baseline: Place | None = None,
    corruption: Names | None = None,
    out: Place | None = None,
    logits: Place | SavedArray | None = None,
    labels: Place | SavedArray | None = None,
    probabilities: bool = False,
    class_names: Place | Sequence[str] | None = None,
) -> Result | dict[str, Value] | LogitMetrics:
    """Score a run again, with other metrics, or against a baseline; or score logits that another framework saved.

    Args:
        run: the run's folder, or its result; None: ``logits`` and ``labels`` are scored.
        metric: names of metrics, ``"adaptive_ece,aurc"`` or a sequence; None: the suite's own, and the result is
            written to ``run/result.json``, unless a better one of the same predictions stands there: standard
            error then says so.
        resamples: bootstrap resamples of the intervals.
        seed: of the bootstrap.
        baseline: another run of the same suite, or a published table (``alexnet``, ``tiny-imagenet-resnet18``):
            corruption errors, mCE and relative mCE against it.
        corruption: with ``baseline``, the corruptions; None: those of the benchmark.
        out: JSON to write the result to, for plots, reports and tables of other metrics than the suite's own.
        logits: (n, K), an array or a file (``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.parquet``).
        labels: (n,) or (n, 1) whole numbers from 0, one-hot (n, K), or names; an array or such a file.
        probabilities: whether ``logits`` holds probabilities.
        class_names: names of the classes in the order of the logits, for labels that are names: a sequence, or a text
            file with one name per line.

    Returns:
        The result; with ``baseline``, the normalised values by name; with ``logits``, their metrics.

    Raises:
        RobenchError: not a run, an unknown metric or baseline, options that exclude each other, or logits and labels
            that do not fit (see :func:`robench.api.saved_logits.saved_logits`).

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 100, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = robench.evaluate("reference:digits/standard", "digits-c", out=folder, **few)
    ...     result = robench.api.metrics(folder, metric="aurc,error", resamples=0)
    >>> sorted(result.cells[1].metrics)
    ['aurc', 'error']

    >>> found = robench.api.metrics(logits=[[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]], labels=[0, 1, 1], metric="error")
    >>> found.images, round(found.metrics["error"].value, 3)
    (3, 0.333)
    """
    from robench.files import write_json
    from robench.predictions import RunFolder
    from robench.results import score_run
    from robench.results.normalising import normalised_values
    from robench.results.scoring import save

    whole("resamples", resamples, least=0, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    if logits is not None or labels is not None:
        both_given((("logits", True, name, given) for name, given in
                    (("run", run), ("baseline", baseline), ("corruption", corruption))))  # fmt: skip
        from robench.api.saved_logits import needed_logits

        saved = needed_logits(logits, labels, probabilities, class_names)
        scored = _of_logits(saved, None if metric is None else names("metric", metric), resamples, seed)
        if out is not None:
            write_json(place("out", out), scored.document())
        return scored
    without_logits(probabilities, class_names)
    folder = run_place("run", run)
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


def _of_logits(saved: SavedLogits, wanted: tuple[str, ...] | None, resamples: int, seed: int) -> LogitMetrics:
    from robench.catalogue import metric as row
    from robench.errors import RobenchError
    from robench.metrics.cells import compute
    from robench.metrics.statistics import bootstrap_cells
    from robench.metrics.trials import trials
    from robench.results.scores import default_metrics
    from robench.results.values import with_interval

    columns, chosen = saved.columns(), wanted if wanted is not None else default_metrics("classification")
    for name in chosen:
        if missing := [need for need in row(name).needs if need not in columns]:
            raise RobenchError(
                f"Metric '{name}' needs {', '.join(missing)}, which logits and labels do not have.",
                hint="Choose metrics of a classification; `robench metrics` lists what each needs.",
            )
    replicates = bootstrap_cells([columns], chosen, resamples=resamples, seed=seed)
    images = len(saved.labels)
    values = {
        name: with_interval(
            value := compute(name, columns),
            replicates[name][:, 0],
            name,
            trials=trials(name, columns) if value in (0.0, 1.0) else None,
        )
        for name in chosen
    }
    return LogitMetrics(*saved.sources, images, saved.logits.shape[1], resamples, seed, values, saved.notes)


def _store(result: Result, run: RunFolder) -> str | None:
    """Keep the result with its run; return why that was not done, as on a read-only disk, or None."""
    from robench.results import store

    try:
        return store(result, run)
    except RobenchError as error:
        return f"The result was not stored. {error.message}"
