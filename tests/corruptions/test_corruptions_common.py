"""Properties of every corruption at once: one image, one corruption, whatever the batch; bad input is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from robench.corruptions import ALL, BENCHMARK, CORRUPTIONS, EXTRA, GROUPS, corrupt, corruption, perturb
from robench.corruptions.registered import parameters
from robench.corruptions.severities import SIZES, TABLES, table_size
from robench.errors import RobenchError

NAMES = list(CORRUPTIONS)


def photographs(count: int, size: int) -> torch.Tensor:
    """Return crops of two real photographs, uint8 (count, 3, size, size)."""
    pictures = load_sample_images().images
    rng = np.random.default_rng(0)
    crops = []
    for i in range(count):
        picture = pictures[i % 2]
        y, x = rng.integers(0, picture.shape[0] - size), rng.integers(0, picture.shape[1] - size)
        crops.append(picture[y : y + size, x : x + size])
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize("name", NAMES)
def test_an_image_becomes_the_same_in_any_batch(name: str) -> None:
    images, index = photographs(9, 32), torch.tensor([3, 1, 4, 15, 9, 2, 6, 5, 35])
    whole = corrupt(images, name, 4, index=index)
    order = torch.tensor([8, 2, 0, 5, 1, 7, 3, 6, 4])
    shuffled = corrupt(images[order], name, 4, index=index[order])
    assert torch.equal(shuffled, whole[order])
    alone = torch.cat([corrupt(images[i : i + 1], name, 4, index=index[i : i + 1]) for i in range(9)])
    assert torch.equal(alone, whole)
    layout = corrupt(images.contiguous(memory_format=torch.channels_last), name, 4, index=index)
    assert torch.equal(layout, whole)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [32, 64])
def test_shape_type_and_the_input_left_alone(name: str, size: int) -> None:
    images = photographs(2, size)
    before = images.clone()
    for severity in range(1, 6):
        out = corrupt(images, name, severity, index=torch.arange(2))
        assert out.dtype == torch.uint8
        assert out.shape == images.shape
    assert torch.equal(images, before)
    assert not torch.equal(out, images)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_the_tables_do_not_name(name: str) -> None:
    for height, width in ((28, 28), (40, 24), (96, 130), (299, 299)):
        images = photographs(2, 300)[:, :, :height, :width].contiguous()
        assert corrupt(images, name, 3, index=torch.arange(2)).shape == images.shape
    assert len(corrupt(photographs(1, 32)[:0], name, 3, index=torch.arange(0))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_index_and_seed_change_what_is_drawn_and_nothing_else_is(name: str) -> None:
    image = photographs(1, 64)
    first = corrupt(image, name, 3, index=torch.tensor([0]))
    same = corruption(name).deterministic
    assert torch.equal(corrupt(image, name, 3, index=torch.tensor([1])), first) == same
    assert torch.equal(corrupt(image, name, 3, index=torch.tensor([0]), seed=1), first) == same
    assert torch.equal(corrupt(image, name, 3, index=torch.tensor([0])), first)


# Elastic transform grows stronger and weaker, and so does saturation's meaning: published so.
@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("elastic_transform", "saturate", "spatter", "glass_blur")]
)
def test_severity_five_is_further_away_than_one(name: str) -> None:
    images, index = photographs(12, 64), torch.arange(12)
    distance = [float((corrupt(images, name, s, index=index).float() - images.float()).pow(2).mean()) for s in (1, 5)]
    assert distance[1] > distance[0]


def test_threads_do_not_matter() -> None:
    import numba

    images, index = photographs(6, 64), torch.arange(6)
    before = numba.get_num_threads()
    whole = {name: corrupt(images, name, 3, index=index) for name in NAMES}
    numba.set_num_threads(1)
    try:
        for name in NAMES:
            assert torch.equal(corrupt(images, name, 3, index=index), whole[name]), name
    finally:
        numba.set_num_threads(before)


IMAGE = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("images", "name", "severity", "index", "said"),
    [
        (IMAGE.float(), "fog", 1, 2, "must be a uint8 tensor; found torch.float32"),
        (IMAGE.numpy(), "fog", 1, 2, "Arrays of images have the shape"),
        (IMAGE[0], "fog", 1, 3, r"shape \(N, 3, H, W\); found \(3, 32, 32\)"),
        (IMAGE[:, :1], "fog", 1, 2, "grey"),
        (IMAGE.repeat(1, 2, 1, 1)[:, :4], "fog", 1, 2, "alpha"),
        (IMAGE[..., :1, :1], "fog", 1, 2, "at least 2 x 2"),
        (IMAGE, "fog", 1, 3, "2 images, 3 indices"),
        (IMAGE, "fog", 0, 2, "Severity 0 of fog"),
        (IMAGE, "fog", 6, 2, "Severity 6 of fog"),
        (IMAGE, "gausian_noise", 1, 2, "Did you mean 'gaussian_noise'"),
    ],
)
def test_bad_input(images: torch.Tensor, name: str, severity: int, index: int, said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        corrupt(images, name, severity, index=torch.arange(index))


@pytest.mark.parametrize("kind", [np.int64, np.uint8, torch.tensor])
def test_whole_numbers_of_any_library_are_the_same_key(kind: Callable[[int], SupportsIndex]) -> None:
    images, index = photographs(2, 32), torch.arange(2)
    found = corrupt(images, "gaussian_noise", kind(3), index=index.numpy(), seed=kind(7))  # type: ignore[arg-type]
    assert torch.equal(found, corrupt(images, "gaussian_noise", 3, index=index, seed=7))
    frames = [
        list(perturb(images, "shot_noise", index=index, seed=s, difficulty=d))[1]  # type: ignore[arg-type]
        for s, d in ((kind(7), kind(2)), (7, 2))
    ]
    assert torch.equal(*frames)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"severity": 3.0}, "severity is a whole number; found 3.0"),
        ({"severity": "3"}, "severity is a whole number; found '3'"),
        ({"seed": None}, "seed is a whole number"),
        ({"index": torch.tensor([0.0, 1.0])}, "one whole number for each image"),
        ({"index": torch.zeros(2, 1, dtype=torch.int64)}, "one whole number for each image"),
    ],
)
def test_keys_that_are_no_whole_numbers_are_refused(changed: dict[str, Any], said: str) -> None:
    arguments = {"severity": 1, "seed": 0, "index": torch.arange(2)} | changed
    with pytest.raises(RobenchError, match=said):
        corrupt(IMAGE, "gaussian_noise", **arguments)


def test_tables_are_complete() -> None:
    assert len(BENCHMARK) == 15
    assert (*BENCHMARK, *EXTRA) == ALL
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(ALL)
    assert set(ALL) <= set(CORRUPTIONS)
    for size in SIZES:
        assert sorted(TABLES[size]) == sorted(ALL)
        assert all(len(row) == 5 for row in TABLES[size].values())
    sides = (28, 32, 64, 96, 128, 224, 256, 259, 299, 384)
    assert [table_size(s, s + 5) for s in sides] == [32, 32, 64, 64, 224, 224, 224, 299, 299, 299]
    # the published slip: 244 instead of 224
    assert parameters("elastic_transform", 1, 224) == pytest.approx((488, 170.8, 24.4))
    assert parameters("elastic_transform", 3, 299) == pytest.approx((18, 3.6, 7.2))
