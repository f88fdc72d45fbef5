"""Folding batch norms into the preceding convolutions: the same function, with fewer passes over memory."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from robench.models.base import Model
from robench.models.copying import copied

# Not a linear layer and BatchNorm1d: on (n, length, channels) they mean different axes, and a trace has no shapes.
_PAIRS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}
# Where PyTorch keeps what is called before or after a module's forward().
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


@dataclass(frozen=True)
class Folding:
    """The outcome of folding.

    Args:
        folded: number of batch norms folded.
        left: number of batch norms left, as they do not follow a convolution directly (or share it).
        reason: why nothing could be folded, or None.
    """

    folded: int
    left: int
    reason: str | None = None

    def __str__(self) -> str:
        if self.reason is not None:
            return f"No batch norm was folded: {self.reason}."
        return f"{self.folded} of {self.folded + self.left} batch norms folded into convolutions."


def fold(model: Model) -> tuple[Model, Folding]:
    """Return the model with its batch norms folded if that changes logits only at rounding level, and what was done.

    The given model is not changed. The copy's card records what was done; its hash, that of the weights, is kept.

    >>> from robench.models.request import wrap
    >>> folded, done = fold(wrap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), num_classes=4))
    >>> str(done), folded.card["folded_batch_norms"]
    ('1 of 1 batch norms folded into convolutions.', 1)
    """
    if not isinstance(model.module, nn.Module):
        return model, Folding(0, 0, f"{model.name} is a function, not a module")
    module, done = fold_module(model.module)
    card = model.card | {"folded_batch_norms": done.folded, "batch_norms_left": done.left}
    return replace(model, module=module, card=card), done


def fold_module(module: nn.Module) -> tuple[nn.Module, Folding]:
    """Return a module with every batch norm folded that directly follows its own convolution; see :func:`fold`."""
    before = _count(module)
    if before == 0:
        return module, Folding(0, 0, "it has no batch norm that is a module")
    if _hooked(module):
        return module, Folding(0, before, "it has forward hooks, which a trace omits")
    try:
        network = copied(module).eval()
        if any(part.training for part in network.modules()):
            # The traced copy would not know that train() is overridden, and put them into evaluation mode.
            return module, Folding(0, before, "it keeps parts in training mode")
        gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
        with torch.random.fork_rng(devices=gpus):
            before_tracing = _random_states()
            traced = fx.symbolic_trace(network)
            drawn = not all(map(torch.equal, before_tracing, _random_states()))
    except Exception as error:  # whatever the tracer cannot follow: control flow, foreign code
        logging.getLogger(__name__).debug("not traced", exc_info=True)
        return module, Folding(0, before, f"its forward() cannot be traced ({type(error).__name__})")
    if drawn:
        return module, Folding(0, before, "its forward() draws random numbers, which a trace would keep")
    parts = dict(traced.named_modules())
    uses = Counter(node.target for node in traced.graph.nodes if node.op == "call_module")
    # Modules of which forward() also reads a tensor by itself, such as a weight that two layers share.
    read = {str(node.target).rpartition(".")[0] for node in traced.graph.nodes if node.op == "get_attr"}
    folded = 0
    for node in list(traced.graph.nodes):
        if _folds(node, parts, uses, read):
            convolution = node.args[0]
            fused = fuse_conv_bn_eval(parts[convolution.target], parts[node.target])
            _replace(traced, convolution.target, fused)
            node.replace_all_uses_with(convolution)
            traced.graph.erase_node(node)
            folded += 1
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced.eval(), Folding(folded, before - folded)


def _folds(node: fx.Node, parts: dict[str, nn.Module], uses: Counter[Any], read: set[str]) -> bool:
    """Return whether ``node`` is a batch norm that can be folded with the convolution before it."""
    if node.op != "call_module" or len(node.args) != 1 or not isinstance(node.args[0], fx.Node):
        return False
    source = node.args[0]
    if source.op != "call_module" or len(source.users) != 1 or uses[node.target] != 1 or uses[source.target] != 1:
        return False
    convolution, norm = parts[str(source.target)], parts[str(node.target)]
    if _PAIRS.get(type(convolution)) is not type(norm) or str(source.target) in read or str(node.target) in read:
        return False
    return norm.running_mean is not None and not _hooked(convolution) and not _hooked(norm)


def _random_states() -> list[torch.Tensor]:
    """Return the states of PyTorch's generators, of the CPU and of every GPU that is in use."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [])]


def _hooked(module: nn.Module) -> bool:
    return any(getattr(module, hooks) for hooks in _HOOKS)


def _replace(root: nn.Module, target: Any, part: nn.Module) -> None:
    parent, _, name = str(target).rpartition(".")
    setattr(root.get_submodule(parent), name, part)


def _count(module: nn.Module) -> int:
    return sum(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in module.modules())
