"""On a GPU the batches are those of the CPU, whether their arrays stay on the card or come batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_layouts import write_classes

from robench import suites
from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.suites import Cell, OpenOptions, OpenSuite
from robench.suites import reading as reader
from robench.suites.resident import Resident


def gathered(opened: OpenSuite, cell: Cell, device: str) -> tuple[torch.Tensor, list[int]]:
    batches = list(opened.batches(cell, 7, device=device))
    assert {str(batch.images.device) for batch in batches} == {device}
    return torch.cat([batch.images.cpu() for batch in batches]), np.concatenate([b.target for b in batches]).tolist()


@pytest.mark.gpu
def test_published_arrays_are_the_same_on_a_gpu(cifar_c: Path) -> None:
    opened = suites.open_suite("cifar10-c", cifar_c)
    for cell in (Cell("fog", 2), Cell("fog", 5), Cell("snow", 1)):
        there, here = gathered(opened, cell, "cuda:0"), gathered(opened, cell, "cpu")
        assert torch.equal(there[0], here[0])
        assert there[1] == here[1]


@pytest.mark.gpu
def test_photographs_and_clips_are_the_same_on_a_gpu(
    tmp_path: Path, photos: list[np.ndarray], cifar_clean: Path
) -> None:
    natural = suites.open_suite("real-blurry", write_classes(tmp_path / "blurry", photos))
    clips = suites.open_suite("cifar10-p", cifar_clean, OpenOptions(conditions=("translate",), limit=6))
    for opened in (natural, clips):
        cell = opened.suite.cells[-1]
        assert torch.equal(gathered(opened, cell, "cuda:0")[0], gathered(opened, cell, "cpu")[0])


def test_what_is_kept_on_a_gpu_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, which is told that it has room: cells are the same, and every photograph is decoded once."""
    rng = np.random.default_rng(0)
    folder = write_classes(tmp_path / "clean", [rng.integers(0, 256, (40, 40, 3), np.uint8) for _ in range(9)])
    options = OpenOptions(conditions=("fog", "contrast"), severities=(2,), geometry=Geometry(36, 32))
    usual = suites.open_suite("imagenet-c", folder, options)
    expected = {cell: gathered(usual, cell, "cpu") for cell in usual.suite.cells}
    monkeypatch.setattr(reader, "room_on", lambda device: 1 << 30)
    read: list[int] = []
    decode = EncodedImages.read

    def counted(self: EncodedImages, indices: np.ndarray) -> np.ndarray:
        read.extend(indices.tolist())
        return decode(self, indices)

    monkeypatch.setattr(EncodedImages, "read", counted)
    kept = suites.open_suite("imagenet-c", folder, options)
    read.clear()
    corrupted = [cell for cell in kept.suite.cells if cell.severity is not None]
    for cell in [*corrupted, *corrupted]:
        images, target = gathered(kept, cell, "cpu")
        assert torch.equal(images, expected[cell][0])
        assert target == expected[cell][1]
    assert sorted(read) == list(range(len(expected[corrupted[0]][1])))


@pytest.mark.parametrize("room", [0, 5 * 3 * 8 * 8 - 1, 5 * 3 * 8 * 8])
def test_images_are_kept_where_all_of_them_have_room(room: int) -> None:
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    read: list[int] = []

    def take(rows: np.ndarray) -> torch.Tensor:
        read.extend(rows.tolist())
        return pixels[torch.from_numpy(rows)]

    kept = Resident(5, "cpu", room)
    for rows in ([3, 1], [0, 1, 2], [4, 3, 2, 1, 0]):
        assert torch.equal(kept.get(np.array(rows), take), pixels[rows])
    assert len(read) == (5 if room == pixels.numel() else 2 + 3 + 5)
