"""Opened suites: a protocol with its images found, cell by cell in batches on a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from robench.data.base import Geometry
from robench.errors import RobenchError, did_you_mean
from robench.suites.base import Batch, Cell, OpenOptions, Source, Suite
from robench.suites.copies import copy_of, copy_remarks
from robench.suites.frosted import marked_frost_remarks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from robench.suites.reading import Reader, View


@dataclass(frozen=True)
class Found:
    """What an opener found: the images of some of a suite's cells.

    Args:
        suite: the protocol, changed where the data decide (number of classes, a definition of the user's).
        cells: the cells that were asked for and are there.
        source: whether the images are published files or generated from clean ones.
        view: gives a cell's images; called when the cell is read.
        protocol: what belongs in the record of the data, such as checksums.
        classes: class names by label, or None.
        count: gives a cell's number of images (sequences: clips) where that is cheaper than making the view.
        remarks: what a reader should know of the files found.
        dataset: what the record calls the data set where the images are not quite the suite's; None: its own.
        mark: what ``robench data generate`` left with files of its making, or None for files of others.
    """

    suite: Suite
    cells: tuple[Cell, ...]
    source: Source
    view: Callable[[Cell], View]
    protocol: Mapping[str, Any]
    classes: Sequence[str] | None = None
    count: Callable[[Cell], int] | None = None
    remarks: tuple[str, ...] = ()
    dataset: str | None = None
    mark: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class OpenSuite:
    """A suite with its images found: what :func:`robench.suites.open_suite` returns.

    Attributes:
        suite: the protocol; its cells are those that are measured.
        source: whether the images are published files or generated from clean ones.
        protocol: JSON-able record of everything about the data that changes numbers: suite name and version,
            source, seed, geometry, checksums, options such as frost textures. Equal records, equal images.
        options: what the user chose.
        classes: class names by label, or None.
        remarks: what a reader should know of the files found: fewer images than published, cells left out.
        whole: names of the cells that make a result one of the whole suite, whichever of them were asked for and are
            there.
        dataset: what the images are called in the record; that of ``suite``, or that of a copy which lost detail.
    """

    suite: Suite
    source: Source
    protocol: dict[str, Any]
    options: OpenOptions
    classes: Sequence[str] | None
    remarks: tuple[str, ...]
    whole: tuple[str, ...]
    dataset: str
    _reader: Reader = field(repr=False, compare=False)
    _reopen: Callable[[OpenOptions], OpenSuite] = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        found: Found,
        options: OpenOptions | None = None,
        *,
        reopen: Callable[[OpenOptions], OpenSuite] | None = None,
    ) -> OpenSuite:
        """Make an open suite of what an opener found.

        Args:
            found: the images.
            options: as the user gave them.
            reopen: opens the same files with other options; None: the same images are taken again, so that only
                ``limit``, ``geometry`` and ``skip_corrupt`` can change.

        Raises:
            RobenchError: images of another size than the suite's.
        """
        from robench.suites.reading import Reader
        from robench.suites.sizes import size_remarks

        options, mark = options or OpenOptions(), found.mark
        suite = replace(found.suite, cells=found.cells)
        source: Source = "generated" if mark else found.source
        dataset = found.dataset or (mark or {}).get("dataset", suite.dataset)
        said = copy_remarks(suite.dataset) if dataset == copy_of(suite.dataset) else ()
        said += marked_frost_remarks(found.cells, mark) if mark else ()
        reader = Reader(suite, found.view, options, all_cells=found.suite.cells, count=found.count)
        reader.check_size()
        return cls(
            suite,
            source,
            _record(found, source, options),
            options,
            found.classes,
            (*found.remarks, *said, *size_remarks(suite, source, reader.total)),
            found.suite.needed(source),
            dataset,
            reader,
            reopen or (lambda changed: cls.of(found, changed)),
        )

    @property
    def published(self) -> dict[str, int]:
        """The published number of images (sequences: clips) of every cell where it is fixed, by the cell's name."""
        numbers = {cell.name: self.suite.published_images(cell.condition) for cell in self.suite.cells}
        return {name: number for name, number in numbers.items() if number is not None}

    @property
    def scaled_to(self) -> Geometry | None:
        """What is done to images that have their size already: one resize, or nothing."""
        return self._reader.scaled_to

    def with_options(self, options: OpenOptions) -> OpenSuite:
        """Return the same files opened with other options.

        Raises:
            RobenchError: as :func:`robench.suites.open_suite`.
        """
        return self._reopen(options)

    def length(self, cell: Cell) -> int:
        """Return how many images (sequences: clips) of the cell are measured."""
        return self._reader.length(cell)

    def images(self, cell: Cell) -> int:
        """Return how many images of the cell go through the model: every frame of a clip, every attempt at an image."""
        return self.length(cell) * self.suite.frame_count(cell.condition)

    def total(self, cell: Cell) -> int:
        """Return how many images (sequences: clips) the files have for the cell, whatever the limit."""
        return self._reader.total(cell)

    def index(self, cell: Cell) -> npt.NDArray[np.int64]:
        """Return the indices of the cell's images (sequences: clips) that are measured, int64 (n,)."""
        return self._reader.index(cell)

    def sample_key(self, cell: Cell) -> str:
        """Return what says which images a sample of the cell holds: a digest of its labels and the seed."""
        return self._reader.sample_key(cell)

    def with_limit(self, limit: int | None) -> OpenSuite:
        """Return the same images with another number of them per cell; a larger sample contains the smaller one."""
        options = replace(self.options, limit=limit)
        return replace(self, options=options, _reader=self._reader.with_options(options))

    def batches(
        self,
        cell: Cell,
        batch_size: int,
        *,
        after: int = 0,
        start: int = 0,
        stop: int | None = None,
        device: str = "cpu",
    ) -> Iterator[Batch]:
        """Yield the images of a cell that are measured, in the order of the files.

        With a limit these are a sample, drawn as :mod:`robench.suites.drawing` says.

        Of sequences, ``start`` and ``stop`` count clips; all frames of a clip come in a row, as many whole clips at a
        time as fit into ``batch_size`` frames (at least one).

        Args:
            cell: one of ``suite.cells``.
            batch_size: images per batch.
            after: draws to leave out because they were measured before: only the images that a sample of
                ``length(cell)`` holds beyond one of ``after`` are read.
            start, stop: which of these images.
            device: where the batches are wanted, such as ``cpu`` or ``cuda:0``.

        Raises:
            RobenchError: an image cannot be read, or has another size than the suite's.
        """
        return self._reader.batches(cell, batch_size, after=after, start=start, stop=stop, device=device)


def choose_cells(suite: Suite, options: OpenOptions) -> tuple[Cell, ...]:
    """Return the suite's cells that the options ask for; a clean cell always stays.

    Raises:
        RobenchError: a condition or severity that the suite does not have, or nothing left.
    """
    known = set(suite.conditions)
    for condition in options.conditions or ():
        if condition not in known:
            raise RobenchError(f"{suite.name} has no condition '{condition}'.", hint=did_you_mean(condition, known))
    cells = tuple(
        cell
        for cell in suite.cells
        if (options.conditions is None or cell.condition in (*options.conditions, "clean"))
        and (options.severities is None or cell.severity is None or cell.severity in options.severities)
    )
    if not any(cell.condition != "clean" for cell in cells) and known != {"clean"} and options.conditions != ("clean",):
        raise RobenchError(
            f"{suite.name} has no cell with severities {options.severities}.", hint="Severities are 1 to 5."
        )
    return cells


def without_held_out(suite: Suite, cells: tuple[Cell, ...], options: OpenOptions) -> tuple[Cell, ...]:
    """Leave held-out conditions out, unless conditions were asked for by name."""
    if options.conditions is not None:
        return cells
    return tuple(cell for cell in cells if cell.condition not in suite.held_out)


def _record(found: Found, source: Source, options: OpenOptions) -> dict[str, Any]:
    record = {"suite": found.suite.name, "version": found.suite.version, "source": source, **found.protocol}
    if found.source == "generated":
        record["seed"] = options.seed
    if options.skip_corrupt:
        record["skip_corrupt"] = True
    if mark := found.mark:
        record |= {"seed": mark["seed"], "frost": mark["frost"], "made_of": mark["clean"]}
    return record
