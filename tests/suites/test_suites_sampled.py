"""All kinds of published files and generated images are sampled, taken up again, and become the whole to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from published_layouts import WNIDS, file_name, to_jpeg
from test_suites_sequences import write_clip

import robench
from robench import suites
from robench.corruptions.perturbations import frame_count
from robench.data import digits
from robench.data.classes import imagenet_wnids
from robench.predictions import RunFolder
from robench.results.schema import Result
from robench.suites import OpenOptions
from robench.suites import trees as suite_trees
from robench.suites.subsets import SUBSETS

IMAGES, FEW = 40, 26


def first_pixels(images: torch.Tensor) -> torch.Tensor:
    """Ten logits, which differ between images."""
    return images.flatten(1)[:, 300:1300:100] * 3


def many_classes(images: torch.Tensor) -> torch.Tensor:
    """A thousand logits."""
    return images.flatten(1)[:, :1000]


def squares(side: int, count: int = IMAGES) -> list[np.ndarray]:
    """Digits as images of any size."""
    found = digits.load("test").array[:count]
    return [np.asarray(Image.fromarray(one).resize((side, side))) for one in found]


def arrays(suite: str, *conditions: str) -> Callable[[Path], dict[str, Any]]:
    """CIFAR-10-C's and -C-bar's arrays of five blocks."""

    def write(folder: Path) -> dict[str, Any]:
        test = digits.load("test")
        np.save(folder / "labels.npy", np.tile(test.labels[:IMAGES], 5).astype(np.uint8))
        for step, condition in enumerate(conditions):
            blocks = [(test.array[:IMAGES] * (1 - (step + s) / 10)).astype(np.uint8) for s in range(1, 6)]
            np.save(folder / f"{condition}.npy", np.concatenate(blocks))
        return {"suite": suite, "corruption": ",".join(conditions), "severity": "1,4"}

    return write


def trees(folder: Path) -> dict[str, Any]:
    """ImageNet-C's class folders of each condition and severity."""
    for severity in (1, 2):
        for i, image in enumerate(squares(224)):
            place = folder / "fog" / str(severity) / WNIDS[i % 4] / file_name(i)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(to_jpeg((image * (1 - severity / 10)).astype(np.uint8)))
    return {"suite": "imagenet-c", "corruption": "fog", "severity": "1,2"}


def subset(name: str) -> Callable[[Path], dict[str, Any]]:
    """ImageNet-R's and -A's folders of 200 classes."""

    def write(folder: Path) -> dict[str, Any]:
        for i, image in enumerate(squares(64)):
            place = folder / imagenet_wnids()[SUBSETS[name][i % 4]] / f"art_{i}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(to_jpeg(image))
        return {"suite": name}

    return write


def clean(folder: Path) -> dict[str, Any]:
    """Any data set's folders of classes, without a shift."""
    for i, image in enumerate(squares(32)):
        place = folder / f"class-{i % 10}" / f"{i}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(place)
    return {"suite": "clean", "resize": 32, "crop": 32}


def clips(folder: Path) -> dict[str, Any]:
    """CIFAR-10-P's arrays of clips."""
    images = digits.load("test").array[:IMAGES]
    frames = [(images * (1 - t / 100)).astype(np.uint8) for t in range(frame_count("tilt", 32))]
    np.save(folder / "tilt.npy", np.stack(frames, axis=1))
    return {"suite": "cifar10-p", "corruption": "tilt"}


def videos(folder: Path) -> dict[str, Any]:
    """ImageNet-P's clips as video files."""
    for i, image in enumerate(squares(224, FEW + 4)):
        frames = [(image * (1 - t / 80)).astype(np.uint8) for t in range(31)]
        write_clip(folder / "brightness" / WNIDS[i % 4] / file_name(i).replace("JPEG", "mp4"), frames)
    return {"suite": "imagenet-p", "corruption": "brightness"}


def generated(folder: Path) -> dict[str, Any]:
    """Images that robench corrupts itself, of a folder of clean ones."""
    for i, image in enumerate(squares(64)):
        place = folder / WNIDS[i % 4] / file_name(i)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(to_jpeg(image))
    return {"suite": "imagenet-c", "corruption": "contrast", "severity": "2"}


LAYOUTS = {"arrays": arrays("cifar10-c", "fog", "contrast"), "bar": arrays("cifar10-c-bar", "lines", "sparkles"),
           "trees": trees, "clean": clean, "imagenet-r": subset("imagenet-r"), "imagenet-a": subset("imagenet-a"),
           "clips": clips, "videos": videos, "generated": generated}  # fmt: skip


SLOW = ("bar", "trees", "clean", "imagenet-r", "videos", "generated")


@pytest.mark.parametrize(
    "layout", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in LAYOUTS]
)
def test_a_sample_grows_to_the_whole_to_the_byte(layout: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    options = LAYOUTS[layout](data)
    model = many_classes if options["suite"].startswith("imagenet") else first_pixels

    def measured(out: str, **choice: Any) -> Result:
        found = robench.evaluate(model, data=data, out=tmp_path / out, resamples=0, quiet=True, device="cpu",
                                 batch_size=8, name="m", **options, **choice)  # fmt: skip
        assert found is not None
        return found

    def cells(out: str) -> dict[str, bytes]:
        run = RunFolder.open(tmp_path / out)
        return {name: run.cell_path(name).read_bytes() for name in run.record.cells if run.is_done(name)}

    def drawn(out: str) -> dict[str, set[int]]:
        run = RunFolder.open(tmp_path / out)
        return {name: set(run.read(name).index.tolist()) for name in run.done()}

    few = measured("run", limit=FEW)
    assert few.suite.sampled is not None
    first = drawn("run")
    assert {len(images) for images in first.values()} == {FEW}
    measured("run", within=30)
    assert all(first[name] <= images for name, images in drawn("run").items())
    whole = measured("run", within=0)
    assert whole.suite.sampled is None
    measured("full")
    assert cells("run") == cells("full")
    assert all(len(images) > FEW for images in drawn("run").values())


def test_a_growing_sample_lists_the_folders_of_a_cell_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of ImageNet-C has a thousand, and a look at a sample asks for each of its 75 cells several times."""
    options = trees(tmp_path)
    listed: list[str] = []
    real = suite_trees.load_folders
    monkeypatch.setattr(suite_trees, "load_folders", lambda *a, **k: listed.append(k["below"]) or real(*a, **k))
    opened = suites.open_suite(options["suite"], tmp_path, OpenOptions(conditions=("fog",), severities=(1, 2)))
    found = []
    for limit in (10, 20, None):
        sample = opened.with_limit(limit)
        for cell in sample.suite.cells:
            assert sample.sample_key(cell) == opened.sample_key(opened.suite.cells[0])
            (batch,) = sample.batches(cell, IMAGES)
            found.append((batch.images.numpy(), batch.index, batch.target))
    assert listed == ["fog/1", "fog/2"]
    again = suites.open_suite(options["suite"], tmp_path, OpenOptions(conditions=("fog",), severities=(2,)))
    (batch,) = again.batches(again.suite.cells[0], IMAGES)  # listed, as the first of its cells
    assert all(map(np.array_equal, found[-1], (batch.images.numpy(), batch.index, batch.target)))
