"""Sets of images that are of none of a model's classes: any folder as ``ood:DIR``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Images
from robench.data.encoded import EncodedImages
from robench.data.find import existing, open_images
from robench.data.trees import FolderTree, TarTree, Tree, TreeSource, images_in, is_image_name, join, omitted
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import View, view_of

ALONE = (
    "There are no images of the model's own classes (`clean`) to tell these from; `robench ood` scores them"
    " against those of another run."
)


def open_outliers(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open a set whose labels, if it has any, mean nothing to the model, and the model's own images beside it.

    Args:
        suite: the protocol.
        data: a folder or tar with image files at any depth, or any form that ``open_images`` reads.
        options: ``clean`` is a labelled set of the model's own classes; without it only the outliers are measured.

    Raises:
        RobenchError: no images there.
    """
    if data is None:
        raise RobenchError(
            f"{suite.name} needs images.", hint="Give their folder: `suite='ood:FOLDER'`, or give it as `data`."
        )
    sets: dict[Cell, Images] = {}
    for cell in choose_cells(suite, options):
        if cell.condition != suite.clean:
            sets[cell] = _any_images(data, options)
        elif options.clean is not None:
            sets[cell] = open_images(options.clean, split="test", geometry=options.geometry, workers=options.workers)
    protocol: dict[str, Any] = {"checksums": {cell.name: images.checksum() for cell, images in sets.items()}}
    protocol["images"] = {cell.name: len(images) for cell, images in sets.items()}
    if options.geometry is not None and any(isinstance(images, EncodedImages) for images in sets.values()):
        protocol["geometry"] = options.geometry.record()
    classes = _classes(sets.get(Cell(suite.clean or ""))) if options.num_classes is None else options.num_classes
    remarks = tuple(dict.fromkeys(remark for images in sets.values() for remark in images.remarks))
    if Cell(suite.clean or "") not in sets:
        remarks = (*remarks, ALONE)
    found = replace(suite, dataset=Path(data).name, num_classes=classes)
    return Found(found, tuple(sets), "published", lambda cell: view(suite, cell, sets[cell]), protocol, remarks=remarks)


def view(suite: Suite, cell: Cell, images: Images) -> View:
    """Return the images of a cell, without labels where they are of none of the model's classes."""
    whole = view_of(images)
    return whole if cell.condition == suite.clean else replace(whole, target=np.full(len(whole), -1, np.int64))


def _classes(clean: Images | None) -> int:
    if clean is None or clean.labels is None:
        return 0
    return len(clean.classes) if clean.classes is not None else int(clean.labels.max(initial=0)) + 1


def _any_images(data: Path, options: OpenOptions) -> Images:
    path = data if str(data).startswith("hf:") or str(data) == "digits" else existing(data)
    if path.is_dir() or path.suffix == ".tar":
        tree: Tree = FolderTree(path) if path.is_dir() else TarTree([path])
        names, strange = _image_names(tree)
        if names:
            return EncodedImages(
                TreeSource(tree, names), None, None, files=names, geometry=options.geometry, workers=options.workers,
                remarks=omitted(strange, str(path)),
            )  # fmt: skip
    return open_images(path, split="test", geometry=options.geometry, workers=options.workers)


def _image_names(tree: Tree) -> tuple[list[str], list[str]]:
    """Return the paths of all image files of a tree, sorted, and the names of other files.

    A folder that links lead to twice, or back to, is read once.
    """
    found: list[str] = []
    strange: list[str] = []
    seen: set[str] = set()
    level = [""]
    while level:
        here = {_place(tree, path): path for path in reversed(level)}
        new = [path for place, path in here.items() if place not in seen]
        seen |= set(here)
        for path in new:
            found += [join(path, name) for name in images_in(tree, path)]
            strange += [name for name in tree.files(path) if not is_image_name(name)]
        level = [join(path, name) for path in new for name in tree.folders(path)]
    return sorted(found), strange


def _place(tree: Tree, path: str) -> str:
    """Return what tells a folder from others, whatever links lead to it."""
    return os.path.realpath(tree.root / path) if isinstance(tree, FolderTree) else path
