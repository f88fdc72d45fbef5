"""Generated sets lie in the published layouts, hold what the on-the-fly suites show, and survive a stop."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest
from PIL import Image
from published_layouts import write_classes
from sklearn.datasets import load_sample_images

from robench import api, evaluation
from robench.cli.main import main
from robench.corruptions.frost import FIRST, describe
from robench.data.video import decode_clip
from robench.errors import RobenchError
from robench.evaluation.progress import QuietProgress
from robench.suites import get, open_suite
from robench.suites.base import Cell, OpenOptions
from robench.suites.generate import generate, prepare


def test_blocks_hold_what_the_suite_shows_on_the_fly(tmp_path: Path) -> None:
    task = prepare("digits-c", "digits", tmp_path / "c", conditions=("fog", "gaussian_noise", "frost"), seed=3)
    generate(task)
    labels = np.load(tmp_path / "c" / "labels.npy")
    for name in ("fog", "gaussian_noise", "frost"):
        block = np.load(tmp_path / "c" / f"{name}.npy")
        assert block.shape == (5 * 599, 32, 32, 3)
        assert block.dtype == np.uint8
        suite = open_suite("digits-c", None, OpenOptions(seed=3, conditions=(name,)))
        for severity in (1, 5):
            shown = list(suite.batches(Cell(name, severity), 200))
            pixels = np.concatenate([batch.images.permute(0, 2, 3, 1).numpy() for batch in shown])
            rows = slice((severity - 1) * 599, severity * 599)
            np.testing.assert_array_equal(block[rows], pixels)
            np.testing.assert_array_equal(labels[rows], np.concatenate([batch.target for batch in shown]))


def test_sequences_have_the_published_shape(tmp_path: Path) -> None:
    generate(prepare("digits-p", "digits", tmp_path / "p", conditions=("translate", "brightness")))
    assert np.load(tmp_path / "p" / "translate.npy", mmap_mode="r").shape == (599, 16, 32, 32, 3)
    assert np.load(tmp_path / "p" / "brightness.npy", mmap_mode="r").shape == (599, 31, 32, 32, 3)
    assert not (tmp_path / "p" / "labels.npy").exists()


@pytest.mark.parametrize(
    ("suite", "condition", "unit"), [("digits-c", "contrast", "images"), ("digits-p", "brightness", "frames")]
)
def test_progress_counts_frames_of_sequences_and_images_of_corruptions(
    suite: str, condition: str, unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units: list[str] = []
    monkeypatch.setattr(evaluation, "make_progress", lambda title, quiet, unit: units.append(unit) or QuietProgress())
    api.generate(suite, "digits", tmp_path, corruption=condition)
    assert units == [unit]


@pytest.mark.parametrize(
    ("suite", "conditions"), [("digits-c", ["contrast", "brightness"]), ("digits-p", ["translate", "brightness"])]
)
def test_what_was_there_before_is_no_progress_of_a_repeated_call(
    suite: str, conditions: list[str], tmp_path: Path
) -> None:
    """Else the first look at a folder that is nearly full says that a day's rest takes a second."""

    class Counted(QuietProgress):
        started: ClassVar[list[tuple[int, int]]] = []
        advanced = 0

        def start(self, total: int, done: int) -> None:
            self.started.append((total, done))

        def advance(self, images: int, cell: str) -> None:
            self.advanced += images

    api.generate(suite, "digits", tmp_path, corruption=conditions[0], quiet=True)
    progress = Counted()
    api.generate(suite, "digits", tmp_path, corruption=conditions, progress=progress)
    total, before = progress.started[-1]
    assert [done for _, done in progress.started] == [0, before]
    assert before + progress.advanced == total
    assert progress.advanced == 599 * (5 if suite == "digits-c" else 31)


