"""The builder of networks that training and evaluation share: libraries, normalisations, names of weights."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from robench.errors import RobenchError
from robench.models import load_model, networks, wrap
from robench.models.architectures import DualBatchNorm, DuBIN
from robench.models.networks import ArchitectureName, build, find, torchvision_weights

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def filled(network: nn.Module) -> nn.Module:
    """Give statistics and affine parameters values of their own, so that exchanged ones are noticed."""
    generator = torch.Generator().manual_seed(3)
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2, generator=generator)
        elif key.endswith(("running_mean", "bias")):
            value.normal_(0, 0.2, generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    ("given", "library", "spec"),
    [
        ("wrn-40-2", "robench", "wrn-40-2"),
        ("resnet-18", "robench", "resnet-18"),
        ("resnet18", "torchvision", "torchvision:resnet18"),
        ("timm:resnet18", "timm", "timm:resnet18"),
        ("resnet10t", "timm", "timm:resnet10t"),
    ],
)
def test_where_an_architecture_is_found(given: str, library: str, spec: str) -> None:
    found = find(given)
    assert (found.package, found.spec) == (library, spec)
    assert find(spec) == found


@pytest.mark.parametrize("wrong", ["resnett", "timm:resnett18", "torchvision:fasterrcnn_resnet50_fpn", "tf:resnet18"])
def test_unknown_architectures(wrong: str) -> None:
    with pytest.raises(RobenchError, match="Unknown architecture") as caught:
        build(wrong, 10)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("norm", "count", "instances"),
    [("dubn", 20, 0), ("splitbn", 20, 0), ("splitbn-shared", 20, 0), ("dubin", 20, 6), ("bn", 0, 0)],
)
def test_torchvision_networks_take_the_normalisations_of_the_papers(norm: str, count: int, instances: int) -> None:
    network = build("torchvision:resnet18", 5, norm=norm)
    assert sum(isinstance(part, DualBatchNorm) for part in network.modules()) == count
    assert sum(isinstance(part, DuBIN) for part in network.modules()) == instances
    assert network(IMAGES).shape == (2, 5)


def test_constants_of_replaced_batch_norms_stay() -> None:
    network = build("torchvision:mobilenet_v3_small", 5, norm="dubn")
    dual = [part for part in network.modules() if isinstance(part, DualBatchNorm)]
    assert {(part.auxiliary.eps, part.auxiliary.momentum) for part in dual} == {(0.001, 0.01)}


@pytest.mark.parametrize(
    ("arch", "norm", "message"),
    [
        ("torchvision:vgg11", "dubn", "no BatchNorm2d"),
        ("timm:efficientnet_b0", "dubn", "do more than normalise"),
        ("torchvision:mobilenet_v2", "dubin", "no residual stages"),
        ("torchvision:resnet18", "nonsense", "Unknown normalisation"),
        ("wrn-10-1", "nonsense", "Unknown normalisation"),
    ],
)
def test_normalisations_that_a_network_has_no_place_for(arch: str, norm: str, message: str) -> None:
    with torch.device("meta"), pytest.raises(RobenchError, match=message):
        build(arch, 5, norm=norm)


def test_a_network_built_for_a_size() -> None:
    with torch.device("meta"):
        assert build("torchvision:vit_b_16", 5, input_size=32).image_size == 32
        assert build("timm:vit_tiny_patch16_224", 5, input_size=32).patch_embed.img_size == (32, 32)
        for arch in ("torchvision:resnet18", "timm:resnet18", "wrn-10-1"):
            with pytest.raises(RobenchError, match="has no option input_size"):
                build(arch, 5, input_size=32)


def test_weights_that_cannot_be_put_in() -> None:
    for arch, options in (
        ("wrn-10-1", {"weights": "IMAGENET1K_V1"}),
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V1", "norm": "dubin"}),
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V7"}),
        ("timm:resnet18", {"weights": "a1_in1k"}),
    ):
        with pytest.raises(RobenchError):
            build(arch, 10, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "architecture", "name"),
    [
        ("resnet50.IMAGENET1K_V1", "resnet50", "IMAGENET1K_V1"),
        ("ResNet50_Weights.IMAGENET1K_V2", "resnet50", "IMAGENET1K_V2"),
        ("ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1", "vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
        ("resnet50.DEFAULT", "resnet50", "IMAGENET1K_V2"),
        ("resnet50", "resnet50", "IMAGENET1K_V2"),
        ("resnet18", "resnet18", "IMAGENET1K_V1"),
    ],
)
def test_names_of_torchvisions_weights(given: str, architecture: str, name: str) -> None:
    found, weights = torchvision_weights(given)
    assert (found, weights.name) == (architecture, name)


@pytest.mark.parametrize(
    ("wrong", "suggested"),
    [("resnet5", "resnet50"), ("resnet50.IMAGENET1K", "IMAGENET1K_V1"), ("ResNet5_Weights.V1", "ResNet50_Weights")],
)
def test_misspelt_weights_get_a_suggestion(wrong: str, suggested: str) -> None:
    with pytest.raises(RobenchError) as caught:
        torchvision_weights(wrong)
    assert suggested in str(caught.value.hint)


def test_the_default_weights_are_named_in_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def made(arch: str, num_classes: int, **options: str) -> nn.Module:
        asked.append((arch, options["weights"]))
        return original(arch, num_classes)

    original = networks.build
    monkeypatch.setattr(networks, "build", made)
    model = load_model("torchvision:resnet18")
    assert asked == [("torchvision:resnet18", "IMAGENET1K_V1")]
    assert model.name == "torchvision:resnet18.IMAGENET1K_V1"
    assert model.card["spec"] == "torchvision:resnet18.IMAGENET1K_V1"


def _imagenet_name(name: str) -> str:
    """Return VITA-Group/AugMax's name of a tensor of its ImageNet ResNet-18-DuBIN."""
    for ours, theirs in (
        (".instance.", ".IN."), (".batch.main.", ".BN.bn.0."), (".batch.auxiliary.", ".BN.bn.1."),
        (".main.", ".bn.0."), (".auxiliary.", ".bn.1."),
    ):  # fmt: skip
        name = name.replace(ours, theirs)
    return name


