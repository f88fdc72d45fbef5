"""Predictions by the main, the auxiliary, or the mean of both normalisations of a dual network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from robench.data import digits
from robench.errors import RobenchError
from robench.models import load_model
from robench.models.architectures import build, routed
from robench.models.queries import Branch, Query, split

SPEC = "reference:digits/weak-augment"
AUGMAX = "reference:digits/augmax"


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    test = digits.load("test")
    pixels = torch.from_numpy(test.read(np.arange(50))).permute(0, 3, 1, 2)
    return (pixels.float() / 255 - 0.5) / 0.5


def _probabilities(spec: str, images: torch.Tensor) -> torch.Tensor:
    module = load_model(spec).module
    assert isinstance(module, torch.nn.Module)
    with torch.no_grad():
        return module.eval()(images).softmax(dim=1)


@pytest.mark.parametrize("spec", [SPEC, AUGMAX])
def test_branches_are_the_networks_routes(spec: str, images: torch.Tensor) -> None:
    network = load_model(spec).module
    assert isinstance(network, torch.nn.Module)
    routes = {}
    for route in ("main", "auxiliary"):
        with routed(network.eval(), route), torch.no_grad():
            routes[route] = network(images).softmax(dim=1)
        torch.testing.assert_close(_probabilities(f"{spec}?bn={route}", images), routes[route])
    torch.testing.assert_close(_probabilities(spec, images), routes["main"])
    assert not torch.allclose(routes["main"], routes["auxiliary"], atol=1e-3)
    for share in (0.5, 0.2):
        blend = (1 - share) * routes["main"] + share * routes["auxiliary"]
        found = _probabilities(f"{spec}?bn=mean&lambda={share}", images)
        torch.testing.assert_close(found, blend, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(_probabilities(f"{spec}?bn=mean&lambda=0", images), routes["main"])
    torch.testing.assert_close(_probabilities(f"{spec}?bn=mean&lambda=1", images), routes["auxiliary"])


def test_each_branch_has_a_name_and_a_hash_of_its_own() -> None:
    models = [load_model(SPEC + part) for part in ("", "?bn=auxiliary", "?bn=mean", "?bn=mean&lambda=0.3")]
    assert len({model.hash for model in models}) == 4
    assert [model.name for model in models] == [
        "weak-augment", "weak-augment-bn-auxiliary", "weak-augment-bn-mean", "weak-augment-bn-mean-0.3",
    ]  # fmt: skip
    assert load_model(SPEC + "?bn=mean&lambda=0.5").hash == models[2].hash
    assert models[1].card["bn"] == "auxiliary"
    assert (models[3].card["bn"], models[3].card["lambda"]) == ("mean", 0.3)
    for share, bn in ((0.0, "main"), (1.0, "auxiliary")):  # the ends of the curve over lambda
        end = load_model(f"{SPEC}?bn=mean&lambda={share:g}")
        assert (end.card["bn"], end.card["lambda"]) == (bn, share)
    assert "lambda" not in models[1].card


def test_branches_of_a_file_of_weights(tmp_path: Path, images: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = build("wrn-10-1", 10, "dubin").train()
    with routed(network, "auxiliary"), torch.no_grad():
        network(images)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    options = {"arch": "wrn-10-1", "num_classes": 10, "norm": "dubin"}
    found = load_model(f"{tmp_path / 'weights.safetensors'}?bn=auxiliary", **options).module  # type: ignore[arg-type]
    with routed(network.eval(), "auxiliary"), torch.no_grad():
        torch.testing.assert_close(found.eval()(images), network(images))  # type: ignore[union-attr]


def test_folding_a_mean_keeps_its_predictions(images: torch.Tensor) -> None:
    from torch.fx.experimental.optimization import fuse

    module = load_model(f"{AUGMAX}?bn=mean").module
    assert isinstance(module, torch.nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(fuse(module.eval())(images), module(images), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "query", ["bn=side", "bn=main&lambda=0.5", "bn=mean&lambda=2", "bn=mean&lambda=x", "norm=main"]
)
def test_nonsense_is_refused(query: str) -> None:
    with pytest.raises(RobenchError) as caught:
        split(f"{SPEC}?{query}")
    assert "bn=mean" in str(caught.value.hint)


def test_one_normalisation_has_no_branches() -> None:
    with pytest.raises(RobenchError, match="one normalisation only"):
        load_model("reference:digits/augmix?bn=mean")


def test_specs_without_a_branch_stay_as_they_are() -> None:
    assert split("a/b?.pt") == ("a/b?.pt", Query())
    assert split("timm:resnet50.a1_in1k") == ("timm:resnet50.a1_in1k", Query())
    assert split("a.pt?lambda=0.25") == ("a.pt", Query(Branch("mean", 0.25)))
