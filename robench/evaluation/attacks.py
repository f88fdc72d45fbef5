"""Attacks on a model: the images of a cell are those near the clean ones on which the model does worst.

White-box projected gradient descent (Madry et al. 2018) in an L-infinity or L2 ball, and AutoAttack (Croce and Hein
2020) where its package is installed. Gradients go through the model's preprocessing, and pixels stay within [0, 1]
without being rounded. What is drawn for an image depends on the seed, the attack, the restart and the image's index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from robench.corruptions.random import Stream
from robench.errors import RobenchError
from robench.evaluation.forward import Forward
from robench.suites.base import Attack

Logits = Callable[[torch.Tensor], torch.Tensor]

_START, _RADIUS = 0, 1
_TINY = 1e-12


class Attacker:
    """Attacks one model.

    Args:
        forward: the model's forward pass.
        seed: of the random starts.
    """

    def __init__(self, forward: Forward, seed: int) -> None:
        self.forward, self.seed = forward, seed

    def __call__(
        self, images: torch.Tensor, targets: npt.NDArray[np.int64], index: npt.NDArray[np.int64], attack: Attack
    ) -> torch.Tensor:
        """Return the model's logits on attacked images, the worst of all restarts: float32 (n, K).

        Args:
            images: uint8 (n, 3, H, W).
            targets: (n,) labels.
            index: (n,) the images' indices.
            attack: the attack.

        Raises:
            RobenchError: an image without a label, a model without gradients, or a package that is not installed.
        """
        found = self.images(images, targets, index, attack)
        with torch.no_grad():
            return self.forward.of_pixels(found).float()

    def images(
        self, images: torch.Tensor, targets: npt.NDArray[np.int64], index: npt.NDArray[np.int64], attack: Attack
    ) -> torch.Tensor:
        """Return the attacked images themselves: float32 (n, 3, H, W) in [0, 1]; arguments as for calls."""
        if (targets < 0).any():
            raise RobenchError("An image has no label; an attack raises the loss of the label.", hint="Label all.")
        pixels = images.to(self.forward.device).float() / 255.0
        labels = torch.from_numpy(np.asarray(targets, np.int64)).to(self.forward.device)
        if attack.method == "autoattack":
            return _autoattack(self.forward.of_pixels, pixels, labels, attack, self.seed, self.forward.device)
        starts = (self._start(index, pixels, attack, restart) for restart in range(attack.restarts))
        worst: torch.Tensor | None = None
        for start in starts:
            found = pgd(self.forward.of_pixels, pixels, labels, start, attack)
            badness = self._badness(found, labels)
            if worst is None:
                worst, reached = found, badness
                continue
            worse = _worse(badness, reached)
            worst = torch.where(worse.view(-1, 1, 1, 1), found, worst)
            reached = torch.where(worse, badness, reached)
        assert worst is not None  # an attack has a restart
        return worst

    @torch.no_grad()
    def _badness(self, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return whether each image is misclassified, and its cross-entropy: float32 (2, n)."""
        logits = self.forward.of_pixels(pixels).float()
        wrong = logits.argmax(dim=1) != labels
        return torch.stack([wrong.float(), functional.cross_entropy(logits, labels, reduction="none")])

    def _start(self, index: npt.NDArray[np.int64], pixels: torch.Tensor, attack: Attack, restart: int) -> torch.Tensor:
        """Return a perturbation drawn uniformly from the attack's ball: float32 (n, 3, H, W)."""
        stream = Stream(self.seed, "pgd", attack.norm, restart, index=index, device=pixels.device)
        shape = tuple(pixels.shape[1:])
        if attack.norm == "linf":
            return attack.epsilon * (2.0 * stream.uniform(_START, shape) - 1.0)
        direction = stream.normal(_START, shape)
        direction = direction / _length(direction).clamp_min(_TINY)
        radius = stream.uniform(_RADIUS, ()) ** (1.0 / pixels[0].numel())
        return attack.epsilon * radius.view(-1, 1, 1, 1) * direction


