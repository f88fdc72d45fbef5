"""Populations that ``benchmarks/sampling.py`` draws from, and samples of them, on arrays of per-image values.

Nothing is read from files while draws are made, and calibration errors of all cells are computed at once; what the
intervals are computed with is the package's own (:class:`robench.results.precision.Sampled`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robench.catalogue import METRICS, row
from robench.metrics.cells import compute
from robench.metrics.debiased import ECE_DEBIASED, RMS_DEBIASED, equal_count_index, joined_bins
from robench.metrics.influence import PerImage, per_image_values
from robench.metrics.sampling import next_size
from robench.metrics.spread import Controls
from robench.predictions import RunFolder
from robench.results.controls import known_of
from robench.results.precision import Sampled
from robench.results.protocols import clean_condition, protocol_of_run
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite
from robench.suites.drawing import Design, first_size, shuffled_names

MEANS = ("error", "brier", "nll")
BINS = 15
CALIBRATION = {
    "rms_calibration_error_debiased": (RMS_DEBIASED, lambda confidence: equal_count_index(confidence, BINS)),
    "ece_debiased": (ECE_DEBIASED, lambda confidence: joined_bins(confidence, BINS)),
}
LATENT = 0.5  # correlation of an image's cells, of the normal variables behind right and wrong


@dataclass(frozen=True)
class Population:
    """A full run, or a suite drawn from one.

    Args:
        name: for the table.
        suite: its protocol.
        cells: its cells.
        values: of each metric that is a mean over images, float32 (cells, images).
        confidence: float64 (cells, images); None: not known.
        classes: int64 (images,).
        known: float32 (cells, images, k), control variates.
        whole_clean: whether the clean cell is measured whole.
        rows: int64 (N,), which of the images the suite has; None: all.
    """

    name: str
    suite: Suite
    cells: tuple[Cell, ...]
    values: dict[str, np.ndarray]
    confidence: np.ndarray | None = None
    classes: np.ndarray | None = None
    known: np.ndarray | None = None
    whole_clean: bool = False
    rows: np.ndarray | None = None

    @property
    def images(self) -> int:
        """N."""
        return self.values["error"].shape[1]

    @property
    def clean(self) -> int | None:
        """The clean cell's place."""
        return next((i for i, c in enumerate(self.cells) if c.condition == clean_condition(self.suite)), None)

    def anew(self, seed: int) -> Population:
        """Return a suite whose images are drawn from the population's, with replacement."""
        rows = np.random.default_rng(seed).integers(0, self.images, self.images)
        return replace(self, rows=rows, classes=None if self.classes is None else self.classes[rows])

    def truth(self) -> dict[str, float]:
        """Return the values of all images of the population, by name; those of a cell as ``error 3``."""
        found = {name: of.mean(axis=1, dtype=np.float64) for name, of in self.values.items()}
        if self.confidence is not None:
            for name in CALIBRATION:
                found[name] = debiased(name, self.confidence, self.values["error"])[1]
        truth = {name: float(v) for name, v in summarise(CellArrays(self.cells, found, self.suite)).items()}
        return truth | {f"{name} {place}": float(v) for name, of in found.items() for place, v in enumerate(of)}


def of_run(path: Path, other: Path | None, clean: bool) -> Population:
    """Read a full run, whose cells must all be of the same images; with another, the cells that both have."""
    run, theirs = RunFolder.open(path), None if other is None else RunFolder.open(other)
    names = [name for name in run.done() if theirs is None or theirs.is_done(name)]
    cells = {name: run.read(name).in_order() for name in names}
    first = next(iter(cells.values()))
    if any(rows.frame is not None or not np.array_equal(rows.index, first.index) for rows in cells.values()):
        raise SystemExit(f"{path}: the cells are not of the same images, one row each")
    columns = [rows.columns() | {"index": np.arange(len(rows))} for rows in cells.values()]
    values = {}
    for name in MEANS:
        found = [per_image_values(name, of_cell) for of_cell in columns]
        values[name] = np.stack([one.values for one in found if one is not None]).astype(np.float32)
    suite = protocol_of_run(run.record.suite)
    confidence = np.stack([np.asarray(of_cell["confidence"], np.float64) for of_cell in columns])
    for name in CALIBRATION:  # the short way here is the package's own
        assert np.isclose(debiased(name, confidence[:1], values["error"][:1])[1][0], compute(name, columns[0]))
    known = []
    if clean:
        own = known_of(cells[clean_condition(suite) or ""])
        assert own is not None
        known.append(np.stack([own.values] * len(cells)))
    if theirs is not None:
        known.append(np.stack([one.values for c in cells if (one := known_of(theirs.read(c).in_order())) is not None]))
    return Population(
        f"{run.record.model.name} on {suite.name}", suite, tuple(map(Cell.parse, cells)), values, confidence,
        first.target.astype(np.int64), np.concatenate(known, axis=2).astype(np.float32) if known else None, clean,
    )  # fmt: skip