def test_the_published_imagenet_dubin_checkpoint_loads(tmp_path: Path) -> None:
    network = filled(build("torchvision:resnet18", 10, norm="dubin"))
    theirs = {f"module.{_imagenet_name(key)}": value for key, value in network.state_dict().items()}
    # Names read off models/imagenet/resnet_DuBIN.py.
    for name in (
        "bn1.bn.0.weight", "layer3.1.bn1.BN.bn.1.running_var", "layer1.0.bn1.IN.weight", "layer4.0.bn1.bn.1.bias",
        "layer2.0.downsample.1.bn.0.running_mean",
    ):  # fmt: skip
        assert f"module.{name}" in theirs
    torch.save(theirs, tmp_path / "best_SA.pth")
    none = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    options = {"arch": "torchvision:resnet18", "num_classes": 10, "norm": "dubin"} | none
    model = load_model(str(tmp_path / "best_SA.pth"), **options)  # type: ignore[arg-type]
    with torch.no_grad():
        assert torch.equal(model.module(IMAGES), network(IMAGES))
    auxiliary = load_model(str(tmp_path / "best_SA.pth") + "?bn=auxiliary", **options)  # type: ignore[arg-type]
    with torch.no_grad():
        assert not torch.equal(auxiliary.module(IMAGES), network(IMAGES))


@pytest.mark.parametrize("norm", ["bn", "splitbn"])
def test_a_training_run_of_a_torchvision_network_is_a_model(tmp_path: Path, norm: str) -> None:
    network = filled(build("resnet18", 7, norm=norm))
    save_file(
        {key: value.contiguous() for key, value in network.state_dict().items()}, tmp_path / "weights.safetensors"
    )
    card = {
        "name": "ours",
        "architecture": "resnet18",
        "norm": norm,
        "num_classes": 7,
        "mean": [0.5] * 3,
        "std": [0.2] * 3,
    }
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card))
    model = load_model(str(tmp_path))
    assert (model.num_classes, model.preprocessing.std) == (7, (0.2, 0.2, 0.2))
    with torch.no_grad():
        assert torch.equal(model.module(IMAGES), network(IMAGES))


def test_a_model_cannot_be_changed() -> None:
    model = wrap(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), name="one")
    with pytest.raises(FrozenInstanceError):
        model.name = "another"  # type: ignore[misc]
    assert ArchitectureName("timm", "a").spec == "timm:a"


def test_the_hint_after_a_failed_download_carries_the_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    for spec, flags in (
        ("resnet50", "arch='torchvision:resnet50', norm_preset='imagenet', resize=232, crop=224)`"),
        ("resnet50.IMAGENET1K_V1", "arch='torchvision:resnet50', norm_preset='imagenet', resize=256, crop=224)`"),
        ("swin_t", "norm_preset='imagenet', resize=232, crop=224, interpolation='bicubic')`"),
    ):
        with pytest.raises(RobenchError, match=r"Could not download the weights of .*: OSError: no network") as caught:
            load_model(f"torchvision:{spec}")
        assert str(caught.value.hint).endswith(flags)
        assert "https://download.pytorch.org" in str(caught.value.hint)
