"""Results -> figures: one class a plot that computes its arrays, one style, PNG, SVG and PDF with fixed bytes.

The functions take results and return a matplotlib ``Figure``; :func:`save` writes it. matplotlib is imported when
one of them is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.plots.corruptions import ConditionRows, corruptions, flips
    from robench.plots.fourier import FourierMap, fourier, read_fourier
    from robench.plots.lowpass import LowPassCurve, lowpass, read_lowpass
    from robench.plots.reliability import ReliabilityCurves, reliability
    from robench.plots.scatter import ShiftPoints, scatter
    from robench.plots.severity import SeverityCurves, severity, trio
    from robench.plots.style import save, to_bytes
    from robench.plots.tradeoff import TradeOff, tradeoff

_HOMES = {
    "ConditionRows": "corruptions",
    "FourierMap": "fourier",
    "LowPassCurve": "lowpass",
    "ReliabilityCurves": "reliability",
    "SeverityCurves": "severity",
    "ShiftPoints": "scatter",
    "TradeOff": "tradeoff",
    "corruptions": "corruptions",
    "flips": "corruptions",
    "fourier": "fourier",
    "lowpass": "lowpass",
    "read_fourier": "fourier",
    "read_lowpass": "lowpass",
    "reliability": "reliability",
    "save": "style",
    "scatter": "scatter",
    "severity": "severity",
    "to_bytes": "style",
    "tradeoff": "tradeoff",
    "trio": "severity",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'robench.plots' has no attribute '{name}'")
    found = getattr(import_module(f"robench.plots.{_HOMES[name]}"), name)
    globals()[name] = found  # a submodule of the same name must not hide the function once it is imported
    return found
