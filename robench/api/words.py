"""From keywords as users write them to values, each refused in the same words wherever it is given.

A message names an option as `` `limit` ``, `` `limit=500` `` or `` `robench.evaluate(limit=500)` ``. Python users
read it as it stands; the command line shows ``--limit``, ``--limit 500`` and ``robench evaluate --limit 500``.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from robench.errors import RobenchError, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")
_LONGEST = 80


class UnknownKeywordError(RobenchError, TypeError):
    """A keyword that the function does not have."""


def spelled_out(words: type | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function's signature name the keywords of its ``**words``, and refuse others with the nearest name.

    Args:
        words: the TypedDict behind ``**words``; None: the function has none.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        own = inspect.signature(function)
        kept = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        named = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in (_annotations(words) if words is not None else {}).items()
        ]
        whole = own.replace(parameters=[*kept, *named])

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in whole.parameters:
                    raise UnknownKeywordError(
                        f"{function.__name__}() has no keyword '{name}'.", hint=did_you_mean(name, whole.parameters)
                    )
            return function(*args, **kwargs)

        checked.__signature__ = whole  # type: ignore[attr-defined]
        return checked

    return decorate


def _annotations(words: type) -> dict[str, Any]:
    return {name: getattr(kind, "__forward_arg__", kind) for name, kind in words.__annotations__.items()}


def shown(value: object) -> str:
    """Return a value as messages quote it: control characters escaped, the middle of what is long left out."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 4 :]}"


def one_of(name: str, value: object, known: Sequence[str]) -> str:
    """Return a value that is one of the known ones.

    Raises:
        RobenchError: it is not; the message suggests the nearest one.
    """
    if not isinstance(value, str) or value not in known:
        near = did_you_mean(str(value)[:_LONGEST], known)
        raise RobenchError(
            f"`{name}` must be one of {', '.join(known)}; found {shown(value)}.",
            hint=near if near.startswith("Did") else f"For example `{name}={known[0]!r}`.",
        )
    return value


def whole(name: str, value: object, *, least: int, most: int = 2**63 - 1) -> int:
    """Return a whole number from ``least`` to ``most``.

    Raises:
        RobenchError: it is not one.
    """
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        number = None
    if number is None or isinstance(value, bool) or not least <= number <= most:
        bounds = f"of at least {least}" if most >= 2**31 - 1 else f"from {least} to {most}"
        raise RobenchError(
            f"`{name}` must be a whole number {bounds}; found {shown(value)}.",
            hint=f"For example `{name}={max(least, 1)}`.",
        )
    return int(number)


def number(
    name: str,
    value: object,
    *,
    least: float = float("-inf"),
    above: float = float("-inf"),
    below: float = float("inf"),
) -> float:
    """Return a number of at least ``least``, above ``above`` and below ``below``.

    Raises:
        RobenchError: it is not one.
    """
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = float("nan")
    # Written so that NaN is refused too.
    if isinstance(value, bool) or not (found >= least and found > above and found < below):
        inner = 0.1 if above < 0.1 < below else max(least, 0.0)
        bounds = [f"{word} {end:g}" for word, end in (("of at least", least), ("above", above), ("below", below))
                  if abs(end) != float("inf")]  # fmt: skip
        raise RobenchError(
            f"`{name}` must be a number {' and '.join(bounds)}; found {shown(value)}.",
            hint=f"For example `{name}={inner:g}`.",
        )
    return found


def _listed(value: object) -> Iterable[Any]:
    return value if isinstance(value, Iterable) else (value,)


def flag(name: str, value: object) -> bool:
    """Return True or False.

    Raises:
        RobenchError: it is neither.
    """
    if not isinstance(value, bool):
        raise RobenchError(f"`{name}` must be True or False; found {shown(value)}.", hint=f"Omit `{name}`, or set it.")
    return value


def names(name: str, value: object) -> tuple[str, ...]:
    """Return several names: from ``"fog,snow"`` or a sequence.

    Raises:
        RobenchError: no name among them, or something that is not a string.
    """
    parts: Iterable[object] = value.split(",") if isinstance(value, str) else _listed(value)
    found = []
    for part in parts:
        if not isinstance(part, str):
            raise RobenchError(f"`{name}` takes names; found {shown(value)}.", hint=f'For example `{name}="fog,snow"`.')
        found += [part.strip()] if part.strip() else []
    if not found:
        raise RobenchError(f"`{name}` names nothing; found {shown(value)}.", hint=f"Omit `{name}` to take all of them.")
    return tuple(found)


def severities(name: str, value: object) -> tuple[int, ...]:
    """Return severities from 1 to 5: from ``"3,5"``, a number or a sequence of numbers.

    Raises:
        RobenchError: others.
    """
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else list(_listed(value))
    found = [int(part) if isinstance(part, (int, str)) and str(part).isdecimal() else 0 for part in parts]
    if not found or not all(1 <= one <= 5 for one in found):
        raise RobenchError(
            f"`{name}` takes numbers from 1 to 5; found {shown(value)}.", hint=f'For example `{name}="3,5"`.'
        )
    return tuple(found)


def place(name: str, value: object) -> Path:
    """Return a path.

    Raises:
        RobenchError: an empty one, one that no file system takes, or something else.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise RobenchError(f"`{name}` takes a path; found {shown(value)}.", hint="Give a string or a pathlib.Path.")
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise RobenchError(f"`{name}` is not a path: {shown(text)}.", hint=f"Omit `{name}`, or name a file or folder.")
    if max((len(os.fsencode(part)) for part in Path(text).parts), default=0) > 255 or len(os.fsencode(text)) > 4095:
        raise RobenchError(f"`{name}` is too long for a path: '{text[:40]}...'.", hint="Give a shorter path.")
    if name == "out" and text.encode(errors="replace").decode() != text:  # Parquet's library takes no such path
        raise RobenchError(f"`{name}` holds bytes that are not UTF-8: {shown(text)}.", hint="Choose another name.")
    return Path(text)


def run_place(name: str, value: object) -> Path:
    """Return the folder of a run, given as a path or as its result.

    Raises:
        RobenchError: a result that was read from elsewhere; or as :func:`place`.
    """
    from robench.results.schema import Result

    if not isinstance(value, Result):
        return place(name, value)
    if value.folder is None:
        raise RobenchError(
            f"`{name}` is a result without its run: {shown(value)}.",
            hint="Give the run's folder, which has the predictions.",
        )
    return value.folder


def both_given(pairs: Iterable[tuple[str, object, str, object]]) -> None:
    """Refuse options of which one would be ignored.

    Args:
        pairs: name and value of one option, name and value of the other.

    Raises:
        RobenchError: both options of a pair are given.
    """
    for first, one, second, other in pairs:
        if one and other:
            raise RobenchError(f"`{first}` and `{second}` cannot be combined.", hint="Use only one of them.")


def without_logits(probabilities: bool, class_names: object) -> None:
    """Refuse options that say how logits are read where none are given.

    Raises:
        RobenchError: one is set.
    """
    for word, set_ in (("probabilities", probabilities), ("class_names", class_names is not None)):
        if set_:
            raise RobenchError(f"`{word}` has no effect without `logits`.", hint="Add `logits` and `labels`.")


def given(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that are not None."""
    return {name: value for name, value in words.items() if value is not None}