def test_harder_noises_lie_beside_and_are_read_as_such(tmp_path: Path) -> None:
    command = ["data", "generate", "--suite", "digits-p", "--source", "digits", "--out", str(tmp_path / "p"), "-q"]
    for level in ("1", "3"):
        assert main([*command, "--corruption", "gaussian_noise", "--difficulty", level]) == 0
    noise = [np.load(tmp_path / "p" / f"{name}.npy").astype(int) for name in ("gaussian_noise", "gaussian_noise_3")]
    spread = [np.abs(clips[:, 1:] - clips[:, :1]).mean() for clips in noise]
    assert spread[1] > 2 * spread[0]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    images = [image[:260, 40 * i : 40 * i + 300] for i in range(4) for image in load_sample_images().images]
    return write_classes(tmp_path / "val", images)


def test_a_tree_keeps_names_and_is_read_back(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "ImageNet-C"
    command = ["data", "generate", "--suite", "imagenet-c", "--source", str(photos), "--out", str(out)]
    assert main([*command, "--corruption", "contrast", "-q"]) == 0
    written = sorted(path.relative_to(out / "contrast" / "3") for path in (out / "contrast" / "3").glob("*/*"))
    assert written == sorted(path.relative_to(photos) for path in photos.glob("*/*"))
    with Image.open(out / "contrast" / "3" / written[0]) as image:
        assert image.size == (224, 224)
    suite = open_suite("imagenet-c", out, OpenOptions(conditions=("contrast",)))
    assert suite.source == suite.protocol["source"] == "generated"
    assert suite.length(Cell("contrast", 3)) == 8


def test_a_stopped_run_goes_on(tmp_path: Path, photos: Path) -> None:
    class StopError(Exception):
        pass

    def stop(images: int, condition: str) -> None:
        if condition == "fog" and images:
            raise StopError

    task = prepare("tiny-imagenet-c", photos, tmp_path / "t", conditions=("contrast", "fog"))
    with pytest.raises(StopError):
        generate(task, stop)
    done = tmp_path / "t" / "contrast" / "5"
    before = {path: path.stat().st_mtime_ns for path in done.glob("*/*")}
    assert len(before) == 8
    generate(task)
    assert {path: path.stat().st_mtime_ns for path in done.glob("*/*")} == before
    assert sum(1 for _ in (tmp_path / "t" / "fog").glob("*/*/*")) == 40


def test_clips_are_read_back(tmp_path: Path, photos: Path) -> None:
    for extra in sorted(photos.glob("*/*"))[2:]:
        extra.unlink()
    out = tmp_path / "ImageNet-P"
    command = ["data", "generate", "--suite", "imagenet-p", "--source", str(photos), "--out", str(out), "-q"]
    assert main([*command, "--corruption", "translate,gaussian_noise"]) == 0
    written = sorted(path.relative_to(out / "translate") for path in (out / "translate").glob("*/*"))
    assert written == sorted(path.relative_to(photos).with_suffix(".mp4") for path in photos.glob("*/*"))

    names = ("translate", "gaussian_noise")
    written_out = open_suite("imagenet-p", out, OpenOptions(conditions=names))
    assert written_out.source == "generated"
    fresh = open_suite("imagenet-p", photos, OpenOptions(conditions=names))
    for name, frames in (("translate", 41), ("gaussian_noise", 31)):
        stored, made = (
            np.concatenate([batch.images.numpy() for batch in suite.batches(Cell(name), 64)])
            for suite in (written_out, fresh)
        )
        assert stored.shape == made.shape == (2 * frames, 3, 224, 224)
        assert np.abs(stored.astype(int) - made).mean() < 6  # what the video's compression takes
    with av.open(str(out / "translate" / written[0])) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv444p", 1)


def test_stopped_clips_go_on_and_damaged_ones_are_found(tmp_path: Path, photos: Path) -> None:
    for extra in sorted(photos.glob("*/*"))[3:]:
        extra.unlink()
    task = prepare("imagenet-p", photos, tmp_path / "p", conditions=("brightness",))
    told: list[int] = []
    generate(task, lambda images, condition: told.append(images))
    assert sum(told) == task.images == 3 * 31
    clips = sorted((tmp_path / "p" / "brightness").glob("*/*.mp4"))
    before, kept = [decode_clip(clip.read_bytes(), 31, clip.name) for clip in clips], clips[0].stat().st_mtime_ns
    clips[1].unlink()
    generate(task)
    again = decode_clip(clips[1].read_bytes(), 31, clips[1].name)
    assert np.abs(again.astype(int) - before[1]).mean() < 1  # x264's bytes are not always the same
    assert clips[0].stat().st_mtime_ns == kept
    clips[2].write_bytes(clips[2].read_bytes()[:500])
    with pytest.raises(RobenchError, match=rf"{clips[2].name} cannot be decoded"):
        generate(task)


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="Did you mean 'cifar10-c'"):
        prepare("cifar10c", "digits", tmp_path)
    with pytest.raises(RobenchError, match="no condition 'fogg'"):
        prepare("digits-c", "digits", tmp_path, conditions=("fogg",))
    with pytest.raises(RobenchError, match="does not exist"):
        prepare("cifar10-c", tmp_path / "gone", tmp_path)
    with pytest.raises(RobenchError, match="digits-c has no difficulty 2"):
        prepare("digits-c", "digits", tmp_path, difficulty=2)
    prepare("digits-c", "digits", tmp_path / "a", conditions=("fog",))
    with pytest.raises(RobenchError, match="differs in seed"):
        prepare("digits-c", "digits", tmp_path / "a", conditions=("fog",), seed=1)


