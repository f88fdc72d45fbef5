"""How often the intervals of sampled runs hold the truth, how wide they are, and how many passes they take.

    python benchmarks/sampling.py [RUN ...] [--robustbench NAME:MODEL ...] [--with RUN | --without RUN] [--clean]
        [--draws 1000] [--widths 2,1,0.5,0.25] [--means] [--processes 2] [--keep FILE] [--minutes 4]

Each RUN is the folder of a run of all images of a suite (without any: the digits reference models, measured first,
about a minute). Every draw shuffles the images anew and grows the sample exactly as ``--within`` does, to one width
after another; nothing is run through a model. Printed are, for every value that a result of the sample shows, the share
of 95 % intervals for the full run that hold the full run's value (of so many draws), the share of those for new images
that hold the population's (of as many draws again, of a suite whose images are drawn from the run's, with
replacement), the mean half-widths, and the passes taken. Shares that stray from 95 % by more than 2.5 of their standard
errors are starred. Of values of single cells a draw takes eight cells, other ones each time.

``--robustbench imagenet-c:Standard_R50`` makes up 50,000 (10,000) images with the published error of each cell, whose
answers hang together by a normal variable of the image (a correlation of 0.5, as of real networks).
``--with RUN`` uses another model's full run as a control variate, in the cells that both have (``--without RUN``: those
cells, without it); ``--clean`` the model's own clean pass, measured whole. ``--means`` looks at means over cells only,
and at the full run only. ``--keep FILE`` adds every draw to a file of JSON lines; draws that stand there are not made
again. Ctrl-C, or ``--minutes``, ends the draws early.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sampling_worlds import Population, grown, made_up, of_run, with_calibration

from robench.catalogue import row
from robench.results.intervals import full_run_interval, new_images_interval
from robench.results.precision import Sampled
from robench.results.summaries import CellArrays, summarise

CELLS = 8  # of every draw, whose own values are looked at
Found = tuple[float, int, str, float, float]  # width, images per cell, group, share of values held, half-width


def figures_of(sampled: Sampled, draw: int, means_only: bool) -> Iterator[tuple[str, str, float, object]]:
    """Yield every value that a result shows: what it is grouped under, its name, the value, its standard errors."""
    estimates = sampled.estimates
    for name, value in summarise(CellArrays(sampled.cells, estimates, sampled.suite)).items():
        yield name, name, float(value), sampled.summary_errors(name)
    if means_only:
        return
    places = (CELLS * draw + np.arange(CELLS)) % len(sampled.cells)
    for name in sampled.metrics:
        for place in places if len(sampled.cells) > 1 else []:
            errors = sampled.errors(name, np.eye(len(sampled.cells))[place])
            yield f"{name} of a cell", f"{name} {place}", float(estimates[name][place]), errors


def draw_of(
    whole: Population, truth: dict[str, float], widths: Sequence[float], target: str, means_only: bool, draw: int
) -> list[Found]:
    """Return what one draw found; every other one is of a suite drawn from the population."""
    anew = draw % 2 == 1
    world, interval = (whole.anew(draw), new_images_interval) if anew else (whole, full_run_interval)
    found: dict[tuple[float, int, str], list[tuple[float, float]]] = defaultdict(list)
    for width, drawn, means in grown(world, draw, widths, target):
        for one in (means, None if means_only else with_calibration(world, means)):
            for group, name, value, errors in figures_of(one, draw // 2, means_only) if one is not None else ():
                plain = name.split(" ")[0]
                ends = interval(value, errors, plain)  # type: ignore[arg-type]
                if ends is not None and not np.isnan(truth.get(name, np.nan)):
                    held = ends[0] - 1e-12 <= truth[name] <= ends[1] + 1e-12
                    found[width, drawn, group].append((held, row(plain).factor * (ends[1] - ends[0]) / 2))
    return [(*key, *np.mean(of, axis=0).tolist()) for key, of in found.items()]


def measure(whole: Population, widths: Sequence[float], given: argparse.Namespace) -> None:
    """Draw, and print a table."""
    truth = whole.truth()
    target = "mce" if whole.suite.normaliser and len(whole.cells) >= 75 else "mean_error"
    if target not in truth:
        target = "error"
    found = _kept(given.keep)
    draws = range(2 * given.seed, 2 * (given.seed + given.draws), 2 if given.means else 1)
    began, left = time.monotonic(), [draw for draw in draws if draw not in found]
    work = partial(_numbered, partial(draw_of, whole, truth, widths, target, given.means))
    pool = multiprocessing.get_context("fork").Pool(given.processes, signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        for draw, of_draw in pool.imap_unordered(work, left):
            found[draw] = of_draw
            if given.keep is not None:
                with given.keep.open("a") as file:
                    file.write(json.dumps([draw, of_draw]) + "\n")
            if time.monotonic() - began > 60 * given.minutes:
                break
    except KeyboardInterrupt:
        pass
    finally:
        pool.terminate()
    seconds = time.monotonic() - began
    done = [sum(draw % 2 == odd for draw in found) for odd in (0, 1)]
    print(f"\n**{whole.name}**: {len(whole.cells)} cells of {whole.images:,} images, {done[0]:,} draws, "
          f"and {done[1]:,} of suites drawn anew, {seconds:.0f} s\n")  # fmt: skip
    show(whole.images, target, widths, found)


def _numbered(of_draw, draw: int) -> tuple[int, list[Found]]:  # type: ignore[no-untyped-def]
    return draw, of_draw(draw)


def _kept(keep: Path | None) -> dict[int, list[Found]]:
    if keep is None or not keep.exists():
        return {}
    return {draw: [tuple(one) for one in of] for draw, of in map(json.loads, keep.read_text().splitlines())}


def show(images: int, target: str, widths: Sequence[float], found: dict[int, list[Found]]) -> None:
    """Print Markdown: a column for each width; shares of the full run's intervals, and of those for new images."""
    hits: dict[tuple[str, float, int], list[tuple[int, float, float]]] = defaultdict(list)
    for draw, of_draw in sorted(found.items()):
        for width, drawn, group, held, reach in of_draw:
            hits[group, width, draw % 2].append((drawn, held, reach))
    groups = [group for group in dict.fromkeys(group for group, _, _ in hits) if group != "robust_accuracy"]
    head = [f"±{width:g}" for width in widths]
    print(f"| value | {' | '.join(f'{one} of {_shown(target)}' if one == head[0] else one for one in head)} |")
    print("| --- |" + " --- |" * len(widths))
    drawn = [np.mean([one[0] for odd in (0, 1) for one in hits[groups[0], width, odd]]) for width in widths]
    print("| images per cell | " + " | ".join(f"{n:,.0f} ({100 * n / images:.2f} %)" for n in drawn) + " |")
    for group in groups:
        cells = []
        for width in widths:
            shares = [_share(hits[group, width, odd], sum(draw % 2 == odd for draw in found)) for odd in (0, 1)]
            cells.append("; ".join(one for one in shares if one) or "–")
        if set(cells) != {"–"}:
            print(f"| {_shown(group)} | {' | '.join(cells)} |")


