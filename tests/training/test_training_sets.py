"""Sets of models under one budget: every run shares network, data and schedule, and says what it costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from robench.errors import RobenchError
from robench.models import networks, reference
from robench.models.cards import read_card
from robench.training import methods, recipes, sets
from robench.training.engine import needed
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.recipes.digest import digest


@pytest.mark.parametrize("architecture", ["resnet-20", "wrn-40-2"])
def test_every_run_shares_the_budget(architecture: str) -> None:
    found = sets.load("cifar10", (f"architecture={architecture}", "data.dataset=cifar10-jpeg", "precision=bf16"))
    runs = [run for run in found.runs if run.measured]
    loaded = {run.name: run.load() for run in runs}
    budgets = {
        (r.architecture, r.batch_size, r.data.dataset, r.data.mean, r.data.pad, r.optimiser.model_dump_json(),
         r.precision)
        for r in loaded.values()
    }  # fmt: skip
    assert len(budgets) == 1
    assert {recipe.epochs for name, recipe in loaded.items() if "longer" not in name} == {12}
    with torch.device("meta"):
        for recipe in loaded.values():
            networks.build(recipe.architecture, recipe.num_classes, norm=recipe.norm)
            methods.of(recipe)


def test_networks_come_first_and_further_seeds_last() -> None:
    found = sets.load("cifar10")
    names = [run.name for run in found.runs]
    assert names[:3] == ["edsr", "cae", "standard"]
    assert names[-2:] == ["augmix-seed3", "augmax-dubin-seed3"]
    assert len(set(names)) == len(names)
    for run in found.runs:
        assert set(run.needs) == {
            {"edsr-cifar10": "edsr", "cae-cifar10": "cae"}[n] for n in needed.networks(run.load())
        }
        assert run.measured == bool(run.load().num_classes)
        if run.branches:
            assert run.load().norm == "splitbn"
    few = sets.load("cifar10", only=("deepaugment", "cutout"))
    assert [run.name for run in few.runs] == ["edsr", "cae", "cutout", "deepaugment"]
    assert [run.load().data.limit for run in sets.load("cifar10", ("data.limit=9",), ("deepaugment",)).runs] == [
        9,
        9,
        9,
    ]
    often = sets.load("cifar10", ("checkpoint_steps=50", "epochs=2"), ("deepaugment",)).runs
    assert [(run.load().checkpoint_steps, run.load().epochs) for run in often] == [(50, 10), (50, 10), (50, 2)]
    one = sets.load("cifar10", only=("augmix", "standard-seed2"))
    assert [run.name for run in one.runs] == ["augmix", "standard-seed2", "augmix-seed2", "augmix-seed3"]
    with pytest.raises(RobenchError, match="no run 'augmixx'"):
        sets.load("cifar10", only=("augmixx",))
    with pytest.raises(RobenchError, match="No training set 'cifar'"):
        sets.load("cifar")


def test_seeds_differ_in_their_seed_only() -> None:
    runs = {run.name: run.load() for run in sets.load("cifar10").runs}
    assert runs["augmix"].seed == 1
    assert runs["augmix-seed3"] == runs["augmix"].model_copy(update={"seed": 3})
    assert digest(runs["augmix-seed3"]) == digest(runs["augmix"])


def test_longer_rows_cost_what_augmax_took() -> None:
    took = read_card(reference.folder("cifar10-jpeg/augmax-dubin"))["trained_with"]["passes"]
    for settings in ((), ("epochs=24",)):
        passes = {run.name: run.passes for run in sets.load("cifar10", settings).runs}
        assert passes["augmax-dubin"] == 13 * passes["standard"] > took * passes["standard"]
        assert passes["standard-longer"] / passes["standard"] == pytest.approx(took, rel=0.01)
        assert passes["augmix-longer"] / passes["standard"] == pytest.approx(took, rel=0.02)


def test_passes_are_counted_as_they_are_made(batch: object, make_network: object) -> None:
    """The number of forward passes that each method makes, counted at the network."""
    expected = {
        "standard": 1, "augmix": 3, "augmix-2view": 2, "augmix-nojsd": 1, "adversarial": 5, "augmax": 8,
        "weak-augment": 2, "ccat": 3, "autolabel-adversarial": 5, "augmix-pgd": 7, "advmix": 3 + 5 / 3,
        "advmax": 3 + 1 + 6,
    }  # fmt: skip
    for short, passes in expected.items():
        recipe = recipes.load(f"{short}-digits")
        _, method = methods.of(recipe)
        assert method.passes == pytest.approx(passes), short
        if short in ("advmix", "advmax", "augmax"):
            continue  # early stops, and forward passes that count as a third
        net = make_network(recipe.norm)  # type: ignore[operator]
        seen: list[int] = []
        net.module.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(len(inputs[0])))
        method.loss(net, batch)  # type: ignore[arg-type]
        assert sum(seen) / len(batch.labels) == pytest.approx(passes), short  # type: ignore[attr-defined]


def test_passes_of_every_method_are_those_that_the_network_makes(
    batch: Batch, make_network: Callable[..., Network]
) -> None:
    """Forward passes, a third each, and backward passes, two thirds, of every method that classifies."""
    never_stopping = {"augmax": {"early_stop": "none"}}
    for name in methods.METHODS:
        if name in ("deepaugment", "edsr", "cae"):  # need networks, or train none that classifies
            continue
        method = methods.create(name, never_stopping.get(name, {}))
        net = make_network(method.norms[0])
        made = [0.0]

        def note(_: object, inputs: tuple[torch.Tensor], outputs: torch.Tensor, made: list[float] = made) -> None:
            made[0] += len(inputs[0]) / 3

            def back(_: torch.Tensor) -> None:
                made[0] += len(inputs[0]) * 2 / 3

            if outputs.requires_grad:
                outputs.register_hook(back)

        net.module.register_forward_hook(note)
        method.loss(net, batch).loss.backward()
        assert made[0] / len(batch.labels) == pytest.approx(method.passes), name
