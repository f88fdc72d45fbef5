"""Multi-label training: its loss, its two learning rates, and the training set of a metadata split."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robench.errors import RobenchError
from robench.suites import OpenOptions, open_suite
from robench.suites.splits import training_set
from robench.training import recipes
from robench.training.engine.batch import Batch
from robench.training.engine.disk import open_disk
from robench.training.engine.network import Network
from robench.training.engine.schedule import build_optimiser
from robench.training.methods.multi_label import MultiLabel
from robench.training.recipes.schema import OptimiserPart

Make = Callable[..., Network]
# file, split, label, scale, occlusion, viewpoint, zoom
GARMENTS = [
    ("a", "train", 1, 2, 2, 2, 1), ("a", "train", 7, 2, 2, 2, 1), ("a", "train", 9, 3, 2, 2, 1),
    ("b", "train", 2, 2, 2, 2, 2), ("c", "train", 13, 2, 2, 2, 1), ("d", "validation", 3, 2, 2, 2, 1),
    ("e", "train", 3, 1, 2, 2, 1),
]  # fmt: skip


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    root = tmp_path / "df2"
    with_rows = [["file", "split", "label", "scale", "occlusion", "viewpoint", "zoom"]]
    for name, split, *rest in GARMENTS:
        file = root / split / "image" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 30), (ord(name), 0, 0)).save(file)
        with_rows.append([file.relative_to(root).as_posix(), split, *map(str, rest)])
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(with_rows)
    return root


def test_loss_is_the_mean_binary_cross_entropy(batch: Batch, make_network: Make) -> None:
    labels = (torch.rand(40, 10, generator=torch.Generator().manual_seed(0)) < 0.3).long()
    many = replace(batch, labels=labels)
    step = MultiLabel().loss(make_network(), many)
    p = make_network()(batch.view()).sigmoid()
    by_hand = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    assert step.loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert step.logits is None
    single = MultiLabel().loss(make_network(), batch)
    one_hot = torch.nn.functional.one_hot(batch.labels, 10)
    assert single.loss.item() == pytest.approx(
        MultiLabel().loss(make_network(), replace(batch, labels=one_hot)).loss.item()
    )


def test_head_and_backbone_have_their_own_rates() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 3))
    groups = build_optimiser(OptimiserPart(name="adam", lr=1e-4, backbone=0.1, weight_decay=0.0), module).param_groups
    assert [group["scale"] for group in groups] == [0.1, 1.0]
    assert [tuple(one.shape for one in group["params"]) for group in groups] == [((4, 4), (4,)), ((3, 4), (3,))]
    assert len(build_optimiser(OptimiserPart(), module).param_groups) == 1
    part = recipes.load("dfr-resnet50").optimiser
    assert (part.name, part.lr, part.lr * part.backbone, part.weight_decay) == ("adam", 1e-4, pytest.approx(1e-5), 0.0)


def test_training_images_pass_all_attributes(fashion: Path) -> None:
    files, targets, root = training_set("dfr", fashion)
    assert root == fashion
    assert [file.stem for file in files] == ["a", "c"]
    assert [np.flatnonzero(row).tolist() for row in targets] == [[0, 6], [12]]  # only garments that pass
    opened = open_suite("dfr", fashion, OpenOptions(conditions=("iid", "scale-small", "zoom-medium")))
    for cell in opened.suite.cells:
        tested = {int(i) for batch in opened.batches(cell, 9) for i in batch.index}
        assert not tested & {0, 2}  # a and c, by their place in the manifest; a's third garment is in scale-large
    recipe = recipes.load("dfr-style-transfer-resnet50", ["data.size=16"])
    device = torch.device("cpu")
    copies = fashion.parent / "StylizedDFR" / "image"
    copies.mkdir(parents=True)
    Image.new("RGB", (20, 30)).save(copies / "a.png")
    with pytest.raises(RobenchError, match=r"has no train/image/c\.png"):
        open_disk(recipe.data, fashion, 1, device)
    Image.new("RGB", (20, 30)).save(copies / "c.png")
    found = open_disk(recipe.data, fashion, 1, device)
    assert [file.parent.parent.name for file in found.files] == ["train", "train", "StylizedDFR", "StylizedDFR"]
    assert torch.equal(found.labels, torch.from_numpy(np.concatenate([targets, targets])))
    (images,) = found.batches([torch.tensor([0, 3])], 0)
    assert images.shape == (2, 3, 16, 16)
