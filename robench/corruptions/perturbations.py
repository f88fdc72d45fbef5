"""Names, lengths and parameters of the perturbation sequences (ImageNet-P, CIFAR-P). Nothing heavy is imported.

Source of names and numbers: the generators of hendrycks/robustness, ``ImageNet-P/create_p``. How frames are made is in
:mod:`robench.corruptions.sequences`.
"""

from __future__ import annotations

from robench.errors import RobenchError, did_you_mean

PERTURBATIONS = (
    "gaussian_noise",
    "shot_noise",
    "motion_blur",
    "zoom_blur",
    "snow",
    "brightness",
    "translate",
    "rotate",
    "tilt",
    "scale",
)
"""The ten of ImageNet-P in the order of the papers' tables."""

CIFAR_P = tuple("spatter" if name == "snow" else name for name in PERTURBATIONS)
"""The ten that the published script ``cifar-p-eval.py`` averages: spatter stands where snow does above."""

EXTRA_PERTURBATIONS = ("speckle_noise", "gaussian_blur", "spatter", "shear")
"""The held-out sequences."""

ALL_PERTURBATIONS = PERTURBATIONS + EXTRA_PERTURBATIONS
NOISES = ("gaussian_noise", "shot_noise", "speckle_noise")
GEOMETRIC = ("zoom_blur", "translate", "rotate", "tilt", "scale", "shear")
"""These act on the whole image (for ImageNet: the one resized to 256) and crop afterwards."""

DIFFICULTIES = (1, 2, 3)
_USUAL = 31
_FRAMES = {("motion_blur", 32): 21, ("translate", 32): 16, ("translate", 224): 41}

LEVELS: dict[str, dict[int, tuple[float, float, float]]] = {
    "gaussian_noise": {32: (0.02, 0.04, 0.06), 64: (0.025, 0.05, 0.075), 224: (0.03, 0.05, 0.08)},
    "shot_noise": {32: (700, 400, 200), 64: (500, 250, 125), 224: (300, 120, 60)},
    "speckle_noise": {32: (0.05, 0.07, 0.1), 64: (0.05, 0.1, 0.15), 224: (0.05, 0.1, 0.15)},
}
"""Strength of the noises by size, for difficulty 1, 2 and 3: standard deviation, Poisson rate, standard deviation."""

MOTION: dict[int, tuple[float, float, int, int]] = {32: (6, 1.8, 9, 20), 64: (14, 3, 5, 30), 224: (10, 3, 4, 30)}
"""Radius, sigma, degrees per frame, and the frame whose angle is 0."""

SNOW: dict[int, tuple[float, float, float, float, float, float]] = {
    32: (0.05, 0.3, 2, 0.5, 10, 2),
    64: (0.05, 0.28, 2, 0.5, 10, 2.5),
    224: (0.05, 0.3, 3, 0.5, 14, 4),
}
"""Mean, standard deviation, zoom and threshold of the flakes, radius and sigma of their motion."""

SNOW_WEIGHT = 0.85

BRIGHTNESS: dict[int, float] = {32: 0.015, 64: 0.02, 224: 0.02}
"""Offset of the HSV value per frame, zero at frame 15."""

SCALE: dict[int, tuple[float, float]] = {32: (0.70, 0.02), 64: (0.40, 0.025), 224: (0.40, 0.025)}
"""Scale of frame 0, and what every frame adds."""

TILT: dict[int, float] = {32: 0.75, 64: 1.0, 224: 1.0}
"""Degrees per frame about both axes, zero at frame 15."""

GAUSSIAN_BLUR: dict[int, tuple[float, float, float]] = {
    32: (0.3, 0.015, 7),
    64: (0.35, 0.014, 7),
    224: (0.25, 0.035, 6),
}
"""Sigma of frame 0, what every frame adds, and where the kernel is cut, in sigmas."""

SPATTER: dict[int, tuple[float, float, float, float, tuple[float, ...]]] = {
    32: (0.6, 0.265, 1.75, 0.7, (0.2, 0.8)),
    64: (0.6, 0.25, 1.75, 0.7, (0.2, 0.8)),
    224: (0.65, 0.27, 3.7, 0.69, (0.05, 0.1, 0.15, 0.7)),
}
"""Mean, standard deviation, blur and threshold of the liquid, and the column kernel that lets it run down."""

ZOOM_STEP = 0.004


def preset(size: int) -> int:
    """Return the size whose published parameters serve images of side ``size``: 32, 64 or 224, the nearest by ratio.

    Up to 45 pixels it is 32, up to 119 it is 64, above that 224.
    """
    return 32 if size * size < 32 * 64 else 64 if size * size < 64 * 224 else 224


def frame_count(name: str, size: int) -> int:
    """Return how many frames the sequence ``name`` has for images of side ``size``.

    Raises:
        RobenchError: no such perturbation.
    """
    check_name(name)
    return _FRAMES.get((name, preset(size)), _USUAL)


def check_name(name: str) -> None:
    """Raise a RobenchError with the nearest names where ``name`` is not a perturbation."""
    if name not in ALL_PERTURBATIONS:
        raise RobenchError(f"Unknown perturbation '{name}'.", hint=did_you_mean(name, ALL_PERTURBATIONS))


def published_name(name: str, difficulty: int = 1) -> str:
    """Return the name of a sequence's file or folder: the noises of difficulty 2 and 3 have suffixes ``_2``, ``_3``."""
    return f"{name}_{difficulty}" if difficulty > 1 and name in NOISES else name
