"""A small suite on real digits, in memory, and a small model for it: what tests of the engine run on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.probe import IMAGES
from robench.models.base import Model, Preprocessing
from robench.suites.base import Batch, Cell, OpenOptions, Suite

CELLS = (Cell("clean"), *(Cell(name, s) for name in ("gaussian_noise", "contrast", "fog") for s in range(1, 6)))


class SmallSuite:
    """Digits darkened a little more with every severity; ``broken`` cells cannot be read, ``lost`` images neither."""

    source = "generated"
    scaled_to = None
    dataset = "digits"
    classes = tuple("0123456789")

    def __init__(
        self, images: int = 120, seconds_a_cell: float = 0.0, broken: tuple[str, ...] = (), lost: tuple[int, ...] = ()
    ) -> None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        pixels = (digits.images[:images] * 15.9).astype(np.uint8)
        self.images = torch.from_numpy(pixels)[:, None].repeat(1, 3, 1, 1)
        self.labels = digits.target[:images].astype(np.int64)
        self.pause, self.broken, self.lost = seconds_a_cell, broken, lost
        self.read: list[str] = []
        self.options = OpenOptions()
        self.remarks: list[str] = []
        self.whole = tuple(cell.name for cell in CELLS)
        self.published: dict[str, int] = {}
        self.protocol: dict[str, Any] = {"suite": "small-c", "version": 1, "images": images, "seed": 0}
        self.suite = Suite("small-c", "Small", "classification", "digits", 10, CELLS, ("clean", "corruption"))
        self.dataset = self.suite.dataset

    def length(self, cell: Cell) -> int:
        return self.total(cell) if self.options.limit is None else self.options.limit

    def total(self, cell: Cell) -> int:
        return len(self.images)

    def with_limit(self, limit: int | None) -> SmallSuite:
        few = copy(self)  # of which the first images are read, and noted in the same list
        few.options = replace(self.options, limit=limit)
        return few

    def sample_key(self, cell: Cell) -> str:
        return "first images"

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
        start, stop = start + after, self.length(cell) if stop is None else stop + after
        if stop != IMAGES:  # a look at the first images, to know the model again
            self.read.append(cell.name)
            time.sleep(self.pause)
        if cell.name in self.broken:
            raise RobenchError(f"{cell.name}/7.JPEG cannot be decoded.")
        for begin in range(start, stop, batch_size):
            piece = slice(begin, min(begin + batch_size, stop))
            shade = 1.0 - 0.15 * (cell.severity or 0)
            index = np.arange(piece.start, piece.stop)
            lost = tuple(f"{cell.name}/{i}.png cannot be decoded." for i in index if i in self.lost)
            kept = np.array([i not in self.lost for i in index], bool)
            images = (self.images[piece] * shade).to(torch.uint8)
            yield Batch(images[torch.from_numpy(kept)], index[kept], self.labels[piece][kept], unreadable=lost)


def small_model(seed: int = 0, classes: int = 10) -> Model:
    """Return a linear model on the pixels with weights from a seed."""
    generator = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(3 * 8 * 8, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 0.2)
        layer.bias.zero_()
    module = torch.nn.Sequential(torch.nn.Flatten(), layer)
    return Model(f"linear-{seed}", module, classes, Preprocessing(), hash=f"seed-{seed}-{classes}")


def measure_slowly(out: str, seconds_a_cell: float) -> None:
    """Evaluate with a pause in every cell; the target of processes that get killed."""
    torch.set_num_threads(1)
    evaluate_suite(small_model(), SmallSuite(seconds_a_cell=seconds_a_cell), out, EvaluationOptions(device="cpu"))


def run_bytes(out: Path) -> dict[str, bytes]:
    """Return the bytes of every predictions file of a run."""
    # A write cut short leaves a hidden file beside, which nothing reads.
    files = sorted((out / "predictions").glob("[!.]*"))
    return {path.name: path.read_bytes() for path in files}
