"""A user's mistake, told apart from a bug: it is printed as one message, never as a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_SHOWN = 60
_wording: Callable[[str], str] = str


class RobenchError(Exception):
    """What was wrong, where, what was expected and found, and what to do next.

    The command line prints it without a traceback and ends with exit code 2.

    Args:
        message: what went wrong, naming the file or argument, what was expected and what was found.
        hint: the next step, as a sentence or a command to type.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        message, hint = _printable(message), None if hint is None else _printable(hint)
        super().__init__(message if hint is None else f"{message}\n{hint}")
        self.message = message
        self.hint = hint

    def __reduce__(self) -> Any:
        # Errors of worker processes travel; those of subclasses take other arguments than the text.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[RobenchError], args: tuple[Any, ...], state: dict[str, Any]) -> RobenchError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def _printable(text: str) -> str:
    """Return a text that can be written as UTF-8: file names may hold bytes that are not."""
    return text.encode(errors="backslashreplace").decode()


@contextmanager
def worded(by: Callable[[str], str]) -> Iterator[None]:
    """Word what is said while work goes on in the user's words: the command line's, where a command runs.

    Args:
        by: from a message of the library to what is shown.
    """
    global _wording
    before, _wording = _wording, by
    try:
        yield
    finally:
        _wording = before


def in_users_words(text: str) -> str:
    """Return a message as it is shown while work goes on; see :func:`worded`.

    >>> with worded(str.upper):
    ...     in_users_words("a cell failed")
    'A CELL FAILED'
    """
    return _wording(text)


def first_line(error: BaseException) -> str:
    r"""Return an error's kind and the first line of its message, at most 200 characters: some run to pages.

    >>> first_line(ValueError("a size of 3\nat layer 7"))
    'ValueError: a size of 3'
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known names nearest to ``name`` (if none is near all, or 60 of very many).

    >>> did_you_mean("fgo", ["fog", "snow", "fog"])
    "Did you mean 'fog'?"
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "Did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return "Known: " + ", ".join(names[:_SHOWN]) + more + "."
