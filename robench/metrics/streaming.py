"""One pass over probabilities or logits: accuracy, ECE, Brier score, NLL and more, batch by batch.

:class:`StreamingMetrics` is for custom loops: ``update`` per batch, ``compute`` at any time, ``merge`` for
several processes. It keeps sums and 15 bins, so its memory does not grow with the number of images.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics import kernels
from robench.metrics.arrays import class_rows, positive
from robench.metrics.binning import bin_index

_SUMS = ("correct", "confidence", "nll", "brier", "brier_top_label")
_BLOCK = 1 << 16
_PART = 4 << 20  # bytes that are worth a thread's start


def per_image(values: Any, target: Any, *, logits: bool) -> dict[str, npt.NDArray[np.float64]]:
    """Return ``correct`` (0 or 1), ``confidence``, ``nll`` (nats) and ``brier`` (0 to 2) of every image, (n,) float64.

    Args:
        values: (n, K) probabilities in [0, 1], or logits; numpy or torch, any float type.
        target: int (n,).
        logits: whether ``values`` are logits. It is never guessed from the values.

    Raises:
        RobenchError: shapes do not match, a target is out of range, or a value is NaN (or infinite).

    The predicted class is the largest, the lowest index on a tie.

    >>> per_image([[0.25, 0.75]], [1], logits=False)["brier"].tolist()
    [0.125]
    """
    rows, labels = class_rows(values, target)
    out = np.empty((len(rows), 4))
    if len(rows):
        _fill(rows, labels, logits, out)
        _refuse_not_finite(out, logits)
    return dict(zip(("correct", "confidence", "nll", "brier"), out.T, strict=True))


def classification_metrics(values: Any, target: Any, *, logits: bool, bins: int = 15) -> dict[str, float]:
    """Return the metrics of :meth:`StreamingMetrics.compute` of whole arrays, read once; see :func:`per_image`.

    Args:
        values: (n, K) probabilities in [0, 1], or logits.
        target: int (n,).
        logits: whether ``values`` are logits.
        bins: bins of equal width of the calibration errors.

    Raises:
        RobenchError: as :func:`per_image`.

    >>> found = classification_metrics([[0.25, 0.75], [0.5, 0.5]], [1, 1], logits=False)
    >>> found["accuracy"], round(found["ece"], 4)
    (0.5, 0.375)
    """
    metrics = StreamingMetrics(bins=bins, logits=logits)
    metrics.update(values, target)
    return metrics.compute()


class StreamingMetrics:
    """Accuracy, error, ECE, maximum calibration error, Brier scores, NLL and overconfidence of a stream of batches.

    Args:
        bins: equal-width bins of confidence, with the edges of :func:`robench.metrics.calibration.ece`.
        logits: whether batches are logits (else probabilities).

    >>> metrics = StreamingMetrics()
    >>> for batch, target in (([[0.25, 0.75]], [1]), ([[0.5, 0.5]], [1])):
    ...     metrics.update(batch, target)
    >>> metrics.images, metrics.compute()["error"]
    (2, 0.5)
    """

    def __init__(self, *, bins: int = 15, logits: bool = False) -> None:
        self.bins = positive(bins, "bins", 15)
        self.logits = logits
        self.reset()

    def reset(self) -> None:
        """Forget every batch."""
        self.images = 0
        self.sums = np.zeros(len(_SUMS))
        self.bin_sums = np.zeros((self.bins, 2))  # gaps, images

    def update(self, values: Any, target: Any) -> None:
        """Take a batch: (n, K) probabilities or logits and (n,) targets; nothing is taken if it raises.

        Raises:
            RobenchError: as :func:`per_image`.
        """
        rows, labels = class_rows(values, target)
        taken = StreamingMetrics(bins=self.bins, logits=self.logits)
        for start in range(0, len(rows), _BLOCK):
            taken._add(per_image(rows[start : start + _BLOCK], labels[start : start + _BLOCK], logits=self.logits))
        self.merge(taken)

    def _add(self, found: dict[str, npt.NDArray[np.float64]]) -> None:
        gap = found["confidence"] - found["correct"]
        self.images += len(gap)
        self.sums += [*(found[name].sum() for name in _SUMS[:4]), (gap * gap).sum()]
        index = bin_index(found["confidence"], self.bins)
        self.bin_sums[:, 0] += np.bincount(index, weights=gap, minlength=self.bins)
        self.bin_sums[:, 1] += np.bincount(index, minlength=self.bins)

    def merge(self, other: StreamingMetrics) -> None:
        """Add what another one has seen, for instance in another process.

        Raises:
            RobenchError: it has another number of bins.
        """
        if other.bins != self.bins:
            raise RobenchError(
                f"Cannot merge {other.bins} bins into {self.bins}.", hint="Make both with the same number of bins."
            )
        self.images += other.images
        self.sums = self.sums + other.sums
        self.bin_sums = self.bin_sums + other.bin_sums

    def compute(self) -> dict[str, float]:
        """Return metrics by name, as in :data:`robench.catalogue.METRICS`, and ``accuracy``; NaN without images."""
        images = np.float64(self.images)
        correct, confidence, nll, brier, brier_top_label = self.sums
        accuracy = kernels.ERROR.of_sums([correct, images])
        return {
            "accuracy": accuracy,
            "error": 1.0 - accuracy,
            "ece": kernels.ECE.of_sums([self.bin_sums]),
            "max_calibration_error": kernels.MAX_CALIBRATION_ERROR.of_sums([self.bin_sums]),
            "overconfidence_gap": kernels.OVERCONFIDENCE_GAP.of_sums([confidence - correct, images]),
            "nll": kernels.NLL.of_sums([nll, images]),
            "brier": kernels.BRIER.of_sums([brier, images]),
            "brier_top_label": kernels.BRIER_TOP_LABEL.of_sums([brier_top_label, images]),
        }


def _fill(rows: Any, labels: Any, logits: bool, out: npt.NDArray[np.float64]) -> None:
    """Fill the four values of every row; large arrays in several threads, as memory is faster than one core."""
    from robench.compiled import threads

    fill, workers = _kernel(rows.dtype, logits), threads()
    parts = min(4 * workers, rows.nbytes // _PART, len(rows)) if workers > 1 else 1
    if parts < 2:
        fill(rows, labels, out)
        return
    ends = np.linspace(0, len(rows), parts + 1, dtype=np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(fill, rows[a:b], labels[a:b], out[a:b]) for a, b in pairwise(ends)]:
            done.result()


def _kernel(dtype: Any, logits: bool) -> Any:
    from robench.metrics import _streaming_kernels as kernels

    if logits:
        return kernels.rows_from_logits64 if dtype == np.float64 else kernels.rows_from_logits32
    return kernels.rows_from_probabilities64 if dtype == np.float64 else kernels.rows_from_probabilities32


def _refuse_not_finite(out: npt.NDArray[np.float64], logits: bool) -> None:
    wrong = ~np.isfinite(out[:, 3])
    if not logits:
        wrong |= (out[:, 1] > 1.001) | (out[:, 3] > 2.01)
    if wrong.any():
        what = "logits must not be NaN or infinite" if logits else "probabilities must lie in [0, 1]"
        raise RobenchError(
            f"{int(wrong.sum())} of {len(wrong)} rows are not valid (the first: row {int(wrong.argmax())}); {what}.",
            hint="Check the model's output." if logits else "Give logits=True for logits; check the model's output.",
        )
