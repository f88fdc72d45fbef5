"""How far a sampled run's values are from what the full run would give, and from those of new images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from robench.catalogue import METRICS, defaults, metric_of, row
from robench.metrics.cells import compute
from robench.metrics.influence import PerImage, per_image_values
from robench.metrics.sample_rows import SampleRows
from robench.metrics.sampling import StandardErrors, errors_of
from robench.metrics.spread import Controls, Spread, spread_of
from robench.predictions import Predictions, RunFolder
from robench.results.columns import optional_columns
from robench.results.controls import ControlRun, Known, clean_control, control_run
from robench.results.intervals import NORMAL_95
from robench.results.own_images import own_set
from robench.results.protocols import clean_condition, protocol_of_run
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_STEP = 1e-6
LEAST_WRONG = 20  # images, below which the mean of a score of probabilities has no interval


@dataclass(frozen=True)
class Sampled:
    """The images that a sampled run has drawn, and what they say.

    Args:
        cells: the measured cells.
        totals: int64 (cells,), images (sequences: clips) that each whole cell has.
        classes: for each cell int64 (n,), the classes of its images by rising index; None where they have none.
        values: metric -> for each cell the images' values; only metrics that are formulas of sums over images.
        metrics: metric -> float64 (cells,), the metrics of the drawn images.
        suite: the protocol.
        sets: int64 (cells,), equal for cells that draw from the same images.
        controls: what is known of the images beforehand; None: nothing.
        control: what the controls are, in words.
    """

    cells: tuple[Cell, ...]
    totals: Integers
    classes: tuple[Integers, ...] | None
    values: Mapping[str, Sequence[PerImage]]
    metrics: Mapping[str, Array]
    suite: Suite
    sets: Integers | None = None
    controls: Controls | None = None
    control: str | None = None
    _spreads: dict[str, Spread] = field(default_factory=dict, repr=False, compare=False)
    _drawn: list[SampleRows] = field(default_factory=list, repr=False, compare=False)
    _slopes: dict[str, dict[str, Array]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def estimates(self) -> dict[str, Array]:
        """The metrics as estimates of the full run's, (cells,) each: those of the drawn images, moved by controls."""
        found = dict(self.metrics)
        for name in self.values if self.controls is not None else ():
            low, high = row(name).range
            found[name] = np.clip(self.metrics[name] + self.spread(name).shift, low, high)
        return found

    def spread(self, metric: str) -> Spread:
        """Return how a metric's values vary over the images, within and between cells."""
        if metric not in self._spreads:
            of_cells = self.values[metric]
            self._spreads[metric] = spread_of(
                [cell.values for cell in of_cells],
                self._rows([cell.index for cell in of_cells]),
                share=row(metric).share,
                controls=self.controls,
            )
        return self._spreads[metric]

    def _rows(self, index: Sequence[Integers]) -> SampleRows:
        """Return the drawn images; of all metrics the same, but for those that leave images out."""
        known = self._drawn[0] if self._drawn else None
        sizes = [len(images) for images in index]
        if known is None or sizes != known.sizes.tolist() or not np.array_equal(np.concatenate(index), known.image):
            known = SampleRows.of(index, self.totals, self.sets, self.classes)
            self._drawn[:] = [known]
        return known

    def errors(self, metric: str, gradient: Array) -> StandardErrors | None:
        """Return the standard errors of a value that changes with a metric's cells by ``gradient``, (cells,).

        They are NaN where next to no image is wrong, or right: scores of probabilities then hang on a few images.
        """
        if metric not in self.values:
            return None
        if not row(metric).share and self._rare(gradient) < LEAST_WRONG:
            return StandardErrors(math.nan, math.nan, math.nan, math.nan)
        return errors_of(self.spread(metric), gradient)

    def _rare(self, gradient: Array) -> float:
        """Return how many of the drawn images of the cells that count are wrong, or right if these are fewer."""
        if "error" not in self.values:
            return math.inf
        used, spread = (gradient != 0) & ~self.full, self.spread("error")
        wrong, images = float(spread.ones[used].sum()), float(spread.sizes[used].sum())
        return min(wrong, images - wrong) if used.any() else math.inf

    @property
    def full(self) -> npt.NDArray[np.bool_]:
        """Whether each cell has all of its images, (cells,)."""
        first = next(iter(self.values.values()))
        return np.array([len(cell.index) for cell in first]) >= self.totals

    def summary_errors(self, name: str) -> StandardErrors | None:
        """Return the standard errors of a summary value; None where they are not known."""
        of = metric_of(name)
        if of is None or of.name not in self.values:
            return None
        gradient = self.gradient(name, of.name)
        return None if gradient is None else self.errors(of.name, gradient)

    def gradient(self, name: str, metric: str) -> Array | None:
        """Return the derivatives of a summary value by the cells of its metric, (cells,); None: it has none."""
        if metric not in self._slopes:
            self._slopes[metric] = self._all_slopes(metric)
        return self._slopes[metric].get(name)

    def _all_slopes(self, metric: str) -> dict[str, Array]:
        """Return the derivatives of every summary value by the cells of a metric, (cells,) each."""
        cells, computed = len(self.cells), self.estimates
        moved = np.tile(computed[metric], (2 * cells, 1))
        step = _STEP * np.maximum(np.abs(computed[metric]), 1e-2)
        at = np.arange(cells)
        moved[at, at] += step
        moved[cells + at, at] -= step
        metrics = {key: np.broadcast_to(value, moved.shape) for key, value in computed.items()} | {metric: moved}
        slopes = {}
        for name, found in summarise(CellArrays(self.cells, metrics, self.suite)).items():
            if np.isfinite(found).all():
                slope = (found[:cells] - found[cells:]) / (2 * step)
                slopes[name] = np.where(np.abs(slope) < 1e-7, 0.0, slope)
        return slopes


