"""Tar shards in WebDataset's layout: ``KEY.jpg`` next to ``KEY.cls`` (a class number or name) or ``KEY.json``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.labels import read_labels
from robench.data.splits import choose_split, kind_of
from robench.data.trees import TarTree, TreeSource, is_image_name, join, omitted
from robench.errors import RobenchError
from robench.files import parse_document

_JSON_KEYS = ("label", "cls", "class", "target")
_LABEL_ENDINGS = (".cls", ".json")
_NUMBERED = re.compile(r"(?P<set>.*?)(?P<number>\d+)")


def find_shards(path: Path, split: str = "test") -> list[Path]:
    """Return the shards at ``path`` (a shard, or a folder of them), or nothing if it has none.

    Where names tell the split apart (``imagenet-val-000000.tar``), only that split's shards are returned.

    Raises:
        RobenchError: shards of other splits only, of several sets, or with gaps in their numbers.
    """
    if path.is_file():
        return [path] if path.suffix == ".tar" and _is_shard(path) else []
    tars = sorted(p for p in path.glob("*.tar") if p.is_file()) if path.is_dir() else []
    if not tars or not _is_shard(tars[0]):
        return []
    words = {tar: _split_word(tar) for tar in tars}
    named = choose_split([word for word in words.values() if word], split, str(path))
    chosen = [tar for tar in tars if words[tar] == (named or "")]
    if not chosen:
        raise RobenchError(
            f"{path} holds shards of the split {', '.join(sorted(set(words.values())))}; '{split}' is not there.",
            hint=f"Get the '{split}' shards, or give one of these files itself to measure it all the same.",
        )
    _refuse_several(path, chosen)
    return chosen


def split_of_shards(shards: list[Path]) -> str:
    """Return the split that the names of shards tell, or nothing."""
    return _split_word(shards[0]) if shards else ""


def _split_word(tar: Path) -> str:
    """Return the word in a shard's name that is that of a split (``set-val-000000.tar``), or nothing."""
    return next((word for word in re.split(r"[^A-Za-z]+", tar.stem) if kind_of(word)), "")


def _refuse_several(path: Path, shards: list[Path]) -> None:
    """Refuse shards of several sets, which would be pooled, and sets with a shard missing."""
    numbers: dict[str, list[int]] = {}
    for tar in shards:
        match = _NUMBERED.fullmatch(tar.stem)
        numbers.setdefault(match["set"] if match else tar.stem, []).append(int(match["number"]) if match else 0)
    if len(numbers) > 1:
        names = [name.rstrip("-_.") for name in numbers]
        raise RobenchError(
            f"{path} holds shards of {len(numbers)} sets: {', '.join(names[:5])}.",
            hint="Keep those of one set in the folder, or give the folder of one.",
        )
    (there,) = numbers.values()
    if missing := sorted(set(range(min(there), max(there) + 1)) - set(there)):
        raise RobenchError(
            f"{path}: {len(missing)} of the shards up to number {max(there)} are missing, such as number {missing[0]}.",
            hint="Download the set again.",
        )


def load_shards(shards: list[Path], *, geometry: Geometry | None = None, workers: int | None = None) -> EncodedImages:
    """Read labelled images from shards, in the order of shards and keys.

    Args:
        shards: the tar files.
        geometry: resize and crop after decoding.
        workers: decoding threads.

    Raises:
        RobenchError: a shard is damaged or without images, an image has no label, or a label is not one class.
    """
    tree = TarTree(shards)
    paths: list[str] = []
    values: list[Any] = []
    strange: list[str] = []
    for folder in _all_folders(tree):
        members = set(tree.files(folder))
        last = None
        for name in sorted(members):
            if is_image_name(name):
                if (key := name.split(".", 1)[0]) == last:
                    raise RobenchError(
                        f"{tree.root}: {join(folder, key)} has several images, such as {name}.",
                        hint="Keep the one that is to be classified.",
                    )
                last = key
                paths.append(join(folder, name))
                values.append(_label(tree, folder, name, members))
            elif not name.lower().endswith(_LABEL_ENDINGS):
                strange.append(name)
    if not paths:
        raise RobenchError(f"{tree.root} holds labels, but no images.", hint="Check that the shards are complete.")
    objects = np.empty(len(values), object)
    objects[:] = values
    found = read_labels(objects, f"the labels of {tree.root}")
    if len(found.numbers) and found.numbers.min() < 0:
        raise RobenchError(
            f"{tree.root}: {int((found.numbers < 0).sum()):,} images have a negative label.",
            hint="Hidden labels cannot be measured against: get the shards of the validation split.",
        )
    # Labels of shards are numbers in text files: nothing to say of that.
    remarks = tuple(remark for remark in found.remarks if found.classes is not None)
    return EncodedImages(
        TreeSource(tree, paths), found.numbers, found.classes, files=paths, geometry=geometry, workers=workers,
        remarks=(*remarks, *omitted(strange, str(tree.root))),
    )  # fmt: skip


def _all_folders(tree: TarTree, path: str = "") -> Iterator[str]:
    """Yield a folder and those within it, at any depth: keys may have folders in front."""
    yield path
    for name in tree.folders(path):
        yield from _all_folders(tree, join(path, name))


def _is_shard(path: Path) -> bool:
    """Whether the archive begins with samples: a class number, or a JSON document beside an image of its key.

    Class folders may have a JSON document beside them, too, which describes the whole set.
    """
    import tarfile

    try:
        with tarfile.open(path, "r:") as archive:
            first = [member.name for _, member in zip(range(16), archive, strict=False)]
    except (tarfile.TarError, OSError):
        return False
    images = {_key(name) for name in first if is_image_name(name)}
    return any(name.endswith(".cls") or (name.endswith(".json") and _key(name) in images) for name in first)


def _key(name: str) -> str:
    """Return a member's key: its folder, and its name until the first dot."""
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.split(".", 1)[0]


def _label(tree: TarTree, folder: str, name: str, members: set[str]) -> Any:
    """Return an image's label as stored next to it: text or a number."""
    key = name.split(".", 1)[0]
    try:
        if f"{key}.cls" in members:
            return _number_or_name(tree.fetch(join(folder, f"{key}.cls")).decode().strip())
        if f"{key}.json" not in members:
            raise RobenchError(
                f"{tree.root}: {name} has no label.", hint=f"Expected {key}.cls or {key}.json next to it."
            )
        record = parse_document(tree.fetch(join(folder, f"{key}.json")), f"{key}.json", "label of an image in the file")
    except (ValueError, OSError) as error:
        raise RobenchError(f"{tree.root}: the label of {name} cannot be read: {error}.", hint="Check it.") from error
    found = [key_ for key_ in _JSON_KEYS if key_ in record]
    if len(found) > 1:  # {"label": 3, "class": "cat"}: the number is the label
        found = [key_ for key_ in found if isinstance(record[key_], int)] or found
    if len(found) == 1:
        return record[found[0]]
    said = f"several of the keys {', '.join(found)}" if found else f"none of the keys {', '.join(_JSON_KEYS)}"
    raise RobenchError(f"{tree.root}: the label of {name} has {said}.", hint="Write the class under one of them.")


def _number_or_name(text: str) -> str | int:
    return int(text) if text.isascii() and text.lstrip("-").isdecimal() else text
