"""The CIFAR architectures: published parameter counts, routing, and other codes' names of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robench.errors import RobenchError
from robench.models.architectures import DualBatchNorm, DuBIN, build, known, names, routed
from robench.models.keymaps import translate

# Parameters with ten classes: counted on google-research/augmix (wide resnet, resnext 4x32, densenet 40-12, allconv),
# akamaster/pytorch_resnet_cifar10 (resnet-20, -56, -110) and the papers (densenet-bc 0.8 M, wrn-28-10 36.5 M).
COUNTS = {
    "wrn-40-2": 2_243_546,
    "wrn-28-10": 36_479_194,
    "resnext-29-4x32": 6_807_882,
    "densenet-40-12": 1_059_298,
    "densenet-bc-100-12": 769_162,
    "allconv": 1_409_674,
    "resnet-20": 269_722,
    "resnet-56": 853_018,
    "resnet-110": 1_727_962,
    "resnet-18": 11_173_962,
    "resnet-18-64": 11_173_962,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_published(name: str) -> None:
    with torch.device("meta"):
        network = build(name, 10)
    assert sum(parameter.numel() for parameter in network.parameters()) == COUNTS[name]


@pytest.mark.parametrize("norm", ["bn", "dubn", "dubin", "splitbn", "splitbn-shared"])
@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-20", "resnet-18", "resnext-29", "densenet-40-12", "allconv"])
def test_every_architecture_takes_every_normalisation(name: str, norm: str) -> None:
    torch.manual_seed(0)
    network = build(name, 7, norm).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    dual = [part for part in network.modules() if isinstance(part, DualBatchNorm)]
    assert bool(dual) == (norm != "bn")
    if name != "allconv":
        assert any(isinstance(part, DuBIN) for part in network.modules()) == (norm == "dubin")


def test_the_stem_for_64_pixels_has_stride_2() -> None:
    with torch.device("meta"):
        small, large = (build(name, 10).stages(build(name, 10).conv(torch.rand(1, 3, 64, 64))) for name in
                        ("resnet-18", "resnet-18-64"))  # fmt: skip
    assert (small.shape[-1], large.shape[-1]) == (8, 4)


def test_routes_have_statistics_of_their_own() -> None:
    torch.manual_seed(0)
    network = build("wrn-10-1", 10, "dubin").train()
    before = network.state_dict()["norm.main.running_mean"].clone()
    with routed(network, "auxiliary"):
        network(torch.rand(8, 3, 32, 32))
    after = network.state_dict()
    assert torch.equal(after["norm.main.running_mean"], before)
    assert not torch.equal(after["norm.auxiliary.running_mean"], before)
    assert all(part.route == "main" for part in network.modules() if isinstance(part, DualBatchNorm))
    with pytest.raises(RobenchError, match="Unknown route"), routed(network, "side"):
        pass


def test_dubin_has_no_place_in_the_last_stage() -> None:
    network = build("wrn-16-1", 10, "dubin")
    stages = [any(isinstance(part, DuBIN) for part in stage.modules()) for stage in network.stages]  # type: ignore[union-attr,arg-type]
    assert stages == [True, True, False]


def test_names() -> None:
    assert all(known(name) for name in names())
    assert known("wrn-16-4")
    assert not known("wrn-17-4")
    with pytest.raises(RobenchError, match="Unknown normalisation"):
        build("wrn-10-1", 10, "gn")


# (name in the other code, name here)
NAMES = {
    "wrn-10-1": [
        ("conv1.weight", "conv.weight"),
        ("block2.layer.0.bn1.weight", "stages.1.0.norm1.weight"),
        ("block2.layer.0.conv_shortcut.weight", "stages.1.0.shortcut.weight"),
        ("bn1.running_var", "norm.running_var"),
        ("fc.bias", "head.bias"),
    ],
    "resnet-20": [
        ("layer3.2.bn2.bias", "stages.2.2.norm2.bias"),
        ("linear.weight", "head.weight"),
        ("conv1.weight", "conv.weight"),
    ],
}


@pytest.mark.parametrize("name", NAMES)
def test_weights_under_other_codes_names_are_found(name: str) -> None:
    network = build(name, 10)
    ours = network.state_dict()
    foreign = {
        "wrn-10-1": lambda n: n.replace("stages.0", "block1.layer").replace("stages.1", "block2.layer")
        .replace("stages.2", "block3.layer").replace("shortcut", "conv_shortcut").replace("head", "fc")
        .replace(".norm", ".bn").replace("norm.", "bn1.") if not n.startswith("conv.") else "conv1.weight",
        "resnet-20": lambda n: n.replace("stages.0", "layer1").replace("stages.1", "layer2")
        .replace("stages.2", "layer3").replace("head", "linear").replace(".norm", ".bn").replace("norm.", "bn1.")
        if not n.startswith("conv.") else "conv1.weight",
    }[name]  # fmt: skip
    theirs = {foreign(key): value for key, value in ours.items()}
    for other, own in NAMES[name]:
        assert theirs[other] is ours[own]
    found = translate(theirs, ours)
    assert found.keys() == ours.keys()
    assert all(found[key] is ours[key] for key in ours)


def test_weights_of_something_else_are_left_alone() -> None:
    state = nn.Linear(3, 3).state_dict()
    assert translate(state, build("wrn-10-1", 10).state_dict()) == state
