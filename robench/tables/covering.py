"""Which results cover which published cells. A cell that no result covers stays uncovered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

from robench.results.schema import Result, Value
from robench.tables.claims import claims, reasons_against
from robench.tables.derived import derive
from robench.tables.measured import Address, Coverage, Measured, Miss, times, value_of
from robench.tables.published import Meaning, PaperTable


def cover(
    table: PaperTable,
    results: Mapping[Path, Result],
    words: Mapping[str, str] | None = None,
    *,
    generated: bool = False,
) -> Coverage:
    """Return the measured value of each cell that results cover, and why the other results do not count.

    :func:`robench.tables.claims.reasons_against` says what counts. The runs of several seeds of one recipe give their
    mean and standard deviation. Means, differences and standard deviations that a table prints follow from its
    measured cells, see :mod:`robench.tables.derived`.

    Args:
        table: the published table.
        results: measured results by path.
        words: model name -> recipe, weights or model spec, for models whose card says nothing.
        generated: accept images that robench generated in place of published files; such values are marked.
    """
    found, words = Coverage(), words or {}
    for cell, meaning in _cells(table):
        printed = table.number(*cell)
        if printed is None:
            continue
        factor = 100.0 if table.unit in ("%", "points") else 1.0
        fits, misses = _fits(cell, meaning, results, words, generated)
        found.misses.extend(misses)
        counting = set(fits)
        if meaning.minus is not None:
            base = replace(meaning, recipe=meaning.minus, minus=None, branch="main")
            others, misses = _fits(cell, base, results, words, generated)
            found.misses.extend(misses)
            counting |= set(others)
            if fits and others:
                found.filled[cell] = _difference(fits, others, printed, factor)
            else:
                lacking = meaning.minus if fits else meaning.recipe
                reason = f"the cell is a difference, and no result counts for {lacking}"
                found.misses.extend(Miss(path, cell, (reason,)) for path in sorted(counting))
        elif fits:
            found.filled[cell] = _combined(list(fits.values()), printed, factor)
        if cell in found.filled:
            for path in sorted(counting):
                found.used[path] = found.used.get(path, 0) + 1
    derive(table, found.filled)
    near = {miss.path for miss in found.misses}
    for path, result in results.items():
        if path not in found.used and path not in near:
            found.strangers[path] = _why_strange(table, result, words.get(result.model.name))
    return found


def _cells(table: PaperTable) -> Iterator[tuple[Address, Meaning]]:
    for i in range(len(table.rows)):
        for column in table.columns:
            yield (i, column), table.meaning(i, column)


Fits = dict[Path, tuple[Result, Value]]


def _fits(
    cell: Address, meaning: Meaning, results: Mapping[Path, Result], words: Mapping[str, str], generated: bool
) -> tuple[Fits, list[Miss]]:
    """Return the results that count for a cell, one per trained model and seed, and the near misses."""
    fits: Fits = {}
    misses: list[Miss] = []
    for path, result in sorted(results.items(), key=lambda one: (_remade(one[1]), not one[1].suite.complete, one[0])):
        word = words.get(result.model.name)
        if not claims(result, meaning, word):
            continue
        against = reasons_against(result, meaning, word, generated=generated)
        value = value_of(result, meaning)
        if value is None:
            against.append(_why_missing(result, meaning))
        elif not against:
            against = [*_again(path, result, fits, seeds=meaning.recipe is not None)]
        if against or value is None:
            misses.append(Miss(path, cell, tuple(against)))
        else:
            fits[path] = (result, value)
    return fits, misses


def _remade(result: Result) -> bool:
    return result.suite.source == "generated"


def _again(path: Path, result: Result, fits: Fits, *, seeds: bool) -> Iterator[str]:
    """Yield why a result adds nothing to those that count already."""
    seed = (result.model.card.get("trained_with") or {}).get("seed")
    if any(_remade(known) != _remade(result) for known, _ in fits.values()):
        yield f"its images were generated; {next(iter(fits))}, which counts, is of the published files"
        return
    for other, (known, _) in fits.items():
        if known.model.hash == result.model.hash:
            yield f"it is the same model as {other}, which counts"
        elif not seeds:
            yield f"it is a second copy of the weights in {other}, which counts"
        elif seed is not None and (known.model.card.get("trained_with") or {}).get("seed") == seed:
            yield f"its seed {seed} is that of {other}, which counts"
        else:
            continue
        return


def _why_missing(result: Result, meaning: Meaning) -> str:
    """Return why a result has no value for a cell."""
    name, _, condition = str(meaning.metric).removeprefix("1-").partition("@")
    if condition and condition not in result.conditions:
        return f"{condition} was not measured"
    value = (result.conditions[condition] if condition else result.summary).get(name)
    if value is not None:
        return f"its {name} is not defined: {value.note}" if value.note else f"its {name} is not defined"
    if name.endswith("top5_error"):
        return "it has no top-5 error: `robench metrics` with the metrics error and top5_error computes it"
    return f"it has no {name}"


def _why_strange(table: PaperTable, result: Result, word: str | None) -> str:
    """Return why a result is of no cell of the table at all."""
    meanings = [meaning for _, meaning in _cells(table)]
    if result.suite.name not in {meaning.suite for meaning in meanings}:
        return f"{table.address} has no cell of {result.suite.name}"
    card = result.model.card
    said = word or card.get("recipe") or card.get("spec")
    if said is None:
        return "its card names no recipe and no public weights; `recipe='MODEL=RECIPE'` says what it is"
    return f"{table.address} has no cell of {said} on {result.suite.name}"


def _values(fits: Iterable[tuple[Result, Value]], factor: float) -> list[float]:
    return [factor * float(value.value or 0.0) for _, value in fits]


def _combined(fits: list[tuple[Result, Value]], printed: float, factor: float) -> Measured:
    values = _values(fits, factor)
    results = tuple(result for result, _ in fits)
    if len(values) > 1:
        mean = fmean(values)
        return Measured(mean, None, None, mean - printed, results, sd=stdev(values))
    value = fits[0][1]
    low, high = times(value.low, factor), times(value.high, factor)
    return Measured(values[0], low, high, values[0] - printed, results)


def _difference(fits: Fits, others: Fits, printed: float, factor: float) -> Measured:
    value = fmean(_values(fits.values(), factor)) - fmean(_values(others.values(), factor))
    results = tuple(result for result, _ in (*fits.values(), *others.values()))
    return Measured(value, None, None, value - printed, results, derived=True)