def made_up(name: str, model: str, seed: int = 0) -> Population:
    """Return images with a model's published error in each cell."""
    from scipy.stats import norm

    from robench.suites import get
    from robench.tables.living import robustbench

    published, suite = robustbench(name), get(name)
    cells = tuple(cell for cell in suite.cells if cell.condition in published.conditions)
    errors = np.array([1.0 - published.cells[model][cell.name] for cell in cells])
    images = 50_000 if name.startswith("imagenet") else 10_000
    rng = np.random.default_rng(seed)
    hard = rng.standard_normal(images)
    wrong = np.empty((len(cells), images), np.float32)
    for place, error in enumerate(errors):
        wrong[place] = np.sqrt(LATENT) * hard + np.sqrt(1 - LATENT) * rng.standard_normal(images) < norm.ppf(error)
    return Population(f"{model} on {name} (published cells)", suite, cells, {"error": wrong})


def grown(world: Population, seed: int, widths: Sequence[float], target: str) -> Iterator[tuple[float, int, Sampled]]:
    """Yield the samples that one draw stops at, from the widest interval to the narrowest."""
    names = [cell.name for cell in world.cells]
    places = [names.index(name) for name in shuffled_names(names)]
    design = Design(world.images, len(world.cells), f"draw {seed}", world.classes)
    orders = np.empty((len(places), world.images), np.int64)
    for place, cell in enumerate(places):
        orders[cell] = design.order(place)
    slopes: dict[str, dict[str, np.ndarray]] = {}
    drawn = min(world.images, first_size(len(places)))
    for width in widths:
        while True:
            sampled = sample(world, orders, drawn, slopes)
            errors = sampled.summary_errors(target)
            assert errors is not None
            following = next_size(errors, drawn, world.images, width / row(target).factor)
            if following <= drawn:
                break
            drawn = following
        yield width, drawn, sampled


def sample(
    world: Population, orders: np.ndarray, drawn: int, slopes: dict[str, dict[str, np.ndarray]] | None = None
) -> Sampled:
    """Return the first draws of every cell; slopes of means are the same for all samples."""
    index = [np.sort(order) for order in orders[:, :drawn]]
    if world.whole_clean and world.clean is not None:
        index[world.clean] = np.arange(world.images)
    rows = index if world.rows is None else [world.rows[images] for images in index]
    values, figures = {}, {}
    for name, of_cells in world.values.items():
        drawn_values = [whole[r].astype(np.float64) for r, whole in zip(rows, of_cells, strict=True)]
        values[name] = [PerImage(i, v) for i, v in zip(index, drawn_values, strict=True)]
        figures[name] = np.array([v.sum() / len(v) for v in drawn_values])
    return Sampled(
        world.cells,
        np.full(len(index), world.images, np.int64),
        None if world.classes is None else tuple(world.classes[images] for images in index),
        values,
        figures,
        world.suite,
        controls=_controls(world, rows),
        _slopes={} if slopes is None else slopes,
    )


def _controls(world: Population, rows: Sequence[np.ndarray]) -> Controls | None:
    if world.known is None:
        return None
    known = [of_cell[of].astype(np.float64) for of, of_cell in zip(rows, world.known, strict=True)]
    whole = world.known if world.rows is None else world.known[:, world.rows]
    return Controls(known, whole.mean(axis=1, dtype=np.float64))


def with_calibration(world: Population, sampled: Sampled) -> Sampled | None:
    """Return the sample with its debiased calibration errors; None where it is too small to show them."""
    index = [cell.index for cell in sampled.values["error"]]
    drawn = {len(images) for images in index}
    if world.confidence is None or len(drawn) > 1 or drawn.pop() < METRICS.get("ece_debiased").minimum_images:
        return None
    rows = index if world.rows is None else [world.rows[images] for images in index]
    confidence = np.stack([of[r] for of, r in zip(world.confidence, rows, strict=True)])
    wrong = np.stack([cell.values for cell in sampled.values["error"]])
    values, figures = {}, {}
    for name in CALIBRATION:
        of_images, figures[name] = debiased(name, confidence, wrong)
        values[name] = [PerImage(i, v) for i, v in zip(index, of_images, strict=True)]
    return replace(sampled, values=values, metrics=figures, controls=None, _spreads={}, _slopes={})


def debiased(name: str, confidence: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the images' values of a debiased calibration error and the error itself, of many cells at once.

    As :func:`robench.metrics.influence.per_image_values`.

    Args:
        name: of the metric.
        confidence, wrong: (cells, n).

    Returns:
        (cells, n) and (cells,).
    """
    kernel, bins = CALIBRATION[name]
    cells, n = confidence.shape
    gap = confidence - (1.0 - wrong)
    index = np.stack([bins(of_cell) for of_cell in confidence])
    place = (index + BINS * np.arange(cells)[:, None]).reshape(-1)
    parts = (gap, gap * gap, np.ones_like(gap))
    sums = np.stack([np.bincount(place, part.reshape(-1), BINS * cells) for part in parts], axis=-1)
    sums = sums.reshape(cells, BINS, 3)
    assert kernel.slopes is not None
    found = np.asarray(kernel.final(sums))
    slopes = kernel.slopes([sums])[0].reshape(-1, 3)
    change = sum(slopes[place, k].reshape(cells, n) * part for k, part in enumerate(parts))
    return n * change + found[:, None], found
