"""Learning rate by step, the optimiser, and the moving average of the weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from robench.training.recipes.schema import OptimiserPart


def learning_rate(part: OptimiserPart, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the learning rate of update number ``step`` (from 0).

    ``cosine`` goes from ``lr`` at the first step to ``final_lr`` at the end; ``cosine-epoch`` holds that curve's
    value at the epoch's beginning; ``step`` multiplies by ``gamma`` at every milestone (in epochs); warm-up
    climbs linearly from 0 over ``warmup_epochs``, and the cosine then spans what is left.
    """
    epoch = step / steps_per_epoch
    if epoch < part.warmup_epochs:
        return part.lr * (step + 1) / (part.warmup_epochs * steps_per_epoch)
    if part.schedule == "constant":
        return part.lr
    if part.schedule == "step":
        return part.lr * part.gamma ** sum(epoch >= milestone for milestone in part.milestones)
    if part.schedule == "cosine-epoch":
        epoch = math.floor(epoch)
    progress = (epoch - part.warmup_epochs) / max(epochs - part.warmup_epochs, 1e-9)
    return part.final_lr + (part.lr - part.final_lr) * 0.5 * (1.0 + math.cos(math.pi * progress))


def cut_short(part: OptimiserPart, epochs: int) -> str:
    """Return what of the schedule so few epochs leave out; "" where the learning rate rises and falls as intended.

    >>> cut_short(OptimiserPart(lr=0.1, schedule="step", milestones=[30, 60]), 12)
    'optimiser.milestones begin at 30, so the learning rate stays 0.1: training ends with epoch 12'
    """
    if part.warmup_epochs >= epochs:
        return f"the warm-up takes {part.warmup_epochs:g} epochs, all of {epochs}"
    if part.schedule == "step" and part.milestones and min(part.milestones) >= epochs:
        first = min(part.milestones)
        kept = f"the learning rate stays {part.lr:g}: training ends with epoch {epochs}"
        return f"optimiser.milestones begin at {first:g}, so {kept}"
    return ""


def build_optimiser(part: OptimiserPart, module: nn.Module) -> torch.optim.Optimizer:
    """Return SGD or Adam over the module's parameters as the recipe says; a group's ``scale`` is that of its rate."""
    groups = _groups(part, module)
    if part.name == "adam":
        return torch.optim.Adam(groups, lr=part.lr, weight_decay=part.weight_decay)
    nesterov = part.nesterov and part.momentum > 0
    return torch.optim.SGD(
        groups, lr=part.lr, momentum=part.momentum, nesterov=nesterov, weight_decay=part.weight_decay
    )


def _groups(part: OptimiserPart, module: nn.Module) -> list[dict[str, Any]]:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if part.backbone == 1.0:
        return [{"params": parameters, "scale": 1.0}]
    head = set(map(id, _head(module)))
    return [
        {"params": [one for one in parameters if id(one) not in head], "scale": part.backbone},
        {"params": [one for one in parameters if id(one) in head], "scale": 1.0},
    ]


def _head(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of the layer that classifies: timm's networks name it, others end in a linear one."""
    named: Any = getattr(module, "get_classifier", None)
    if named is not None:
        return list(named().parameters())
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return list(linear[-1].parameters()) if linear else []


class MovingAverage:
    """Exponential moving average of a module's weights; its buffers are copied.

    Early on the decay is held below (1 + t) / (10 + t), so that the random start is forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move towards the module's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in module.named_parameters(remove_duplicate=False):
            self.values[name].lerp_(value, 1.0 - decay)
        self.take_buffers(module)

    @torch.no_grad()
    def take_buffers(self, module: nn.Module) -> None:
        """Copy the module's present buffers."""
        for name, value in module.named_buffers():
            if name in self.values:  # not those that no file keeps
                self.values[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"updates": self.updates, "values": self.values}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` returned."""
        self.updates = state["updates"]
        for name, value in state["values"].items():
            self.values[name].copy_(value)
