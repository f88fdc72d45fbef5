"""Sequences (-P), spatial attempts (STA), and sets generated from clean images."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from published_layouts import INDICES, WNIDS, file_name, write_classes
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import affine

from robench import suites, unchanged
from robench.corruptions.perturbations import CIFAR_P, frame_count
from robench.corruptions.severities import BENCHMARK
from robench.data import checksums, digits
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions, OpenSuite
from robench.suites.spatial import draw, rotate_and_shift


def everything(opened: OpenSuite, cell: Cell, batch: int = 70) -> dict[str, np.ndarray]:
    batches = list(opened.batches(cell, batch))
    found = {name: np.concatenate([getattr(b, name) for b in batches]) for name in ("index", "target")}
    found["images"] = np.concatenate([b.images.numpy() for b in batches])
    if batches[0].frame is not None:
        found["frame"] = np.concatenate([b.frame for b in batches])
    return found


@pytest.fixture
def cifar_p(tmp_path: Path) -> Path:
    """A small CIFAR-10-P: five clips of each perturbation, every frame a little darker."""
    images = digits.load("test").array[:5]
    for name in CIFAR_P:
        frames = [(images * (1 - t / 100)).astype(np.uint8) for t in range(frame_count(name, 32))]
        np.save(tmp_path / f"{name}.npy", np.stack(frames, axis=1))
    return tmp_path


def test_published_clips_come_frame_by_frame(cifar_p: Path) -> None:
    opened = suites.open_suite("cifar10-p", cifar_p)
    assert [cell.name for cell in opened.suite.cells] == list(CIFAR_P)
    assert "spatter" in CIFAR_P
    assert "snow" not in CIFAR_P
    for name, frames in (("motion_blur", 21), ("translate", 16), ("rotate", 31)):
        found = everything(opened, Cell(name))
        assert opened.length(Cell(name)) == 5
        assert found["images"].shape == (5 * frames, 3, 32, 32)
        assert found["index"].tolist() == [clip for clip in range(5) for _ in range(frames)]
        assert found["frame"].tolist() == list(range(frames)) * 5
        assert set(found["target"]) == {-1}
        stored = np.load(cifar_p / f"{name}.npy").reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)
        assert np.array_equal(found["images"], stored)


def test_published_clips_are_read_once_for_their_checksums(
    cifar_p: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFAR-10-P has nine gigabytes."""
    read: list[Path] = []
    real = checksums.sha256
    monkeypatch.setattr(checksums, "_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(checksums, "_REMEMBERED", 1)
    monkeypatch.setattr(unchanged, "_SETTLED", -1.0)
    monkeypatch.setattr(checksums, "sha256", lambda path: read.append(path) or real(path))
    first = suites.open_suite("cifar10-p", cifar_p).protocol
    assert suites.open_suite("cifar10-p", cifar_p).protocol == first
    assert first["files"]["tilt"] == hashlib.sha256((cifar_p / "tilt.npy").read_bytes()).hexdigest()
    assert sorted(path.stem for path in read) == sorted(first["files"])


def test_clips_of_the_wrong_length_or_missing_are_refused(cifar_p: Path) -> None:
    short = np.load(cifar_p / "tilt.npy")[:, :30]
    np.save(cifar_p / "tilt.npy", short)
    with pytest.raises(RobenchError, match=r"tilt\.npy: expected clips of 31 frames"):
        suites.open_suite("cifar10-p", cifar_p)
    (cifar_p / "tilt.npy").unlink()
    with pytest.raises(RobenchError, match=r"lacks tilt\.npy"):
        suites.open_suite("cifar10-p", cifar_p)


def test_a_harder_difficulty_takes_the_noises_own_files(cifar_p: Path) -> None:
    options = OpenOptions(conditions=("gaussian_noise", "tilt"), difficulty=2)
    with pytest.raises(RobenchError, match=r"lacks gaussian_noise_2\.npy"):
        suites.open_suite("cifar10-p", cifar_p, options)
    (cifar_p / "gaussian_noise.npy").rename(cifar_p / "gaussian_noise_2.npy")
    assert suites.open_suite("cifar10-p", cifar_p, options).protocol["difficulty"] == 2


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    """Write frames as H.264 at one frame a second, as the published clips are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": "20"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def imagenet_p(tmp_path: Path, squares: list[np.ndarray]) -> Path:
    for name, frames in (("brightness", 31), ("translate", 41)):
        for i in range(3):
            clip = [(squares[i] * (1 - t / 80)).astype(np.uint8) for t in range(frames)]
            write_clip(tmp_path / name / WNIDS[i] / file_name(i).replace("JPEG", "mp4"), clip)
    return tmp_path


SOME = OpenOptions(conditions=("brightness", "translate"))


def test_mp4_clips_are_read_in_order(imagenet_p: Path, squares: list[np.ndarray]) -> None:
    opened = suites.open_suite("imagenet-p", imagenet_p, SOME)
    for name, frames in (("brightness", 31), ("translate", 41)):
        found = everything(opened, Cell(name))
        assert found["images"].shape == (3 * frames, 3, 224, 224)
        assert found["target"][::frames].tolist() == list(INDICES[:3])
        for t in (0, frames - 1):
            difference = found["images"][t].transpose(1, 2, 0) - squares[0] * (1 - t / 80)
            assert np.abs(difference).mean() < 6  # what the video's compression leaves


def test_a_clip_with_missing_frames_is_named_or_counted(imagenet_p: Path, squares: list[np.ndarray]) -> None:
    short = imagenet_p / "brightness" / WNIDS[1] / file_name(1).replace("JPEG", "mp4")
    write_clip(short, [squares[1]] * 30)
    opened = suites.open_suite("imagenet-p", imagenet_p, SOME)
    with pytest.raises(RobenchError, match=rf"{short.name} cannot be decoded: it has 30 frames, 31 are expected"):
        everything(opened, Cell("brightness"))
    short.write_bytes(short.read_bytes()[:400])
    skipping = suites.open_suite(
        "imagenet-p", imagenet_p, OpenOptions(conditions=("brightness", "translate"), skip_corrupt=True)
    )
    assert set(everything(skipping, Cell("brightness"))["index"]) == {0, 2}
    for size in (31, 70, 200):
        (message,) = [text for batch in skipping.batches(Cell("brightness"), size) for text in batch.unreadable]
        assert short.name in message


def test_a_strange_folder_among_the_clips_is_refused(imagenet_p: Path) -> None:
    (imagenet_p / "brightness" / "cats").mkdir()
    with pytest.raises(RobenchError, match="cats is not a WordNet id"):
        suites.open_suite("imagenet-p", imagenet_p, SOME)


@pytest.mark.parametrize("angle", [-30.0, -7.3, 0.0, 12.5, 29.9])
def test_spatial_attempts_are_torchvisions_affine(angle: float) -> None:
    images = torch.from_numpy(digits.load("test").array[:6]).permute(0, 3, 1, 2).contiguous()
    for shift in ((0, 0), (3, -2), (-1, 3)):
        made = rotate_and_shift(images, torch.full((6,), angle), torch.tensor([shift] * 6))
        for i in range(6):
            image = Image.fromarray(images[i].permute(1, 2, 0).numpy())
            usual = np.asarray(affine(image, angle, list(shift), 1.0, [0.0], InterpolationMode.NEAREST))
            same = (made[i].permute(1, 2, 0).numpy() == usual).all(-1).mean()
            assert same > 0.995  # a pixel whose source lies on a border may fall to either side


def test_the_ten_attempts_differ_and_stay_in_their_ranges(cifar_clean: Path) -> None:
    opened = suites.open_suite("cifar10-sta", cifar_clean)
    found = everything(opened, Cell("worst_of_10"))
    assert found["frame"].tolist() == list(range(10)) * 20
    assert found["target"][::10].tolist() == digits.load("test").labels[:20].tolist()
    clips = found["images"].reshape(20, 10, -1)
    assert all(len(np.unique(clip, axis=0)) > 5 for clip in clips)
    angle, shift = draw(np.arange(500), 0)
    assert angle.abs().max() <= 30
    assert angle.std().item() == pytest.approx(60 / math.sqrt(12), rel=0.05)
    assert set(shift.unique().tolist()) == set(range(-3, 4))
    assert torch.equal(draw(np.array([7]), 0)[0][0], angle[7])


@pytest.mark.parametrize(("name", "cells"), [("digits-c", 76), ("digits-p", 10)])
def test_embedded_suites_need_nothing(name: str, cells: int) -> None:
    opened = suites.open_suite(name, options=OpenOptions(limit=3))
    assert len(opened.suite.cells) == cells
    for cell in opened.suite.cells[::7]:
        found = everything(opened, cell)
        assert len(np.unique(found["index"])) == 3
        assert found["images"].dtype == np.uint8
    with pytest.raises(RobenchError, match="has its data embedded"):
        suites.open_suite(name, "somewhere")


def test_generated_cells_follow_the_seed_and_not_the_batches(cifar_clean: Path) -> None:
    def noise(seed: int, batch: int) -> np.ndarray:
        opened = suites.open_suite("cifar10-c", cifar_clean, OpenOptions(seed=seed, severities=(3,)))
        assert opened.source == "generated"
        return everything(opened, Cell("gaussian_noise", 3), batch)["images"]

    assert np.array_equal(noise(0, 100), noise(0, 3))
    assert not np.array_equal(noise(0, 100), noise(1, 100))
    clean = suites.open_suite("cifar10-c", cifar_clean)
    assert [cell.name for cell in clean.suite.cells] == [
        "clean",
        *(f"{c}/{s}" for c in BENCHMARK for s in range(1, 6)),
    ]
    assert clean.protocol["seed"] == 0


def test_generated_imagenet_c_and_sequences(tmp_path: Path, photos: list[np.ndarray], cifar_clean: Path) -> None:
    write_classes(tmp_path / "val", photos)
    options = OpenOptions(conditions=("contrast",), severities=(5,))
    opened = suites.open_suite("imagenet-c", tmp_path / "val", options)
    assert opened.source == "generated"
    assert opened.protocol["jpeg_quality"] == 85
    clean = everything(opened, Cell("clean"))["images"]
    made = everything(opened, Cell("contrast", 5))["images"]
    assert made.shape == clean.shape == (8, 3, 224, 224)
    assert made.std(axis=(2, 3)).mean() < 0.2 * clean.std(axis=(2, 3)).mean()
    options = OpenOptions(conditions=("rotate", "gaussian_noise"), limit=2)
    turned = everything(suites.open_suite("imagenet-p", tmp_path / "val", options), Cell("rotate"))
    assert turned["images"].shape == (62, 3, 224, 224)
    still = clean[np.isin(np.arange(8), turned["index"])]
    assert np.array_equal(turned["images"][[15, 46]], still)  # the frame in the middle is not turned
    clips = suites.open_suite("cifar10-p", cifar_clean, OpenOptions(limit=2))
    found = everything(clips, Cell("translate"))
    assert found["images"].shape == (32, 3, 32, 32)
    assert set(found["target"]) <= set(range(10))


def test_clips_of_an_image_have_its_number_in_all_perturbations(imagenet_p: Path) -> None:
    """Also where a perturbation lacks a clip, so that images are resampled together with themselves."""
    (imagenet_p / "brightness" / WNIDS[0] / file_name(0).replace("JPEG", "mp4")).unlink()
    opened = suites.open_suite("imagenet-p", imagenet_p, SOME)
    assert np.unique(everything(opened, Cell("translate"))["index"]).tolist() == [0, 1, 2]
    assert np.unique(everything(opened, Cell("brightness"))["index"]).tolist() == [1, 2]
