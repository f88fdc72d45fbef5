"""Over every cell of every table: the model that fills it does, and what is nearly it fills nothing and is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
from measured_results import by_path, public, trained

from robench.results.schema import Result, Value
from robench.tables import identities
from robench.tables.covering import cover
from robench.tables.measured import Address
from robench.tables.published import Meaning, PaperTable, addresses, load_table
from robench.tables.why import lines
from robench.training import recipes
from robench.training.recipes.digest import digest

VALUE = Value(value=0.25, low=0.24, high=0.26)
Change = Callable[[Result], None]


def _models(table: PaperTable) -> dict[tuple[str | None, str | None, str, str], list[tuple[Address, Meaning]]]:
    """Return the cells that results fill by their model and suite: (recipe, weights, branch, suite)."""
    found: dict[tuple[str | None, str | None, str, str], list[tuple[Address, Meaning]]] = {}
    for i in range(len(table.rows)):
        for column in table.columns:
            meaning = table.meaning(i, column)
            if meaning.filled_by_results and table.number(i, column) is not None:
                key = (meaning.recipe, meaning.weights, meaning.branch, str(meaning.suite))
                found.setdefault(key, []).append(((i, column), meaning))
    return found


def _result(key: tuple[str | None, str | None, str, str], cells: list[tuple[Address, Meaning]]) -> Result | None:
    """Return a whole result of a cell's model with every value that its cells ask for; None of a file of weights."""
    recipe, weights, branch, suite = key
    if recipe is None:
        spec = identities.weights()[str(weights)].spec
        if spec is None:
            return None
        result = public(spec, suite)
    else:
        result = trained(recipe, suite)
        result.suite.dataset = identities.recipes()[recipe].dataset
    result.model.card |= {} if branch == "main" else {"bn": branch}
    for _, meaning in cells:
        name, _, condition = str(meaning.metric).removeprefix("1-").partition("@")
        name = {"ce": "error", "flip_rate": "flip_probability"}.get(name, name)
        (result.conditions.setdefault(condition, {}) if condition else result.summary)[name] = VALUE
    return result


@cache
def _digest(recipe: str, settings: tuple[str, ...]) -> str:
    return digest(recipes.load(recipe, list(settings)))


def _set(*settings: str) -> Change:
    def change(result: Result) -> None:
        recipe = result.model.card["recipe"]
        found = _digest(recipe, settings)
        assert found != result.model.card["recipe_digest"]
        result.model.card |= {"recipe_digest": found, "command": f"robench train --recipe {recipe} --set {settings[0]}"}

    return change


def _branch(result: Result) -> None:
    result.model.card["bn"] = "auxiliary" if result.model.card.get("bn") == "mean" else "mean"


def _dataset(result: Result) -> None:
    result.model.card["dataset"] = "digits"


def _partial(result: Result) -> None:
    result.suite.complete = False


def _weights(result: Result) -> None:
    result.model.card["spec"] = result.model.card["spec"].partition(".")[0] + ".another"


def _version(result: Result) -> None:
    result.suite.version += 1


OF_RECIPES: dict[str, tuple[Change, str]] = {
    "an ablation": (_set("optimiser.weight_decay=0.000123"), "its recipe is not"),
    "a shortened recipe": (_set("epochs=1"), "its recipe is not"),
    "another data set": (_dataset, "trained on digits"),
}
OF_ALL: dict[str, tuple[Change, str]] = {
    "another branch": (_branch, "normalisation predicts"),
    "a partial suite": (_partial, "partial run"),
    "another version": (_version, "version"),
}


def _near(result: Result, recipe: str | None) -> Iterator[tuple[str, Result, str]]:
    kinds = OF_ALL | (OF_RECIPES if recipe else {"other weights": (_weights, "its weights are")})
    for kind, (change, said) in kinds.items():
        changed = deepcopy(result)
        changed.model.hash = kind
        change(changed)
        yield kind, changed, said


TABLES = [address for address in addresses() if _models(load_table(address))]


@pytest.mark.parametrize("address", TABLES)
def test_a_model_fills_its_cells_and_what_is_nearly_it_none(address: str) -> None:
    table = load_table(address)
    for key, cells in _models(table).items():
        result = _result(key, cells)
        if result is None:
            continue
        plain = {cell for cell, meaning in cells if meaning.minus is None}
        filled = cover(table, by_path(result)).filled
        assert plain <= set(filled), (address, key)
        near = {Path(kind): (changed, said) for kind, changed, said in _near(result, key[0])}
        coverage = cover(table, {path: changed for path, (changed, _) in near.items()})
        # A branch may have cells of its own, never those of the other.
        assert not plain & set(coverage.filled), (address, key)
        listed = lines(table, coverage, every=True)
        for path, (_, said) in near.items():
            assert any(line.startswith(f"{path}: ") and said in line for line in listed), (address, key, path, listed)
            wanted = {cell for cell, _ in cells} - set(coverage.filled)
            assert {miss.cell for miss in coverage.misses if miss.path == path} >= wanted, (address, key, path)


def test_a_difference_needs_both_of_its_models() -> None:
    table = load_table("split-bn/1")
    weak, base = trained("weak-flip-cifar10-wrn28-2", "cifar10-c"), trained("randaugment-cifar10-wrn28-2", "cifar10-c")
    assert (1, "delta") not in cover(table, by_path(weak)).filled
    assert (1, "delta") in cover(table, by_path(weak, base)).filled
    _set("epochs=1")(base)
    coverage = cover(table, by_path(weak, base))
    assert (1, "delta") not in coverage.filled
    assert any("its recipe is not randaugment" in reason for miss in coverage.misses for reason in miss.reasons)


def test_both_models_of_a_difference_are_said_to_fill_it_and_one_alone_to_lack_the_other() -> None:
    table = load_table("split-bn/1")
    weak, base = trained("weak-flip-cifar10-wrn28-2", "cifar10-c"), trained("randaugment-cifar10-wrn28-2", "cifar10-c")
    both = cover(table, by_path(weak, base))
    assert both.strangers == {}
    assert lines(table, both, every=False) == ["Found 2 results: 2 fill 1 cell."]
    for one, lacking in ((weak, "randaugment-cifar10-wrn28-2"), (base, "weak-flip-cifar10-wrn28-2")):
        alone = cover(table, by_path(one))
        assert alone.strangers == {}
        said = lines(table, alone, every=True)
        assert any(line.endswith(f"a difference, and no result counts for {lacking}.") for line in said), said
