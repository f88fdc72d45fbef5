"""Names and strengths of the corruptions of ImageNet-C-bar and CIFAR-10-C-bar; imports nothing heavy.

Source: facebookresearch/augmentation-corruption (MIT), ``imagenet_c_bar/{imagenet_c_bar,cifar10_c_bar}.csv`` (Mintun et
al. 2021). A strength there is a number of 0 to 10 that each corruption's formula scales, with lengths in shares of the
image's side.

**Other sizes.** Images below 120 pixels (see :func:`robench.corruptions.severities.table_size`) take the strengths of
CIFAR-10-C-bar, larger ones those of ImageNet-C-bar. A corruption that only one of the two sets has keeps its strengths
at every size, which at the other's size is robench's own protocol.
"""

from __future__ import annotations

from robench.corruptions.severities import SIZES

Row = tuple[float, float, float, float, float]

# Every row: severities 1 to 5.
CIFAR: dict[str, Row] = {
    "blue_noise_sample": (0.7, 1.4, 2.1, 3.5, 4.2),
    "brownish_noise": (2.5, 4.0, 5.5, 6.5, 7.0),
    "checkerboard_cutout": (1.0, 2.0, 3.0, 4.0, 5.0),
    "inverse_sparkles": (1.0, 1.5, 2.5, 4.5, 5.0),
    "pinch_and_twirl": (5.5, 6.0, 6.5, 8.5, 10.0),
    "ripple": (5.5, 6.0, 6.5, 7.5, 8.0),
    "circular_motion_blur": (2.8, 3.6, 4.4, 5.2, 6.0),
    "lines": (0.5, 1.0, 1.5, 2.0, 2.5),
    "sparkles": (0.7, 3.5, 5.6, 6.3, 7.0),
    "transverse_chromatic_abberation": (1.0, 2.0, 5.0, 9.0, 10.0),
}
IMAGENET: dict[str, Row] = {
    "blue_noise_sample": (0.8, 1.6, 2.4, 4.0, 5.6),
    "brownish_noise": (1.0, 2.0, 3.0, 4.0, 5.0),
    "caustic_refraction": (2.35, 3.2, 4.9, 6.6, 9.15),
    "checkerboard_cutout": (2.0, 3.0, 4.0, 5.0, 6.0),
    "cocentric_sine_waves": (3.0, 5.0, 8.0, 9.0, 10.0),
    "inverse_sparkles": (1.0, 2.0, 4.0, 9.0, 10.0),
    "perlin_noise": (4.6, 5.2, 5.8, 7.6, 8.8),
    "plasma_noise": (4.75, 7.0, 8.5, 9.25, 10.0),
    "single_frequency_greyscale": (1.0, 1.5, 2.0, 4.5, 5.0),
    "sparkles": (1.0, 2.0, 3.0, 5.0, 6.0),
}
BAR = tuple(dict.fromkeys((*CIFAR, *IMAGENET)))
"""The 15 corruptions of the two sets, each of which has ten."""


def strengths_by_side(name: str) -> dict[int, Row]:
    """Return a corruption's five strengths for each of the sides 32, 64, 224 and 299.

    >>> strengths_by_side("sparkles")[64][1], strengths_by_side("sparkles")[299][1], strengths_by_side("lines")[224][1]
    (3.5, 2.0, 1.0)
    """
    small, large = CIFAR.get(name, IMAGENET.get(name)), IMAGENET.get(name, CIFAR.get(name))
    assert small is not None
    assert large is not None
    return {side: small if side < 120 else large for side in SIZES}
