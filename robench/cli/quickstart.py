"""``robench quickstart``: from nothing to a robustness and calibration report in a minute, without data or GPU."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from robench.results.comparing import Comparison
    from robench.results.schema import Result

MODELS = ("digits/augmix", "digits/standard")
SUITE = "digits-c"

HELP = """\
Evaluate two small models (standard training and AugMix) on corrupted handwritten digits, and make a report.

Needs no data, no GPU and no network: the digits are scikit-learn's, the models come with robench.

**Examples**

    robench quickstart

    robench quickstart --out my-report

A second call takes up the results of the first.
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("quickstart", help=HELP)(quickstart)


def quickstart(
    out: Path = typer.Option(Path("robench-quickstart"), "--out", "-o", help="Folder for results, plots and report."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress and no table."),
) -> int:
    """Evaluate, print, draw and write the report; see HELP."""
    began = time.monotonic()
    if not quiet:
        print(f"robench quickstart: {len(MODELS)} models on {SUITE} (15 corruptions, 5 severities, made on the fly)")
    with _evaluating_beside(MODELS[1:], out):
        results = [_evaluate(MODELS[0], out, quiet)]
    results += [_evaluate(name, out, quiet) for name in MODELS[1:]]
    comparison = _compare(results, out)
    made = _draw_and_write(results, comparison, out)
    if not quiet:
        _print(results, comparison, made, out, time.monotonic() - began)
    return 0


def run_folder(out: Path, name: str) -> Path:
    """Return where quickstart keeps the run of a model."""
    return out / name.rpartition("/")[2]


@contextmanager
def _evaluating_beside(names: Sequence[str], out: Path) -> Iterator[None]:
    """Evaluate other models in processes of their own meanwhile, one core each, where there are cores for it.

    Models as small as these gain next to nothing from a second thread, but everything from a second process. What
    such a process does not finish, for whatever reason, is measured afterwards as if it had not been there.
    """
    left = [name for name in names if not (run_folder(out, name) / "result.json").exists()]
    if not left or (os.cpu_count() or 1) <= len(left):
        yield
        return
    import torch

    alone = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-c",
        "import sys; from robench.cli.quickstart import measure_backwards as m; m(*sys.argv[1:])",
    ]
    beside = [
        subprocess.Popen(
            [*command, name, str(run_folder(out, name))],
            env=alone,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name in left
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - len(left)))
    try:
        yield
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
    from robench.evaluation import evaluate_suite
    from robench.models import load_model
    from robench.suites import fit_to_model, open_suite
    from robench.suites.base import OpenOptions

    opened = open_suite(SUITE, None, OpenOptions())
    model = load_model(f"reference:{name}", num_classes=opened.suite.num_classes)
    opened = fit_to_model(opened, model.preprocessing.geometry)
    evaluate_suite(model, opened, folder, cells=list(reversed(opened.suite.cells)))


def _evaluate(name: str, out: Path, quiet: bool) -> Result:
    from robench.api import evaluate

    try:
        return evaluate(f"reference:{name}", SUITE, out=run_folder(out, name), quiet=quiet)
    except KeyboardInterrupt:
        from robench.cli.evaluate import stopped

        raise stopped() from None


def _compare(results: list[Result], out: Path) -> Comparison:
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


def _draw_and_write(results: list[Result], comparison: Comparison, out: Path) -> dict[str, str]:
    """Draw the plots and write the page, unless they are there and newer than the results."""
    from robench.files import atomic_write

    page = out / "report.html"
    names = {
        "severity": "error and calibration against severity, with 95 % bands",
        "reliability": "reliability diagrams, clean and at severity 5",
        "corruptions": "error under each corruption",
    }
    made = {"report.html": "everything on one page"} | {f"plots/{key}.png": text for key, text in names.items()}
    comparison_time = (out / "comparison.json").stat().st_mtime_ns
    if all((out / name).exists() and (out / name).stat().st_mtime_ns > comparison_time for name in made):
        return made
    from robench import plots
    from robench.cli.report import figures_for

    for key, figure in {
        "severity": plots.severity(results),
        "reliability": plots.reliability(results),
        "corruptions": plots.corruptions(results),
    }.items():
        for suffix in ("png", "svg"):
            plots.save(figure, out / "plots" / f"{key}.{suffix}")
    from robench.tables.report import render_html

    text = render_html(results, figures_for(results), comparison)
    with atomic_write(page) as file:
        file.write(text.encode())
    return made


def _print(results: list[Result], comparison: Comparison, made: Mapping[str, str], out: Path, seconds: float) -> None:
    from robench.cli.common import print_summary
    from robench.cli.compare import differences_text

    print_summary(results, differences_text(comparison))
    print("* = significant at the 5 % level (paired bootstrap over images)\n")
    for sentence in comparison.sentences:
        print(f"- {sentence}")
    print(f"\nMade in {seconds:.0f} s, in {out}/:")
    lines: dict[str, Any] = dict(made)
    for name in MODELS:
        folder = run_folder(out, name).name
        lines[f"{folder}/result.json"] = f"every number of {name} with its interval"
        lines[f"{folder}/predictions/"] = "per-image predictions, one Parquet file per cell"
    for name, text in lines.items():
        print(f"  {name:<28} {text}")
    print(_NEXT.format(a=run_folder(out, MODELS[0]), b=run_folder(out, MODELS[1])))


_NEXT = """
Next:
  robench compare {a} {b} --cells     which differences are significant, cell by cell
  robench metrics {a} --metric adaptive_ece,aurc     other metrics, without the model
  robench evaluate --model timm:resnet50 --suite imagenet-c --data ImageNet-C     your own model
  robench suites list     what else can be measured
"""
