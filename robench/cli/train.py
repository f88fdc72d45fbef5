"""``robench train``: reference training, every method by one loop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robench.cli import completion as complete
from robench.cli import options as o
from robench.cli.common import print_json, say
from robench.errors import RobenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from robench.api import SetModel, SetPlan, Trained

HELP = """\
The output folder holds weights.safetensors, card.yaml, recipe.yaml (resolved) and log.csv. An interrupted training \
resumes when you repeat the command. Under `torchrun` the batch is split over the processes.

Examples:

    robench train --list
    robench train --list --method augmix --data cifar10
    robench train --recipe augmix-digits
    robench train --recipe augmix-cifar10-wrn40-2 --data DIR --out runs/augmix
    robench train --recipe augmix-cifar10-wrn40-2 --data DIR --set epochs=20
    robench train --all digits --out runs/digits
    robench train --all cifar10 --data DIR --dry-run
    robench train --all cifar10 --data DIR --jobs 2
    robench train --recipe linear-probe --data DIR \\
        --backbone timm:vit_small_patch14_dinov2.lvd142m
    torchrun --nproc-per-node 8 -m robench train \\
        --recipe augmix-imagenet-resnet50-code --data DIR
"""

LIST_NOTE = """\
passes: forward and backward, per training image. GPU time: of their arithmetic
alone at 10 TFLOP/s, one busy GPU; `robench train --all cifar10 --data DIR
--dry-run` times this machine."""


def train(
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", "-r", metavar="NAME", help="A recipe's name, or a YAML file.", autocompletion=complete.recipes
        ),
    ] = None,
    everything: Annotated[
        str | None,
        typer.Option(
            "--all", metavar="NAME", help="A set of models under one budget (cifar10), or every recipe for digits."
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Models of the set to train, or one of their seeds: augmix-seed2 (default: all)."
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="A,B", help="Evaluate the set on (default: its own; or none).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Images per cell of the set's evaluation (default: all).")
    ] = None,
    jobs: Annotated[
        int, typer.Option(metavar="N", help="Models of the set to train at a time.", rich_help_panel=o.RUN)
    ] = 1,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="PATH", help="Folder or file of the training data; with --list: a data set."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a field (repeatable).")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the recipes: network, passes, time.")] = False,
    method: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --list: only recipes of this method.")
    ] = None,
    show: Annotated[
        str | None,
        typer.Option("--show", metavar="NAME", help="Print a recipe in full.", autocompletion=complete.recipes),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="linear-probe and knn: timm:NAME, torchvision:NAME, hf:FOLDER or open_clip:ARCH/PRETRAINED.",
        ),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Folder that keeps their features (default: the user's cache folder)."),
    ] = None,
    device: o.Device = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="fp32 or bf16 (default: the recipe's).", rich_help_panel=o.RUN),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start again instead of resuming.", rich_help_panel=o.RUN)
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what a set would train, and how long.", rich_help_panel=o.RUN)
    ] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Output folder (default: runs/RECIPE).", rich_help_panel=o.OUTPUT
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON.", rich_help_panel=o.OUTPUT)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=o.OUTPUT)] = False,
) -> int:
    """Train; see HELP."""
    from robench import api

    trained: list[Trained]
    if list_:
        return _list(method, data, as_json=json_)
    if method is not None:
        raise RobenchError("`method` only chooses what is listed.", hint="Add `list`, or `set='method=NAME'`.")
    if show is not None:
        return _show(show, settings or [], as_json=json_)
    quiet, trained = quiet or json_, []
    of_sets: Any = {"only": only, "suite": suite, "limit": limit, "jobs": None if jobs == 1 else jobs}
    if api.is_set(everything, recipe, data=data, fresh=fresh, **of_sets, dry_run=dry_run or None):
        models = api.train_set(
            str(everything),
            data=str(data),
            out=out,
            set=settings or [],
            only=only,
            suite=suite,
            limit=limit,
            jobs=jobs,
            device=device,
            precision=precision,
            dry_run=dry_run,
            planned=_planned(quiet=quiet, dry_run=dry_run, as_json=json_),
            finished=None if quiet else _print_model,
        )
        if json_ and not dry_run:
            print_json([_document(model) for model in models])
        return 0 if dry_run else _end(models, quiet=quiet)
    api.train(
        recipe,
        all=everything,
        data=data,
        out=out,
        set=settings or [],
        device=device,
        precision=precision,
        backbone=backbone,
        features=features,
        fresh=fresh,
        quiet=quiet,
        finished=trained.append if json_ else None if quiet else _print,
    )
    if json_:
        print_json([_document(one) for one in trained])
    return 0


def _document(of: Trained | SetModel | SetPlan) -> dict[str, Any]:
    """Return a dataclass as a JSON-able document, its paths as texts."""
    from dataclasses import asdict

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, (list, tuple)) else _text_of_path(value)

    found: dict[str, Any] = plain(asdict(of))
    return found


def _text_of_path(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _planned(*, quiet: bool, dry_run: bool, as_json: bool) -> Callable[[SetPlan], None] | None:
    """Return what is told the plan of a set: it is the result of a dry run."""
    if as_json:
        return (lambda plan: print_json(_document(plan))) if dry_run else None
    return None if quiet and not dry_run else _print_plan


def _end(models: Sequence[SetModel], *, quiet: bool) -> int:
    left = [model.name for model in models if model.problem]
    if left or not quiet:
        said = "All done." if not left else f"Not finished: {', '.join(left)}. Repeat the command to resume."
        typer.echo(said, err=bool(left))
    return 1 if left else 0


def _print_plan(plan: SetPlan) -> None:
    for run in plan.runs:
        recipe = run.load()
        amounts = [_amount(recipe.epochs, "epoch"), f"{_amount(run.passes, 'pass')} per image"]
        time = f"about {plan.seconds[run.name] / 60:.0f} min"
        print(", ".join([f"{run.name}: {run.recipe}", recipe.architecture, *amounts, time]))
    hours = f"about {sum(plan.seconds.values()) / 3600:.1f} h one at a time on this device"
    more = "augmentation and evaluation come on top"
    print(f"{_amount(len(plan.runs), 'model')}, {plan.images:,} images, {hours}; {more}", flush=True)


def _amount(number: float, noun: str) -> str:
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}{'es' if noun.endswith('s') else 's'}"


def _print_model(model: SetModel) -> None:
    from robench.api.train_set import summary
    from robench.catalogue import row

    found = summary([model]).get(model.name, {})
    accuracy = found.pop("trained_with", {}).get("test_accuracy")
    words = [] if accuracy is None else [f"clean test accuracy {accuracy:.2%}"]
    for suite, values in found.items():
        words += (
            [f"{suite} mean error {row('mean_error').show(values['mean_error'], unit=True)}"]
            if "mean_error" in values
            else []
        )
    print(f"{model.name}: {', '.join([*words, model.problem or 'done'])}", flush=True)


def _print(trained: Trained) -> None:
    import shlex

    from robench import api

    accuracy = "" if trained.accuracy is None else f", clean test accuracy {trained.accuracy:.2%}"
    print(f"{trained.recipe}: {trained.folder / 'weights.safetensors'}{accuracy}, {trained.seconds:.0f} s")
    if trained.suite is not None:
        words = ["--model", str(trained.folder), "--suite", trained.suite]
        words += [] if api.describe_suite(trained.suite).suite.embedded else ["--data", "DATA"]
        say(f"Measure it: robench evaluate {shlex.join(words)}")


def _list(method: str | None, data: str | None, *, as_json: bool) -> int:
    from robench import api
    from robench.cli.common import print_columns

    rows = api.list_recipes(method, data)
    if as_json:
        keys = ("title", "method", "architecture", "norm", "paper", "data", "epochs", "batch_size", "passes", "hours")
        print_json({one.name: {key: getattr(one, key) for key in keys} for one in rows})
        return 0
    networks = [one.architecture for one in rows]
    named = [f"{one.architecture} {one.norm or ''}".strip() for one in rows]
    columns = {
        "recipe": [one.name for one in rows],
        "network": named,
        ">passes": ["" if one.passes is None else f"{one.passes:,.0f}" for one in rows],
        ">GPU time": ["" if one.hours is None else _time(one.hours) for one in rows],
        "what it is": [one.title for one in rows],
    }
    print_columns(columns, narrower=[{"what it is": None}, {"network": networks}])
    print(LIST_NOTE, file=sys.stderr)
    return 0


def _time(hours: float) -> str:
    if hours < 1 / 60:
        return "< 1 min"
    return f"{60 * hours:.0f} min" if hours < 1.5 else f"{hours:.0f} h" if hours < 100 else f"{hours / 24:.0f} d"


def _show(name: str, settings: list[str], *, as_json: bool) -> int:
    import yaml

    from robench import api

    document = api.describe_recipe(name, set=settings).model_dump(mode="json")
    if as_json:
        print_json(document)
    else:
        print(yaml.safe_dump(document, sort_keys=False, width=100), end="")
    return 0
