"""On a GPU the batches are those of the CPU, whether their arrays stay on the card or come batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from published_layouts import write_classes

from robench import suites
from robench.suites import Cell, OpenOptions, OpenSuite
from robench.suites import reading as reader


def gathered(opened: OpenSuite, cell: Cell, device: str) -> tuple[torch.Tensor, list[int]]:
    batches = list(opened.batches(cell, 7, device=device))
    assert {str(batch.images.device) for batch in batches} == {device}
    return torch.cat([batch.images.cpu() for batch in batches]), np.concatenate([b.target for b in batches]).tolist()


@pytest.mark.gpu
@pytest.mark.parametrize("resident", [True, False])
def test_published_arrays_are_the_same_on_a_gpu(resident: bool, cifar_c: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not resident:
        monkeypatch.setattr(reader, "_RESIDENT_BYTES", 0)
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
