"""Suites of one or a few labelled sets: CIFAR-10.1, ImageNet-R, -A, -200, V2, Sketch, Real Blurry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.data.arrays import ArrayImages
from robench.data.base import Geometry, Images
from robench.data.classes import WORDNET_ID, imagenet_wnids, label_map
from robench.data.encoded import EncodedImages
from robench.data.find import open_images
from robench.data.folders import load_folders
from robench.data.pairs import load_pair
from robench.data.parquet import find_parquet
from robench.data.trees import Tree, join, open_tree
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_labels, check_side
from robench.suites.opened import Found, choose_cells
from robench.suites.outliers import ALONE
from robench.suites.reading import View, view_of
from robench.suites.subsets import SUBSETS

_SPLITS = ("val", "train")  # ImageNet's own, where they lie beside a set


def open_cifar10_1(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open CIFAR-10.1: ``cifar10.1_VERSION_data.npy`` with its labels, at ``data`` or in ``datasets`` below it.

    Raises:
        RobenchError: no version there, or damaged files.
    """
    folder = _needed(suite, data)
    sets: dict[Cell, ArrayImages] = {}
    for cell in choose_cells(suite, options):
        for place in (folder, folder / "datasets"):
            file = place / f"cifar10.1_{cell.condition}_data.npy"
            if file.is_file():
                labels = place / f"cifar10.1_{cell.condition}_labels.npy"
                sets[cell] = load_pair(file, labels)
                check_labels(sets[cell].labels, suite.num_classes, str(labels))
                check_side(sets[cell].array.shape, str(file), suite.side)
                break
    if not sets:
        raise RobenchError(f"{folder} has no cifar10.1_v6_data.npy or cifar10.1_v4_data.npy.", hint="Check `data`.")
    return _found(suite, sets, None)


def open_imagenet_set(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open a set of ImageNet's classes, with the matching clean cell where the validation set is there too.

    Args:
        suite: the protocol.
        data: the set's folder or tar, a folder that holds it, or any form that ``open_images`` reads.
        options: ``clean`` is the validation set, if it does not lie beside the set as ``val``.

    Raises:
        RobenchError: no such set there, or class folders that are none of the suite's.
    """
    path = _needed(suite, data)
    geometry = options.geometry or suite.geometry
    wnids = _wnids(suite)
    sets: dict[Cell, EncodedImages] = {}
    said: list[str] = []
    for cell in choose_cells(suite, options):
        found = None
        if cell.condition != suite.clean:
            found = _find_set(suite, cell, path, wnids, geometry, options)
        elif (place := _clean_place(suite, path, options)) is not None:
            try:
                found = _clean_set(place, wnids, geometry, options)
            except RobenchError as error:
                if options.clean or suite.clean in suite.benchmark:
                    raise
                said.append(not_measured(place, error))  # nobody has said that it is ImageNet's
        if found is not None:
            sets[cell] = found
    if not [cell for cell in sets if cell.condition in suite.benchmark]:
        raise RobenchError(f"{path} has nothing of {suite.name}.", hint=f"See 'robench suites show {suite.name}'.")
    return _found(suite, sets, geometry, said)


def not_measured(place: Path, error: RobenchError) -> str:
    """Return what is said of a folder that was looked into for the clean images because of its name."""
    return f"{place} was not measured as the clean images: {error.message}"


def _found(suite: Suite, sets: Mapping[Cell, Images], geometry: Geometry | None, said: Sequence[str] = ()) -> Found:
    protocol: dict[str, Any] = {"checksums": {cell.name: images.checksum() for cell, images in sets.items()}}
    protocol["images"] = {cell.name: len(images) for cell, images in sets.items()}
    if geometry is not None:
        protocol["geometry"] = geometry.record()

    def view(cell: Cell) -> View:
        whole = view_of(sets[cell])
        foreign = suite.task == "ood" and cell.condition != suite.clean
        return replace(whole, target=np.full(len(whole), -1, np.int64)) if foreign else whole

    classes = next(iter(sets.values())).classes
    remarks = (*dict.fromkeys(remark for images in sets.values() for remark in images.remarks), *said)
    if suite.task == "ood" and not any(cell.condition == suite.clean for cell in sets):
        remarks = (*remarks, ALONE)
    return Found(suite, tuple(sets), "published", view, protocol, classes, remarks=remarks)


def _needed(suite: Suite, data: Path | None) -> Path:
    if data is None:
        raise RobenchError(
            f"{suite.name} needs data.", hint=f"Give `data`; 'robench suites show {suite.name}' says how to get it."
        )
    return data


def _wnids(suite: Suite) -> tuple[str, ...]:
    """Return the WordNet ids that labels count in: the suite's subset, or all 1,000."""
    everything = imagenet_wnids()
    return tuple(everything[i] for i in SUBSETS[suite.subset]) if suite.subset else everything


def _clean_place(suite: Suite, path: Path, options: OpenOptions) -> Path | None:
    if options.clean:
        return Path(options.clean)
    if suite.clean in suite.benchmark:  # the clean set is the suite
        return path
    beside = [path / "val", path.parent / "val"]
    return next((place for place in beside if place.is_dir()), None)


def _clean_set(place: Path, wnids: tuple[str, ...], geometry: Geometry, options: OpenOptions) -> EncodedImages:
    """Open ImageNet's validation set, cut to some classes."""
    images = open_images(place, split="test", dataset="imagenet", geometry=geometry, workers=options.workers)
    if not isinstance(images, EncodedImages) or images.labels is None:
        raise RobenchError(f"{place} holds no labelled ImageNet images.", hint="Give ImageNet's validation folder.")
    return cut(images, _labels_within(images.labels, wnids), wnids)


@dataclass
class _RowsOf:
    """Some rows of a source of encoded images."""

    source: Any
    rows: Sequence[int]

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, position: int) -> str:
        return str(self.source.name(self.rows[position]))

    def fetch(self, position: int) -> bytes:
        return bytes(self.source.fetch(self.rows[position]))

    def identity(self) -> bytes:
        return bytes(self.source.identity()) + np.asarray(self.rows, np.int64).tobytes()


