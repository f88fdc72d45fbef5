"""Suites: named protocols, and the images behind them. Listing them imports neither torch nor a reader.

A package adds a suite with an entry point of the group ``robench.suites`` that names a :class:`Suite`; a script does so
with :func:`register`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.errors import RobenchError, did_you_mean
from robench.suites.base import Batch, Cell, OpenOptions, Suite
from robench.suites.opened import Found, OpenSuite

__all__ = [
    "Batch",
    "Cell",
    "Found",
    "OpenOptions",
    "OpenSuite",
    "Suite",
    "fit_to_model",
    "get",
    "names",
    "open_suite",
    "register",
    "subset_indices",
]

Opener = Callable[[Suite, Path | None, OpenOptions], Found]


def names() -> list[str]:
    """Return the names of all suites, in the order they are listed to users.

    >>> names()[:3]
    ['digits-c', 'digits-p', 'cifar10-c']
    """
    from robench.suites.definitions import SUITES

    return list(SUITES)


def get(name: str) -> Suite:
    """Return a suite's protocol.

    Raises:
        RobenchError: no such suite (the message suggests the nearest names), or a package's entry is not one.

    >>> suite = get("cifar10-c")
    >>> len(suite.cells), suite.benchmark[:2], suite.published_images("fog")
    (96, ('gaussian_noise', 'shot_noise'), 10000)
    """
    from robench.suites.definitions import SUITES

    suite = SUITES.get(name)
    if not isinstance(suite, Suite) or suite.name != name:
        raise RobenchError(
            f"The entry point '{name}' is not a suite of this name: {suite!r:.80}.",
            hint="It must name a robench.suites.Suite; update or uninstall the package that provides it.",
        )
    return suite


def register(suite: Suite) -> None:
    """Add a suite for as long as the process runs.

    Raises:
        RobenchError: another suite has its name.
    """
    from robench.suites.definitions import SUITES

    SUITES.register(suite.name, suite)


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

    >>> opened = open_suite("digits-c", options=OpenOptions(conditions=("contrast",), severities=(5,), limit=4))
    >>> [cell.name for cell in opened.suite.cells], opened.source
    (['clean', 'contrast/5'], 'generated')
    >>> batch = next(opened.batches(Cell("contrast", 5), batch_size=2))
    >>> tuple(batch.images.shape), batch.index.shape
    ((2, 3, 32, 32), (2,))
    """
    suite = get(name)
    path = _downloaded(name) if data is None else Path(data).expanduser()
    options = options or OpenOptions()
    found = _opener(suite)(suite, path, options)
    return OpenSuite.of(found, options, reopen=partial(open_suite, name, data))


def fit_to_model(opened: OpenSuite, geometry: Geometry | None, num_classes: int | None = None) -> OpenSuite:
    """Return the suite with a model's own resize and crop, unless the user chose others when it was opened.

    Photographs get the model's geometry instead of the protocol's; images that have their size already (arrays,
    ImageNet-C) are at most scaled to the model's size, and never cropped. DeepFashion Remixed keeps its own.

    Args:
        opened: what :func:`open_suite` returned.
        geometry: the model's, or None.
        num_classes: of the model: a clean set whose files do not have all of these classes counts in them where their
            names tell which they are (a folder of some of ImageNet's classes).
    """
    options = opened.options
    if geometry is not None and options.geometry is None and not opened.suite.fixed_geometry:
        options = replace(options, geometry=geometry)
    if num_classes is not None and options.num_classes is None and _counts_in(opened, num_classes):
        options = replace(options, num_classes=num_classes)
    return opened if options == opened.options else opened.with_options(options)


def subset_indices(name: str) -> npt.NDArray[np.int64]:
    """Return the class indices that a suite cuts the logits to; targets count within them.

    Returns:
        int64 of shape (classes,), rising.

    Raises:
        RobenchError: no such list.

    >>> subset_indices("imagenet-r")[:4].tolist()
    [1, 2, 4, 6]
    """
    from robench.suites.subsets import SUBSETS

    if name not in SUBSETS:
        raise RobenchError(f"Unknown class subset '{name}'.", hint=did_you_mean(name, SUBSETS))
    return np.array(SUBSETS[name], np.int64)


def _counts_in(opened: OpenSuite, num_classes: int) -> bool:
    from robench.suites.clean import counted_in, first_is_open

    suite = opened.suite
    if not suite.takes("num_classes") or suite.num_classes == num_classes:
        return False
    if suite.task == "ood":  # labels are not used
        return True
    # What cannot be told of numbers is said when the set is opened again.
    counted = counted_in(opened.classes, suite.num_classes, num_classes)
    return counted is not None or first_is_open(opened.classes, num_classes)


def _opener(suite: Suite) -> Opener:
    module, _, function = suite.opener.partition(":")
    try:
        return cast(Opener, getattr(import_module(module), function))
    except (ImportError, AttributeError, ValueError) as error:
        if suite.opener.startswith("robench."):
            raise
        raise RobenchError(
            f"Could not load the opener of {suite.name}, '{suite.opener}': {error}",
            hint="A suite's opener is 'module:function'; update or uninstall the package that provides it.",
        ) from error


def _downloaded(name: str) -> Path | None:
    """Return where ``robench data download`` put the set of this name, or None."""
    from robench.data.catalogue import catalogue, installed

    return installed(name) if name in catalogue() else None
