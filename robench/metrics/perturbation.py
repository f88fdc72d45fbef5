"""Stability of predictions along perturbation sequences: flip probability, flip rate, top-5 distance.

Sequences of noises are compared with their first, clean frame; all others with the frame before, as the published
``test.py`` of ImageNet-P does. Arrays are (clips, frames).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import as_array, checked, positive

Classes = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]

# Flip probabilities of AlexNet: clovaai/assembled-cnn, mce/eval_robustness.py.
ALEXNET_FLIP_PROBABILITY = {
    "gaussian_noise": 0.23653,
    "shot_noise": 0.30062,
    "motion_blur": 0.09297,
    "zoom_blur": 0.05942,
    "snow": 0.11928,
    "brightness": 0.04889,
    "translate": 0.11007,
    "rotate": 0.13104,
    "tilt": 0.07050,
    "scale": 0.23531,
    "spatter": 0.05053,
    "speckle_noise": 0.18649,
    "gaussian_blur": 0.02775,
    "shear": 0.10658,
}


def is_noise(name: str) -> bool:
    """Return whether a sequence is compared with its first frame."""
    return "noise" in name


def frame_pairs(
    frames: int, *, noise: bool, difficulty: int = 1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (earlier, later) frame numbers that are compared.

    Args:
        frames: T.
        noise: every frame with the first one; the difficulty is then in the frames themselves.
        difficulty: 1 to 3: frames that far apart (non-noise).

    Raises:
        RobenchError: the difficulty is not a whole number from 1 on.

    >>> [part.tolist() for part in frame_pairs(4, noise=False, difficulty=2)]
    [[0, 1], [2, 3]]
    """
    positive(difficulty, "frames from one to the next", 1)
    if noise:
        later = np.arange(1, frames)
        return np.zeros_like(later), later
    later = np.arange(difficulty, frames)
    return later - difficulty, later


def flips_per_clip(predicted: Classes, *, noise: bool, difficulty: int = 1) -> Array:
    """Return each clip's share of compared pairs with different classes, (clips,) in [0, 1]; NaN with one frame.

    Args:
        predicted: int (clips, frames).
        noise: as of :func:`frame_pairs`.
        difficulty: as of :func:`frame_pairs`.

    Raises:
        RobenchError: another shape, or as :func:`frame_pairs`.

    Source: Hendrycks and Dietterich 2019, section 4.2.

    >>> flips_per_clip(np.array([[1, 1, 2, 2, 1]]), noise=False).tolist()
    [0.5]
    """
    predicted = checked(as_array(predicted), 2, "classes (clips, frames)")
    earlier, later = frame_pairs(predicted.shape[1], noise=noise, difficulty=difficulty)
    if len(later) == 0:
        return np.full(len(predicted), np.nan)
    return np.asarray((predicted[:, earlier] != predicted[:, later]).mean(axis=1))


def top5_distance_per_clip(top5: Classes, *, noise: bool, difficulty: int = 1) -> Array:
    """Return each clip's mean top-5 distance, (clips,) in 0..15.

    The distance of two frames is the sum over the earlier one's five classes, ranked i = 1..5, of
    abs(i - min(rank in the later frame, 6)). Fewer classes than five have as many terms.

    Args:
        top5: int (clips, frames, 5), classes by falling logit; -1 where there are fewer than five.
        noise: as of :func:`frame_pairs`.
        difficulty: as of :func:`frame_pairs`.

    Raises:
        RobenchError: another shape, or as :func:`frame_pairs`.

    Source: Hendrycks and Dietterich 2019, section 4.2, in the form of the published code's cumulative vector.

    >>> top5_distance_per_clip(np.array([[[0, 1, 2, 3, 4], [1, 0, 2, 3, 4]]]), noise=False).tolist()
    [2.0]
    """
    top5 = checked(as_array(top5), 3, "classes (clips, frames, 5)")
    if top5.shape[2] != 5:
        raise RobenchError(
            f"Expected five classes of each frame; found {top5.shape[2]}.", hint="Put -1 where there are fewer."
        )
    earlier, later = frame_pairs(top5.shape[1], noise=noise, difficulty=difficulty)
    if len(later) == 0:
        return np.full(len(top5), np.nan)
    before, after = top5[:, earlier], top5[:, later]
    same = before[..., :, None] == after[..., None, :]
    rank = np.where(same.any(-1), same.argmax(-1) + 1, 6)
    distance = (np.abs(np.arange(1, 6) - rank) * (before >= 0)).sum(-1)
    return np.asarray(distance.mean(axis=1, dtype=np.float64))


def clips(
    index: npt.ArrayLike, frame: npt.ArrayLike, *columns: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.generic], ...]:
    """Return columns (rows, ...) as (clips, frames, ...), clips by rising index and frames in order.

    Raises:
        RobenchError: clips of different lengths.

    >>> clips([7, 3, 7, 3], [1, 0, 0, 1], np.array([10, 20, 30, 40]))[0].tolist()
    [[20, 40], [30, 10]]
    """
    index, frame = np.asarray(index), np.asarray(frame)
    order = np.lexsort((frame, index))
    count = len(np.unique(index))
    if (
        count == 0
        or len(index) % count
        or (np.bincount(np.unique(index, return_inverse=True)[1]) * count != len(index)).any()
    ):
        raise RobenchError(
            "The clips have different numbers of frames, or there are none.",
            hint="Give every frame of every clip one row, with the numbers of the clip and of the frame in it.",
        )
    return tuple(column[order].reshape(count, len(index) // count, *column.shape[1:]) for column in columns)
