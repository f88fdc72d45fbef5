"""Tar shards in WebDataset's layout: ``KEY.jpg`` beside ``KEY.cls`` (a label in digits) or ``KEY.json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.trees import PICTURES, TarTree, TreeSource, join
from robench.errors import RobenchError

_JSON_KEYS = ("label", "cls", "class", "target")


def find_shards(path: Path, split: str = "test") -> list[Path]:
    """Return the shards at ``path`` (a shard, or a folder of them), or nothing if it has none.

    Where names tell the split apart (``imagenet-val-000000.tar``), only that split's shards are returned.
    """
    tars = [path] if path.is_file() and path.suffix == ".tar" else []
    if path.is_dir():
        tars = sorted(p for p in path.glob("*.tar") if p.is_file())
    if not tars or not _is_shard(tars[0]):
        return []
    aliases = {"test": ("test", "val"), "validation": ("val",), "train": ("train",)}.get(split, (split,))
    chosen = [tar for tar in tars if any(alias in tar.name for alias in aliases)]
    return chosen or [tar for tar in tars if not any(word in tar.name for word in ("train", "val", "test"))]


def load_shards(shards: list[Path], *, geometry: Geometry | None = None, workers: int | None = None) -> EncodedImages:
    """Read labelled pictures from shards, in the order of shards and keys.

    Raises:
        RobenchError: a shard is damaged, or a picture has no label.
    """
    tree = TarTree(shards)
    paths: list[str] = []
    labels: list[int] = []
    for folder in ["", *tree.folders()]:
        members = set(tree.files(folder))
        for name in sorted(members):
            if name.lower().endswith(PICTURES):
                paths.append(join(folder, name))
                labels.append(_label(tree, folder, name, members))
    return EncodedImages(
        TreeSource(tree, paths), np.array(labels, np.int64), None, files=paths, geometry=geometry, workers=workers
    )


def _is_shard(path: Path) -> bool:
    """Whether the archive begins with a sample: a picture or label without a class folder around it."""
    import tarfile

    try:
        with tarfile.open(path, "r:") as archive:
            first = [member.name for _, member in zip(range(8), archive, strict=False)]
    except (tarfile.TarError, OSError):
        return False
    return any(name.endswith((".cls", ".json")) for name in first)


def _label(tree: TarTree, folder: str, name: str, members: set[str]) -> int:
    key = name.split(".", 1)[0]
    try:
        if f"{key}.cls" in members:
            return int(tree.fetch(join(folder, f"{key}.cls")))
        if f"{key}.json" in members:
            record = json.loads(tree.fetch(join(folder, f"{key}.json")))
            return int(next(record[k] for k in _JSON_KEYS if k in record))
    except (ValueError, StopIteration, OSError) as error:
        raise RobenchError(f"{tree.root}: the label of {name} cannot be read: {error}.", hint="Check it.") from error
    raise RobenchError(f"{tree.root}: {name} has no label.", hint=f"Expected {key}.cls or {key}.json beside it.")
