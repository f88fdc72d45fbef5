"""``robench data generate``: corrupted test sets on disk, in the published layouts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from robench.cli import completion as complete
from robench.cli import options as o

HELP = """\
Generate a corrupted test set from clean images and write it in the published layout.

An interrupted run resumes when you repeat the command. Evaluating does not need this: suites corrupt images as they \
are read.

Examples:

    robench data generate --suite digits-c --source digits --out digits-c
    robench data generate --suite cifar10-c --source cifar-10-batches-py \\
        --out CIFAR-10-C
    robench data generate --suite imagenet-c --source ILSVRC2012_val \\
        --out ImageNet-C --corruption fog,snow
    robench data generate --suite imagenet-p --source ILSVRC2012_val \\
        --out ImageNet-P --corruption brightness
"""


def generate(
    *,
    suite: Annotated[
        str,
        typer.Option(
            "--suite",
            "-s",
            metavar="NAME",
            help="cifar10-c, cifar100-c, imagenet-c, tiny-imagenet-c, ...-p",
            autocompletion=complete.suites,
        ),
    ],
    source: Annotated[str, typer.Option(metavar="PATH", help="The clean test set: a folder, a file, or digits.")],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the files.")],
    corruption: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these, e.g. fog,snow.", autocompletion=complete.corruptions)
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the corruptions.")] = 0,
    difficulty: Annotated[
        int | None, typer.Option(metavar="N", help="Difficulty of the noises of perturbation sequences: 1 to 3.")
    ] = None,
    frost: Annotated[str | None, typer.Option(metavar="FOLDER", help="The original frost images.")] = None,
    json_: o.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=o.OUTPUT)] = False,
) -> int:
    """Generate and verify; see HELP."""
    from robench import api
    from robench.api.words import names
    from robench.cli.common import print_json, say

    made = api.generate(
        suite, source, out, corruption=corruption, seed=seed, difficulty=difficulty, frost=frost, quiet=quiet or json_
    )
    if json_:
        print_json({"suite": suite, "files": [str(file) for file in made.files], "images": made.images})
    elif not quiet:
        noun = "condition" if len(made.files) == 1 else "conditions"
        say(f"{len(made.files)} {noun} of {made.images} images written to {out}, and verified.")
        chosen = None if corruption is None else names("corruption", corruption)
        say(_next_step(suite, Path(out), chosen, seed=seed, difficulty=difficulty or 1, frost=frost))
    return 0


def _next_step(
    suite: str, out: Path, conditions: tuple[str, ...] | None, *, seed: int, difficulty: int, frost: str | None
) -> str:
    """Return how a model is measured on what was written; without --corruption a suite wants all its conditions."""
    from robench import api

    row = api.describe_suite(suite).suite
    measured, embedded = row.conditions, row.embedded
    words = ["--suite", suite]
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
        words += ["--frost", frost] if frost else []
    intro = "Evaluating generates the same images itself" if embedded else "Measure a model on them"
    return f"{intro}: robench evaluate --model ... {shlex.join(words)}"
