"""Checkpoints as the papers' codes write them: names of weights, prefixes and wrappings, loaded by key mapping.

The names were read off google-research/augmix and VITA-Group/AugMax, whose networks give the same outputs as ours with
the same weights.
"""

from __future__ import annotations

import re
import sys
import types
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from robench.errors import RobenchError
from robench.models import load_model
from robench.models.architectures import build

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
State = dict[str, torch.Tensor]

# Our names to the published ones.
_DUAL = [
    (r"\.instance\.", ".IN."), (r"\.batch\.main\.", ".BN.bn.0."), (r"\.batch\.auxiliary\.", ".BN.bn.1."),
    (r"\.main\.", ".bn.0."), (r"\.auxiliary\.", ".bn.1."),
]  # fmt: skip
_WIDE_RESNET = [
    (r"^stages\.(\d)\.(\d)\.norm(\d)", r"block{0}.layer.\2.bn\3"),
    (r"^stages\.(\d)\.(\d)\.conv(\d)", r"block{0}.layer.\2.conv\3"),
    (r"^stages\.(\d)\.(\d)\.shortcut", r"block{0}.layer.\2.conv_shortcut"),
    (r"^conv\.", "conv1."), (r"^norm\.", "bn1."), (r"^head\.", "fc."),
]  # fmt: skip
_RESNET = [
    (r"\.shortcut\.conv", ".shortcut.0"), (r"\.shortcut\.norm", ".shortcut.1"),
    (r"^stages\.(\d)\.(\d)\.norm(\d)", r"layer{0}.\2.bn\3"), (r"^stages\.(\d)\.(\d)\.", r"layer{0}.\2."),
    (r"^conv\.", "conv1."), (r"^norm\.", "bn1."), (r"^head\.", "linear."),
]  # fmt: skip
_RESNEXT = [
    (r"\.conv1\.", ".conv_reduce."), (r"\.norm1\.", ".bn_reduce."), (r"\.conv2\.", ".conv_conv."),
    (r"\.norm2\.", ".bn."),
    (r"\.conv3\.", ".conv_expand."), (r"\.norm3\.", ".bn_expand."), (r"\.shortcut\.", ".downsample."),
    (r"^stages\.(\d)\.", r"stage_{0}."), (r"^conv\.", "conv_1_3x3."), (r"^norm\.", "bn_1."),
    (r"^head\.", "classifier."),
]  # fmt: skip
PUBLISHED = {
    ("wrn-40-2", "bn"): (_WIDE_RESNET, "block3.layer.5.bn2.running_var", 227),
    ("resnext-29-4x32", "bn"): (_RESNEXT, "stage_3.0.downsample.1.running_mean", 188),
    ("allconv", "bn"): ([(r"^head\.", "classifier.")], "features.29.running_mean", 65),
    ("wrn-40-2", "dubin"): ([*_WIDE_RESNET, *_DUAL], "block1.layer.0.bn2.bn.1.num_batches_tracked", 436),
    ("resnet-18", "dubin"): ([*_RESNET, *_DUAL], "layer3.1.bn1.BN.bn.1.running_var", 234),
    ("resnet-18", "dubn"): ([*_RESNET, *_DUAL], "layer4.0.shortcut.1.bn.0.weight", 222),
    ("resnext-29-4x32", "dubin"): ([*_RESNEXT, *_DUAL], "stage_2.0.bn_reduce.BN.bn.0.weight", 355),
}  # fmt: skip


def published_name(name: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        if found := re.search(pattern, name):
            # Stages are counted from 1 there.
            stage = int(found[1]) + 1 if found.groups() else 0
            name = re.sub(pattern, replacement.replace("{0}", str(stage)), name)
    return name


def network_of(name: str, norm: str = "bn") -> nn.Module:
    torch.manual_seed(0)
    network = build(name, 10, norm)
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif key.endswith(("running_mean", "bias")):
            value.normal_(0, 0.2)
    return network.eval()


def augmix(state: State) -> dict[str, Any]:
    """cifar.py's checkpoint: DataParallel's names within a dictionary."""
    return {
        "epoch": 200, "dataset": "cifar10", "model": "wrn", "best_acc": 0.95, "optimizer": {"state": {}},
        "state_dict": {f"module.{key}": value for key, value in state.items()},
    }  # fmt: skip


def augmax(state: State) -> State:
    """best_SA.pth: DataParallel's names alone."""
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize("written", [augmix, augmax])
@pytest.mark.parametrize(("name", "norm"), PUBLISHED, ids=str)
def test_published_checkpoints(
    tmp_path: Path, name: str, norm: str, written: Callable[[State], dict[str, Any]]
) -> None:
    rules, example, count = PUBLISHED[name, norm]
    network = network_of(name, norm)
    theirs = {published_name(key, rules): value for key, value in network.state_dict().items()}
    assert example in theirs
    assert len(theirs) == count
    torch.save(written(theirs), tmp_path / "checkpoint.pth.tar")
    model = load_model(str(tmp_path / "checkpoint.pth.tar"), arch=name, num_classes=10, norm=norm)
    assert isinstance(model.module, nn.Module)
    found = model.module.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in network.state_dict().items())


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return network_of("wrn-10-1")


def zeros(state: State) -> State:
    return {key: torch.zeros_like(value) for key, value in state.items()}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


