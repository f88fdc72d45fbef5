"""Words of tables and plots: values with their intervals, names of conditions and models, Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from robench.catalogue import row
from robench.errors import RobenchError
from robench.results.protocols import of_images
from robench.results.schema import Result, Value

ABSENT = "–"


def words(name: str) -> str:
    """Return a condition's name in words.

    >>> words("gaussian_noise"), words("jpeg_compression")
    ('Gaussian noise', 'JPEG compression')
    """
    text = name.replace("_", " ")
    return {"jpeg compression": "JPEG compression"}.get(text, sentence(text))


def protocol_words(result: Result) -> str:
    """Return what results must agree in to share a table, plot or report.

    ``cifar10-p (version 1, published images of cifar10, difficulty 2)``: CIFAR-10 kept as JPEG files has other images.
    """
    suite = result.suite
    difficulty = suite.protocol.get("difficulty", 1)
    facts = [f"version {suite.version}", f"{suite.source} images of {suite.dataset}"]
    facts += [f"difficulty {difficulty}"] if difficulty != 1 else []
    return f"{suite.name} ({', '.join(facts)})"


def image_words(result: Result) -> str:
    """Return where a result's images come from: ``generated images``, and of what copy as JPEG files if they are."""
    suite = result.suite
    return f"{suite.source} images" + (f" of {suite.dataset}" if suite.dataset.endswith("-jpeg") else "")


def minus(text: str) -> str:
    """Return a text with the minus sign before its negative numbers, as pages set them.

    Terminals and files keep the hyphen, which other programs read.

    >>> minus("-1.42 to 6.00 on cifar10-c (-0.5)")
    '−1.42 to 6.00 on cifar10-c (−0.5)'
    """
    return _NEGATIVE.sub("−", text)


_NEGATIVE = re.compile(r"(?<![\w.+)-])-(?=\d)")


def sentence(text: str) -> str:
    """Return the text with a capital at its beginning, the rest as it is; abbreviations such as mCE stay.

    >>> sentence("error of each model"), sentence("mCE of each model")
    ('Error of each model', 'mCE of each model')
    """
    return text if text[1:2].isupper() else f"{text[:1].upper()}{text[1:]}"


def show(value: Value | None, name: str, *, interval: bool = False) -> str:
    """Return a value as tables show it, with its 95 % interval where asked; a dash where there is none.

    Args:
        value: the stored value.
        name: of the metric or summary value, which says unit and decimals.
        interval: append the interval, where there is one.

    >>> show(Value(value=0.1234, low=0.118, high=0.1291), "error", interval=True), show(None, "error")
    ('12.34 (11.80 to 12.91)', '–')
    """
    if value is None or value.value is None:
        return ABSENT
    text = row(name).show(value.value)
    ends = interval_text(value, name) if interval else ""
    return f"{text} ({ends})" if ends else text


def interval_text(value: Value, name: str, *, sign: bool = False) -> str:
    """Return both ends of an interval, ``11.80 to 12.91``; "" where there is none.

    The value of a sampled run has two: for what the full run would give, and for new images of the same kind.

    >>> interval_text(Value(value=0.1234, low=0.118, high=0.1291, full_run_low=0.12, full_run_high=0.127), "error")
    'full run 12.00 to 12.70; new images 11.80 to 12.91'
    """
    if value.low is None or value.high is None:
        return ""
    about = row(name)
    new = f"{about.show(value.low, sign=sign)} to {about.show(value.high, sign=sign)}"
    if value.full_run_low is None or value.full_run_high is None:
        return new
    full = f"{about.show(value.full_run_low, sign=sign)} to {about.show(value.full_run_high, sign=sign)}"
    return f"full run {full}; new images {new}"


def interval_method(result: Result) -> str:
    """Return how a result's intervals were computed, in words; those of a sample come from its standard errors."""
    if result.suite.sampled is None:
        return result.statistics.method
    return "standard errors of the sample's images (Wilson's interval of shares)"


def sampled_whole(result: Result) -> bool:
    """Return whether a result is a sample of the whole suite: it lacks images of cells, and no cell."""
    from robench.results.protocols import protocol_of

    needed = protocol_of(result).needed(result.suite.source)
    there = {cell.name: cell.of or cell.images for cell in result.cells}
    return result.suite.sampled is not None and result.status == "complete" and set(needed) <= set(there)


def part_words(result: Result) -> str:
    """Return what part of the suite a result is of, ``partial: 6 of 76 cells``; "" of the whole or a sample of it."""
    from robench.results.protocols import protocol_of

    if result.suite.complete or sampled_whole(result):
        return ""
    needed = protocol_of(result).needed(result.suite.source)
    there = sum(name in needed for name in (cell.name for cell in result.cells))
    return f"partial: {there} of {len(needed)} cells" if there < len(needed) else "partial: cells or images are missing"


