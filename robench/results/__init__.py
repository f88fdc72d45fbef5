"""Results: the schema, scoring of runs, reading and comparing of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
