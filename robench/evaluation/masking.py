"""Whether a model withstands an attack, or only hides its gradients from it.

Three of the signs of Athalye, Carlini and Wagner (2018) and Carlini et al. (2019): images without any gradient, more
steps that are weaker, and black-box images of another model that are stronger than white-box ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from robench.evaluation.attacks import Attacker, gradient_of
from robench.evaluation.forward import Forward
from robench.predictions import AttackCheck
from robench.suites.base import Attack, Batch

_IMAGES = 64
_DIGITS = 3


def check_masking(
    attacker: Attacker, batch: Batch, logits: torch.Tensor, attack: Attack, surrogate: Forward | None
) -> AttackCheck:
    """Attack some images of a batch again, with twice the steps, and with images that fool a surrogate.

    Args:
        attacker: of the model.
        batch: the cell's first.
        logits: (n, K), of the attacked batch.
        attack: the cell's attack.
        surrogate: the other model, or None.
    """
    count = min(_IMAGES, len(batch.index))
    images, targets, index = batch.images[:count], batch.target[:count], batch.index[:count]
    labels = torch.from_numpy(np.asarray(targets, np.int64)).to(logits.device)
    error, nll = _values(logits[:count], labels)
    found = AttackCheck(images=count, error=error, nll=nll, without_gradient=_flat(attacker.forward, images, labels))
    if attack.method == "pgd":
        longer = replace(attack, steps=2 * attack.steps)
        more_error, more_nll = _values(attacker(images, targets, index, longer), labels)
        update = {"more_steps": longer.steps, "more_error": more_error, "more_nll": more_nll}
        found = found.model_copy(update=update)
    if surrogate is None:
        return found
    black_box = Attacker(surrogate, attacker.seed).images(images, targets, index, attack)
    with torch.no_grad():
        transferred = attacker.forward.of_pixels(black_box)
    error, nll = _values(transferred, labels)
    name = surrogate.model.name
    return found.model_copy(update={"surrogate": name, "transfer_error": error, "transfer_nll": nll})


def _values(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Return error and mean cross-entropy, without digits that depend on the batch size."""
    logits = logits.float()
    error = float((logits.argmax(dim=1) != labels).double().mean())
    return round(error, _DIGITS), round(float(functional.cross_entropy(logits, labels)), _DIGITS)


def _flat(forward: Forward, images: torch.Tensor, labels: torch.Tensor) -> int:
    """Return how many images have no gradient."""
    gradient = gradient_of(forward.of_pixels, images.to(forward.device).float() / 255.0, labels)
    return int((gradient.flatten(1).abs().amax(dim=1) == 0).sum())
