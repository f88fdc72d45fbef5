"""Published arrays in CIFAR-C's layout: one file per corruption, rows by rising severity, one label file for all.

The published files hold five severities of 10,000 images. Copies that hold one severity are read as such: by their
number of images, or, where that is not the published one, by the labels, which repeat from severity to severity.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.cpu import cores
from robench.data.arrays import ArrayImages, load_labels, map_npy
from robench.data.base import Images
from robench.data.classes import class_list, label_map
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_labels, check_side
from robench.suites.copies import found_copy
from robench.suites.opened import Found, choose_cells
from robench.suites.origin import mark_in
from robench.suites.protocols import SEVERITIES
from robench.suites.reading import View, view_of

_ALL = len(SEVERITIES)


@dataclass(frozen=True)
class Blocks:
    """What the rows of the files are.

    Args:
        labels: int64 (n,), of the images of one severity.
        severities: those that the files hold, n rows each.
    """

    labels: npt.NDArray[np.int64]
    severities: tuple[int, ...]

    def rows(self, severity: int) -> npt.NDArray[np.int64]:
        """Return the rows of a severity's images, int64 (n,)."""
        start = self.severities.index(severity) * len(self.labels)
        return np.arange(start, start + len(self.labels), dtype=np.int64)


def open_published(suite: Suite, folder: Path, options: OpenOptions) -> Found:
    """Open published arrays.

    The clean cell is there where the clean test set lies beside the files (or at ``options.clean``); its labels
    are then compared with theirs.

    Raises:
        RobenchError: a file is missing, damaged, of another shape or type, or the labels do not repeat.
    """
    clean = _find_clean(suite, folder, options)
    cells = _cells_of_files(suite, folder, options, clean is not None)
    conditions = list(dict.fromkeys(cell.condition for cell in cells if cell.severity is not None))
    arrays = {name: map_npy(folder / f"{name}.npy") for name in conditions}
    labels, remarks = _labels(suite, folder / "labels.npy")
    blocks = find_blocks(suite, folder, labels, [len(array) for array in arrays.values()], options)
    files = {name: _checked(folder / f"{name}.npy", array, blocks, suite.side) for name, array in arrays.items()}
    cells = tuple(cell for cell in cells if cell.severity is None or cell.severity in blocks.severities)
    if clean is not None:
        _compare(clean, blocks.labels, folder)

    def view(cell: Cell) -> View:
        if cell.severity is None:
            assert clean is not None  # _cells_of_files gave no clean cell otherwise
            return view_of(clean)
        index = np.arange(len(blocks.labels), dtype=np.int64)
        return View(files[cell.condition], blocks.rows(cell.severity), index, blocks.labels)

    protocol: dict[str, Any] = {"files": _checksums(list(files.values()), conditions)}
    protocol["labels"] = hashlib.sha256(blocks.labels.tobytes()).hexdigest()
    if clean is not None:
        protocol["clean"] = clean.checksum()
        remarks = (*clean.remarks, *remarks)
    classes = clean.classes if clean is not None else None
    mark = mark_in(folder, suite.name)
    return Found(suite, cells, "published", view, protocol, classes, remarks=remarks, mark=mark)