def _shown(group: str) -> str:
    name, _, rest = group.partition(" ")
    return f"{row(name).short or row(name).title} {rest}".rstrip()


def _share(of: list[tuple[int, float, float]], draws: int) -> str:
    """Return the share that held and the mean half-width; nothing where half of the samples do not show the value."""
    if not of or len(of) < draws / 2:
        return ""
    _, held, reach = np.array(of).T
    error = max(held.std(), 0.05) / np.sqrt(len(held))
    mark = "*" if abs(held.mean() - 0.95) > 2.5 * error else ""
    return f"{100 * held.mean():.1f}{mark} ±{reach.mean():.3g}"


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
    parser.add_argument("--without", type=Path, metavar="RUN")
    parser.add_argument("--means", action="store_true")
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--robustbench", nargs="*", default=[], metavar="SUITE:MODEL")
    parser.add_argument("--draws", type=int, default=1000, help="of the run's images, and as many of suites drawn anew")
    parser.add_argument("--widths", default="2,1,0.5,0.25")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="for one RUN or model")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    given = parser.parse_args()
    widths = [float(text) for text in given.widths.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        runs = given.runs or ([] if given.robustbench else reference_runs(Path(folder)))
        for run in runs:
            whole = of_run(run, given.other or given.without, given.clean)
            measure(whole if given.without is None else replace(whole, known=None), widths, given)
    for text in given.robustbench:
        name, _, model = text.partition(":")
        measure(made_up(name, model), widths, given)


if __name__ == "__main__":
    main()
