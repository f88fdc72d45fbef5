"""How long the models of a set take to train on a device, from a few timed steps of every network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from robench.cpu import kept_memory
from robench.models.networks import build
from robench.training import methods
from robench.training.engine import needed
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.deepaugment import DeepAugment
from robench.training.networks.distorter import Distorter, distorted_groups
from robench.training.recipes.schema import Recipe
from robench.training.sets import Run

_STEPS = 3
_GROUPS, _GROUP = 2, 32


def seconds_of(runs: Iterable[Run], images: int, device: str | None = None) -> dict[str, float]:
    """Return run name -> seconds: of its passes, and of DeepAugment's distorted images.

    Augmentation, saving and evaluation come on top.

    Args:
        runs: of one set, with the networks that they need.
        images: training images per epoch.
        device: as for training; None: a GPU where there is one.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    runs = tuple(runs)
    recipes = {run.name: run.load() for run in runs}
    of_recipe = {run.recipe: recipes[run.name] for run in runs}
    pass_times: dict[tuple[object, ...], float] = {}
    image_times: dict[str, float] = {}

    def passes(recipe: Recipe) -> float:
        own = str(sorted(recipe.options.items())) if methods.of(recipe)[1].build() is not None else ""
        key = (recipe.architecture, own, recipe.num_classes, recipe.data.size, recipe.batch_size, recipe.precision)
        if key not in pass_times:
            pass_times[key] = seconds_per_pass(recipe, place)
        return pass_times[key]

    def distortions(recipe: Recipe) -> float:
        named = needed.networks(recipe)
        for name in named:
            if name not in image_times:
                image_times[name] = seconds_per_distortion(of_recipe[name], place)
        return _views(recipe) * sum(image_times[name] for name in named)

    with kept_memory(place.type):
        return {
            run.name: images * (run.passes * passes(recipes[run.name]) + distortions(recipes[run.name])) for run in runs
        }


def _views(recipe: Recipe) -> float:
    """Return how often every image goes through each of the networks that the recipe distorts."""
    found = next((one for one in methods.of(recipe) if isinstance(one, DeepAugment)), None)
    if found is None:
        return 0.0
    return 1.0 if found.once else recipe.epochs / (len(found.networks) + 1)


def seconds_per_pass(recipe: Recipe, device: torch.device) -> float:
    """Return the seconds that one forward and backward pass of one training image takes.

    Args:
        recipe: gives network, batch size and precision.
        device: as for training.
    """
    method = methods.of(recipe)[1]
    own = method.build()
    module = own if own is not None else build(recipe.architecture, recipe.num_classes, norm=recipe.norm)
    net = _network(module.to(device), recipe, device)
    images = _images(recipe.batch_size, recipe, device)
    index = torch.arange(len(images), device=device)
    batch = Batch(images, torch.zeros_like(index), index, recipe.data, recipe.seed, 0)

    def step() -> None:
        loss = net(images).square().mean() if own is None else method.loss(net, batch).loss
        loss.backward()

    return _seconds(step, _STEPS, device) / recipe.batch_size


def seconds_per_distortion(recipe: Recipe, device: torch.device) -> float:
    """Return the seconds that one image takes through a network that DeepAugment distorts.

    Args:
        recipe: that trains the network.
        device: as for training.
    """
    module = methods.of(recipe)[1].build()
    assert isinstance(module, nn.Module)
    images = _images(_GROUP * (_GROUPS + 1), recipe, device)
    distorter = Distorter(module.to(device).eval())  # type: ignore[arg-type]
    groups = distorted_groups(distorter, images, np.random.default_rng(0), _GROUP)
    return _seconds(lambda: next(groups), _GROUPS, device) / _GROUP


def _network(module: nn.Module, recipe: Recipe, device: torch.device) -> Network:
    autocast = torch.bfloat16 if recipe.precision == "bf16" else None
    module = module.to(memory_format=torch.channels_last)
    return Network(module, recipe.data.mean, recipe.data.std, device, autocast)


def _images(count: int, recipe: Recipe, device: torch.device) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, recipe.data.size, recipe.data.size), dtype=torch.uint8, device=device)


def _seconds(step: Callable[[], object], steps: int, device: torch.device) -> float:
    """Return the mean seconds of a step; one before them is not counted."""
    step()
    _wait(device)
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    _wait(device)
    return (time.perf_counter() - begun) / steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
