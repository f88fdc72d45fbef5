"""What holds for every reader: one answer for one set, no silent choice, names compared, one message per cause."""

from __future__ import annotations

import io
import shutil
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reader_forms import FORMS, GIVEN, LABELS, NAMES, Made, pixels, png, some

from robench.data import Geometry, open_images
from robench.data.find import _WORDS, READERS
from robench.errors import RobenchError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def made(form: str, tmp_path: Path, **changed: Any) -> str:
    return str(FORMS[form].build(tmp_path / "set", Made(**changed)))


def found(images: Any) -> dict[int, int]:
    """Return which of our images (by number) has which label, without regard to order and to what was filled in."""
    stack, labels = images.read(np.arange(len(images))), images.labels
    ours = pixels()
    return {
        i: int(labels[row])
        for row in range(len(stack))
        for i in range(len(ours))
        if np.array_equal(stack[row], ours[i])
    }


RIGHT = dict(enumerate(LABELS))


def test_every_reader_has_a_form() -> None:
    assert {form.reader for form in FORMS.values()} == set(READERS)


@pytest.mark.parametrize("form", GIVEN)
def test_all_forms_give_the_same_images_and_labels_without_a_remark(form: str, tmp_path: Path) -> None:
    images = open_images(made(form, tmp_path))
    assert found(images) == RIGHT
    assert images.remarks == ()
    assert images.raw_size(0) == (32, 32)
    assert images.checksum() == open_images(made(form, tmp_path / "again")).checksum()


# Kind 2: a silent choice among several


@pytest.mark.parametrize("form", some(splits=True))
def test_another_split_is_never_taken_for_the_test_split(form: str, tmp_path: Path) -> None:
    place = made(form, tmp_path, split="train")
    assert found(open_images(place, split="train")) == RIGHT
    with pytest.raises(RobenchError, match=r"(?s)train|test_batch") as caught:
        open_images(place)
    assert "test" in str(caught.value)


@pytest.mark.parametrize("form", [name for name in some(splits=True) if name not in ("cifar", "tiny")])
def test_validation_images_are_said_to_stand_for_test_images(form: str, tmp_path: Path) -> None:
    """CIFAR has none, and those of Tiny ImageNet are its test images."""
    place = made(form, tmp_path, split="validation")
    images = open_images(place)
    assert found(images) == RIGHT
    assert any("validation split was read, as there is no test split" in remark for remark in images.remarks)
    assert open_images(place, split="validation").remarks == ()


@pytest.mark.parametrize("form", [name for name in some(splits=True) if name not in ("cifar", "tiny", "tar", "hub")])
def test_of_two_splits_that_could_both_be_meant_none_is_taken(form: str, tmp_path: Path) -> None:
    """The hub's own loader (``hub``) is asked for one name after the other; a tar is read as folders are."""
    FORMS[form].build(tmp_path / "set", Made(split="validation"))
    FORMS[form].build(tmp_path / "other", Made(split="val"))
    if form == "saved":
        (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["validation", "val"]}')
    shutil.copytree(tmp_path / "other", tmp_path / "set", dirs_exist_ok=True, ignore=lambda *_: ["dataset_dict.json"])
    with pytest.raises(RobenchError, match="several validation splits: val"):
        open_images(tmp_path / "set")


def test_shards_of_several_sets_are_not_pooled_and_gaps_are_told(tmp_path: Path) -> None:
    for name in ("a-test-000000", "latest-notes"):
        FORMS["shards"].build(tmp_path / name, Made())
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / name / "set-test-000000.tar").rename(tmp_path / "one" / f"{name}.tar")
    assert found(open_images(tmp_path / "one")) == RIGHT  # "latest" is not "test"
    for number in (2, 3):
        shutil.copy(tmp_path / "one" / "a-test-000000.tar", tmp_path / "one" / f"a-test-{number:06d}.tar")
    with pytest.raises(RobenchError, match="1 of the shards up to number 3 are missing, such as number 1"):
        open_images(tmp_path / "one")
    for number in (2, 3):
        (tmp_path / "one" / f"a-test-{number:06d}.tar").rename(tmp_path / "one" / f"b-test-{number:06d}.tar")
    with pytest.raises(RobenchError, match="shards of 2 sets: a-test, b-test"):
        open_images(tmp_path / "one")


