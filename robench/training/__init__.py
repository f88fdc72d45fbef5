"""Reference training: every method as a loss in one loop, with one schedule, data path and budget.

``engine`` has the loop and what surrounds it, ``methods`` one file per training method, ``recipes`` one file per
method with a table of its variants, ``ops`` the batched augmentations, losses and attacks, ``networks`` the networks
that augment images (EDSR, CAE, Noise2Net).

A custom method is a dataclass derived from ``Method`` (or from ``OneView``, where the loss is the cross-entropy
of one augmented view); its fields are the options of the recipe:

    @dataclass
    class Blur(OneView):
        sigma: float = 1.0

        def view(self, batch: Batch) -> torch.Tensor:
            return gaussian_blur(batch.view().float() / 255.0, 5, self.sigma)

``robench train --recipe standard-digits --set method=python:blur.py:Blur`` trains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

if TYPE_CHECKING:
    from robench.training.engine.batch import Batch
    from robench.training.engine.loop import train
    from robench.training.engine.network import Network
    from robench.training.methods import METHODS
    from robench.training.methods.base import Method, OneView, Step
    from robench.training.recipes import RECIPES, load

__all__ = ["METHODS", "RECIPES", "Batch", "Method", "Network", "OneView", "Step", "load", "train"]

_HOMES = {
    "Batch": "engine.batch",
    "train": "engine.loop",
    "Network": "engine.network",
    "METHODS": "methods",
    "Method": "methods.base",
    "OneView": "methods.base",
    "Step": "methods.base",
    "RECIPES": "recipes",
    "load": "recipes",
}

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
