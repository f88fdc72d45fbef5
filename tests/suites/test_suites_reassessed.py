"""ImageNet-ReaL and ImageNet-3DCC in their published layouts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_layouts import WNIDS, file_name, write_classes, write_tree

import robench
from robench import suites
from robench.errors import RobenchError
from robench.evaluation.columns import most_probable
from robench.models import wrap
from robench.predictions import RunFolder
from robench.suites import Cell, OpenOptions
from robench.suites.protocols import CORRUPTIONS_3DCC


@pytest.fixture
def real(tmp_path: Path, photos: list[np.ndarray]) -> Path:
    """Eight validation images; the second has no label, the third two."""
    write_classes(tmp_path / "val", photos[:8])
    labels: list[list[int]] = [[] for _ in range(50_000)]
    for i in range(8):
        labels[i] = {1: [], 2: [281, 7]}.get(i, [i % 4])
    (tmp_path / "real.json").write_text(json.dumps(labels))
    return tmp_path / "val"


def test_any_of_an_images_labels_is_right_and_images_without_one_are_left_out(real: Path, tmp_path: Path) -> None:
    opened = suites.open_suite("imagenet-real", real)
    assert opened.length(Cell("imagenet-real")) == 7
    assert any("1 images without a label" in remark for remark in opened.remarks)
    batch = next(opened.batches(Cell("imagenet-real"), 9))
    assert opened.with_limit(3).length(Cell("imagenet-real")) == len(
        next(opened.with_limit(3).batches(Cell("imagenet-real"), 9)).index
    )
    order = sorted(range(8), key=lambda i: (WNIDS[i % 4], file_name(i)))
    expected = [{2: [7, 281]}.get(i, [i % 4]) for i in order if i != 1]
    assert [np.flatnonzero(row).tolist() for row in batch.target] == expected

    always_7 = wrap(lambda x: torch.nn.functional.one_hot(torch.full((len(x),), 7), 1000).float(), num_classes=1000,
                    name="always 7")  # fmt: skip
    result = robench.evaluate(always_7, "imagenet-real", data=real, out=tmp_path / "run", device="cpu", resamples=0,
                              quiet=True)  # fmt: skip
    assert result.summary["error"].value == pytest.approx(6 / 7)
    rows = RunFolder.open(tmp_path / "run").read("imagenet-real")
    assert sorted(rows.target[rows.correct].tolist()) == [7]


def test_the_most_probable_right_class_is_the_target() -> None:
    logits = torch.tensor([[0.1, 3.0, 2.0], [5.0, 1.0, 4.0], [1.0, 2.0, 3.0]])
    allowed = np.array([[1, 0, 1], [1, 0, 1], [0, 0, 0]])
    assert most_probable(logits, allowed).tolist() == [2, 0, -1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[[1], [2]]", "50,000 lists"), (json.dumps([[1000]] * 50_000), "50,000 lists"), ("{}", "real.json")],
)
def test_other_labels_are_refused(real: Path, text: str, expected: str) -> None:
    (real.parent / "real.json").write_text(text)
    with pytest.raises(RobenchError, match=expected):
        suites.open_suite("imagenet-real", real)


def test_missing_labels_say_where_they_are(real: Path) -> None:
    moved = (real.parent / "real.json").rename(real.parent / "labels.json")
    with pytest.raises(RobenchError, match="reassessed-imagenet"):
        suites.open_suite("imagenet-real", real)
    assert (
        suites.open_suite("imagenet-real", real, OpenOptions(definition=str(moved))).length(Cell("imagenet-real")) == 7
    )


def test_imagenet_3dcc_is_read_as_published(tmp_path: Path, squares: list[np.ndarray]) -> None:
    """CONDITION/SEVERITY/WNID/NAME.JPEG, as RobustBench's loader has it."""
    root = write_tree(tmp_path / "ImageNet-3DCC", squares[:4], CORRUPTIONS_3DCC)
    opened = suites.open_suite("imagenet-3dcc", root)
    assert len(opened.suite.cells) == 60
    assert opened.source == "published"
    assert next(opened.batches(Cell("z_motion_blur", 5), 9)).target.tolist() == [0, 1, 4, 281]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RobenchError, match="imagenet-3dcc"):
        suites.open_suite("imagenet-3dcc", tmp_path / "empty")
