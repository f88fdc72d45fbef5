"""How often the intervals of sampled runs hold the truth, how wide they are, and how many passes they take.

    python benchmarks/sampling.py [RUN ...] [--with RUN] [--robustbench NAME:MODEL ...] [--clean] [--draws 1000]
        [--widths 2,1,0.5,0.25]

Each RUN is the folder of a run of all images of a suite (without any: the digits reference models, measured first,
about a minute). Every draw shuffles the images anew and grows the sample exactly as ``--within`` does, to one width
after another; nothing is run through a model. Printed are, for every value that a result of the sample shows, the share
of 95 % intervals for the full run that hold the full run's value, the share of those for new images that hold the
value of the population (in every other draw a suite's images are themselves drawn from the run's, with replacement),
the mean half-width, and the passes taken. Ctrl-C ends the draws early.

``--robustbench imagenet-c:Standard_R50`` makes up 50,000 (10,000) images with the published error of each cell, whose
answers hang together by a normal variable of the image (a correlation of 0.5, as of real networks).
``--with RUN`` uses another model's full run as a control variate; ``--clean`` the model's own clean pass, measured
whole.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robench.catalogue import row
from robench.metrics.cells import compute
from robench.metrics.influence import PerImage, per_image_values
from robench.metrics.sampling import next_size
from robench.metrics.spread import Controls
from robench.predictions import RunFolder
from robench.results.controls import known_of
from robench.results.precision import Sampled, full_run_interval, new_images_interval
from robench.results.protocols import clean_condition, protocol_of_run
from robench.results.summaries import CellArrays, summarise
from robench.suites.base import Cell, Suite
from robench.suites.drawing import Design, shuffled_names

MEANS = ("error", "brier", "nll")
CALIBRATION = ("rms_calibration_error_debiased", "ece_debiased")
LATENT = 0.5  # correlation of an image's cells, of the normal variables behind right and wrong
CALIBRATION_EVERY = 5  # draws: calibration errors take long


@dataclass(frozen=True)
class Population:
    """A full run: per-image values of the means, (cells, N) each, and what calibration errors are computed from."""

    name: str
    suite: Suite
    cells: tuple[Cell, ...]
    values: dict[str, np.ndarray]
    columns: list[dict[str, np.ndarray]] | None = None
    classes: np.ndarray | None = None
    known: np.ndarray | None = None  # (cells, N, k), control variates
    whole_clean: bool = False

    @property
    def images(self) -> int:
        """N."""
        return self.values["error"].shape[1]

    @property
    def clean(self) -> int | None:
        """The clean cell's place."""
        return next((i for i, c in enumerate(self.cells) if c.condition == clean_condition(self.suite)), None)


