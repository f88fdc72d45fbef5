"""``robench plot augmentations``: the views are those that training sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from robench import api
from robench.api.augmentations import augmented_images
from robench.errors import RobenchError


def test_views_are_what_the_methods_view_makes() -> None:
    """Cutout's own view of the same batch, without flips and crops."""
    from robench.api.gallery import digit
    from robench.training import methods, recipes
    from robench.training.engine.batch import Batch

    recipe = recipes.load("cutout-digits")
    found = augmented_images("cutout-digits", count=3, index=5)["cutout-digits"]
    clean = digit(5, 32)
    batch = np.stack([clean, digit(6, 32), clean[:, ::-1], digit(6, 32)[:, ::-1]])
    pixels = torch.from_numpy(batch.copy()).permute(0, 3, 1, 2)
    method = methods.create(recipe.method, recipe.options)
    data = recipe.data.model_copy(update={"flip": False, "pad": 0})
    expected = []
    for epoch in range(8):
        view = method.view(Batch(pixels, torch.zeros(4).long(), torch.arange(4), data, recipe.seed, epoch))  # type: ignore[attr-defined]
        first = view[0].permute(1, 2, 0).numpy()
        first = first if first.dtype == np.uint8 else (first * 255).round().astype(np.uint8)
        if not np.array_equal(first, clean):
            expected.append(first)
    assert len(found) == 3
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=False))


@pytest.mark.parametrize(
    "recipe", ["augmix-digits", "augmax-digits", "weak-augment-digits", "noise2net-digits", "adversarial-digits",
               "autolabel-augmix-digits", "cutmix-digits"]
)  # fmt: skip
def test_every_kind_of_method_shows_changed_images(recipe: str) -> None:
    found = augmented_images(recipe, count=4)
    assert found[recipe].dtype == np.uint8
    assert len(found[recipe]) == 4
    assert all(not np.array_equal(one, found["clean"][0]) for one in found[recipe])


def test_the_same_call_shows_the_same_images() -> None:
    one, other = (augmented_images("augmix-digits", count=2)["augmix-digits"] for _ in range(2))
    assert np.array_equal(one, other)


def test_settings_change_the_views() -> None:
    one = augmented_images("cutout-digits", count=2, set="options.length=20")["cutout-digits"]
    assert not np.array_equal(one, augmented_images("cutout-digits", count=2)["cutout-digits"])


def test_recipes_of_two_sizes_and_missing_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="32 and 224 pixels"):
        api.augmentations("augmix-digits,speckle-noise-imagenet-resnet50")
    with pytest.raises(RobenchError, match="network of edsr-digits"):
        api.augmentations("deepaugment-digits", networks=tmp_path)


def test_the_standard_recipe_shows_the_clean_image() -> None:
    found = augmented_images("standard-digits", count=2)
    assert np.array_equal(found["standard-digits"], found["clean"])
