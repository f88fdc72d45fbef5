"""Multiply and add with one rounding, as processors do it, for loops that numba compiles."""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic


def _fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once, for three floats of one type, on every processor."""

    def generate(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return a(a, a, a), generate


fma: Any = intrinsic(_fma)
