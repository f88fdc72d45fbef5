"""What is asked of :mod:`robench.suites.generate`, and how the files will be called.

Source of the layouts: hendrycks/robustness, ``create_c`` and ``create_p``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robench.corruptions.perturbations import frame_count, published_name
from robench.data.base import Images
from robench.suites.base import Layout
from robench.suites.protocols import SEVERITIES

CLIP_SIDE = 224


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
