"""Corruption errors of ImageNet-C and similar suites: CE, mCE, relative mCE, with the published baselines.

Errors are fractions; arrays end in (conditions, severities), so that the same functions serve one value and its
bootstrap replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import floats

Array = npt.NDArray[np.float64]
_HIGHEST = 1.5  # of an error, with what a control variate may add to it

# Top-1 errors of torchvision's AlexNet (alexnet-owt-4df8aa71) by severity: hendrycks/robustness, issue 10; their means
# are the six-digit table of google-research/augmix.
ALEXNET: dict[str, tuple[float, float, float, float, float]] = {
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.94870, 0.98720, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.58430, 0.70048, 0.82108, 0.89750, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.91870, 0.94952),
    "frost": (0.61390, 0.79734, 0.88790, 0.89942, 0.93430),
    "fog": (0.67474, 0.76050, 0.84378, 0.87260, 0.94500),
    "brightness": (0.45140, 0.48502, 0.54048, 0.62166, 0.72440),
    "contrast": (0.64548, 0.76150, 0.88874, 0.97760, 0.99270),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.54620, 0.73728, 0.87092, 0.91262),
    "jpeg_compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
}
# Means over severities of the four extra corruptions, and the clean error: facebookresearch/augmentation-corruption.
ALEXNET_EXTRA = {"speckle_noise": 0.845388, "gaussian_blur": 0.787108, "spatter": 0.717512, "saturate": 0.658248}
ALEXNET_CLEAN = 0.435

# Mean errors of AugMax's normally trained ResNet-18 on Tiny-ImageNet-C (Wang et al. 2021); it has no AlexNet.
TINY_RESNET18 = dict(
    zip(
        ALEXNET,
        (0.8037, 0.7597, 0.7758, 0.8426, 0.8274, 0.7907, 0.8212, 0.7497, 0.7381, 0.7433, 0.6800, 0.8939, 0.7308,
         0.6121, 0.6452),
        strict=True,
    )
)  # fmt: skip


@dataclass(frozen=True)
class Baseline:
    """Errors that a suite is normalised by.

    Args:
        name: of the table.
        mean: mean error over the severities by corruption, fractions.
        clean: clean error, or None where it was not published.
        source: where the numbers stand.
        dataset: the clean data set whose corrupted images they are of; None: not known.
    """

    name: str
    mean: Mapping[str, float]
    clean: float | None
    source: str
    dataset: str | None = None


BASELINES = {
    "alexnet": Baseline(
        "alexnet",
        {name: float(np.mean(row)) for name, row in ALEXNET.items()} | ALEXNET_EXTRA,
        ALEXNET_CLEAN,
        "hendrycks/robustness issue 10; facebookresearch/augmentation-corruption",
        "imagenet",
    ),
    "tiny-imagenet-resnet18": Baseline(
        "tiny-imagenet-resnet18", TINY_RESNET18, None, "VITA-Group/AugMax", "tiny-imagenet"
    ),
}


def baseline_errors(name: str) -> Baseline:
    """Return a published baseline by name.

    Raises:
        RobenchError: no such table.

    >>> round(baseline_errors("alexnet").mean["fog"], 6)
    0.819324
    """
    if name not in BASELINES:
        raise RobenchError(f"Unknown baseline '{name}'.", hint=f"Known: {', '.join(BASELINES)}.")
    return BASELINES[name]


def corruption_errors(error: Array, baseline: Array) -> Array:
    """Return CE of every corruption: the sum of errors over severities by the baseline's sum.

    Args:
        error: (..., corruptions, severities), fractions.
        baseline: (corruptions,) mean errors over the same severities.

    Returns:
        (..., corruptions), ratios (1 is the baseline).

    Source: Hendrycks and Dietterich 2019, section 4.1; as code: google-research/augmix, ``compute_mce``.

    >>> corruption_errors(np.array([[0.2, 0.4]]), np.array([0.6])).round(3).tolist()
    [0.5]
    """
    return np.asarray(floats(error).mean(axis=-1) / floats(baseline))


def mean_corruption_error(error: Array, baseline: Baseline, corruptions: tuple[str, ...] = tuple(ALEXNET)) -> Array:
    """Return mCE as a ratio (tables multiply by 100): the plain mean of CE over the corruptions.

    Args:
        error: (..., corruptions, severities) in the order of ``corruptions``.
        baseline: as from :func:`baseline_errors`.
        corruptions: names; by default the 15 of the benchmark.

    Returns:
        (...) ratios.

    Raises:
        RobenchError: errors of another shape, or percentages; or a corruption that the baseline does not have.

    Source: Hendrycks and Dietterich 2019, section 4.1.

    >>> alexnet = np.array(list(ALEXNET.values()))
    >>> round(float(mean_corruption_error(alexnet / 2, baseline_errors("alexnet"))), 6)
    0.5
    """
    means = _means(baseline, corruptions)
    return np.asarray(corruption_errors(_errors(error, corruptions), means).mean(axis=-1))


def relative_mean_corruption_error(
    error: Array, clean: Array | float, baseline: Baseline, corruptions: tuple[str, ...] = tuple(ALEXNET)
) -> Array:
    """Return relative mCE as a ratio: mean over corruptions of (E - clean) over the baseline's (E - clean).

    Differences are summed over severities before the division, as in the paper's section 4.1.

    Raises:
        RobenchError: as :func:`mean_corruption_error`, or the baseline has no clean error.

    Args:
        error: (..., corruptions, severities), fractions, in the order of ``corruptions``.
        clean: (...) or a number, the clean error.
        baseline: as from :func:`baseline_errors`.
        corruptions: names; by default the 15 of the benchmark.

    Returns:
        (...) ratios.

    >>> alexnet = np.array(list(ALEXNET.values()))
    >>> round(float(relative_mean_corruption_error(alexnet, 0.435, baseline_errors("alexnet"))), 6)
    1.0
    """
    if baseline.clean is None:
        raise RobenchError(
            f"The baseline '{baseline.name}' has no clean error, which relative mCE needs.",
            hint="Compute the mCE, which needs none, or take a baseline with a clean error.",
        )
    means = _means(baseline, corruptions) - baseline.clean
    rise = _errors(error, corruptions).mean(axis=-1) - floats(clean)[..., None]
    return np.asarray((rise / means).mean(axis=-1))


def _means(baseline: Baseline, corruptions: tuple[str, ...]) -> Array:
    """Return the baseline's mean errors, (corruptions,)."""
    if lacking := [name for name in corruptions if name not in baseline.mean]:
        raise RobenchError(
            f"The baseline '{baseline.name}' has no error for {', '.join(lacking)}.",
            hint=f"It has {', '.join(baseline.mean)}.",
        )
    return np.array([baseline.mean[name] for name in corruptions])


def _errors(error: npt.ArrayLike, corruptions: tuple[str, ...]) -> Array:
    """Return errors (..., corruptions, severities), fractions."""
    found = floats(error)
    if found.ndim < 2 or found.shape[-2] != len(corruptions):
        raise RobenchError(
            f"Expected errors (..., {len(corruptions)}, severities); found shape {found.shape}.",
            hint="Give one row per corruption, in their order, and one column per severity.",
        )
    if found.size and np.nanmax(found) > _HIGHEST:
        raise RobenchError(
            f"Errors must be fractions; found up to {np.nanmax(found):g}.", hint="Divide percentages by 100."
        )
    return found
