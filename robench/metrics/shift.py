"""Values over several test sets, and over a part of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import answers, as_array, checked, floats

Array = npt.NDArray[np.float64]


def mask_logits(logits: Any, classes: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return the columns of ``classes``, (n, len(classes)): argmax and softmax are then taken over them alone.

    Source: hendrycks/imagenet-r and hendrycks/natural-adv-examples (200 of 1,000 logits).

    Args:
        logits: (n, K).
        classes: indices of the columns, in the order wanted, from 0 to K - 1; or bool (K,).

    Raises:
        RobenchError: other shapes or indices.

    >>> mask_logits([[1, 2, 3]], [2, 0]).tolist()
    [[3, 1]]
    """
    rows, wanted = checked(as_array(logits), 2, "logits (n, K)"), checked(as_array(classes), 1, "classes (k,)")
    columns = rows.shape[1]
    if wanted.dtype == bool and len(wanted) == columns:
        return rows[:, wanted]
    if wanted.dtype.kind not in "iu" or (len(wanted) and not 0 <= wanted.min() <= wanted.max() < columns):
        raise RobenchError(
            f"Classes must be whole numbers in 0..{columns - 1}; found {wanted.tolist()[:5]}.",
            hint="Give indices of the logits' columns, or one True or False for each.",
        )
    return rows[:, wanted]


def corrupted_mean(values: npt.ArrayLike) -> Array:
    """Return the plain mean over the last axis (cells): cAcc of accuracies, cECE of ECEs, uCE of errors.

    Source: AutoLabel; for errors, the "mCE" that augmix prints on CIFAR-10-C.

    Args:
        values: (..., cells).

    >>> float(corrupted_mean([0.25, 0.75]))
    0.5
    """
    return np.asarray(floats(values).mean(axis=-1))


def generalisation_gap(iid: npt.ArrayLike, ood: npt.ArrayLike) -> Array:
    """Return the mean over the last axis of ``ood`` minus ``iid``; for errors above 0 means worse under shift.

    Args:
        iid: (...) of the matching clean images.
        ood: (..., cells) of the shifted ones.

    >>> float(generalisation_gap(0.25, [0.5, 0.75]))
    0.375
    """
    return np.asarray(floats(ood).mean(axis=-1) - floats(iid))


def affinity(augmented_accuracy: npt.ArrayLike, clean_accuracy: npt.ArrayLike) -> Array:
    """Return the affinity of an augmentation: accuracy on augmented validation images minus accuracy on clean ones.

    Both of one model, trained without augmentation. 0: the model sees no shift; the further below 0, the further
    the augmented images are from what it was trained on.

    Args:
        augmented_accuracy: fractions in [0, 1], any shape (one value, or bootstrap replicates).
        clean_accuracy: the same, of a shape that broadcasts.

    Returns:
        Fractions in [-1, 1]; the paper's Table 1 prints percentage points (None 0.0, Cutout -16.1).

    Raises:
        RobenchError: an accuracy outside [0, 1], such as a percentage.

    Source: the split-BatchNorm paper, Table 1 and section 5, after Gontijo-Lopes et al. 2020 (Affinity and Diversity).

    >>> float(affinity(0.5, 0.75))
    -0.25
    """
    augmented, clean = floats(augmented_accuracy), floats(clean_accuracy)
    for name, accuracy in (("augmented", augmented), ("clean", clean)):
        if ((accuracy < 0) | (accuracy > 1)).any():
            raise RobenchError(
                f"The {name} accuracy must be a fraction from 0 to 1; found {accuracy.min()} to {accuracy.max()}.",
                hint="Divide percentages by 100.",
            )
    return augmented - clean


def worst_of_k_error(correct: npt.ArrayLike) -> float:
    """Return the share of images that at least one of k variants gets wrong, from (k, n) booleans; NaN if n is 0.

    Raises:
        RobenchError: another shape, no variant, or values other than True and False (1 and 0).

    Source: Engstrom et al. 2019 (spatial robustness, worst of k).

    Args:
        correct: (k, n) of bool.

    >>> worst_of_k_error([[True, True], [True, False]])
    0.5
    """
    hit = checked(answers(correct), 2, "whether k variants of n images are right (k, n)")
    if not len(hit):
        raise RobenchError("The worst of no variants is not defined.", hint="Give answers (k, n), k from 1.")
    return float((~hit.all(axis=0)).mean()) if hit.shape[-1] else float("nan")