def amount_words(result: Result) -> str:
    """Return how much of the suite was measured: a part of it, a sample; "" of all images of all cells."""
    sampled = result.suite.sampled
    return ", ".join(filter(None, (part_words(result), sampled.text if sampled is not None else "")))


def answer_words(card: Mapping[str, Any]) -> str:
    """Return how a model answers where it is not as it was trained: its branch, and what its answers are means of.

    >>> answer_words({"bn": "mean", "lambda": 0.3, "tta": "flip"}), answer_words({"bn": "mean", "lambda": 0.5})
    ('bn=mean, lambda=0.3, tta=flip', 'bn=mean')
    """
    said = [f"bn={card['bn']}"] if card.get("bn") else []
    said += [f"lambda={card['lambda']:g}"] if card.get("lambda", 0.5) != 0.5 else []
    said += [f"batch={card['adapted'].get('batch_size')}"] if card.get("adapted") else []
    said += [f"tta={card['tta']}"] if card.get("tta") else []
    return ", ".join(said)


def training_of(result: Result) -> object:
    """Return what results of one recipe have in common that differ in the training's seed alone; else the model's hash.

    A model that answers in another way, by another branch or as a mean over views, is not a further seed.
    """
    card = result.model.card
    trained = card.get("trained_with") or {}
    known = (card.get("recipe_digest"), card.get("dataset"), trained.get("images"), answer_words(card))
    return known if known[0] else result.model.hash


def recipe_words(results: Sequence[Result]) -> str:
    """Return the name of a recipe of which these results are seeds, and how its models answer."""
    card = results[0].model.card
    name = f"{card.get('recipe') or card.get('name') or results[0].model.name}"
    said = answer_words(card)
    return f"{name} ({said}), {len(results)} seeds" if said else f"{name}, {len(results)} seeds"


def refuse_unlike_seeds(results: Sequence[Result], names: Sequence[str]) -> None:
    """Refuse results of several seeds that have no mean.

    Raises:
        RobenchError: two are of one training, or some are of other cells or images than the others.
    """
    seeds = [(one.model.card.get("trained_with") or {}).get("seed", one.model.hash) for one in results]
    if len(set(seeds)) < len(results):
        raise RobenchError(
            f"Two of these results are of one training: {', '.join(names)}.", hint="Give one result per seed."
        )
    refuse_unlike_cells(results, names)


def refuse_unlike_cells(results: Sequence[Result], names: Sequence[str]) -> None:
    """Refuse results of one recipe that are of other cells or images than each other, so that they have no mean.

    Raises:
        RobenchError: they are.
    """
    if differing := unlike(results):
        raise RobenchError(
            f"{', '.join(names)} are seeds of one recipe, but their results differ in {', '.join(differing)}: they have"
            " no mean.",
            hint="Measure the same cells and images for every seed, or give the results that are alike.",
        )


def model_names(results: Sequence[Result]) -> list[str]:
    """Return a name for every result that tells it from the others.

    Equal names are followed by the first characters of the weights' hash, and, where that is equal too (the same
    model twice), by a number.
    """
    names = [result.model.name for result in results]
    counts = Counter(names)
    names = [
        f"{name} ({result.model.hash.removeprefix('sha256:')[:8]})" if counts[name] > 1 else name
        for name, result in zip(names, results, strict=True)
    ]
    counts, seen = Counter(names), Counter[str]()
    for i, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[i] = f"{name} {seen[name]}"
    return names


def unlike(results: Sequence[Result]) -> list[str]:
    """Return in what these results' cells and images differ, so that their means are not of the same; none: alike.

    What a protocol says of the model is not counted. Of whole suites some may have held-out corruptions or clean images
    too, which the means are not over.
    """
    cells = {
        None if r.suite.complete or sampled_whole(r) else frozenset(cell.name for cell in r.cells) for r in results
    }
    protocols = [of_images(result.suite.protocol) for result in results]
    names = sorted({name for protocol in protocols for name in protocol})
    values = {name: [p.get(name) for p in protocols if name in p or name != "clean"] for name in names}
    differing = [name for name, found in values.items() if any(one != found[0] for one in found)]
    return [*(["cells"] if len(cells) > 1 else []), *differing]


def markdown(text: str) -> str:
    r"""Return text for a line or a cell of Markdown: names come from strangers' files and must stay as they are.

    >>> print(markdown("best*[x] of wrn_40_2"))
    best\*\[x\] of wrn_40_2
    """
    text = re.sub(r"\s*[\r\n\v\f\x85\u2028\u2029]+\s*", " ", text)
    return re.sub(r"([\\`*\[\]<>|]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)


def shorten(name: str, width: int) -> str:
    """Cut the middle out of a name that is longer than ``width`` characters.

    >>> shorten("abcdefghij", 7)
    'abc…hij'
    """
    if len(name) <= width:
        return name
    head = width // 2
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
