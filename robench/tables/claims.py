"""Whether a result is a published cell's: by what its model and its protocol are, never by what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from robench.results.schema import ModelRecord, Result
from robench.suites.copies import copy_of
from robench.tables import identities
from robench.tables.published import Meaning


def claims(result: Result, meaning: Meaning, word: str | None) -> bool:
    """Whether a result is close enough to a cell that a reader may expect it there.

    Args:
        result: measured.
        meaning: the cell's.
        word: the recipe, weights or spec that the user says the model is; None: the card decides.
    """
    if not meaning.filled_by_results or result.suite.name != meaning.suite:
        return False
    return word in accepted_words(meaning) if word is not None else claims_model(result.model.card, meaning)


def claims_model(card: Mapping[str, Any], meaning: Meaning) -> bool:
    """Whether a model's card says that it is a cell's, by name or by content."""
    if meaning.recipe is not None:
        named = identities.same_but_form(str(card.get("recipe") or ""))
        return named == identities.same_but_form(meaning.recipe) or card.get("recipe_digest") == _digest(meaning)
    spec = identities.weights()[str(meaning.weights)].spec
    return spec is not None and _network(str(card.get("spec") or "")) == _network(spec)


def accepted_words(meaning: Meaning) -> set[str]:
    """Return what a user may call the model of a cell: its recipe, its weights or their spec."""
    words = {meaning.recipe, meaning.weights}
    if meaning.weights is not None:
        words.add(identities.weights()[meaning.weights].spec)
    return {word for word in words if word is not None}


def reasons_against(result: Result, meaning: Meaning, word: str | None, *, generated: bool = False) -> list[str]:
    """Return why a result that claims a cell does not count for it; an empty list: it counts.

    Args:
        result: measured, of the cell's suite.
        meaning: the cell's.
        word: as in :func:`claims`.
        generated: accept images that robench generated in place of published files.
    """
    return [*reasons_against_model(result.model, meaning, word), *_against_protocol(result, meaning, generated)]


def reasons_against_model(model: ModelRecord, meaning: Meaning, word: str | None = None) -> list[str]:
    """Return why a model is not a cell's; an empty list: it is."""
    of_model = _against_recipe(model, meaning, word) if meaning.recipe else _against_weights(model, meaning, word)
    return [*of_model, *_against_branch(model, meaning)]


def _digest(meaning: Meaning) -> str | None:
    known = identities.recipes().get(str(meaning.recipe))
    return None if known is None else known.digest


def _network(spec: str) -> str:
    return spec.partition(".")[0]


def _against_recipe(model: ModelRecord, meaning: Meaning, word: str | None) -> Iterator[str]:
    card, wanted = model.card, identities.recipes()[str(meaning.recipe)]
    found = card.get("recipe_digest")
    if found is None:
        if word is None:
            yield "its card has no digest of its recipe: an earlier robench trained it"
        return
    if found != wanted.digest:
        named = str(card.get("recipe"))
        if named != wanted.name and identities.same_but_form(named) == identities.same_but_form(wanted.name):
            yield f"its recipe is {named}; the printed number is that of {wanted.name}"
        else:
            command = f" ({card['command']})" if card.get("command") else ""
            yield f"its recipe is not {wanted.name}: digest {str(found)[:8]}, expected {wanted.digest[:8]}{command}"
    if card.get("dataset") != wanted.dataset:
        yield f"it was trained on {card.get('dataset')}; expected {wanted.dataset}"
    trained = card.get("trained_with") or {}
    if wanted.images and trained.get("images") not in (None, wanted.images):
        yield f"it was trained on {trained['images']:,} images; expected {wanted.images:,}"
    if trained.get("stored") == "JPEG" and wanted.dataset.startswith("cifar"):
        yield f"it was trained on JPEG images; the published {wanted.dataset} is lossless"
    if str(model.preprocessing.get("origin", "")).startswith("option"):
        yield "options replaced its preprocessing"


