"""Lists of conditions that several protocols share, as published.

They are lists of their own: what :mod:`robench.corruptions` can do beyond them changes no suite.
"""

from __future__ import annotations

from robench.corruptions.perturbations import frame_count
from robench.suites.base import Cell, Groups

CLEAN = Cell("clean")
SEVERITIES = (1, 2, 3, 4, 5)

CORRUPTIONS = (
    "gaussian_noise", "shot_noise", "impulse_noise",
    "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
    "snow", "frost", "fog", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
"""The 15 benchmark corruptions of ImageNet-C, in the order of the published tables."""

HELD_OUT = ("speckle_noise", "gaussian_blur", "spatter", "saturate")
"""The four corruptions that ImageNet-C holds out for validation."""

CORRUPTION_GROUPS: Groups = (
    ("noise", CORRUPTIONS[:3]),
    ("blur", CORRUPTIONS[3:7]),
    ("weather", CORRUPTIONS[7:11]),
    ("digital", CORRUPTIONS[11:]),
)
CORRUPTION_GROUPS_19: Groups = (*CORRUPTION_GROUPS, ("extra", HELD_OUT))

PERTURBATIONS = (
    "gaussian_noise", "shot_noise", "motion_blur", "zoom_blur", "snow", "brightness",
    "translate", "rotate", "tilt", "scale",
)  # fmt: skip
"""The ten perturbations of ImageNet-P, in the order of the papers' tables."""

CIFAR_PERTURBATIONS = tuple("spatter" if name == "snow" else name for name in PERTURBATIONS)
"""The ten that the published script ``cifar-p-eval.py`` averages: spatter stands where snow does above."""

PERTURBATION_GROUPS: Groups = (
    ("noise", ("gaussian_noise", "shot_noise")),
    ("blur", ("motion_blur", "zoom_blur")),
    ("weather", ("snow", "brightness")),
    ("geometry", ("translate", "rotate", "tilt", "scale")),
)
CIFAR_PERTURBATION_GROUPS: Groups = (
    *PERTURBATION_GROUPS[:2],
    ("weather", ("spatter", "brightness")),
    PERTURBATION_GROUPS[3],
)

CIFAR_C_BAR = (
    "blue_noise_sample",
    "brownish_noise",
    "checkerboard_cutout",
    "inverse_sparkles",
    "pinch_and_twirl",
    "ripple",
    "circular_motion_blur",
    "lines",
    "sparkles",
    "transverse_chromatic_abberation",
)
IMAGENET_C_BAR = (
    "blue_noise_sample",
    "brownish_noise",
    "caustic_refraction",
    "checkerboard_cutout",
    "cocentric_sine_waves",
    "inverse_sparkles",
    "perlin_noise",
    "plasma_noise",
    "single_frequency_greyscale",
    "sparkles",
)

CORRUPTIONS_3DCC = (
    "near_focus", "far_focus", "bit_error", "color_quant", "flash", "fog_3d",
    "h265_abr", "h265_crf", "iso_noise", "low_light", "xy_motion_blur", "z_motion_blur",
)  # fmt: skip
"""The 12 corruptions of ImageNet-3DCC, in the order of RobustBench's code."""

DISTORTIONS_LAION_C = (
    "mosaic", "vertical_lines", "glitched", "luminance_checkerboard", "geometric_shapes", "stickers",
)  # fmt: skip
"""The six distortions of LAION-C, under the names of its folders."""

HENDRYCKS_2019 = "Hendrycks and Dietterich, Benchmarking Neural Network Robustness, ICLR 2019, arXiv:1903.12261"
HENDRYCKS_2021 = "Hendrycks et al., The Many Faces of Robustness, ICCV 2021, arXiv:2006.16241"
MINTUN_2021 = "Mintun et al., On Interaction Between Augmentations and Corruptions, NeurIPS 2021, arXiv:2102.11273"


def at_all_severities(conditions: tuple[str, ...]) -> tuple[Cell, ...]:
    """Return the cells of conditions at severities 1 to 5.

    >>> [cell.name for cell in at_all_severities(("fog",))]
    ['fog/1', 'fog/2', 'fog/3', 'fog/4', 'fog/5']
    """
    return tuple(Cell(condition, severity) for condition in conditions for severity in SEVERITIES)


def frames(perturbations: tuple[str, ...], side: int) -> tuple[tuple[str, int], ...]:
    """Return (perturbation, frames per clip) as the published generators have them for images of one side."""
    return tuple((name, frame_count(name, side)) for name in perturbations)
