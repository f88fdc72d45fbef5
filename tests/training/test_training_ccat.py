"""CCAT's attack and its beginnings against a plain loop over single images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from robench.training.engine.batch import Batch
from robench.training.methods.ccat import CCAT
from robench.training.ops.attacks import confident_attack


class _Net:
    """What an attack needs of a network."""

    def __init__(self) -> None:
        torch.manual_seed(3)
        self.module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 12), nn.SiLU(), nn.Linear(12, 5)).double().eval()

    def __call__(self, pixels: torch.Tensor, route: str | None = None) -> Any:
        return self.module(pixels)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        yield


def _one_image(
    net: _Net, image: torch.Tensor, label: int, epsilon: float, steps: int, size: float, start: torch.Tensor
) -> torch.Tensor:
    """Ascend on one image with momentum and backtracking: two forward passes per step, as Stutz et al. write it."""

    def objective(delta: torch.Tensor) -> torch.Tensor:
        probabilities = net(image[None] + delta[None])[0].softmax(0)
        return torch.cat([probabilities[:label], probabilities[label + 1 :]]).max()

    def project(delta: torch.Tensor) -> torch.Tensor:
        return (image + delta.clamp(-epsilon, epsilon)).clamp(0, 1) - image

    delta, momentum = project(epsilon * start), torch.zeros_like(image)
    for _ in range(steps):
        delta = delta.detach().requires_grad_(True)
        value = objective(delta)
        (gradient,) = torch.autograd.grad(value, delta)
        momentum = 0.9 * momentum + 0.1 * gradient.sign()
        proposed = project(delta.detach() + size * momentum)
        if bool(objective(proposed) >= value):
            delta = proposed
        else:
            size = size / 1.5
    return (image + delta).detach()


def test_the_attack_is_that_of_a_loop_over_images() -> None:
    net = _Net()
    torch.manual_seed(0)
    images, labels = torch.rand(6, 3, 8, 8, dtype=torch.float64), torch.randint(0, 5, (6,))
    start = 2 * torch.rand_like(images) - 1
    found = confident_attack(net, images, labels, 0.1, 12, 0.06, start)  # type: ignore[arg-type]
    wanted = [_one_image(net, images[i], int(labels[i]), 0.1, 12, 0.06, start[i]) for i in range(6)]
    torch.testing.assert_close(found, torch.stack(wanted), rtol=0, atol=1e-9)
    assert not torch.allclose(found, images + 0.1 * start, atol=1e-3)


def test_it_begins_at_the_image_at_noise_and_anywhere_in_the_ball(batch: Batch) -> None:
    images, none = batch.images[:1].expand(600, -1, -1, -1), torch.zeros(600, dtype=torch.int64)
    many = Batch(images, none, torch.arange(600), batch.data, seed=1, epoch=0)
    start = CCAT().confident_start(many)
    norms = start.abs().amax(dim=(1, 2, 3)).numpy()
    numbers = start[0].numel()
    deviations = start.flatten(1).std(dim=1).numpy()
    gaussian = np.abs(deviations * 2 * math.log(numbers) - 1) < 0.1
    at_image = norms == 0
    assert abs(at_image.mean() - 1 / 3) < 0.06
    rest = norms[~at_image & ~gaussian]
    assert rest.max() <= 1
    assert abs(rest.mean() - 0.5) < 0.1  # norms are U(0, epsilon)
    assert gaussian[~at_image].any()
