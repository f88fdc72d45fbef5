"""Results: the schema, scoring of runs, reading and comparing of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.results.loading import load
    from robench.results.schema import Result, Value
    from robench.results.scoring import save, score_run
    from robench.results.storing import store

__all__ = ["Result", "Value", "load", "save", "score_run", "store"]

_HOMES = {
    "load": "loading",
    "Value": "schema",
    "Result": "schema",
    "save": "scoring",
    "score_run": "scoring",
    "store": "storing",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'robench.results' has no attribute '{name}'")
    return getattr(import_module(f"robench.results.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__]