def sampled_run(
    predictions: Mapping[str, Predictions],
    metrics: Mapping[str, Array],
    suite: Suite,
    other: ControlRun | None = None,
) -> Sampled | None:
    """Return what is known of a run's sample; None where every cell has all of its images.

    Args:
        predictions: of the measured cells.
        metrics: metric -> float64 (cells,).
        suite: the protocol.
        other: another model's whole run on the same images.
    """
    samples = [rows.notes.sample if rows.notes is not None else None for rows in predictions.values()]
    if all(sample is None for sample in samples):
        return None
    firsts = [np.unique(rows.index, return_index=True) for rows in predictions.values()]
    index = [found.astype(np.int64) for found, _ in firsts]
    totals = np.array([s.of if s is not None else len(i) for s, i in zip(samples, index, strict=True)], np.int64)
    targets = [rows.target[first] for rows, (_, first) in zip(predictions.values(), firsts, strict=True)]
    values = {}
    for name in (name for name, of_cells in metrics.items() if np.isfinite(of_cells).all()):
        if "outlier" in METRICS.get(name).needs:  # of two cells together
            continue
        found = [per_image_values(name, rows.columns() | {"cell": np.array(c)}) for c, rows in predictions.items()]
        if all(one is not None and np.isfinite(one.values).all() for one in found):
            values[name] = [one for one in found if one is not None]
    known = all(labels.ndim == 1 and bool((labels >= 0).all()) for labels in targets)
    cells = tuple(Cell.parse(name) for name in predictions)
    sets = image_sets(index, targets, totals, [own_set(name, suite) for name in predictions])
    controls, control = _controls(predictions, index, sets, suite, other)
    classes = tuple(labels.astype(np.int64) for labels in targets) if known else None
    return Sampled(cells, totals, classes, values, metrics, suite, sets, controls, control)


def image_sets(
    index: Sequence[Integers],
    targets: Sequence[npt.NDArray[np.int32]],
    totals: Integers,
    own: Sequence[str | None],
) -> Integers:
    """Return a number for every cell, (cells,), equal where two draw from the same images.

    Cells of one size whose images agree in their labels, wherever two have drawn the same index, are of the same
    images; those of splits and of sets with a matching clean one are not. Nor are those that their suite says have
    images of their own, ``own``: labels alone do not tell ImageNetV2's three sets apart, which are in class order.
    """
    found = np.zeros(len(index), np.int64)
    known: list[npt.NDArray[np.int64]] = []  # labels of each set's images, -2 where none has been seen
    sizes: list[int] = []
    owners: list[str | None] = []
    for cell, (images, target) in enumerate(zip(index, targets, strict=True)):
        label = target.astype(np.int64) if target.ndim == 1 else np.full(len(images), -1, np.int64)
        fitting = (
            n
            for n in range(len(known))
            if owners[n] == own[cell] and sizes[n] == totals[cell] and _agree(known[n], images, label)
        )
        number = next(fitting, len(known))
        if number == len(known):
            known.append(np.empty(0, np.int64))
            sizes.append(int(totals[cell]))
            owners.append(own[cell])
        more = int(images.max(initial=-1)) + 1 - len(known[number])
        known[number] = np.concatenate([known[number], np.full(max(more, 0), -2, np.int64)])
        known[number][images] = label
        found[cell] = number
    return found


