"""``robench calibrate``: temperature or vector scaling fitted on clean images, and what it does under shift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from robench.errors import RobenchError

HELP = """\
Fit a post-hoc calibration on held-out clean images of a run, and show its calibration under shift before and after.

**Examples**

    robench calibrate runs/digits-c/augmix-1a2b3c4d

    robench calibrate RUN --fit-run VALIDATION-RUN --method vector

Without --fit-run the images of the cell --fit-on are split: the fit sees those of even index, and the figures of
every cell are of the images of odd index, so that no image is on both sides. The run must have kept its logits.
"""

FIGURES = ("error", "rms_calibration_error", "rms_calibration_error_all_bins", "ece", "mce_calibration",
           "adaptive_ece", "overconfidence_gap", "brier", "brier_top_label", "nll")  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("calibrate", help=HELP)(calibrate)


def calibrate(
    run: Path = typer.Argument(..., help="Folder of a run that kept its logits."),
    fit_on: str = typer.Option("clean", help="The cell to fit on."),
    fit_run: Path | None = typer.Option(None, help="Another run of the same model to fit on, in place of a split."),
    method: str = typer.Option("temperature", help="temperature or vector."),
    out: Path | None = typer.Option(None, "--out", "-o", help="JSON to write; else RUN/calibration-METHOD.json."),
    resamples: int = typer.Option(1000, min=0, help="Bootstrap resamples of the intervals."),
    seed: int = typer.Option(0, help="Seed of the bootstrap."),
    json_: bool = typer.Option(False, "--json", help="Print the document."),
) -> int:
    """Fit, score and print; see HELP."""
    from robench.cli.common import print_json
    from robench.files import write_json
    from robench.metrics.temperature import FITS, scaled_columns
    from robench.predictions import RunFolder

    if method not in FITS:
        raise RobenchError(f"Unknown --method '{method}'.", hint="Choose temperature or vector.")
    folder = RunFolder.open(run)
    held_out = _fit_columns(RunFolder.open(fit_run) if fit_run else folder, fit_on, split=fit_run is None)
    scaling = FITS[method](held_out["logits"], held_out["target"])
    cells = {name: _kept(folder, name, split=fit_run is None) for name in folder.done()}
    before = _figures(cells, resamples, seed)
    after = _figures({name: scaled_columns(columns, scaling) for name, columns in cells.items()}, resamples, seed)
    document = {
        "kind": "robench-calibration",
        "model": folder.record.info["model"]["name"],
        "method": method,
        "temperature": scaling.temperature if method == "temperature" else None,
        "scale": scaling.scale.reshape(-1).tolist(),
        "bias": scaling.bias.tolist(),
        "fit": {"run": str(fit_run or run), "cell": fit_on, "images": len(held_out["target"])},
        "resamples": resamples,
        "seed": seed,
        "before": before,
        "after": after,
    }
    path = out or run / f"calibration-{method}.json"
    write_json(path, document)
    if json_:
        print_json(document)
    else:
        _print(document, path)
    return 0


def _columns(folder: Any, cell: str) -> dict[str, Any]:
    columns = folder.read(cell).columns()
    if "logits" not in columns or "targets" in columns or "frame" in columns or (columns["target"] < 0).any():
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no logits with one label an image.",
            hint="Evaluate into a new folder with `robench evaluate --logits yes` on a classification suite.",
        )
    return dict(columns)


def _part(columns: dict[str, Any], odd: int) -> dict[str, Any]:
    rows = columns["index"] % 2 == odd
    return {name: column[rows] for name, column in columns.items()}


def _fit_columns(folder: Any, cell: str, *, split: bool) -> dict[str, Any]:
    columns = _columns(folder, cell)
    return _part(columns, 0) if split else columns


def _kept(folder: Any, cell: str, *, split: bool) -> dict[str, Any]:
    columns = _columns(folder, cell)
    return _part(columns, 1) if split else columns


def _figures(cells: dict[str, dict[str, Any]], resamples: int, seed: int) -> dict[str, Any]:
    """Return figures with intervals of the clean cell, of every shifted cell, and of their mean."""
    import numpy as np

    from robench.metrics.statistics import bootstrap_cells, interval
    from robench.metrics.table import METRICS

    names = list(cells)
    values = {m: np.array([METRICS[m].compute(cells[name]) for name in names]) for m in FIGURES}
    # Only means and binned errors are quick to resample; the others stand without an interval.
    resampled = [m for m in FIGURES if m not in ("mce_calibration", "adaptive_ece")]
    replicates = bootstrap_cells(list(cells.values()), resampled, resamples=resamples, seed=seed)
    shifted = [i for i, name in enumerate(names) if name != "clean"]
    groups = {name: [i] for i, name in enumerate(names)} | ({"mean under shift": shifted} if shifted else {})

    def figure(metric: str, positions: list[int]) -> dict[str, float | None]:
        found: dict[str, float | None] = {"value": _finite(values[metric][positions].mean())}
        if metric in replicates and resamples:
            low, high = interval(replicates[metric][:, positions].mean(axis=1))
            found |= {"low": _finite(low), "high": _finite(high)}
        return found

    return {group: {m: figure(m, positions) for m in FIGURES} for group, positions in groups.items()}


def _finite(value: Any) -> float | None:
    import math

    return float(value) if math.isfinite(value) else None


def _print(document: dict[str, Any], path: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    found = document["temperature"]
    title = f"{document['model']}: {document['method']} scaling" + (f", T = {found:.4f}" if found else "")
    groups = [group for group in ("clean", "mean under shift") if group in document["before"]]
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("figure")
    for group in groups or list(document["before"])[:1]:
        table.add_column(f"{group}, before", justify="right")
        table.add_column(f"{group}, after", justify="right")
    for metric in FIGURES:
        row = [
            _show(document[side][group][metric], metric)
            for group in groups or list(document["before"])[:1]
            for side in ("before", "after")
        ]
        table.add_row(metric, *row)
    Console().print(table)
    print(path)


def _show(figure: dict[str, Any], metric: str) -> str:
    from robench.cli.common import show_figure
    from robench.results.schema import Figure

    return show_figure(Figure(**figure), metric)
