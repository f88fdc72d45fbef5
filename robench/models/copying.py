"""Copies of networks, also of those that hold tensors computed from others."""

from __future__ import annotations

import copy

import torch
from torch import nn


def copied(module: nn.Module) -> nn.Module:
    """Return a copy of a network with weights of its own.

    PyTorch does not copy tensors that were computed with gradients, such as the weight that
    ``torch.nn.utils.weight_norm`` keeps beside its two parameters. Their values are copied; what keeps them computes
    them anew when it is called.

    >>> type(copied(nn.Sequential(nn.Flatten(), nn.Linear(3, 2)))[1]).__name__
    'Linear'
    """
    memo: dict[int, torch.Tensor] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)