def _against_weights(model: ModelRecord, meaning: Meaning, word: str | None) -> Iterator[str]:
    spec = identities.weights()[str(meaning.weights)].spec
    found = model.card.get("spec")
    if word is not None and (found is None or spec is None or _network(str(found)) != _network(spec)):
        return  # a file: the user's word
    if found != spec:
        yield f"its weights are {found}; expected {spec}"
    if str(model.preprocessing.get("origin", "")).startswith("option"):
        yield "options replaced its preprocessing"


def branch_of(card: Mapping[str, Any]) -> str:
    """Return the branch that predicts: ``main``, ``auxiliary``, ``mean``, or the mean with another lambda than 0.5."""
    branch, share = str(card.get("bn") or "main"), card.get("lambda", 0.5)
    return f"{branch}, lambda {share:g}" if branch == "mean" and share != 0.5 else branch


def _against_branch(model: ModelRecord, meaning: Meaning) -> Iterator[str]:
    card = model.card
    branch = branch_of(card)
    if branch.startswith(f"{meaning.branch}, "):
        yield f"its lambda is {card['lambda']:g}; expected 0.5"
    elif branch != meaning.branch:
        yield f"its {branch} normalisation predicts; expected the {meaning.branch} one"
    if "ensemble" in card:
        yield "it is an ensemble"
    if "tta" in card:
        yield "it averages over views of an image"


def _against_protocol(result: Result, meaning: Meaning, generated: bool) -> Iterator[str]:
    from robench.suites import get

    suite, known = result.suite, get(result.suite.name)
    version = identities.suite_versions().get(suite.name)
    if suite.version != version:
        yield f"its suite is version {suite.version}; expected {version}"
    wanted = identities.recipes().get(str(meaning.recipe))
    if suite.name == "clean" and wanted is not None and suite.dataset != wanted.dataset:
        yield f"its images are those of {suite.dataset}; expected the test set of {wanted.dataset}"
    if suite.dataset == copy_of(known.dataset):
        yield f"its images are those of {suite.dataset}; the printed number is of {known.dataset}"
    if suite.source == "generated" and "published" in known.sources and not generated:
        yield "its images were generated; the printed number is of the published files"
    if suite.protocol.get("list") is not None:
        yield f"its images are the list '{suite.protocol['list']}'; the printed number is of all images"
    if suite.protocol.get("difficulty", 1) != 1:
        yield f"its sequences have difficulty {suite.protocol['difficulty']}; expected 1"
    if "definition" in suite.protocol and suite.protocol["definition"] != _definition(suite.name):
        yield "its sets are not the suite's own"
    if not suite.complete and not whole_by_sample(result):
        limit = suite.protocol.get("limit")
        what = f"{limit} images per cell" if limit is not None else f"{len(result.cells)} cells, some of them not whole"
        yield f"it is a partial run: {what}"
    if result.failures:
        yield f"{len(result.failures)} of its cells failed"


def whole_by_sample(result: Result) -> bool:
    """Whether a sample of every cell of the whole suite was measured, with an interval for the full run."""
    from robench.suites import get

    if result.suite.sampled is None or result.status != "complete":
        return False
    suite = get(result.suite.name)
    wanted = [cell for cell in suite.cells if cell.condition not in suite.held_out]
    sizes = [suite.published_images(cell.condition) for cell in wanted]
    if {cell.name for cell in wanted} - {cell.name for cell in result.cells} - {suite.clean}:
        return False
    measured = {cell.name for cell in result.cells}
    every = sum((size or 0) * suite.frame_count(cell.condition) for cell, size in zip(wanted, sizes, strict=True)
                if cell.name in measured)  # fmt: skip
    return None not in sizes and result.suite.sampled.of >= every


def _definition(name: str) -> str:
    from robench.files import digest
    from robench.suites.splits import load_definition

    return digest(load_definition(name).model_dump())
