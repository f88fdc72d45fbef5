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


def write_wide(folder: Path) -> str:
    """Write a network without a linear layer that has 12 outputs, of which the first ten are the digits' model's."""
    (folder / "wide.py").write_text(
        "import torch\nfrom robench.models import load_model\n"
        "def make():\n"
        "    network = load_model('reference:digits/standard').module\n"
        "    return lambda x: torch.nn.functional.pad(network(x), (0, 2), value=-99.0)\n"
    )
    return f"python:{folder / 'wide.py'}:make"


HALF = {"norm_preset": "half", "quiet": True, "resamples": 0, "limit": 20, "device": "cpu"}


def test_num_classes_counts_all_outputs_of_which_some_are_chosen(tmp_path: Path) -> None:
    spec = write_wide(tmp_path)
    result = robench.evaluate(f"{spec}?outputs=0:10", "clean", out=tmp_path / "run", num_classes=12, **HALF)
    assert result.summary["clean_error"].value < 0.1
    with pytest.raises(robench.RobenchError, match="number of classes of make is not known"):
        robench.evaluate(f"{spec}?outputs=0:10", "clean", out=tmp_path / "other", **HALF)
    with pytest.raises(robench.RobenchError, match="has 10 output classes; `num_classes` says 12"):
        robench.evaluate("reference:digits/standard?outputs=0:10", "clean", out=tmp_path / "o", num_classes=12,
                         quiet=True)  # fmt: skip


@pytest.mark.parametrize(
    ("count", "said"),
    [(12, "`num_classes=12` does not go with the data, which has 10 classes"), (10, "has 12 output classes"),
     (7, "`num_classes=7` does not go"), (1001, "does not go with the data")],
)  # fmt: skip
def test_a_number_of_classes_that_only_the_option_says_is_no_number_of_the_model(
    count: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(robench.RobenchError, match=said):
        robench.evaluate(write_wide(tmp_path), "clean", out=tmp_path / "run", num_classes=count, **HALF)
