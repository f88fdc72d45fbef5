"""``robench.train(recipe)``: reference training, every method by one loop."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.api.options import Place
from robench.api.probe import is_probe
from robench.api.words import both_given, place, spelled_out
from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from robench.training.recipes.schema import Recipe

    Settings = Mapping[str, Any] | Sequence[str]

_PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Args:
        recipe: the recipe's name.
        folder: with ``weights.safetensors``, ``card.yaml``, ``recipe.yaml`` and ``log.csv``.
        accuracy: on clean test images, a fraction; None where the data has none.
        seconds: how long the training took.
        suite: what measures it under corruption, such as ``cifar10-c``; None where no suite is of these data.
    """

    recipe: str
    folder: Path
    accuracy: float | None
    seconds: float
    suite: str | None = None


@dataclass(frozen=True)
class _How:
    """What is the same for every recipe of one call."""

    data: Path | None
    device: str | None
    fresh: bool
    quiet: bool
    finished: Callable[[Trained], None] | None


@spelled_out()
def train(
    recipe: Place | None = None,
    *,
    data: Place | None = None,
    out: Place | None = None,
    set: Settings = (),
    all: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    backbone: Place | None = None,
    features: Place | None = None,
    fresh: bool = False,
    quiet: bool = False,
    finished: Callable[[Trained], None] | None = None,
) -> tuple[Trained, ...]:
    """Train a model by a recipe; a run that was stopped resumes.

    Args:
        recipe: a recipe's name (``robench.training.recipes.names()``), or a YAML file; ``linear-probe`` or ``knn``: a
            head on a frozen ``backbone``.
        data: folder or file of the training data; None: the embedded digits.
        out: output folder; None: ``runs/RECIPE``.
        set: fields to override: ``{"epochs": 20}`` or ``["epochs=20"]``.
        all: train every recipe for this data (``digits``) instead of one.
        device: ``cpu``, ``cuda``, ``cuda:1``; None: a GPU where there is one.
        precision: ``fp32`` or ``bf16``; None: the recipe's.
        backbone: of ``linear-probe`` and ``knn``: ``timm:NAME``, ``torchvision:NAME``, ``hf:FOLDER``,
            ``open_clip:ARCH/PRETRAINED``, or a model whose last layer is linear.
        features: of these: folder under which their features are kept; None: the user's cache folder.
        fresh: start again instead of resuming.
        quiet: show no progress.
        finished: called with each model as soon as it is trained.

    Returns:
        The trained models: one, or those of all recipes.

    Raises:
        RobenchError: no such recipe, unreadable data, or settings that do not fit.

    >>> import tempfile, robench
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (model,) = robench.train("standard-digits", set={"epochs": 1}, device="cpu", quiet=True, out=folder)
    >>> model.recipe, model.accuracy > 0.1
    ('standard-digits', True)
    """
    both_given([("recipe", recipe, "all", all)])
    settings = [*settings_of(set), *_precision(precision)]
    how = _How(None if data is None else place("data", data), device, fresh, quiet, finished)
    folder = None if out is None else place("out", out)
    if is_probe(recipe):
        return (_train_probe(str(recipe), backbone, features, folder, settings, how),)
    for name, value in (("backbone", backbone), ("features", features)):
        if value is not None:
            raise RobenchError(f"`{name}` is for linear-probe and knn.", hint="Use `recipe='linear-probe'`.")
    if all is not None:
        return _train_all(all, folder, settings, how)
    if recipe is None:
        raise RobenchError("No recipe given.", hint="For example `recipe='augmix-digits'`.")
    from robench.training import recipes

    name = str(place("recipe", recipe))
    return (_train_one(recipes.load(name, settings), name, folder, settings, how),)


def _train_probe(
    recipe: str, backbone: Place | None, features: Place | None, out: Path | None, settings: list[str], how: _How
) -> Trained:
    from robench.api.probe import train_probe

    folder = train_probe(
        recipe,
        None if backbone is None else str(backbone),
        data=how.data,
        out=out,
        settings=settings,
        features=None if features is None else place("features", features),
        device=how.device,
        fresh=how.fresh,
        quiet=how.quiet,
    )
    trained = _trained(recipe, folder)
    if how.finished is not None:
        how.finished(trained)
    return trained


def settings_of(given: Settings) -> list[str]:
    """Return overrides as ``KEY=VALUE``.

    Raises:
        RobenchError: neither a mapping nor ``KEY=VALUE`` strings.
    """
    import json

    if isinstance(given, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in given.items()]
    return [str(entry) for entry in ([given] if isinstance(given, str) else given)]


def _precision(given: str | None) -> list[str]:
    """Return the override of a recipe's precision."""
    from robench.api.words import one_of

    return [] if given is None else [f"precision={one_of('precision', given, _PRECISIONS)}"]


def _train_one(recipe: Recipe, name: str, out: Path | None, settings: list[str], how: _How) -> Trained:
    from robench.training import recipes
    from robench.training.engine import needed
    from robench.training.engine.loop import train as run

    folder = out if out is not None else Path("runs") / recipe.name
    folders = {}
    for network in needed.networks(recipe):
        found = needed.find(network, folder.parent)
        if found is None:
            found = needed.place_for(network, folder.parent)
            _train_one(recipes.load(network), network, found, [], replace(how, fresh=False))
        folders[network] = found
    command = command_line(name, how.data, settings)
    run(
        recipe,
        how.data,
        folder,
        device=how.device,
        fresh=how.fresh,
        quiet=how.quiet,
        command=command,
        folders=folders,
    )
    trained = _trained(recipe.name, folder)
    if how.finished is not None:
        how.finished(trained)
    return trained


def command_line(recipe: str, data: Path | None, settings: Sequence[str]) -> str:
    """Return the command that repeats a run, for its card; a data folder appears as DATA."""
    words = ["robench", "train", "--recipe", recipe]
    words += ["--data", "DATA"] if data is not None else []
    for setting in settings:
        words += ["--set", setting]
    return shlex.join(words)


def _train_all(dataset: str, out: Path | None, settings: list[str], how: _How) -> tuple[Trained, ...]:
    from robench.training import recipes

    names = recipes.names(dataset)
    if not names:
        known = {str(recipes.read(name)["data"]["dataset"]) for name in recipes.names()}
        raise RobenchError(f"No recipe is for '{dataset}'.", hint=did_you_mean(dataset, known))
    folder = out if out is not None else Path("runs") / dataset
    return tuple(
        _train_one(recipes.load(name, settings), name, folder / recipes.short(name, dataset), settings, how)
        for name in recipes.in_order(names)
    )


def _trained(recipe: str, folder: Path) -> Trained:
    import yaml

    from robench import suites

    card = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    how = card["trained_with"]
    accuracy = how.get("test_accuracy")
    suite = None if accuracy is None else f"{card.get('dataset')}-c"  # networks of augmentations have no accuracy
    return Trained(recipe, folder, accuracy, float(how["seconds"]), suite if suite in suites.names() else None)
