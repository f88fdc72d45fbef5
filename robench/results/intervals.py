"""The 95 % interval around a value whose standard error is known, within what the value can be."""

from __future__ import annotations

import math

import numpy as np

from robench.catalogue import metric_of, row
from robench.metrics.debiased import signed_root
from robench.metrics.sampling import StandardErrors

NORMAL_95 = 1.959963984540054  # standard errors that the middle 95 % of a normal distribution reach to either side
_NOTHING = 1e-7  # a standard error that only rounding leaves, as where classes say all of an answer
_TURNS = 8  # of a fixed point that comes near in three
Interval = tuple[float, float]


def interval_of(value: float, error: float, name: str) -> Interval | None:
    """Return the 95 % interval around a value with a standard error, within what the value can be.

    Of a share of images it is Wilson's (1927), of as many images as would have that standard error: near 0 and 1 the
    plain one leaves the true share out too often. Of a debiased RMS error it is one of its square, which is the mean.
    """
    if not (np.isfinite(value) and np.isfinite(error)):
        return None
    about = row(name)
    of = metric_of(name)
    if error < _NOTHING:
        return value, value
    if about.share and 0.0 <= value <= 1.0:
        low, high = _wilson(value, error)
    elif of is not None and of.over_cells != "mean" and of.name == "rms_calibration_error_debiased":
        square, reach = value * abs(value), NORMAL_95 * 2.0 * abs(value) * error
        low, high = (float(end) for end in signed_root(np.array([square - reach, square + reach])))
    else:
        low, high = value - NORMAL_95 * error, value + NORMAL_95 * error
    least, most = about.range
    return max(low, min(least, value)), min(high, max(most, value))


def _wilson(value: float, error: float) -> Interval:
    """Return Wilson's interval of a share with a standard error.

    The error of next to no wrong answers is that of a share of two more among four more images (Agresti and Coull
    1998); the number of images is the one whose error is this.

    >>> [round(end, 3) for end in _wilson(0.1, 0.03)]  # as of 119 images
    [0.057, 0.169]
    """
    images = max(value * (1.0 - value) / (error * error), math.sqrt(2.0) / error)
    for _ in range(_TURNS):
        expected = (images * value + 2.0) / (images + 4.0)
        images = max(expected * (1.0 - expected) / (error * error), 1.0)
    weight = NORMAL_95 * NORMAL_95 / images
    middle = (value + weight / 2.0) / (1.0 + weight)
    reach = math.sqrt(weight * value * (1.0 - value) + weight * weight / 4.0) / (1.0 + weight)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def full_run_interval(value: float, errors: StandardErrors | None, name: str) -> Interval | None:
    """Return the 95 % interval for what the full run would give, cut at the ends of what the value can be."""
    return None if errors is None else interval_of(value, errors.full_run, name)


def new_images_interval(value: float, errors: StandardErrors | None, name: str) -> Interval | None:
    """Return the 95 % interval for new images of the same kind, cut at the ends of what the value can be."""
    return None if errors is None else interval_of(value, errors.new_images, name)
