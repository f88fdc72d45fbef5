"""ImageNet's validation images as they are distributed: all in one folder (or tar), with their labels in a table.

Four tables are known: Kaggle's ``LOC_val_solution.csv``, a list of WordNet ids by image number (TensorFlow's
``imagenet_2012_validation_synset_labels.txt``), Caffe's ``val.txt`` (``NAME LABEL``, labels from 0 in the order of
WordNet ids), and ``ILSVRC2012_validation_ground_truth.txt`` of the development kit, whose own numbering needs
``meta.mat`` beside it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robench.data.base import Geometry
from robench.data.classes import WORDNET_ID, imagenet_wnids
from robench.data.encoded import EncodedImages
from robench.data.trees import FolderTree, TarTree, Tree, TreeSource, is_image_name, omitted
from robench.errors import RobenchError
from robench.files import require_regular

_NAME = re.compile(r"(ILSVRC2012_val_(\d{8}))\.\w+")
_WITHIN = ("", "val", "ILSVRC/Data/CLS-LOC/val", "Data/CLS-LOC/val")
_BESIDE = ("", "devkit/data", "ILSVRC2012_devkit_t12/data", "data")
_META = "meta.mat"
_LEVELS_UP = 5  # from ILSVRC/Data/CLS-LOC/val to the folder with Kaggle's tables
_MAX_BYTES = 64 << 20

Labels = Callable[[str, int], str | None]
"""From an image's name without its ending, and its number, to its WordNet id."""


class Flat(NamedTuple):
    """The images found: the tree they lie at the top of, and their names."""

    tree: Tree
    names: list[str]


def find_flat(path: Path) -> Flat | None:
    """Return ImageNet's validation images where ``path`` is, or holds, one folder or tar of them, else None."""
    if path.is_file() and path.suffix == ".tar":
        tree: Tree = TarTree([path])
        return _flat(tree)
    for below in _WITHIN if path.is_dir() else ():
        if (path / below).is_dir() and (found := _flat(FolderTree(path / below))) is not None:
            return found
    return None


def _flat(tree: Tree) -> Flat | None:
    names = [name for name in tree.files() if _NAME.fullmatch(name) and is_image_name(name)]
    return Flat(tree, names) if names else None


def load_flat(found: Flat, *, geometry: Geometry | None = None, workers: int | None = None) -> EncodedImages:
    """Read the images in the order that they have in class folders; labels count ImageNet's 1,000 classes.

    Args:
        found: from :func:`find_flat`.
        geometry: resize and crop after decoding.
        workers: decoding threads.

    Raises:
        RobenchError: no table of labels beside the images, a table that cannot be read, or images it does not name.
    """
    table, labels, remarks = _find_labels(found.tree)
    strange = sorted(set(found.tree.files()) - {*found.names, *_TABLES, _META})
    rank = {wnid: label for label, wnid in enumerate(imagenet_wnids())}
    rows: list[tuple[str, str]] = []
    unknown = []
    for name in found.names:
        match = _NAME.fullmatch(name)
        wnid = labels(match[1], int(match[2])) if match is not None else None
        if wnid is None or wnid not in rank:
            unknown.append(name)
        else:
            rows.append((wnid, name))
    if unknown:
        raise RobenchError(
            f"{table} has no class of ImageNet for {len(unknown):,} of {len(found.names):,} images, such as"
            f" {unknown[0]}.",
            hint="The table is damaged or of another set; get it again.",
        )
    rows.sort()
    return EncodedImages(
        TreeSource(found.tree, [name for _, name in rows]),
        np.array([rank[wnid] for wnid, _ in rows], np.int64),
        imagenet_wnids(),
        files=[f"{wnid}/{name}" for wnid, name in rows],
        geometry=geometry,
        workers=workers,
        remarks=(*remarks, *omitted(strange, str(found.tree.root))),
    )


