"""Model cards that somebody else wrote, cut short or made up: one message each, and never a traceback."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from robench.data.cifar import CIFAR10_CLASSES
from robench.errors import RobenchError
from robench.models import load_model, reference
from robench.models.cards import read_card

GOOD: dict[str, Any] = {
    "name": "ours", "architecture": "wrn-10-1", "norm": "bn", "num_classes": 10, "dataset": "digits",
    "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(reference.folder("digits/standard") / "weights.safetensors", tmp_path)
    return tmp_path


CHANGED: dict[str, dict[str, Any]] = {
    "name": {"name": None}, "number for a name": {"name": 3}, "empty name": {"name": ""},
    "long name": {"name": "x" * 5000},
    "list for a name": {"name": ["a"]},
    "no architecture": {"architecture": None}, "unknown architecture": {"architecture": "wrn-1-1"},
    "number for an architecture": {"architecture": 40}, "huge architecture": {"architecture": "wrn-100000-2"},
    "another architecture": {"architecture": "wrn-16-1"}, "a library nobody has": {"architecture": "tf:resnet"},
    "text for classes": {"num_classes": "ten"}, "a fraction of classes": {"num_classes": 10.5},
    "no classes": {"num_classes": 0}, "fewer than none": {"num_classes": -1}, "too many": {"num_classes": 10**12},
    "other classes": {"num_classes": 100}, "true classes": {"num_classes": True},
    "two means": {"mean": [0.5, 0.5]}, "four means": {"mean": [0.5] * 4}, "text for a mean": {"mean": "0.5"},
    "words for means": {"mean": ["a", "b", "c"]}, "NaN": {"mean": [float("nan")] * 3},
    "infinite": {"std": [float("inf")] * 3},
    "std of zero": {"std": [0, 0.5, 0.5]}, "std below zero": {"std": [-1, 0.5, 0.5]}, "no std": {"std": None},
    "mapping for a mean": {"mean": {"r": 1, "g": 1, "b": 1}},
    "number for norm": {"norm": 3}, "unknown norm": {"norm": "layer"}, "norm that was not trained": {"norm": "dubin"},
    "number for a data set": {"dataset": 3}, "too few names": {"classes": ["a", "b"]},
    "numbers for names": {"classes": [1] * 10},
    "NaN inside": {"trained_with": {"seconds": float("nan")}},
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGED)
def test_a_field_that_cannot_be_used_is_named(folder: Path, change: str) -> None:
    (folder / "card.yaml").write_text(yaml.safe_dump(GOOD | CHANGED[change]))
    with pytest.raises(RobenchError) as caught:
        load_model(str(folder))
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 1500


RAW = {
    "empty": b"", "a list": b"- 1\n- 2\n", "a word": b"hello", "a number": b"3",
    "Latin-1": "name: caf\xe9".encode("latin-1"),
    "NUL": b"name: a\x00b", "a tag": b"!!python/object/apply:os.system ['touch ran']", "unclosed": b"name: [1, 2",
    "tabs": b"name:\n\t- x", "numbers as keys": b"1: 2\n", "nested": b"a: " + b"[" * 3000 + b"]" * 3000,
    "references": b"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
    b"c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
    b"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
    "two documents": b"name: a\n---\nname: b\n", "half": yaml.safe_dump(GOOD).encode()[:40],
    "binary": bytes(range(256)),
    "only a name": b"name: x\n",
}  # fmt: skip


@pytest.mark.parametrize("content", RAW)
def test_what_is_not_a_card_is_said(folder: Path, content: str) -> None:
    (folder / "card.yaml").write_bytes(RAW[content])
    with pytest.raises(RobenchError, match="model card") as caught:
        load_model(str(folder))
    assert "card.yaml" in str(caught.value)
    assert caught.value.hint
    assert not Path("ran").exists()


def test_messages_say_what_was_expected_and_found(folder: Path) -> None:
    (folder / "card.yaml").write_text(yaml.safe_dump({**GOOD, "num_classes": "ten", "std": [0, 1, 1]}))
    with pytest.raises(RobenchError, match=r"num_classes: .*integer \(found 'ten'\); std\.0: .*greater than 0"):
        load_model(str(folder))
    (folder / "card.yaml").write_text(yaml.safe_dump({"name": "x"}))
    with pytest.raises(RobenchError, match="it lacks architecture; it lacks num_classes; it lacks mean"):
        load_model(str(folder))


def test_other_fields_are_kept_and_dates_become_text(folder: Path) -> None:
    (folder / "card.yaml").write_text(yaml.safe_dump(GOOD) + "date: 2024-01-02\nby: {who: [me, 3, null, true]}\n")
    model = load_model(str(folder))
    assert model.card["date"] == "2024-01-02"
    assert model.card["by"] == {"who": ["me", 3, None, True]}
    (folder / "card.yaml").write_text(yaml.safe_dump({**GOOD, "classes": list("abcdefghij")}))
    assert load_model(str(folder)).classes == tuple("abcdefghij")


def test_a_folder_without_weights_is_said(folder: Path) -> None:
    (folder / "card.yaml").write_text(yaml.safe_dump(GOOD))
    (folder / "weights.safetensors").unlink()
    with pytest.raises(RobenchError, match=r"No such file: .*weights\.safetensors"):
        load_model(str(folder))


def test_every_reference_model_has_a_card() -> None:
    for name in reference.names():
        assert read_card(reference.folder(name))["num_classes"] == 10


def test_classes_are_those_of_the_card_or_of_its_data_set(folder: Path) -> None:
    def classes(**changed: Any) -> tuple[str, ...] | None:
        (folder / "card.yaml").write_text(yaml.safe_dump(GOOD | changed))
        return load_model(str(folder)).classes

    own = [f"kind {number}" for number in range(10)]
    assert classes(dataset="ours") is None
    assert classes(dataset="ours", classes=own) == tuple(own)
    assert classes(classes=own) == tuple(own)
    assert classes(dataset="cifar10") == classes(dataset="cifar10-jpeg") == CIFAR10_CLASSES
