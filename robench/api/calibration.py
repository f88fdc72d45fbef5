"""What :func:`robench.calibrate` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.results.schema import Value


@dataclass(frozen=True)
class Calibration:
    """A fitted scaling of logits, and the metrics of a run before and after it.

    Args:
        model: the model's name.
        method: ``temperature`` or ``vector``.
        temperature: what logits are divided by; None for vector scaling.
        scale, bias: what logits are multiplied by, and what is added then: one number, or one per class.
        run, cell, fit_images: what it was fitted on.
        notes: why the fit may be of no use.
        images: cell -> number of images that its metrics are of; none of them was fitted on.
        resamples, seed: of the bootstrap.
        before, after: cell, or ``mean under shift`` -> metric -> value with its 95 % interval.
        path: where the document was written; None: nowhere.
    """

    model: str
    method: str
    temperature: float | None
    scale: list[float]
    bias: list[float]
    run: str
    cell: str
    fit_images: int
    notes: list[str]
    images: dict[str, int]
    resamples: int
    seed: int
    before: dict[str, dict[str, Value]] = field(repr=False)
    after: dict[str, dict[str, Value]] = field(repr=False)
    path: Path | None = None

    def document(self) -> dict[str, Any]:
        """Return what is written to :attr:`path`, as a JSON-able document."""
        return {
            "kind": "robench-calibration",
            "model": self.model,
            "method": self.method,
            "temperature": self.temperature,
            "scale": self.scale,
            "bias": self.bias,
            "fit": {"run": self.run, "cell": self.cell, "images": self.fit_images},
            "notes": self.notes,
            "images": self.images,
            "resamples": self.resamples,
            "seed": self.seed,
            "before": {group: plain(found) for group, found in self.before.items()},
            "after": {group: plain(found) for group, found in self.after.items()},
        }


def plain(found: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """Return values as JSON-able documents, without what they do not have."""
    return {
        name: {key: value for key, value in one.model_dump().items() if key == "value" or value is not None}
        for name, one in found.items()
    }
