"""``robench.api.table(address)``: a paper's table, as published or with measured results beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robench.api.options import Place
from robench.api.words import one_of, place, spelled_out
from robench.errors import RobenchError, did_you_mean


@spelled_out()
def table(
    address: str,
    *,
    results: Place | None = None,
    format: str = "terminal",
    recipe: Mapping[str, str] | Sequence[str] = (),
) -> str:
    """Return a published table as text.

    Args:
        address: paper and number, ``augmix/2``; ``robench.tables.published.addresses()`` has them all.
        results: folder with results (or one result): measured values beside the printed ones, only where a result has
            the same suite, metric and recipe.
        format: ``terminal``, ``markdown``, ``latex``, ``csv`` or ``html``.
        recipe: the recipe of models whose card names none: a mapping, or ``MODEL=RECIPE`` entries.

    Raises:
        RobenchError: no such table, format or recipe, or no result.

    >>> import robench
    >>> robench.api.table("augmix/2", format="csv").splitlines()[0].split(",")[:2]
    ['row', 'clean']
    """
    from robench.tables.measured import cover, find_results
    from robench.tables.paper_tables import FORMS, render
    from robench.tables.published import load_table

    loaded = load_table(address)
    one_of("format", format, tuple(FORMS))
    recipes = _recipes(recipe)
    if results is None:
        if recipes:
            raise RobenchError("`recipe` has no effect without `results`.", hint="Add `results`.")
        return render(loaded, None, format)
    known = {loaded.meaning(i, column).recipe for i in range(len(loaded.rows)) for column in loaded.columns} - {None}
    for name in recipes.values():
        if name.removesuffix("-paper") not in known:
            raise RobenchError(f"{address} has no recipe '{name}'.", hint=did_you_mean(name, map(str, known)))
    return render(loaded, cover(loaded, find_results(place("results", results)).values(), recipes), format)


def _recipes(given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    if isinstance(given, Mapping):
        return dict(given)
    parts = {pair: pair.rpartition("=") for pair in ([given] if isinstance(given, str) else given)}
    wrong = [pair for pair, (model, _, recipe) in parts.items() if not model or not recipe]
    if wrong:
        raise RobenchError(
            f"`recipe` takes MODEL=RECIPE; found '{wrong[0]}'.",
            hint="For example `recipe='timm:resnet50=standard-imagenet-resnet50'`.",
        )
    return {model: recipe for model, _, recipe in parts.values()}