def test_shards_are_read_to_their_deepest_folder_and_have_images(tmp_path: Path) -> None:
    FORMS["shards"].build(tmp_path / "flat", Made())
    with (
        tarfile.open(tmp_path / "flat" / "set-test-000000.tar") as flat,
        tarfile.open(tmp_path / "deep.tar", "w") as deep,
        tarfile.open(tmp_path / "labels.tar", "w") as labels,
    ):
        for number, member in enumerate(flat.getmembers()):
            body = flat.extractfile(member)
            member.name = f"{'train/cat/' if number > 1 else ''}{member.name}"
            deep.addfile(member, body)
            if member.name.endswith(".json"):
                label = member.replace(name=member.name.replace("json", "cls"))
                labels.addfile(label, flat.extractfile(member.replace(name=member.name.rpartition("/")[2])))
    assert found(open_images(tmp_path / "deep.tar")) == RIGHT
    with pytest.raises(RobenchError, match="holds labels, but no images"):
        open_images(tmp_path / "labels.tar")


def test_class_folders_in_a_tar_with_a_document_beside_them_are_class_folders(tmp_path: Path) -> None:
    FORMS["folders"].build(tmp_path / "set", Made())
    (tmp_path / "set" / "test" / "about.json").write_text('{"classes": 10}')
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for name in sorted((tmp_path / "set").rglob("*"), key=lambda path: (path.suffix != ".json", path)):
            if name.is_file():
                archive.add(name, name.relative_to(tmp_path))
    assert found(open_images(tmp_path / "set.tar")) == found(open_images(tmp_path / "set")) == RIGHT


@pytest.mark.parametrize("names", [NAMES[::-1], NAMES[:4]], ids=["another order", "other classes"])
def test_files_of_one_split_with_other_class_names_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for number, of_file in enumerate((NAMES, names)):
        FORMS["parquet"].build(tmp_path / str(number), Made(labels=(3, 0, 1, 3), names=of_file))
        (tmp_path / "set").mkdir(exist_ok=True)
        file = tmp_path / str(number) / "data" / "test-00000-of-00001.parquet"
        file.rename(tmp_path / "set" / f"test-{number:05d}-of-00002.parquet")
    with pytest.raises(RobenchError, match="name different classes"):
        open_images(tmp_path / "set")


