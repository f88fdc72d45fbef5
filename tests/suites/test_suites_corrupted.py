"""The -C suites: published arrays and trees are read in their order, and anything off is refused."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published_layouts import INDICES, WNIDS, darker, file_name, to_jpeg, write_cifar_c, write_classes, write_tree

import robench
from robench import suites
from robench.corruptions import corrupt
from robench.corruptions.jpeg import roundtrip
from robench.corruptions.severities import BENCHMARK
from robench.corruptions.severities_bar import IMAGENET as IMAGENET_BAR
from robench.data import digits
from robench.data.base import Geometry
from robench.data.decode import decode
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions, OpenSuite
from robench.suites.generate import generate, prepare
from robench.suites.protocols import CIFAR_C_BAR


def images(opened: OpenSuite, cell: Cell, batch: int = 7, **span: int) -> np.ndarray:
    """Return a cell's images as (n, H, W, 3)."""
    return np.concatenate([b.images.permute(0, 2, 3, 1).numpy() for b in opened.batches(cell, batch, **span)])


def column(opened: OpenSuite, cell: Cell, name: str) -> list[int]:
    return np.concatenate([getattr(b, name) for b in opened.batches(cell, 3)]).tolist()


def test_published_arrays_come_in_blocks_by_severity(cifar_c: Path) -> None:
    test = digits.load("test")
    opened = suites.open_suite("cifar10-c", cifar_c)
    assert opened.source == "published"
    assert [cell.name for cell in opened.suite.cells] == [f"{c}/{s}" for c in BENCHMARK for s in range(1, 6)]
    for cell in (Cell("gaussian_noise", 1), Cell("fog", 3), Cell("jpeg_compression", 5)):
        assert opened.length(cell) == 20
        assert np.array_equal(images(opened, cell), darker(test.array[:20], cell.condition, cell.severity or 0))
        assert column(opened, cell, "target") == test.labels[:20].tolist()
        assert column(opened, cell, "index") == list(range(20))