def test_a_damaged_set_is_found(tmp_path: Path) -> None:
    task = prepare("digits-c", "digits", tmp_path / "c", conditions=("contrast",))
    generate(task)
    np.save(tmp_path / "c" / "contrast.npy", np.zeros((7, 32, 32, 3), np.uint8))
    with pytest.raises(RobenchError, match=r"contrast\.npy: expected uint8 of 2995 rows"):
        generate(task)


def test_a_cut_array_is_found(tmp_path: Path) -> None:
    task = prepare("digits-c", "digits", tmp_path, conditions=("contrast",))
    (path,) = generate(task)
    for size in (path.stat().st_size - 1000, 10, 0):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(RobenchError, match=r"contrast\.npy: expected an array, found a damaged file"):
            generate(task)


def test_folders_that_hold_something_else_are_refused(tmp_path: Path, photos: Path) -> None:
    for name in ("fog.npy", "labels.npy"):
        (tmp_path / name).mkdir(parents=True)
        np.save(tmp_path / name / name, np.zeros(3, np.uint8))
        with pytest.raises(RobenchError, match=f"holds {name}, which robench did not write"):
            prepare("digits-c", "digits", tmp_path / name, conditions=("fog", "snow"))
        assert [path.name for path in (tmp_path / name).iterdir()] == [name]
    with pytest.raises(RobenchError, match="holds the clean images"):
        prepare("imagenet-c", photos, photos, conditions=("fog",))
    for content in ("{", "3"):
        (tmp_path / "generated.json").write_text(content)
        with pytest.raises(RobenchError, match="cannot be read"):
            prepare("digits-c", "digits", tmp_path, conditions=("fog",))


def test_a_folder_without_the_original_frost_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match=r"lacks frost1\.png"):
        prepare("digits-c", "digits", tmp_path / "out", conditions=("frost",), frost=str(tmp_path))
    assert not (tmp_path / "out" / "generated.json").exists()


def test_images_of_one_name_do_not_replace_one_another(tmp_path: Path, photos: Path) -> None:
    first = next(photos.rglob("*.JPEG"))
    Image.open(first).save(first.with_suffix(".png"))
    with pytest.raises(RobenchError, match="2 clean images would be written to"):
        generate(prepare("imagenet-c", photos, tmp_path / "out", conditions=("brightness",)))


