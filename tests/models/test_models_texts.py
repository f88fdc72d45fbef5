"""Prompts and class names: the published sets, files, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robench.data.cifar import CIFAR10_CLASSES
from robench.data.classes import imagenet_wnids
from robench.errors import RobenchError
from robench.models.zeroshot.texts import load_class_names, load_prompts


def test_the_published_sets_are_open_clips() -> None:
    library = pytest.importorskip("open_clip", reason="open_clip is not installed (pip install 'robench[zeroshot]')")
    assert list(load_class_names("imagenet", None).names) == list(library.IMAGENET_CLASSNAMES)
    templates = [template("{}") for template in library.OPENAI_IMAGENET_TEMPLATES]
    assert list(load_prompts("imagenet").templates) == templates


def test_published_sets_have_the_published_sizes() -> None:
    assert [len(load_prompts(name).templates) for name in ("imagenet", "cifar", "simple")] == [80, 18, 1]
    assert [len(load_class_names(name, None).names) for name in ("imagenet", "cifar10", "cifar100")] == [1000, 10, 100]
    found = load_class_names("imagenet", None)
    assert found.classes == imagenet_wnids()
    assert found.repeated == ("missile", "sunglasses")  # as published
    assert found.names[0] == "tench"
    assert list(load_class_names("cifar100", None).names) == sorted(load_class_names("cifar100", None).names)


def test_names_come_from_the_data_set() -> None:
    assert load_class_names(None, CIFAR10_CLASSES, "cifar10", 10).names == CIFAR10_CLASSES
    assert load_prompts(None, "cifar10").name == load_prompts(None, "cifar100").name == "cifar"
    assert load_prompts(None, "imagenet").name == "imagenet"
    assert load_class_names(None, None, "cifar100", 100).names[1] == "aquarium fish"
    few = load_class_names(None, ("n01440764", "n03126707", "n15102894"), "photos", 3)
    assert few.names[:2] == ("tench", "construction crane")
    assert few.classes == ("n01440764", "n03126707", "n15102894")
    with pytest.raises(RobenchError, match="1 WordNet ids have no name that is known: n00000000"):
        load_class_names(None, ("n01440764", "n00000000"))


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_files(tmp_path: Path) -> None:
    text = write(tmp_path / "p.txt", "\ufeff# mine\na {}.\n\nthe {}, seen.\n")
    assert load_prompts(text).templates == ("a {}.", "the {}, seen.")
    assert load_prompts(write(tmp_path / "p.yaml", "['{} one', 'two {}']")).of("ox") == ["ox one", "two ox"]
    names = write(tmp_path / "n.txt", "domestic cat\ndog\n")
    found = load_class_names(names, ("cat", "dog"), count=2)
    assert (found.origin, found.names, found.classes) == ("n.txt", ("domestic cat", "dog"), ("cat", "dog"))
    mapped = write(tmp_path / "n.json", '{"dog": "hound", "cat": "tabby", "ox": "ox"}')
    assert load_class_names(mapped, ("cat", "dog")).names == ("tabby", "hound")
    assert load_class_names(names, None).classes is None


BAD: list[tuple[str, str | bytes, str]] = [
    ("a.txt", "no place\n", "has 0 places for the class name"),
    ("a.txt", "{} and {}\n", "has 2 places"),
    ("a.txt", "", "found 0 entries"),
    ("a.txt", "a {}\na {}\n", "lists a template twice"),
    ("a.txt", b"\xff\xfe{\x00", "not UTF-8"),
    ("a.txt", "x" * 600 + "{}\n", "found the entry"),
    ("a.yaml", "a: {}\n", "found the entry"),
    ("a.yaml", "a: 'one {}'\n", "a mapping, not a list"),
    ("a.yaml", "3\n", "found a int"),
    ("a.json", "[1, 2]", "found the entry '1'"),
    ("a.json", "[", "Could not read the prompt templates"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD)
def test_files_that_hold_no_prompts(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        load_prompts(write(tmp_path / name, content))


@pytest.mark.parametrize(
    ("content", "words", "said"),
    [
        ("cat\n", {"classes": ("cat", "dog"), "count": 2}, "has 1 class names; the data has 2 classes"),
        ("cat\ndo\x07g\n", {}, "found the entry"),
    ],
)
def test_files_that_hold_no_names(tmp_path: Path, content: str, words: dict[str, Any], said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        load_class_names(write(tmp_path / "n.txt", content), **{"classes": None} | words)
    with pytest.raises(RobenchError, match=r"it lacks 1: dog"):
        load_class_names(write(tmp_path / "m.yaml", "cat: tabby"), ("cat", "dog"))
    with pytest.raises(RobenchError, match="is one of imagenet, cifar10, cifar100, or a file"):
        load_class_names(str(tmp_path / "none"), None)
    with pytest.raises(RobenchError, match="is a folder"):
        load_prompts(str(tmp_path))