def test_every_cell_reads_the_same_whatever_the_batches(cifar_c: Path) -> None:
    opened = suites.open_suite("cifar10-c", cifar_c)
    cell = Cell("snow", 2)
    whole = images(opened, cell, 100)
    assert np.array_equal(images(opened, cell, 1), whole)
    parts = [images(opened, cell, 4, start=0, stop=9), images(opened, cell, 4, start=9)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_the_clean_set_beside_it_becomes_a_cell_and_checks_the_labels(cifar_c: Path, cifar_clean: Path) -> None:
    shutil.move(cifar_clean / "cifar-10-batches-py", cifar_c.parent)
    opened = suites.open_suite("cifar10-c", cifar_c)
    assert opened.suite.cells[0] == Cell("clean")
    assert np.array_equal(images(opened, Cell("clean")), digits.load("test").array[:20])
    labels = np.load(cifar_c / "labels.npy").reshape(5, 20)[:, ::-1].reshape(-1)
    np.save(cifar_c / "labels.npy", labels)
    with pytest.raises(RobenchError, match="differ from those of the clean test set"):
        suites.open_suite("cifar10-c", cifar_c)


def test_a_folder_one_level_up_is_enough(cifar_c: Path) -> None:
    opened = suites.open_suite("cifar10-c", cifar_c.parent)
    assert opened.protocol == suites.open_suite("cifar10-c", cifar_c).protocol


def test_held_out_corruptions_come_only_with_their_files(tmp_path: Path) -> None:
    folder = write_cifar_c(tmp_path / "c", (*BENCHMARK, "speckle_noise"))
    names = {cell.condition for cell in suites.open_suite("cifar10-c", folder).suite.cells}
    assert names == {*BENCHMARK, "speckle_noise"}


def test_c_bar_is_read_like_c(tmp_path: Path) -> None:
    folder = write_cifar_c(tmp_path / "bar", CIFAR_C_BAR)
    for name in ("cifar10-c-bar", "cifar100-c-bar"):
        opened = suites.open_suite(name, folder)
        assert len(opened.suite.cells) == 50
        assert len(images(opened, Cell("sparkles", 5))) == 20


def test_c_bar_is_generated_from_the_clean_set(tmp_path: Path, cifar_clean: Path) -> None:
    opened = suites.open_suite("cifar10-c-bar", cifar_clean, OpenOptions(seed=2))
    assert opened.source == "generated"
    assert [cell.name for cell in opened.suite.cells] == [
        "clean",
        *(f"{c}/{s}" for c in CIFAR_C_BAR for s in range(1, 6)),
    ]
    assert "frost" not in opened.protocol
    task = prepare("cifar10-c-bar", cifar_clean, tmp_path / "made", conditions=("lines", "sparkles"), seed=2)
    generate(task)
    read = suites.open_suite("cifar10-c-bar", tmp_path / "made", OpenOptions(conditions=("lines", "sparkles")))
    for cell in (Cell("lines", 1), Cell("sparkles", 5)):
        shown = images(opened, cell)
        assert np.array_equal(images(read, cell), shown)
        batch = torch.from_numpy(images(opened, Cell("clean"))).permute(0, 3, 1, 2)
        made = corrupt(batch, cell.condition, cell.severity, index=torch.arange(20), seed=2)
        assert np.array_equal(made.permute(0, 2, 3, 1).numpy(), shown)


def test_c_bar_is_measured_in_parts_and_to_an_interval(tmp_path: Path, cifar_clean: Path) -> None:
    def first_pixels(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :10]

    wanted = OpenOptions(conditions=("lines",), severities=(1, 5), limit=8)
    known = {"data": cifar_clean, "out": tmp_path / "run", "name": "first", "resamples": 10, "quiet": True}
    some = robench.evaluate(first_pixels, "cifar10-c-bar", suite_options=wanted, **known)
    assert {cell.name: cell.images for cell in some.cells} == {"clean": 8, "lines/1": 8, "lines/5": 8}
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.parquet")}
    again = robench.evaluate(first_pixels, "cifar10-c-bar", suite_options=wanted, **known)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.parquet")} == files
    assert [cell.metrics for cell in again.cells] == [cell.metrics for cell in some.cells]
    more = robench.evaluate(
        first_pixels,
        "cifar10-c-bar",
        suite_options=OpenOptions(conditions=("lines",), severities=(1, 5)),
        within=40,
        **{**known, "out": tmp_path / "within"},
    )
    assert all(2 <= cell.images <= 20 for cell in more.cells)


def test_equal_records_mean_equal_images(cifar_c: Path) -> None:
    before = suites.open_suite("cifar10-c", cifar_c).protocol
    assert suites.open_suite("cifar10-c", cifar_c).protocol == before
    array = np.load(cifar_c / "fog.npy")
    array[-1, -1, -1, -1] ^= 1
    np.save(cifar_c / "fog.npy", array)
    assert suites.open_suite("cifar10-c", cifar_c).protocol != before


def spoil_truncated(folder: Path) -> str:
    path = folder / "fog.npy"
    path.write_bytes(path.read_bytes()[:-10])
    return r"fog\.npy cannot be read"


def spoil_float(folder: Path) -> str:
    np.save(folder / "fog.npy", np.load(folder / "fog.npy").astype(np.float32) / 255)
    return r"fog\.npy: expected uint8 values; found float32"


def spoil_rows(folder: Path) -> str:
    np.save(folder / "fog.npy", np.load(folder / "fog.npy")[:80])
    return r"fog\.npy: expected 100 images .* found 80"


def spoil_missing(folder: Path) -> str:
    (folder / "fog.npy").unlink()
    return r"lacks fog\.npy"


def spoil_labels(folder: Path) -> str:
    np.save(folder / "labels.npy", np.random.default_rng(0).permutation(np.load(folder / "labels.npy")))
    return "not repeated for severities 2 to 5"


def spoil_label_count(folder: Path) -> str:
    np.save(folder / "labels.npy", np.load(folder / "labels.npy")[:99])
    return "five equal blocks of labels"


@pytest.mark.parametrize(
    "spoil", [spoil_truncated, spoil_float, spoil_rows, spoil_missing, spoil_labels, spoil_label_count]
)
def test_arrays_that_are_off_are_refused(cifar_c: Path, spoil: object) -> None:
    expected = spoil(cifar_c)
    with pytest.raises(RobenchError, match=expected):
        suites.open_suite("cifar10-c", cifar_c)


def test_a_wish_for_some_cells_needs_only_their_files(cifar_c: Path) -> None:
    spoil_missing(cifar_c)
    options = OpenOptions(conditions=("snow", "frost"), severities=(1, 5))
    opened = suites.open_suite("cifar10-c", cifar_c, options)
    assert [cell.name for cell in opened.suite.cells] == ["snow/1", "snow/5", "frost/1", "frost/5"]
    with pytest.raises(RobenchError, match="no condition 'snowe'"):
        suites.open_suite("cifar10-c", cifar_c, OpenOptions(conditions=("snowe",)))


def test_a_limit_draws_images_for_every_cell_and_more_later(cifar_c: Path) -> None:
    whole = suites.open_suite("cifar10-c", cifar_c)
    opened = suites.open_suite("cifar10-c", cifar_c, OpenOptions(limit=6))
    assert opened.protocol == whole.protocol  # a larger sample goes on with the smaller one's run
    rows = column(opened, Cell("fog", 1), "index")
    assert len(rows) == 6
    assert rows == sorted(rows)
    assert rows != column(opened, Cell("snow", 5), "index")
    more = opened.with_limit(12)
    assert set(rows) < set(column(more, Cell("fog", 1), "index"))
    beyond = [i for batch in more.batches(Cell("fog", 1), 4, after=6) for i in batch.index.tolist()]
    assert sorted([*rows, *beyond]) == column(more, Cell("fog", 1), "index")


def test_a_model_of_another_size_gets_scaled_images_without_a_crop(cifar_c: Path) -> None:
    opened = suites.open_suite("cifar10-c", cifar_c, OpenOptions(geometry=Geometry(248, 224, "bicubic")))
    made = images(opened, Cell("fog", 1))
    assert made.shape == (20, 224, 224, 3)
    plain = images(suites.open_suite("cifar10-c", cifar_c), Cell("fog", 1))
    assert np.abs(made[:, ::7, ::7].astype(int).mean() - plain.astype(int).mean()) < 3
    same = suites.open_suite("cifar10-c", cifar_c, OpenOptions(geometry=Geometry(40, 32)))
    assert np.array_equal(images(same, Cell("fog", 1)), plain)


SOME = ("fog", "snow")
ONLY = OpenOptions(conditions=SOME)


@pytest.fixture
def imagenet_c(tmp_path: Path, squares: list[np.ndarray]) -> Path:
    return write_tree(tmp_path / "ImageNet-C", squares, SOME)


def test_imagenet_c_is_read_as_it_is(imagenet_c: Path, squares: list[np.ndarray]) -> None:
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    assert opened.source == "published"
    cell = Cell("fog", 3)
    order = sorted(range(8), key=lambda i: (WNIDS[i % 4], file_name(i)))
    made = images(opened, cell)
    for row, i in enumerate(order):
        assert np.array_equal(made[row], decode(to_jpeg(darker(squares[i], "fog", 3)), Geometry(), ""))
    assert column(opened, cell, "target") == [INDICES[i % 4] for i in order]


def test_imagenet_c_as_packed_tars_is_the_same(imagenet_c: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tars"
    folder.mkdir()
    for condition in SOME:
        with tarfile.open(folder / f"{condition}.tar", "w") as archive:
            archive.add(imagenet_c / condition, condition)
    packed = suites.open_suite("imagenet-c", folder, ONLY)
    plain = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    assert packed.protocol == plain.protocol
    for cell in plain.suite.cells:
        assert np.array_equal(images(packed, cell), images(plain, cell))


def test_nested_and_case_mangled_folders_are_found(imagenet_c: Path) -> None:
    plain = suites.open_suite("imagenet-c", imagenet_c, ONLY).protocol
    (imagenet_c / "weather").mkdir()
    (imagenet_c / "fog").rename(imagenet_c / "weather" / "Fog")
    (imagenet_c / "snow").rename(imagenet_c / "weather" / "SNOW")
    assert suites.open_suite("imagenet-c", imagenet_c.parent, ONLY).protocol == plain


def test_the_validation_folder_beside_it_becomes_the_clean_cell(
    imagenet_c: Path, photos: list[np.ndarray], squares: list[np.ndarray]
) -> None:
    write_classes(imagenet_c / "val", photos)
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    assert opened.suite.cells[0] == Cell("clean")
    clean = images(opened, Cell("clean"))
    assert clean.shape == (8, 224, 224, 3)
    assert np.abs(clean[0].astype(int) - squares[0]).mean() < 4


def test_other_images_beside_it_are_left_and_this_is_said(
    imagenet_c: Path, tmp_path: Path, photos: list[np.ndarray], squares: list[np.ndarray]
) -> None:
    write_classes(imagenet_c / "val", photos[:5])
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    assert Cell("clean") not in opened.suite.cells
    assert any("images in val were not measured" in one and "5 of whose 8 are among these 5" in one
               for one in opened.remarks)  # fmt: skip
    small = [np.ascontiguousarray(square[:64, :64]) for square in squares]
    write_classes(write_tree(tmp_path / "Tiny", small, ("fog",)) / "val", small)
    opened = suites.open_suite("tiny-imagenet-c", tmp_path / "Tiny", OpenOptions(conditions=("fog",)))
    assert any("the published ones match no clean set" in one for one in opened.remarks)


def test_a_folder_beside_it_that_cannot_be_read_stops_nothing(imagenet_c: Path, photos: list[np.ndarray]) -> None:
    (imagenet_c / "val").mkdir()
    (imagenet_c / "val" / file_name(0)).write_bytes(to_jpeg(photos[0]))  # in one folder, without a table of labels
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    assert Cell("clean") not in opened.suite.cells
    assert any("val was not measured as the clean images:" in one for one in opened.remarks)
    for options in (OpenOptions(conditions=("clean",)), replace(ONLY, clean=str(imagenet_c / "val"))):
        with pytest.raises(RobenchError, match="without their labels"):
            suites.open_suite("imagenet-c", imagenet_c, options)


def test_a_missing_severity_image_or_condition_is_refused(imagenet_c: Path) -> None:
    (imagenet_c / "fog" / "2" / WNIDS[0] / file_name(4)).unlink()
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    assert len(images(opened, Cell("fog", 1))) == 8
    with pytest.raises(RobenchError, match=r"holds other images than .*: 1 missing"):
        images(opened, Cell("fog", 2))
    shutil.rmtree(imagenet_c / "fog" / "2")
    with pytest.raises(RobenchError, match="has no folder 2; found 1, 3, 4, 5"):
        suites.open_suite("imagenet-c", imagenet_c, ONLY)
    with pytest.raises(RobenchError, match="lacks 13 of the conditions"):
        suites.open_suite("imagenet-c", imagenet_c)


def test_severities_under_other_names_are_told_as_such(tmp_path: Path, squares: list[np.ndarray]) -> None:
    write_tree(tmp_path / "ImageNet-C", squares, ("fog",))
    for number in range(1, 6):
        (tmp_path / "ImageNet-C" / "fog" / str(number)).rename(tmp_path / "ImageNet-C" / "fog" / f"severity_{number}")
    with pytest.raises(RobenchError, match=r"has no folder 1; found severity_1.*\n.*Rename severity_1 to 1"):
        suites.open_suite("imagenet-c", tmp_path / "ImageNet-C", OpenOptions(conditions=("fog",)))


def test_a_strange_class_folder_is_refused(imagenet_c: Path) -> None:
    (imagenet_c / "fog" / "1" / "n99999999").mkdir()
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    with pytest.raises(RobenchError, match="not WordNet ids of the suite: n99999999"):
        images(opened, Cell("fog", 1))


def test_a_corrupt_image_fails_its_cell_or_is_counted(imagenet_c: Path) -> None:
    bad = imagenet_c / "fog" / "4" / WNIDS[1] / file_name(1)
    bad.write_bytes(bad.read_bytes()[:500])
    opened = suites.open_suite("imagenet-c", imagenet_c, ONLY)
    with pytest.raises(RobenchError, match=rf"fog/4/{WNIDS[1]}/{file_name(1)} cannot be decoded"):
        images(opened, Cell("fog", 4))
    assert len(images(opened, Cell("snow", 4))) == 8
    skipping = suites.open_suite("imagenet-c", imagenet_c, OpenOptions(conditions=SOME, skip_corrupt=True))
    assert len(images(skipping, Cell("fog", 4))) == 7
    (message,) = [text for batch in skipping.batches(Cell("fog", 4), 3) for text in batch.unreadable]
    assert file_name(1) in message


def test_images_left_out_are_counted_in_the_result_also_after_a_stop(imagenet_c: Path, tmp_path: Path) -> None:
    bad = imagenet_c / "fog" / "4" / WNIDS[1] / file_name(1)
    bad.write_bytes(bad.read_bytes()[:500])
    for _ in range(2):  # the second call measures nothing, and knows still
        result = robench.evaluate(
            lambda images: images.flatten(1)[:, :1000],
            "imagenet-c",
            data=imagenet_c,
            out=tmp_path / "run",
            name="first-pixels",
            suite_options=OpenOptions(conditions=SOME, severities=(3, 4), skip_corrupt=True),
            resamples=10,
            quiet=True,
        )
        counts = {cell.name: (cell.images, cell.failed) for cell in result.cells}
        assert counts == {"fog/3": (8, 0), "fog/4": (7, 1), "snow/3": (8, 0), "snow/4": (8, 0)}
        (note,) = [note for note in result.notes if note.startswith("fog/4: 1 image ")]
        assert file_name(1) in note


def test_imagenet_c_bar(tmp_path: Path, squares: list[np.ndarray]) -> None:
    folder = write_tree(tmp_path / "bar", squares[:4], ("perlin_noise",))
    opened = suites.open_suite("imagenet-c-bar", folder, OpenOptions(conditions=("perlin_noise",)))
    assert images(opened, Cell("perlin_noise", 5)).shape == (4, 224, 224, 3)


def test_imagenet_c_bar_under_the_generators_strengths(tmp_path: Path, squares: list[np.ndarray]) -> None:
    folder = write_tree(tmp_path / "bar", squares[:4], ("caustic_refraction", "sparkles"))
    options = OpenOptions(conditions=("caustic_refraction", "sparkles"))
    plain = suites.open_suite("imagenet-c-bar", folder, options)
    before = {cell.name: images(plain, cell) for cell in plain.suite.cells}
    for name in options.conditions or ():
        for severity, strength in enumerate(IMAGENET_BAR[name], start=1):
            (folder / name / str(severity)).rename(folder / name / f"{strength:.2f}")
    opened = suites.open_suite("imagenet-c-bar", folder, options)
    assert (folder / "caustic_refraction" / "2.35").is_dir()
    for cell in opened.suite.cells:
        assert np.array_equal(images(opened, cell), before[cell.name])
    shutil.rmtree(folder / "sparkles" / "3.00")
    with pytest.raises(RobenchError, match=r"sparkles has no folder 3; found 1\.00, 2\.00, 5\.00, 6\.00"):
        suites.open_suite("imagenet-c-bar", folder, options)


def test_imagenet_c_bar_is_generated_and_stored_as_jpeg(tmp_path: Path, photos: list[np.ndarray]) -> None:
    folder = write_classes(tmp_path / "val", photos)
    opened = suites.open_suite("imagenet-c-bar", folder, OpenOptions(conditions=("sparkles",), severities=(3,)))
    assert opened.source == "generated"
    clean = torch.from_numpy(images(opened, Cell("clean"))).permute(0, 3, 1, 2)
    made = roundtrip(corrupt(clean, "sparkles", 3, index=torch.arange(len(clean))), 85)
    assert np.array_equal(images(opened, Cell("sparkles", 3)), made.permute(0, 2, 3, 1).numpy())


def test_tiny_imagenet_c_reads_the_classes_that_all_corruptions_have(tmp_path: Path, squares: list[np.ndarray]) -> None:
    small = [np.ascontiguousarray(square[::4, ::4][:64, :64]) for square in squares]
    small = [np.pad(s, ((0, 8), (0, 8), (0, 0)), mode="edge") for s in small]
    root = write_tree(tmp_path / "TinyImageNet-C" / "Tiny-ImageNet-C", small, ("frost", "fog"))
    for severity in range(1, 6):  # the published frost has folders of classes that Tiny ImageNet does not have
        stray = root / "frost" / str(severity) / "n15075141"
        stray.mkdir()
        (stray / "ILSVRC2012_val_00009999.JPEG").write_bytes(to_jpeg(small[0]))
    options = OpenOptions(conditions=("frost", "fog"))
    opened = suites.open_suite("tiny-imagenet-c", tmp_path / "TinyImageNet-C", options)
    assert opened.classes == tuple(sorted(WNIDS))
    for cell in opened.suite.cells:
        assert images(opened, cell).shape == (8, 64, 64, 3)
        assert set(column(opened, cell, "target")) == {0, 1, 2, 3}


def test_data_that_holds_nothing_of_the_suite_is_refused(tmp_path: Path) -> None:
    for name in suites.names():
        if name in ("digits-c", "digits-p", "clean"):
            continue
        with pytest.raises(RobenchError):
            suites.open_suite(name, tmp_path)
        with pytest.raises(RobenchError) as caught:
            suites.open_suite(name, tmp_path / "gone")
        assert caught.value.hint


@pytest.mark.parametrize("suite", ["cifar10-c", "cifar10-p", "cifar10-sta"])
def test_class_folders_count_by_their_names(suite: str, tmp_path: Path) -> None:
    """Sorted folders are in the suite's order only where they are called as its classes are."""
    from robench.data.cifar import CIFAR10_CLASSES

    def folders(where: str, names: Sequence[str]) -> Path:
        for label, name in enumerate(names):
            (tmp_path / where / name).mkdir(parents=True)
            image = np.full((32, 32, 3), 10 * label, np.uint8)
            Image.fromarray(image).save(tmp_path / where / name / "a.png")
        return tmp_path / where

    upper, numbers = [name.upper() for name in CIFAR10_CLASSES], [str(label) for label in range(10)]
    for where, names in {"own": CIFAR10_CLASSES, "upper": upper, "numbers": numbers}.items():
        opened = suites.open_suite(suite, folders(where, names))
        (batch, *_) = opened.batches(opened.suite.cells[0], 1000)
        np.testing.assert_array_equal(np.unique(batch.target), np.arange(10))
        if suite == "cifar10-c":
            np.testing.assert_array_equal(batch.images[:, 0, 0, 0].numpy(), 10 * batch.target)
    with pytest.raises(RobenchError, match=r"(?s)'car', 'plane'.*airplane, automobile, bird"):
        suites.open_suite(suite, folders("others", ["plane", "car", *CIFAR10_CLASSES[2:]]))