def _find_labels(tree: Tree) -> tuple[Path, Labels, tuple[str, ...]]:
    """Return the table nearest to the images, what it says, and a remark where there are several."""
    folder = tree.root if tree.root.is_dir() else tree.root.parent
    above = [folder, *folder.absolute().parents][:_LEVELS_UP]
    for place in (up / beside for up in above for beside in _BESIDE):
        names = [name for name in _TABLES if (place / name).is_file()]
        if names:
            chosen = f"{place} has {' and '.join(names)}; {names[0]} was read."
            return place / names[0], _TABLES[names[0]](place / names[0]), (chosen,) if len(names) > 1 else ()
    raise RobenchError(
        f"{tree.root} holds ImageNet's validation images in one folder, without their labels.",
        hint=f"Put one of these files beside them: {', '.join(_TABLES)}. Or sort the images into class folders.",
    )


def _by_number(wnids: Sequence[str]) -> Labels:
    return lambda _, number: wnids[number - 1] if 0 < number <= len(wnids) else None


def _by_name(wnids: Mapping[str, str]) -> Labels:
    return lambda name, _: wnids.get(name)


def _kaggle(path: Path) -> Labels:
    """``ImageId,PredictionString``: the string begins with the WordNet id."""
    rows = csv.DictReader(_lines(path))
    if not {"ImageId", "PredictionString"} <= set(rows.fieldnames or ()):
        raise _damaged(path, "the columns ImageId and PredictionString")
    return _by_name({row["ImageId"]: (row["PredictionString"] or "").split(" ")[0] for row in rows})


def _synsets(path: Path) -> Labels:
    wnids = [line.strip() for line in _lines(path)]
    if not all(WORDNET_ID.fullmatch(wnid) for wnid in wnids):
        raise _damaged(path, "one WordNet id per line")
    return _by_number(wnids)


def _caffe(path: Path) -> Labels:
    """``NAME LABEL``, a line per image."""
    everything = imagenet_wnids()
    found = {}
    for line in _lines(path):
        name, _, label = line.strip().rpartition(" ")
        if not label.isdecimal() or int(label) >= len(everything) or not name:
            raise _damaged(path, "lines 'NAME LABEL' with labels from 0 to 999")
        found[Path(name).stem] = everything[int(label)]
    return _by_name(found)


def _development_kit(path: Path) -> Labels:
    """Numbers from 1 in the kit's own order of classes, which ``meta.mat`` tells."""
    meta = path.with_name(_META)
    if not meta.is_file():
        raise RobenchError(
            f"{path} counts classes in the development kit's own order, which is not that of the models; {meta.name} is"
            " missing.",
            hint="Put meta.mat of the development kit beside it.",
        )
    wnids = _meta(meta)
    numbers = [line.strip() for line in _lines(path)]
    if not all(number.isdecimal() and int(number) in wnids for number in numbers):
        raise _damaged(path, "one number from 1 to 1000 per line")
    return _by_number([wnids[int(number)] for number in numbers])


def _meta(path: Path) -> dict[int, str]:
    from scipy.io import loadmat

    try:
        synsets = loadmat(path, squeeze_me=True)["synsets"]
        return {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets}
    except Exception as error:  # a damaged file may raise anything
        raise RobenchError(f"{path} cannot be read: {error}.", hint="Get the development kit again.") from error


def _lines(path: Path) -> list[str]:
    try:
        if require_regular(path).st_size > _MAX_BYTES:
            raise _damaged(path, f"at most {_MAX_BYTES:,} bytes")
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RobenchError(f"{path} cannot be read: {error}.", hint="Get it again.") from error


def _damaged(path: Path, expected: str) -> RobenchError:
    return RobenchError(f"{path}: expected {expected}.", hint="The table is damaged or of another set; get it again.")


_TABLES: dict[str, Callable[[Path], Labels]] = {
    "LOC_val_solution.csv": _kaggle,
    "imagenet_2012_validation_synset_labels.txt": _synsets,
    "val.txt": _caffe,
    "ILSVRC2012_validation_ground_truth.txt": _development_kit,
}
