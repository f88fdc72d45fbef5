"""What ``train --list`` says of a recipe's cost is what its method and PyTorch's counter say."""

from __future__ import annotations

import pytest

from robench.api import list_recipes
from robench.models.networks import build
from robench.training import methods, recipes
from robench.training.recipes.costs import IMAGES, RATE, costs


def test_every_recipe_has_its_passes() -> None:
    written = costs()
    assert set(written) == set(recipes.names()), "run `python scripts/recipe_costs.py`"
    for name, cost in written.items():
        recipe = recipes.load(name)
        assert cost.passes == pytest.approx(recipe.epochs * methods.of(recipe)[1].passes, rel=1e-5)


@pytest.mark.parametrize("name", ["augmix-digits", "augmix-cifar10-wrn40-2", "augmax-tiny-imagenet-resnet18"])
def test_operations_are_those_that_pytorch_counts(name: str) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    recipe = recipes.load(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        build(recipe.architecture, recipe.num_classes).eval()(torch.zeros(1, 3, recipe.data.size, recipe.data.size))
    assert costs()[name].forward_operations == counter.get_total_flops()


def test_hours_follow() -> None:
    rows = {one.name: one for one in list_recipes()}
    augmix = rows["augmix-cifar10-wrn40-2"]
    per_image = costs()[augmix.name].forward_operations
    assert per_image is not None
    assert augmix.passes == 300
    assert augmix.hours == pytest.approx(300 * IMAGES["cifar10"] * 3 * per_image / RATE / 3600)
    # DeepAugment trains on clean, EDSR and CAE images in every epoch: thrice the images of the same network.
    assert rows["edsr-cifar10"].hours is None
    assert rows["linear-probe"].passes is None


def test_digits_have_this_many_training_images() -> None:
    from sklearn.datasets import load_digits

    assert IMAGES["digits"] == len(load_digits().target) * 2 // 3
