"""Sentences on results of models whose answers were changed after training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np

from robench.predictions import ModelInfo, Predictions

_FEW = 0.5  # of the classes that a batch in random order would hold


def changed_after_training(model: ModelInfo, predictions: Mapping[str, Predictions]) -> Iterator[str]:
    """Yield what was done to a model's answers, and where images in order of class spoil batch statistics."""
    if model.card.get("tta") == "flip":
        yield "The answers are means over an image and its mirror image (tta=flip): two forward passes per image."
    adapted = model.card.get("adapted")
    if not isinstance(adapted, Mapping) or not isinstance(size := adapted.get("batch_size"), int):
        return
    yield (
        f"Adapted: batch norms take the mean and variance of each batch of {size} images, in the order of the files,"
        " and start anew with every batch. These results do not compare with those of models that see one image at a"
        " time."
    )
    for cell, rows in islice(predictions.items(), 1):
        found, expected = classes_per_batch(rows.target[np.argsort(rows.index, kind="stable")], size)
        if found < _FEW * expected:
            yield (
                f"{cell}: a batch holds images of {found:.1f} classes on average, {expected:.1f} in random order. Batch"
                " statistics of so few classes spoil the answers; shuffle the files."
            )


def classes_per_batch(target: np.ndarray, size: int) -> tuple[float, float]:
    """Return how many classes batches of images in this order hold on average, and would in random order.

    >>> found, expected = classes_per_batch(np.repeat([0, 1], 50), 10)
    >>> found, round(expected, 3)
    (1.0, 1.998)
    """
    batches = [target[at : at + size] for at in range(0, len(target), size)]
    counts = np.unique(target, return_counts=True)[1] / max(len(target), 1)
    held = float(np.mean([len(np.unique(batch)) for batch in batches])) if batches else 0.0
    drawn = np.mean([(1.0 - (1.0 - counts) ** len(batch)).sum() for batch in batches]) if batches else 0.0
    return held, float(drawn)