def _agree(known: Integers, images: Integers, label: Integers) -> bool:
    """Return whether images have the labels that are known of them."""
    here = images < len(known)
    seen = known[images[here]]
    return bool(((seen == -2) | (seen == label[here])).all())


def _controls(
    predictions: Mapping[str, Predictions],
    index: Sequence[Integers],
    sets: Integers,
    suite: Suite,
    other: ControlRun | None,
) -> tuple[Controls | None, str | None]:
    """Return what is known of the images beforehand, and what that is in words."""
    clean, names = clean_control(predictions, suite), list(predictions)
    base = sets[names.index(clean_condition(suite) or "")] if clean is not None else -1
    sources: list[list[Known | None]] = []
    texts = []
    if clean is not None and (sets == base).sum() > 1:
        sources.append([clean if sets[i] == base and name != clean_condition(suite) else None
                        for i, name in enumerate(names)])  # fmt: skip
        texts.append("the model's own clean pass")
    if other is not None:
        sources.append([other.cells.get(name) for name in names])
        texts.append(other.text)
    values, means, used = [], [], []
    for source, text in zip(sources, texts, strict=True):
        drawn = [None if one is None else one.of(images) for one, images in zip(source, index, strict=True)]
        if all(of_cell is None for of_cell in drawn):
            continue
        width = next(of_cell.shape[1] for of_cell in drawn if of_cell is not None)
        values.append([np.zeros((len(i), width)) if d is None else d for d, i in zip(drawn, index, strict=True)])
        means.append([np.zeros(width) if d is None or one is None else one.values.mean(axis=0)
                      for d, one in zip(drawn, source, strict=True)])  # fmt: skip
        used.append(text)
    if not used:
        return None, None
    joined = [np.concatenate(of_cell, axis=1) for of_cell in zip(*values, strict=True)]
    return Controls(joined, np.concatenate(means, axis=1)), " and ".join(used)


@dataclass(frozen=True)
class Estimate:
    """A summary value of a run, and how far it is from that of the full run."""

    value: float
    errors: StandardErrors

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval for the full run, in the value's stored unit."""
        return NORMAL_95 * self.errors.full_run


def estimates(run: RunFolder, metrics: Sequence[str] | None = None) -> dict[str, Estimate]:
    """Return a run's summary values with their standard errors; those that a sample says nothing of are left out.

    Args:
        run: the run.
        metrics: names of cell metrics; None: the suite's usual ones.
    """
    optional = optional_columns(run.record.suite.task, metrics)
    predictions = run.read_done(optional)
    suite = protocol_of_run(run.record.suite)
    variants = any(rows.frame is not None for rows in predictions.values())
    task = run.record.suite.task
    names = metrics or defaults("variants" if task == "classification" and variants else task)
    names = [name for name in names if "outlier" not in METRICS.get(name).needs]
    columns = [rows.columns() | {"cell": np.array(name)} for name, rows in predictions.items()]
    computed = {name: np.array([compute(name, cell) for cell in columns], float) for name in names}
    cells = tuple(Cell.parse(name) for name in predictions)
    sampled = sampled_run(predictions, computed, suite, control_run(run.path))
    values = summarise(CellArrays(cells, computed if sampled is None else sampled.estimates, suite))
    found = {}
    for name, value in values.items():
        errors = StandardErrors(0.0, 0.0, 0.0, 0.0) if sampled is None else sampled.summary_errors(name)
        if errors is not None and np.isfinite(value):  # errors may be NaN: not known yet
            found[name] = Estimate(float(value), errors)
    return found
