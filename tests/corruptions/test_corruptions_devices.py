"""The tensor operations that a GPU runs give what the CPU's compiled loops give, but for a grey level here and there.

Tensor operations are compared on the CPU, and, where there is a GPU, there.
"""

from __future__ import annotations

import pytest
import torch
from test_corruptions_common import photographs

from robench.corruptions import ALL, _device, corrupt, perturb
from robench.corruptions.perturbations import ALL_PERTURBATIONS
from robench.corruptions.random import Stream

WITHIN_ONE = 0.999
HERE = ["tensors on the CPU", pytest.param("cuda", marks=pytest.mark.gpu)]


def agree(one: torch.Tensor, other: torch.Tensor) -> None:
    gap = (one.to(torch.int16) - other.cpu().to(torch.int16)).abs()
    assert float((gap <= 1).float().mean()) >= WITHIN_ONE


def elsewhere(images: torch.Tensor, device: str, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    if device == "cuda":
        return images.cuda()
    monkeypatch.setattr(_device, "has_loops", lambda device: False)
    return images


@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize(("size", "count"), [(32, 8), (96, 2)])
@pytest.mark.parametrize("name", ALL)
def test_corruptions_agree(name: str, size: int, count: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, index = photographs(count, size), torch.arange(5, 5 + count)
    for severity in (1, 3, 5):
        usual = corrupt(images, name, severity, index=index)
        with monkeypatch.context() as patch:
            agree(usual, corrupt(elsewhere(images, device, patch), name, severity, index=index))


@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("name", ALL_PERTURBATIONS)
def test_sequences_agree(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, index = photographs(2, 32), torch.arange(2)
    usual = list(perturb(images, name, index=index))
    with monkeypatch.context() as patch:
        for frame, other in zip(usual, perturb(elsewhere(images, device, patch), name, index=index), strict=True):
            agree(frame, other)


@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("name", ALL)
def test_neighbours_change_nothing(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, index = elsewhere(photographs(8, 48), device, monkeypatch), torch.arange(8)
    together = corrupt(images, name, 3, index=index)
    alone = [corrupt(images[rows], name, 3, index=index[rows]) for rows in ([6], [1, 7, 2])]
    assert torch.equal(torch.cat(alone), together[[6, 1, 7, 2]])


@pytest.mark.parametrize("shape", [(), (3,), (3, 64, 64)])
@pytest.mark.gpu
def test_random_numbers_are_the_same_on_a_gpu(shape: tuple[int, ...]) -> None:
    """Few are made on the CPU and sent, many are made there."""
    index = torch.arange(100, 108)
    here = Stream(3, "test", index=index)
    for given in (index, index.cuda()):
        there = Stream(3, "test", index=given, device="cuda")
        for draw in (0, 7):
            assert torch.equal(there.uniform(draw, shape).cpu(), here.uniform(draw, shape))
            assert torch.equal(there.normal(draw, shape).cpu(), here.normal(draw, shape))
            assert torch.equal(there.integers(draw, 3, 90, shape).cpu(), here.integers(draw, 3, 90, shape))
            assert there.uniform(draw, shape).device.type == "cuda"


def test_a_streams_twin_on_the_host_has_the_same_numbers() -> None:
    index = torch.arange(100, 108)
    here, elsewhere = Stream(3, "test", index=index), Stream(3, "test", index=index, device="meta")
    assert here.on_host() is here
    assert torch.equal(elsewhere.on_host().normal(1, (3, 5)), here.normal(1, (3, 5)))
    assert elsewhere.device == torch.device("meta")
