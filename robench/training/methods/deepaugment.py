"""DeepAugment: images passed through image-to-image networks whose weights and signals are distorted at random.

Hendrycks et al. 2021 ("The Many Faces of Robustness"). The published code writes two sets once (``robench data
deepaugment``) and trains on clean, EDSR and CAE images together (``data.extra``). This method is robench's own variant:
every image is one of the three, fresh each epoch, or from sets made in memory before the first step (``once``), which
costs thirty times less over thirty epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.methods.base import UNPREPARED, OneView, Preparation
from robench.training.networks.distorter import RENEWAL, Distorter, load_network
from robench.training.networks.memory_set import made

_RENEW, _SEED, _CHOICE = 0, 1, 2


@dataclass
class DeepAugment(OneView):
    """Samples uniformly, per image, from the original and its copies through the distorted networks.

    Args:
        networks: folders or files of trained EDSR or CAE networks, or names of the recipes that train them; at
            least one.
        once: distort every training image once, before the first step, instead of each view anew. Other images (those
            of ``robench affinity``) have no such set; their views are made anew.
    """

    networks: list[str]
    once: bool = False
    folders: Mapping[str, Path] = field(default_factory=dict, init=False, repr=False)
    _autocast: torch.dtype | None = field(default=None, init=False, repr=False)
    _distorters: list[Distorter] = field(default_factory=list, init=False, repr=False)
    _sets: list[torch.Tensor] = field(default_factory=list, init=False, repr=False)

    def locate(self, folders: Mapping[str, Path]) -> None:
        """Receive the folders of the networks that are given by recipe name."""
        self.folders = folders

    def begin(self, images: torch.Tensor | None, seed: int, work: Preparation = UNPREPARED) -> None:
        """Make the sets, with ``once``.

        Args:
            images: uint8 (N, 3, H, W), all training images by number; None: they are not in memory.
            seed: of the run.
            work: keeps the sets until the run is finished; the networks take its precision.

        Raises:
            RobenchError: the images are not in memory.
        """
        self._autocast = work.autocast
        if not self.once:
            return
        if images is None:
            raise RobenchError(
                "DeepAugment's option 'once' needs the training images in memory.",
                hint="Use `set='options.once=false'`, or write the sets (`robench data deepaugment`) and name them in"
                " data.extra.",
            )
        random = np.random.default_rng(seed)
        self._sets = [
            made(distorter, images, random, work.folder, work.progress(f"Images through {name}", len(images)))
            for name, distorter in zip(self.networks, self._loaded(images.device), strict=True)
        ]

    def view(self, batch: Batch) -> torch.Tensor:
        """Return flipped and cropped images: uint8; every choice is equally likely, as in the published set."""
        choice = batch.stream("deepaugment").integers(_CHOICE, 0, len(self.networks) + 1, ())
        if not self._sets:
            return self._fresh(batch, batch.view(), choice)
        images = batch.images.clone()
        for number, distorted in enumerate(self._sets, start=1):
            where = choice == number
            images[where] = distorted[batch.index[where]]
        return replace(batch, images=images).view()

    def _fresh(self, batch: Batch, images: torch.Tensor, choice: torch.Tensor) -> torch.Tensor:
        stream = batch.stream("deepaugment")
        seeds = stream.integers(_SEED, 0, 2**31 - 1, ())
        renewals = stream.uniform(_RENEW, ()) < RENEWAL
        images = images.clone()
        for number, distorter in enumerate(self._loaded(images.device), start=1):
            where = (choice == number).nonzero()[:, 0]
            if len(where):
                pixels = images[where].float() / 255.0
                distorted = distorter.run(pixels, renewals[where], seeds[where])
                images[where] = (distorted * 255.0).to(torch.uint8)
        return images

    def _loaded(self, device: torch.device) -> list[Distorter]:
        if not self._distorters:
            paths = [self.folders.get(name, name) for name in self.networks]
            self._distorters = [Distorter(load_network(path).to(device), self._autocast) for path in paths]
        return self._distorters
