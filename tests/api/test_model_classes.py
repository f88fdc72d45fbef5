"""A model whose classes are in another order than the suite's is measured right, by every function that measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import robench
from robench.data.classes import imagenet_wnids
from robench.data.digits import CLASSES
from robench.models import Model, load_model, wrap
from robench.suites.superclasses import SUPERCLASSES

ORDER = (3, 1, 2, 0, 4, 5, 6, 7, 9, 8)


@pytest.fixture(scope="module")
def usual() -> Model:
    return load_model("reference:digits/standard")


@pytest.fixture(scope="module")
def permuted(usual: Model) -> Model:
    """The same network with its logits, and the names of its classes, in another order."""

    class Permuted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = usual.module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images)[:, list(ORDER)]

    return replace(usual, module=Permuted(), hash="permuted", classes=tuple(CLASSES[label] for label in ORDER))


def test_a_permutation_of_the_classes_is_put_right(usual: Model, permuted: Model, tmp_path: Path) -> None:
    words = {"limit": 100, "quiet": True}
    right = robench.evaluate(usual, "clean", out=tmp_path / "usual", **words)  # type: ignore[arg-type]
    found = robench.evaluate(permuted, "clean", out=tmp_path / "permuted", **words)  # type: ignore[arg-type]
    assert right is not None
    assert found is not None
    assert found.summary["clean_error"] == right.summary["clean_error"]
    assert found.model.card["class_order"] == "by name: 10 of 10 logits, 4 moved"
    unknown = replace(permuted, classes=None)
    wrong = robench.evaluate(unknown, "clean", out=tmp_path / "unknown", **words)  # type: ignore[arg-type]
    assert wrong is not None
    value, reference = wrong.summary["clean_error"].value, right.summary["clean_error"].value
    assert value is not None
    assert reference is not None
    assert value > reference + 0.3  # what was measured before, without a word


def test_classes_that_the_model_lacks_are_named(permuted: Model, tmp_path: Path) -> None:
    odd = replace(permuted, classes=("zero", "yak", *CLASSES[2:]), num_classes=10)
    nine = replace(odd, classes=(*CLASSES[:8], "yak", "gnu", "ox"), num_classes=11)
    with pytest.raises(robench.RobenchError, match="lacks 2: 'eight', 'nine'"):
        robench.evaluate(nine, "clean", out=tmp_path / "nine", limit=20, quiet=True)


def test_published_arrays_without_names_have_those_of_their_data_set(tmp_path: Path) -> None:
    from robench.api.models import names_of
    from robench.data.cifar import CIFAR10_CLASSES
    from robench.suites import OpenOptions, open_suite

    images = np.random.default_rng(0).integers(0, 256, (10_000 * 5, 1, 1, 3), dtype=np.uint8)
    np.save(tmp_path / "fog.npy", np.broadcast_to(images[:, :1, :1], (50_000, 32, 32, 3)))
    np.save(tmp_path / "labels.npy", np.tile(np.arange(10, dtype=np.uint8).repeat(1000), 5))
    opened = open_suite("cifar10-c", tmp_path, OpenOptions(conditions=("fog",)))
    assert opened.classes is None
    assert names_of(opened) == CIFAR10_CLASSES


@pytest.mark.parametrize("suite", ["imagenet-r", "laion-c"])
def test_outputs_are_mapped_by_name_where_labels_count_in_fewer_classes(suite: str, tmp_path: Path) -> None:
    goldfish, place = imagenet_wnids()[1], "imagenet-r/" if suite == "imagenet-r" else "stickers/intensity_level_1/"
    names = [goldfish] if suite == "imagenet-r" else list(SUPERCLASSES["laion-c"])
    for number, name in enumerate(names):
        folder = tmp_path / place / name
        folder.mkdir(parents=True)
        Image.fromarray(np.full((30, 30, 3), number, np.uint8)).save(folder / f"{number}.png")
    # A background class first, as TensorFlow's networks have it: the goldfish is output 2.
    model = wrap(lambda x: torch.nn.functional.one_hot(torch.full((len(x),), 2), 1001).float(), name="goldfish",
                 classes=("background", *imagenet_wnids()))  # fmt: skip
    options = {} if suite == "imagenet-r" else {"corruption": "stickers", "severity": 1}
    result = robench.evaluate(model, suite, data=tmp_path, out=tmp_path / "run", resamples=0, quiet=True, device="cpu",
                              **options)  # fmt: skip
    assert result.model.card["class_order"] == "by name: 1000 of 1001 logits, 1000 moved"
    assert result.cells[-1].metrics["error"].value == pytest.approx(1 - 1 / len(names))
