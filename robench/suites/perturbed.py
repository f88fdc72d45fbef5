"""The -P suites: clips of one image under a growing perturbation, published or generated."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.corruptions.perturbations import DIFFICULTIES, published_name
from robench.cpu import cores
from robench.data.arrays import map_npy, read_rows
from robench.data.base import Geometry, Images
from robench.data.checksums import checksum_of
from robench.data.classes import imagenet_wnids
from robench.data.decode import CorruptImageError
from robench.data.find import open_images
from robench.data.trees import Tree, join
from robench.data.video import decode_clip
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_clean, check_side, only_one
from robench.suites.copies import found_copy
from robench.suites.corrupted import embedded
from robench.suites.opened import Found, choose_cells
from robench.suites.origin import mark_among, mark_in
from robench.suites.reading import Transform, View, clips_of, view_of
from robench.suites.tree_conditions import open_conditions

if TYPE_CHECKING:
    import torch

SHORTER_SIDE = 256
_FINGERPRINTED = 16


def open_digits_p(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open digits-p: the embedded test split, perturbed on the fly."""
    return _open_generated(suite, embedded(suite, data), options)


def open_cifar_p(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open CIFAR-10-P or -100-P: published ``.npy`` files (N, T, 32, 32, 3), or the clean test set to perturb.

    Raises:
        RobenchError: neither is at ``data``, or files of another shape.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint="Give the published files or the clean test set.")
    names = _stored(suite, options)
    present: dict[Path, list[str]] = {}
    for folder in [data, *sorted(p for p in data.glob("*") if p.is_dir())] if data.is_dir() else []:
        if found := [name for name in names if (folder / f"{name}.npy").is_file()]:
            present[folder] = found
    # Corruptions (CIFAR-C) have files of the same names, and labels.
    unlabelled = [folder for folder in present if not (folder / "labels.npy").is_file()]
    if (place := only_one(unlabelled or list(present), data)) is not None:
        return _open_arrays(suite, place, names, present[place], options)
    images = open_images(data, dataset=suite.dataset, workers=options.workers)
    check_clean(suite, images, str(data))
    return _open_generated(suite, images, options)


def open_imagenet_p(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open ImageNet-P: ``PERTURBATION/WNID/NAME.mp4`` in folders or packed tars, or made from the validation folder.

    Raises:
        RobenchError: neither is at ``data``, or a perturbation is missing.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint="Give the folder of the unpacked tars, or the tars.")
    names = _stored(suite, options)
    tree, places = open_conditions(data, list(names), classes_within=True)
    if not places:
        geometry = Geometry(resize=SHORTER_SIDE)
        clean = open_images(data, dataset=suite.dataset, geometry=geometry, workers=options.workers)
        return _open_generated(suite, clean, options, cropped=True)
    missing = [name for name in names if name not in places]
    if missing:
        raise RobenchError(
            f"{data} lacks {', '.join(missing)}.",
            hint=f"Get the rest, or measure what is there: `corruption='{','.join(places)}'`.",
        )
    listed = {cell: _list_clips(tree, places[name]) for name, cell in names.items()}
    # A set that lacks clips of one perturbation numbers the others alike in all.
    every = sorted({clip for found in listed.values() for clip in _clip_names(*found)})
    number = {clip: i for i, clip in enumerate(every)}

    def view(cell: Cell) -> View:
        paths, labels = listed[cell]
        frames = suite.frame_count(cell.condition)
        index = np.array([number[clip] for clip in _clip_names(paths, labels)], np.int64)
        videos = _Videos(tree, paths, frames, suite.side or 0, options.workers)
        return replace(clips_of(videos, frames, labels), index=index)

    files = {cell.name: _fingerprint(tree, *found) for cell, found in listed.items()}
    protocol = {"files": files, "difficulty": difficulty(options)}
    mark = mark_among(tree, [places[name] for name in names], suite.name)
    return Found(suite, tuple(names.values()), "published", view, protocol, imagenet_wnids(), mark=mark)


def difficulty(options: OpenOptions) -> int:
    """Return the difficulty asked for (1, 2 or 3); published results have 1.

    Raises:
        RobenchError: another number.
    """
    value = 1 if options.difficulty is None else options.difficulty
    if value not in DIFFICULTIES:
        raise RobenchError(f"Difficulty is 1, 2 or 3; found {value}.", hint="Published results have difficulty 1.")
    return value


def _stored(suite: Suite, options: OpenOptions) -> dict[str, Cell]:
    """Return the name of the file or folder of each cell that is asked for."""
    level = difficulty(options)
    return {published_name(cell.condition, level): cell for cell in choose_cells(suite, options)}


