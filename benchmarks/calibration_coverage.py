"""How often intervals of calibration errors hold the true value, for single models and for differences of two.

    python benchmarks/calibration_coverage.py [--runs RUN_A RUN_B | --population FILE.npz] [--samples 500]

The images of a population are drawn with replacement, so the population's own value is the truth, known exactly. It is
that of two finished runs of one suite, of an .npz file with ``confidence`` and ``correct`` (2 models, cells, images),
or, without either, a made one whose calibration curves are those fitted to an EfficientNet-Lite0 on corrupted
photographs (``made_population``). Cells are measured on the same images (as suites are run) or on images of their
own (as a sampled suite is). Printed are the bias of the mean over cells, its standard deviation over samples, the mean
width of its interval and the share of intervals that hold the truth.

Resamples of means and of debiased errors are linear in what is drawn, so the variance of endlessly many of them is a
sum over images; by default that is used, and 500 samples of 75 cells take minutes. ``--resamples N`` draws N as results
do, both models with the same draws, which the other metrics need.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robench.metrics.cells import compute, kernel, mean_over_cells
from robench.metrics.corruption import ALEXNET
from robench.metrics.debiased import ECE_DEBIASED, RMS_DEBIASED, equal_count_index, joined_bins, signed_root
from robench.metrics.draws import Draws
from robench.metrics.resampling import replicates
from robench.metrics.statistics import centred_interval, draw_weights
from robench.results.judging import spread_of_difference

METRICS = ("error", "mce", "brier_top_label", "ece", "ece_debiased", "rms_calibration_error",
           "rms_calibration_error_all_bins", "rms_calibration_error_debiased")  # fmt: skip
LINEAR = ("error", "mce", "brier_top_label", "ece_debiased", "rms_calibration_error_debiased")
BINNED = {
    "ece_debiased": (joined_bins, ECE_DEBIASED),
    "rms_calibration_error_debiased": (equal_count_index, RMS_DEBIASED),
}
OF = {"value": np.array([1.0, 0.0]), "difference": np.array([1.0, -1.0])}  # of the two models
# Intercept and slope of the logit of being right over the logit of the confidence, and mean and standard deviation
# of the latter: an EfficientNet-Lite0 on 200 ImageNet photographs, clean and under seven corruptions.
CURVES = ((1.37, 1.10, 1.63, 1.56), (0.61, 1.09, 0.33, 1.75), (0.17, 0.92, -0.21, 1.80), (0.80, 1.14, 0.20, 1.66),
          (0.09, 0.95, -0.60, 1.53), (0.14, 1.07, 0.00, 1.96), (0.16, 0.89, -0.10, 1.81),
          (0.96, 1.26, 1.07, 1.82))  # fmt: skip


class Population(NamedTuple):
    """Two models' confidences and right answers, (2, cells, images) each."""

    confidence: np.ndarray
    correct: np.ndarray


def made_population(images: int = 20_000, cells: int = 12, seed: int = 0) -> Population:
    """Return a population with the fitted curves; the second model is more confident, by 0.3 of a logit.

    An image that is hard in one cell is hard in the others and for both models: whether an image is right hangs on a
    normal variable of which the image has half of the variance, the cell 0.3 and the model 0.2.
    """
    rng = np.random.default_rng(seed)
    hard, sure = rng.normal(size=(2, images))
    confidence, correct = np.empty((2, cells, images)), np.empty((2, cells, images), bool)
    for cell in range(cells):
        intercept, slope, mean, spread = CURVES[cell % len(CURVES)]
        logit = mean - 0.3 * (cell // len(CURVES)) + spread * np.sqrt(0.5) * (sure + rng.normal(size=images))
        shared = np.sqrt(0.5) * hard + np.sqrt(0.3) * rng.normal(size=images)
        for model, extra in enumerate((0.0, 0.3)):
            uniform = _normal_cdf(shared + np.sqrt(0.2) * rng.normal(size=images))
            confidence[model, cell] = 1.0 / (1.0 + np.exp(-logit - extra))
            correct[model, cell] = uniform < 1.0 / (1.0 + np.exp(-intercept - slope * logit))
    return Population(confidence, correct)


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(z))


def stored_population(path: Path) -> Population:
    """Return the population in an .npz file."""
    with np.load(path) as found:
        return Population(found["confidence"].astype(np.float64), found["correct"].astype(bool))


def population_of_runs(runs: Sequence[Path]) -> Population:
    """Return the predictions of two finished runs of one suite, of the images and cells that both have."""
    from robench.predictions import RunFolder

    folders = [RunFolder.open(path) for path in runs]
    names = [name for name in folders[0].done() if name in set(folders[1].done())]
    cells = [[folder.read(name) for name in names] for folder in folders]
    return Population(
        np.array([[np.asarray(cell.confidence, np.float64) for cell in model] for model in cells]),
        np.array([[cell.correct for cell in model] for model in cells]),
    )


