"""A corruption is added by one call or one entry point, and no suite changes by it."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest
import torch
from test_corruptions_common import photographs

from robench.corruptions import ALL, CORRUPTIONS, Corruption, corrupt, register, registered
from robench.corruptions.random import Stream
from robench.errors import RobenchError
from robench.registry import Registry

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def vignette(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Darken towards the corners."""
    height, width = images.shape[-2:]
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
    return (images * (1 - params[0] * (x * x + y * y) / 2)).to(torch.uint8)


OFFERED = Corruption(vignette, dict.fromkeys((32, 64, 224, 299), STRENGTHS), deterministic=True)
CLUMSY = vignette


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of the test's own, so that the others see the built-in one."""
    entries: dict[str, Any] = {name: CORRUPTIONS.get(name) for name in ALL}
    monkeypatch.setattr(registered, "CORRUPTIONS", Registry("corruption", entries, group="robench.corruptions"))


def test_one_call_adds_a_corruption() -> None:
    register("vignette", vignette, STRENGTHS, deterministic=True)
    images = photographs(2, 64)
    found = [corrupt(images, "vignette", severity, index=torch.arange(2)) for severity in range(1, 6)]
    assert torch.equal(found[2], vignette(images, (0.6,), Stream(0, index=torch.arange(2))))
    assert [one.float().mean() for one in found] == sorted((one.float().mean() for one in found), reverse=True)
    assert list(registered.CORRUPTIONS) == [*ALL, "vignette"]
    with pytest.raises(RobenchError, match="Severity 6 of vignette"):
        corrupt(images, "vignette", 6, index=torch.arange(2))


def test_strengths_may_differ_by_side_and_be_tuples() -> None:
    seen = []

    def spy(images: torch.Tensor, params: tuple[Any, ...], stream: Stream) -> torch.Tensor:
        seen.append(params)
        return images.clone()

    register("spy", spy, {side: [(side, s) for s in range(1, 6)] for side in (32, 64, 224, 299)})
    for side in (30, 64, 130, 299):
        corrupt(photographs(1, side), "spy", 2, index=torch.arange(1))
    assert seen == [(32, 2), (64, 2), (224, 2), (299, 2)]


def test_an_installed_package_adds_one(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = [
        metadata.EntryPoint(name, f"{__name__}:{value}", "robench.corruptions")
        for name, value in {"vignette": "OFFERED", "clumsy": "CLUMSY", "fog": "CLUMSY"}.items()
    ]
    real = metadata.entry_points

    def entry_points(**asked: Any) -> Any:  # numba has a group, too
        return offered if asked.get("group") == "robench.corruptions" else real(**asked)

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    images = photographs(2, 32)
    expected = vignette(images, (1.0,), Stream(0, index=torch.arange(2)))
    assert torch.equal(corrupt(images, "vignette", 5, index=torch.arange(2)), expected)
    assert not torch.equal(corrupt(images, "fog", 5, index=torch.arange(2)), expected)
    with pytest.raises(RobenchError, match=r"'clumsy' comes from a package that gives a function"):
        corrupt(images, "clumsy", 5, index=torch.arange(2))


@pytest.mark.parametrize(
    ("name", "strengths", "said"),
    [
        ("fog", STRENGTHS, "'fog' is already defined"),
        ("gaussian noise", STRENGTHS, "snake_case"),
        ("../x", STRENGTHS, "snake_case"),
        ("vignette", STRENGTHS[:4], "has 5 strengths"),
        ("vignette", "12345", "has 5 strengths"),
        ("vignette", {32: STRENGTHS, 64: STRENGTHS}, "32, 64, 224, 299; found 32, 64"),
        ("vignette", dict.fromkeys((32, 64, 224, 299), STRENGTHS[:3]), "has 5 strengths"),
    ],
)
def test_what_cannot_be_registered_is_refused(name: str, strengths: Any, said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        register(name, vignette, strengths)


def test_no_suite_changes_by_a_new_corruption(monkeypatch: pytest.MonkeyPatch) -> None:
    from robench import suites

    before = {name: suites.get(name).cells for name in suites.names()}
    register("vignette", vignette, STRENGTHS)
    assert {name: suites.get(name).cells for name in suites.names()} == before
