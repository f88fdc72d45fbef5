"""CIFAR kept as JPEG is another data set: the record says so, in every suite that is made of clean images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published_layouts import write_cifar_c

import robench
from robench import suites
from robench.data import digits
from robench.errors import RobenchError
from robench.results.schema import Result
from robench.suites.base import OpenOptions, Suite
from robench.suites.copies import copy_of, found_copy
from robench.suites.generate import generate, prepare
from robench.tables.boards import make_boards

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def write_folders(folder: Path, ending: str) -> Path:
    test = digits.load("test")
    for label, name in enumerate(NAMES):
        (folder / "test" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(test.array[2 * label + number]).save(folder / "test" / name / f"{number}.{ending}")
    return folder


def made_of_cifar(suite: Suite) -> bool:
    return suite.dataset == "cifar10" and "generated" in suite.sources


@pytest.mark.parametrize("name", [name for name in suites.names() if made_of_cifar(suites.get(name))])
def test_every_suite_made_of_jpeg_copies_says_so(name: str, tmp_path: Path) -> None:
    copies = suites.open_suite(name, write_folders(tmp_path / "jpeg", "jpg"))
    assert copies.dataset == "cifar10-jpeg"
    assert any("not comparable with published ones of cifar10" in remark for remark in copies.remarks)
    whole = suites.open_suite(name, write_folders(tmp_path / "png", "png"))
    assert whole.dataset == "cifar10"
    assert not any("JPEG" in remark for remark in whole.remarks)


def test_files_generated_from_copies_are_copies(tmp_path: Path) -> None:
    for ending, name in (("jpg", "cifar10-jpeg"), ("png", "cifar10")):
        made = tmp_path / f"made-{ending}"
        generate(prepare("cifar10-c", write_folders(tmp_path / ending, ending), made, conditions=("fog",)))
        assert suites.open_suite("cifar10-c", made, OpenOptions(conditions=("fog",))).dataset == name


def test_data_sets_that_are_published_as_jpeg_have_no_copies(tmp_path: Path) -> None:
    images = robench.data.open_images(str(write_folders(tmp_path, "jpg")), split="test")
    assert found_copy("cifar10", images) == copy_of("cifar10") == "cifar10-jpeg"
    assert found_copy("imagenet", images) is None


def test_a_result_on_copies_has_a_board_of_its_own(tmp_path: Path) -> None:
    def measured(ending: str) -> Result:
        data, out = write_folders(tmp_path / ending, ending), tmp_path / f"run-{ending}"
        return robench.evaluate(
            "reference:digits/standard", "cifar10-c", data=data, corruption="fog", severity=3, out=out
        )

    results = {Path(ending): measured(ending) for ending in ("jpg", "png")}
    assert results[Path("jpg")].suite.dataset == "cifar10-jpeg"
    boards = make_boards(results, living=False)
    assert sorted("images of cifar10-jpeg" in board.protocol for board in boards) == [False, True]


def test_copies_are_no_clean_images_of_published_files(tmp_path: Path) -> None:
    published = write_cifar_c(tmp_path / "CIFAR-10-C", ("fog",))
    np.save(published / "labels.npy", np.tile(np.repeat(np.arange(10), 2), 5))
    for ending in ("jpg", "png"):
        options = OpenOptions(conditions=("fog",), clean=str(write_folders(tmp_path / ending, ending)))
        if ending == "png":
            assert suites.open_suite("cifar10-c", published, options).dataset == "cifar10"
            continue
        with pytest.raises(RobenchError, match=r"holds JPEG files \(cifar10-jpeg\)"):
            suites.open_suite("cifar10-c", published, options)
