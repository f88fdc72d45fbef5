"""Results -> plots: one class per plot that computes its arrays, one style, PNG, SVG and PDF with fixed bytes.

The functions take results and return a matplotlib ``Figure``; :func:`save` writes it. matplotlib is imported when
one of them is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

if TYPE_CHECKING:
    from robench.plots.condition_rows import ConditionRows, corruptions
    from robench.plots.coverage_curves import CoverageCurve, coverage, read_coverage
    from robench.plots.error_and_calibration import trio
    from robench.plots.flip_rows import flips
    from robench.plots.fourier_maps import FourierMap, fourier, read_fourier
    from robench.plots.lowpass_curves import LowPassCurve, lowpass, read_lowpass
    from robench.plots.outlier_rows import Outliers, outliers, read_outliers
    from robench.plots.registry import PLOTS, Option, Plot
    from robench.plots.reliability_diagrams import ReliabilityCurves, reliability
    from robench.plots.severity_curves import SeverityCurves, severity
    from robench.plots.shift_points import ShiftPoints, scatter
    from robench.plots.style import save, to_bytes
    from robench.plots.trade_off import TradeOff, tradeoff

_HOMES = {
    "ConditionRows": "condition_rows",
    "CoverageCurve": "coverage_curves",
    "FourierMap": "fourier_maps",
    "LowPassCurve": "lowpass_curves",
    "Option": "registry",
    "Outliers": "outlier_rows",
    "PLOTS": "registry",
    "Plot": "registry",
    "ReliabilityCurves": "reliability_diagrams",
    "SeverityCurves": "severity_curves",
    "ShiftPoints": "shift_points",
    "TradeOff": "trade_off",
    "coverage": "coverage_curves",
    "corruptions": "condition_rows",
    "flips": "flip_rows",
    "fourier": "fourier_maps",
    "lowpass": "lowpass_curves",
    "outliers": "outlier_rows",
    "read_coverage": "coverage_curves",
    "read_fourier": "fourier_maps",
    "read_lowpass": "lowpass_curves",
    "read_outliers": "outlier_rows",
    "reliability": "reliability_diagrams",
    "save": "style",
    "scatter": "shift_points",
    "severity": "severity_curves",
    "to_bytes": "style",
    "tradeoff": "trade_off",
    "trio": "error_and_calibration",
}

__all__ = [
    "PLOTS",
    "ConditionRows",
    "CoverageCurve",
    "FourierMap",
    "LowPassCurve",
    "Option",
    "Outliers",
    "Plot",
    "ReliabilityCurves",
    "SeverityCurves",
    "ShiftPoints",
    "TradeOff",
    "corruptions",
    "coverage",
    "flips",
    "fourier",
    "lowpass",
    "outliers",
    "read_coverage",
    "read_fourier",
    "read_lowpass",
    "read_outliers",
    "reliability",
    "save",
    "scatter",
    "severity",
    "to_bytes",
    "tradeoff",
    "trio",
]

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
