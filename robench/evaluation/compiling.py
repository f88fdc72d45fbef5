"""``torch.compile`` for inference: on a processor with the weights frozen into the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Network = Callable[[torch.Tensor], torch.Tensor]


def compile_network(network: Any, device: str, *, dynamic: bool | None = None) -> Network:
    """Return the network compiled, at its first call for that call's shape.

    On a processor convolutions are joined with the additions and rectifiers behind them, which PyTorch does only where
    weights are constants. The setting must hold while the graph is traced as well, so that ``torch.compile``'s own
    ``options``, which come later, do not do. Call it without gradients; weights changed later are not seen.

    Args:
        network: a module or a function of tensors.
        device: a torch device name.
        dynamic: as for ``torch.compile``; False: one program a shape.
    """
    compiled: Network = torch.compile(network, dynamic=dynamic)
    if device != "cpu":
        return compiled

    def frozen(x: torch.Tensor) -> torch.Tensor:
        import torch._inductor.config as inductor

        with inductor.patch(freezing=True):
            return compiled(x)

    return frozen
