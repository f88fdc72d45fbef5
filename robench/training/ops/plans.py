"""Chains of operations as one table that a GPU's kernels read: what is done at every step, and by how much."""

from __future__ import annotations

import math

import numpy as np
import torch

from robench.compiled import compiled
from robench.training.ops import operations as op

COLUMNS = 4
"""The operation's number, its value, and the cosine and sine of a rotation (1 and 0 for all else)."""
_ROTATE = op.ROTATE


def plan(ops: torch.Tensor, values: torch.Tensor, *, pinned: bool = False) -> torch.Tensor:
    """Return chains as one table, on the device of ``ops``; on the CPU its cosines are those of ``kernels_cpu``.

    Args:
        ops: int64 (n, D) of operation numbers.
        values: float64 (n, D).
        pinned: in memory from which a GPU copies while the host goes on.

    Returns:
        float64 (n, D, 4): number, value, cosine, sine.

    >>> one = plan(torch.tensor([[op.ROTATE]]), torch.tensor([[60.0]], dtype=torch.float64))
    >>> [round(number, 4) for number in one[0, 0].tolist()]  # Pillow's matrix turns the other way
    [3.0, 60.0, 0.5, -0.866]
    """
    if ops.device.type != "cpu":
        return _planned(ops, values)
    made = torch.empty((*ops.shape, COLUMNS), dtype=torch.float64, pin_memory=pinned)
    flat = (np.ascontiguousarray(part.numpy()).reshape(-1) for part in (ops, values))
    _fill(*flat, made.numpy().reshape(-1, COLUMNS))
    return made


def _planned(ops: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    angle = torch.where(ops == op.ROTATE, -torch.deg2rad(values.remainder(360.0)), 0.0)
    return torch.stack([ops.double(), values, angle.cos(), angle.sin()], dim=-1)


@compiled(nogil=True)
def _fill(ops, values, out):  # type: ignore[no-untyped-def]
    for i in range(len(ops)):
        angle = -math.radians(values[i] % 360.0) if ops[i] == _ROTATE else 0.0
        out[i, 0], out[i, 1] = ops[i], values[i]
        out[i, 2], out[i, 3] = math.cos(angle), math.sin(angle)
