"""Random erasing as torchvision has it; AugMix on top of mixup, and on some of the images only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision.transforms import RandomErasing as Torchvisions

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods import create
from robench.training.methods.augmix import AugMix
from robench.training.methods.mixup import partners, shares
from robench.training.methods.random_erasing import RandomErasing
from robench.training.ops.losses import jensen_shannon

Make = Callable[..., Network]


def _many(batch: Batch, count: int = 4000) -> Batch:
    images = batch.images[:1].expand(count, -1, -1, -1)
    return replace(batch, images=images, labels=batch.labels[:1].expand(count), index=torch.arange(count))


def test_rectangles_are_distributed_as_torchvisions(batch: Batch) -> None:
    many = _many(batch)
    found = RandomErasing().mask(many, many.images)[:, 0]
    torch.manual_seed(0)
    erase = Torchvisions(value=1.0)
    expected = torch.stack([erase(torch.zeros(1, 32, 32))[0] > 0 for _ in range(4000)])
    for one in (found, expected):
        assert one.shape == (4000, 32, 32)
    areas = [one.flatten(1).sum(1).double() for one in (found, expected)]
    assert float((areas[0] > 0).double().mean()) == pytest.approx(0.5, abs=0.03)
    for quantile in (0.25, 0.5, 0.75):
        a, b = (float(area[area > 0].quantile(quantile)) for area in areas)
        assert a == pytest.approx(b, rel=0.08)
    heights = [one.any(2).sum(1)[one.flatten(1).any(1)].double().mean().item() for one in (found, expected)]
    assert heights[0] == pytest.approx(heights[1], rel=0.05)
    # every rectangle is one, and lies anywhere in the image
    assert torch.equal(found, found.any(2)[:, :, None] & found.any(1)[:, None])
    assert float(np.ptp(found.double().mean(0).numpy())) == pytest.approx(
        float(np.ptp(expected.double().mean(0).numpy())), abs=0.04
    )


def test_what_is_erased_is_the_mean_colour(batch: Batch) -> None:
    method = RandomErasing(probability=1.0)
    view, mask = method.view(batch), method.mask(batch, batch.view())
    assert torch.equal(view[mask.expand_as(view)].unique(), torch.tensor([0.5]))
    kept = ~mask.expand_as(view)
    assert torch.equal(view[kept], (batch.view().float() / 255)[kept])
    assert not RandomErasing(probability=0.0).mask(batch, batch.view()).any()
    with pytest.raises(RobenchError, match="smallest"):
        RandomErasing(smallest=0.5)


def test_augmix_on_top_of_mixup(batch: Batch, make_network: Make) -> None:
    """Mixup's images and labels, then AugMix's views of the mixed image and their consistency."""
    method = AugMix(mixup=1.0)
    step = method.loss(make_network(), batch)
    net, share = make_network(), shares(batch, "mixup", 1.0, per_image=False)
    other, w = partners(batch, "mixup"), share.view(-1, 1, 1, 1)
    images = (w * batch.view() + (1 - w) * batch.view()[other]).round().to(torch.uint8)
    mixed = [method.mixed(batch, images, view) for view in range(2)]
    views = net(torch.cat([images.float() / 255, *mixed])).chunk(3)
    own, others = (functional.cross_entropy(views[0], labels) for labels in (batch.labels, batch.labels[other]))
    expected = share[0] * own + (1 - share[0]) * others + 12 * jensen_shannon(views)
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert step.loss.item() != AugMix().loss(make_network(), batch).loss.item()


def test_augmix_on_a_share_of_the_images(batch: Batch) -> None:
    clean = batch.view().float() / 255
    whole = AugMix(jsd=False).view(batch)
    half = create("augmix", {"jsd": False, "probability": 0.5}).view(batch)  # type: ignore[attr-defined]
    kept = (half == clean).flatten(1).all(1)
    assert 8 < int(kept.sum()) < 32
    assert torch.equal(half[~kept], whole[~kept])
    with pytest.raises(RobenchError, match="probability"):
        AugMix(probability=0.5)