def test_what_folders_hold_instead_of_images_is_said(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.jp2").write_bytes(b"x")
    with pytest.raises(RobenchError, match=r"set: 2 files were not read, .*\(\.jp2: 2\)"):
        open_images(tmp_path / "set")
    for i, name in enumerate(("first", "second")):
        FORMS["folders"].build(tmp_path / "two" / name, Made(labels=(i, 1, 2, 3)))
    with pytest.raises(RobenchError, match=r"two has folders \(first, second.*there are folders in them: test"):
        open_images(tmp_path / "two")


def test_a_class_called_like_a_split_is_a_class(tmp_path: Path) -> None:
    """CIFAR-100 has the class "train"."""
    for i, name in enumerate(("bus", "train", "tram")):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(pixels()[i]).save(tmp_path / "set" / name / "1.png")
    for split in ("test", "train"):
        images = open_images(tmp_path / "set", split=split)
        assert images.classes == ("bus", "train", "tram")
        assert len(images) == 3


@pytest.mark.parametrize("form", [name for name in GIVEN if FORMS[name].reader in _WORDS and name != "tar"])
def test_other_forms_in_the_same_folder_are_told(form: str, tmp_path: Path) -> None:
    place = tmp_path / "both"
    reader = "folders" if form == "pair" else "pair"
    for name in (form, "folders" if form == "pair" else "pair"):
        shutil.copytree(FORMS[name].build(tmp_path / name, Made()), place, dirs_exist_ok=True)
    first, second = sorted((FORMS[form].reader, reader), key=list(READERS).index)
    images = open_images(place)
    said = f"{place} holds images in several forms: {_WORDS[first]} were read, not its {_WORDS[second]}."
    assert images.remarks == (said,)
    assert found(images) == RIGHT


def test_every_reader_of_a_folder_has_its_words() -> None:
    # The digits and the hub are no folders; "flat" is ImageNet's validation set, told by the names of its files.
    assert set(_WORDS) == set(READERS) - {"digits", "hub", "flat"}


@pytest.mark.parametrize("name", ["test", "Val", "images", "JPEGImages"])
@pytest.mark.parametrize("table", ["metadata.csv", None])
def test_images_in_one_general_folder_have_no_known_class(name: str, table: str | None, tmp_path: Path) -> None:
    (tmp_path / "set" / name).mkdir(parents=True)
    Image.fromarray(pixels()[0]).save(tmp_path / "set" / name / "1.png")
    if table is not None:
        (tmp_path / "set" / name / table).write_text("file_name,label\n1.png,3\n")
    with pytest.raises(RobenchError, match=rf"set/{name} holds images without class folders") as caught:
        open_images(tmp_path / "set")
    assert ("metadata.csv are not read" in str(caught.value)) == (table is not None)


@pytest.mark.parametrize(("pattern", "told"), [("class_{}", True), ("c{:02}", False), ("{}", False), ("a{}b", False)])
def test_numbers_in_names_that_do_not_order_the_classes_are_told(pattern: str, told: bool, tmp_path: Path) -> None:
    for number in range(12):
        place = tmp_path / "set" / pattern.format(number)
        place.mkdir(parents=True)
        Image.fromarray(pixels()[0]).save(place / "1.png")
    remarks = open_images(tmp_path / "set").remarks
    assert [("class_0, class_1, class_10" in one) for one in remarks] == ([True] if told else [])


@pytest.mark.parametrize("name", ["Train", "TRAINING", "dev", "holdout", "unlabeled"])
def test_a_folder_of_another_split_wraps_no_test_images(name: str, tmp_path: Path) -> None:
    place = made("folders", tmp_path, split=name)
    with pytest.raises(RobenchError, match=f"holds the split {name}; 'test' is not there"):
        open_images(place)
    assert found(open_images(f"{place}/{name}")) == RIGHT


@pytest.mark.parametrize("form", [*some(encoded=True, values=False), "shards"])
def test_files_that_are_not_read_are_counted_by_their_ending(form: str, tmp_path: Path) -> None:
    from reader_forms import flat, folders, packed, shards, tiny

    def build(root: Path, split: str, ending: str) -> None:
        files = Made(files=[b"x"] * 3, labels=(1, 1, 2), split=split, ending=ending)
        if form == "shards":
            import tarfile

            with tarfile.open(next(root.glob("*.tar")), "a") as archive:
                for i in range(3):
                    archive.addfile(tarfile.TarInfo(f"x{i}.heic"))
        elif form == "flat":
            for i in range(3):
                (root / f"x{i}.heic").write_bytes(b"")
        elif form == "tiny":
            for i in range(3):
                (root / "tiny-imagenet-200" / "val" / "images" / f"x{i}.png").write_bytes(b"")
        else:
            (packed if form == "tar" else folders)(root, files)

    place = made(form, tmp_path)
    assert {flat, folders, packed, shards, tiny} >= {FORMS[form].build}
    build(tmp_path / "set", "test", "heic")
    images = open_images(place)
    assert found(images) == RIGHT
    (remark,) = images.remarks
    assert "3 " in remark
    assert "not read" in remark
    assert ".heic: 3" in remark or form == "tiny"


@pytest.mark.parametrize("form", some(encoded=True))
@pytest.mark.parametrize("ending", ["gif", "jfif", "pgm", "TIFF"])
def test_every_known_ending_is_read(form: str, ending: str, tmp_path: Path) -> None:
    kind = {"gif": "GIF", "jfif": "JPEG", "pgm": "PPM", "TIFF": "TIFF"}[ending]
    files = []
    for image in pixels()[..., 1]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind)
        files.append(buffer.getvalue())
    images = open_images(made(form, tmp_path, files=files, ending=ending))
    assert len(images) == (4 if form not in ("folders", "tar") else 14)
    assert images.remarks == ()
    assert images.read(np.arange(len(images))).shape[1:] == (32, 32, 3)


