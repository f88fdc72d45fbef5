"""What an evaluation would measure, where it would keep it, and about how long it would take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.evaluation import EvaluationOptions
    from robench.evaluation.pieces import Missing
    from robench.models.base import Model
    from robench.suites import OpenSuite

_TIMED_BATCHES = 2


@dataclass(frozen=True)
class Plan:
    """One model on one suite before it is measured.

    Args:
        model, suite: their names.
        source: whether the suite's images are ``published`` or ``generated``.
        cells: number of cells.
        images: images of all cells; every frame of a clip and every attempt at an image counts.
        images_left: images of the cells that are not finished in ``folder``.
        seconds: estimated time for them; None: not known.
        folder: the run's folder.
        preprocessing: the model's normalisation and geometry, as a result records it.
    """

    model: str
    suite: str
    source: str
    cells: int
    images: int
    images_left: int
    seconds: float | None
    folder: Path
    preprocessing: dict[str, Any]


def plan_one(model: Model, suite: OpenSuite, options: EvaluationOptions, out: Path | None = None) -> Plan:
    """Return what is left to be measured of a loaded model on an open suite."""
    from robench.evaluation import default_folder
    from robench.evaluation.pieces import missing_of, whole_of
    from robench.predictions import RunFolder

    cells = suite.suite.cells
    folder = out or default_folder(model, suite, options)
    run = RunFolder.open(folder) if (folder / "run.json").exists() else None
    lacking = [whole_of(suite, c) if run is None else missing_of(run, suite, c) for c in cells]
    left = sum(missing.passes for missing in lacking if missing is not None)
    return Plan(
        model=model.name,
        suite=suite.suite.name,
        source=suite.source,
        cells=len(cells),
        images=sum(suite.images(cell) for cell in cells),
        images_left=left,
        seconds=_seconds(model, suite, options, [missing for missing in lacking if missing is not None]),
        folder=folder,
        preprocessing=model.preprocessing.record(),
    )


def _seconds(model: Model, suite: OpenSuite, options: EvaluationOptions, lacking: list[Missing]) -> float | None:
    """Return the estimate for what is lacking; None where an attack does not say how many passes it takes."""
    passes = 0
    for missing in lacking:
        attack = suite.suite.attack(missing.cell.condition)
        if attack is not None and attack.method != "pgd":
            return None
        # A step is a pass forward and one back to the pixels; the result of every restart is looked at.
        passes += missing.passes * (1 if attack is None else attack.restarts * (2 * attack.steps + 1) + 1)
    return passes * seconds_per_image(model, suite, options) if passes else 0.0


def seconds_per_image(model: Model, suite: OpenSuite, options: EvaluationOptions) -> float:
    """Time a few batches, after one to warm up, on the suite's last cell (a corrupted one where there are any)."""
    from robench.evaluation.forward import Forward
    from robench.evaluation.plan import prepare

    forward = Forward(prepare(model, options, say=lambda _: None), options)
    size = min(options.resolved_batch_size(forward.device, forward.model), 64)
    cell = suite.suite.cells[-1]
    times, images = [], []
    batches = suite.batches(cell, size, device=forward.device)
    for batch in islice(batches, 1 + _TIMED_BATCHES):
        began = time.monotonic()
        forward(batch.images).float().cpu()
        times.append(time.monotonic() - began)
        images.append(len(batch.index))
    chosen = slice(1, None) if len(times) > 1 else slice(0, None)
    return sum(times[chosen]) / max(1, sum(images[chosen]))
