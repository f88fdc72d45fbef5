"""Small real batches for the tests of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robench.data import digits
from robench.models import architectures
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.recipes.schema import DataPart

PART = DataPart(dataset="digits", size=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), flip=False, pad=3)


@pytest.fixture(autouse=True)
def _one_thread(compiled_loops: None) -> None:
    """Networks this small gain nothing from a second thread, and wait for it where the machine is busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def batch() -> Batch:
    """Forty digits."""
    images = digits.load("train")
    index = np.arange(40)
    pixels = torch.from_numpy(np.ascontiguousarray(images.read(index))).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(np.asarray(images.labels)[index])
    return Batch(pixels, labels, torch.from_numpy(index), PART, seed=3, epoch=0)


def network(norm: str = "bn", seed: int = 0) -> Network:
    """A small network in training mode."""
    torch.manual_seed(seed)
    module = architectures.build("wrn-10-1", 10, norm)
    return Network(module.train(), PART.mean, PART.std, torch.device("cpu"))


@pytest.fixture
def make_network() -> object:
    """The function above, for tests (conftest modules are not imported by name)."""
    return network
