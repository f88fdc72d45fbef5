"""How often gates and decisions are right, and how many passes they take: simulated on stored predictions.

    python benchmarks/gates.py [--runs RUN_A RUN_B] [--gates 1000] [--margin 1.0] [--budget 15000] [--decide]
        [--value mean_error]

Each simulated gate is the real one (``robench.api.looks.Looks`` and its verdicts) with losses that are computed from
stored predictions in place of a model's. A new image is one of the run's, drawn with replacement, with both models'
answers to it in every cell; with a probability that is the same for all images the two models' answers are exchanged.
So the true difference of the two models is known: 0 at one half, that of the stored runs without exchanges. The cells
draw these images as a real gate does, a few of them the same. (Of runs whose cells hold different images, a row of a
cell takes the place of an image, and no two cells share one.) The answers are those of two finished runs of one
suite or, without ``--runs``, made ones: 75 cells of error rates from 10 to 70 %, an image's difficulty is half of the
variance of the latent variable, the models share most of the rest. Printed are the share of gates that pass, find a
loss or stay undecided, and the passes of the new model, for true losses from -1 to 2 points; ``--decide`` does the same
for ``robench.decide``.

``--value mean_brier`` (or ``mean_rms_calibration_error_debiased``, ``mean_ece_debiased``) simulates gates on another
value, of two runs. A calibration error is no mean over rows: its true loss is known at 0 and without exchanges only.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sampling_worlds import CALIBRATION, debiased
from scipy.special import ndtri

from robench.api.compared import Baseline, Budget
from robench.api.decide import LEVEL, settled, verdict_of
from robench.api.gate import ALARMS, of_look
from robench.api.looks import Look, Looks
from robench.catalogue import METRICS, row
from robench.metrics.cells import mean_over_cells
from robench.metrics.sampling import standard_errors
from robench.results.deciding import Loss, least_images
from robench.results.floors import floor_of
from robench.suites.drawing import Design, first_size

LOSSES = (-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
VALUES = ("mean_error", "mean_brier", *(f"mean_{name}" for name in CALIBRATION))


@dataclass
class Population:
    """Both models' answers to the rows of every cell.

    Args:
        wrong: of every cell bool (2, rows).
        whole: images of a cell of the whole suite.
        same: whether the cells' rows are the same images.
        brier, confidence: of every cell float64 (2, rows); none: not known.
    """

    wrong: list[np.ndarray]
    whole: int
    same: bool
    brier: list[np.ndarray] = field(default_factory=list)
    confidence: list[np.ndarray] = field(default_factory=list)

    def answers(self, value: str) -> list[list[np.ndarray]]:
        """Return what a value is computed from: of every kind of answer, of every cell (2, rows)."""
        if value == "mean_error":
            return [self.wrong]
        if not self.brier:
            raise SystemExit(f"{value} needs --runs.")
        return [self.brier] if value == "mean_brier" else [self.confidence, self.wrong]

    def difference(self, value: str) -> float:
        """Return the first model's value minus the second's."""
        a, b = (
            _value(value, [[cell[model] for cell in kind] for kind in self.answers(value)], whole=True)[0]
            for model in (0, 1)
        )
        return a - b


def _value(value: str, answers: list, *, whole: bool = False) -> tuple[float, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return a value of answers (cells, n) of each kind, its slopes, (cells,), and the images' values, (cells, n)."""
    if len(answers) == 1:
        cells = len(answers[0])
        means = np.array([cell.mean() for cell in answers[0]])
        return float(means.mean()), np.full(cells, 1.0 / cells), means if whole else np.asarray(answers[0], np.float64)
    metric = value.removeprefix("mean_")
    if whole:  # cells may have unlike numbers of rows
        each = [debiased(metric, c[None], w[None].astype(float))[1][0] for c, w in zip(*answers, strict=True)]
        figures, of_images = np.array(each), np.empty(0)
    else:
        of_images, figures = debiased(metric, answers[0], answers[1].astype(float))
    mean = float(mean_over_cells(metric, figures))
    if METRICS.get(metric).over_cells == "mean":
        return mean, np.full(len(figures), 1.0 / len(figures)), of_images
    return mean, np.abs(figures) / (len(figures) * max(abs(mean), 1e-9)), of_images


def made_population(images: int = 20_000, cells: int = 75, seed: int = 0) -> Population:
    """Return made answers; the first model is about 3 points worse."""
    rng = np.random.default_rng(seed)
    found, difficulty = [], np.sqrt(0.5) * rng.normal(size=images)
    for error in np.linspace(0.1, 0.7, cells):
        shared = difficulty + np.sqrt(0.3) * rng.normal(size=images)
        own = np.sqrt(0.2) * rng.normal(size=(2, images))
        found.append(shared + own < ndtri(np.array([error + 0.03, error]))[:, None])
    return Population(found, images, same=True)


def stored_population(a: str, b: str) -> Population:
    """Return the answers of two runs on the images that both have."""
    from robench.predictions import RunFolder
    from robench.results.paired import on_common_images

    runs = [RunFolder.open(Path(folder)) for folder in (a, b)]
    cells = on_common_images(runs, ())
    names = [name for name in cells if name != "clean"]
    first = [cells[name][0] for name in names]
    samples = [rows.notes.sample if rows.notes is not None else None for rows in first]
    whole = max(len(rows) if sample is None else sample.of for rows, sample in zip(first, samples, strict=True))
    same = all(np.array_equal(rows.index, first[0].index) for rows in first)
    return Population(
        [np.stack([~rows.correct for rows in cells[name]]) for name in names],
        whole,
        same,
        [np.stack([np.asarray(rows.brier, np.float64) for rows in cells[name]]) for name in names],
        [np.stack([np.asarray(rows.confidence, np.float64) for rows in cells[name]]) for name in names],
    )