def columns(population: Population, model: int, cell: int, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return a cell's columns of some images, each an image of its own."""
    correct = population.correct[model, cell, images]
    return {"index": np.arange(len(images)), "confidence": population.confidence[model, cell, images],
            "predicted": correct.astype(np.int8), "target": np.ones(len(images), np.int8)}  # fmt: skip


def truths(population: Population, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return each metric's mean over cells of the population, (2,): that of endlessly many draws from it."""
    models, cells, images = population.confidence.shape
    everything = np.arange(images)
    found = {}
    for name in names:
        of = {"ece_debiased": "ece", "mce": "error"}.get(name, name)
        values = np.empty((models, cells))
        for model in range(models):
            for cell in range(cells):
                one = columns(population, model, cell, everything)
                values[model, cell] = _rms(one) if name.endswith("error_debiased") else compute(of, one)
        found[name] = over_cells(name, values)
    return found


def over_cells(name: str, values: np.ndarray) -> np.ndarray:
    """Return the mean over cells, the last axis; ``mce`` is of 15 corruptions at five severities each."""
    if name != "mce":
        return mean_over_cells(name, values)
    baseline = np.array(list(ALEXNET.values())).sum(axis=1)
    return np.asarray((values.reshape(*values.shape[:-1], 15, 5).sum(axis=-1) / baseline).mean(axis=-1))


def _rms(cell: dict[str, np.ndarray]) -> float:
    """Return the plain root mean square gap in 15 bins of equal counts."""
    index, gap = equal_count_index(cell["confidence"], 15), cell["confidence"] - (cell["predicted"] == cell["target"])
    sums, counts = np.bincount(index, weights=gap), np.bincount(index)
    return float(np.sqrt((sums**2 / counts).sum() / len(gap)))


Means = dict[str, tuple[np.ndarray, np.ndarray]]


def sample(
    population: Population, size: int, shared: bool, resamples: int, rng: np.random.Generator, names: Sequence[str]
) -> Means:
    """Return means over cells of one sample, (2,), and their replicates, (resamples, 2), by metric."""
    models, cells, images = population.confidence.shape
    kernels = {name: kernel(name if name != "mce" else "error") for name in names}
    values = {name: np.empty((models, cells)) for name in names}
    drawn = {name: np.empty((resamples, models, cells)) for name in names}
    drawn_rows, draws = rng.integers(0, images, size), Draws(draw_weights(rng, resamples, size), np.arange(size))
    for cell in range(cells):
        if not shared and cell:
            drawn_rows, draws = (
                rng.integers(0, images, size),
                Draws(draw_weights(rng, resamples, size), np.arange(size)),
            )
        for model in range(models):
            one = columns(population, model, cell, drawn_rows)
            found = replicates(one, kernels, draws)
            for name in names:
                drawn[name][:, model, cell] = found[name]
                values[name][model, cell] = compute("error" if name == "mce" else name, one)
    return {name: (over_cells(name, values[name]), over_cells(name, drawn[name])) for name in names}


def linear_sample(
    population: Population, size: int, shared: bool, rng: np.random.Generator, names: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return means over cells of one sample, (2,), and the variance of endlessly many resamples of them, (2, 2).

    Debiased RMS errors are averaged by their squares: theirs are these means and variances of squares.
    """
    _, cells, images = population.confidence.shape
    drawn = rng.integers(0, images, (1 if shared else cells, size))
    rows = np.arange(cells)[:, None], np.broadcast_to(drawn, (cells, size))
    confidence, correct = population.confidence[:, *rows], population.correct[:, *rows]
    found = {}
    for name in names:
        weights = over_cells(name, np.eye(cells)) if name == "mce" else np.full(cells, 1.0 / cells)
        values, change = _per_image(name, confidence, correct)
        change *= weights[:, None]
        alike = change.sum(axis=1) if shared else change  # of the same images, or of each cell's own
        variance = np.einsum("ai,bi->ab", alike, alike) if shared else np.einsum("aci,bci->ab", alike, alike)
        found[name] = values @ weights, variance / size**2
    return found


def _per_image(name: str, confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a metric of every cell, (2, cells), and how much every image changes it, times their number."""
    gap = confidence - correct
    if name not in BINNED:
        values = gap**2 if name == "brier_top_label" else 1.0 - correct
        return values.mean(axis=-1), values - values.mean(axis=-1, keepdims=True)
    bins_of, found = BINNED[name]
    bins = np.array([[bins_of(cell, 15) for cell in model] for model in confidence])
    place = (np.arange(bins.shape[0] * bins.shape[1]).reshape(*bins.shape[:2], 1) * 15 + bins).ravel()
    sums = np.stack([np.bincount(place, weights, 15 * bins.shape[0] * bins.shape[1])
                     for weights in (gap.ravel(), gap.ravel() ** 2, np.ones(gap.size))], axis=-1)  # fmt: skip
    sums = sums.reshape(*bins.shape[:2], 15, 3)
    assert found.slopes is not None
    values, slopes = found.final(sums), found.slopes([sums])[0]
    if name == "rms_calibration_error_debiased":
        slopes, values = slopes * 2.0 * np.abs(values)[..., None, None], values * np.abs(values)
    of_image = slopes.reshape(-1, 3)[place].reshape(*gap.shape, 3) * gap.shape[-1]
    return values, of_image[..., 0] * gap + of_image[..., 1] * gap**2 + of_image[..., 2]


def linear_interval(
    name: str, means: np.ndarray, variance: np.ndarray, of: np.ndarray, shared: bool
) -> tuple[float, float, float]:
    """Return a value or difference and its interval, from :func:`linear_sample`."""
    if of.all():
        variance = variance * spread_of_difference(name, sampled=not shared) ** 2
    if name != "rms_calibration_error_debiased":
        value, reach = float(means @ of), 1.96 * float(np.sqrt(of @ variance @ of))
        return value, value - reach, value + reach
    roots = signed_root(means)
    if not of.all():
        ends = signed_root(means[0] + 1.96 * np.sqrt(variance[0, 0]) * np.array([-1.0, 1.0]))
        return float(roots[0]), float(ends[0]), float(ends[1])
    slope = of / (2.0 * np.maximum(np.abs(roots), 1e-9))
    value, reach = float(roots @ of), 1.96 * float(np.sqrt(slope @ variance @ slope))
    return value, value - reach, value + reach


def measure(
    population: Population, size: int, shared: bool, samples: int, resamples: int, seed: int, names: Sequence[str]
) -> dict[tuple[str, str], np.ndarray]:
    """Return value, low and high of every sample, (samples, 3), by metric and whether of a value or a difference."""
    rng = np.random.default_rng(seed)
    kept: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for _ in range(samples):
        if not resamples:
            for name, (means, variance) in linear_sample(population, size, shared, rng, names).items():
                for what, weights in OF.items():
                    kept.setdefault((name, what), []).append(linear_interval(name, means, variance, weights, shared))
            continue
        for name, (value, drawn) in sample(population, size, shared, resamples, rng, names).items():
            for what, weights in OF.items():
                one, off = float(value @ weights), drawn @ weights
                if weights.all():
                    off = off.mean() + spread_of_difference(name, sampled=not shared) * (off - off.mean())
                kept.setdefault((name, what), []).append((one, *centred_interval(one, off)))
    return {key: np.array(found) for key, found in kept.items()}


def rows(population: Population, size: int, measured: dict[tuple[str, str], np.ndarray]) -> list[str]:
    """Return a row per metric: of the first model's value, and of the first minus the second."""
    true, lines = truths(population, sorted({name for name, _ in measured})), []
    for (name, what), found in measured.items():
        one, low, high = found.T
        truth = float(true[name] @ OF[what])
        covered = ((low <= truth) & (truth <= high)).mean()
        numbers = f"{100 * truth:.2f} | {100 * (one.mean() - truth):+.2f} | {100 * one.std():.2f}"
        width = f"{100 * (high - low).mean():.2f} | {100 * covered:.1f}"
        lines.append(f"| {size:,} | {name} | {what} | {numbers} | {width} |")
    return lines


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs=2)
    parser.add_argument("--population", type=Path)
    parser.add_argument("--cells", type=int, default=12, help="the first so many cells, evenly spaced")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--designs", nargs="+", default=["same", "own"], choices=["same", "own"])
    parser.add_argument("--metrics", nargs="+", choices=METRICS)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.runs:
        population = population_of_runs(given.runs)
    else:
        population = stored_population(given.population) if given.population else made_population(cells=given.cells)
    chosen = np.linspace(0, population.confidence.shape[1] - 1, given.cells).round().astype(int)
    population = Population(*(part[:, np.unique(chosen)] for part in population))
    given.metrics = given.metrics or (METRICS if given.resamples else LINEAR)
    if population.confidence.shape[1] != 75:
        given.metrics = [name for name in given.metrics if name != "mce"]
    _, cells, images = population.confidence.shape
    drawn = f"{given.resamples or 'endlessly many'} resamples"
    print(f"{images:,} images, {cells} cells, {given.samples} samples, {drawn}; % and points.")
    for design in given.designs:
        print(f"\n{'The same images in every cell' if design == 'same' else 'Images of its own in each cell'}:\n")
        print("| images per cell | metric | of | truth | bias | deviation | width | coverage, % |")
        print("| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |")
        for size in given.sizes:
            shared = design == "same"
            measured = measure(population, size, shared, given.samples, given.resamples, given.seed, given.metrics)
            print("\n".join(rows(population, size, measured)), flush=True)


if __name__ == "__main__":
    main()
