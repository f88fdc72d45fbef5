"""LAION-C, ObjectNet and ImageNet-W in their published layouts."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from published_layouts import to_jpeg, write_classes

import robench
from robench import suites
from robench.data.classes import imagenet_names, imagenet_wnids
from robench.errors import RobenchError
from robench.evaluation.columns import of_superclasses
from robench.models import wrap
from robench.predictions import RunFolder
from robench.suites import Cell, OpenOptions
from robench.suites.base import Batch
from robench.suites.protocols import DISTORTIONS_LAION_C
from robench.suites.superclasses import SUPERCLASSES

NAMES = tuple(SUPERCLASSES["laion-c"])


def only(opened: suites.OpenSuite, cell: Cell) -> Batch:
    return next(opened.batches(cell, 99))


@pytest.fixture(scope="module")
def laion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small image of each superclass in every level of two distortions."""
    root = tmp_path_factory.mktemp("LAION-C")
    rng = np.random.default_rng(0)
    for condition in ("mosaic", "stickers"):
        for level in range(1, 6):
            for name in NAMES:
                place = root / condition / f"intensity_level_{level}" / name
                place.mkdir(parents=True)
                (place / f"{name}_0.jpg").write_bytes(to_jpeg(rng.integers(0, 256, (30, 40, 3), np.uint8)))
    return root


TWO = OpenOptions(conditions=("mosaic", "stickers"))


def test_the_published_superclasses() -> None:
    assert len(NAMES) == 16
    assert list(NAMES) == sorted(NAMES)
    everything = [label for members in SUPERCLASSES["laion-c"].values() for label in members]
    assert len(set(everything)) == len(everything) == 285
    sizes = {name: len(members) for name, members in SUPERCLASSES["laion-c"].items()}
    assert (sizes["dog"], sizes["bird"], sizes["primate"], sizes["chair"]) == (109, 49, 18, 6)
    names = imagenet_names()
    assert "tabby" in names[SUPERCLASSES["laion-c"]["cat"][0]]
    assert "rocking chair" in names[SUPERCLASSES["laion-c"]["chair"][3]]


def test_superclasses_have_the_mean_probability_of_their_classes() -> None:
    logits = torch.randn(50, 1000, generator=torch.Generator().manual_seed(0)) * 4
    members = list(SUPERCLASSES["laion-c"].values())
    found = torch.softmax(of_superclasses(logits, members), 1).numpy()
    p = torch.softmax(logits, 1).double().numpy()
    of_class = {label: name for name, labels in SUPERCLASSES["laion-c"].items() for label in labels}
    for row in range(50):  # as the published code: lists of probabilities by name
        lists = defaultdict(list)
        for label in range(1000):
            if label in of_class:
                lists[of_class[label]].append(p[row, label])
        means = np.array([sum(lists[name]) / len(lists[name]) for name in NAMES])
        assert found[row].argmax() == means.argmax()
        np.testing.assert_allclose(found[row], means / means.sum(), rtol=1e-4)


def test_laion_c_is_read_and_scored_in_superclasses(laion: Path, tmp_path: Path) -> None:
    opened = suites.open_suite("laion-c", laion, TWO)
    assert opened.classes == NAMES
    batch = only(opened, Cell("mosaic", 5))
    assert tuple(batch.images.shape) == (16, 3, 224, 224)
    assert batch.target.tolist() == list(range(16))
    whole = Image.open(laion / "mosaic" / "intensity_level_5" / "ball" / "ball_0.jpg")
    square = np.asarray(whole.resize((224, 224), Image.Resampling.BILINEAR))
    assert np.array_equal(batch.images[0].permute(1, 2, 0).numpy(), square)

    tabby = wrap(lambda x: 9.0 * torch.nn.functional.one_hot(torch.full((len(x),), 281), 1000), num_classes=1000,
                 name="tabby")  # fmt: skip
    result = robench.evaluate(tabby, "laion-c", data=laion, out=tmp_path / "run", device="cpu", resamples=0,
                              suite_options=TWO, quiet=True)  # fmt: skip
    assert all(cell.metrics["error"].value == pytest.approx(15 / 16) for cell in result.cells)
    rows = RunFolder.open(tmp_path / "run").read("stickers/3")
    assert set(rows.predicted.tolist()) == {NAMES.index("cat")}
    mean = (np.exp(9) / (np.exp(9) + 999) + 5 / (np.exp(9) + 999)) / 6
    others = 15 / (np.exp(9) + 999)
    assert rows.confidence == pytest.approx(np.full(16, mean / (mean + others)), rel=1e-4)
    assert result.suite.num_classes == 1000