AVERAGED: dict[str, Callable[[State], dict[str, Any]]] = {
    "timm": lambda s: {"arch": "x", "state_dict": zeros(s), "state_dict_ema": s, "metric": 91.0},
    "AveragedModel": lambda s: {
        "model": zeros(s),
        "model_ema": {"n_averaged": torch.tensor(3), **prefixed("module.", s)},
    },
    "Lightning callback": lambda s: {
        "state_dict": prefixed("model.", zeros(s)),
        "callbacks": {"EMA": {"ema_state_dict": prefixed("model.", s)}},
    },
    "beside, by prefix": lambda s: {"state_dict": {**prefixed("model.", zeros(s)), **prefixed("model_ema.module.", s)}},
}
FORMS: dict[str, Callable[[State], dict[str, Any]]] = {
    "AveragedModel alone": lambda s: {"n_averaged": torch.tensor(3), **prefixed("module.", s)},
    "Lightning with a loss": lambda s: {"state_dict": {**prefixed("model.", s), "criterion.weight": torch.ones(10)}},
    "Lightning, compiled": lambda s: {"state_dict": prefixed("model._orig_mod.", s), "hyper_parameters": {"lr": 0.1}},
    "DDP, compiled": lambda s: prefixed("module._orig_mod.", s),
}


@pytest.mark.parametrize("form", AVERAGED)
def test_averaged_weights(tmp_path: Path, small: nn.Module, form: str) -> None:
    path = tmp_path / "w.ckpt"
    torch.save(AVERAGED[form](small.state_dict()), path)
    for ema in (True, False):
        found = load_model(str(path), arch="wrn-10-1", num_classes=10, ema=ema).module.state_dict()  # type: ignore[attr-defined]
        assert torch.equal(found["conv.weight"], small.state_dict()["conv.weight"]) == ema


@pytest.mark.parametrize("form", FORMS)
def test_training_codes_forms(tmp_path: Path, small: nn.Module, form: str) -> None:
    path = tmp_path / "w.ckpt"
    torch.save(FORMS[form](small.state_dict()), path)
    found = load_model(str(path), arch="wrn-10-1", num_classes=10).module.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(value, found[key]) for key, value in small.state_dict().items())


@pytest.mark.parametrize(
    "beside",
    [{"args": Namespace(lr=0.1, model="x", size=(3, 32))}, {"best": np.float64(0.9), "epoch": np.int64(3)}],
    ids=["options", "scores"],
)
def test_plain_data_beside_the_weights_is_no_obstacle(tmp_path: Path, small: nn.Module, beside: dict[str, Any]) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": small.state_dict(), **beside}, path)
    found = load_model(str(path), arch="wrn-10-1", num_classes=10).module.state_dict()  # type: ignore[attr-defined]
    assert torch.equal(found["head.weight"], small.state_dict()["head.weight"])


def test_lightnings_options_are_read_without_lightning(
    tmp_path: Path, small: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = types.ModuleType("lightning_fabric.utilities.data")
    package.AttributeDict = type("AttributeDict", (dict,), {"__module__": package.__name__})  # type: ignore[attr-defined]
    path = tmp_path / "w.ckpt"
    with monkeypatch.context() as patch:
        for name in ("lightning_fabric", "lightning_fabric.utilities"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, package.__name__, package)
        options = package.AttributeDict(lr=0.1)  # type: ignore[attr-defined]
        torch.save({"state_dict": prefixed("model.", small.state_dict()), "hyper_parameters": options}, path)
    found = load_model(str(path), arch="wrn-10-1", num_classes=10).module.state_dict()  # type: ignore[attr-defined]
    assert torch.equal(found["head.weight"], small.state_dict()["head.weight"])


def _efficientnet_name(name: str, flat: dict[str, int], expanded: set[str]) -> str:
    """Return efficientnet_pytorch's name of one of timm's tensors."""
    parts = name.split(".")
    if parts[0] != "blocks":
        top = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
        return ".".join([top[parts[0]], *parts[1:]])
    block = ".".join(parts[1:3])
    layers = {"conv_dw": "_depthwise_conv", "conv_reduce": "_se_reduce", "conv_expand": "_se_expand"}
    if block in expanded:
        layers |= {"conv_pw": "_expand_conv", "conv_pwl": "_project_conv", "bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
    else:
        layers |= {"conv_pw": "_project_conv", "bn1": "_bn1", "bn2": "_bn2"}
    return f"_blocks.{flat[block]}.{layers[parts[-2]]}.{parts[-1]}"


@pytest.mark.parametrize("arch", ["tf_efficientnet_b0", "tf_efficientnet_lite0"])
def test_efficientnet_pytorchs_names(tmp_path: Path, arch: str) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model(arch, num_classes=5).eval()
    state = network.state_dict()
    blocks = list(dict.fromkeys(".".join(name.split(".")[1:3]) for name in state if name.startswith("blocks.")))
    flat = {block: number for number, block in enumerate(blocks)}
    expanded = {block for block in blocks if f"blocks.{block}.conv_pwl.weight" in state}
    theirs = {_efficientnet_name(name, flat, expanded): tensor for name, tensor in state.items()}
    # Names read off lukemelas/EfficientNet-PyTorch; the published efficientnet-lite0 loads the same way.
    names = [
        "_blocks.0._depthwise_conv.weight",
        "_blocks.15._bn2.running_var",
        "_blocks.1._expand_conv.weight",
        "_fc.bias",
    ]
    assert set(names) <= set(theirs)
    assert ("_blocks.0._se_reduce.bias" in theirs) == (arch == "tf_efficientnet_b0")
    path = tmp_path / "w.pth"
    torch.save(theirs, path)
    model = load_model(str(path), arch=f"timm:{arch}", num_classes=5)
    with torch.no_grad():
        assert torch.equal(model.module(IMAGES), network(IMAGES))
    # The same names, but images padded on both sides: other logits.
    with pytest.raises(RobenchError, match="do not fit") as caught:
        load_model(str(path), arch=f"timm:{arch.removeprefix('tf_')}", num_classes=5)
    assert "tf_efficientnet" in str(caught.value.hint)
