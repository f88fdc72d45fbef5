"""``robench.quickstart()``: from nothing to a robustness and calibration report in a minute, without data or GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import place, spelled_out

if TYPE_CHECKING:
    from robench.results.comparing import Comparison
    from robench.results.schema import Result

MODELS = ("digits/augmix", "digits/standard")
SUITE = "digits-c"
_PLOTS = {
    "severity": "error and calibration against severity, with 95 % bands",
    "reliability": "reliability diagrams, clean and at severity 5",
    "corruptions": "error under each corruption",
}


@dataclass(frozen=True)
class Quickstart:
    """What :func:`quickstart` wrote.

    Args:
        results: of AugMix and of the standard model.
        comparison: paired, on the same images.
        files: file below the folder -> what it shows.
        folders: the folders of the two runs.
    """

    results: tuple[Result, ...]
    comparison: Comparison
    files: dict[str, str]
    folders: tuple[Path, ...]


@spelled_out()
def quickstart(out: Place = "robench-quickstart", *, quiet: bool = False) -> Quickstart | None:
    """Evaluate two small models on corrupted digits, compare them, and write plots and a report.

    Args:
        out: folder for results, plots and report; a second call reuses its results.
        quiet: show no progress.

    Returns:
        Results and files; None under ``torchrun`` in all processes but the first.
    """
    folder = place("out", out)
    with _evaluating_beside(MODELS[1:], folder) as beside:
        results = [_evaluate(MODELS[0], folder, quiet)]
    results += [_evaluate(name, folder, quiet, beside=name in beside) for name in MODELS[1:]]
    found = tuple(result for result in results if result is not None)
    if len(found) < len(MODELS):
        return None
    comparison = _compare(folder)
    files = _draw_and_write(found, comparison, folder)
    return Quickstart(found, comparison, files, tuple(run_folder(folder, name) for name in MODELS))


def run_folder(out: Path, name: str) -> Path:
    """Return where quickstart keeps the run of a model."""
    return out / name.rpartition("/")[2]


@contextmanager
def _evaluating_beside(names: Sequence[str], out: Path) -> Iterator[list[str]]:
    """Evaluate other models in processes of their own meanwhile, one core each, where there are cores for it.

    Models as small as these gain next to nothing from a second thread, but everything from a second process. What
    such a process does not finish, for whatever reason, is measured afterwards as if it had not been there.
    """
    left = [name for name in names if not (run_folder(out, name) / "result.json").exists()]
    if not left or (os.cpu_count() or 1) <= len(left):
        yield []
        return
    import torch

    alone = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    script = "import sys; from robench.api.quickstart import measure_backwards as m; m(*sys.argv[1:])"
    beside = [
        subprocess.Popen(
            [sys.executable, "-c", script, name, str(run_folder(out, name))],
            env=alone,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in left
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - len(left)))
    try:
        yield left
        for process in beside:
            process.wait()
    finally:
        torch.set_num_threads(threads)
        for process in beside:
            if process.poll() is None:
                process.terminate()  # finished cells are safe, whenever it comes
                process.wait()


def measure_backwards(name: str, folder: str) -> None:
    """Measure a model's cells from the last to the first: what a process beside the main one does.

    On a machine's first run the loops over pixels are compiled and kept on the disk. Two processes that begin at
    opposite ends compile half of them each.
    """
    from robench.api.evaluate import loaded_and_opened
    from robench.api.packing import pack
    from robench.evaluation import evaluate_suite

    model, opened = loaded_and_opened(f"reference:{name}", SUITE, None, pack({}))
    evaluate_suite(model, opened, folder, cells=list(reversed(opened.suite.cells)))


def _evaluate(name: str, out: Path, quiet: bool, *, beside: bool = False) -> Result | None:
    """Evaluate a model; ``beside``: a process of this call has measured it, so "nothing was run" would be wrong."""
    from robench.api.evaluate import evaluate
    from robench.results import load

    found = evaluate(f"reference:{name}", SUITE, out=run_folder(out, name), quiet=quiet)
    return found if found is None or not beside else load(run_folder(out, name))


def _compare(out: Path) -> Comparison:
    """Compare the two runs, or take the comparison that was made of the same results."""
    from robench.files import write_json
    from robench.predictions import RunFolder
    from robench.results.comparing import Comparison, compare_runs

    path = out / "comparison.json"
    newest = max((run_folder(out, name) / "result.json").stat().st_mtime_ns for name in MODELS)
    if path.exists() and path.stat().st_mtime_ns > newest:
        return Comparison.model_validate_json(path.read_text())
    comparison = compare_runs(*(RunFolder.open(run_folder(out, name)) for name in MODELS))
    write_json(path, comparison.model_dump(mode="json"))
    return comparison


def _draw_and_write(results: Sequence[Result], comparison: Comparison, out: Path) -> dict[str, str]:
    """Draw the plots and write the page, unless they are there and newer than the results."""
    files = {"report.html": "everything on one page"} | {f"plots/{key}.png": text for key, text in _PLOTS.items()}
    compared = (out / "comparison.json").stat().st_mtime_ns
    if all((out / name).exists() and (out / name).stat().st_mtime_ns > compared for name in files):
        return files
    from robench import plots
    from robench.api.report import plots_for
    from robench.files import atomic_write
    from robench.tables.report import render_html

    for key in _PLOTS:
        drawn = getattr(plots, key)(results)
        for suffix in ("png", "svg"):
            plots.save(drawn, out / "plots" / f"{key}.{suffix}")
    text = render_html(results, plots_for(results), comparison)
    with atomic_write(out / "report.html") as file:
        file.write(text.encode())
    return files
