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
every cell are of the images of odd index, so that no image is on both sides. Images of a --fit-run on the same data
are left out of the figures likewise. The run must have kept its logits.
Every figure has its 95 % interval; before and after are resampled together.
"""

SHIFTED = "mean under shift"
# Resampling the class-wise error reads every logit once a resample; beyond this many reads it takes over ten minutes.
_MOST_READS = 10**12


def shown_metrics() -> tuple[str, ...]:
    """Return the metrics that are computed before and after: what a scaling of the logits can change, and the error."""
    from robench.catalogue import METRICS

    rows = [METRICS.get(name) for name in METRICS]
    chosen = [row.name for row in rows if row.family in ("calibration", "likelihood") and "classification" in row.tasks]
    return ("error", *chosen, "aurc")


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
    seed: int = typer.Option(0, min=0, help="Seed of the bootstrap."),
    json_: bool = typer.Option(False, "--json", help="Print the document."),
) -> int:
    """Fit, score and print; see HELP."""
    from robench.cli.common import print_json
    from robench.files import write_json
    from robench.metrics.temperature import FITS, scaled_columns
    from robench.predictions import RunFolder

    if method not in FITS:
        raise RobenchError(f"Unknown --method '{method}'.", hint="Choose temperature or vector.")
    folder, fitted = RunFolder.open(run), _fit_folder(run, fit_run)
    if fit_on not in (there := fitted.done()):
        raise RobenchError(
            f"{fitted.path} has no finished cell '{fit_on}' to fit on.", hint=f"It has: {', '.join(there) or 'none'}."
        )
    held_out = _columns(fitted, fit_on, None if fit_run else 0)
    scaling = FITS[method](held_out["logits"], held_out["target"])
    cells = {name: _columns(folder, name, None if fit_run else 1) for name in folder.done()}
    if fit_run and _same_images(folder, fitted):
        cells = {name: _without(columns, held_out["index"], fit_run) for name, columns in cells.items()}
    before = _figures(cells, fit_on, resamples, seed)
    scaled = {name: scaled_columns(columns, scaling) for name, columns in cells.items()}
    after = _figures(scaled, fit_on, resamples, seed)
    document = {
        "kind": "robench-calibration",
        "model": folder.record.model.name,
        "method": method,
        "temperature": scaling.temperature if method == "temperature" else None,
        "scale": scaling.scale.reshape(-1).tolist(),
        "bias": scaling.bias.tolist(),
        "fit": {"run": str(fit_run or run), "cell": fit_on, "images": len(held_out["target"])},
        "notes": _notes(scaled_columns(held_out, scaling)),
        "images": {name: len(columns["target"]) for name, columns in cells.items()},
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


def _fit_folder(run: Path, fit_run: Path | None) -> Any:
    """Return the folder to fit on: another one of the same model, or the run's own."""
    from robench.predictions import RunFolder

    own = RunFolder.open(run)
    if fit_run is None:
        return own
    if fit_run.resolve() == run.resolve():
        raise RobenchError(
            "--fit-run is the run itself: its images would be on both sides.",
            hint="Leave --fit-run away to split the run's images, or give a run on held-out images.",
        )
    other = RunFolder.open(fit_run)
    models = [folder.record.model for folder in (own, other)]
    if models[0].hash != models[1].hash:
        raise RobenchError(
            f"{fit_run} is a run of another model ({models[1].name}) than {run} ({models[0].name}).",
            hint="A calibration holds for the model it was fitted on; evaluate this model on held-out images.",
        )
    return other


def _columns(folder: Any, cell: str, parity: int | None) -> dict[str, Any]:
    """Return a cell's columns, of images of even (0) or odd (1) index only where a parity is given."""
    columns = dict(folder.read(cell).columns())
    if "logits" not in columns or "targets" in columns or "frame" in columns or (columns["target"] < 0).any():
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no logits with one label an image.",
            hint="Evaluate into a new folder with `robench evaluate --logits yes` on a classification suite.",
        )
    rows = slice(None) if parity is None else columns["index"] % 2 == parity
    return {name: column[rows] for name, column in columns.items()}


