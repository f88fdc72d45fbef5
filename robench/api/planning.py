"""What an evaluation would measure, where it would keep it, and about how long it would take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.amounts import Amount
    from robench.api.within import Target
    from robench.evaluation import EvaluationOptions
    from robench.evaluation.pieces import Missing
    from robench.models.base import Model
    from robench.predictions import RunFolder
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
        amounts: what was asked for and other choices of how much to measure, each with passes, time and how precise
            the suite's main value would be; empty where that is not known.
        seen: whether these widths follow from the images that the run has; else from a typical network's errors.
        bf16_share: of that time that ``precision="bf16"`` would take, as timed; None where the processor has no units
            for it, or another precision than float32 was asked for.
        unit: what ``images`` counts: ``images``, ``frames`` of clips, or ``passes`` of repeated attempts at an image.
        members: number of models of an ensemble; 1 for one model.
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
    amounts: tuple[Amount, ...] = ()
    seen: bool = False
    bf16_share: float | None = None
    unit: str = "images"
    members: int = 1


def plan_one(
    model: Model,
    suite: OpenSuite,
    options: EvaluationOptions,
    out: Path | None = None,
    within: tuple[Target, ...] = (),
) -> Plan:
    """Return what is left to be measured of a loaded model on an open suite.

    Raises:
        RobenchError: a width of a value that no sample of the suite measures.
    """
    from robench.api.amounts import amounts
    from robench.api.within import refuse_unknown
    from robench.evaluation import default_folder
    from robench.evaluation.progress import unit_of
    from robench.predictions import RunFolder

    refuse_unknown(within, suite)
    folder = out or default_folder(model, suite, options)
    run = RunFolder.open(folder) if (folder / "run.json").exists() else None
    rate = cache(lambda: seconds_per_image(model, suite, options))

    whole = all(target.half_width == 0 for target in within)
    suite = suite.with_limit(None) if within and whole else suite
    rows, seen = amounts(
        suite, () if whole else within, run, lambda images: _seconds(suite.with_limit(images), run, rate)
    )
    drawn = suite.with_limit(rows[0].images) if rows and within else suite
    left = sum(missing.passes for missing in missing_from(drawn, run))
    seconds = _seconds(drawn, run, rate)
    return Plan(
        model=model.name,
        suite=suite.suite.name,
        source=suite.source,
        cells=len(suite.suite.cells),
        images=sum(drawn.images(cell) for cell in suite.suite.cells),
        images_left=left,
        seconds=seconds,
        folder=folder,
        preprocessing=model.preprocessing.record(),
        amounts=rows,
        seen=seen,
        bf16_share=_bf16_share(model, suite, options, rate()) if seconds else None,
        unit=unit_of(suite.suite),
        members=len(model.card.get("members", ())) or 1,
    )


def _bf16_share(model: Model, suite: OpenSuite, options: EvaluationOptions, seconds: float) -> float | None:
    """Time the model in bfloat16 where that may pay, and return its time over that in float32."""
    from robench.processes import has_bf16_units

    if options.precision != "fp32" or not has_bf16_units(options.resolved_device()):
        return None
    try:
        return seconds_per_image(model, suite, replace(options, precision="bf16")) / seconds
    except RobenchError:  # a model that takes float32 only
        return None


def missing_from(suite: OpenSuite, run: RunFolder | None) -> list[Missing]:
    """Return what is still to go through the model."""
    from robench.evaluation.pieces import missing_of, whole_of

    cells = suite.suite.cells
    lacking = [whole_of(suite, cell) if run is None else missing_of(run, suite, cell) for cell in cells]
    return [missing for missing in lacking if missing is not None]


def _seconds(suite: OpenSuite, run: RunFolder | None, rate: Callable[[], float]) -> float | None:
    """Return the estimate for what is missing; None where an attack does not say how many passes it takes."""
    passes = 0
    for missing in missing_from(suite, run):
        attack = suite.suite.attack(missing.cell.condition)
        if attack is not None and attack.method != "pgd":
            return None
        # A step is a pass forward and one back to the pixels; the result of every restart is looked at.
        passes += missing.passes * (1 if attack is None else attack.restarts * (2 * attack.steps + 1) + 1)
    return passes * rate() if passes else 0.0


def seconds_per_image(model: Model, suite: OpenSuite, options: EvaluationOptions) -> float:
    """Time a few batches, after one to warm up, on the suite's last cell (a corrupted one where there are any).

    Reading and corrupting images counts where it shares the processors with the model, as on a CPU.
    """
    from robench.evaluation.forward import Forward
    from robench.evaluation.plan import prepare

    forward = Forward(prepare(model, options, say=lambda _: None), options)
    size = min(options.resolved_batch_size(forward.device, forward.model), 64)
    times, images = [], []
    batches = iter(suite.batches(suite.suite.cells[-1], size, device=forward.device))
    for _ in range(1 + _TIMED_BATCHES):
        asked = time.monotonic()
        batch = next(batches, None)
        if batch is None:
            break
        began = time.monotonic()
        forward(batch.images).float().cpu()
        ended = time.monotonic()
        times.append(ended - asked if forward.device == "cpu" else max(ended - began, began - asked))
        images.append(len(batch.index))
    chosen = slice(1, None) if len(times) > 1 else slice(0, None)
    return sum(times[chosen]) / max(1, sum(images[chosen]))
