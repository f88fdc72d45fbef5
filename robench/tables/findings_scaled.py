"""What temperature scaling on clean images leaves of the calibration errors under shift, for the models of a set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robench.catalogue import row
from robench.files import read_document

_SHIFTED = "mean under shift"
_SHOWN = ("rms_calibration_error_debiased", "ece_debiased", "nll")
ABOUT = (
    "One temperature each, fitted on half of the clean images (half of every class) and measured on the other half of"
    " every cell: what is left under corruption is not a matter of the logits' scale alone."
)


def scaled_table(folder: Path, suite: str = "cifar10-c") -> str:
    """Return a Markdown table of calibration before and after temperature scaling; "" where no model was scaled.

    Args:
        folder: of ``robench train --all``; it reads ``results/SUITE/MODEL/temperature.json``.
        suite: whose cells under shift the means are over.
    """
    found = {
        path.parent.name: read_document(path, "calibration")
        for path in sorted((folder / "results" / suite).glob("*/temperature.json"))
    }
    if not found:
        return ""
    heads = [row(name).head for name in _SHOWN]
    lines = ["| model | temperature | " + " | ".join(heads) + " |", "| --- | ---: |" + " ---: |" * len(_SHOWN)]
    for model, document in sorted(found.items(), key=_likelihood):
        cells = [f"{_text(document, 'before', name)}, then {_text(document, 'after', name)}" for name in _SHOWN]
        lines.append(f"| {model} | {document['temperature']:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _likelihood(item: tuple[str, Mapping[str, Any]]) -> float:
    return float(item[1]["before"][_SHIFTED]["nll"]["value"])


def _text(document: Mapping[str, Any], side: str, name: str) -> str:
    one, show = document[side][_SHIFTED][name], row(name).show
    if one["value"] is None:  # too few images
        return "–"
    return f"{show(one['value'])} ({show(one['low'])} to {show(one['high'])})"
