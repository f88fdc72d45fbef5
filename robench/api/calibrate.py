"""``robench.calibrate(run)``: temperature or vector scaling fitted on held-out images, and what it does under shift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.api.options import Place
from robench.api.words import one_of, place, spelled_out, whole

if TYPE_CHECKING:
    from robench.results.schema import Value

    Columns = dict[str, Any]

METHODS = ("temperature", "vector")


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
        path: where the document was written.
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
    path: Path

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
            "before": _plain(self.before),
            "after": _plain(self.after),
        }


def _plain(groups: Mapping[str, Mapping[str, Value]]) -> dict[str, dict[str, Any]]:
    return {
        group: {
            name: {key: value for key, value in one.model_dump().items() if key == "value" or value is not None}
            for name, one in found.items()
        }
        for group, found in groups.items()
    }


@spelled_out()
def calibrate(
    run: Place,
    *,
    fit_on: str = "clean",
    fit_run: Place | None = None,
    method: str = "temperature",
    out: Place | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Calibration:
    """Fit a post-hoc calibration on held-out images of a run, and compute its metrics before and after.

    Args:
        run: folder of a run that kept its logits.
        fit_on: the cell to fit on.
        fit_run: another run of the same model to fit on; None: even-indexed images of ``fit_on`` are used for
            fitting, and the metrics of every cell are of odd-indexed ones. Images of a ``fit_run`` on the same data
            are left out of the metrics.
        method: ``temperature`` or ``vector``.
        out: JSON to write; None: ``run/calibration-METHOD.json``.
        resamples: bootstrap resamples of the intervals; before and after are resampled together.
        seed: of the bootstrap.

    Raises:
        RobenchError: no run, no logits, a ``fit_run`` of another model, or nothing left to measure on.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 300, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = robench.evaluate("reference:digits/standard", "digits-c", out=folder, **few)
    ...     found = robench.calibrate(folder, resamples=0)
    >>> found.fit_images, found.images, list(found.after)
    (143, {'clean': 157, 'contrast/5': 153}, ['clean', 'contrast/5', 'mean under shift'])
    """
    from robench.api.refitting import check, columns_of, figures_of, fit_folder, notes_of, without
    from robench.files import write_json
    from robench.metrics.temperature import FITS, scaled_columns
    from robench.predictions import RunFolder
    from robench.results.same_images import shared_images

    one_of("method", method, METHODS)
    whole("resamples", resamples, least=0, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    folder = RunFolder.open(place("run", run))
    fitted = folder if fit_run is None else fit_folder(folder, place("fit_run", fit_run))
    folder.refuse_damaged()
    check(fitted, fit_on)
    held_out = columns_of(fitted, fit_on, parity=0 if fit_run is None else None)
    scaling = FITS[method](held_out["logits"], held_out["target"])
    cells = {name: columns_of(folder, name, parity=1 if fit_run is None else None) for name in folder.done()}
    if fit_run is not None and len(seen := shared_images(folder, fitted, held_out["index"])):
        cells = {name: without(columns, seen, fitted.path) for name, columns in cells.items()}
    scaled = {name: scaled_columns(columns, scaling) for name, columns in cells.items()}
    found = Calibration(
        model=folder.record.model.name,
        method=method,
        temperature=scaling.temperature if method == "temperature" else None,
        scale=scaling.scale.reshape(-1).tolist(),
        bias=scaling.bias.tolist(),
        run=str(fit_run if fit_run is not None else run),
        cell=fit_on,
        fit_images=len(held_out["target"]),
        notes=notes_of(scaled_columns(held_out, scaling)),
        images={name: len(columns["target"]) for name, columns in cells.items()},
        resamples=resamples,
        seed=seed,
        before=figures_of(folder, cells, fit_on, resamples, seed),
        after=figures_of(folder, scaled, fit_on, resamples, seed),
        path=folder.path / f"calibration-{method}.json" if out is None else place("out", out),
    )
    write_json(found.path, found.document())
    return found
