"""Options of Fourier maps and low-pass curves, and the checks of their images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from robench.errors import RobenchError
from robench.processes import Precision


@dataclass(frozen=True)
class FourierOptions:
    """How a map is measured.

    Args:
        norm: v, the L2 norm of the perturbation of each channel, images in [0, 1] (Yin et al.: 4 on CIFAR-10).
        window: side of the centred square of lowest frequencies that is measured; None: all of them.
        signs: draw r at random (else always +1).
        seed: of the signs.
        device: a torch device name.
        precision: number format of the forward pass; recorded, as errors change slightly.
        channels_last: memory layout of the input.
        fold: fold batch norms into the convolutions before them.
        compile: run the module through ``torch.compile``, on a CPU with its weights frozen into the program.
        within: measure every frequency on images of its own until the 95 % interval of its error has this half-width, a
            fraction; None: all images for every frequency.
        batch_size: images at a time; None: 50 on a CPU (100 in bf16 and fp16), whose caches then hold a layer of a
            small network (twice as fast as 250 with a ResNet-20 at 32 x 32); else 500. Errors do not depend on it.
    """

    norm: float = 4.0
    window: int | None = None
    signs: bool = True
    seed: int = 0
    device: str = "cpu"
    precision: Precision = "fp32"
    channels_last: bool = True
    fold: bool = True
    compile: bool = False
    within: float | None = None
    batch_size: int | None = None

    @property
    def images_at_a_time(self) -> int:
        """The batch size in use."""
        return self.batch_size or (500 if self.device != "cpu" else 50 if self.precision == "fp32" else 100)


def check_images(images: torch.Tensor, target: npt.NDArray[np.int64], options: FourierOptions) -> None:
    """Refuse images and options that no error can be measured with.

    Args:
        images: uint8, shape (n, 3, H, W).
        target: labels, shape (n,).
        options: norm and seed.

    Raises:
        RobenchError: no images, not as many labels, or a norm that is not positive.
    """
    if len(images) == 0 or len(images) != len(target):
        raise RobenchError(
            f"A Fourier map needs images with labels; found {len(images)} images and {len(target)} labels.",
            hint="Check the data folder and `limit`.",
        )
    if not 0 < options.norm < math.inf:
        raise RobenchError(
            f"The norm must be above 0 and finite; found {options.norm}.", hint="The usual one on CIFAR-10 is 4."
        )
    if not 0 <= options.seed < 2**63:
        raise RobenchError(f"The seed must lie in 0 to 2^63 - 1; found {options.seed}.", hint="Take 0, 1, 2...")