def pgd(
    logits_of: Logits, pixels: torch.Tensor, labels: torch.Tensor, start: torch.Tensor, attack: Attack
) -> torch.Tensor:
    """Return where projected gradient ascent on the cross-entropy ends.

    Args:
        logits_of: from float images in [0, 1] to logits (n, K), with gradients.
        pixels: float32 (n, 3, H, W) in [0, 1].
        labels: int64 (n,).
        start: perturbation where it begins, within the ball.
        attack: norm, radius, steps and their length.

    Returns:
        float32 (n, 3, H, W) in [0, 1], within the ball around ``pixels``.

    Raises:
        RobenchError: the logits have no gradient with respect to the pixels.

    >>> attack = Attack("linf", 0.1, steps=1, restarts=1, step=0.1)
    >>> image = torch.tensor([0.5, 0.5, 0.05]).view(1, 3, 1, 1)
    >>> weights = torch.tensor([[1.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
    >>> linear = lambda x: x.flatten(1) @ weights.T
    >>> [round(v, 2) for v in pgd(linear, image, torch.tensor([0]), torch.zeros(1, 3, 1, 1), attack).flatten().tolist()]
    [0.4, 0.6, 0.0]
    """
    found = (pixels + start).clamp(0.0, 1.0)
    for _ in range(attack.steps):
        gradient = gradient_of(logits_of, found, labels)
        if attack.norm == "linf":
            moved = found + attack.step * gradient.sign() - pixels
            moved = moved.clamp(-attack.epsilon, attack.epsilon)
        else:
            moved = found + attack.step * _direction(gradient) - pixels
            moved = moved * (attack.epsilon / _length(moved).clamp_min(_TINY)).clamp(max=1.0)
        found = (pixels + moved).clamp(0.0, 1.0)
    return found


def gradient_of(logits_of: Logits, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the summed cross-entropy with respect to float images, of their shape.

    Raises:
        RobenchError: there is none: the model computes outside PyTorch, or detaches its input.
    """
    leaf = pixels.detach().requires_grad_(True)
    with torch.enable_grad():
        logits = logits_of(leaf)
        if not logits.requires_grad:
            raise RobenchError(
                "The model's logits have no gradient with respect to the image, so it cannot be attacked by gradients.",
                hint="Give it as a PyTorch network (weights with `arch`, timm:, torchvision:, python:); ONNX and NumPy"
                " models have no gradients.",
            )
        loss = functional.cross_entropy(logits.float(), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def _worse(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return where the first is worse for the model: misclassified before correct, then by loss; bool (n,)."""
    return (one[0] > other[0]) | ((one[0] == other[0]) & (one[1] > other[1]))


def _direction(gradient: torch.Tensor) -> torch.Tensor:
    """Return gradients brought to length 1, however short: those of confident answers have squares of 0 in float32.

    >>> _direction(torch.tensor([3e-30, 4e-30, 0.0]).view(1, 3, 1, 1)).flatten().tolist()
    [0.6000000238418579, 0.800000011920929, 0.0]
    """
    largest = gradient.flatten(1).abs().amax(dim=1).view(-1, 1, 1, 1)
    scaled = gradient / torch.where(largest > 0, largest, 1.0)
    return scaled / _length(scaled).clamp_min(_TINY)


def _length(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def _autoattack(
    logits_of: Logits, pixels: torch.Tensor, labels: torch.Tensor, attack: Attack, seed: int, device: str
) -> torch.Tensor:
    """Return the images of AutoAttack's standard version, which draws its random numbers batch by batch.

    The packages autoattack (the authors') and pyautoattack differ in two keywords.
    """
    name, make = _package()
    quiet, size = ({"verbose": False}, "bs") if name == "autoattack" else ({}, "batch_size")
    norm = {"linf": "Linf", "l2": "L2"}[attack.norm]

    def logits(x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:  # the packages take views of gradients, which channels-last memory does not allow
            x = x.clone()
            x.register_hook(lambda gradient: gradient.contiguous())
        return logits_of(x).float()

    made: Any = make(logits, norm=norm, eps=attack.epsilon, seed=seed, version="standard", device=device, **quiet)
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []), torch.enable_grad():
        found: Any = made.run_standard_evaluation(pixels.contiguous(), labels, **{size: len(pixels)})
    images: torch.Tensor = found[0] if isinstance(found, tuple) else found  # one of them returns classes too
    return images.detach()


def _package() -> tuple[str, Callable[..., Any]]:
    for name in ("autoattack", "pyautoattack"):
        try:
            return name, __import__(name).AutoAttack
        except ImportError:
            continue
    raise RobenchError(
        "AutoAttack needs its package, which is not installed.",
        hint="pip install pyautoattack (or autoattack, from github.com/fra31/auto-attack); the suite's PGD cells need"
        " neither.",
    )
