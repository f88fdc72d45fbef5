"""Standard streams that may be closed or full: work goes on, and only results that are lost are an error."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from contextlib import suppress
from typing import Any, TextIO

_LONG = re.compile(r"\S{400,}")  # no path is as long
_WORD = re.compile(r"(\s*)((?:`[^`]*`|\S)+)")  # a command in backquotes is one word


class Tolerant:
    """Standard error that drops what cannot be written: progress must not end a run.

    Args:
        stream: where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop the text."""
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, where that can be done."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def printable(text: str) -> str:
    r"""Return a message that a terminal shows as it is: control characters escaped, the middle of long words left out.

    >>> print(printable("no file \x1b[31m"))
    no file \x1b[31m
    """
    kept = "".join(one if one in "\n\t" or one.isprintable() else repr(one)[1:-1] for one in text)
    return _LONG.sub(lambda word: f"{word[0][:60]}...{word[0][-20:]}", kept)


def folded(text: str, stream: Any, indent: str = "") -> str:
    """Return a text whose long lines are broken between words where it goes to a terminal; in a pipe as it is.

    Args:
        text: lines; commands in backquotes stay whole, so that they can be copied.
        stream: where the text goes.
        indent: of the lines that go on.
    """
    if stream is None or stream.closed or not stream.isatty():
        return text
    room = shutil.get_terminal_size().columns
    return "\n".join(part for line in text.split("\n") for part in _broken(line, room, indent))


def _broken(line: str, room: int, indent: str) -> list[str]:
    if len(line) <= room:
        return [line]
    lines, last = [], ""
    for gap, word in _WORD.findall(line):
        if last.strip() and len(last) + len(gap) + len(word) > room:
            lines.append(last)
            last, gap = indent, ""
        last += gap + word
    return [*lines, last]


def guard_streams() -> None:
    """Give the process streams for those that are closed, and let standard error drop what cannot be written."""
    if sys.stdout is None:
        sys.stdout = _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a path may hold bytes that are not UTF-8: they leave as they came
            stream.reconfigure(errors="surrogateescape")
    sys.stderr = Tolerant(sys.stderr if sys.stderr is not None else _nowhere())  # type: ignore[assignment]


def drop_output() -> None:
    """Send what else is printed nowhere, so that leaving does not fail on it again."""
    with suppress(OSError, ValueError):
        sys.stdout.close()
    sys.stdout = _nowhere()


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
