"""The columns of a table of the user's models, and a result's value in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robench.catalogue import Row as About
from robench.catalogue import headlines, means_of, row
from robench.errors import RobenchError, did_you_mean
from robench.metrics.cells import mean_over_cells
from robench.results.labels import sentence, words
from robench.results.protocols import grouped, protocol_of
from robench.results.schema import Result, Value

BY = ("corruption", "severity", "group")
NORMALISED = {"ce": ("error", "mce"), "flip_rate": ("flip_probability", "mfr")}
"""Values of conditions that are normalised by the suite's baseline: what they are made of, and their mean's name."""
_MAIN = 6


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        head: as printed.
        name: the metric or summary value that says unit and decimals.
        key: the summary value, severity or condition; of a group, its conditions, separated by commas.
        of: what the column is of: ``summary``, ``corruption``, ``severity`` or ``group``.
        group: the group that the column's condition belongs to; "": none.
    """

    head: str
    name: str
    key: str
    of: str = "summary"
    group: str = ""

    @property
    def about(self) -> About:
        """The row of the catalogue; a normalised value is shown as its mean is."""
        return row(NORMALISED[self.name][1] if self.name in NORMALISED else self.name)


def columns_of(results: Sequence[Result], figures: Sequence[str], by: str | None) -> tuple[Column, ...]:
    """Return the columns of a table; see :func:`robench.tables.own.own_table`.

    Raises:
        RobenchError: values that the results do not have.
    """
    if by is not None:
        metric = _metric(results, figures, by)
        return (*_COLUMNS[by](results, metric), *_mean(results, metric))
    present = headlines((name for result in results for name in result.summary), main=not figures)
    known = {name for result in results for name in result.summary}
    for name in figures:
        if name not in known:
            raise RobenchError(f"The results have no value '{name}'.", hint=did_you_mean(name, sorted(known)))
    chosen = list(figures) if figures else [name for name in present if _shown(results, name)][:_MAIN]
    return tuple(Column(sentence(row(name).head), name, name) for name in chosen)


def _shown(results: Sequence[Result], name: str) -> bool:
    return any((value := result.summary.get(name)) is not None and value.value is not None for result in results)


def _metric(results: Sequence[Result], figures: Sequence[str], by: str) -> str:
    """Return the one metric of a table with a column per condition or severity."""
    if len(figures) > 1:
        raise RobenchError(f"A table by {by} shows one metric; found {', '.join(figures)}.", hint="Give one of them.")
    known = sorted({name for r in results for values in r.conditions.values() for name in values})
    normalised = [name for name, (of, _) in NORMALISED.items() if of in known and _is_normalised(results[0], name)]
    metric = figures[0] if figures else ("error" if "error" in known else known[0])
    if metric in normalised and by != "corruption":
        raise RobenchError(f"`{metric}` is defined for single corruptions only.", hint='Use `by="corruption"`.')
    if metric not in (*known, *normalised):
        raise RobenchError(
            f"The results have no metric '{metric}'.", hint=did_you_mean(metric, sorted([*known, *normalised]))
        )
    return metric


def _is_normalised(result: Result, name: str) -> bool:
    return result.suite.normaliser is not None and NORMALISED[name][1] in result.summary


def _of_severities(results: Sequence[Result], metric: str) -> list[Column]:
    keys = sorted({key for r in results for key in r.severities}, key=int)
    if not keys:
        raise RobenchError("These results have no severities.", hint='Use `by="corruption"`.')
    return [Column("Clean" if key == "0" else f"Severity {key}", metric, key, "severity") for key in keys]


def _of_corruptions(results: Sequence[Result], metric: str) -> list[Column]:
    present = list(dict.fromkeys(name for r in results for name in r.conditions))
    if metric in NORMALISED:  # clean images have no baseline of their own
        clean = [Column("Clean error", "clean_error", "clean_error")] if _shown(results, "clean_error") else []
        protocol = protocol_of(results[0])
        return clean + [
            Column(words(name), metric, name, "corruption", sentence(title))
            for title, members in grouped(protocol, [name for name in present if name in protocol.benchmark])
            for name in members
        ]
    return [
        Column(words(name), metric, name, "corruption", sentence(title))
        for title, members in _groups(results, present)
        for name in members
    ]


def _of_groups(results: Sequence[Result], metric: str) -> list[Column]:
    present = list(dict.fromkeys(name for r in results for name in r.conditions))
    found = []
    for title, members in _groups(results, present):
        head, whole = sentence(title) or "Clean", f"mean_error_{title}"
        if metric == "error" and title and _shown(results, whole):  # the summary's mean, which has an interval
            found.append(Column(head, whole, whole, "summary"))
        else:
            found.append(Column(head, metric, ",".join(members), "group"))
    return found


def _groups(results: Sequence[Result], present: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    return sorted(grouped(protocol_of(results[0]), present), key=lambda one: one[0] != "")  # clean images first


_COLUMNS: dict[str, Callable[[Sequence[Result], str], list[Column]]] = {
    "corruption": _of_corruptions,
    "severity": _of_severities,
    "group": _of_groups,
}


def _mean(results: Sequence[Result], metric: str) -> list[Column]:
    """Return the last column: the mean over the suite's benchmark conditions, as its summary has it."""
    names = [NORMALISED[metric][1]] if metric in NORMALISED else [n for n in means_of(metric) if n != metric]
    found = next((name for name in names if _shown(results, name)), None)
    if found is None:
        return []
    short = row(found).short
    return [Column("Mean" if short.startswith("mean ") or not short else short, found, found)]


def value_in(result: Result, column: Column) -> Value | None:
    """Return a result's value in a column; None where it has none."""
    if column.of == "summary":
        return result.summary.get(column.key)
    if column.of == "severity":
        return result.severities.get(column.key, {}).get(column.name)
    members = column.key.split(",")
    metric = NORMALISED.get(column.name, (column.name, ""))[0]
    found = [result.conditions.get(member, {}).get(metric) for member in members]
    if len(found) == 1:
        return found[0] if column.name == metric else _normalised(found[0], result, column)
    numbers = [one.value for one in found if one is not None and one.value is not None]
    # The mean of a group has no interval of its own in a result: its members' errors are not independent.
    return Value(value=float(mean_over_cells(metric, numbers))) if len(numbers) == len(members) else None


def _normalised(value: Value | None, result: Result, column: Column) -> Value | None:
    """Return a condition's value as a multiple of the baseline's, with its interval."""
    from robench.metrics.corruption import baseline_errors
    from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY

    if value is None or value.value is None:
        return value
    named = baseline_errors(str(result.suite.normaliser)).mean if column.name == "ce" else ALEXNET_FLIP_PROBABILITY
    baseline = named[column.key]
    ends = {name: getattr(value, name) for name in ("low", "high", "full_run_low", "full_run_high")}
    scaled = {name: None if end is None else end / baseline for name, end in ends.items()}
    return Value(value=value.value / baseline, **scaled)