def cut(images: EncodedImages, labels: npt.NDArray[np.int64], classes: tuple[str, ...]) -> EncodedImages:
    """Keep the images whose label is not -1."""
    rows = np.flatnonzero(labels >= 0)
    files = None if images.files is None else [images.files[int(row)] for row in rows]
    source = _RowsOf(images.source, rows.tolist())
    return EncodedImages(
        source,
        labels[rows],
        classes,
        files=files,
        geometry=images.geometry,
        workers=images.workers,
        remarks=images.remarks,
    )


def _find_set(
    suite: Suite, cell: Cell, path: Path, wnids: tuple[str, ...], geometry: Geometry, options: OpenOptions
) -> EncodedImages | None:
    """Open the set of one cell: class folders wherever they are below ``path``, else any other known form."""
    if str(path).startswith("hf:") or not (path.is_dir() or path.suffix == ".tar") or find_parquet(path, "test"):
        return _other_form(path, wnids, geometry, options)
    tree = open_tree(path)
    variants = len(suite.benchmark) > 1
    places = _class_level(tree, cell.condition, variants=variants)
    if not places:
        return None
    below = places[0] if variants or len(places) == 1 else _named(tree, places, cell.condition)
    images = _of_folders(tree, below, wnids, geometry, options)
    if variants and len(places) > 1:
        several = f"{tree.root} holds {cell.condition} several times: {below} was read, not {', '.join(places[1:4])}."
        images.remarks = (*images.remarks, several)
    return images