def test_a_part_of_laion_c_is_a_part_and_draws_what_the_whole_draws(laion: Path) -> None:
    both = suites.open_suite("laion-c", laion, TWO)
    one = suites.open_suite("laion-c", laion, OpenOptions(conditions=("stickers",)))
    assert one.whole == both.whole == tuple(cell.name for cell in suites.get("laion-c").cells)
    for level in range(1, 6):  # else a run of one, gone on with as a run of both, would hold images twice
        cell = Cell("stickers", level)
        assert one.sample_key(cell) == both.sample_key(cell)
        assert np.array_equal(one.with_limit(5).index(cell), both.with_limit(5).index(cell))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("mosaic/intensity_level_3", "has no folder intensity_level_3; found intensity_level_1"),
        ("stickers/intensity_level_1/dog", "has no images of dog"),
        ("stickers", "lacks 1 of the conditions: stickers"),
    ],
)
def test_parts_of_laion_c_are_refused(laion: Path, tmp_path: Path, spoil: str, said: str) -> None:
    import shutil

    shutil.copytree(laion, tmp_path / "set")
    shutil.rmtree(tmp_path / "set" / spoil)
    with pytest.raises(RobenchError, match=said):
        suites.open_suite("laion-c", tmp_path / "set", TWO)


def test_laion_c_of_other_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set" / "cats").mkdir(parents=True)
    with pytest.raises(RobenchError, match=rf"such as {DISTORTIONS_LAION_C[0]}/intensity_level_1/"):
        suites.open_suite("laion-c", tmp_path / "set")
    with pytest.raises(RobenchError, match=r"zenodo\.org/records/14051887"):
        suites.open_suite("laion-c")


# ObjectNet: folder, its label, and ImageNet's names for it
OBJECTS = {
    "alarm_clock": ("Alarm clock", ("analog clock", "digital clock")),
    "banana": ("Banana", ("banana",)),
    "tv": ("TV", ("television, television system",)),
}


def write_objectnet(root: Path, *, lists: bool) -> Path:
    (root / "images").mkdir(parents=True)
    mappings = root / "mappings"
    mappings.mkdir()
    labels = {folder: label for folder, (label, _) in OBJECTS.items()} | {"air_freshener": "Air freshener"}
    (mappings / "folder_to_objectnet_label.json").write_text(json.dumps(labels))
    names = {label: "; ".join(names) for label, names in OBJECTS.values()}
    (mappings / "objectnet_to_imagenet_1k.json").write_text(json.dumps(names))
    if lists:  # ImageNet's labels in an order of their own, and where each stands
        own = [name.partition(",")[0] if "television" not in name else OBJECTS["tv"][1][0] for name in imagenet_names()]
        order = np.random.default_rng(0).permutation(1000)
        (mappings / "imagenet_to_label_2012_v2").write_text("\n".join(own[i] for i in order))
        place = {int(label): position for position, label in enumerate(order)}
        (mappings / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps({str(i): place[i] for i in range(1000)}))
    red = np.full((60, 90, 3), (255, 0, 0), np.uint8)
    for i, folder in enumerate(labels):
        (root / "images" / folder).mkdir()
        image = red.copy()
        image[1:-1, 1:-1] = 40 * (i + 1)
        Image.fromarray(image).save(root / "images" / folder / f"{i}.png")
    return root


def labels_of(*names: str) -> list[int]:
    return [i for i, one in enumerate(imagenet_names()) if one.partition(",")[0] in names]


