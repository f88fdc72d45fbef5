"""What a user may change in every plot: its title, its width and what it calls the models.

The drawing functions know nothing of it: :func:`wanted` holds for the plots drawn within it, :mod:`robench.plots.style`
reads it, and :func:`renamed` changes what they are given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from robench.errors import RobenchError
from robench.results.schema import Result

NARROWEST, WIDEST = 2.0, 40.0  # inches


@dataclass(frozen=True)
class Wishes:
    """How a plot is to be drawn.

    Args:
        title: instead of the plot's own; "" for none, None for its own.
        width: in inches; None for that of a paper's column or page.
    """

    title: str | None = None
    width: float | None = None


_NOW: ContextVar[Wishes | None] = ContextVar("wishes", default=None)


def now() -> Wishes:
    """Return what holds at present."""
    return _NOW.get() or Wishes()


@contextmanager
def wanted(title: str | None = None, width: float | None = None) -> Iterator[None]:
    """Draw the plots within with this title and width.

    Raises:
        RobenchError: the width is not from 2 to 40 inches.
    """
    usable = not isinstance(width, bool) and isinstance(width, (int, float)) and math.isfinite(width)
    if width is not None and not (usable and NARROWEST <= width <= WIDEST):
        raise RobenchError(
            f"`width` must be from {NARROWEST:g} to {WIDEST:g} inches; found {width!r}.",
            hint="A paper's column is 3.4 inches wide, its page 6.9.",
        )
    token = _NOW.set(Wishes(title, width))
    try:
        yield
    finally:
        _NOW.reset(token)


def renamed(items: Sequence[Any], labels: str | Sequence[str]) -> list[Any]:
    """Return the inputs of a plot under other names, one label each, in their order.

    Args:
        items: what the plot draws: results, or frozen dataclasses with the model's name in ``model`` (or tuples of
            such).
        labels: names, or one text with commas between them.

    Raises:
        RobenchError: not one label per input, or an input whose name cannot be changed.
    """
    return [_under(item, name) for item, name in zip(items, label_list(labels, len(items)), strict=True)]


def label_list(labels: str | Sequence[str], count: int, of: str = "input") -> list[str]:
    """Return the labels, one for each of ``count`` inputs.

    Args:
        labels: names, or one text with commas between them.
        count: how many there must be.
        of: what they name.

    Raises:
        RobenchError: another number of labels, or an empty one.
    """
    names = [part.strip() for part in labels.split(",")] if isinstance(labels, str) else list(labels)
    if len(names) != count or not all(isinstance(name, str) and name for name in names):
        raise RobenchError(
            f"`labels` needs one name per {of}: found {len(names)} for {count}.",
            hint=f"Give {count}, with commas between them and none within, such as "
            f"`labels={','.join('ABCDEFGH'[: min(count, 8)])!r}`.",
        )
    return names


def _under(item: Any, name: str) -> Any:
    if isinstance(item, Result):
        return item.model_copy(update={"model": item.model.model_copy(update={"name": name})})
    if isinstance(item, tuple):
        return tuple(_under(one, name) for one in item)
    if is_dataclass(item) and isinstance(getattr(item, "model", None), str):
        changed: Any = replace(item, model=name)  # type: ignore[type-var]
        return changed
    raise RobenchError("This plot's models cannot be renamed.", hint="Omit `labels`.")
