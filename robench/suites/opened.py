"""What opened suites share: from a cell's rows to batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from robench.data.arrays import ArrayImages
from robench.data.base import Geometry, Images
from robench.data.decode import CorruptImageError, resize_and_crop
from robench.errors import RobenchError, did_you_mean
from robench.suites.base import Batch, Cell, OpenOptions, OpenSuite, Source, Suite

if TYPE_CHECKING:
    import torch

Transform = Callable[["torch.Tensor", npt.NDArray[np.int64]], "torch.Tensor"]
# Arrays up to this size are put on a GPU whole, once a cell, instead of batch by batch.
_RESIDENT_BYTES = 1 << 29


@dataclass(frozen=True)
class View:
    """The pictures of one cell.

    Args:
        images: where they are.
        rows: int64 (n,): their rows in ``images``.
        index: int64 (n,): their indices in the clean set.
        target: int64 (n,) or (n, K), as in Batch.
        transform: turns uint8 (n, 3, H, W) and the indices into the cell's pictures; None: they are these.
    """

    images: Images
    rows: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    transform: Transform | None = None

    def part(self, chosen: npt.NDArray[np.int64]) -> View:
        """Return the view of some of its pictures."""
        return replace(self, rows=self.rows[chosen], index=self.index[chosen], target=self.target[chosen])


def view_of(images: Images, transform: Transform | None = None) -> View:
    """Return the view of a whole labelled set; label -1 where it has no labels."""
    rows = np.arange(len(images), dtype=np.int64)
    target = images.labels if images.labels is not None else np.full(len(images), -1, np.int64)
    return View(images, rows, rows, target, transform)


def sample(total: int, limit: int | None) -> npt.NDArray[np.int64]:
    """Return ``limit`` rising rows drawn from ``total`` by a fixed permutation; a smaller sample is part of a larger.

    Not the first rows, nor evenly spaced ones: sets are sorted by class, or go through the classes in turn.
    """
    if limit is None or limit >= total:
        return np.arange(total, dtype=np.int64)
    return np.sort(np.random.RandomState(0).permutation(total)[:limit]).astype(np.int64)


def choose_cells(suite: Suite, options: OpenOptions) -> tuple[Cell, ...]:
    """Return the suite's cells that the options ask for; a clean cell always stays.

    Raises:
        RobenchError: a condition or severity that the suite does not have, or nothing left.
    """
    known = {cell.condition for cell in suite.cells}
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
            f"Nothing of {suite.name} is left with severities {options.severities}.", hint="Severities are 1 to 5."
        )
    return cells


class Opened:
    """What is known of a suite once its files are found.

    Args:
        suite: the protocol, with the cells that were found.
        source: published or generated.
        protocol: what else belongs in the record.
        options: as given by the user.
        classes: class names by label, or None.

    Attributes:
        remarks: what the user should know of the files found: fewer pictures than published, cells left out.
        reopen: opens the same files again with other options; None where that cannot be.
    """

    def __init__(
        self,
        suite: Suite,
        source: Source,
        protocol: dict[str, Any],
        options: OpenOptions,
        classes: Sequence[str] | None,
    ) -> None:
        self.suite, self.source, self.options, self.classes = suite, source, options, classes
        self.protocol: dict[str, Any] = {"suite": suite.name, "version": suite.version, "source": source, **protocol}
        if options.limit is not None:
            self.protocol["limit"] = options.limit
        if source == "generated":
            self.protocol["seed"] = options.seed
        if options.skip_corrupt:
            self.protocol["skip_corrupt"] = True
        self.remarks: list[str] = []
        self.reopen: Callable[[OpenOptions], Any] | None = None

    def with_options(self, options: OpenOptions) -> OpenSuite:
        """Open the same files with other options.

        Raises:
            RobenchError: the suite was not opened from files.
        """
        if self.reopen is None:
            raise RobenchError(f"{self.suite.name} was not opened from files.", hint="Use robench.suites.open_suite.")
        return cast(OpenSuite, self.reopen(options))

    @property
    def scaled_to(self) -> Geometry | None:
        """What is done to pictures that have their size already: one resize, or nothing."""
        return final_geometry(self.suite, self.options)

    @property
    def whole(self) -> tuple[str, ...]:
        """Names of the cells that make a result one of the whole suite, whichever of them were asked for."""
        if self.options.conditions is None and self.options.severities is None:
            return tuple(cell.name for cell in self.suite.cells)
        from robench.suites import get, names  # late: they import this module's users

        definition = get(self.suite.name) if self.suite.name in names() else self.suite
        return definition.needed(self.source)


class OpenedSuite(Opened):
    """A suite whose cells are views of images; see :class:`robench.suites.base.OpenSuite`.

    Args:
        suite, source, protocol, options, classes: as for :class:`Opened`.
        view: gives a cell's pictures; called when the cell is read, and its result is kept while it is.
        count: a cell's number of pictures, where it is known without making the view.
    """

    def __init__(
        self,
        suite: Suite,
        source: Source,
        view: Callable[[Cell], View],
        protocol: dict[str, Any],
        options: OpenOptions,
        classes: Sequence[str] | None = None,
        count: Callable[[Cell], int] | None = None,
    ) -> None:
        super().__init__(suite, source, protocol, options, classes)
        self._make_view = view
        self._count = count
        self._last: tuple[Cell, View] | None = None
        self._resident: tuple[tuple[int, str], torch.Tensor] | None = None

    def length(self, cell: Cell) -> int:
        """Return how many pictures the cell has."""
        if self._count is None:
            return len(self._view(cell).rows)
        total = self._count(cell)
        return total if self.options.limit is None else min(total, self.options.limit)

    def batches(
        self, cell: Cell, batch_size: int, *, start: int = 0, stop: int | None = None, device: str = "cpu"
    ) -> Iterator[Batch]:
        """Yield the pictures start..stop of a cell in order."""
        view = self._view(cell)
        stop = len(view.rows) if stop is None else min(stop, len(view.rows))
        for first in range(start, stop, batch_size):
            part = view.part(np.arange(first, min(first + batch_size, stop)))
            pixels, part, unreadable = self._pixels(part, device)
            if part.transform is not None and len(part.rows):
                pixels = part.transform(pixels, part.index)
            yield Batch(self._fit(pixels), part.index, part.target, unreadable=unreadable)

    def _view(self, cell: Cell) -> View:
        if self._last is None or self._last[0] != cell:
            view = self._make_view(cell)
            self._last = (cell, view.part(sample(len(view.rows), self.options.limit)))
        return self._last[1]

    def _pixels(self, part: View, device: str) -> tuple[torch.Tensor, View, tuple[str, ...]]:
        """Return images as uint8 (n, 3, H, W) in channels_last memory, the part without unreadable ones, and these."""
        import torch

        images = part.images
        if device != "cpu" and isinstance(images, ArrayImages) and images.array.nbytes <= _RESIDENT_BYTES:
            whole = self._on_device(images, device)
            return whole[torch.from_numpy(part.rows).to(device)].permute(0, 3, 1, 2), part, ()
        pixels, part, unreadable = self._read(part)
        batch = torch.from_numpy(pixels)
        if device.startswith("cuda"):
            batch = batch.pin_memory()  # else the copy would wait for the device
        return batch.permute(0, 3, 1, 2).to(device, non_blocking=True), part, unreadable

    def _read(self, part: View) -> tuple[npt.NDArray[np.uint8], View, tuple[str, ...]]:
        try:
            return part.images.read(part.rows), part, ()
        except CorruptImageError:
            if not self.options.skip_corrupt:
                raise
        good, pixels, unreadable = [], [], []
        for position, row in enumerate(part.rows):
            try:
                pixels.append(part.images.read(np.array([row]))[0])
            except CorruptImageError as error:
                unreadable.append(error.message)
            else:
                good.append(position)
        stack = np.stack(pixels) if pixels else np.empty((0, 1, 1, 3), np.uint8)
        return stack, part.part(np.array(good, np.int64)), tuple(unreadable)

    def _on_device(self, images: ArrayImages, device: str) -> torch.Tensor:
        import torch

        key = (id(images.array), device)
        if self._resident is None or self._resident[0] != key:
            self._resident = (key, torch.from_numpy(np.ascontiguousarray(images.array)).to(device))
        return self._resident[1]

    def _fit(self, pixels: torch.Tensor) -> torch.Tensor:
        return fit_to(pixels, self.scaled_to)


def final_geometry(suite: Suite, options: OpenOptions) -> Geometry | None:
    """Return what is done to pictures that have their size already (arrays, ImageNet-C): nothing, or one resize.

    A model's own geometry is meant for photographs of any size. Pictures that were cropped when the set was made
    are never cropped again; where the model needs another size they are scaled to it.
    """
    if options.geometry is None or suite.geometry != Geometry():
        return None
    side = options.geometry.crop or options.geometry.resize
    if side is None:
        return None
    exact = side if isinstance(side, tuple) else (side, side)
    return Geometry(resize=exact, interpolation=options.geometry.interpolation)


def fit_to(pixels: torch.Tensor, geometry: Geometry | None) -> torch.Tensor:
    """Scale uint8 pictures (n, 3, H, W) to the geometry's exact size, with Pillow's filters."""
    import torch

    if geometry is None or len(pixels) == 0 or tuple(pixels.shape[2:]) == geometry.resize:
        return pixels
    pictures = pixels.permute(0, 2, 3, 1).cpu().numpy()
    scaled = np.stack([resize_and_crop(picture, geometry) for picture in pictures])
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).to(pixels.device)
