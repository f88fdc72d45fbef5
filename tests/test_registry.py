"""A registry holds built-in names, registered ones and those of installed packages."""

from __future__ import annotations

from importlib import metadata

import pytest

from robench.errors import RobenchError
from robench.registry import Registry


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packages that add an entry each, one of which cannot be imported, and one that takes a built-in's name."""
    found = [
        metadata.EntryPoint("tau", "math:tau", "robench.numbers"),
        metadata.EntryPoint("broken", "no_such_module:value", "robench.numbers"),
        metadata.EntryPoint("pi", "math:e", "robench.numbers"),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: found if group == "robench.numbers" else [])


def numbers(group: str | None = "robench.numbers") -> Registry[float]:
    return Registry("number", {"pi": "math:pi", "half": 0.5}, group=group)


@pytest.mark.usefixtures("installed")
def test_names_come_from_the_table_then_from_packages() -> None:
    assert list(numbers()) == ["pi", "half", "tau", "broken"]
    assert len(numbers()) == 4
    assert list(numbers(group=None)) == ["pi", "half"]


@pytest.mark.usefixtures("installed")
def test_objects_are_imported_when_asked_for_and_a_package_cannot_replace_a_built_in() -> None:
    assert numbers().get("half") == 0.5
    assert numbers().get("tau") == pytest.approx(6.283185)
    assert numbers().get("pi") == pytest.approx(3.141592)


@pytest.mark.usefixtures("installed")
def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(RobenchError, match="Unknown number 'haf'") as caught:
        numbers().get("haf")
    assert "half" in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_a_broken_package_is_named() -> None:
    with pytest.raises(RobenchError, match="no_such_module:value"):
        numbers().get("broken")


@pytest.mark.usefixtures("installed")
def test_a_name_is_registered_once() -> None:
    table = numbers()
    table.register("third", 1 / 3)
    table.register("third", 1 / 3)
    assert table.get("third") == 1 / 3
    for taken in ("third", "tau", "pi"):
        with pytest.raises(RobenchError, match="already defined"):
            table.register(taken, 0.0)
