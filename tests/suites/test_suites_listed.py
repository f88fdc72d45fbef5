"""RobustBench's list of ImageNet-C's images, on a set in the published layout."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from published_layouts import WNIDS, to_jpeg

import robench
from robench import suites
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions
from robench.suites.listed import numbers

LISTED, OTHERS = (11, 31, 41, 49999), (1, 2, 30, 50000)
ONLY = OpenOptions(conditions=("fog",), images="robustbench")


@pytest.fixture
def imagenet_c(tmp_path: Path) -> Path:
    """Fog at five severities, and the clean validation images beside it."""
    grey = to_jpeg(np.full((224, 224, 3), 90, np.uint8))
    for place in (*(f"fog/{severity}" for severity in range(1, 6)), "val"):
        for i, number in enumerate((*LISTED, *OTHERS)):
            folder = tmp_path / "set" / place / WNIDS[i % 4]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(grey)
    return tmp_path / "set"


def test_the_list_has_5000_different_images() -> None:
    listed = numbers("robustbench")
    assert len(listed) == 5000
    assert min(listed) >= 1
    assert max(listed) <= 50_000
    assert set(LISTED) < listed
    assert not set(OTHERS) & listed


@pytest.mark.parametrize("packed", [False, True])
def test_only_listed_images_are_measured(imagenet_c: Path, packed: bool) -> None:
    place = imagenet_c
    if packed:
        place = imagenet_c.parent / "packed"
        place.mkdir()
        (imagenet_c / "val").rename(place / "val")
        with tarfile.open(place / "weather.tar", "w") as archive:
            archive.add(imagenet_c / "fog", "fog")
    opened = suites.open_suite("imagenet-c", place, ONLY)
    assert [cell.name for cell in opened.suite.cells] == ["clean", *(f"fog/{s}" for s in range(1, 6))]
    for cell in opened.suite.cells:
        assert opened.length(cell) == len(LISTED)
        assert sorted(next(opened.batches(cell, 9)).target.tolist()) == [0, 1, 4, 281]
    assert opened.protocol["list"] == "robustbench"
    assert opened.published["fog/1"] == 5000
    assert "4 images" in opened.remarks[-1]
    everything = suites.open_suite("imagenet-c", place, OpenOptions(conditions=("fog",)))
    assert everything.length(Cell("fog", 1)) == 8


def test_it_goes_with_the_published_images_only(imagenet_c: Path, tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="generate"):
        suites.open_suite("imagenet-c", imagenet_c / "val", ONLY)
    with pytest.raises(RobenchError, match="Unknown list"):
        suites.open_suite("imagenet-c", imagenet_c, OpenOptions(images="robustbenhc"))
    with pytest.raises(RobenchError, match="`images` has no effect on digits-c"):
        robench.evaluate("reference:digits/standard", "digits-c", images="robustbench", out=tmp_path / "run")
