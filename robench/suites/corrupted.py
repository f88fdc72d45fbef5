"""The -C suites on 32x32 images: published arrays, or corruptions generated from the clean set."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.data.arrays import ArrayImages, map_npy
from robench.data.base import Images
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.processes import cores
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_clean, check_labels, check_side, only_one
from robench.suites.opened import Found, choose_cells, without_held_out
from robench.suites.protocols import SEVERITIES
from robench.suites.reading import Transform, View, view_of

if TYPE_CHECKING:
    import torch

BLOCKS = len(SEVERITIES)


def open_digits(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open digits-c: the embedded test split, corrupted on the fly."""
    return open_generated(suite, embedded(suite, data), options)


def open_cifar(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open CIFAR-10-C or CIFAR-100-C: published ``.npy`` files, or the clean test set to corrupt.

    Raises:
        RobenchError: neither is at ``data``, or the files differ from the published layout.
    """
    if data is None:
        raise RobenchError(
            f"{suite.name} needs data: the published files or the clean test set.",
            hint=f"Give --data DIR; 'robench data download {suite.name}' fetches the published files.",
        )
    if (folder := find_published(suite, data)) is not None:
        return open_published(suite, folder, options)
    clean = open_images(data, split="test", dataset=suite.dataset, workers=options.workers)
    check_clean(suite, clean, str(data))
    return open_generated(suite, clean, options)


def find_published(suite: Suite, data: Path) -> Path | None:
    """Return the folder with arrays of the suite's conditions: ``data`` itself or one level down.

    Raises:
        RobenchError: several folders have them, such as CIFAR-10-C and CIFAR-100-C side by side.
    """
    if not data.is_dir():
        return None
    conditions = {cell.condition for cell in suite.cells if cell.severity}
    folders = [data, *sorted(path for path in data.iterdir() if path.is_dir())]
    found = [f for f in folders if any((f / f"{name}.npy").is_file() for name in conditions)]
    # Sequences (CIFAR-P) have files of the same names and no labels.
    return only_one([f for f in found if (f / "labels.npy").is_file()] or found, data)


def embedded(suite: Suite, data: Path | None) -> Images:
    """Return the embedded digits, the data of a suite that takes none.

    Raises:
        RobenchError: data was given all the same.
    """
    if data is not None and str(data) != "digits":
        raise RobenchError(
            f"{suite.name} has its data embedded and takes none; found {data}.",
            hint="Omit the data, or choose the suite of your data ('robench suites list').",
        )
    return open_images("digits")


def open_generated(suite: Suite, clean: Images, options: OpenOptions) -> Found:
    """Open a -C suite whose images are made from clean ones as they are read."""
    if clean.labels is None:
        raise RobenchError("The clean set has no labels.", hint="Give a labelled test set.")
    cells = without_held_out(suite, choose_cells(suite, options), options)

    def view(cell: Cell) -> View:
        return view_of(clean, None if cell.severity is None else corruption(cell, options))

    protocol: dict[str, Any] = {"clean": clean.checksum(), **frost_record(options)}
    return Found(suite, cells, "generated", view, protocol, clean.classes, remarks=tuple(clean.remarks))


def corruption(cell: Cell, options: OpenOptions) -> Transform:
    """Return the function that corrupts a batch for this cell."""
    severity = cell.severity or 1

    def transform(pixels: torch.Tensor, index: npt.NDArray[np.int64]) -> torch.Tensor:
        from robench.corruptions import corrupt  # late: it imports torch

        return corrupt(pixels, cell.condition, severity, index=index, seed=options.seed, frost=options.frost_dir)

    return transform


def frost_record(options: OpenOptions) -> dict[str, Any]:
    """Return which frost images are overlaid: robench's, with their version, or the user's, with their checksums."""
    from robench.corruptions.frost import describe  # late: it imports torch

    return {"frost": describe(options.frost_dir)}


def open_published(suite: Suite, folder: Path, options: OpenOptions) -> Found:
    """Open published arrays: one file per corruption, five blocks of rows by rising severity, one label file.

    The clean cell is there where the clean test set lies beside the files (or at ``options.clean``); its labels
    are then compared with theirs.

    Raises:
        RobenchError: a file is missing, damaged, of another shape or type, or the labels do not repeat.
    """
    labels = _block_labels(folder / "labels.npy")
    check_labels(labels, suite.num_classes, str(folder / "labels.npy"))
    clean = _clean_beside(suite, folder, labels, options)
    cells = _cells_of_files(suite, folder, options, clean is not None)
    conditions = list(dict.fromkeys(cell.condition for cell in cells if cell.severity is not None))
    files = {name: _condition_file(folder / f"{name}.npy", len(labels), suite.side) for name in conditions}

    def view(cell: Cell) -> View:
        if cell.severity is None:
            assert clean is not None  # _cells_of_files gave no clean cell otherwise
            return view_of(clean)
        index = np.arange(len(labels), dtype=np.int64)
        return View(files[cell.condition], index + (cell.severity - 1) * len(labels), index, labels)

    protocol: dict[str, Any] = {"files": _checksums(list(files.values()), conditions)}
    protocol["labels"] = hashlib.sha256(labels.tobytes()).hexdigest()
    if clean is not None:
        protocol["clean"] = clean.checksum()
    classes = clean.classes if clean is not None else None
    return Found(suite, cells, "published", view, protocol, classes)


def _block_labels(path: Path) -> npt.NDArray[np.int64]:
    """Return the labels of one severity: the published file repeats them five times."""
    labels = np.asarray(map_npy(path, ndim=1, dtype=None))
    if labels.dtype.kind not in "iu" or len(labels) % BLOCKS:
        raise RobenchError(
            f"{path}: expected integers, five equal blocks of labels; found {labels.dtype} of shape {labels.shape}.",
            hint="Fetch labels.npy of the set again; a CIFAR-C set has 5 x 10,000 labels.",
        )
    blocks = labels.reshape(BLOCKS, -1).astype(np.int64)
    if (blocks != blocks[0]).any():
        raise RobenchError(
            f"{path}: the labels of severity 1 are not repeated for severities 2 to 5.",
            hint="The file is of another set, or its rows were shuffled; fetch it again.",
        )
    first: npt.NDArray[np.int64] = blocks[0]
    return first


def _condition_file(path: Path, per_severity: int, side: int | None) -> ArrayImages:
    array = map_npy(path)
    if len(array) != BLOCKS * per_severity:
        raise RobenchError(
            f"{path}: expected {BLOCKS * per_severity:,} images (5 severities of {per_severity:,}, as labels.npy"
            f" says); found {len(array):,}.",
            hint="The file is incomplete or of another set; fetch it again ('robench data verify').",
        )
    check_side(array.shape, str(path), side)
    return ArrayImages(array, name=str(path), source=path)


def _cells_of_files(suite: Suite, folder: Path, options: OpenOptions, clean: bool) -> tuple[Cell, ...]:
    """Return the cells asked for; unless asked for by name, held-out corruptions only if their files are there."""
    cells = [cell for cell in choose_cells(suite, options) if cell.severity is not None or clean]
    missing = {c.condition for c in cells if c.severity and not (folder / f"{c.condition}.npy").is_file()}
    if options.conditions is None:
        absent = missing & set(suite.held_out)
        missing -= absent
        cells = [cell for cell in cells if cell.condition not in absent]
    if missing:
        present = sorted(p.stem for p in folder.glob("*.npy") if p.stem != "labels")
        raise RobenchError(
            f"{folder} lacks {', '.join(f'{name}.npy' for name in sorted(missing))}.",
            hint=f"Fetch the rest, or measure what is there with --corruption {','.join(present) or '...'}.",
        )
    return tuple(cells)


def _clean_beside(suite: Suite, folder: Path, labels: npt.NDArray[np.int64], options: OpenOptions) -> Images | None:
    """Open the clean test set where there is one, after comparing its labels with the corrupted set's."""
    from robench.data.cifar import find_layout

    given = options.clean
    places = [Path(given)] if given else [p for p in (folder, folder.parent) if find_layout(p, suite.dataset)]
    if not places:
        return None
    clean = open_images(places[0], split="test", dataset=suite.dataset, workers=options.workers)
    if clean.labels is None or not np.array_equal(clean.labels, labels):
        raise RobenchError(
            f"The labels in {folder / 'labels.npy'} differ from those of the clean test set at {places[0]}.",
            hint="One of the two is reordered or of another set; both must be in the order of the published test set.",
        )
    return clean


def _checksums(images: list[ArrayImages], names: list[str]) -> dict[str, str]:
    """Return the SHA-256 of every file; hashing leaves Python's lock, so files are hashed side by side."""
    with ThreadPoolExecutor(cores()) as pool:
        return dict(zip(names, pool.map(ArrayImages.checksum, images), strict=True))
