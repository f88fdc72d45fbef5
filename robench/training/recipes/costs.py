"""What a recipe costs, before anything is built: its passes, and the time of their arithmetic.

``_costs.csv`` is written by ``scripts/recipe_costs.py``; a test holds it to the methods' own number of passes and to
PyTorch's count of operations.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("_costs.csv")

RATE = 1e13
"""Operations per second that the estimate takes for granted: 10 TFLOP/s, a GPU of about 2020 that is kept busy."""

PER_PASS = 3
"""A backward pass costs about two forward passes: it computes the gradients of weights and of inputs."""

IMAGES = {"digits": 1_198, "cifar10": 50_000, "cifar100": 50_000, "tiny-imagenet": 100_000, "imagenet": 1_281_167}
"""Training images per epoch; other data sets depend on what the user has."""


@dataclass(frozen=True)
class Cost:
    """What a recipe costs.

    Args:
        passes: forward and backward passes per training image, over the whole run.
        forward_operations: of one image's forward pass; None: not counted.
    """

    passes: float
    forward_operations: int | None

    def hours(self, dataset: str, copies: int = 1) -> float | None:
        """Return the hours of the passes' arithmetic at :data:`RATE`; None where images or operations are not known.

        Args:
            dataset: trained on.
            copies: how many versions of it are trained on in every epoch (DeepAugment's written sets).
        """
        images = IMAGES.get(dataset)
        if images is None or self.forward_operations is None:
            return None
        return images * copies * self.passes * PER_PASS * self.forward_operations / RATE / 3600


@cache
def costs() -> dict[str, Cost]:
    """Return the cost of every built-in recipe, by name."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return {
            line["recipe"]: Cost(float(line["passes"]), int(line["forward_operations"] or 0) or None)
            for line in csv.DictReader(file)
        }
