"""The -P suites: clips of one picture under a growing perturbation, published or generated."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.data.arrays import map_npy
from robench.data.base import Geometry, Images
from robench.data.classes import imagenet_wnids
from robench.data.decode import CorruptImageError
from robench.data.find import open_images
from robench.data.trees import Tree, join
from robench.data.video import decode_clip
from robench.errors import RobenchError
from robench.processes import cores
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.checks import check_clean, check_side, only_one
from robench.suites.clips import Clips, OpenedClips, difficulty
from robench.suites.opened import choose_cells
from robench.suites.trees import open_conditions

if TYPE_CHECKING:
    import torch

IMAGENET_FRAMES = {"translate": 41}
CIFAR_FRAMES = {"motion_blur": 21, "translate": 16}
USUAL_FRAMES = 31
SHORTER_SIDE, IMAGENET_SIDE = 256, 224
_FINGERPRINTED = 16


def _file_name(condition: str, level: int) -> str:
    """Return the published name of a cell: the noises have files of their own for difficulty 2 and 3."""
    return f"{condition}_{level}" if level > 1 and "noise" in condition else condition


def open_digits_p(suite: Suite, data: Path | None, options: OpenOptions) -> OpenedClips:
    """Open digits-p: the embedded test split, perturbed on the fly."""
    if data is not None and str(data) != "digits":
        raise RobenchError(f"{suite.name} has its data embedded and takes none; found {data}.", hint="Leave it out.")
    return _open_generated(suite, open_images("digits"), options)


def open_cifar_p(suite: Suite, data: Path | None, options: OpenOptions) -> OpenedClips:
    """Open CIFAR-10-P or -100-P: published ``.npy`` files (N, T, 32, 32, 3), or the clean test set to perturb.

    Raises:
        RobenchError: neither is at ``data``, or files of another shape.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint="Give the published files or the clean test set.")
    names = {_file_name(cell.condition, difficulty(options)): cell for cell in choose_cells(suite, options)}
    present: dict[Path, list[str]] = {}
    for folder in [data, *sorted(p for p in data.glob("*") if p.is_dir())] if data.is_dir() else []:
        if found := [name for name in names if (folder / f"{name}.npy").is_file()]:
            present[folder] = found
    # Corruptions (CIFAR-C) have files of the same names, and labels.
    unlabelled = [folder for folder in present if not (folder / "labels.npy").is_file()]
    if (place := only_one(unlabelled or list(present), data)) is not None:
        return _open_arrays(suite, place, names, present[place], options)
    images = open_images(data, dataset="cifar10" if suite.dataset == "cifar10" else None, workers=options.workers)
    check_clean(suite, images, str(data))
    return _open_generated(suite, images, options)


