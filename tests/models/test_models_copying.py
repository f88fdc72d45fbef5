"""Copies of networks that hold tensors computed from their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm, weight_norm

from robench.evaluation.fourier import Classifier, FourierOptions
from robench.models import wrap
from robench.models.copying import copied
from robench.models.folding import fold_module
from robench.models.posthoc import by_batch

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=[weight_norm, spectral_norm])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """A network of PyTorch's older parametrisations, whose weights are no parameters."""
    torch.manual_seed(0)
    normed: Callable[..., Any] = request.param
    body = [normed(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)]
    module = nn.Sequential(*body, nn.Flatten(), nn.Linear(64, 5))
    module(IMAGES)
    return module.eval()


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_copy_computes_the_same_with_weights_of_its_own(network: nn.Module) -> None:
    expected = network(IMAGES).detach()
    again = copied(network)
    with torch.no_grad():
        assert torch.equal(again(IMAGES), expected)
        for parameter in again.parameters():
            parameter.fill_(1.0)
        assert torch.equal(network(IMAGES), expected)
        assert not torch.allclose(again(IMAGES), expected)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_such_networks_are_folded_mapped_and_adapted(network: nn.Module) -> None:
    expected = network(IMAGES).detach()
    with torch.no_grad():
        folded, done = fold_module(network)
        assert (done.folded, done.left) == (1, 1)
        assert torch.allclose(folded(IMAGES), expected, atol=1e-5)
        found = Classifier(wrap(network), FourierOptions()).logits(IMAGES)
        assert torch.allclose(found, expected, atol=1e-5)
        adapted = by_batch(wrap(network), 4).module.eval()(IMAGES)
        assert not torch.allclose(adapted, expected, atol=1e-3)
