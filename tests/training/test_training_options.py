"""Options of methods: out of range, of a loss that is not used, of one label where images have several."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch

from robench.errors import RobenchError
from robench.training import recipes
from robench.training.engine import setup
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.engine.source import DeviceSource
from robench.training.methods import METHODS, create, find, of

_NEEDED = {"deepaugment": {"networks": ["edsr-digits"]}}


@pytest.mark.parametrize(
    ("method", "option", "value", "said"),
    [
        ("adversarial", "epsilon", 8, "above 0 and at most 1, found 8.*8/255 is 0.031373"),
        ("adversarial", "steps", 0, "1 or more"),
        ("augmix", "severity", 20, "0.1 to 10"),
        ("augmix", "consistency", -1, "0 or more"),
        ("augmax", "patience", 0, "1 or more"),
        ("cutmix", "probability", 7, "0 to 1"),
        ("mixup", "alpha", 0, "above 0"),
        ("noise", "std", [0.1, -0.1], "0 or more, found -0.1"),
        ("noise", "std", 0.3, "a list of one or more, found 0.3"),
        ("noise2net", "low", 2.0, "low must not be above high"),
        ("standard", "smoothing", 1.5, "0 to 1"),
        ("deepaugment", "networks", "edsr-digits", "a list of one or more"),
        ("deepaugment", "networks", [], "a list of one or more"),
        ("deepaugment", "networks", [3], "must be str"),
    ],
)
def test_options_out_of_range_are_refused(method: str, option: str, value: object, said: str) -> None:
    with pytest.raises(RobenchError, match=rf"(?s){said}"):
        create(method, {option: value})


@pytest.mark.parametrize("name", METHODS)
def test_ranges_are_of_options_and_hold_their_defaults(name: str) -> None:
    kind = find(name)
    defaults = {one.name: one.default for one in dataclasses.fields(kind) if one.default is not dataclasses.MISSING}
    known = {one.name for one in dataclasses.fields(kind) if one.init}
    assert set(kind.RANGES) <= known
    kind.from_options(
        {option: defaults[option] for option in kind.RANGES if option in defaults} | _NEEDED.get(name, {})
    )


def test_what_a_first_method_does_not_do_is_refused() -> None:
    for setting in ("before.options.mixup=1.0", "before.options.views=4", "before.options.jsd=true"):
        with pytest.raises(RobenchError, match="has no effect before another method"):
            of(recipes.load("standard-digits", ["before.method=augmix", setting]))
    first, _ = of(recipes.load("standard-digits", ["before.method=augmix", "before.options.jsd=false"]))
    assert first is not None


@pytest.mark.parametrize("labels", [torch.ones(40, 10, dtype=torch.int64)])
@pytest.mark.parametrize("name", ["standard", "mixup", "augmix"])
def test_sets_of_labels_are_refused_by_methods_of_one_label(
    name: str, labels: torch.Tensor, batch: Batch, make_network: Callable[[], Network]
) -> None:
    with pytest.raises(RobenchError, match="one label per image"):
        create(name, {}).loss(make_network(), dataclasses.replace(batch, labels=labels))


def test_images_without_a_label_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    part = DeviceSource(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, 1, -1, -1]))
    monkeypatch.setattr(setup, "training_source", lambda *_: part)
    with pytest.raises(RobenchError, match="2 of 4 training images have no label"):
        setup.prepare(recipes.load("standard-digits"), None, torch.device("cpu"))
