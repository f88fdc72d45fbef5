"""Names of weights in other people's checkpoints, brought to ours, where an architecture is the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch

State = dict[str, torch.Tensor]
Rule = tuple[str, str | Callable[[re.Match[str]], str]]


def _stage(template: str) -> Callable[[re.Match[str]], str]:
    """Return a replacement whose ``{stage}`` counts from 0 where the matched name counts from 1."""
    return lambda found: template.format(*found.groups(), stage=int(found[1]) - 1)


# BatchNorms within dual layers: VITA-Group/AugMax names them bn.0 (main) and bn.1 (auxiliary), DuBIN's halves IN, BN.
_DUAL: tuple[Rule, ...] = (
    (r"\.IN\.", ".instance."),
    (r"\.BN\.bn\.0\.", ".batch.main."),
    (r"\.BN\.bn\.1\.", ".batch.auxiliary."),
    (r"\.bn\.0\.", ".main."),
    (r"\.bn\.1\.", ".auxiliary."),
)
_RULES: dict[str, tuple[Rule, ...]] = {
    # google-research/augmix and VITA-Group/AugMax: block1.layer.0.bn1, conv_shortcut, bn1, fc
    "wide resnet": (
        (r"^block(\d)\.layer\.(\d+)\.bn(\d)\.", _stage("stages.{stage}.{1}.norm{2}.")),
        (r"^block(\d)\.layer\.(\d+)\.conv(\d)\.", _stage("stages.{stage}.{1}.conv{2}.")),
        (r"^block(\d)\.layer\.(\d+)\.conv_?[sS]hortcut\.", _stage("stages.{stage}.{1}.shortcut.")),
        (r"^conv1\.", "conv."),
        (r"^bn1\.", "norm."),
        (r"^fc\.", "head."),
        *_DUAL,
    ),
    # the usual CIFAR ResNets: layer1.0.conv1, bn1, shortcut.0, linear
    "resnet": (
        (r"^layer(\d)\.", _stage("stages.{stage}.")),
        (r"^conv1\.", "conv."),
        (r"^bn1\.", "norm."),
        (r"\.bn(1|2)\.(?!\d\.)", r".norm\1."),
        (r"\.(?:shortcut|downsample)\.0\.", ".shortcut.conv."),
        (r"\.(?:shortcut|downsample)\.1\.", ".shortcut.norm."),
        (r"^(?:linear|fc)\.", "head."),
        *_DUAL,
    ),
    "resnext": (
        (r"^stage_(\d)\.", _stage("stages.{stage}.")),
        (r"^conv_1_3x3\.", "conv."),
        (r"^bn_1\.", "norm."),
        (r"\.conv_reduce\.", ".conv1."),
        (r"\.bn_reduce\.", ".norm1."),
        (r"\.conv_conv\.", ".conv2."),
        (r"\.bn\.(?!\d\.)", ".norm2."),
        (r"\.conv_expand\.", ".conv3."),
        (r"\.bn_expand\.", ".norm3."),
        (r"\.downsample\.", ".shortcut."),
        (r"^classifier\.", "head."),
        *_DUAL,
    ),
    "allconv": ((r"^classifier\.", "head."),),
    "torchvision": _DUAL,
}


def translate(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> State:
    """Return ``state`` under the names of ``wanted``, by the first set of rules that fits, else as it is.

    Rules are names alone: shapes are checked by whoever loads the weights.
    """
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    if needed <= set(state):
        return dict(state)
    candidates = [{_rename(name, rules): tensor for name, tensor in state.items()} for rules in _RULES.values()]
    candidates.append(_dense(state))
    for renamed in candidates:
        if needed <= set(renamed) and len(renamed) == len(state):
            return renamed
    return dict(state)


def _rename(name: str, rules: tuple[Rule, ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _dense(state: Mapping[str, torch.Tensor]) -> State:
    """Rename DenseNets: layers and transitions of three blocks stand in one row here."""
    layers = [
        1 + max((int(m[1]) for n in state if (m := re.match(rf"dense{k}\.(\d+)\.", n))), default=-1) for k in (1, 2, 3)
    ]
    starts = (0, layers[0] + 1, layers[0] + layers[1] + 2)
    rules: tuple[Rule, ...] = (
        (r"^dense(\d)\.(\d+)\.", lambda m: f"stages.{starts[int(m[1]) - 1] + int(m[2])}."),
        (
            r"^trans(\d)\.(bn|conv)1\.",
            lambda m: f"stages.{starts[int(m[1])] - 1}.{'norm' if m[2] == 'bn' else 'conv'}.",
        ),
        (r"\.bn(\d)\.", r".norm\1."),
        (r"^conv1\.", "conv."),
        (r"^bn1\.", "norm."),
        (r"^fc\.", "head."),
    )
    return {_rename(name, rules): tensor for name, tensor in state.items()}
