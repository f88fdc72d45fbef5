"""``robustbench:NAME`` through a stand-in for the package, and without it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from robench.errors import RobenchError
from robench.models import load_model


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A package with the zoo's two entry points; returns the calls of its loader."""
    calls: list[dict[str, Any]] = []

    def loader(**asked: Any) -> nn.Module:
        calls.append(asked)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))

    zoo = {"cifar10": {"Linf": {"Both": {}, "Attacked": {}}, "corruptions": {"Both": {}}}}
    parts = {"robustbench": {}, "robustbench.utils": {"load_model": loader}, "robustbench.model_zoo": {},
             "robustbench.model_zoo.models": {"model_dicts": zoo}}  # fmt: skip
    for name, content in parts.items():
        module = ModuleType(name)
        module.__dict__.update(content, __path__=[])
        monkeypatch.setitem(sys.modules, name, module)
    return calls


def test_a_model_comes_from_the_zoo_as_it_is(package: list[dict[str, Any]]) -> None:
    model = load_model("robustbench:Both", dataset="cifar10")
    assert package == [{"model_name": "Both", "dataset": "cifar10", "threat_model": "corruptions"}]
    assert (model.name, model.num_classes) == ("robustbench:cifar10/Both", 10)
    assert model.preprocessing.mean == (0.0, 0.0, 0.0)
    assert model.module(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    load_model("robustbench:cifar10/Attacked")
    assert package[1]["threat_model"] == "Linf"


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("spec", "expected"),
    [("robustbench:Both", "cifar10/Both"), ("robustbench:cifar10/Bothe", "Did you mean 'Both'"),
     ("robustbench:digits/Both", "cifar10, cifar100, imagenet")],
)  # fmt: skip
def test_what_the_zoo_lacks_is_said(spec: str, expected: str) -> None:
    with pytest.raises(RobenchError, match=expected):
        load_model(spec)


def test_without_the_package_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "robustbench", None)
    with pytest.raises(RobenchError, match="pip install git"):
        load_model("robustbench:cifar10/Both")
