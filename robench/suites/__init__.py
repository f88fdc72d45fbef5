"""Suites: named protocols, and the images behind them. Listing them imports neither torch nor a reader."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.errors import RobenchError, did_you_mean
from robench.suites.base import Batch, Cell, OpenOptions, OpenSuite, Suite

__all__ = [
    "Batch",
    "Cell",
    "OpenOptions",
    "OpenSuite",
    "Suite",
    "fit_to_model",
    "get",
    "names",
    "open_suite",
    "subset_indices",
]


def names() -> list[str]:
    """Return the names of all suites, in the order they are listed to users."""
    from robench.suites.definitions import SUITES

    return list(SUITES)


def get(name: str) -> Suite:
    """Return a suite's protocol.

    Raises:
        RobenchError: no such suite; the message suggests the nearest names.
    """
    from robench.suites.definitions import SUITES

    return SUITES.get(name)


def open_suite(name: str, data: str | Path | None = None, options: OpenOptions | None = None) -> OpenSuite:
    """Find, check and open a suite's images.

    Args:
        name: a suite's name.
        data: the folder or file with the published set, or with the clean set that it is generated from; None:
            the embedded digits where the suite allows it, else the place where ``robench data download`` puts sets.
        options: what to open of it, and how.

    Returns:
        The opened suite; its ``suite.cells`` are those that were asked for and found.

    Raises:
        RobenchError: no such suite, nothing usable at ``data``, or files that differ from the published layout.
    """
    from robench.suites.origin import note_origin
    from robench.suites.sizes import size_remarks

    suite = get(name)
    module, _, function = suite.opener.partition(":")
    opener = getattr(import_module(module), function)
    path = _downloaded(name) if data is None else Path(data).expanduser()
    options = options or OpenOptions()
    opened = opener(suite, path, options)
    note_origin(opened, path)
    opened.remarks += size_remarks(opened)
    opened.reopen = lambda changed: open_suite(name, data, changed)
    return cast(OpenSuite, opened)


def fit_to_model(opened: OpenSuite, geometry: Geometry | None) -> OpenSuite:
    """Return the suite with a model's own resize and crop, unless the user chose others when it was opened.

    Photographs get the model's geometry instead of the protocol's; pictures that have their size already (arrays,
    ImageNet-C) are at most scaled to the model's size, and never cropped.

    Args:
        opened: what :func:`open_suite` returned.
        geometry: the model's, or None.
    """
    if geometry is None or opened.options.geometry is not None:
        return opened
    return opened.with_options(replace(opened.options, geometry=geometry))


def _downloaded(name: str) -> Path | None:
    """Return where ``robench data download`` put the set of this name, or None."""
    from robench.data.catalogue import catalogue, installed

    return installed(name) if name in catalogue() else None


def subset_indices(name: str) -> npt.NDArray[np.int64]:
    """Return the class indices that a suite cuts the logits to, rising; targets count within them.

    Raises:
        RobenchError: no such list.
    """
    from robench.suites.subsets import SUBSETS

    if name not in SUBSETS:
        raise RobenchError(f"Unknown class subset '{name}'.", hint=did_you_mean(name, SUBSETS))
    return np.array(SUBSETS[name], np.int64)
