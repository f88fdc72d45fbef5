"""Methods that change a trained network's answers without training: a mirrored view, the batch's own statistics.

Their results are marked: they do not compare with those of a network that sees each image once and alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from robench.errors import RobenchError
from robench.models.base import Model
from robench.models.copying import copied
from robench.models.outputs import log_probabilities, logits_of


class Flip(nn.Module):
    """The mean of the probabilities of an image and of its mirror image, as log-probabilities."""

    def __init__(self, function: Callable[[torch.Tensor], Any], classes: int) -> None:
        super().__init__()
        self.function, self.classes = function, classes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return ``log((softmax(f(x)) + softmax(f(mirror(x)))) / 2)``, float32 (n, K)."""
        views = (images, images.flip(3).contiguous(memory_format=_format_of(images)))
        first, second = (
            log_probabilities(logits_of(self.function(v), self.classes), "The model of ?tta=flip") for v in views
        )
        return torch.logaddexp(first, second) - math.log(2.0)


def _format_of(images: torch.Tensor) -> torch.memory_format:
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def flipped(model: Model) -> Model:
    """Return the model that averages over an image and its mirror image, with its own name and hash."""
    digest = hashlib.sha256(f"{model.hash}?tta=flip".encode()).hexdigest()
    module = Flip(model.module, model.num_classes)
    return replace(model, name=f"{model.name}-flip", module=module, hash=digest, card=model.card | {"tta": "flip"})


def by_batch(model: Model, size: int) -> Model:
    """Return the model whose batch norms use each batch's own mean and variance.

    Nothing is kept from batch to batch: every batch starts from the trained weights. The batches are of ``size``
    images in the order of the files, so that both are part of what the model is.

    Source: Schneider et al. 2020 and Nado et al. 2020, without the training statistics (N = 0).

    Args:
        model: a network with batch norms.
        size: images per batch.

    Raises:
        RobenchError: no network of PyTorch modules, or one without batch norms.
    """
    network = model.module
    if not isinstance(network, nn.Module) or not any(isinstance(part, _BatchNorm) for part in network.modules()):
        raise RobenchError(
            f"{model.name} has no batch norm of PyTorch, whose statistics ?bn=batch replaces.", hint="Omit ?bn=batch."
        )
    module = copied(network)
    for part in module.modules():
        if isinstance(part, _BatchNorm):  # without running statistics PyTorch takes the batch's, in evaluation too
            part.running_mean = part.running_var = part.num_batches_tracked = None
            part.track_running_stats = False
    digest = hashlib.sha256(f"{model.hash}?bn=batch:{size}".encode()).hexdigest()
    adapted = {"statistics": "of the batch", "batch_size": size, "order": "of the files", "reset": "every batch"}
    card = model.card | {"bn": "batch", "adapted": adapted}
    name = f"{model.name}-bn-batch-{size}"
    return replace(model, name=name, module=module, hash=digest, card=card, batch_size=size)


MARK = " (adapted)"


def marked(model: Model) -> Model:
    """Return the model with a name that says that it adapts to its batches, where it does."""
    if "adapted" not in model.card or model.name.endswith(MARK):
        return model
    return replace(model, name=model.name + MARK)
