"""numba's decorator with the compiled code kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``njit(cache=True, ...)``, or without the cache where no folder can be written to."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache: a read-only installation and home
            return njit(**options)(function)

    return decorate