def find_blocks(
    suite: Suite, folder: Path, labels: npt.NDArray[np.int64], lengths: Sequence[int], options: OpenOptions
) -> Blocks:
    """Find out which rows of the files are which severity's.

    Args:
        suite: the protocol.
        folder: the files' place, for messages, and for the mark of ``robench data generate``.
        labels: int64 (L,), as stored.
        lengths: number of rows of each file of images; may be empty.
        options: the severities asked for; exactly one tells which one the files hold, where they hold one.

    Raises:
        RobenchError: the labels fit neither five severities nor one, or it cannot be told which.
    """
    rows = Counter(lengths).most_common(1)[0][0] if lengths else len(labels)
    if rows == _ALL * len(labels):  # one severity's labels, which serve for all
        return Blocks(labels, SEVERITIES)
    if len(labels) == _ALL * rows and _repeats(labels):
        return Blocks(labels[:rows], _only(folder, rows, options))
    if _are_five(suite, folder, labels, options):
        return Blocks(labels[: len(labels) // _ALL], SEVERITIES)
    return Blocks(labels, _only(folder, len(labels), options))


def _are_five(suite: Suite, folder: Path, labels: npt.NDArray[np.int64], options: OpenOptions) -> bool:
    """Tell labels of five severities from those of one, or refuse what is neither."""
    count, published = len(labels), suite.images or 0
    path = folder / "labels.npy"
    if count == published:
        return False
    one = options.severities is not None and len(options.severities) == 1 and count != _ALL * published
    if not _repeats(labels):
        if one:
            return False
        if count % _ALL:
            raise RobenchError(
                f"{path}: expected five equal blocks of labels; found {count:,} labels.",
                hint=f"Get labels.npy of the set again: it has {_ALL} x {published:,} labels. Of files of one severity"
                " say which one: `severity=5`.",
            )
        raise RobenchError(
            f"{path}: the labels of severity 1 are not repeated for severities 2 to 5.",
            hint="The file is of another set, or its rows were shuffled; get it again. Of files of one severity say"
            " which one: `severity=5`.",
        )
    if count == _ALL * published or mark_in(folder, suite.name) is not None:
        return True
    if (period := _period(labels)) == count // _ALL:
        return True
    if one:
        return False
    raise RobenchError(
        f"{path}: the {count:,} labels repeat every {period:,}, so that they may be those of five severities or of"
        " one.",
        hint=f"Give files of {published:,} images per severity, or say which one they hold: `severity=5`.",
    )


def _only(folder: Path, count: int, options: OpenOptions) -> tuple[int, ...]:
    """Return the one severity that the files hold: the one asked for."""
    if options.severities is None or len(options.severities) != 1:
        raise RobenchError(
            f"{folder} holds the {count:,} images of one severity; which one cannot be told.",
            hint="Say which: `severity=5`.",
        )
    return options.severities


def _repeats(labels: npt.NDArray[np.int64]) -> bool:
    """Whether the labels are five equal blocks."""
    if len(labels) == 0 or len(labels) % _ALL:
        return False
    blocks = labels.reshape(_ALL, -1)
    return bool((blocks == blocks[0]).all())


def _period(labels: npt.NDArray[np.int64]) -> int:
    """Return the smallest number of labels that five equal blocks repeat, at most a block's length."""
    block = len(labels) // _ALL
    return next(
        size for size in range(1, block + 1) if block % size == 0 and (labels.reshape(-1, size) == labels[:size]).all()
    )


def _labels(suite: Suite, path: Path) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return the labels of a file within the suite's classes, and what was done to them."""
    found = load_labels(path)
    numbers = found.numbers
    if found.classes is not None:
        wanted = class_list(suite.dataset)
        if wanted is None:
            raise RobenchError(f"{path}: labels are names; expected class numbers.", hint="Store numbers from 0.")
        numbers = label_map(found.classes, wanted, str(path))[numbers]
    check_labels(numbers, suite.num_classes, str(path))
    return numbers, found.remarks


def _checked(path: Path, array: npt.NDArray[Any], blocks: Blocks, side: int | None) -> ArrayImages:
    each, count = len(blocks.labels), len(blocks.severities)
    if len(array) != count * each:
        parts = f"{count} severities of {each:,}" if count > 1 else "one severity"
        raise RobenchError(
            f"{path}: expected {count * each:,} images ({parts}, as labels.npy says); found {len(array):,}.",
            hint="The file is incomplete or of another set; get it again ('robench data verify').",
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
            hint=f"Get the rest, or measure what is there: `corruption='{','.join(present) or '...'}'`.",
        )
    return tuple(cells)


def _find_clean(suite: Suite, folder: Path, options: OpenOptions) -> Images | None:
    """Open the clean test set where there is one."""
    from robench.data.cifar import find_layout

    given = options.clean
    places = [Path(given)] if given else [p for p in (folder, folder.parent) if find_layout(p, suite.dataset)]
    if not places:
        return None
    clean = open_images(places[0], split="test", dataset=suite.dataset, workers=options.workers)
    if (copy := found_copy(suite.dataset, clean)) is not None and mark_in(folder, suite.name) is None:
        raise RobenchError(
            f"{places[0]} holds JPEG files ({copy}), but the published images were made of the lossless ones.",
            hint=f"Give the published files of {suite.dataset}, or omit `clean`.",
        )
    return clean


def _compare(clean: Images, labels: npt.NDArray[np.int64], folder: Path) -> None:
    """Refuse a clean set with other labels than the corrupted set's."""
    if clean.labels is None or not np.array_equal(clean.labels, labels):
        raise RobenchError(
            f"The labels in {folder / 'labels.npy'} differ from those of the clean test set.",
            hint="One of the two is reordered or of another set; both must be in the order of the published test set.",
        )


def _checksums(images: list[ArrayImages], names: list[str]) -> dict[str, str]:
    """Return the SHA-256 of every file; hashing leaves Python's lock, so files are hashed side by side."""
    with ThreadPoolExecutor(cores()) as pool:
        return dict(zip(names, pool.map(ArrayImages.checksum, images), strict=True))
