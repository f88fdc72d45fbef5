"""What a comparison says in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from robench.catalogue import headlines, row
from robench.results.judging import Difference
from robench.results.labels import sentence

if TYPE_CHECKING:
    from robench.results.comparing import CellComparison


def sentences(
    names: tuple[str, str],
    differences: Mapping[str, Difference],
    cells: Sequence[CellComparison],
    *,
    judged: bool = False,
) -> list[str]:
    """Say which differences are statistically significant.

    Args:
        names: of the two models.
        differences: by the name of the value.
        cells: both errors in every cell.
        judged: whether a margin was given, and what the differences amount to is said instead.
    """
    if judged:
        said = [verdict_sentence(names, name, one) for name, one in differences.items() if one.verdict is not None]
    else:
        said = [_sentence(names, name, differences[name]) for name in headlines(differences, main=True)]
    if cells:
        better = sum(cell.p_holm < 0.05 and cell.a < cell.b for cell in cells)
        worse = sum(cell.p_holm < 0.05 and cell.a > cell.b for cell in cells)
        said.append(
            f"Of {len(cells)} cells, {names[0]} is better in {better} and worse in {worse} (McNemar's test, 5 % level, "
            f"Holm's correction); no significant difference in the other {len(cells) - better - worse}."
        )
    return [text for text in said if text]


def _sentence(names: tuple[str, str], name: str, difference: Difference) -> str:
    """Say one difference, or why there is none; "" where it has no interval."""
    about = row(name)
    if difference.value is None:
        return f"{about.title}: {difference.note}."
    if difference.low is None or difference.high is None:
        return ""
    unit = f" {about.difference_unit}".rstrip()
    if difference.significant:
        low, high = sorted((abs(difference.low), abs(difference.high)))
        lower, higher = names if difference.value < 0 else names[::-1]
        return (
            f"{about.title}: {lower} is lower than {higher} by {about.show(abs(difference.value))}{unit} "
            f"(95 % interval {about.show(low)} to {about.show(high)}); statistically significant at the 5 % level."
        )
    ends = [about.show(end, sign=True) for end in (difference.low, difference.high)]
    return (
        f"{about.title}: no significant difference; {names[0]} minus {names[1]} is "
        f"{about.show(difference.value, sign=True)}{unit} (95 % interval {ends[0]} to {ends[1]})."
    )


def verdict_sentence(names: tuple[str, str], name: str, found: Difference) -> str:
    """Say what a tested difference amounts to.

    >>> found = Difference(value=0.001, margin=0.005, verdict="equivalent", p_difference=0.3, p_equivalence=0.001)
    >>> verdict_sentence(("new", "old"), "mean_error", found)
    'Mean error under corruption: new is equivalent to old within 0.50 points (difference +0.10; p = 0.001).'
    """
    about, value = row(name), found.value or 0.0
    unit = f" {about.difference_unit}".rstrip()
    said = {
        "better": f"{names[0]} is better than {names[1]}",
        "worse": f"{names[0]} is worse than {names[1]}",
        "equivalent": f"{names[0]} is equivalent to {names[1]}",
        "undecided": f"undecided between {names[0]} and {names[1]}",
    }[found.verdict or "undecided"]
    within = f" within {about.show(found.margin)}{unit}" if found.verdict == "equivalent" and found.margin else ""
    p = found.p_equivalence if found.verdict == "equivalent" else found.p_difference
    shown = "" if found.verdict == "undecided" or p is None else f"; p {_p_text(p)}"
    return f"{sentence(about.title)}: {said}{within} (difference {about.show(value, sign=True)}{shown})."


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
