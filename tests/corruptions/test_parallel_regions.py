"""On the CPU a corruption is one loop over images: no tensor operation wakes threads for the whole batch in between.

Each such operation ends when the slowest thread does, and beside other processes that is the scheduler's next turn.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_corruptions_common import photographs
from torch.utils._python_dispatch import TorchDispatchMode

from robench.corruptions import ALL, corrupt, perturb
from robench.corruptions.perturbations import ALL_PERTURBATIONS, frame_count

_FREE = {  # views, and memory that nothing is written to yet
    "empty", "empty_like", "lift_fresh", "view", "_unsafe_view", "permute", "select", "slice", "unsqueeze", "detach",
}  # fmt: skip
_GRAIN = 32_768  # elements from which on PyTorch shares an operation out to threads


class Large(TorchDispatchMode):
    """Notes the operations that touch every element of a tensor of more than :data:`_GRAIN`."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [one for one in (*args, result) if isinstance(one, torch.Tensor)]
        name = function.overloadpacket.__name__
        if name not in _FREE and any(one.numel() > _GRAIN for one in tensors):
            self.seen.append(name)
        return result


@pytest.mark.parametrize("size", [(32, 32), (64, 48)])
@pytest.mark.parametrize("name", ALL)
def test_a_corruption_leaves_large_tensors_to_its_loop(name: str, size: tuple[int, int]) -> None:
    images = photographs(24, 64)[..., : size[0], : size[1]].contiguous()
    for severity in (1, 3, 5):
        with Large() as noted:
            corrupt(images, name, severity, index=torch.arange(24))
        assert noted.seen == []


@pytest.mark.parametrize("name", ALL_PERTURBATIONS)
def test_a_frame_of_a_sequence_does_too(name: str) -> None:
    images = photographs(16, 32)
    with Large() as noted:
        frames = list(perturb(images, name, index=torch.arange(16)))
    assert len(frames) == frame_count(name, 32)
    # The clean frame, and what a sum begins with.
    assert noted.seen in ([], ["clone"], ["_to_copy", "div_", "clone"])
