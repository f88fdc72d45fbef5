"""A number as results hold it: with its intervals, or null with the reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.catalogue import metric_of, row
from robench.metrics.sampling import StandardErrors
from robench.metrics.statistics import centred_interval, exact_interval
from robench.results.intervals import full_run_interval, new_images_interval
from robench.results.precision import LEAST_WRONG
from robench.results.schema import Value


def with_interval(
    value: float,
    replicates: npt.NDArray[np.float64],
    name: str = "",
    *,
    trials: int | None = None,
    errors: StandardErrors | None = None,
    sampled: bool = False,
) -> Value:
    """Return a value with its intervals; null where it is undefined.

    Args:
        value: of the metric or summary value; NaN where it is undefined.
        replicates: (resamples,) of it.
        name: of the metric or summary value, beyond whose largest value the interval does not go.
        trials: of a value of 0 or 1, or a mean of such values: the fewest behind one (``metrics.trials``).
        errors: of a sampled run, how far the value is from that of the full run.
        sampled: whether it is of a sampled run.
    """
    if not np.isfinite(value):
        return Value(value=None, note=why_undefined(name, sampled=sampled))
    if errors is not None and np.isnan(errors.full_run):
        return Value(value=float(value), note=f"no interval: fewer than {LEAST_WRONG} images are wrong, or right")
    if sampled and is_biased(name):
        return Value(value=float(value), note="no interval: the bias of a sample is larger than its spread")
    full = full_run_interval(value, errors, name) if name else None
    new = new_images_interval(value, errors, name) if name else None
    if new is None and not np.isfinite(replicates).any():
        return Value(value=float(value), note="no interval: too few images")
    if new is not None:
        low, high = new
    elif trials and value in (0.0, 1.0):
        low, high = exact_interval(value, trials)
    elif len(replicates) > 1 and np.nanmin(replicates) == np.nanmax(replicates):
        return Value(value=float(value), note="no interval: every resample has this value")
    else:
        low, high = centred_interval(value, replicates, row(name).range[1] if name else np.inf)
    return Value(
        value=float(value),
        low=low,
        high=high,
        full_run_low=full[0] if full is not None else None,
        full_run_high=full[1] if full is not None else None,
    )


def is_biased(name: str) -> bool:
    """Return whether a sample's value of a metric, or of a mean of one, lies off the full run's on average.

    >>> is_biased("mean_ece"), is_biased("mean_ece_debiased")
    (True, False)
    """
    of = metric_of(name)
    return of is not None and of.sampled_images > 1


def why_undefined(name: str, *, sampled: bool = False) -> str:
    """Return why a metric or summary value may be undefined.

    >>> why_undefined("mean_rms_calibration_error"), why_undefined("mean_aurc")
    ('undefined with fewer than 200 images per cell', 'undefined for this data')
    """
    of = metric_of(name)
    if sampled and of is not None and of.sampled_images > 1:
        return f"not estimated from a sample of fewer than {of.sampled_images:,} images per cell, which would bias it"
    if of is not None and "outlier" in of.needs:
        return "needs in-distribution and out-of-distribution images; `robench ood` joins two runs"
    if of is not None and of.name.startswith("failure_"):
        return "undefined where no answer is wrong, or none is right"
    if of is not None and of.minimum_images > 1:
        return f"undefined with fewer than {of.minimum_images} images per cell"
    return "undefined for this data"