def _open_arrays(
    suite: Suite, folder: Path, names: dict[str, Cell], present: list[str], options: OpenOptions
) -> OpenedClips:
    missing = [name for name in names if name not in present]
    if missing:
        raise RobenchError(
            f"{folder} lacks {', '.join(f'{name}.npy' for name in missing)}.",
            hint=f"Get the rest, or measure what is there: --corruption {','.join(present)}.",
        )
    arrays = {cell: _clip_array(folder / f"{name}.npy", cell.condition) for name, cell in names.items()}
    lengths = {name: len(arrays[cell]) for name, cell in names.items()}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise RobenchError(
            f"{folder}: {shortest}.npy has {lengths[shortest]:,} clips and {longest}.npy {lengths[longest]:,}.",
            hint="All files of a set have the same clips; fetch the shorter one again.",
        )

    def clips(cell: Cell) -> Clips:
        array = arrays[cell]

        def read(numbers: npt.NDArray[np.int64], device: str) -> torch.Tensor:
            import torch

            return torch.from_numpy(np.array(array[numbers])).permute(0, 1, 4, 2, 3).to(device)

        return Clips(len(array), array.shape[1], np.full(len(array), -1, np.int64), read)

    def fingerprint(name: str) -> str:
        with open(folder / f"{name}.npy", "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    with ThreadPoolExecutor(cores()) as pool:
        files = dict(zip(names, pool.map(fingerprint, names), strict=True))
    return OpenedClips(replace(suite, cells=tuple(names.values())), "published", clips, {"files": files}, options)


def _clip_array(path: Path, condition: str) -> npt.NDArray[Any]:
    array = map_npy(path, ndim=5)
    frames = CIFAR_FRAMES.get(condition, USUAL_FRAMES)
    if array.shape[1] != frames or array.shape[4] != 3:
        raise RobenchError(
            f"{path}: expected clips of {frames} frames, shape (N, {frames}, 32, 32, 3); found {array.shape}.",
            hint="The file is of another set or was cut; fetch it again.",
        )
    check_side(array.shape, str(path))
    return array


def _open_generated(suite: Suite, clean: Images, options: OpenOptions, size: int | None = None) -> OpenedClips:
    """Open a -P suite whose clips are made from clean pictures as they are read.

    Args:
        suite: the protocol.
        clean: the pictures; with ``size`` they may differ in size, and are perturbed before they are cropped.
        options: as given by the user.
        size: side of the frames; None: that of the pictures.
    """
    cells = choose_cells(suite, options)
    target = clean.labels if clean.labels is not None else np.full(len(clean), -1, np.int64)
    side = size or clean.read(np.array([0])).shape[1]

    def clips(cell: Cell) -> Clips:
        from robench.corruptions.perturbations import frame_count

        def make(numbers: npt.NDArray[np.int64], device: str) -> torch.Tensor:
            import torch

            from robench.corruptions.sequences import perturb

            pixels = torch.from_numpy(clean.read(numbers)).permute(0, 3, 1, 2).to(device)
            level = difficulty(options)
            made = perturb(pixels, cell.condition, index=numbers, seed=options.seed, difficulty=level, size=size)
            return torch.stack(list(made), dim=1)

        def read(numbers: npt.NDArray[np.int64], device: str) -> torch.Tensor:
            import torch

            if size is None:
                return make(numbers, device)
            return torch.cat([make(np.array([number]), device) for number in numbers])

        return Clips(len(clean), frame_count(cell.condition, side), target, read)

    protocol = {"clean": clean.checksum()}
    return OpenedClips(replace(suite, cells=cells), "generated", clips, protocol, options, clean.classes)


def open_imagenet_p(suite: Suite, data: Path | None, options: OpenOptions) -> OpenedClips:
    """Open ImageNet-P: ``PERTURBATION/WNID/NAME.mp4`` in folders or packed tars, or made from the validation folder.

    Raises:
        RobenchError: neither is at ``data``, or a perturbation is missing.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint="Give the folder of the unpacked tars, or the tars.")
    names = {_file_name(cell.condition, difficulty(options)): cell for cell in choose_cells(suite, options)}
    tree, places = open_conditions(data, list(names))
    if not places:
        geometry = Geometry(resize=SHORTER_SIDE)
        clean = open_images(data, dataset="imagenet", geometry=geometry, workers=options.workers)
        return _open_generated(suite, clean, options, size=IMAGENET_SIDE)
    missing = [name for name in names if name not in places]
    if missing:
        raise RobenchError(
            f"{data} lacks {', '.join(missing)}.",
            hint=f"Get the rest, or measure what is there: --corruption {','.join(places)}.",
        )
    listed = {cell: _list_clips(tree, places[name]) for name, cell in names.items()}

    def clips(cell: Cell) -> Clips:
        return _mp4_clips(tree, *listed[cell], IMAGENET_FRAMES.get(cell.condition, USUAL_FRAMES), options)

    files = {cell.name: _fingerprint(tree, *found) for cell, found in listed.items()}
    suite = replace(suite, cells=tuple(names.values()))
    return OpenedClips(suite, "published", clips, {"files": files}, options, imagenet_wnids())


def _list_clips(tree: Tree, path: str) -> tuple[list[str], npt.NDArray[np.int64]]:
    rank = {wnid: label for label, wnid in enumerate(imagenet_wnids())}
    paths: list[str] = []
    labels: list[int] = []
    for folder in tree.folders(path):
        if folder not in rank:
            raise RobenchError(
                f"{tree.root}/{join(path, folder)} is no WordNet id of ImageNet.", hint="Remove or rename it."
            )
        files = [join(path, folder, name) for name in tree.files(join(path, folder)) if name.endswith(".mp4")]
        paths += files
        labels += [rank[folder]] * len(files)
    if not paths:
        raise RobenchError(f"{tree.root}/{path} holds no clips (.mp4).", hint="Unpack the set again.")
    return paths, np.array(labels, np.int64)


def _mp4_clips(tree: Tree, paths: list[str], labels: npt.NDArray[np.int64], frames: int, options: OpenOptions) -> Clips:
    def one(number: int) -> npt.NDArray[np.uint8]:
        name = f"{tree.root}/{paths[number]}"
        try:
            data = tree.fetch(paths[number])
        except OSError as error:
            raise CorruptImageError(name, error) from error
        clip = decode_clip(data, frames, name)
        if clip.shape[1:3] != (IMAGENET_SIDE, IMAGENET_SIDE):
            raise CorruptImageError(name, f"its frames are {clip.shape[1]} x {clip.shape[2]}, not 224 x 224")
        return clip

    def read(numbers: npt.NDArray[np.int64], device: str) -> torch.Tensor:
        import torch

        workers = options.workers or cores()
        with ThreadPoolExecutor(min(workers, len(numbers))) as pool:
            stack = np.stack(list(pool.map(one, numbers.tolist())))
        return torch.from_numpy(stack).permute(0, 1, 4, 2, 3).to(device)

    return Clips(len(paths), frames, labels, read)


def _fingerprint(tree: Tree, paths: list[str], labels: npt.NDArray[np.int64]) -> str:
    """Return a SHA-256 over names, labels and the bytes of a few clips."""
    digest = hashlib.sha256("\0".join(paths).encode() + labels.tobytes())
    for i in sorted({i * len(paths) // _FINGERPRINTED for i in range(_FINGERPRINTED)}):
        try:
            digest.update(tree.fetch(paths[i]))
        except OSError:  # reported when the clip is read, which --skip-corrupt may allow
            digest.update(b"-")
    return digest.hexdigest()
