"""Folding batch norms: the same outputs, fewer batch norms, and the reason where none could be folded."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from robench.models import wrap
from robench.models.architectures import build
from robench.models.folding import Folding, fold, fold_module

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def trained(module: nn.Module) -> nn.Module:
    """Give batch norms statistics and factors that are not the identity."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats:
            part.running_mean.normal_(0, 0.2, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
                nn.init.normal_(part.bias, 0, 0.2, generator=generator)
    return module.eval()


def check(module: nn.Module, expected: Folding, images: torch.Tensor = IMAGES) -> nn.Module:
    before = copy.deepcopy(module.state_dict())
    folded, done = fold_module(module)
    assert done == expected
    with torch.no_grad():
        wanted, found = module(images), folded(images)
    assert float((found - wanted).abs().max()) <= 1e-5 * float(wanted.abs().max())
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())
    return folded


@pytest.mark.parametrize(
    ("name", "norm", "folded", "left"),
    [
        ("resnet-20", "bn", 19, 0),
        ("resnext-29", "bn", 31, 0),
        ("allconv", "bn", 9, 0),
        ("wrn-10-1", "bn", 3, 4),
        ("wrn-10-1", "dubn", 3, 11),
    ],
)
def test_our_architectures(name: str, norm: str, folded: int, left: int) -> None:
    torch.manual_seed(0)
    check(trained(build(name, 10, norm)), Folding(folded, left))


def test_architectures_of_torchvision() -> None:
    from torchvision import models

    torch.manual_seed(0)
    folded = check(trained(models.resnet18(num_classes=5)), Folding(20, 0))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())


class Shared(nn.Module):
    """One convolution before two batch norms, one whose output is used twice, one batch norm without statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.twice, self.alone = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.a, self.b, self.c = (nn.BatchNorm2d(3) for _ in range(3))
        self.batch_only = nn.BatchNorm2d(3, track_running_stats=False)
        self.plain = nn.BatchNorm2d(3, affine=False)
        self.linear, self.flat = nn.Linear(3, 4), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(self.shared(x)) + self.b(self.shared(x))
        y = self.twice(x)
        x = self.c(y) * y + self.batch_only(x)
        return self.flat(self.linear(self.plain(self.alone(x)).mean((2, 3))))


def test_what_is_shared_is_left() -> None:
    torch.manual_seed(0)
    check(trained(Shared()), Folding(1, 5))


class Awkward(nn.Module):
    """Batch norms that stand right after a layer of their own and still must stay."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.linear, self.rows = nn.Linear(32, 32), nn.BatchNorm1d(32)
        if kind == "hook on the convolution":
            self.conv.register_forward_hook(lambda _, inputs, output: output.relu())
        elif kind == "hook before the norm":
            self.norm.register_forward_pre_hook(lambda _, inputs: (inputs[0].relu(),))
        elif kind == "hook after the norm":
            self.norm.register_forward_hook(lambda _, inputs, output: output.relu())
        elif kind == "hook on the network":
            self.register_forward_hook(lambda _, inputs, output: output / 2)

    def train(self, mode: bool = True) -> Awkward:
        super().train(mode)
        if self.kind == "batch statistics":
            self.norm.train()
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "rows of an image":
            return self.rows(self.linear(x[:, 0]))
        y = self.norm(self.conv(x))
        if self.kind == "weight used by itself":
            return y + nn.functional.conv2d(x, self.conv.weight, padding=1)
        return y + self.norm.bias.sum() if self.kind == "bias used by itself" else y


@pytest.mark.parametrize(
    "kind",
    [
        "hook on the convolution", "hook before the norm", "hook after the norm", "hook on the network",
        "rows of an image", "weight used by itself", "bias used by itself", "batch statistics",
    ],
)  # fmt: skip
def test_what_a_fold_would_change_is_left(kind: str) -> None:
    torch.manual_seed(0)
    module = trained(Awkward(kind))
    folded, done = fold_module(module)
    assert (done.folded, done.left) == (0, 2)
    torch.testing.assert_close(folded(IMAGES), module(IMAGES))


class Drawing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x + torch.randn(1, 3, 1, 1)).mean((2, 3))


def test_a_network_that_draws_goes_on_drawing() -> None:
    """A trace would keep the numbers that were drawn while it was made."""
    module, state = Drawing().eval(), torch.get_rng_state()
    same, done = fold_module(module)
    assert torch.equal(torch.get_rng_state(), state)
    assert same is module
    assert "draws random numbers" in str(done)


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).mean((2, 3)) if x.mean() > 0 else x.mean((2, 3))


def test_what_cannot_be_folded_says_so() -> None:
    module = Branching().eval()
    same, done = fold_module(module)
    assert same is module
    assert str(done) == "No batch norm was folded: its forward() cannot be traced (TraceError)."
    _, done = fold_module(nn.Sequential(nn.Flatten(), nn.Linear(3, 4)))
    assert "has no batch norm" in str(done)
    _, done = fold(wrap(lambda x: x.mean((2, 3)), num_classes=3, name="mean"))
    assert "mean is a function, not a module" in str(done)


def test_a_folded_model_keeps_its_identity() -> None:
    model = wrap(trained(build("resnet-20", 10)), name="r", mean=(0.5, 0.5, 0.5))
    folded, done = fold(model)
    assert str(done) == "19 of 19 batch norms folded into convolutions."
    assert (folded.hash, folded.name, folded.preprocessing) == (model.hash, "r", model.preprocessing)
    assert folded.card["folded_batch_norms"] == 19
    assert "folded_batch_norms" not in model.card
