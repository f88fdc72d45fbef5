"""ObjectNet: photographs of everyday objects from unusual views, for the classes that ImageNet has too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.data.classes import imagenet_wnids, matched_labels
from robench.data.decode import decode, resize_and_crop
from robench.data.encoded import EncodedImages
from robench.data.trees import FolderTree, TreeSource, images_in, join
from robench.documents import read_document
from robench.errors import RobenchError
from robench.files import sha256
from robench.suites.base import OpenOptions, Suite
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import View, view_of

BORDER = 2
"""Pixels cut from each side, as the authors' loader does: the red border, which is one pixel wide, and one more."""
FOLDERS, CLASSES = "folder_to_objectnet_label.json", "objectnet_to_imagenet_1k.json"
PYTORCH, NAMES = "pytorch_to_imagenet_2012_id.json", "imagenet_to_label_2012_v2"
_GET = "Get ObjectNet from https://objectnet.dev, and give the folder that holds images and mappings."


class WithoutBorder(EncodedImages):
    """Images whose border is cut off before they are scaled."""

    def read_one(self, position: int) -> npt.NDArray[np.uint8]:
        """Return one image after the geometry, uint8 of shape (H, W, 3)."""
        name = self.source.name(position)
        whole = decode(self._fetch(position), Geometry(), name)
        if min(whole.shape[:2]) <= 2 * BORDER:
            raise RobenchError(f"{name} is {whole.shape[0]} x {whole.shape[1]} pixels, nothing but border.", hint=_GET)
        return resize_and_crop(np.ascontiguousarray(whole[BORDER:-BORDER, BORDER:-BORDER]), self.geometry)

    def raw_size(self, position: int) -> tuple[int, int]:
        """Return (height, width) of one image without its border."""
        height, width = super().raw_size(position)
        return height - 2 * BORDER, width - 2 * BORDER


def open_objectnet(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open the images of the classes that ImageNet has too, with all of ImageNet's classes that are right for each.

    Args:
        suite: the protocol.
        data: ObjectNet's folder, with ``images`` and ``mappings``.
        options: ``definition`` is the folder of mappings, where it lies elsewhere.

    Raises:
        RobenchError: no such folders, or mappings of another form.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint=_GET)
    root = next((place for place in (data, data / "objectnet-1.0") if (place / "images").is_dir()), None)
    if root is None:
        raise RobenchError(f"{data} has no folder 'images'.", hint=_GET)
    mappings = Path(options.definition) if options.definition else root / "mappings"
    right = class_map(mappings)
    tree = FolderTree(root)
    paths, labels = [], []
    for folder in tree.folders("images"):
        if folder in right:
            found = images_in(tree, join("images", folder))
            paths += [join("images", folder, name) for name in found]
            labels += [folder] * len(found)
    if not paths:
        raise RobenchError(f"{root}/images has no images of the {len(right)} classes that ImageNet has.", hint=_GET)
    geometry = options.geometry or suite.geometry
    source = TreeSource(tree, paths)
    images = WithoutBorder(source, None, None, files=paths, geometry=geometry, workers=options.workers)
    allowed = np.zeros((len(paths), suite.num_classes), np.int64)
    for row, folder in enumerate(labels):
        allowed[row, list(right[folder])] = 1
    protocol: dict[str, Any] = {
        "checksum": images.checksum(),
        "mappings": {name: sha256(mappings / name) for name in (FOLDERS, CLASSES)},
        "border": BORDER,
        "geometry": geometry.record(),
    }
    absent = sorted(set(right) - set(labels))
    said = (f"{root}: no images of {len(absent)} classes, such as {absent[0]}.",) if absent else ()

    def view(_: Any) -> View:
        return replace(view_of(images), target=allowed)

    return Found(suite, choose_cells(suite, options), "published", view, protocol, imagenet_wnids(), remarks=said)


def class_map(mappings: Path) -> dict[str, tuple[int, ...]]:
    """Return folder of images -> ImageNet's classes that are right for it, of the classes that ImageNet has too.

    Names are looked up in the mappings' own list of ImageNet's labels where it is there, else among ImageNet's names.

    Args:
        mappings: ObjectNet's folder of mappings.

    Raises:
        RobenchError: a file is missing or of another form, or a name is none of ImageNet's.
    """
    for name in (FOLDERS, CLASSES):
        if not (mappings / name).is_file():
            raise RobenchError(f"There is no {name} in {mappings}.", hint=f"{_GET} Or name the folder: `definition`.")
    folder_of = {label: folder for folder, label in _texts(mappings / FOLDERS).items()}
    classes = _texts(mappings / CLASSES)
    unknown = sorted(set(classes) - set(folder_of))
    if unknown:
        raise RobenchError(f"{mappings / FOLDERS} has no folder of {', '.join(unknown[:5])}.", hint=_GET)
    split = {label: [name.strip() for name in names.split(";") if name.strip()] for label, names in classes.items()}
    wanted = sorted({name for names in split.values() for name in names})
    index = _indices(mappings, wanted)
    return {folder_of[label]: tuple(sorted(index[name] for name in names)) for label, names in split.items()}


def _indices(mappings: Path, wanted: list[str]) -> Mapping[str, int]:
    """Return the index, in ImageNet's order of WordNet ids, of every name that is wanted."""
    if (mappings / PYTORCH).is_file() and (mappings / NAMES).is_file():
        listed = [line.strip() for line in (mappings / NAMES).read_text(encoding="utf-8").splitlines()]
        numbers = read_document(mappings / PYTORCH, "class numbers")
        found = {listed[n]: int(i) for i, n in numbers.items() if isinstance(n, int) and 0 <= n < len(listed)}
    else:
        matched = matched_labels(wanted, imagenet_wnids())
        found = {name: label for name, label in zip(wanted, matched, strict=True) if label is not None}
    strange = [name for name in wanted if not 0 <= found.get(name, -1) < len(imagenet_wnids())]
    if strange:
        raise RobenchError(
            f"{mappings / CLASSES}: {len(strange)} names are none of ImageNet's classes: {', '.join(strange[:3])}.",
            hint=_GET,
        )
    return found


def _texts(file: Path) -> dict[str, str]:
    found = read_document(file, "mapping of names")
    if not found or not all(isinstance(value, str) for value in found.values()):
        raise RobenchError(f"{file} does not map names to names.", hint=_GET)
    return dict(found)