def _of_folders(
    tree: Tree, below: str, wnids: tuple[str, ...], geometry: Geometry, options: OpenOptions
) -> EncodedImages:
    """Open class folders that are called by number, WordNet id or name."""
    folders = tree.folders(below)
    if all(name.isdigit() for name in folders):
        return _numbered(tree, below, folders, wnids, geometry, options)
    if any(WORDNET_ID.fullmatch(name) for name in folders):
        return load_folders(tree, wnids, below=below, split="", geometry=geometry, workers=options.workers)
    images = load_folders(tree, None, below=below, split="", geometry=geometry, workers=options.workers)
    labels = _by_name(images, wnids, f"{tree.root}/{below}".rstrip("/"))
    if (labels < 0).any():
        return cut(images, labels, wnids)
    images.labels, images.classes = labels, wnids
    return images


def _numbered(
    tree: Tree, below: str, folders: list[str], wnids: tuple[str, ...], geometry: Geometry, options: OpenOptions
) -> EncodedImages:
    """Open folders named by class number, as in ImageNetV2, where a sort as text would permute the labels."""
    if max(map(int, folders)) >= len(wnids):
        raise RobenchError(
            f"{tree.root}/{below}: folder {max(folders, key=int)} is beyond class {len(wnids) - 1}.",
            hint="Numbered folders are zero-based class numbers.",
        )
    images = load_folders(tree, None, below=below, split="", first=0, geometry=geometry, workers=options.workers)
    images.classes = wnids
    return images


def _other_form(path: Path, wnids: tuple[str, ...], geometry: Geometry, options: OpenOptions) -> EncodedImages:
    images = open_images(path, split="test", geometry=geometry, workers=options.workers)
    if not isinstance(images, EncodedImages) or images.labels is None:
        raise RobenchError(f"{path} holds no labelled image files.", hint="Give the set's folder.")
    return cut(images, _by_name(images, wnids, str(path)), wnids)


def _by_name(images: EncodedImages, wnids: tuple[str, ...], where: str) -> npt.NDArray[np.int64]:
    """Return labels within the suite's classes: by ImageNet's names or WordNet ids where the set names its labels.

    Those of other images are -1, which a remark of the images says.
    """
    assert images.labels is not None  # both callers have seen to it
    everything = images.labels
    if images.classes is not None:
        everything = label_map(images.classes, imagenet_wnids(), where)[everything]
    found = _labels_within(everything, wnids)
    if foreign := int((found < 0).sum()):
        said = f"{where}: {foreign:,} images of classes that are none of the suite's {len(wnids):,} were left out."
        images.remarks = (*images.remarks, said)
    return found


def _labels_within(labels: npt.NDArray[np.int64], wnids: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Return labels of the 1,000 classes as labels within some of them, -1 for the others."""
    rank = {wnid: label for label, wnid in enumerate(wnids)}
    everything = imagenet_wnids()
    return np.array([rank.get(everything[label], -1) for label in labels], np.int64)


def _class_level(tree: Tree, condition: str, *, variants: bool) -> list[str]:
    """Return the folders that hold class folders of a condition, the first level of folders that has any.

    Of a suite of several sets (``variants``) they have the condition's name.
    """
    level = [""]
    for _ in range(3):
        below: list[str] = []
        found: list[str] = []
        for path in level:
            folders = tree.folders(path)
            looks = any(WORDNET_ID.fullmatch(name) or name.isdigit() for name in folders)
            if (looks or (folders and _all_leaves(tree, path, folders))) and (
                not variants or condition in f"{tree.root.absolute().name}/{path}"
            ):
                found.append(path)
            elif not looks:
                below += [join(path, name) for name in folders[:50] if name not in _SPLITS]
        if found:
            return found
        level = below
    return []


def _named(tree: Tree, found: list[str], condition: str) -> str:
    """Return the one of several sets side by side that has the condition's name.

    Raises:
        RobenchError: none has, or several.
    """
    wanted = condition.removeprefix("real-")  # blurry_images
    named = [path for path in found if wanted in path.lower().replace("_", "-")]
    if len(named) != 1:
        raise RobenchError(
            f"{tree.root} holds several sets: {', '.join(found[:5])}.", hint="Give the folder of one of them."
        )
    return named[0]


def _all_leaves(tree: Tree, path: str, folders: list[str]) -> bool:
    return all(not tree.folders(join(path, name)) for name in folders[:3])
