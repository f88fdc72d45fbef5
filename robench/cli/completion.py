"""What the shell completes after an option: the names of suites, recipes, metrics... (`robench --install-completion`).

Each list is read when it is asked for. A value such as ``fog,sn`` completes its last name. A completion never fails:
where a list cannot be read, nothing is offered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from io import StringIO

Complete = Callable[[str], list[str]]


def _completing(read: Callable[[], Iterable[str]]) -> Complete:
    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        try:
            known = list(read())
        except Exception:  # a shell's line is no place for a traceback
            return []
        taken = set(before.split(","))
        return [f"{before}{comma}{name}" for name in known if name.startswith(last) and name not in taken]

    return complete


def asked_by_bash() -> bool:
    """Return whether this process is to say what bash may complete."""
    return os.environ.get("_ROBENCH_COMPLETE") == "complete_bash"


def in_bash(complete: Callable[[], object]) -> None:
    """Complete a line of bash, which splits ``reference:digits/augmix`` at the colon and replaces what follows it.

    Args:
        complete: prints completions of what COMP_WORDS and COMP_CWORD say.
    """
    words, current = os.environ.get("COMP_WORDS", "").split("\n"), int(os.environ.get("COMP_CWORD", "0"))
    joined, kept = joined_at_colons(words[: current + 1])
    if kept:
        os.environ |= {"COMP_WORDS": "\n".join(joined), "COMP_CWORD": str(len(joined) - 1)}
    said = StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        complete()
    sys.stdout.writelines(f"{line.removeprefix(kept)}\n" for line in said.getvalue().splitlines())


def joined_at_colons(words: list[str]) -> tuple[list[str], str]:
    """Return the words as they were typed, and what stands in the last one up to its last colon, which bash keeps.

    >>> joined_at_colons(["robench", "evaluate", "--model", "reference", ":", "digits/a"])
    (['robench', 'evaluate', '--model', 'reference:digits/a'], 'reference:')
    >>> joined_at_colons(["robench", "evaluate", "--model", "reference", ":", "digits/augmix", "--su"])[1]
    ''
    """
    joined: list[str] = []
    kept = ""
    for i, word in enumerate(words):
        colon, after = set(word) == {":"}, i > 0 and set(words[i - 1]) == {":"}
        if joined and word and (colon or after):
            joined[-1] += word
            kept = joined[-1] if colon else kept
        else:
            joined.append(word)
            kept = ""
    return joined, kept


def one_of(*names: str) -> Complete:
    """Complete one of a few words."""
    return _completing(lambda: names)


def _named(kind: str) -> Complete:
    def read() -> Iterable[str]:
        from robench.api import known_names

        names: Iterable[str] = getattr(known_names, kind)()
        return names

    return _completing(read)


suites = _named("suites")
architectures = _named("architectures")
models = _named("models")
presets = _named("presets")
recipes = _named("recipes")
metrics = _named("metrics")
values = _named("values")
corruptions = _named("corruptions")
ranked_suites = _named("ranked_suites")
tables = _named("tables")
figures = _named("figures")
data_sets = _named("data_sets")
