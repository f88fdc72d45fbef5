"""Writes corrupted test sets to disk in the published layouts, from clean pictures; a stopped run goes on.

* CIFAR-C (and digits-c): ``CORRUPTION.npy``, uint8 (5 N, H, W, 3) with severity s in rows (s-1) N to s N - 1, and
  ``labels.npy`` (5 N,), one file for all.
* CIFAR-P (and digits-p): ``PERTURBATION.npy``, uint8 (N, T, H, W, 3), no labels.
* ImageNet-C and Tiny-ImageNet-C: ``CORRUPTION/SEVERITY/CLASS/NAME.JPEG`` at quality 85.

Source of the layouts: hendrycks/robustness, ``create_c`` and ``create_p``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.corruptions.perturbations import ALL_PERTURBATIONS, CIFAR_P, frame_count
from robench.corruptions.severities import ALL, BENCHMARK
from robench.data import open_images
from robench.data.base import Geometry, Images
from robench.errors import RobenchError, did_you_mean
from robench.files import atomic_write, sha256, write_json

if TYPE_CHECKING:
    import torch

BATCH = 256
SEVERITIES = (1, 2, 3, 4, 5)
JPEG_QUALITY = 85
_SPARE = 1.05
"""Room asked for beyond the files themselves."""


@dataclass(frozen=True)
class Layout:
    """How a suite's files lie on the disk.

    Args:
        kind: ``blocks`` (.npy a corruption), ``sequences`` (.npy a perturbation) or ``tree`` (JPEG files).
        dataset: whose classes the clean set must have, or None.
        geometry: what is done to clean pictures first, or None.
        names: conditions that are made unless others are asked for.
    """

    kind: str
    dataset: str | None
    geometry: Geometry | None
    names: tuple[str, ...]


LAYOUTS = {
    "digits-c": Layout("blocks", None, None, BENCHMARK),
    "cifar10-c": Layout("blocks", "cifar10", None, BENCHMARK),
    "cifar100-c": Layout("blocks", "cifar100", None, BENCHMARK),
    "tiny-imagenet-c": Layout("tree", None, Geometry((64, 64), None, "bilinear"), BENCHMARK),
    "imagenet-c": Layout("tree", "imagenet", Geometry(256, 224, "bilinear"), BENCHMARK),
    "digits-p": Layout("sequences", None, None, CIFAR_P),
    "cifar10-p": Layout("sequences", "cifar10", None, CIFAR_P),
    "cifar100-p": Layout("sequences", "cifar100", None, CIFAR_P),
}

Told = Callable[[int, str], None]


@dataclass(frozen=True)
class Task:
    """What is to be written; see :func:`prepare`."""

    suite: str
    layout: Layout
    clean: Images
    out: Path
    conditions: tuple[str, ...]
    seed: int
    frost: str | None

    @property
    def pictures(self) -> int:
        """How many pictures (frames counted singly) there are in all."""
        side = self.clean.read(np.array([0])).shape[1]
        if self.layout.kind == "sequences":
            return len(self.clean) * sum(frame_count(name, side) for name in self.conditions)
        return len(self.clean) * len(SEVERITIES) * len(self.conditions)


def prepare(
    suite: str,
    source: str | Path,
    out: str | Path,
    *,
    conditions: tuple[str, ...] | None = None,
    seed: int = 0,
    frost: str | None = None,
) -> Task:
    """Open the clean set and check that what is wanted can be made.

    Args:
        suite: a name in :data:`LAYOUTS`.
        source: the clean test set, in any form that ``open_images`` reads.
        out: folder for the files.
        conditions: which corruptions or perturbations; None: the published ones.
        seed: of the randomness.
        frost: folder with the original frost pictures, or None.

    Raises:
        RobenchError: an unknown suite or condition, unreadable data, another set already there, or too little room.
    """
    if suite not in LAYOUTS:
        raise RobenchError(f"No generator for suite '{suite}'.", hint=did_you_mean(suite, LAYOUTS))
    layout = LAYOUTS[suite]
    known = ALL_PERTURBATIONS if layout.kind == "sequences" else ALL
    for name in conditions or ():
        if name not in known:
            raise RobenchError(f"{suite} has no condition '{name}'.", hint=did_you_mean(name, known))
    clean = open_images(source, dataset=layout.dataset, geometry=layout.geometry)
    task = Task(suite, layout, clean, Path(out), conditions or layout.names, seed, frost)
    _claim(task)
    _check_room(task)
    return task


def generate(task: Task, told: Told | None = None) -> list[Path]:
    """Write what is not there yet and return the files or folders, one a condition.

    A file appears whole or not at all, so the same call goes on after any stop. The randomness is that of
    :func:`robench.corruptions.corrupt`, keyed by the picture's number: on-the-fly suites with this seed show the same
    pictures.

    Args:
        task: from :func:`prepare`.
        told: called with the number of pictures finished and the condition they belong to.

    Raises:
        RobenchError: a picture cannot be read, or the disk is full.
    """
    write = {"blocks": _write_blocks, "sequences": _write_sequence, "tree": _write_tree}[task.layout.kind]
    if task.layout.kind == "blocks":
        _write_array(task.out / "labels.npy", np.tile(_labels(task.clean), len(SEVERITIES)).astype(np.uint8))
    made = [write(task, name, told or _silent) for name in task.conditions]
    verify(task)
    return made


def verify(task: Task) -> None:
    """Check shapes, counts and types of everything that was written.

    Raises:
        RobenchError: names the first file that is wrong.
    """
    n = len(task.clean)
    for name in task.conditions:
        if task.layout.kind == "tree":
            found = sum(1 for _ in (task.out / name).glob("*/*/*"))
            if found != n * len(SEVERITIES):
                raise _wrong(task.out / name, f"{n * len(SEVERITIES)} pictures", f"{found}")
            continue
        path = task.out / f"{name}.npy"
        array = np.load(path, mmap_mode="r")
        rows = n if task.layout.kind == "sequences" else n * len(SEVERITIES)
        if array.dtype != np.uint8 or len(array) != rows:
            raise _wrong(path, f"uint8 of {rows} rows", f"{array.dtype} of shape {array.shape}")


def _write_blocks(task: Task, name: str, told: Told) -> Path:
    from robench.corruptions import corrupt

    def rows() -> Iterator[npt.NDArray[np.uint8]]:
        for severity in SEVERITIES:
            for index, images in _batches(task.clean):
                made = corrupt(images, name, severity, index=index, seed=task.seed, frost=task.frost)
                told(len(index), name)
                yield made.permute(0, 2, 3, 1).numpy()

    shape = (len(task.clean) * len(SEVERITIES), *task.clean.read(np.array([0])).shape[1:])
    return _stream(task, name, shape, rows(), told)


def _write_sequence(task: Task, name: str, told: Told) -> Path:
    from robench.corruptions import perturb

    height, width, channels = task.clean.read(np.array([0])).shape[1:]
    frames = frame_count(name, height)

    def rows() -> Iterator[npt.NDArray[np.uint8]]:
        for index, images in _batches(task.clean, BATCH // 8):
            clips = np.empty((len(index), frames, height, width, channels), np.uint8)
            for t, frame in enumerate(perturb(images, name, index=index, seed=task.seed)):
                clips[:, t] = frame.permute(0, 2, 3, 1).numpy()
            told(len(index) * frames, name)
            yield clips

    return _stream(task, name, (len(task.clean), frames, height, width, channels), rows(), told)


def _write_tree(task: Task, name: str, told: Told) -> Path:
    from concurrent.futures import ThreadPoolExecutor

    from robench.corruptions import corrupt

    with ThreadPoolExecutor() as pool:
        for severity in SEVERITIES:
            folder = task.out / name / str(severity)
            missing = [row for row in range(len(task.clean)) if not (folder / _file(task.clean, row)).exists()]
            told(len(task.clean) - len(missing), name)
            for start in range(0, len(missing), BATCH):
                index = np.array(missing[start : start + BATCH], np.int64)
                images = _tensor(task.clean.read(index))
                made = corrupt(images, name, severity, index=index, seed=task.seed, frost=task.frost)
                places = [folder / _file(task.clean, int(row)) for row in index]
                list(pool.map(_write_jpeg, places, made.permute(0, 2, 3, 1).contiguous().numpy()))
                told(len(index), name)
    return task.out / name


def _stream(task: Task, name: str, shape: tuple[int, ...], rows: Iterator[npt.NDArray[np.uint8]], told: Told) -> Path:
    """Write an array batch by batch, or find it written."""
    path = task.out / f"{name}.npy"
    if path.exists():
        told(int(shape[0] * (shape[1] if len(shape) == 5 else 1)), name)
        return path
    with atomic_write(path) as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": tuple(int(side) for side in shape)}
        )
        for batch in rows:
            file.write(np.ascontiguousarray(batch).tobytes())
    return path


def _batches(clean: Images, size: int = BATCH) -> Iterator[tuple[npt.NDArray[np.int64], torch.Tensor]]:
    for start in range(0, len(clean), size):
        index = np.arange(start, min(start + size, len(clean)), dtype=np.int64)
        yield index, _tensor(clean.read(index))


def _tensor(pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)


def _write_jpeg(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    with atomic_write(path) as file:
        Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)


def _write_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    if not path.exists():
        with atomic_write(path) as file:
            np.save(file, array)


def _file(clean: Images, row: int) -> str:
    """Return ``CLASS/NAME.JPEG`` of a picture, the original name kept."""
    if clean.files is None or clean.labels is None or clean.classes is None:
        raise RobenchError("The clean set must be class folders of picture files.", hint="Give the validation folder.")
    name = Path(clean.files[row])
    folder = name.parent.name or str(clean.classes[int(clean.labels[row])])
    return f"{folder}/{name.stem}.JPEG"


def _labels(clean: Images) -> npt.NDArray[np.int64]:
    if clean.labels is None:
        raise RobenchError("The clean set has no labels.", hint="Give a labelled test set.")
    return clean.labels


def _claim(task: Task) -> None:
    """Write down what the folder is made of, or refuse one that is made of something else."""
    record = {
        "kind": "robench-generated",
        "suite": task.suite,
        "clean": task.clean.checksum(),
        "seed": task.seed,
        "frost": sha256(next(iter(sorted(Path(task.frost).iterdir())))) if task.frost else None,
    }
    path = task.out / "generated.json"
    if path.exists():
        import json

        there = json.loads(path.read_text())
        differing = [key for key in record if there.get(key) != record[key]]
        if differing:
            raise RobenchError(
                f"{task.out} holds a set that differs in {', '.join(differing)}.",
                hint="Choose another folder with --out.",
            )
        return
    write_json(path, record)


def _check_room(task: Task) -> None:
    height, width, channels = task.clean.read(np.array([0])).shape[1:]
    # JPEG of quality 85 takes about a fifth of the pixels' bytes; noise takes more, blur less.
    share = 0.3 if task.layout.kind == "tree" else 1.0
    needed = int(_SPARE * share * task.pictures * height * width * channels)
    written = sum(path.stat().st_size for path in task.out.rglob("*") if path.is_file())
    free = shutil.disk_usage(task.out).free
    if free + written < needed:
        raise RobenchError(
            f"{task.suite} needs about {needed / 1e9:.1f} GB; {task.out} has {free / 1e9:.1f} GB free.",
            hint="Make room, choose another --out, or fewer --corruption.",
        )


def _wrong(path: Path, expected: str, found: str) -> RobenchError:
    return RobenchError(f"{path}: expected {expected}, found {found}.", hint="Remove it and generate it again.")


def _silent(pictures: int, condition: str) -> None:
    """Say nothing."""
