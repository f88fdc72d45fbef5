"""How many independent trials stand behind a perfect value, whose resamples are all perfect too."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.catalogue import row
from robench.metrics.arrays import distinct
from robench.metrics.detection import COVERAGES
from robench.metrics.weighted import Columns, correct


def trials(metric: str, columns: Columns) -> int:
    """Return the trials that all failed or all succeeded where a metric is 0 or 1; 0 where it says no such thing.

    Of a share of images they are the images, of a selective error those that are answered. Of an AUROC they are pairs
    of a positive and a negative that share no image, as many as the rarer kind has: it is the probability that the
    positive of such a pair ranks first. A false positive rate has none: its threshold is drawn with the positives.

    Args:
        metric: its name in the catalogue.
        columns: of the cell; rows of the same ``index`` are of the same image.

    >>> columns = {"index": np.arange(6), "predicted": np.array([1, 1, 1, 1, 1, 0]), "target": np.ones(6, int)}
    >>> [trials(name, columns) for name in ("error", "failure_auroc", "selective_error_80", "failure_fpr95", "brier")]
    [6, 1, 4, 0, 0]
    """
    images = distinct(columns["index"])
    if row(metric).share:
        return len(images)
    if metric.startswith("selective_error_"):
        share = next(share for share in COVERAGES if metric == f"selective_error_{100 * share:.0f}")
        return int(share * len(images))
    if not metric.startswith(("failure_auroc", "ood_auroc")):
        return 0
    positive = ~correct(columns) if metric.startswith("failure_") else np.asarray(columns["outlier"]) > 0
    return min(_images(columns, positive), _images(columns, ~positive))


def _images(columns: Columns, rows: npt.NDArray[np.bool_]) -> int:
    return len(np.unique(np.asarray(columns["index"])[rows]))
