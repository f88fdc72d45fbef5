"""Mechanisms of the methods that change pixels and labels: patches, noise, mixtures, policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robench.corruptions.random import Stream
from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods import create
from robench.training.methods.autoaugment import (
    OVERLAPPING,
    AutoAugment,
    code_value,
    magnitude_value,
    paper_value,
    policy,
)
from robench.training.methods.cutmix import CutMix
from robench.training.methods.cutout import cutout
from robench.training.methods.mixup import Mixup, partners, shares
from robench.training.methods.noise import Noise
from robench.training.methods.patch import Patch
from robench.training.methods.randaugment import randaugment
from robench.training.ops import augment, sampling
from robench.training.ops.operations import NAMES

Make = Callable[..., Network]


def test_cutout_masks_one_square_with_the_mean(batch: Batch) -> None:
    white = torch.full_like(batch.images, 255)
    found = cutout(white, batch, 8)
    masked = (found[:, 0] == 0.5).flatten(1).sum(dim=1)
    assert int(masked.max()) == 64
    assert int(masked.min()) >= 16
    assert torch.equal(cutout(white, batch, 0), white / 255.0)


def test_patch_noise_stays_within_its_square(batch: Batch) -> None:
    grey = torch.full_like(batch.images, 128)
    for kind, bound in (("gaussian", 0.51), ("uniform", 0.2 + 1e-6)):
        found = Patch(kind=kind, side=10, scale=0.2).noisy(batch, grey) - 128 / 255
        assert ((found != 0).any(dim=1).flatten(1).sum(dim=1) <= 100).all()
        assert float(found.abs().max()) <= bound
        assert float(found.abs().max()) > 0.1


def test_speckle_scales_with_the_pixel(batch: Batch) -> None:
    method = Noise(kind="speckle", std=[0.2], probability=1.0)
    black = torch.zeros_like(batch.images)
    assert torch.equal(method.noisy(batch, black), black.float())
    deviation = (method.noisy(batch, torch.full_like(black, 128)) - 128 / 255).std()
    assert float(deviation) == pytest.approx(0.2 * 128 / 255, rel=0.05)
    half = Noise(probability=0.5).noisy(batch, torch.full_like(black, 128))
    changed = (half != 128 / 255).flatten(1).any(dim=1).float().mean()
    assert 0.2 < float(changed) < 0.8


def _uniform_batch(batch: Batch) -> Batch:
    """Images of one grey each, all different, so that a mixture shows what it is made of."""
    grey = 5 * torch.arange(len(batch.images), dtype=torch.uint8).view(-1, 1, 1, 1)
    data = batch.data.model_copy(update={"flip": False, "pad": 0})
    return replace(batch, images=grey.expand_as(batch.images).contiguous(), data=data)


def _seen(net: Network, method: Mixup | CutMix, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return the greys (n, H, W) that the network saw, its logits, and the loss."""
    inputs: list[torch.Tensor] = []
    hook = net.module.register_forward_pre_hook(lambda _, found: inputs.append(found[0]))
    step = method.loss(net, batch)
    hook.remove()
    assert step.logits is not None
    return (inputs[0][:, 0] * 0.5 + 0.5) * 255 / 5, step.logits.detach(), step.loss.item()


def _two_labels(logits: torch.Tensor, labels: torch.Tensor, other: torch.Tensor, share: torch.Tensor) -> float:
    """Cross-entropy with the two labels' shares as soft targets, in numpy."""
    p = torch.log_softmax(logits.double(), dim=1).numpy()
    n = np.arange(len(p))
    return float(-(share.numpy() * p[n, labels] + (1 - share.numpy()) * p[n, labels[other]]).mean())


@pytest.mark.parametrize("per_image", [False, True])
def test_mixup_mixes_labels_as_it_mixes_pixels(batch: Batch, make_network: Make, per_image: bool) -> None:
    flat = _uniform_batch(batch)
    seen, logits, loss = _seen(make_network(), Mixup(alpha=1.0, per_image=per_image), flat)
    grey = seen.mean(dim=(1, 2))
    assert torch.allclose(seen, grey.view(-1, 1, 1).expand_as(seen), atol=1e-3)
    own = torch.arange(len(grey))
    other = partners(flat, "mixup")
    share = shares(flat, "mixup", 1.0, per_image).double()
    assert sorted(other.tolist()) == own.tolist()
    assert torch.allclose(grey.double(), share * own + (1 - share) * other, atol=1e-3)
    assert len(share.unique()) == (len(share) if per_image else 1)
    assert loss == pytest.approx(_two_labels(logits, flat.labels, other, share), rel=1e-4)


