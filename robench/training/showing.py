"""What training sees: the images that a recipe's method gives to the network, as uint8 arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from robench.errors import RobenchError
from robench.training import methods
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import Method
from robench.training.recipes.schema import Recipe

_MOST = 64
"""Epochs that are tried, at most, until there are enough images."""


class _Watched(nn.Module):
    """A network that keeps what it is given while it trains; what attacks try out is not kept.

    An untrained linear map of the image, with gradients for methods that ascend the loss.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: list[torch.Tensor] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training and torch.is_grad_enabled() and not inputs.requires_grad:
            self.seen.append(inputs.detach().clone())
        logits: torch.Tensor = self.network(inputs)
        return logits


def views(
    recipe: Recipe, images: npt.NDArray[np.uint8], count: int, folders: Mapping[str, Path]
) -> npt.NDArray[np.uint8]:
    """Return what the network is shown of the first image, over the epochs of a training run.

    The network itself is untrained: what an attack or AugMax finds on a trained one is harder.

    Args:
        recipe: whose method augments.
        images: uint8 (n, H, W, 3), at the recipe's size; others than the first are partners of mixtures.
        count: views to return; views that equal the clean image are omitted where a method also has others.
        folders: recipe name -> folder of the trained networks that DeepAugment needs.

    Returns:
        uint8 (count, H, W, 3), or fewer where the method shows fewer different images.

    Raises:
        RobenchError: the method trains no classifier, or needs networks that are not there.
    """
    before, method = methods.of(recipe)
    if not recipe.num_classes:
        raise RobenchError(f"{recipe.name} trains no classifier: it augments no images.", hint="Choose another recipe.")
    for one in (before, method):
        if one is not None:
            one.locate(folders)
            one.begin(None, recipe.seed)
    watched = _Watched(_network(recipe))
    net = Network(watched, recipe.data.mean, recipe.data.std, torch.device("cpu"))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    data = recipe.data.model_copy(update={"flip": False, "pad": 0})  # what the method does, not the usual crops
    found: list[npt.NDArray[np.uint8]] = []
    for epoch in range(_MOST):
        batch = Batch(pixels, torch.arange(len(pixels)) % recipe.num_classes, torch.arange(len(pixels)), data,
                      recipe.seed, epoch)  # fmt: skip
        if before is not None:
            batch = before.shown(batch)
        found += _of_step(method, net, watched, batch, images[0])
        if len(found) >= count:
            break
    return np.stack(found[:count]) if found else images[:1]


def _network(recipe: Recipe) -> nn.Module:
    """Return a small untrained classifier with the recipe's kind of normalisation, which routes views."""
    from robench.models import networks

    torch.manual_seed(recipe.seed)
    norm = recipe.norm if recipe.norm != "ibn" else "bn"
    return networks.build("wrn-10-1", recipe.num_classes, norm=norm).train()


def _of_step(
    method: Method, net: Network, watched: _Watched, batch: Batch, clean: npt.NDArray[np.uint8]
) -> list[npt.NDArray[np.uint8]]:
    """Return the different views of the first image in one step, the clean one left out."""
    watched.seen.clear()
    watched.train()
    method.loss(net, batch)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (batch.data.mean, batch.data.std))
    shown: list[npt.NDArray[np.uint8]] = []
    for inputs in watched.seen:
        # A method may give its views in one batch: every len(batch) images are one view.
        first = inputs[:: len(batch.labels)]
        pixels = ((first * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
        for view in pixels.permute(0, 2, 3, 1).contiguous().numpy():
            known = any(np.array_equal(view, other) for other in (clean, *shown))
            if not known:
                shown.append(view)
    return shown
