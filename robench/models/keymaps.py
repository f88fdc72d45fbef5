"""Maps from the names of weights in published checkpoints to those of the same architecture here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

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
    """Return ``state`` under the names of ``wanted`` if a set of rules fits completely, otherwise unchanged.

    Rules look at names only; shapes are checked when the weights are loaded.

    >>> wanted = dict.fromkeys(["features.0.weight", "head.weight"])
    >>> list(translate({"features.0.weight": torch.zeros(1), "classifier.weight": torch.zeros(1)}, wanted))
    ['features.0.weight', 'head.weight']
    """
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    found = nearest(state, wanted)
    return found if needed <= set(found) else dict(state)


def nearest(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> State:
    """Return ``state`` renamed by the set of rules that gives most names of ``wanted``; unchanged if none helps."""
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    best, count = dict(state), len(needed & set(state))
    for rules in _candidates(state, wanted):
        if count == len(needed):
            break
        renamed = {_rename(name, rules): tensor for name, tensor in state.items()}
        fitting = len(needed & set(renamed))
        if fitting > count and len(renamed) == len(state):
            best, count = renamed, fitting
    return best


def _candidates(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> Iterator[tuple[Rule, ...]]:
    yield from _RULES.values()
    yield _dense(state)
    if any(name.startswith("_blocks.") for name in state):
        yield _efficientnet(wanted)


def _rename(name: str, rules: tuple[Rule, ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _dense(state: Mapping[str, torch.Tensor]) -> tuple[Rule, ...]:
    """Return rules for DenseNets: layers and transitions of three blocks form one sequence here."""
    layers = [
        1 + max((int(m[1]) for n in state if (m := re.match(rf"dense{k}\.(\d+)\.", n))), default=-1) for k in (1, 2, 3)
    ]
    starts = (0, layers[0] + 1, layers[0] + layers[1] + 2)
    return (
        (r"^dense([123])\.(\d+)\.", lambda m: f"stages.{starts[int(m[1]) - 1] + int(m[2])}."),
        (
            r"^trans([12])\.(bn|conv)1\.",
            lambda m: f"stages.{starts[int(m[1])] - 1}.{'norm' if m[2] == 'bn' else 'conv'}.",
        ),
        (r"\.bn(\d)\.", r".norm\1."),
        (r"^conv1\.", "conv."),
        (r"^bn1\.", "norm."),
        (r"^fc\.", "head."),
    )


def _efficientnet(wanted: Mapping[str, torch.Tensor]) -> tuple[Rule, ...]:
    """Return rules from efficientnet_pytorch's names to timm's ``tf_efficientnet_*``, which pads images the same way.

    Blocks are numbered consecutively there and by stage in timm; those without expansion have one layer less.
    """
    blocks = sorted({(int(m[1]), int(m[2])) for name in wanted if (m := re.match(r"blocks\.(\d+)\.(\d+)\.", name))})
    expanded = {(s, b) for s, b in blocks if f"blocks.{s}.{b}.conv_pwl.weight" in wanted}

    def layer(found: re.Match[str]) -> str:
        position = int(found[1])
        if position >= len(blocks):
            return found[0]
        names = _EXPANDED if blocks[position] in expanded else _PLAIN
        stage, block = blocks[position]
        return f"blocks.{stage}.{block}.{names.get(found[2], found[2])}."

    return (
        (r"^_blocks\.(\d+)\.(\w+)\.", layer),
        (r"^_conv_stem\.", "conv_stem."),
        (r"^_bn0\.", "bn1."),
        (r"^_conv_head\.", "conv_head."),
        (r"^_bn1\.", "bn2."),
        (r"^_fc\.", "classifier."),
    )


_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2", **_SQUEEZE}
_EXPANDED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3", **_SQUEEZE,
}  # fmt: skip