@pytest.mark.parametrize("suite", ["clean", "cifar10-c"])
def test_a_suite_says_what_its_reader_left_out(suite: str, tmp_path: Path) -> None:
    from robench import suites

    place = Path(made("folders", tmp_path))
    (place / "test" / "cat" / "x.heic").write_bytes(b"")
    assert any(".heic: 1" in remark for remark in suites.open_suite(suite, place).remarks)


# Kind 3: class names of files and data set


@pytest.mark.parametrize("form", some(named=True))
def test_permuted_class_names_are_brought_to_the_data_sets_order(form: str, tmp_path: Path) -> None:
    names = (*NAMES[5:], *NAMES[:5])
    place = made(form, tmp_path, names=names, labels=[names.index(NAMES[label]) for label in LABELS])
    assert found(open_images(place, dataset="cifar10")) == RIGHT
    images = open_images(place, dataset="cifar10")
    assert tuple(images.classes or ()) == NAMES
    # Class folders have no order of their own.
    assert bool(images.remarks) == (form not in ("folders", "tar"))


@pytest.mark.parametrize("form", some(named=True))
def test_class_names_of_another_data_set_are_refused(form: str, tmp_path: Path) -> None:
    place = made(form, tmp_path, names=("apple", *NAMES[1:]))
    with pytest.raises(RobenchError, match=r"(?s)1 of 10 label names.*'apple'"):
        open_images(place, dataset="cifar10")


@pytest.mark.parametrize("form", some(values=True))
def test_labels_that_are_names_are_matched_by_name(form: str, tmp_path: Path) -> None:
    place = made(form, tmp_path, labels=[NAMES[label] for label in LABELS])
    images = open_images(place, dataset="cifar10")
    assert found(images) == RIGHT
    assert not any("sorted order" in remark for remark in images.remarks)  # they count by the data set's order
    assert any("sorted order" in remark for remark in open_images(place).remarks)


# Kind 5: what is checked in one reader is checked in all


