"""Margins as users write them: ``0.5``, ``"mean_error=0.5,mean_brier=0.01"`` or a mapping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from robench.api.words import shown
from robench.errors import RobenchError

Margin = float | str | Mapping[str, float]


def margins_of(name: str, given: Any) -> dict[str, float]:
    """Return margin by name of the value; that of ``""`` is for all values that are percentages.

    Args:
        name: of the option.
        given: a number of points; ``"0.5,mean_brier=0.01"``, a number and margins of single values in the unit in
            which each is shown; or a mapping of these.

    Raises:
        RobenchError: not such a text, or a margin that is not above 0.

    >>> margins_of("margin", 0.5), margins_of("margin", "0.5,mean_brier=0.01")
    ({'': 0.5}, {'': 0.5, 'mean_brier': 0.01})
    """
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(given, Mapping):
        pairs = given.items()
    elif isinstance(given, str):
        parts = [part.partition("=") for part in given.split(",")]
        pairs = [(key.strip(), value) if equals else ("", key) for key, equals, value in parts]
    else:
        pairs = [("", given)]
    found: dict[str, float] = {}
    for key, value in pairs:
        if not isinstance(key, str) or key in found:
            raise RobenchError(f"`{name}` has two margins for one value; found {shown(given)}.", hint="Give one.")
        found[key] = _margin(name, value, given)
    if not found:
        raise RobenchError(f"`{name}` names no margin; found {shown(given)}.", hint=f"For example `{name}=0.5`.")
    return found


def _margin(name: str, value: Any, given: Any) -> float:
    try:
        margin = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        margin = math.nan
    if not (math.isfinite(margin) and margin > 0):
        raise RobenchError(
            f"`{name}` takes points above 0; found {shown(given)}.",
            hint=f"For example `{name}=0.5`, or `{name}='mean_error=0.5,mean_brier=0.01'`.",
        )
    return margin