@pytest.mark.parametrize("lists", [True, False])
def test_objectnet_takes_its_own_class_map_and_cuts_the_border(tmp_path: Path, lists: bool) -> None:
    root = write_objectnet(tmp_path / "objectnet-1.0", lists=lists)
    if not lists:
        names = {
            "Alarm clock": "analog clock; digital clock",
            "Banana": "banana",
            "TV": "television, television system",
        }
        (root / "mappings" / "objectnet_to_imagenet_1k.json").write_text(json.dumps(names))
    opened = suites.open_suite("objectnet", tmp_path)
    batch = only(opened, Cell("objectnet"))
    right = [np.flatnonzero(row).tolist() for row in batch.target]
    assert right == [labels_of("analog clock", "digital clock"), labels_of("banana"), labels_of("television")]
    assert tuple(batch.images.shape) == (3, 3, 224, 224)
    assert [image.unique().tolist() for image in batch.images] == [[40], [80], [120]]  # no red
    digital = labels_of("digital clock")[0]
    always = wrap(lambda x: torch.nn.functional.one_hot(torch.full((len(x),), digital), 1000).float(),
                  num_classes=1000, name="digital clock")  # fmt: skip
    result = robench.evaluate(
        always, "objectnet", data=root, out=tmp_path / "run", device="cpu", resamples=0, quiet=True
    )
    assert result.summary["error"].value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("objectnet_to_imagenet_1k.json", None, "There is no objectnet_to_imagenet_1k.json"),
        ("objectnet_to_imagenet_1k.json", "[]", "objectnet_to_imagenet_1k.json"),
        ("objectnet_to_imagenet_1k.json", '{"Banana": "a yellow fruit"}', "none of ImageNet's classes: a yellow fruit"),
        ("objectnet_to_imagenet_1k.json", '{"Spoon": "banana"}', "has no folder of Spoon"),
        ("folder_to_objectnet_label.json", '{"banana": 7}', "does not map names to names"),
    ],
)
def test_other_mappings_are_refused(tmp_path: Path, file: str, text: str | None, said: str) -> None:
    root = write_objectnet(tmp_path / "set", lists=False)
    path = root / "mappings" / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(RobenchError, match=said):
        suites.open_suite("objectnet", root)


def test_mappings_elsewhere_are_named(tmp_path: Path) -> None:
    root = write_objectnet(tmp_path / "set", lists=True)
    (root / "mappings").rename(tmp_path / "maps")
    with pytest.raises(RobenchError, match=r"objectnet\.dev"):
        suites.open_suite("objectnet", root)
    opened = suites.open_suite("objectnet", root, OpenOptions(definition=str(tmp_path / "maps")))
    assert opened.length(Cell("objectnet")) == 3


class AddWatermark:
    """The interface of the package: a size, and a call on a PIL image; here a white stripe over half of the width."""

    def __init__(self, image_size: int = 224) -> None:
        self.size = image_size

    def __call__(self, image: Image.Image) -> Image.Image:
        out = np.array(image)
        out[out.shape[0] // 2, : self.size // 2] = 255
        return Image.fromarray(out)


def test_a_watermark_is_drawn_after_the_resize(
    tmp_path: Path, photos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from robench.suites import watermark

    module = ModuleType("imagenet_w")
    module.AddWatermark = AddWatermark  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "imagenet_w", module)
    monkeypatch.setattr(watermark, "version", lambda name: "0.test")
    watermark._drawing.cache_clear()
    try:
        folder = write_classes(tmp_path / "val", photos[:4])
        opened = suites.open_suite("imagenet-w", folder)
        assert opened.source == "generated"
        assert opened.protocol["watermark"] == "imagenet-w 0.test"
        clean, drawn = (only(opened, Cell(name)).images for name in ("clean", "imagenet-w"))
        assert drawn.shape == clean.shape == (4, 3, 224, 224)
        assert bool((drawn[:, :, 112, :112] == 255).all())
        drawn[:, :, 112, :112] = clean[:, :, 112, :112]
        assert torch.equal(drawn, clean)
    finally:
        watermark._drawing.cache_clear()


def test_without_the_package_only_the_watermark_is_refused(
    tmp_path: Path, photos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagenet_w", None)
    folder = write_classes(tmp_path / "val", photos[:4])
    with pytest.raises(RobenchError, match="drawn by the authors' package") as refused:
        suites.open_suite("imagenet-w", folder)
    assert "pip install imagenet-w" in str(refused.value.hint)


def test_the_published_watermark(tmp_path: Path, photos: list[np.ndarray]) -> None:
    package = pytest.importorskip("imagenet_w", reason="the package imagenet-w draws it")
    folder = write_classes(tmp_path / "val", photos[:4])
    opened = suites.open_suite("imagenet-w", folder)
    clean, drawn = (only(opened, Cell(name)).images for name in ("clean", "imagenet-w"))
    for image, found in zip(clean, drawn, strict=True):
        theirs = package.AddWatermark(224)(image.float() / 255)  # as the authors: after ToTensor
        assert torch.equal((theirs * 255).round().to(torch.uint8), found)
    assert int((clean != drawn).sum()) > 1000


def test_imagenets_classes_are_those_of_every_suite_here() -> None:
    assert {suites.get(name).num_classes for name in ("laion-c", "objectnet", "imagenet-w")} == {len(imagenet_wnids())}
