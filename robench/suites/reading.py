"""How the cells of an open suite are read: views of images, brought to a device batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from robench.data.arrays import ArrayImages
from robench.data.base import Geometry, Images
from robench.data.decode import CorruptImageError, resize_and_crop
from robench.data.encoded import EncodedImages
from robench.errors import RobenchError
from robench.suites.base import Batch, Cell, OpenOptions, Suite
from robench.suites.checks import wrong_side
from robench.suites.drawing import Design, classes_of, key_of, shuffled_names
from robench.suites.resident import Resident, room_on

if TYPE_CHECKING:
    import torch

Rows = npt.NDArray[np.int64]
Transform = Callable[["torch.Tensor", Rows], "torch.Tensor"]

# Arrays up to this size that many cells are made of are put on a GPU whole, once, instead of batch by batch.
_RESIDENT_BYTES = 1 << 29


class Loader(Protocol):
    """What a view reads from: :class:`robench.data.base.Images`, or the same for clips."""

    def read(self, indices: Rows) -> npt.NDArray[np.uint8]:
        """Return images as uint8 (n, H, W, 3), or clips as uint8 (n, frames, H, W, 3)."""
        ...


@dataclass(frozen=True)
class View:
    """The images (or clips) of one cell.

    Args:
        images: where they are.
        rows: int64 (n,): their rows in ``images``.
        index: int64 (n,): their indices in the clean set.
        target: int64 (n,) or (n, K), as in :class:`robench.suites.base.Batch`.
        transform: turns uint8 (n, 3, H, W) and the indices into the cell's images (n, 3, H, W), or into its clips
            (n, frames, 3, H, W); None: what was read are these.
        frames: images per clip, or None where an image stands alone.
        one_by_one: whether images are read and transformed one at a time, because they may differ in size until then.
    """

    images: Loader
    rows: Rows
    index: Rows
    target: Rows
    transform: Transform | None = None
    frames: int | None = None
    one_by_one: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, chosen: Rows) -> View:
        """Return the view of some of its images."""
        return replace(self, rows=self.rows[chosen], index=self.index[chosen], target=self.target[chosen])


def view_of(
    images: Images, transform: Transform | None = None, *, frames: int | None = None, one_by_one: bool = False
) -> View:
    """Return the view of a whole set, -1 where it has no labels; the arguments are those of :class:`View`."""
    rows = np.arange(len(images), dtype=np.int64)
    target = images.labels if images.labels is not None else np.full(len(images), -1, np.int64)
    return View(images, rows, rows, target, transform, frames, one_by_one)


def clips_of(clips: Loader, frames: int, target: Rows) -> View:
    """Return the view of stored clips, of ``frames`` each; ``target`` has a label for every clip, or -1."""
    rows = np.arange(len(target), dtype=np.int64)
    return View(clips, rows, rows, target, frames=frames)


class Reader:
    """Reads the cells of one open suite; keeps the last view, and an array on the device where it fits.

    Args:
        suite: the protocol, with the cells that are measured.
        view: gives a cell's images.
        options: as given by the user.
        all_cells: cells of the whole suite; a cell's place among them says which images a sample of it holds.
        count: a cell's number of images, where it is known without the view.
    """

    def __init__(
        self,
        suite: Suite,
        view: Callable[[Cell], View],
        options: OpenOptions,
        *,
        all_cells: Sequence[Cell] = (),
        count: Callable[[Cell], int] | None = None,
    ) -> None:
        self._suite, self._make, self._options, self._count = suite, view, options, count
        self.scaled_to = final_geometry(suite, options)
        self._places = shuffled_names(cell.name for cell in all_cells or suite.cells)
        self._designs: dict[str, Design] = {}
        self._last: tuple[Cell, View] | None = None
        self._resident: tuple[tuple[int, str], torch.Tensor] | None = None
        self._decoded: tuple[EncodedImages, Resident] | None = None

    def total(self, cell: Cell) -> int:
        """Return how many images the cell has, whatever the limit."""
        return self._count(cell) if self._count is not None else len(self._view(cell))

    def length(self, cell: Cell) -> int:
        """Return how many images of the cell are measured."""
        total, limit = self.total(cell), self._options.limit
        return total if limit is None else min(total, limit)

    def sample_key(self, cell: Cell) -> str:
        """Return what the order of a cell's draws depends on, beside its place in the suite."""
        return key_of(self._view(cell).target, self._options.seed)

    def drawn(self, cell: Cell, after: int) -> Rows:
        """Return the rows that are measured, rising, without those of the first ``after`` draws."""
        whole, wanted = len(self._view(cell)), self.length(cell)
        if after == 0 and wanted == whole:
            return np.arange(whole, dtype=np.int64)
        return np.sort(self._order(cell)[after:wanted])

    def index(self, cell: Cell) -> Rows:
        """Return the indices of the images that are measured, rising."""
        return self._view(cell).index[self.drawn(cell, 0)]

    def _order(self, cell: Cell) -> Rows:
        target, key = self._view(cell).target, self.sample_key(cell)
        if key not in self._designs:
            self._designs[key] = Design(len(target), len(self._places), key, classes_of(target))
        return self._designs[key].order(self._places.index(cell.name))

    def with_options(self, options: OpenOptions) -> Reader:
        """Return a reader of the same images with other options; what was read is kept."""
        reader = copy(self)
        reader._options = options
        reader.scaled_to = final_geometry(self._suite, options)
        return reader

    def check_size(self) -> None:
        """Look at one image of the clean cell and one of another, where the suite's images have one size.

        Raises:
            RobenchError: it has another size.
        """
        if self._suite.side is None:
            return
        first = {cell.condition == self._suite.clean: cell for cell in reversed(self._suite.cells)}
        for cell in first.values():
            view = self._view(cell)
            if view.one_by_one or len(view) == 0 or (view.frames is not None and view.transform is None):
                continue
            try:
                shape = view.images.read(view.rows[:1]).shape
            except CorruptImageError:  # told when the cell is read
                continue
            self._refuse_size(cell, shape[1:3])

    def batches(
        self, cell: Cell, batch_size: int, *, after: int, start: int, stop: int | None, device: str
    ) -> Iterator[Batch]:
        """Yield images of a cell in order; see :meth:`robench.suites.opened.OpenSuite.batches`."""
        view = self._view(cell).part(self.drawn(cell, after)[start:stop])
        step = batch_size if view.frames is None else max(1, batch_size // view.frames)
        for first in range(0, len(view), step):
            part = view.part(np.arange(first, min(first + step, len(view)), dtype=np.int64))
            pixels, part, unreadable = self._readable(part, device)
            if len(part):
                self._refuse_size(cell, tuple(pixels.shape[-2:]))
            yield self._batch(pixels, part, unreadable)

    def _batch(self, pixels: torch.Tensor, part: View, unreadable: tuple[str, ...]) -> Batch:
        # Photographs have had the user's resize and crop already, which may leave them wider than high.
        done = isinstance(part.images, EncodedImages) and part.images.geometry == self._options.geometry
        scaled_to = None if done else self.scaled_to
        if part.frames is None:
            return Batch(fit_to(pixels, scaled_to), part.index, part.target, unreadable=unreadable)
        return Batch(
            fit_to(pixels.flatten(0, 1), scaled_to),
            np.repeat(part.index, part.frames),
            np.repeat(part.target, part.frames),
            np.tile(np.arange(part.frames, dtype=np.int64), len(part)),
            unreadable,
        )

    def _view(self, cell: Cell) -> View:
        if self._last is None or self._last[0] != cell:
            self._last = (cell, self._make(cell))
        return self._last[1]

    def _refuse_size(self, cell: Cell, found: tuple[int, ...]) -> None:
        side = self._suite.side
        if side is not None and found != (side, side):
            raise wrong_side(f"{self._suite.name}, cell '{cell.name}'", found, side)

    def _readable(self, part: View, device: str) -> tuple[torch.Tensor, View, tuple[str, ...]]:
        """Return the images, the part without those that cannot be read, and a message for each of these."""
        import torch

        try:
            return self._made(part, device), part, ()
        except CorruptImageError:
            if not self._options.skip_corrupt:
                raise
        good, made, unreadable = [], [], []
        for position in range(len(part)):
            try:
                made.append(self._made(part.part(np.array([position])), device))
            except CorruptImageError as error:
                unreadable.append(error.message)
            else:
                good.append(position)
        if len({one.shape for one in made}) > 1:
            raise RobenchError(
                f"Images differ in size: {' and '.join(sorted({str(tuple(one.shape[-2:])) for one in made})[:2])}.",
                hint="Set a resize and a crop: one batch needs one size.",
            )
        nothing = torch.empty((0, 3, 1, 1) if part.frames is None else (0, part.frames, 3, 1, 1), dtype=torch.uint8)
        return torch.cat(made) if made else nothing, part.part(np.array(good, np.int64)), tuple(unreadable)

    def _made(self, part: View, device: str) -> torch.Tensor:
        """Return images as uint8 (n, 3, H, W), or clips (n, frames, 3, H, W), in channels_last memory if untouched."""
        import torch

        if part.one_by_one and len(part) > 1:
            singles = [part.part(np.array([position])) for position in range(len(part))]
            return torch.cat([self._made(single, device) for single in singles])
        pixels = self._loaded(part, device)
        return pixels if part.transform is None else part.transform(pixels, part.index)

    def _loaded(self, part: View, device: str) -> torch.Tensor:
        import torch

        images = part.images
        if device != "cpu" and isinstance(images, ArrayImages) and self._stays(part, images):
            whole = self._on_device(images, device)
            return whole[torch.from_numpy(part.rows).to(device)].permute(0, 3, 1, 2)

        def read(rows: Rows) -> torch.Tensor:
            batch = torch.from_numpy(self._read(replace(part, rows=rows)))
            if device.startswith("cuda"):
                batch = batch.pin_memory()  # else the copy would wait for the device
            return batch.movedim(-1, -3).to(device, non_blocking=True)

        kept = self._kept_decoded(part, device)
        return read(part.rows) if kept is None else kept.get(part.rows, read)

    @staticmethod
    def _stays(part: View, images: ArrayImages) -> bool:
        """Whether an array is put on the device whole: published cells need every row once, beside the passes."""
        return part.transform is not None and images.array.nbytes <= _RESIDENT_BYTES

    def _kept_decoded(self, part: View, device: str) -> Resident | None:
        """Return where decoded photographs are kept: on a GPU, where many cells are made of all of them."""
        images = part.images
        if part.transform is None or part.one_by_one or self._options.limit is not None:
            return None
        if not isinstance(images, EncodedImages) or (room := room_on(device)) == 0:
            return None
        if self._decoded is None or self._decoded[0] is not images or self._decoded[1].device != device:
            self._decoded = (images, Resident(len(images), device, room))
        return self._decoded[1]

    def _read(self, part: View) -> npt.NDArray[np.uint8]:
        """Read images; where they differ in size and the suite's have one, name the first that has another."""
        try:
            return part.images.read(part.rows)
        except CorruptImageError:
            raise
        except RobenchError:
            if self._suite.side is None or part.one_by_one or len(part) == 1:
                raise
            for row in part.rows:
                found = part.images.read(np.array([row])).shape[-3:-1]
                if found != (self._suite.side, self._suite.side):
                    raise wrong_side(f"{self._suite.name}, image {row}", found, self._suite.side) from None
            raise

    def _on_device(self, images: ArrayImages, device: str) -> torch.Tensor:
        import torch

        key = (id(images.array), device)
        if self._resident is None or self._resident[0] != key:
            self._resident = (key, torch.from_numpy(np.array(images.array)).to(device))  # mapped files are not writable
        return self._resident[1]


def final_geometry(suite: Suite, options: OpenOptions) -> Geometry | None:
    """Return what is done to images that have their size already (arrays, ImageNet-C): nothing, or one resize.

    A model's own geometry is meant for photographs of any size. Images that were cropped when the set was made
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
    """Scale images to the geometry's exact size, with Pillow's filters.

    Args:
        pixels: uint8 (n, 3, H, W), on any device.
        geometry: an exact size, or None: they stay as they are.

    Returns:
        uint8 (n, 3, height, width), on the same device.
    """
    import torch

    if geometry is None or len(pixels) == 0 or tuple(pixels.shape[2:]) == geometry.resize:
        return pixels
    images = pixels.permute(0, 2, 3, 1).cpu().numpy()
    scaled = np.stack([resize_and_crop(image, geometry) for image in images])
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).to(pixels.device)
