"""DeepAugment's written sets: every training image once through a distorted network, as the published scripts do it.

``EDSR_distort_imagenet.py`` and ``CAE_distort_imagenet.py`` of hendrycks/imagenet-r: the whole image (no crop), its
shorter side scaled to 128 pixels for EDSR, which quadruples it, or to 512 for the autoencoder. The weights are
distorted anew with probability 0.05 per image, the signal for every image. The file keeps its class folder and name, so
that a ``.JPEG`` is written with Pillow's usual quality.

An image's distortions depend on the seed and its place in the list of all images, not on the processes or on what was
written before: its weights are those of the last renewal up to its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robench.data.formats import CorruptImageError, read_rgb
from robench.errors import RobenchError
from robench.files import atomic_write, digest, read_document, sha256, write_json
from robench.training.networks import distort_cae, distort_edsr
from robench.training.networks.distorter import RENEWAL, Distorter, load_network
from robench.training.networks.edsr import EDSR

RESIZE = {"edsr": 128, "cae": 512}
"""Shorter side of the network's input, in pixels."""
MARK = "deepaugment.json"
_CHUNK = 32
"""Images that a process takes at a time: about one renewal of the weights."""
_RENEW, _WEIGHTS, _SIGNAL = 0, 1, 2


@dataclass(frozen=True)
class Task:
    """What is to be written.

    Args:
        weights: folder or file of the trained network.
        kind: ``edsr`` or ``cae``.
        root: folder of the class folders.
        files: all images, in order.
        out: where they are written, below the same class folders.
        seed: of the distortions.
        device: of the network.
    """

    weights: Path
    kind: str
    root: Path
    files: tuple[Path, ...]
    out: Path
    seed: int
    device: str = "cpu"

    def place(self, number: int) -> Path:
        """Return the file that image ``number`` is written to."""
        return self.out / self.files[number].relative_to(self.root)

    @property
    def lacking(self) -> list[int]:
        """Numbers of the images that are not written yet."""
        return [number for number in range(len(self.files)) if not self.place(number).is_file()]


def prepare(weights: Path, kind: str, source: Path, out: Path, seed: int, device: str) -> Task:
    """Return the task, and note in ``out`` what it is: another one is not continued there.

    Raises:
        RobenchError: weights of another network, no class folders, or another set in ``out``.
    """
    from robench.training.engine.disk import images_by_folder

    found = "edsr" if isinstance(load_network(weights), EDSR) else "cae"
    if found != kind:
        raise RobenchError(f"{weights} holds weights of {found}, not of {kind}.", hint=f"Use `network='{found}'`.")
    root = source / "train" if (source / "train").is_dir() else source
    files = tuple(path for paths in images_by_folder(root).values() for path in paths)
    if out.resolve() == root.resolve() or root.resolve() in out.resolve().parents:
        raise RobenchError(f"{out} lies within the images {root}.", hint="Give another folder: `out`.")
    file = weights / "weights.safetensors" if weights.is_dir() else weights
    names = digest([path.relative_to(root).as_posix() for path in files])
    about = {"network": kind, "weights": sha256(file), "images": names, "seed": seed, "resize": RESIZE[kind]}
    mark = out / MARK
    if mark.is_file() and (there := read_document(mark, "record of a written set")) != about:
        other = next(name for name in about if there.get(name) != about[name])
        raise RobenchError(
            f"{out} holds a set of another {other}.", hint="Give another folder: `out`, or the settings of before."
        )
    write_json(mark, about, own=True)
    return Task(weights, kind, root, files, out, seed, device)


def write(task: Task, *, workers: int, after: Callable[[int], None]) -> tuple[str, ...]:
    """Write what is lacking, and return a message for every image that could not be read.

    Args:
        task: as prepared.
        workers: processes; 1: this one alone.
        after: called with the number of images that were done since the last call.

    Raises:
        RobenchError: the folder cannot be written to.
    """
    lacking = task.lacking
    chunks = [lacking[start : start + _CHUNK] for start in range(0, len(lacking), _CHUNK)]
    problems: list[tuple[int, str]] = []
    for count, found in _results(task, chunks, workers):
        problems += found
        after(count)
    return tuple(message for _, message in sorted(problems))


def _results(task: Task, chunks: list[list[int]], workers: int) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    if workers == 1 or len(chunks) < 2:
        maker = _Maker(task)
        for chunk in chunks:
            yield len(chunk), maker.make(chunk)
        return
    # A forked process would inherit PyTorch's threads in an unknown state.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (task,)) as pool:
        waiting = {pool.submit(_make, chunk): len(chunk) for chunk in chunks}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Maker:
    """One process's network with its distortions."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.network = load_network(task.weights).to(task.device)
        self._distorter = Distorter(self.network)
        self._renewed: int | None = None

    def make(self, numbers: list[int]) -> list[tuple[int, str]]:
        """Write some images; return number and message of those that could not be read."""
        problems = []
        for number in numbers:
            try:
                pixels = read_rgb(self.task.files[number])
            except CorruptImageError as error:
                problems.append((number, error.message))
                continue
            image = Image.fromarray(self.distorted(number, pixels))
            place = self.task.place(number)
            with atomic_write(place, own=True) as file:
                image.save(file, format=_format(place))
        return problems

    @torch.no_grad()
    def distorted(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Return image ``number``, uint8 (H, W, 3), after the network: uint8, of the network's size."""
        renewal = last_renewal(number, self.task.seed)
        if renewal != self._renewed:
            self._distorter.renew(np.random.default_rng((self.task.seed, _WEIGHTS, renewal)))
            self._renewed = renewal
        image = _scaled(Image.fromarray(pixels), RESIZE[self.task.kind])
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(self.task.device).float() / 255.0
        random = np.random.default_rng((self.task.seed, _SIGNAL, number))
        if isinstance(self.network, EDSR):
            y = distort_edsr.distorted_forward(self.network, x, random)
        else:
            y = distort_cae.distorted_forward(self.network, x, random)
        found: np.ndarray = (y[0] * 255.0).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        return found


def last_renewal(number: int, seed: int) -> int:
    """Return the last image up to ``number`` at which the weights were distorted anew, or 0."""
    renewals = (n for n in range(number, 0, -1) if np.random.default_rng((seed, _RENEW, n)).random() < RENEWAL)
    return next(renewals, 0)


def _scaled(image: Image.Image, side: int) -> Image.Image:
    """Scale the shorter side to ``side`` pixels, bilinear, the longer one in proportion, rounded down."""
    width, height = image.size
    size = (side, int(side * height / width)) if width <= height else (int(side * width / height), side)
    return image.resize(size, Image.Resampling.BILINEAR)


def _format(place: Path) -> str:
    return Image.registered_extensions().get(place.suffix.lower(), "PNG")


_here: _Maker | None = None


def _start(task: Task) -> None:
    global _here
    torch.set_num_threads(1)
    _here = _Maker(task)


def _make(numbers: list[int]) -> list[tuple[int, str]]:
    assert _here is not None
    return _here.make(numbers)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