@pytest.mark.parametrize("per_image", [False, True])
def test_cutmix_weighs_labels_by_the_area_that_is_left(batch: Batch, make_network: Make, per_image: bool) -> None:
    flat = _uniform_batch(batch)
    seen, logits, loss = _seen(make_network(), CutMix(probability=1.0, per_image=per_image), flat)
    other = partners(flat, "cutmix")
    own = torch.arange(len(seen)).view(-1, 1, 1)
    inside = (seen - other.view(-1, 1, 1)).abs() < 1e-3
    outside = (seen - own).abs() < 1e-3
    assert (inside | outside).all()
    kept = outside.double().mean(dim=(1, 2))
    changed = inside & ~outside
    rows, columns = changed.any(dim=2).sum(dim=1), changed.any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, changed.sum(dim=(1, 2)))  # one box each
    assert 0.0 < float(changed.double().mean()) < 1.0
    assert loss == pytest.approx(_two_labels(logits, flat.labels, other, kept), rel=1e-4)
    untouched, _, _ = _seen(make_network(), CutMix(probability=0.0), flat)
    assert torch.allclose(untouched, own.expand_as(untouched).float(), atol=1e-3)


@given(st.floats(0.2, 2.0))
@settings(max_examples=5, deadline=None)
def test_shares_of_mixup_follow_beta(alpha: float) -> None:
    drawn = sampling.beta(Stream(5, "train", "mixup", 0, index=torch.arange(5000)), 0, alpha).double().numpy()
    mean, variance = stats.beta(alpha, alpha).stats()
    assert drawn.mean() == pytest.approx(mean, abs=0.03)
    assert drawn.var() == pytest.approx(variance, rel=0.1)


def test_policies_are_torchvisions() -> None:
    from torchvision.transforms import autoaugment

    words = {"brightness": "Brightness", "autocontrast": "AutoContrast"}
    for name, kind in (("cifar10", "CIFAR10"), ("imagenet", "IMAGENET")):
        theirs = autoaugment.AutoAugment(autoaugment.AutoAugmentPolicy[kind]).policies
        assert len(policy(name)) == len(theirs) == 25
        for ours, pair in zip(policy(name), theirs, strict=True):
            for (number, chance, level), (word, probability, magnitude) in zip(ours, pair, strict=True):
                spelt = NAMES[number].replace("_", "")
                assert words.get(spelt, spelt).lower() == word.lower()
                assert chance == pytest.approx(probability)
                if magnitude is not None:
                    assert level == magnitude


def test_starred_autoaugment_skips_overlapping_operations(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    apply = augment.apply

    def spy(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
        seen.append(ops)
        return apply(images, ops, values, fill)

    monkeypatch.setattr(augment, "apply", spy)
    for epoch in range(5):
        later = replace(batch, epoch=epoch)
        AutoAugment(starred=True).augmented(later, later.view())
        AutoAugment(starred=False).augmented(later, later.view())
        randaugment(later, later.view(), 2, 9.0, starred=True)
    starred = torch.cat([ops.flatten() for ops in seen[0::3] + seen[2::3]])
    assert not torch.isin(starred, torch.tensor(OVERLAPPING)).any()
    assert torch.isin(torch.cat(seen[1::3]).flatten(), torch.tensor(OVERLAPPING)).any()


def test_randaugment_goes_beyond_ten() -> None:
    for name, ten, fourteen in (
        ("rotate", 30.0, 42.0), ("shear_x", 0.3, 0.42), ("color", 1.9, 2.62), ("posterize", 4.0, 2.0),
        ("solarize", 0.0, 0.0), ("translate_x", 14.0, 20.0),
    ):  # fmt: skip
        number = NAMES.index(name)
        assert magnitude_value(number, 1.0, 32) == pytest.approx(ten)
        assert magnitude_value(number, 1.4, 32) == pytest.approx(fourteen)


def test_randaugment_at_14_is_not_that_at_10(batch: Batch) -> None:
    images = batch.view()
    assert not torch.equal(randaugment(batch, images, 2, 14.0), randaugment(batch, images, 2, 10.0))


def test_autoaugments_values_of_paper_and_code() -> None:
    """Level 9 of 0 to 9: the paper's end of the range, nine tenths of it in the code."""
    expected = {
        "rotate": (30.0, 27.0), "shear_x": (0.3, 0.27), "posterize": (4.0, 1.0), "solarize": (0.0, 26.0),
        "translate_x": (14.0, 9.0), "color": (1.9, 1.72),
    }  # fmt: skip
    for name, (paper, code) in expected.items():
        number = NAMES.index(name)
        assert paper_value(number, 9, 32) == pytest.approx(paper)
        assert code_value(number, 9, 32) == pytest.approx(code)
    assert code_value(NAMES.index("posterize"), 0, 32) == 4.0
    with pytest.raises(RobenchError, match="paper or code"):
        AutoAugment(magnitudes="both")


def test_autolabel_mixup_draws_one_share_per_step(batch: Batch, make_network: Make) -> None:
    flat = _uniform_batch(batch)
    for per_image in (False, True):
        method = create("autolabel-mixup", {"per_image": per_image})
        seen: list[torch.Tensor] = []
        net = make_network()
        net.module.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0][:, 0].mean(dim=(1, 2))))
        method.loss(net, flat)
        grey = ((seen[0] * 0.5 + 0.5) * 255 / 5).double()
        other = partners(flat, "autolabel-partners").double()
        own = torch.arange(len(grey)).double()
        apart = own != other
        share = (grey - other)[apart] / (own - other)[apart]
        assert (float(share.std()) > 0.1) == per_image
