"""Sets of models that are trained under one budget: what to train, in which order, at what cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from robench.errors import RobenchError, did_you_mean
from robench.training import methods, recipes
from robench.training.engine import needed
from robench.training.recipes import tables
from robench.training.recipes.schema import Recipe

_OF_NETWORKS = ("data.", "precision=", "checkpoint_steps=")


@dataclass(frozen=True)
class Run:
    """One model of a set.

    Args:
        name: of its folder; unique in the set.
        recipe: name of the recipe.
        settings: ``KEY=VALUE`` over the recipe: those of the set, the run's own, the user's.
        branches: further predictions to measure (``bn=auxiliary``), beside the usual one.
        needs: names of the runs that must be finished before.
        measured: whether it is a classifier, to be evaluated.
    """

    name: str
    recipe: str
    settings: tuple[str, ...]
    branches: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    measured: bool = True

    def load(self) -> Recipe:
        """Return the resolved recipe."""
        return recipes.load(self.recipe, list(self.settings))

    @property
    def passes(self) -> float:
        """Forward and backward passes per training image over the whole run."""
        recipe = self.load()
        return recipe.epochs * methods.of(recipe)[1].passes


@dataclass(frozen=True)
class Measurement:
    """A suite on which the models of a set are evaluated, or an analysis of them.

    Args:
        name: of the suite, or of the analysis (``fourier``).
        command: of robench: ``evaluate``, ``fourier`` or ``calibrate``.
        options: option -> value, as the command takes them.
        run: the suite whose run is analysed; "": the model is.
    """

    name: str
    command: str = "evaluate"
    options: tuple[tuple[str, str], ...] = ()
    run: str = ""

    @property
    def limit(self) -> int | None:
        """Images (sequences: clips) per cell; None: all."""
        given = dict(self.options).get("limit")
        return None if given is None else int(given)


@dataclass(frozen=True)
class TrainingSet:
    """Models to train under one budget.

    Args:
        name: such as ``cifar10``.
        about: what is compared, in one line.
        measurements: of every model, suites before what is done with their runs.
        runs: in the order in which they are trained.
    """

    name: str
    about: str
    measurements: tuple[Measurement, ...]
    runs: tuple[Run, ...]


@cache
def _documents() -> dict[str, Any]:
    return tables.read_own("_sets.yaml")


def names() -> list[str]:
    """Return the names of the sets."""
    return list(_documents())


def load(name: str, settings: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> TrainingSet:
    """Return a set of models.

    Args:
        name: of the set.
        settings: ``KEY=VALUE`` that hold for every model, over the set's own; DeepAugment's networks take only
            those of the data, the precision and the checkpoints.
        only: names of runs, with all their seeds, or of one seed (``standard-seed2``); none: all. What they need is
            trained as well.

    Raises:
        RobenchError: no such set or run.
    """
    if name not in _documents():
        raise RobenchError(f"No training set '{name}'.", hint=did_you_mean(name, names()))
    document = _documents()[name]
    common = tuple(setting for setting in settings if setting.startswith(_OF_NETWORKS))
    networks = {
        entry["recipe"]: Run(label, entry["recipe"], (*_assigned(entry.get("settings", {})), *common), measured=False)
        for label, entry in document.get("networks", {}).items()
    }
    shared = _assigned(document["settings"])
    every = {label: _runs(label, entry, shared, settings, networks) for label, entry in document["runs"].items()}
    known = dict.fromkeys([*every, *(run.name for of_label in every.values() for run in of_label)])
    if unknown := [run for run in only if run not in known]:
        raise RobenchError(f"Set {name} has no run '{unknown[0]}'.", hint=did_you_mean(unknown[0], known))
    runs = [
        run for label, of_label in every.items() for run in of_label if not only or label in only or run.name in only
    ]
    wanted = {need for run in runs for need in run.needs}
    first = [network for network in networks.values() if network.name in wanted]
    # One model of every method comes before the second seed of any.
    ordered = sorted(runs, key=lambda run: int(run.name.partition("-seed")[2] or 1))
    return TrainingSet(name, document["about"], tuple(_measurements(document)), (*first, *ordered))


def _measurements(document: Mapping[str, Any]) -> Iterator[Measurement]:
    for name, entry in (document["suites"] | document.get("analyses", {})).items():
        options = {key: str(value) for key, value in entry.items() if key not in ("command", "run")}
        yield Measurement(name, entry.get("command", "evaluate"), tuple(options.items()), entry.get("run", ""))


def _runs(
    label: str, entry: Mapping[str, Any], shared: tuple[str, ...], given: tuple[str, ...], networks: Mapping[str, Run]
) -> list[Run]:
    found = []
    for seed in range(1, entry.get("seeds", 1) + 1):
        own = _assigned(entry.get("settings", {}))
        settings = (*shared, *own, f"seed={seed}", *given)
        if "times" in entry:
            epochs = round(entry["times"] * recipes.load(entry["recipe"], list(settings)).epochs)
            settings = (*settings, f"epochs={epochs}")
        needs = tuple(networks[network].name for network in needed.networks(recipes.load(entry["recipe"])))
        name = label if seed == 1 else f"{label}-seed{seed}"
        found.append(Run(name, entry["recipe"], settings, tuple(entry.get("branches", ())), needs))
    return found


def _assigned(fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in fields.items())
