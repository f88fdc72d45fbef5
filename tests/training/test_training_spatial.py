"""The spatial attack of AdvMax: it moves pixels, smoothly, and raises the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from robench.models import load_model
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.augmax import AugMax
from robench.training.ops.stadv import roughness, spatial_attack, warp

Make = Callable[..., Network]


@pytest.fixture(scope="module")
def known() -> Network:
    """A network that reads digits well, so that a loss means something."""
    model = load_model("reference:digits/augmix")
    assert isinstance(model.module, torch.nn.Module)
    part = model.preprocessing
    return Network(model.module.eval(), part.mean, part.std, torch.device("cpu"))


def _losses(net: Network, pixels: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(net(pixels), labels, reduction="none")


def test_warp_is_scipys_interpolation(batch: Batch) -> None:
    pixels = batch.images[:3].double() / 255
    flow = torch.from_numpy(np.random.default_rng(0).uniform(-2, 2, (3, 32, 32, 2)))
    found = warp(pixels, flow)
    rows, columns = np.mgrid[:32, :32].astype(float)
    for n in range(3):
        where = np.stack([rows + flow[n, :, :, 1].numpy(), columns + flow[n, :, :, 0].numpy()])
        for channel in range(3):
            expected = map_coordinates(pixels[n, channel].numpy(), where, order=1, mode="nearest")
            np.testing.assert_allclose(found[n, channel].numpy(), expected, atol=1e-9)
    torch.testing.assert_close(warp(pixels, torch.zeros_like(flow)), pixels)


def test_roughness_is_the_distance_between_neighbours_shifts() -> None:
    flow = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 5, 4, 2)))
    for n in range(2):
        one = flow[n].numpy()
        pairs = [np.linalg.norm(one[y + 1, x] - one[y, x]) for y in range(4) for x in range(4)]
        pairs += [np.linalg.norm(one[y, x + 1] - one[y, x]) for y in range(5) for x in range(3)]
        assert float(roughness(flow)[n]) == pytest.approx(sum(pairs), rel=1e-6)
    moved_as_one = torch.full((1, 5, 4, 2), 0.7)
    assert float(roughness(moved_as_one)) == pytest.approx(0.0, abs=1e-4)


def test_attack_raises_the_loss_within_its_reach(known: Network, batch: Batch) -> None:
    pixels = batch.images.float() / 255
    before = _losses(known, pixels, batch.labels)
    settings = {"steps": 5, "smoothness": 0.0}
    half = spatial_attack(known, pixels, batch.labels, largest=0.5, **settings)  # type: ignore[arg-type]
    one = spatial_attack(known, pixels, batch.labels, largest=1.0, **settings)  # type: ignore[arg-type]
    after = _losses(known, half, batch.labels)
    assert (after > before).float().mean() > 0.9
    assert _losses(known, one, batch.labels).mean() > after.mean() > 2 * before.mean()
    # Bilinear sampling within a pixel's reach stays between the neighbours' values.
    low = -torch.nn.functional.max_pool2d(-pixels, 3, 1, 1)
    high = torch.nn.functional.max_pool2d(pixels, 3, 1, 1)
    assert (one >= low - 1e-5).all()
    assert (one <= high + 1e-5).all()
    assert torch.equal(spatial_attack(known, pixels, batch.labels, largest=1.0, steps=0, smoothness=0.0), warp(
        pixels, torch.zeros(len(pixels), 32, 32, 2)
    ))  # fmt: skip


def test_smoothness_costs_the_attack_strength(known: Network, batch: Batch) -> None:
    pixels = batch.images.float() / 255
    losses = []
    for smoothness in (0.0, 0.005, 0.1):
        found = spatial_attack(known, pixels, batch.labels, steps=5, largest=1.0, smoothness=smoothness)
        losses.append(float(_losses(known, found, batch.labels).mean()))
    assert losses[0] > losses[1] > losses[2]


def test_advmax_ends_with_the_spatial_attack(batch: Batch, make_network: Make) -> None:
    few = replace(batch, images=batch.images[:8], labels=batch.labels[:8], index=batch.index[:8])
    net = make_network("dubin")
    clean = few.view()
    without = AugMax(hard="advmax", steps=1, worst_of=2).hard_view(net, few, clean)
    method = AugMax(hard="advmax", steps=1, worst_of=2, spatial_steps=2)
    found = method.hard_view(net, few, clean)
    expected = spatial_attack(
        net, without, few.labels, steps=2, largest=1.0, smoothness=method.spatial_smoothness, route="auxiliary"
    )
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, without)
    assert not found.requires_grad
