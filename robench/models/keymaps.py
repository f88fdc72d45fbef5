"""Names of weights in other people's checkpoints, brought to ours, where an architecture is the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

State = dict[str, torch.Tensor]

# (pattern in the checkpoint, our name), tried in order; the first whose every result fits is taken as a whole.
_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    # google-research/augmix and VITA-Group/AugMax: block1.layer.0.bn1, conv1, bn1, fc
    "augmix wide resnet": (
        (r"^block(\d)\.layer\.(\d+)\.bn(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.{m[2]}.norm{m[3]}."),  # type: ignore[dict-item]
        (r"^block(\d)\.layer\.(\d+)\.conv(\d)\.", lambda m: f"stages.{int(m[1]) - 1}.{m[2]}.conv{m[3]}."),  # type: ignore[dict-item]
        (r"^block(\d)\.layer\.(\d+)\.conv_?shortcut\.", lambda m: f"stages.{int(m[1]) - 1}.{m[2]}.shortcut."),  # type: ignore[dict-item]
        (r"^block(\d)\.layer\.(\d+)\.convShortcut\.", lambda m: f"stages.{int(m[1]) - 1}.{m[2]}.shortcut."),  # type: ignore[dict-item]
        (r"^conv1\.", "conv."),
        (r"^bn1\.", "norm."),
        (r"^fc\.", "head."),
    ),
    # the usual CIFAR ResNets: layer1.0.conv1, bn1, linear
    "cifar resnet": (
        (r"^layer(\d)\.", lambda m: f"stages.{int(m[1]) - 1}."),  # type: ignore[dict-item]
        (r"\.bn(\d)\.", lambda m: f".norm{m[1]}."),  # type: ignore[dict-item]
        (r"^bn1\.", "norm."),
        (r"^conv1\.", "conv."),
        (r"\.(?:shortcut|downsample)\.0\.", ".shortcut.conv."),
        (r"\.(?:shortcut|downsample)\.1\.", ".shortcut.norm."),
        (r"^(?:linear|fc)\.", "head."),
    ),
}


def translate(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> State:
    """Return ``state`` under the names of ``wanted``, by the first set of rules that fits, else as it is."""
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    if needed <= set(state):
        return dict(state)
    for rules in _RULES.values():
        renamed = {_rename(name, rules): tensor for name, tensor in state.items()}
        if needed <= set(renamed) and len(renamed) == len(state):
            return renamed
    return dict(state)


def _rename(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