def _open_arrays(suite: Suite, folder: Path, names: dict[str, Cell], present: list[str], options: OpenOptions) -> Found:
    missing = [name for name in names if name not in present]
    if missing:
        raise RobenchError(
            f"{folder} lacks {', '.join(f'{name}.npy' for name in missing)}.",
            hint=f"Get the rest, or measure what is there: `corruption='{','.join(present)}'`.",
        )
    arrays = {cell: _clip_array(suite, folder / f"{name}.npy", cell.condition) for name, cell in names.items()}
    lengths = {name: len(arrays[cell]) for name, cell in names.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise RobenchError(
            f"{folder}: {shortest}.npy has {lengths[shortest]:,} clips and {longest}.npy {lengths[longest]:,}.",
            hint="All files of a set have the same clips; fetch the shorter one again.",
        )

    def view(cell: Cell) -> View:
        array = arrays[cell]
        file = folder / f"{published_name(cell.condition, difficulty(options))}.npy"
        return clips_of(_Stored(array, file), array.shape[1], np.full(len(array), -1, np.int64))

    with ThreadPoolExecutor(cores()) as pool:
        files = dict(zip(names, pool.map(lambda name: checksum_of(folder / f"{name}.npy"), names), strict=True))
    protocol = {"files": files, "difficulty": difficulty(options)}
    return Found(suite, tuple(names.values()), "published", view, protocol, mark=mark_in(folder, suite.name))


class _Stored:
    """Clips in one mapped array (N, frames, H, W, 3)."""

    def __init__(self, array: npt.NDArray[np.uint8], file: Path) -> None:
        self._array, self._file = array, file

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return read_rows(self._array, indices, self._file)


def _clip_array(suite: Suite, path: Path, condition: str) -> npt.NDArray[Any]:
    array = map_npy(path, ndim=5)
    frames = suite.frame_count(condition)
    if array.shape[1] != frames or array.shape[4] != 3:
        raise RobenchError(
            f"{path}: expected clips of {frames} frames, shape (N, {frames}, 32, 32, 3); found {array.shape}.",
            hint="The file is of another set or was cut; fetch it again.",
        )
    check_side(array.shape, str(path), suite.side)
    return array


def _open_generated(suite: Suite, clean: Images, options: OpenOptions, *, cropped: bool = False) -> Found:
    """Open a -P suite whose clips are made from clean images as they are read.

    Args:
        suite: the protocol.
        clean: the images.
        options: as given by the user.
        cropped: whether the images may differ in size, and are cropped to the suite's after they were perturbed.
    """
    cells = choose_cells(suite, options)
    level, size = difficulty(options), suite.side if cropped else None

    def transform(condition: str) -> Transform:
        def perturbed(pixels: torch.Tensor, index: npt.NDArray[np.int64]) -> torch.Tensor:
            import torch

            from robench.corruptions.sequences import perturb

            made = perturb(pixels, condition, index=index, seed=options.seed, difficulty=level, size=size)
            return torch.stack(list(made), dim=1)

        return perturbed

    def view(cell: Cell) -> View:
        frames = suite.frame_count(cell.condition)
        return view_of(clean, transform(cell.condition), frames=frames, one_by_one=cropped)

    protocol = {"clean": clean.checksum(), "difficulty": level}
    dataset = found_copy(suite.dataset, clean)
    remarks = tuple(clean.remarks)
    return Found(suite, cells, "generated", view, protocol, clean.classes, remarks=remarks, dataset=dataset)


def _list_clips(tree: Tree, path: str) -> tuple[list[str], npt.NDArray[np.int64]]:
    rank = {wnid: label for label, wnid in enumerate(imagenet_wnids())}
    paths: list[str] = []
    labels: list[int] = []
    for folder in tree.folders(path):
        if folder not in rank:
            raise RobenchError(
                f"{tree.root}/{join(path, folder)} is not a WordNet id of ImageNet.", hint="Remove or rename it."
            )
        files = [join(path, folder, name) for name in tree.files(join(path, folder)) if name.endswith(".mp4")]
        paths += files
        labels += [rank[folder]] * len(files)
    if not paths:
        raise RobenchError(f"{tree.root}/{path} holds no clips (.mp4).", hint="Unpack the set again.")
    return paths, np.array(labels, np.int64)


def _clip_names(paths: list[str], labels: npt.NDArray[np.int64]) -> list[tuple[int, str]]:
    """Return (class, file name) of clips, which are the same for all clips of an image."""
    return [(label, path.rpartition("/")[2]) for path, label in zip(paths, labels.tolist(), strict=True)]


class _Videos:
    """Clips in mp4 files, decoded by threads."""

    def __init__(self, tree: Tree, paths: list[str], frames: int, side: int, workers: int | None) -> None:
        self._tree, self._paths, self._frames, self._side = tree, paths, frames, side
        self._workers = workers or cores()

    def read(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        with ThreadPoolExecutor(min(self._workers, len(indices))) as pool:
            return np.stack(list(pool.map(self._one, indices.tolist())))

    def _one(self, number: int) -> npt.NDArray[np.uint8]:
        name = f"{self._tree.root}/{self._paths[number]}"
        try:
            data = self._tree.fetch(self._paths[number])
        except OSError as error:
            raise CorruptImageError(name, error) from error
        clip = decode_clip(data, self._frames, name)
        if clip.shape[1:3] != (self._side, self._side):
            found, side = " x ".join(map(str, clip.shape[1:3])), self._side
            raise CorruptImageError(name, f"its frames are {found}, not {side} x {side}")
        return clip


def _fingerprint(tree: Tree, paths: list[str], labels: npt.NDArray[np.int64]) -> str:
    """Return a SHA-256 over names, labels and the bytes of a few clips."""
    digest = hashlib.sha256("\0".join(paths).encode() + labels.tobytes())
    for i in sorted({i * len(paths) // _FINGERPRINTED for i in range(_FINGERPRINTED)}):
        try:
            digest.update(tree.fetch(paths[i]))
        except OSError:  # reported when the clip is read, which skip_corrupt may allow
            digest.update(b"-")
    return digest.hexdigest()