@dataclass
class Simulated(Looks):
    """The looks of a gate on drawn rows.

    Args:
        value: what the gate is on.
        drawn: of both models, of every kind of answer, (cells, images).
        index: int64 (cells, images), which image each is.
    """

    value: str = "mean_error"
    drawn: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    index: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.int64))

    def passes(self, images: int) -> int:
        """Return the new model's passes."""
        return images * len(self.drawn[0][0])

    def _most(self) -> int:
        return self.drawn[0][0].shape[1]

    def _first(self) -> int:
        return max(first_size(len(self.drawn[0][0])), least_images([self.value]))

    def _losses(self, images: int, state: str) -> dict[str, Loss]:
        found = [_value(self.value, [kind[:, :images] for kind in of]) for of in self.drawn]
        (a, first, of_a), (b, second, of_b) = found
        rows = first[:, None] * of_a - second[:, None] * of_b
        cells, sizes = len(rows), np.full(len(rows), images)
        error = standard_errors(list(rows), list(self.index[:, :images]), np.ones(cells), None).new_images
        least = floor_of(self.value, first, sizes, a, list(self.index[:, :images]), list(rows))
        return {self.value: Loss(self.value, a, b, a - b, max(error, least))}


def simulate(
    population: Population, value: str, loss: float, gates: int, margin: float, budget: int | None, *, decide: bool,
    seed: int,
) -> tuple[dict[str, float], np.ndarray]:  # fmt: skip
    """Return the share of each verdict, and the passes of each gate, (gates,).

    Args:
        population: the answers.
        value: what the gates are on.
        loss: the true loss, in the value's shown unit.
        gates: how many.
        margin: in the value's shown unit.
        budget: passes of the new model.
        decide: whether decisions are simulated in place of gates.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    cells, factor, apart = len(population.wrong), row(value).factor, population.difference(value)
    most = population.whole if budget is None else min(population.whole, budget // cells)
    kept = 0.5 * (1.0 + loss / factor / apart)
    if not 0 <= kept <= 1:
        raise SystemExit(f"The stored runs differ by {factor * apart:.3g}, less than {loss}.")
    answers = population.answers(value)
    margins, levels = {value: margin / factor}, (LEVEL / 2, LEVEL) if decide else (ALARMS, LEVEL)
    found: dict[str, int] = {}
    passes = np.empty(gates)
    design = Design(population.whole, cells, "gates")
    index = np.stack([design.order(place)[:most] for place in range(cells)])
    if not population.same:
        index = np.arange(cells * most).reshape(cells, most)
    for i in range(gates):
        if population.same:
            images = rng.integers(0, population.wrong[0].shape[1], population.whole)
            rows, keep = list(images[index]), (rng.random(population.whole) < kept)[index]
        else:
            rows = [rng.integers(0, cell.shape[1], most) for cell in population.wrong]
            keep = rng.random(index.shape, np.float32) < kept
        both = [np.stack([c[:, r] for c, r in zip(kind, rows, strict=True)], axis=1) for kind in answers]
        drawn = ([np.where(keep, a, b) for a, b in both], [np.where(keep, b, a) for a, b in both])
        looks = Simulated(
            None, Baseline("stored"), margins, levels, Budget(), "", value=value, drawn=drawn, index=index
        )  # type: ignore[arg-type]
        if decide:
            seen = looks.until(lambda look: settled(margins, look))
            verdict = verdict_of(margins, value, seen[-1].bounds[value])
        else:
            seen = looks.until(lambda look: of_look(margins, look, ended=False) != "undecided")
            verdict = of_look(margins, seen[-1], ended=True)
        found[verdict] = found.get(verdict, 0) + 1
        passes[i] = _passes(seen)
    return {name: count / gates for name, count in found.items()}, passes


def _passes(seen: list[Look]) -> int:
    return seen[-1].passes


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs=2, metavar="RUN")
    parser.add_argument("--gates", type=int, default=1000)
    parser.add_argument("--margin", type=float, default=1.0)
    parser.add_argument("--budget", type=int, default=15_000, help="0: the whole suite")
    parser.add_argument("--value", choices=VALUES, default=VALUES[0])
    parser.add_argument("--losses", type=float, nargs="*", default=LOSSES)
    parser.add_argument("--decide", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    population = stored_population(*options.runs) if options.runs else made_population()
    names = ("better", "worse", "equivalent", "undecided") if options.decide else ("pass", "loss", "undecided")
    apart = row(options.value).factor * population.difference(options.value)
    print(f"{options.value}, {len(population.wrong)} cells of {population.whole} images, the two models {apart:+.3g} "
          f"apart; margin {options.margin:g}, budget {options.budget or 'the whole suite'}, "
          f"{options.gates} simulations each\n")  # fmt: skip
    print(f"| true loss | {' | '.join(names)} | passes, mean | 90 % below |")
    print("| ---: |" + " ---: |" * (len(names) + 2), flush=True)
    for loss in options.losses:
        shares, passes = simulate(
            population, options.value, loss, options.gates, options.margin, options.budget or None,
            decide=options.decide, seed=options.seed,
        )  # fmt: skip
        cells = " | ".join(f"{100 * shares.get(name, 0.0):.1f} %" for name in names)
        print(f"| {loss:+.3g} | {cells} | {passes.mean():,.0f} | {np.quantile(passes, 0.9):,.0f} |", flush=True)
        print(f"{loss:+.3g} done", file=sys.stderr)


if __name__ == "__main__":
    main()
