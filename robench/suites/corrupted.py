"""The -C suites on 32x32 images: published arrays, or corruptions generated from the clean set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.data.base import Images
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites import blocks
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_clean, only_one
from robench.suites.copies import found_copy
from robench.suites.frosted import frost_record, frost_remarks, with_frost
from robench.suites.opened import Found, choose_cells, without_held_out
from robench.suites.reading import Transform, View, view_of

if TYPE_CHECKING:
    import torch


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
            hint=f"Give `data`; 'robench data download {suite.name}' fetches the published files.",
        )
    if (folder := find_published(suite, data)) is not None:
        return blocks.open_published(suite, folder, options)
    if "generated" not in suite.sources:
        first = f"{suite.benchmark[0]}.npy"
        raise RobenchError(f"{data} has no arrays of {suite.name}, such as {first}.", hint="Give the published files.")
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
    options = with_frost(suite, options)
    cells = without_held_out(suite, choose_cells(suite, options), options)

    def view(cell: Cell) -> View:
        return view_of(clean, None if cell.severity is None else corruption(cell, options))

    protocol: dict[str, Any] = {"clean": clean.checksum(), **frost_record(suite, options)}
    dataset = found_copy(suite.dataset, clean)
    remarks = (*clean.remarks, *frost_remarks(cells, options))
    return Found(suite, cells, "generated", view, protocol, clean.classes, remarks=remarks, dataset=dataset)


def corruption(cell: Cell, options: OpenOptions) -> Transform:
    """Return the function that corrupts a batch for this cell."""
    severity = cell.severity or 1

    def transform(pixels: torch.Tensor, index: npt.NDArray[np.int64]) -> torch.Tensor:
        from robench.corruptions import corrupt  # late: it imports torch

        made: torch.Tensor = corrupt(
            pixels, cell.condition, severity, index=index, seed=options.seed, frost=options.frost_dir
        )
        return made

    return transform
