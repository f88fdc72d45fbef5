"""Suites as data: what is measured, on what images, how cells are summed up, what it is normalised by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from robench.corruptions.severities import EXTRA
from robench.data.base import Geometry

if TYPE_CHECKING:
    import torch

Source = Literal["published", "generated"]
Task = Literal["classification", "perturbation", "multilabel"]


@dataclass(frozen=True)
class Cell:
    """One (condition, severity) of a suite: ``gaussian_noise/3``, ``brightness`` (a sequence), ``clean``."""

    condition: str
    severity: int | None = None

    @property
    def name(self) -> str:
        """The cell's name in files, tables and errors."""
        return self.condition if self.severity is None else f"{self.condition}/{self.severity}"

    @classmethod
    def parse(cls, name: str) -> Cell:
        """Return the cell with this name."""
        condition, _, severity = name.partition("/")
        return cls(condition, int(severity) if severity else None)


@dataclass(frozen=True)
class Suite:
    """A named protocol.

    Args:
        name: what users type.
        title: one line.
        task: what a prediction is: one class, one class per frame, or a set of classes.
        dataset: the clean data set that the labels belong to (``cifar10``, ``imagenet``, ``digits``...).
        num_classes: classes that the model must put out.
        cells: every cell in the published order; ``clean`` first where the suite has one.
        summary: names of the summary rules that results computes (see robench.results.summaries).
        normaliser: name of the table of baseline errors, or None.
        subset: name of the list of class indices that logits are cut to, or None.
        geometry: resize and crop that the protocol prescribes; a model's own may replace it.
        sources: ways the images can come; a result records which one it was.
        version: raised when a change would change numbers.
        paper, url, licence, notes: where it comes from, shown by ``robench suites show``.
    """

    name: str
    title: str
    task: Task
    dataset: str
    num_classes: int
    cells: tuple[Cell, ...]
    summary: tuple[str, ...]
    normaliser: str | None = None
    subset: str | None = None
    geometry: Geometry = Geometry()
    sources: tuple[Source, ...] = ("published",)
    version: int = 1
    paper: str = ""
    url: str = ""
    licence: str = ""
    notes: str = ""

    def needed(self, source: str) -> tuple[str, ...]:
        """Return the names of the cells without which a result is only a part of the suite.

        The four held-out corruptions are in no headline figure, and published files of a shifted set come without
        the clean images, which are another set's.
        """
        optional = set(EXTRA)
        if source == "published" and len(self.cells) > 1 and self.summary[0] in ("clean", "gap"):
            optional.add(self.cells[0].condition)
        return tuple(cell.name for cell in self.cells if cell.condition not in optional)


@dataclass(frozen=True)
class Batch:
    """Images of one cell in order.

    Attributes:
        images: uint8 tensor of shape (n, 3, H, W), channels_last where that is free, on the device asked for.
        index: int64 array (n,): the image's index within its clean data set (for -P: the clip's).
        target: int64 array (n,) of labels, -1 where there is none; (n, K) of 0/1 for a multilabel task.
        frame: int64 array (n,): the frame within the clip for -P, else None.
    """

    images: torch.Tensor
    index: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64] | None = None


class OpenSuite(Protocol):
    """A suite with its images found: what ``robench.suites.open_suite`` returns.

    Attributes:
        suite: the protocol.
        source: whether the images are published files or generated from clean ones.
        protocol: JSON-able record of everything about the data that changes numbers: suite name and version,
            source, seed, geometry, checksums, options such as frost textures. Equal records, equal images.
        classes: class names by label, or None.
        skipped: cell name -> messages of pictures left out since the cell was last begun (``skip_corrupt``).
        remarks: what a reader should know of the files found: fewer pictures than published, cells left out.
        whole: names of the cells that make a result one of the whole suite.
    """

    suite: Suite
    source: Source
    protocol: dict[str, Any]
    classes: Sequence[str] | None
    skipped: dict[str, list[str]]
    remarks: list[str]

    @property
    def whole(self) -> Sequence[str]:
        """See above."""
        ...

    def length(self, cell: Cell) -> int:
        """Return how many images (for -P: clips) the cell has."""
        ...

    def batches(
        self, cell: Cell, batch_size: int, *, start: int = 0, stop: int | None = None, device: str = "cpu"
    ) -> Iterator[Batch]:
        """Yield the images (for -P: clips, all frames of a clip in a row) start..stop of a cell in order."""
        ...


@dataclass(frozen=True)
class OpenOptions:
    """What a user may choose when a suite is opened; each is recorded in the protocol where it matters."""

    geometry: Geometry | None = None
    seed: int = 0
    limit: int | None = None
    conditions: tuple[str, ...] | None = None
    severities: tuple[int, ...] | None = None
    frost_dir: str | None = None
    skip_corrupt: bool = False
    workers: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)
