"""``robench data generate``: corrupted test sets on disk, in the published layouts."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

HELP = """\
Make a corrupted test set from clean pictures and write it in the published layout.

**Examples**

    robench data generate --suite digits-c --source digits --out digits-c

    robench data generate --suite cifar10-c --source cifar-10-batches-py --out CIFAR-10-C

    robench data generate --suite imagenet-c --source ILSVRC2012_val --out ImageNet-C --corruption fog,snow

    robench data generate --suite imagenet-p --source ILSVRC2012_val --out ImageNet-P --corruption brightness

A stopped run goes on from where it was. Evaluating does not need this: suites corrupt on the fly.
"""


def register(data: typer.Typer) -> None:
    """Add the command to ``robench data``."""
    data.command("generate", help=HELP)(generate)


def generate(
    suite: str = typer.Option(..., "--suite", "-s", help="cifar10-c, cifar100-c, imagenet-c, tiny-imagenet-c, ...-p"),
    source: str = typer.Option(..., help="The clean test set: a folder, a file, or digits."),
    out: Path = typer.Option(..., "--out", "-o", help="Folder for the files."),
    corruption: str | None = typer.Option(None, help="Only these, e.g. fog,snow."),
    seed: int = typer.Option(0, help="Seed of the randomness."),
    difficulty: int = typer.Option(1, min=1, max=3, help="Difficulty of the noises of perturbation sequences."),
    frost: Path | None = typer.Option(None, help="Folder with the original frost pictures."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress."),
) -> int:
    """Generate and verify; see HELP."""
    from robench.cli.common import split_names
    from robench.evaluation import make_progress
    from robench.suites.generate import generate as write
    from robench.suites.generate import prepare

    task = prepare(
        suite,
        source,
        out,
        conditions=split_names(corruption),
        seed=seed,
        frost=str(frost) if frost else None,
        difficulty=difficulty,
    )
    with make_progress(suite, quiet=quiet) as progress:
        progress.start(task.images, 0)
        made = write(task, progress.advance)
    if not quiet:
        noun = "condition" if len(made) == 1 else "conditions"
        print(f"{len(made)} {noun} of {len(task.clean)} pictures written to {out}, and verified.")
        print(_next_step(suite, out, split_names(corruption), seed=seed, difficulty=difficulty, frost=frost))
    return 0


def _next_step(
    suite: str, out: Path, conditions: tuple[str, ...] | None, *, seed: int, difficulty: int, frost: Path | None
) -> str:
    """Return how a model is measured on what was written; without --corruption a suite wants all its conditions."""
    from robench.suites import get

    measured = {cell.condition for cell in get(suite).cells}
    words = ["--suite", suite]
    embedded = suite.startswith("digits")
    if not embedded:
        words += ["--data", str(out)]
    if conditions is not None:
        kept = [name for name in conditions if name in measured]
        if not kept:
            return f"{suite} measures none of them; they are for other uses."
        words += ["--corruption", ",".join(kept)]
    if difficulty > 1:
        words += ["--difficulty", str(difficulty)]
    if embedded:
        words += ["--seed", str(seed)] if seed else []
        words += ["--frost", str(frost)] if frost else []
    intro = "Evaluating makes the same pictures itself" if embedded else "Measure a model on them"
    return f"{intro}: robench evaluate --model ... {shlex.join(words)}"
