"""The embedded digits: sizes, values and a split that never changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from robench.data import digits
from robench.errors import RobenchError


def test_the_splits_part_all_scans_and_never_change() -> None:
    splits = {name: digits.load(name) for name in digits.SPLITS}
    assert {name: len(images) for name, images in splits.items()} == {"train": 998, "validation": 200, "test": 599}
    rows = np.concatenate([images.indices for images in splits.values()])
    assert sorted(rows) == list(range(1797))
    assert splits["test"].indices[:8].tolist() == digits.load("test").indices[:8].tolist()
    for images in splits.values():
        assert np.array_equal(images.labels, load_digits().target[images.indices])
        share = np.bincount(images.labels, minlength=10) / len(images)
        assert np.abs(share - 0.1).max() < 0.005


def test_the_images_are_the_scans_enlarged() -> None:
    test = digits.load("test")
    images = test.read(np.arange(len(test)))
    assert images.shape == (599, 32, 32, 3)
    assert images.dtype == np.uint8
    assert (images[..., 0] == images[..., 2]).all()
    scans = torch.from_numpy(load_digits().images[test.indices] * (255 / 16)).float()[:, None]
    large = torch.nn.functional.interpolate(scans, size=(32, 32), mode="bicubic", antialias=True)
    expected = large[:, 0].clamp(0, 255).round().numpy()
    assert np.abs(images[..., 0] - expected).max() <= 1


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(RobenchError, match="no split 'tset'"):
        digits.load("tset")
