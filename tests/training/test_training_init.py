"""Weights to start from: pinned, from a file of any usual form, and refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from robench.errors import RobenchError
from robench.models import networks, published
from robench.models.architectures.norms import routed
from robench.training import recipes
from robench.training.engine.schedule import build_optimiser
from robench.training.engine.setup import load_init


def test_papers_that_start_from_public_weights_name_them() -> None:
    started = {recipes.load(name).init for name in recipes.names()} - {None}
    assert started == {
        "torchvision:resnet50.IMAGENET1K_V1", "torchvision:resnet152.IMAGENET1K_V1",
        "timm:resnetv2_50x1_bit.goog_in21k", "timm:legacy_seresnet50.in1k",
    }  # fmt: skip


def test_a_checkpoint_of_another_library(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own, other = networks.build("resnet-20", 10), networks.build("resnet-20", 10)
    torch.save({"state_dict": {f"module.{k}": v for k, v in other.state_dict().items()}}, tmp_path / "best.pth")
    load_init(own, str(tmp_path / "best.pth"))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in own.state_dict().items())
    with pytest.raises(RobenchError, match="tensors are in"):
        load_init(networks.build("allconv", 10), str(tmp_path / "best.pth"))


@pytest.mark.parametrize("norm", ["ibn", "dubn", "dubin", "splitbn", "splitbn-shared"])
def test_plain_weights_begin_both_routes(norm: str, tmp_path: Path) -> None:
    """With dual BatchNorms both routes are the plain network; of instance halves the affine parameters are its own."""
    torch.manual_seed(0)
    plain = networks.build("torchvision:resnet18", 10)
    for layer in plain.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean):
                assert tensor is not None
                tensor.normal_(1.0, 0.1)
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    own = networks.build("torchvision:resnet18", 10, norm=norm)
    load_init(own, str(tmp_path / "plain.pth"))
    images = torch.rand(2, 3, 32, 32)
    for route in ("main", "auxiliary"):
        with torch.no_grad(), routed(own, route):
            same = torch.allclose(own.eval()(images), plain.eval()(images), atol=1e-5)
        assert same == (norm not in ("ibn", "dubin"))
    if norm == "dubin":
        tensors, before = own.state_dict(), plain.state_dict()
        for route in ("main", "auxiliary"):
            parts = [tensors[f"layer1.0.bn1.{place}.weight"] for place in ("instance", f"batch.{route}")]
            assert torch.equal(torch.cat(parts), before["layer1.0.bn1.weight"])
            found = tensors[f"layer1.0.bn1.batch.{route}.running_mean"]
            assert torch.equal(found, before["layer1.0.bn1.running_mean"][32:])


@pytest.mark.parametrize("name", ["dfr-se-resnet50", "dfr-pretraining-resnet50"])
def test_timms_weights_fill_all_but_the_last_layer_which_learns_faster(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last layer of BiT is a convolution; its published one has other classes."""
    import timm

    torch.manual_seed(0)
    recipe = recipes.load(name)
    own, other = networks.build(recipe.architecture, 13), networks.build(recipe.architecture, 7)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: other)
    load_init(own, str(recipe.init))
    theirs = other.state_dict()
    differ = {key for key, value in own.state_dict().items() if not torch.equal(value, theirs[key])}
    head = {id(parameter) for parameter in own.get_classifier().parameters()}  # type: ignore[operator]
    assert differ == {key for key, parameter in own.named_parameters() if id(parameter) in head}
    groups = build_optimiser(recipe.optimiser, own).param_groups
    assert {id(parameter) for parameter in groups[1]["params"]} == head
    assert [group["scale"] for group in groups] == [0.1, 1.0]


def test_without_network_the_message_says_where_the_file_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(published.networks, "build", offline)
    module = torch.nn.Linear(1, 1)
    with pytest.raises(RobenchError, match="Could not download") as caught:
        load_init(module, "torchvision:resnet50.IMAGENET1K_V1")
    assert "resnet50-0676ba61.pth" in str(caught.value.hint)
    assert "init=FILE.pth" in str(caught.value.hint)
    for origin, said in (
        ("torchvision:resnet50.IMAGENET1K_V9", "no weights 'IMAGENET1K_V9'"),
        ("torchvision:resnot", "no classifier"),
        ("nowhere.pth", "No weights at"),
    ):
        with pytest.raises(RobenchError, match=said):
            load_init(module, origin)
