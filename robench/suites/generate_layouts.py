"""How corrupted test sets lie on the disk, and what is asked of :mod:`robench.suites.generate`.

Source of the layouts: hendrycks/robustness, ``create_c`` and ``create_p``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robench.corruptions.perturbations import CIFAR_P, PERTURBATIONS, frame_count, published_name
from robench.corruptions.severities import BENCHMARK
from robench.data.base import Geometry, Images

SEVERITIES = (1, 2, 3, 4, 5)
CLIP_SIDE = 224


@dataclass(frozen=True)
class Layout:
    """How a suite's files lie on the disk.

    Args:
        kind: ``blocks`` (.npy a corruption), ``sequences`` (.npy a perturbation), ``tree`` (JPEG files) or ``clips``
            (mp4 files).
        dataset: whose classes the clean set must have, or None.
        geometry: what is done to clean images first, or None.
        names: conditions that are made unless others are asked for.
    """

    kind: str
    dataset: str | None
    geometry: Geometry | None
    names: tuple[str, ...]


LAYOUTS = {
    "digits-c": Layout("blocks", None, None, BENCHMARK),
    "cifar10-c": Layout("blocks", "cifar10", None, BENCHMARK),
    "cifar100-c": Layout("blocks", "cifar100", None, BENCHMARK),
    "tiny-imagenet-c": Layout("tree", None, Geometry((64, 64), None, "bilinear"), BENCHMARK),
    "imagenet-c": Layout("tree", "imagenet", Geometry(256, 224, "bilinear"), BENCHMARK),
    "digits-p": Layout("sequences", None, None, CIFAR_P),
    "cifar10-p": Layout("sequences", "cifar10", None, CIFAR_P),
    "cifar100-p": Layout("sequences", "cifar100", None, CIFAR_P),
    "imagenet-p": Layout("clips", "imagenet", Geometry(256), PERTURBATIONS),
}


@dataclass(frozen=True)
class Task:
    """What is to be written; see :func:`prepare`."""

    suite: str
    layout: Layout
    clean: Images
    out: Path
    conditions: tuple[str, ...]
    seed: int
    frost: str | None
    difficulty: int = 1

    def stored(self, condition: str) -> str:
        """Return the name of a condition's file or folder: the harder noises of sequences have other names."""
        return published_name(condition, self.difficulty) if self.sequences else condition

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what is written."""
        if self.layout.kind == "clips":
            return CLIP_SIDE, CLIP_SIDE, 3
        height, width, channels = self.clean.read(np.array([0])).shape[1:]
        return height, width, channels

    @property
    def sequences(self) -> bool:
        """Whether conditions are perturbation sequences."""
        return self.layout.kind in ("sequences", "clips")

    def frames(self, condition: str) -> int:
        """Return how many images are made of one: frames of a sequence, or severities."""
        return frame_count(condition, self.shape[0]) if self.sequences else len(SEVERITIES)

    @property
    def images(self) -> int:
        """How many images there are in all; every frame counts."""
        return len(self.clean) * sum(map(self.frames, self.conditions))
