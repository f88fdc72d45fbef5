"""``robench evaluate``: one model (or an ensemble) on one suite, by its published protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.results.schema import Result

HELP = """\
Measure a model on a suite; stop at any moment and run it again to go on.

**Examples**

    robench evaluate --model reference:digits/augmix --suite digits-c

    robench evaluate --model wrn.pth --arch wrn-40-2 --norm-preset half --suite cifar10-c --data CIFAR-10-C

    robench evaluate --model timm:resnet50.a1_in1k --suite imagenet-c --data ImageNet-C --device cuda --precision bf16

    robench evaluate --model python:mymodel.py:make --suite cifar10-c --data cifar-10-batches-py

    robench evaluate --models models.yaml --suite cifar10-c,cifar10-p --data cifar-10-batches-py --dry-run

    torchrun --nproc-per-node 8 -m robench evaluate --model big.pt2 --suite imagenet-c --data ImageNet-C

The run goes to runs/SUITE/MODEL-HASH (or --out): one Parquet file of predictions a cell, and result.json.
`robench suites list` names the suites, `robench models list` the architectures.
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("evaluate", help=HELP)(evaluate)


def evaluate(
    model: list[str] = typer.Option(
        [], "--model", "-m", help="Path, timm:NAME, torchvision:NAME, hf:ID, reference:NAME, python:FILE:FUNCTION."
    ),
    suite: str = typer.Option(..., "--suite", "-s", help="What to measure; see `robench suites list`."),
    data: list[str] = typer.Option(
        [], help="The suite's files, or the clean images it is generated from; SUITE=PATH where there are several."
    ),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder of the run."),
    arch: str | None = typer.Option(None, help="Architecture of a state dict: ours, a timm or torchvision name."),
    num_classes: int | None = typer.Option(None, min=1, help="Classes the model puts out; else the suite's."),
    mean: str | None = typer.Option(None, help="Normalisation, e.g. 0.4914,0.4822,0.4465 (images in [0, 1])."),
    std: str | None = typer.Option(None, help="Normalisation, e.g. 0.2470,0.2435,0.2616."),
    norm_preset: str | None = typer.Option(None, help="cifar10, cifar100, imagenet, half or none."),
    norm: str = typer.Option("bn", help="Of our architectures: bn, dubn, dubin, splitbn or splitbn-shared."),
    ema: bool = typer.Option(False, help="Prefer the averaged (EMA) weights of a checkpoint."),
    ensemble: str = typer.Option("mean-prob", help="How several --model are joined: mean-prob or mean-logit."),
    name: str | None = typer.Option(None, help="What tables call the model."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, cuda:1, mps."),
    precision: str = typer.Option("fp32", help="fp32, bf16 or fp16."),
    batch_size: int | None = typer.Option(
        None, min=1, help="Images at a time; halved when memory runs out. Moves logits by float noise only."
    ),
    compile_: bool = typer.Option(False, "--compile", help="Use torch.compile."),
    fold: bool = typer.Option(False, "--fold", help="Fold batch norms into convolutions: faster, same to float noise."),
    workers: int | None = typer.Option(
        None, min=1, help="Threads that decode pictures (default: one per core this process may use)."
    ),
    logits: str = typer.Option("auto", help="Keep logits: yes, no, or auto (up to 32 classes)."),
    corruption: str | None = typer.Option(None, help="Only these conditions, e.g. fog,snow."),
    severity: str | None = typer.Option(None, help="Only these severities, e.g. 3,5."),
    limit: int | None = typer.Option(
        None, min=1, help="Only a sample of each cell's images, the same for every model (marked incomplete)."
    ),
    seed: int = typer.Option(0, help="Seed of generated corruptions."),
    split: str | None = typer.Option(None, help="Split of the data, where it has several (default: test)."),
    clean: Path | None = typer.Option(None, help="The matching clean images, where --data holds only corrupted ones."),
    difficulty: int | None = typer.Option(None, min=1, max=3, help="Difficulty of perturbation sequences."),
    definition: Path | None = typer.Option(None, help="YAML definition of a metadata split of your own."),
    frost: Path | None = typer.Option(None, help="Folder with the original frost pictures."),
    resize: int | None = typer.Option(None, min=1, help="Resize the shorter side to this."),
    crop: int | None = typer.Option(None, min=1, help="Centre crop to this."),
    interpolation: str | None = typer.Option(None, help="bilinear, bicubic, nearest or lanczos."),
    skip_corrupt: bool = typer.Option(False, help="Leave out pictures that cannot be read, and count them."),
    resamples: int = typer.Option(1000, min=0, help="Bootstrap resamples of the intervals."),
    models: Path | None = typer.Option(None, help="YAML list of models, measured one after another."),
    dry_run: bool = typer.Option(False, help="Only say what would be measured."),
    cluster: str | None = typer.Option(None, help="Spread the work over a Ray cluster: auto or an address."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress, no table."),
    json_: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> int:
    """Measure and print; see HELP."""
    given = dict(locals())
    from robench.cli.refusals import refuse_contradictions, refuse_unheeded

    refuse_contradictions(given)
    refuse_unheeded(given)
    options = _engine_options(given)
    opening = _open_options(given)
    if models is not None or "," in suite:
        return _grid(given, options, opening)
    from robench.cli.grid import data_by_suite
    from robench.suites import open_suite

    place = data_by_suite(data, [suite]).get(suite)
    if cluster is not None and not dry_run:
        from robench.cli.clustered import evaluate_clustered

        result, folder = evaluate_clustered(given, place, options, opening)
    else:
        opened = open_suite(suite, place, opening)
        loaded = load_models(given, opened.suite.num_classes)
        if dry_run:
            return _say_plan(loaded, opened, options, given)
        result, folder = _evaluate_one(loaded, opened, given, options)
    _print(result, folder, quiet=quiet, as_json=json_)
    return 1 if result.failures else 0


def _evaluate_one(loaded: Any, opened: Any, given: dict[str, Any], options: Any) -> tuple[Result, Path]:
    """Return the result of one run and the run's folder."""
    from robench.api import evaluate as run_evaluation
    from robench.evaluation import default_folder
    from robench.suites import fit_to_model

    opened = fit_to_model(opened, loaded.preprocessing.geometry)
    folder = given["out"] or default_folder(loaded, opened, options)
    try:
        result = run_evaluation(
            loaded,
            opened,
            out=folder,
            options=options,
            resamples=given["resamples"],
            quiet=given["quiet"] or given["json_"],
        )
        return result, folder
    except KeyboardInterrupt:
        raise stopped() from None


def stopped() -> Exception:
    """Return what Ctrl-C is answered with."""
    from robench.cli.common import InterruptedWorkError
    from robench.evaluation.plan import command_line

    again = command_line() or "the same command"
    return InterruptedWorkError(f"Stopped; finished cells are kept. To go on: {again}")


def _engine_options(given: dict[str, Any]) -> Any:
    from robench.cli.common import one_of
    from robench.evaluation.options import EvaluationOptions

    one_of("--precision", given["precision"], ("fp32", "bf16", "fp16"))
    one_of("--logits", given["logits"], ("auto", "yes", "no"))
    one_of("--ensemble", given["ensemble"], ("mean-prob", "mean-logit"))
    return EvaluationOptions(
        device=given["device"],
        precision=given["precision"],
        batch_size=given["batch_size"],
        logits={"auto": None, "yes": True, "no": False}[given["logits"]],
        compile=given["compile_"],
        fold=given["fold"],
    )


def _open_options(given: dict[str, Any]) -> Any:
    from robench.cli.common import one_of, split_names
    from robench.data.base import Geometry
    from robench.suites.base import OpenOptions

    geometry = None
    if given["resize"] or given["crop"] or given["interpolation"]:
        geometry = Geometry(given["resize"], given["crop"], given["interpolation"] or "bilinear")
    if given["interpolation"]:
        one_of("--interpolation", given["interpolation"], ("nearest", "bilinear", "bicubic", "lanczos"))
    severities = split_names(given["severity"])
    if severities and not all(part.isdigit() and 1 <= int(part) <= 5 for part in severities):
        raise RobenchError(f"--severity takes numbers from 1 to 5; found '{given['severity']}'.", hint="E.g. 3,5")
    return OpenOptions(
        geometry=geometry,
        seed=given["seed"],
        limit=given["limit"],
        conditions=split_names(given["corruption"]),
        severities=tuple(int(part) for part in severities) if severities else None,
        frost_dir=str(given["frost"]) if given["frost"] else None,
        skip_corrupt=given["skip_corrupt"],
        workers=given["workers"],
        split=given["split"],
        clean=str(given["clean"]) if given["clean"] is not None else None,
        difficulty=given["difficulty"],
        definition=str(given["definition"]) if given["definition"] is not None else None,
    )


def load_models(given: dict[str, Any], suite_classes: int) -> Any:
    """Load the model that the options name (several: an ensemble)."""
    from robench.cli.common import parse_floats
    from robench.models import ensemble, load_model, preset

    if not given["model"]:
        raise RobenchError("No model given.", hint="Add --model PATH (or timm:NAME, reference:digits/augmix, ...).")
    mean, std = parse_floats(given["mean"], "--mean"), parse_floats(given["std"], "--std")
    if (mean is None) != (std is None):
        alone, lacking = ("--mean", "--std") if std is None else ("--std", "--mean")
        raise RobenchError(
            f"{alone} was given without {lacking}: half a normalisation gives figures of no model.",
            hint=f"Add {lacking}, or say --norm-preset.",
        )
    if given["norm_preset"]:
        mean, std = preset(given["norm_preset"])
    classes = given["num_classes"] or suite_classes
    loaded = [
        load_model(
            spec, arch=given["arch"], num_classes=classes, mean=mean, std=std, norm=given["norm"], ema=given["ema"]
        )
        for spec in given["model"]
    ]
    model = loaded[0] if len(loaded) == 1 else ensemble(loaded, how=given["ensemble"])
    return replace(model, name=given["name"]) if given["name"] else model


def _say_plan(model: Any, opened: Any, options: Any, given: dict[str, Any]) -> int:
    from robench.cli.common import print_json
    from robench.evaluation import default_folder
    from robench.suites import fit_to_model

    opened = fit_to_model(opened, model.preprocessing.geometry)
    images = sum(opened.length(cell) for cell in opened.suite.cells)
    cells = len(opened.suite.cells)
    folder = given["out"] or default_folder(model, opened, options)
    if given["json_"]:
        plan = {"model": model.name, "suite": opened.suite.name, "source": opened.source}
        print_json(plan | {"cells": cells, "images": images, "folder": str(folder)})
        return 0
    print(f"{model.name} on {opened.suite.name} ({opened.source}): {cells} cells, {images:,} images")
    print(f"into {folder}")
    return 0


def _grid(given: dict[str, Any], options: Any, opening: Any) -> int:
    from robench.cli.grid import run_grid

    return run_grid(given, options, opening)


def _print(result: Result, folder: Path, *, quiet: bool, as_json: bool) -> None:
    from robench.cli.common import print_json, print_summary

    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    if not quiet:
        print_summary([result])
        print(f"run: {folder}")
    for failure in result.failures:
        typer.echo(f"failed: {failure}", err=True)
