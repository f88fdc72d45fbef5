"""Writes the files of a corrupted test set; each appears whole or not at all, and one that is there is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robench.corruptions.perturbations import NOISES
from robench.cpu import cores
from robench.data.base import Images
from robench.data.video import encode_clip
from robench.errors import RobenchError
from robench.files import atomic_write
from robench.suites.generate_task import CLIP_SIDE, Task
from robench.suites.protocols import SEVERITIES

if TYPE_CHECKING:
    import torch

BATCH = 256
JPEG_QUALITY = 85
CRF = 20
"""x264's quality of all clips but those of noise, which have its default and ``tune grain``."""

Told = Callable[[int, str], None]


def write_blocks(task: Task, name: str, told: Told, found: Told) -> Path:
    """Write ``NAME.npy`` of five severities."""
    from robench.corruptions import corrupt

    def rows() -> Iterator[npt.NDArray[np.uint8]]:
        for severity in SEVERITIES:
            for index, images in _batches(task.clean):
                made = corrupt(images, name, severity, index=index, seed=task.seed, frost=task.frost)
                told(len(index), name)
                yield made.permute(0, 2, 3, 1).numpy()

    shape = (len(task.clean) * len(SEVERITIES), *task.shape)
    return _stream(task, name, shape, rows(), found)


def write_sequence(task: Task, name: str, told: Told, found: Told) -> Path:
    """Write ``NAME.npy`` of whole sequences."""
    from robench.corruptions import perturb

    height, width, channels = task.shape
    frames = task.frames(name)

    def rows() -> Iterator[npt.NDArray[np.uint8]]:
        for index, images in _batches(task.clean, BATCH // 8):
            clips = np.empty((len(index), frames, height, width, channels), np.uint8)
            made = perturb(images, name, index=index, seed=task.seed, difficulty=task.difficulty)
            for t, frame in enumerate(made):
                clips[:, t] = frame.permute(0, 2, 3, 1).numpy()
            told(len(index) * frames, name)
            yield clips

    return _stream(task, name, (len(task.clean), frames, height, width, channels), rows(), found)


def write_tree(task: Task, name: str, told: Told, found: Told) -> Path:
    """Write ``NAME/SEVERITY/CLASS/IMAGE.JPEG``."""
    from robench.corruptions import corrupt

    with ThreadPoolExecutor(cores()) as pool:
        for severity in SEVERITIES:
            paths = places(task, f"{name}/{severity}", ".JPEG")
            missing = [row for row, path in enumerate(paths) if not path.exists()]
            found(len(task.clean) - len(missing), name)
            for start in range(0, len(missing), BATCH):
                index = np.array(missing[start : start + BATCH], np.int64)
                images = _tensor(task.clean.read(index))
                made = corrupt(images, name, severity, index=index, seed=task.seed, frost=task.frost)
                chosen = [paths[row] for row in index]
                list(pool.map(_write_jpeg, chosen, made.permute(0, 2, 3, 1).contiguous().numpy()))
                told(len(index), name)
    return task.out / name


def write_clips(task: Task, name: str, told: Told, found: Told) -> Path:
    """Write ``NAME/CLASS/IMAGE.mp4``; images may differ in size, so each is perturbed by itself."""
    from robench.corruptions.sequences import perturb

    paths = places(task, task.stored(name), ".mp4")
    missing = [row for row, path in enumerate(paths) if not path.exists()]
    frames = task.frames(name)
    found((len(paths) - len(missing)) * frames, name)

    def finish(path: Path, clip: npt.NDArray[np.uint8]) -> None:
        with atomic_write(path, own=True) as file:
            file.write(encode_clip(clip, None if name in NOISES else CRF, tune="grain" if name in NOISES else None))
        told(frames, name)

    # Encoding takes most of the time and lets go of the interpreter's lock; only so many clips wait for it.
    step = 2 * cores()
    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(missing), step):
            waiting = []
            for row in missing[start : start + step]:
                index = np.array([row], np.int64)
                image, level = _tensor(task.clean.read(index)), task.difficulty
                made = perturb(image, name, index=index, seed=task.seed, difficulty=level, size=CLIP_SIDE)
                clip = np.stack([frame[0].permute(1, 2, 0).numpy() for frame in made])
                waiting.append(pool.submit(finish, paths[row], clip))
            for written in waiting:
                written.result()
    return task.out / task.stored(name)


def write_labels(task: Task) -> None:
    """Write ``labels.npy`` for all severities of blocks."""
    path = task.out / "labels.npy"
    if not path.exists():
        with atomic_write(path, own=True) as file:
            np.save(file, np.tile(_labels(task.clean), len(SEVERITIES)).astype(np.uint8))


def places(task: Task, folder: str, suffix: str) -> list[Path]:
    """Return the path of every image's file, ``FOLDER/CLASS/NAME`` and the suffix; the original names are kept."""
    clean = task.clean
    if clean.files is None or clean.labels is None or clean.classes is None:
        raise RobenchError("The clean set must be class folders of image files.", hint="Give the validation folder.")
    paths = []
    for file, label in zip(map(Path, clean.files), clean.labels, strict=True):
        paths.append(task.out / folder / (file.parent.name or str(clean.classes[int(label)])) / f"{file.stem}{suffix}")
    if len(set(paths)) < len(paths):
        path, count = Counter(paths).most_common(1)[0]
        raise RobenchError(
            f"{count} clean images would be written to {path}.", hint="Give the images of one class different names."
        )
    return paths


def _stream(task: Task, name: str, shape: tuple[int, ...], rows: Iterator[npt.NDArray[np.uint8]], found: Told) -> Path:
    """Write an array batch by batch, or find it written."""
    path = task.out / f"{task.stored(name)}.npy"
    if path.exists():
        found(int(shape[0] * (shape[1] if len(shape) == 5 else 1)), name)
        return path
    with atomic_write(path, own=True) as file:
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


def _write_jpeg(path: Path, image: npt.NDArray[np.uint8]) -> None:
    from PIL import Image

    with atomic_write(path, own=True) as file:
        Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)


def _labels(clean: Images) -> npt.NDArray[np.int64]:
    if clean.labels is None:
        raise RobenchError("The clean set has no labels.", hint="Give a labelled test set.")
    return clean.labels
