"""Perturbation sequences: published lengths, clean first frames, one image one sequence, known frames by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color
from test_corruptions_common import photographs

from robench.corruptions import perturb
from robench.corruptions.perturbations import (
    ALL_PERTURBATIONS,
    CIFAR_P,
    EXTRA_PERTURBATIONS,
    PERTURBATIONS,
    frame_count,
)
from robench.errors import RobenchError

INDEX = torch.tensor([5, 2, 11])


def frames(images: torch.Tensor, name: str, **options: int) -> torch.Tensor:
    """Return (T, N, 3, H, W)."""
    return torch.stack(list(perturb(images, name, index=INDEX[: len(images)], **options)))


@pytest.mark.parametrize("name", ALL_PERTURBATIONS)
def test_lengths_and_types_are_the_published_ones(name: str) -> None:
    images = photographs(2, 32)
    found = frames(images, name)
    assert len(found) == frame_count(name, 32) == {"motion_blur": 21, "translate": 16}.get(name, 31)
    assert found.dtype == torch.uint8
    assert found.shape[1:] == images.shape
    assert frame_count("translate", 224) == 41
    assert frame_count(name, 64) == 31


@pytest.mark.parametrize("name", ALL_PERTURBATIONS)
def test_a_clip_is_the_same_in_any_batch(name: str) -> None:
    images = photographs(3, 32)
    whole = frames(images, name)
    alone = torch.stack(list(perturb(images[1:2], name, index=INDEX[1:2])))
    assert torch.equal(alone[:, 0], whole[:, 1])


@pytest.mark.parametrize("name", ALL_PERTURBATIONS)
def test_the_layout_in_memory_does_not_matter(name: str) -> None:
    images = photographs(2, 32)
    last = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(frames(last, name), frames(images, name), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "speckle_noise"])
def test_noises_begin_clean_and_grow_with_difficulty(name: str) -> None:
    images = photographs(2, 32)
    distance = []
    for difficulty in (1, 2, 3):
        found = frames(images, name, difficulty=difficulty)
        assert torch.equal(found[0], images)
        assert not torch.equal(found[1], found[2])
        distance.append(float((found[1:].float() - images.float()).pow(2).mean()))
    assert distance == sorted(distance)
    assert distance[0] < distance[2]


def test_brightness_steps_by_hand() -> None:
    images = photographs(1, 32)
    found = frames(images, "brightness")
    x = images.permute(0, 2, 3, 1).numpy() / 255.0
    hsv = color.rgb2hsv(x)
    for i in (0, 15, 30):
        shifted = np.stack([hsv[..., 0], hsv[..., 1], np.clip(hsv[..., 2] + 0.015 * (i - 15), 0, 1)], -1)
        expected = (np.clip(color.hsv2rgb(shifted), 0, 1) * 255).astype(np.uint8).astype(int)
        difference = np.abs(found[i].permute(0, 2, 3, 1).numpy().astype(int) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_translate_moves_by_whole_pixels() -> None:
    images = photographs(1, 32)
    found = frames(images, "translate")
    middle = next(i for i in range(16) if torch.equal(found[i], images))
    assert middle == 7
    moved = found[middle + 3]
    shifted = [torch.equal(moved[..., 3:], images[..., :-3]), torch.equal(moved[..., :-3], images[..., 3:])]
    assert sum(shifted) == 1


def test_rotation_is_pillows(capsys: pytest.CaptureFixture[str]) -> None:
    images = photographs(1, 32)
    found = frames(images, "rotate")
    picture = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    best = []
    for sign in (1, -1):
        turned = np.asarray(picture.rotate(sign * 10, resample=Image.Resampling.BILINEAR)).astype(int)
        inner = (slice(6, 26), slice(6, 26))
        best.append(np.abs(found[25][0].permute(1, 2, 0).numpy().astype(int)[inner] - turned[inner]).mean())
    assert min(best) < 1.0


# Not tilt: the published projection puts the picture at depth 1 of f + 1, which shrinks even the middle frame.
@pytest.mark.parametrize("name", ["rotate", "shear"])
def test_the_middle_frame_is_the_image(name: str) -> None:
    images = photographs(2, 32)
    assert int((frames(images, name)[15].int() - images.int()).abs().max()) <= 1


def test_spatter_turns_black_when_the_water_has_run_off() -> None:
    """The published loop divides by the largest value of an empty layer."""
    clips = perturb(photographs(64, 32), "spatter", index=torch.arange(64))
    black = torch.stack([frame.flatten(1).amax(1) == 0 for frame in clips])
    assert not black[0].any()
    assert 0.05 < black[-1].float().mean() < 0.5


@pytest.mark.parametrize("name", ALL_PERTURBATIONS)
def test_frames_are_the_callers_to_change(name: str) -> None:
    images = photographs(2, 32)
    wanted = [frame.clone() for frame in perturb(images, name, index=INDEX[:2])]
    given = images.clone()
    for frame, expected in zip(perturb(given, name, index=INDEX[:2]), wanted, strict=True):
        assert torch.equal(frame, expected)
        frame.zero_()
    assert torch.equal(given, images)


def test_the_published_lists() -> None:
    assert len(PERTURBATIONS) == len(CIFAR_P) == 10
    assert set(CIFAR_P) ^ set(PERTURBATIONS) == {"snow", "spatter"}
    assert set(EXTRA_PERTURBATIONS) | set(PERTURBATIONS) == set(ALL_PERTURBATIONS)
    assert len(ALL_PERTURBATIONS) == 14


def test_bad_input() -> None:
    images = photographs(1, 32)
    with pytest.raises(RobenchError, match="'rotate'"):
        list(perturb(images, "rotat", index=INDEX[:1]))
    with pytest.raises(RobenchError, match=r"[Dd]ifficult"):
        list(perturb(images, "gaussian_noise", index=INDEX[:1], difficulty=4))
    with pytest.raises(RobenchError, match="uint8"):
        list(perturb(images.float(), "rotate", index=INDEX[:1]))
