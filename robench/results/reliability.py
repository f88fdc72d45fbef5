"""Reliability diagrams of a run: 15 uniform bins of confidence, clean and pooled over corruptions by severity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robench.predictions import Predictions
from robench.results.own_images import Index, indices_of
from robench.results.protocols import averaged
from robench.results.schema import ReliabilityBin
from robench.suites.base import Cell, Suite


def reliability_by_level(predictions: Mapping[str, Predictions], suite: Suite) -> dict[str, list[ReliabilityBin]]:
    """Return the bins for ``clean`` and for ``severity/1`` to ``severity/5`` (the benchmark conditions pooled).

    Pooled answers are on the same images: the accuracy's intervals are as wide as these, not the answers, make them.
    """
    cells = {name: Cell.parse(name) for name in predictions}
    conditions = averaged(suite, cells.values())
    index = indices_of(predictions, suite)
    levels = {name: [name] for name in predictions if cells[name].severity is None}
    for severity in range(1, 6):
        members = [name for name, cell in cells.items() if cell.severity == severity and cell.condition in conditions]
        if members:
            levels[f"severity/{severity}"] = members
    return {
        level: _bins([predictions[name] for name in names], [index[name] for name in names])
        for level, names in levels.items()
    }


def _bins(members: list[Predictions], index: list[Index]) -> list[ReliabilityBin]:
    from robench.metrics.reliability import reliability_diagram

    confidence = np.concatenate([member.confidence for member in members])
    correct = np.concatenate([member.correct for member in members])
    diagram = reliability_diagram(confidence, correct, bins=15, image=np.concatenate(index))
    return [
        ReliabilityBin(
            count=int(count),
            confidence=_or_none(diagram.confidence[i]),
            accuracy=_or_none(diagram.accuracy[i]),
            low=_or_none(diagram.low[i]),
            high=_or_none(diagram.high[i]),
        )
        for i, count in enumerate(diagram.count)
    ]


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