def _notes(fitted: dict[str, Any]) -> list[str]:
    """Return what makes a calibration mean nothing, from the columns of its fit after it."""
    import numpy as np

    classes = fitted["logits"].shape[1]
    if (fitted["predicted"] == fitted["target"]).all():
        return [
            "Every image of the fit is right after it, so its loss falls the more the sharper the logits: how sharp"
            " they came out says nothing. Fit on more or harder images (--fit-on, --fit-run)."
        ]
    if fitted["nll"].mean() > 0.99 * np.log(classes):
        return ["On the images of the fit the model is no better than chance, so the calibration flattens its answers."]
    return []


def _same_images(folder: Any, fitted: Any) -> bool:
    """Return whether two runs are on the same data, whatever their --limit: their indices then mean the same images."""
    protocols = [run.record.identity.protocol for run in (folder, fitted)]
    there, here = ({key: value for key, value in protocol.items() if key != "limit"} for protocol in protocols)
    return bool(there == here)


def _without(columns: dict[str, Any], index: Any, fit_run: Path) -> dict[str, Any]:
    """Return the columns of the images that the fit has not seen."""
    import numpy as np

    rows = ~np.isin(columns["index"], index)
    if not rows.any():
        raise RobenchError(
            f"{fit_run} has every image of the run: nothing is left that the calibration was not fitted on.",
            hint="Leave --fit-run away to split the run's images, or give a run on held-out images.",
        )
    return {name: column[rows] for name, column in columns.items()}


def _shifted(names: list[str], fit_on: str) -> list[int]:
    """Return the positions of the cells that a result's means are of: without the held-out corruptions."""
    from robench.corruptions.severities import BENCHMARK

    shifted = [i for i, name in enumerate(names) if name not in ("clean", fit_on)]
    return [i for i in shifted if names[i].partition("/")[0] in BENCHMARK] or shifted


def _figures(cells: dict[str, dict[str, Any]], fit_on: str, resamples: int, seed: int) -> dict[str, Any]:
    """Return figures with intervals of every cell, and of the mean over the shifted ones."""
    import numpy as np

    from robench.catalogue import row
    from robench.metrics.cells import compute, mean_over_cells
    from robench.metrics.statistics import bootstrap_cells
    from robench.results.scoring import figure

    names, metrics = list(cells), shown_metrics()
    values = {m: np.array([compute(m, cells[name]) for name in names]) for m in metrics}
    reads = resamples * sum(columns["logits"].size for columns in cells.values())
    resampled = [m for m in metrics if m != "classwise_ece" or reads <= _MOST_READS]
    replicates = bootstrap_cells(list(cells.values()), resampled, resamples=resamples, seed=seed)
    shifted = _shifted(names, fit_on)
    groups = {name: [i] for i, name in enumerate(names)} | ({SHIFTED: shifted} if shifted else {})

    def of_group(metric: str, positions: list[int]) -> dict[str, Any]:
        value = float(mean_over_cells(metric, values[metric][positions]))
        if metric not in replicates:
            return {"value": value, "note": "no interval: too many logits to resample"}
        images = min(len(cells[names[i]]["target"]) for i in positions) if row(metric).share else None
        found = figure(
            value, mean_over_cells(metric, replicates[metric][:, positions]), metric, images=images
        ).model_dump()
        return {key: value for key, value in found.items() if key == "value" or value is not None}

    return {group: {m: of_group(m, positions) for m in metrics} for group, positions in groups.items()}


def _print(document: dict[str, Any], path: Path) -> None:
    from rich import box
    from rich.table import Table

    from robench.catalogue import row
    from robench.cli.common import console
    from robench.results.labels import show
    from robench.results.schema import Value

    found, screen = document["temperature"], console()
    print(f"{document['model']}: {document['method']} scaling" + (f", T = {found:.5g}" if found else ""))
    fit, images = document["fit"], sorted(set(document["images"].values()))
    shown = " to ".join(f"{count:,}" for count in dict.fromkeys((images[0], images[-1])))
    print(f"Fitted on {fit['images']:,} images of '{fit['cell']}'; the figures are of {shown} others a cell.")
    for note in document["notes"]:
        print(f"note: {note}")
    groups = [group for group in (document["fit"]["cell"], SHIFTED) if group in document["before"]]
    for group in groups or list(document["before"])[:1]:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
        for head in (group, "before", "after"):
            table.add_column(head, justify="left" if head == group else "right", no_wrap=head != group)
        for metric in shown_metrics():
            both = (Value(**document[side][group][metric]) for side in ("before", "after"))
            table.add_row(row(metric).axis, *(show(figure, metric, interval=True) for figure in both))
        screen.print(table)
    print(path)
