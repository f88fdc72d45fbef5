"""AutoAugment's searched policies (Cubuk et al. 2019), with or without what resembles the test corruptions.

AutoAugment* of the AugMix paper omits contrast, color, brightness, sharpness and Cutout, which resemble corruptions
of ImageNet-C; an omitted operation is skipped, and the other one of its pair stays. Warps here are bilinear
with black outside, like AugMix's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.errors import RobenchError, did_you_mean
from robench.training.engine.batch import Batch
from robench.training.methods.base import NOT_NEGATIVE, OneView
from robench.training.methods.cutout import cutout
from robench.training.ops import augment
from robench.training.ops import operations as op

# One policy is 25 pairs: operation, probability in tenths, magnitude 0..9. Tables 7 and 9 of the paper.
_SHORT = {
    "Ac": op.AUTOCONTRAST, "Eq": op.EQUALIZE, "Po": op.POSTERIZE, "Ro": op.ROTATE, "So": op.SOLARIZE,
    "Sx": op.SHEAR_X, "Sy": op.SHEAR_Y, "Tx": op.TRANSLATE_X, "Ty": op.TRANSLATE_Y, "Cl": op.COLOR,
    "Co": op.CONTRAST, "Br": op.BRIGHTNESS, "Sh": op.SHARPNESS, "In": op.INVERT,
}  # fmt: skip
_POLICIES = {
    "cifar10": """
        In1.7 Co2.6  Ro7.2 Tx3.9  Sh8.1 Sh9.3  Sy5.8 Ty7.9  Ac5.8 Eq9.2
        Sy2.7 Po3.7  Cl4.3 Br6.7  Sh3.9 Br7.9  Eq6.5 Eq5.1  Co6.7 Sh6.5
        Cl7.7 Tx5.8  Eq3.7 Ac4.8  Ty4.3 Sh2.6  Br9.6 Cl2.8  So5.2 In0.3
        Eq2.0 Ac6.0  Eq2.8 Eq6.4  Cl9.9 Eq6.6  Ac8.4 So2.8  Br1.3 Cl7.0
        So4.5 Ac9.3  Ty9.9 Ty7.9  Ac9.2 So8.3  Eq8.8 In1.3  Ty7.9 Ac9.1""",
    "imagenet": """
        Po4.8 Ro6.9  So6.5 Ac6.5  Eq8.8 Eq6.3  Po6.7 Po6.6  Eq4.7 So2.4
        Eq4.4 Ro8.8  So6.3 Eq6.7  Po8.5 Eq10.2  Ro2.3 So6.8  Eq6.8 Po4.6
        Ro8.8 Cl4.0  Ro4.9 Eq6.2  Eq0.7 Eq8.8  In6.4 Eq10.8  Cl6.4 Co10.8
        Ro8.8 Cl10.2  Cl8.8 So8.7  Sh4.7 In6.8  Sx6.5 Eq10.9  Cl4.0 Eq6.3
        Eq4.7 So2.4  So6.5 Ac6.5  In6.4 Eq10.8  Cl6.4 Co10.8  Eq8.8 Eq6.3""",
}  # fmt: skip
OVERLAPPING = (op.COLOR, op.CONTRAST, op.BRIGHTNESS, op.SHARPNESS)
_PAIR, _APPLY, _SIGN = 0, 1, 2


def policy(name: str) -> list[list[tuple[int, float, int]]]:
    """Return a policy as pairs of (operation, probability, magnitude 0..9).

    Raises:
        RobenchError: no such policy.
    """
    if name not in _POLICIES:
        raise RobenchError(f"No AutoAugment policy '{name}'.", hint=did_you_mean(name, _POLICIES))
    steps = []
    for word in _POLICIES[name].split():
        tenths, magnitude = word[2:].split(".")
        steps.append((_SHORT[word[:2]], int(tenths) / 10, int(magnitude)))
    return [list(pair) for pair in zip(steps[::2], steps[1::2], strict=True)]


def magnitude_value(number: int, fraction: float, size: int) -> float:
    """Return an operation's value at ``fraction`` of its range, without its sign; above 1 beyond the range.

    Ranges of AutoAugment's Table 6: shear 0.3, translation 150 of 331 pixels, 30 degrees, 8 to 4 bits,
    threshold 256 to 0, blending factors 0.1 to 1.9.
    """
    if number in (op.SHEAR_X, op.SHEAR_Y):
        return 0.3 * fraction
    if number in (op.TRANSLATE_X, op.TRANSLATE_Y):
        return float(int(150.0 / 331.0 * size * fraction))
    if number == op.ROTATE:
        return 30.0 * fraction
    if number == op.POSTERIZE:
        return float(max(8 - round(4.0 * fraction), 1))
    if number == op.SOLARIZE:
        return float(max(int(256.0 * (1.0 - fraction)), 0))
    return 0.1 + 1.8 * fraction


def paper_value(number: int, level: int, size: int) -> float:
    """Return an operation's value at a level 0 to 9 of the paper's ranges."""
    return magnitude_value(number, level / 9, size)


def code_value(number: int, level: int, size: int) -> float:
    """Return an operation's value at a level 0 to 9 as the published code has it.

    Source: ``augmentation_transforms.py`` in tensorflow/models (research/autoaugment), for 32-pixel images; the shift
    of 10 pixels is scaled with the image's side.
    """
    if number == op.POSTERIZE:
        return float(4 - int(level * 4 / 10))
    if number == op.SOLARIZE:
        return float(256 - int(level * 256 / 10))
    if number == op.ROTATE:
        return float(int(level * 30 / 10))
    if number in (op.TRANSLATE_X, op.TRANSLATE_Y):
        return float(int(level * 10 / 10 * size / 32))
    return magnitude_value(number, level / 10, size)


@dataclass
class AutoAugment(OneView):
    """A random pair of the policy for every image.

    Args:
        policy: ``cifar10`` or ``imagenet``.
        magnitudes: ``paper``: the ranges of the paper's Table 6 in ten levels, 0 to 9; ``code``: the published code's,
            which divides levels by 10, keeps ``4 - level`` bits and shifts by 10 pixels at most.
        starred: omit the operations that overlap with the corruptions (AutoAugment*).
        cutout: side of a Cutout square afterwards (16 in the original on CIFAR; none in AutoAugment*).
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "cutout": NOT_NEGATIVE,
    }

    policy: str = "cifar10"
    magnitudes: str = "paper"
    starred: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        policy(self.policy)
        if self.magnitudes not in ("paper", "code"):
            raise RobenchError(f"AutoAugment's magnitudes must be paper or code, found '{self.magnitudes}'.")

    def augmented(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """Return uint8 images after their pair of operations."""
        pairs = policy(self.policy)
        stream, size = batch.stream("autoaugment").on_host(), images.shape[-1]
        device = stream.device
        numbers = torch.tensor([[step[0] for step in pair] for pair in pairs], device=device)
        chances = torch.tensor([[step[1] for step in pair] for pair in pairs], device=device)
        value = code_value if self.magnitudes == "code" else paper_value
        table = [[value(number, level, size) for number, _, level in pair] for pair in pairs]
        magnitudes = torch.tensor(table, dtype=torch.float64, device=device)
        choice = stream.integers(_PAIR, 0, len(pairs), ())
        ops, values = numbers[choice], magnitudes[choice]
        skipped = stream.uniform(_APPLY, (2,)) >= chances[choice]
        if self.starred:
            skipped = skipped | torch.isin(ops, torch.tensor(OVERLAPPING, device=device))
        warps = torch.isin(ops, torch.tensor(op.WARP_OPERATIONS, device=device))
        negative = warps & (stream.uniform(_SIGN, (2,)) < 0.5)
        values = torch.where(negative, -values, values)
        return augment.apply(images, torch.where(skipped, op.NONE, ops), values)

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the images after their pair of operations, and Cutout where asked for: float32 in [0, 1]."""
        return cutout(self.augmented(batch, batch.view()), batch, self.cutout)
