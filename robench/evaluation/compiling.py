"""``torch.compile`` for inference: on a CPU with the weights frozen into the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Network = Callable[[torch.Tensor], torch.Tensor]


def compile_network(network: Any, device: str, *, dynamic: bool | None = None) -> Network:
    """Return the network; it is compiled at its first call, for that call's shape.

    On a CPU, convolutions are fused with the additions and ReLUs that follow them, which PyTorch does only where the
    weights are constants. The setting must already hold while the graph is traced, so ``torch.compile``'s own
    ``options``, applied later, have no effect. Call it without gradients; later changes of the weights are ignored.

    Args:
        network: a module or a function of tensors.
        device: a torch device name.
        dynamic: as for ``torch.compile``; False: one program per shape.
    """
    compiled: Network = torch.compile(network, dynamic=dynamic)
    if device != "cpu":
        return compiled

    def frozen(x: torch.Tensor) -> torch.Tensor:
        import torch._inductor.config as inductor

        with inductor.patch(freezing=True):
            return compiled(x)

    return frozen
