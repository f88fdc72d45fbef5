"""Networks compiled for inference: the same logits, and on a processor constants for weights."""

from __future__ import annotations

import shutil

import pytest
import torch

from robench.evaluation.compiling import compile_network

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler"
)


@torch.inference_mode()
def test_weights_are_constants_of_the_program() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 49, 10)
    ).eval()
    images = torch.rand(5, 3, 9, 9)
    plain = network(images)
    compiled = compile_network(network, "cpu", dynamic=False)
    torch.testing.assert_close(compiled(images), plain, rtol=1e-4, atol=1e-5)
    network[0].weight.zero_()
    network[0].bias.zero_()
    assert not torch.allclose(network(images), plain, atol=1e-3)
    torch.testing.assert_close(compiled(images), plain, rtol=1e-4, atol=1e-5)