def test_files_of_our_making_never_pass_for_published_ones(tmp_path: Path, photos: Path) -> None:
    """Their mark says so, from the folder above too; what has no mark is taken for the authors'."""
    folder = tmp_path / "sets" / "ImageNet-C"
    task = prepare("imagenet-c", photos, folder, conditions=("contrast",), seed=7)
    generate(task)
    options = OpenOptions(conditions=("contrast",))
    for place in (folder, folder.parent):
        opened = open_suite("imagenet-c", place, options)
        assert (opened.source, opened.protocol["source"], opened.protocol["seed"]) == ("generated", "generated", 7)
    with tarfile.open(tmp_path / "packed.tar", "w") as archive:
        archive.add(folder, "ImageNet-C")
    assert open_suite("imagenet-c", tmp_path / "packed.tar", options).source == "generated"
    # A mark above or below them is of other files.
    (folder / "generated.json").rename(folder.parent / "generated.json")
    assert open_suite("imagenet-c", folder, options).source == "published"
    (folder / "mine").mkdir()
    (folder.parent / "generated.json").rename(folder / "mine" / "generated.json")
    assert open_suite("imagenet-c", folder, options).source == "published"


def test_files_say_which_frost_textures_they_have(tmp_path: Path, photos: Path) -> None:
    """A result on them says so too; a folder with other textures is not gone on with."""
    folder = tmp_path / "ImageNet-C"
    generate(prepare("imagenet-c", photos, folder, conditions=("frost", "contrast")))
    mark = json.loads((folder / "generated.json").read_text())
    assert mark["frost"] == describe(None)
    opened = open_suite("imagenet-c", folder, OpenOptions(conditions=("frost",)))
    assert opened.protocol["frost"] == describe(None)
    assert any("built-in textures stand in" in remark for remark in opened.remarks)
    without = open_suite("imagenet-c", folder, OpenOptions(conditions=("contrast",)))
    assert not any("textures" in remark for remark in without.remarks)
    (folder / "generated.json").write_text(json.dumps(mark | {"frost": describe(FIRST)}))
    with pytest.raises(RobenchError, match="holds a set that differs in frost"):
        prepare("imagenet-c", photos, folder, conditions=("fog",))


def test_files_of_another_version_of_the_suite_are_refused(tmp_path: Path, photos: Path) -> None:
    """A version is raised where results change; marks of before it was recorded are of the first."""
    options = OpenOptions(conditions=("contrast",))
    generate(prepare("imagenet-c", photos, tmp_path / "c", conditions=("contrast",)))
    path = tmp_path / "c" / "generated.json"
    mark = json.loads(path.read_text())
    assert mark.pop("version") == get("imagenet-c").version == 1
    path.write_text(json.dumps(mark))
    assert open_suite("imagenet-c", tmp_path / "c", options).source == "generated"
    prepare("imagenet-c", photos, tmp_path / "c", conditions=("contrast",))
    path.write_text(json.dumps(mark | {"version": 2}))
    with pytest.raises(RobenchError, match="generated by version 2 of the suite; this is version 1"):
        open_suite("imagenet-c", tmp_path / "c", options)
    with pytest.raises(RobenchError, match="differs in version"):
        prepare("imagenet-c", photos, tmp_path / "c", conditions=("contrast",))


@pytest.mark.parametrize("suite", ["cifar10-c", "cifar10-p"])
def test_clean_images_of_another_size_are_refused(suite: str, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    np.save(tmp_path / "clean" / "images.npy", np.zeros((10, 64, 64, 3), np.uint8))
    np.save(tmp_path / "clean" / "labels.npy", np.arange(10))
    with pytest.raises(RobenchError, match="expected images of 32 x 32 pixels; found 64 x 64"):
        prepare(suite, tmp_path / "clean", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_suite_of_published_files_alone_is_not_generated(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="cannot generate imagenet-3dcc"):
        prepare("imagenet-3dcc", "digits", tmp_path / "out")
