"""Public names of a package that are imported when they are first asked for, so that importing it stays quick."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any


def lazily(
    package: str, homes: Mapping[str, str], public: Collection[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    Args:
        package: its name, ``__name__``.
        homes: name -> the module below the package that holds it.
        public: what completion shows.

    >>> import robench.metrics
    >>> robench.metrics.__getattr__("soft_f1").__name__, "soft_f1" in dir(robench.metrics)
    ('soft_f1', True)
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find, lambda: sorted(public)
