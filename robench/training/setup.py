"""What a run needs before its first step: the module, and the images on the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from robench.errors import RobenchError
from robench.training import distributed
from robench.training.method import Batch, Method, Network
from robench.training.recipe import Recipe
from robench.training.source import DeviceSource, Source, held_out, on_device, open_split

_EVALUATION_BATCH = 500


@dataclass
class Material:
    """The images of a run.

    Args:
        source: where training batches come from.
        train_index: numbers of the images to train on.
        validation: the held-out images, or None.
        test: the test images, or None.
    """

    source: Source
    train_index: torch.Tensor
    validation: DeviceSource | None
    test: DeviceSource | None

    def held_out_batch(self, recipe: Recipe, epoch: int) -> Batch | None:
        """Return all held-out images as one batch, for methods that look at them after an epoch."""
        if self.validation is None:
            return None
        images, labels = self.validation.images, self.validation.labels
        index = torch.arange(len(labels), device=labels.device)
        return Batch(images, labels, index, recipe.data, recipe.seed, epoch)

    def accuracies(self, net: Network, route: str | None) -> dict[str, float]:
        """Return the clean accuracy on the held-out and on the test images, fractions; nothing without labels."""
        if self.test is None:
            return {}
        sets = {"validation_accuracy": self.validation, "test_accuracy": self.test}
        return {name: accuracy(net, images, route) for name, images in sets.items() if images is not None}


@torch.no_grad()
def accuracy(net: Network, source: DeviceSource, route: str | None) -> float:
    """Return the share of images classified correctly; the module must be in evaluation mode."""
    correct = 0
    for start in range(0, len(source.labels), _EVALUATION_BATCH):
        part = slice(start, start + _EVALUATION_BATCH)
        predicted = net(source.images[part], route).argmax(dim=1)
        correct += int((predicted == source.labels[part]).sum())
    return round(correct / len(source.labels), 6)


def prepare(recipe: Recipe, data: Path | None, device: torch.device) -> Material:
    """Read the recipe's images.

    Raises:
        RobenchError: unreadable data, or fewer classes than the labels need.
    """
    part = recipe.data
    source = on_device(open_split(part, data, part.train_split), part, device, part.limit)
    if recipe.num_classes and int(source.labels.max()) >= recipe.num_classes:
        raise RobenchError(
            f"The data has label {int(source.labels.max())}, the recipe {recipe.num_classes} classes.",
            hint="Choose the recipe of this data set or set num_classes.",
        )
    train_index, validation_index = held_out(len(source.labels), part.validation)
    validation = None
    if part.validation_split is not None:
        validation = on_device(open_split(part, data, part.validation_split), part, device)
    elif len(validation_index):
        where = validation_index.to(device)
        validation = DeviceSource(source.images[where], source.labels[where])
    test = None
    if recipe.num_classes:
        test = on_device(open_split(part, data, part.test_split), part, device)
    return Material(source, train_index, validation, test)


def build_module(recipe: Recipe, method: Method, device: torch.device, world: distributed.World) -> nn.Module:
    """Build the architecture, with the same weights in every process.

    Raises:
        RobenchError: an unknown architecture, or a normalisation that the method cannot train.
    """
    if recipe.norm not in method.NORMS:
        raise RobenchError(
            f"Method {recipe.method} needs norm {' or '.join(method.NORMS)}, the recipe has {recipe.norm}.",
            hint=f"--set norm={method.NORMS[0]}",
        )
    held_out_count = recipe.data.validation_split or recipe.data.validation
    if method.NEEDS_VALIDATION and not held_out_count:
        raise RobenchError(
            f"Method {recipe.method} learns from held-out images, and the recipe holds out none.",
            hint="--set data.validation=1000",
        )
    module = method.build()
    if module is None:
        from robench.models import architectures

        module = architectures.build(recipe.architecture, recipe.num_classes, recipe.norm)
    if recipe.sync_bn and world.size > 1:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    module = module.to(device).to(memory_format=torch.channels_last)
    distributed.share_weights(module, world)
    return module
