"""The compiled loops over pixels give what tensor operations give, to the bit, and are loaded where that pays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_suite import CELLS, SmallSuite, small_model

from robench.evaluation import EvaluationOptions, evaluate_suite, pixels
from robench.evaluation.fingerprints import fingerprints
from robench.evaluation.pixels import Normaliser
from robench.models.base import Preprocessing


@pytest.fixture(autouse=True)
def two_threads_and_no_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pixels, "_loops", None)
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, 2))
    yield
    torch.set_num_threads(before)


def images_of(*shape: int) -> torch.Tensor:
    made = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return torch.from_numpy(made).contiguous(memory_format=torch.channels_last)


def normalised(images: torch.Tensor, normaliser: Normaliser) -> torch.Tensor:
    out = torch.full_like(images, torch.nan, dtype=torch.float32, memory_format=torch.channels_last)
    normaliser(images, out)
    return out


@pytest.mark.parametrize("shape", [(5, 3, 32, 32), (3, 3, 7, 9), (1, 3, 1, 5), (0, 3, 4, 4)])
def test_loops_normalise_as_tensor_operations_do(shape: tuple[int, ...]) -> None:
    images, draws = images_of(*shape), torch.Generator().manual_seed(1)
    pairs = [(torch.rand(3, generator=draws) / 60, 3 * torch.rand(3, generator=draws) - 1.5) for _ in range(5)]
    expected = [normalised(images, Normaliser(*pair)) for pair in pairs]
    pixels.load_loops()
    for pair, values in zip(pairs, expected, strict=True):
        normaliser = Normaliser(*pair)
        assert torch.equal(normalised(images, normaliser), values)
        assert normaliser._exact is not None  # they were tried


def test_loops_that_round_otherwise_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loops:
        @staticmethod
        def normalise(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, out: np.ndarray) -> None:
            out[:] = x * scale + shift + np.float32(1e-6)

    images, normaliser = images_of(2, 3, 8, 8), Normaliser(torch.full((3,), 0.02), torch.full((3,), -2.0))
    expected = normalised(images, normaliser)
    monkeypatch.setattr(pixels, "_loops", Loops)
    assert torch.equal(normalised(images, normaliser), expected)
    assert normaliser._exact is False


@pytest.mark.parametrize("size", [(32, 32), (7, 9)])
def test_fingerprints_are_the_same_by_loops(size: tuple[int, int]) -> None:
    images = images_of(50, 3, *size)
    images[0] = 255
    expected = fingerprints(images)
    pixels.load_loops()
    assert torch.equal(fingerprints(images), expected)
    assert torch.equal(fingerprints(images.contiguous()), expected)


def test_long_runs_load_the_loops_and_have_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(small_model(), preprocessing=Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)))
    options, cells = EvaluationOptions("cpu", batch_size=50), CELLS[:2]
    short = evaluate_suite(model, SmallSuite(), tmp_path / "short", options, cells=cells).run
    assert pixels._loops is None
    monkeypatch.setattr(pixels, "_MANY", 1)
    with pixels.loops_beside(1, "cuda"):
        assert pixels._loops is None
    with pixels.loops_beside(1, "cpu"):
        pass
    assert pixels._loops is not None
    long = evaluate_suite(model, SmallSuite(), tmp_path / "long", options, cells=cells).run
    for cell in cells:
        assert long.cell_path(cell.name).read_bytes() == short.cell_path(cell.name).read_bytes()