def of_run(path: Path, other: Path | None, clean: bool) -> Population:
    """Read a full run, whose cells must all be of the same images."""
    run = RunFolder.open(path)
    cells = {name: run.read(name).in_order() for name in run.done()}
    first = next(iter(cells.values()))
    if any(rows.frame is not None or not np.array_equal(rows.index, first.index) for rows in cells.values()):
        raise SystemExit(f"{path}: the cells are not of the same images, one row each")
    columns = [rows.columns() | {"index": np.arange(len(rows))} for rows in cells.values()]
    values = {}
    for name in MEANS:
        found = [per_image_values(name, of_cell) for of_cell in columns]
        values[name] = np.stack([one.values for one in found if one is not None]).astype(np.float32)
    suite, keep = protocol_of_run(run.record.suite), ("index", "predicted", "target", "confidence")
    known = []
    if clean:
        own = known_of(cells[clean_condition(suite) or ""])
        assert own is not None
        known.append(np.stack([own.values] * len(cells)))
    if other is not None:
        theirs = RunFolder.open(other)
        known.append(np.stack([one.values for c in cells if (one := known_of(theirs.read(c).in_order())) is not None]))
    return Population(
        f"{run.record.model.name} on {suite.name}", suite, tuple(map(Cell.parse, cells)), values,
        [{key: of_cell[key] for key in keep} for of_cell in columns], first.target.astype(np.int64),
        np.concatenate(known, axis=2).astype(np.float32) if known else None, clean,
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
    orders: list[np.ndarray] = [np.empty(0)] * len(places)
    for place, cell in enumerate(places):
        orders[cell] = design.order(place)
    drawn = min(world.images, max(25, int(np.ceil(1500 / len(places)))))
    for width in widths:
        while True:
            sampled = sample(world, orders, drawn)
            errors = sampled.summary_errors(target)
            assert errors is not None
            following = next_size(errors, drawn, world.images, width / row(target).factor)
            if following <= drawn:
                break
            drawn = following
        yield width, drawn, sampled


def sample(world: Population, orders: Sequence[np.ndarray], drawn: int) -> Sampled:
    """Return the first draws of every cell."""
    index = [np.sort(order[:drawn]) for order in orders]
    if world.whole_clean and world.clean is not None:
        index[world.clean] = np.arange(world.images)
    values = {
        name: [PerImage(rows, whole[rows].astype(np.float64)) for rows, whole in zip(index, of_cells, strict=True)]
        for name, of_cells in world.values.items()
    }
    controls = None
    if world.known is not None:
        known = [of_cell[rows].astype(np.float64) for rows, of_cell in zip(index, world.known, strict=True)]
        controls = Controls(known, world.known.mean(axis=1, dtype=np.float64))
    return Sampled(
        world.cells,
        np.full(len(index), world.images, np.int64),
        None if world.classes is None else tuple(world.classes[rows] for rows in index),
        values,
        {name: np.array([cell.values.mean() for cell in found]) for name, found in values.items()},
        world.suite,
        controls=controls,
    )


def with_calibration(world: Population, sampled: Sampled) -> Sampled:
    """Return the sample with its debiased calibration errors, computed from its rows alone."""
    assert world.columns is not None
    index = [cell.index for cell in sampled.values["error"]]
    columns = [
        {key: of[key][rows] for key, of in [(k, c) for k in c]} for rows, c in zip(index, world.columns, strict=True)
    ]
    values = {n: [per_image_values(n, of_cell) for of_cell in columns] for n in CALIBRATION}
    figures = {n: np.array([compute(n, of_cell) for of_cell in columns]) for n in CALIBRATION}
    return replace(sampled, values=values, metrics=figures, _spreads={}, _slopes={})


def drawn_anew(whole: Population, seed: int) -> Population:
    """Return a suite whose images are drawn from the population's, with replacement."""
    rows = np.random.default_rng(seed).integers(0, whole.images, whole.images)
    take = {name: found[:, rows] for name, found in whole.values.items()}
    columns = None if whole.columns is None else [
        {key: of[key][rows] for key in of} | {"index": np.arange(len(rows))} for of in whole.columns]  # fmt: skip
    return replace(
        whole, values=take, columns=columns, classes=None if whole.classes is None else whole.classes[rows],
        known=None if whole.known is None else whole.known[:, rows],
    )  # fmt: skip


def figures_of(sampled: Sampled, *, cells: bool = True) -> Iterator[tuple[str, str, float, object]]:
    """Yield every value that a result shows: what it is grouped under, its name, the value, its standard errors."""
    estimates = sampled.estimates
    for name, value in summarise(CellArrays(sampled.cells, estimates, sampled.suite)).items():
        yield name, name, float(value), sampled.summary_errors(name)
    if not cells:
        return
    for name in sampled.metrics:
        one = np.eye(len(estimates[name]))
        for place, value in enumerate(estimates[name]):
            yield f"{name} of a cell", f"{name} {place}", float(value), sampled.errors(name, one[place])


def truth_of(whole: Population, *, calibration: bool) -> dict[str, float]:
    """Return the values of all images, by name."""
    found = {name: of.mean(axis=1, dtype=np.float64) for name, of in whole.values.items()}
    if calibration and whole.columns is not None:
        found |= {n: np.array([compute(n, of) for of in whole.columns]) for n in CALIBRATION}
    truth = {name: float(v) for name, v in summarise(CellArrays(whole.cells, found, whole.suite)).items()}
    return truth | {f"{name} {place}": float(v) for name, of in found.items() for place, v in enumerate(of)}


def measure(whole: Population, widths: Sequence[float], draws: int, seed: int = 0) -> None:
    """Draw, and print a table."""
    target = "mce" if whole.suite.normaliser and len(whole.cells) >= 75 else "mean_error"
    if target not in truth_of(whole, calibration=False):
        target = "mean_error" if len(whole.cells) > 1 else "error"
    truth = truth_of(whole, calibration=True)
    hits: dict[tuple[float, str], list[tuple[float, float, float, float]]] = defaultdict(list)
    passes: dict[float, list[int]] = defaultdict(list)
    began = time.monotonic()
    done = 0
    for draw in _until_interrupted(seed, draws):
        done += 1
        anew = draw % 2 == 1
        world = drawn_anew(whole, draw) if anew else whole
        calibrated = whole.columns is not None and draw // 2 % CALIBRATION_EVERY == 0
        own = truth_of(world, calibration=calibrated) if anew else truth
        for width, drawn, found in grown(world, draw, widths, target):
            passes[width].append(drawn)
            for one in [found, with_calibration(world, found)] if calibrated else [found]:
                for group, name, value, errors in figures_of(one):
                    full, new = (
                        full_run_interval(value, errors, _plain(name)),
                        new_images_interval(value, errors, _plain(name)),
                    )
                    if full is None or new is None or np.isnan(own.get(name, np.nan)):
                        continue
                    held = full[0] - 1e-12 <= own[name] <= full[1] + 1e-12
                    of_all = new[0] - 1e-12 <= truth[name] <= new[1] + 1e-12 if anew else np.nan
                    reach = (full[1] - full[0]) / 2, (new[1] - new[0]) / 2
                    hits[width, group].append((held, of_all, *(row(_plain(name)).factor * r for r in reach)))
    show(whole, target, widths, hits, passes, done, time.monotonic() - began)


def _until_interrupted(seed: int, draws: int) -> Iterator[int]:
    """Yield the draws' numbers; Ctrl-C ends them early, and what was drawn is printed."""
    stopped: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
    try:
        for draw in range(seed, seed + draws):
            if stopped:
                break
            yield draw
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(name: str) -> str:
    return name.split(" ")[0]


def show(whole, target, widths, hits, passes, draws, seconds) -> None:  # type: ignore[no-untyped-def]
    """Print Markdown."""
    cells, images = len(whole.cells), whole.images
    print(f"\n**{whole.name}**: {cells} cells of {images:,} images, {draws:,} draws, {seconds:.0f} s\n")
    print(
        "| value | ±, asked of "
        + target
        + " | images per cell | of all passes | holds the full run's | ± | holds the population's | ± |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for group in dict.fromkeys(group for _, group in hits):
        for width in widths:
            found = np.array(hits[width, group], float)
            if not len(found):
                continue
            with np.errstate(invalid="ignore"):
                held, of_all, full, new = np.nanmean(found, axis=0)
            n = float(np.mean(passes[width]))
            print(f"| {group} | {width:g} | {n:,.0f} | {100 * n / images:.2f} % | {100 * held:.1f} % | {full:.3g} |"
                  f" {100 * of_all:.1f} % | {new:.3g} |")  # fmt: skip


def reference_runs(folder: Path) -> list[Path]:
    """Measure the digits reference models on all images."""
    import robench

    paths = []
    for model in ("standard", "augmix"):
        paths.append(folder / model)
        robench.evaluate(f"reference:digits/{model}", "digits-c", out=paths[-1], resamples=0, quiet=True, device="cpu")
    return paths


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--with", dest="other", type=Path, metavar="RUN")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--robustbench", nargs="*", default=[], metavar="SUITE:MODEL")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--widths", default="2,1,0.5,0.25")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    widths = [float(text) for text in given.widths.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        runs = given.runs or ([] if given.robustbench else reference_runs(Path(folder)))
        for run in runs:
            measure(of_run(run, given.other, given.clean), widths, given.draws, given.seed)
    for text in given.robustbench:
        name, _, model = text.partition(":")
        measure(made_up(name, model), widths, given.draws, given.seed)


if __name__ == "__main__":
    main()
