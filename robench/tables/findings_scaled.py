"""What temperature scaling on clean images leaves of the calibration errors under shift, for the models of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robench.catalogue import row
from robench.files import read_document
from robench.tables.findings_kept import Scaled

_SHIFTED = "mean under shift"
_SHOWN = ("rms_calibration_error_debiased", "ece_debiased", "nll")
ABOUT = (
    "One temperature each, fitted on half of the clean images (half of every class) and measured on the other half of"
    " every cell: what is left under corruption is not a matter of the logits' scale alone."
)


def scaled_models(folder: Path, suite: str = "cifar10-c") -> dict[str, Scaled]:
    """Return the models of a set that were scaled (``robench calibrate RUN --out RUN/temperature.json``).

    Args:
        folder: of ``robench train --all``; it reads ``results/SUITE/MODEL/temperature.json``.
        suite: whose cells under shift the means are over.
    """
    paths = sorted((folder / "results" / suite).glob("*/temperature.json"))
    return {path.parent.name: _scaled(read_document(path, "calibration")) for path in paths}


def _scaled(document: Mapping[str, Any]) -> Scaled:
    before, after = (
        {name: [document[side][_SHIFTED][name].get(key) for key in ("value", "low", "high")] for name in _SHOWN}
        for side in ("before", "after")
    )
    return Scaled(document["temperature"], before, after)


def scaled_table(models: Mapping[str, Scaled]) -> str:
    """Return a Markdown table of calibration before and after temperature scaling, the lowest loss before it first."""
    heads = [row(name).head for name in _SHOWN]
    lines = ["| model | temperature | " + " | ".join(heads) + " |", "| --- | ---: |" + " ---: |" * len(_SHOWN)]
    for model, one in sorted(models.items(), key=lambda item: item[1].before["nll"][0] or 0.0):
        cells = [f"{_text(one.before[name], name)}, then {_text(one.after[name], name)}" for name in _SHOWN]
        lines.append(f"| {model} | {one.temperature:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _text(ends: Sequence[float | None], name: str) -> str:
    value, low, high = ends
    if value is None:  # too few images
        return "–"
    show = row(name).show
    return show(value) if low is None or high is None else f"{show(value)} ({show(low)} to {show(high)})"
