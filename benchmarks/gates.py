"""How often gates and decisions are right, and how many passes they take: simulated on stored predictions.

    python benchmarks/gates.py [--runs RUN_A RUN_B] [--gates 1000] [--margin 1.0] [--budget 15000] [--decide]

Each simulated gate is the real one (``robench.api.looks.Looks`` and its verdicts) with losses that are computed from
stored predictions in place of a model's. A new image is a row of a cell, drawn with replacement, with both models'
answers to it; with a probability that is the same for all rows the two models' answers are exchanged. So the true
difference of the two models is known: 0 at one half, that of the stored runs without exchanges. Every cell draws images
of its own. The answers are those of two finished runs of one suite or, without ``--runs``, made ones: 75 cells of error
rates from 10 to 70 %, an image's difficulty is half of the variance of the latent variable, the models share most of
the rest. Printed are the share of gates that pass, find a loss or stay undecided, and the passes of the new model, for
true losses from -1 to 2 points; ``--decide`` does the same for ``robench.decide``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from robench.api.decide import LEVEL, settled, verdict_of
from robench.api.gate import ALARMS, of_look
from robench.api.looks import Baseline, Budget, Look, Looks
from robench.metrics.equivalence import least_error
from robench.metrics.sampling import standard_errors
from robench.results.deciding import Loss

LOSSES = (-1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
NAME = "mean_error"


@dataclass
class Population:
    """Both models' wrong answers in every cell, bool (2, images) each, and the images of the whole suite."""

    wrong: list[np.ndarray]
    whole: int

    @property
    def difference(self) -> float:
        """Mean over cells of the first model's error minus the second's."""
        return float(np.mean([cell[0].mean() - cell[1].mean() for cell in self.wrong]))


def made_population(images: int = 20_000, cells: int = 75, seed: int = 0) -> Population:
    """Return made answers; the first model is about 3 points worse."""
    rng = np.random.default_rng(seed)
    found = []
    for error in np.linspace(0.1, 0.7, cells):
        shared = np.sqrt(0.8) * rng.normal(size=images)
        own = np.sqrt(0.2) * rng.normal(size=(2, images))
        found.append(shared + own < ndtri(np.array([error + 0.03, error]))[:, None])
    return Population(found, images)


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
    return Population([np.stack([~rows.correct for rows in cells[name]]) for name in names], whole)


@dataclass
class Simulated(Looks):
    """The looks of a gate on drawn rows.

    Args:
        drawn: int8 (cells, images): the first model's wrong answer minus the second's.
    """

    drawn: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), np.int8))

    def passes(self, images: int) -> int:
        """Return the new model's passes."""
        return images * len(self.drawn)

    def _most(self) -> int:
        return self.drawn.shape[1]

    def _first(self) -> int:
        return max(25, -(-1500 // len(self.drawn)))

    def _losses(self, images: int, state: str) -> dict[str, Loss]:
        cells = len(self.drawn)
        rows = self.drawn[:, :images].astype(float)
        gradient, sizes = np.full(cells, 1.0 / cells), np.full(cells, images)
        index = np.arange(cells * images).reshape(cells, images)
        error = standard_errors(list(rows), list(index), gradient, sizes).new_images
        return {NAME: Loss(NAME, 0.0, 0.0, float(rows.mean()), max(error, least_error(gradient, sizes)))}


def simulate(
    population: Population, loss: float, gates: int, margin: float, budget: int | None, *, decide: bool, seed: int
) -> tuple[dict[str, float], np.ndarray]:
    """Return the share of each verdict, and the passes of each gate, (gates,).

    Args:
        population: the answers.
        loss: the true loss in points.
        gates: how many.
        margin: in points.
        budget: passes of the new model.
        decide: whether decisions are simulated in place of gates.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    cells = len(population.wrong)
    most = population.whole if budget is None else min(population.whole, budget // cells)
    kept = 0.5 * (1.0 + 0.01 * loss / population.difference)
    if not 0 <= kept <= 1:
        raise SystemExit(f"The stored runs differ by {100 * population.difference:.2f} points, less than {loss}.")
    signed = [cell[0].astype(np.int8) - cell[1].astype(np.int8) for cell in population.wrong]
    margins, levels = {NAME: 0.01 * margin}, (LEVEL / 2, LEVEL) if decide else (ALARMS, LEVEL)
    found: dict[str, int] = {}
    passes = np.empty(gates)
    for i in range(gates):
        drawn = np.stack([cell[rng.integers(0, len(cell), most)] for cell in signed])
        drawn = np.where(rng.random(drawn.shape, np.float32) < kept, drawn, -drawn)
        looks = Simulated(None, Baseline("stored"), margins, levels, Budget(), "", drawn=drawn)  # type: ignore[arg-type]
        if decide:
            seen = looks.until(lambda look: settled(margins, look))
            verdict = verdict_of(margins, NAME, seen[-1].bounds[NAME])
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
    parser.add_argument("--losses", type=float, nargs="*", default=LOSSES)
    parser.add_argument("--decide", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    population = stored_population(*options.runs) if options.runs else made_population()
    names = ("better", "worse", "equivalent", "undecided") if options.decide else ("pass", "loss", "undecided")
    apart = f"the two models {100 * population.difference:+.2f} points apart"
    print(f"{len(population.wrong)} cells of {population.whole} images, {apart}; "
          f"margin {options.margin:g}, budget {options.budget or 'the whole suite'}, "
          f"{options.gates} simulations each\n")  # fmt: skip
    print(f"| true loss, points | {' | '.join(names)} | passes, mean | 90 % below |")
    print("| ---: |" + " ---: |" * (len(names) + 2), flush=True)
    for loss in options.losses:
        shares, passes = simulate(population, loss, options.gates, options.margin, options.budget or None,
                                  decide=options.decide, seed=options.seed)  # fmt: skip
        cells = " | ".join(f"{100 * shares.get(name, 0.0):.1f} %" for name in names)
        print(f"| {loss:+.2f} | {cells} | {passes.mean():,.0f} | {np.quantile(passes, 0.9):,.0f} |", flush=True)
        print(f"{loss:+.2f} done", file=sys.stderr)


if __name__ == "__main__":
    main()