def bomb(side: int) -> bytes:
    """A PNG of few bytes that announces side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + zlib.compress(bytes(9)), b"IEND")
    framed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def jpeg_bomb() -> bytes:
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 30_000, 30_000) + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    return b"\xff\xd8" + frame + b"\xff\xd9"


PROGRAM = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n(pwned) (w) file closefile showpage\n"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("form", some(encoded=True))
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bomb(30_000), "900,000,000 pixels; at most 89 million"),
        (bomb(10_000), "10,000 x 10,000 pixels; at most 89 million"),
        (jpeg_bomb(), "30,000 x 30,000 pixels; at most 89 million"),
        (PROGRAM, "not an image of a known format"),
        (b"", "the file is empty (0 bytes)"),
        (png(pixels()[0])[:60], "cannot be decoded"),
    ],
    ids=["PNG bomb", "smaller PNG bomb", "JPEG bomb", "program", "empty", "truncated"],
)
def test_a_hostile_image_is_named_and_the_others_are_read(form: str, data: bytes, said: str, tmp_path: Path) -> None:
    files = Made().files
    images = open_images(made(form, tmp_path, files=[*files[:3], data]))
    bad = []
    for position in range(len(images)):
        try:
            images.read(np.array([position]))
        except RobenchError as error:
            bad.append(str(error))
    assert len(bad) == 1
    assert said in bad[0]
    assert "`skip_corrupt=True`" in bad[0]
    assert "label" not in bad[0].split(" cannot be decoded")[1]


def grey(kind: str, depth: str) -> bytes:
    """An image of 16-bit grey levels 0 to 65,535, or of floats or 32-bit integers."""
    levels = np.linspace(0, 65_535, 32 * 32).reshape(32, 32)
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(depth)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("form", some(encoded=True))
@pytest.mark.parametrize(("kind", "depth"), [("PNG", "uint16"), ("TIFF", "uint16"), ("PPM", "uint16")])
def test_grey_images_of_16_bits_are_scaled(form: str, kind: str, depth: str, tmp_path: Path) -> None:
    images = open_images(made(form, tmp_path, files=[grey(kind, depth)] * 4))
    row = len(images) - 1 if form not in ("folders", "tar") else int(np.flatnonzero(images.labels == 3)[0])
    read = images.read(np.array([row]))[0]
    expected = np.rint(np.floor(np.linspace(0, 65_535, 32 * 32)) / 257).reshape(32, 32)
    np.testing.assert_array_equal(read, np.repeat(expected[..., None], 3, axis=2).astype(np.uint8))


@pytest.mark.parametrize("form", some(encoded=True))
@pytest.mark.parametrize(("depth", "said"), [("float32", "floating-point"), ("int32", "32-bit integers")])
def test_images_without_a_known_range_are_refused(form: str, depth: str, said: str, tmp_path: Path) -> None:
    images = open_images(made(form, tmp_path, files=[grey("TIFF", depth)] * 4))
    row = len(images) - 1 if form not in ("folders", "tar") else int(np.flatnonzero(images.labels == 3)[0])
    with pytest.raises(RobenchError, match=said):
        images.read(np.array([row]))


@pytest.mark.parametrize("form", some(encoded=True))
def test_differing_sizes_are_told_with_both_files_and_geometry_helps(form: str, tmp_path: Path) -> None:
    files = [*Made().files[:3], png(np.zeros((20, 30, 3), np.uint8))]
    place = made(form, tmp_path, files=files)
    images = open_images(place)
    with pytest.raises(RobenchError, match=r"(?s)one batch needs one size.*`resize` and `crop`"):
        images.read(np.arange(len(images)))
    assert sorted({images.raw_size(i) for i in range(len(images))}) == [(20, 30), (32, 32)]
    shaped = open_images(place, geometry=Geometry(16, 16))
    assert shaped.read(np.arange(len(images))).shape[1:] == (16, 16, 3)
    assert sorted({shaped.raw_size(i) for i in range(len(images))}) == [(20, 30), (32, 32)]


# Kind 7: one message per cause

WRONG_LABELS: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "fractions": (lambda: [0.5, 1.0, 2.0, 3.0], r"not whole numbers, such as 0\.5"),
    "soft": (lambda: [[0.5, 0.5]] * 4, "besides 0 and 1"),
    "several": (lambda: [[1, 1, 0]] * 4, "row 0 holds 2 ones"),
    "beyond": (lambda: [0, 1, 2, 10], "10"),
    "negative": (lambda: [0, 1, 2, -1], "no label|missing or negative|negative label"),
}
MISLEADING = ("values 0..255", "--skip-corrupt", "float images", "--resize", "get it again", "Get the file again")


@pytest.mark.parametrize("form", some(values=True))
@pytest.mark.parametrize("wrong", WRONG_LABELS)
def test_wrong_labels_are_told_as_labels(form: str, wrong: str, tmp_path: Path) -> None:
    values, said = WRONG_LABELS[wrong]
    place = made(form, tmp_path, labels=values())
    with pytest.raises(RobenchError, match=said) as caught:
        open_images(place, dataset="cifar10")
    assert "label" in str(caught.value).lower()
    assert not [text for text in MISLEADING if text in str(caught.value)]


RIGHT_LABELS: dict[str, Callable[[], list[Any]]] = {
    "one column": lambda: [[label] for label in LABELS],
    "one-hot": lambda: [[int(label == k) for k in range(10)] for label in LABELS],
    "digits": lambda: [str(label) for label in LABELS],
    "whole floats": lambda: [float(label) for label in LABELS],
}


@pytest.mark.parametrize("form", some(values=True))
@pytest.mark.parametrize("kind", RIGHT_LABELS)
def test_labels_in_other_forms_are_read(form: str, kind: str, tmp_path: Path) -> None:
    images = open_images(made(form, tmp_path, labels=RIGHT_LABELS[kind]()), dataset="cifar10")
    assert found(images) == RIGHT


@pytest.mark.parametrize("form", some(values=True))
def test_truth_values_are_two_classes(form: str, tmp_path: Path) -> None:
    images = open_images(made(form, tmp_path, labels=[True, False, False, True]))
    assert found(images) == {0: 1, 1: 0, 2: 0, 3: 1}
    assert form == "shards" or "false and true" in images.remarks[0]
