"""What the shell completes after an option: the names of suites, recipes, metrics... (`robench --install-completion`).

Each list is read when it is asked for. A value such as ``fog,sn`` completes its last name. A completion never fails:
where a list cannot be read, nothing is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
