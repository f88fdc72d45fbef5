"""Names of a board's rows: those of the models, and what tells rows of one model apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from robench.results.labels import answer_words
from robench.results.schema import Result


def facts_of(result: Result) -> dict[str, str]:
    """Return what may tell a result from others of a model of its name: its answers, seed and precision, in words."""
    card = result.model.card
    seed = (card.get("trained_with") or {}).get("seed")
    found = {"answers": answer_words(card), "seed": None if seed is None else f"seed {seed}"}
    return {key: text for key, text in (found | {"precision": result.run.precision}).items() if text}


def told_apart(names: Sequence[str], facts: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the rows' names, each with the facts that differ among rows of that name, else with a number.

    A branch, or a mean over views, is always named: it gives other predictions than the model does by itself.

    >>> told_apart(["net", "net", "net", "other"], [{"seed": "seed 1"}, {"seed": "seed 2"}, {"answers": "bn=mean"}, {}])
    ['net (seed 1)', 'net (seed 2)', 'net (bn=mean)', 'other']
    >>> told_apart(["net", "net"], [{}, {}])
    ['net', 'net #2']
    """
    found = []
    for name, own in zip(names, facts, strict=True):
        others = [other for other, of in zip(facts, names, strict=True) if of == name]
        said = [text for key, text in own.items() if key == "answers" or len({one.get(key) for one in others}) > 1]
        found.append(f"{name} ({', '.join(said)})" if said else name)
    seen: Counter[str] = Counter()
    for i, name in enumerate(found):
        seen[name] += 1
        if seen[name] > 1:
            found[i] = f"{name} #{seen[name]}"
    return found
