"""Options that several commands have: one word and one text for one thing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from robench.cli import completion as complete
from robench.cli.help import ADVANCED

MODEL = "Model"
DATA = "Suite and data"
PREPROCESSING = "Preprocessing"
AMOUNT = "How much"
TESTS = "Tests"
RUN = "Run"
OUTPUT = "Output"
SAVED = "Logits of another framework"

# Model
Arch = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Architecture of a file of weights: built-in, timm or torchvision name.",
        autocompletion=complete.architectures,
        rich_help_panel=MODEL,
    ),
]
NumClasses = Annotated[
    int | None,
    typer.Option(metavar="N", help="Number of output classes (default: the suite's).", rich_help_panel=MODEL),
]
Norm = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Batch-norm variant: bn, ibn, dubn, dubin, splitbn or splitbn-shared (default: bn).",
        rich_help_panel=MODEL,
    ),
]
Ema = Annotated[
    bool, typer.Option("--ema", help="Load a checkpoint's averaged (EMA) weights.", rich_help_panel=ADVANCED)
]
Ensemble = Annotated[
    str | None,
    typer.Option(
        metavar="HOW",
        help="How several --model are joined: mean-prob or mean-logit (default: mean-prob).",
        rich_help_panel=ADVANCED,
    ),
]
Name = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Display name in tables and plots.", rich_help_panel=MODEL)
]

Prompts = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Zero-shot: imagenet, cifar, simple, or a file of templates (default: the data set's).",
        rich_help_panel=MODEL,
    ),
]
ClassNames = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Zero-shot: imagenet, cifar10, cifar100, or a file of names by label (default: the data's).",
        rich_help_panel=MODEL,
    ),
]

# Preprocessing
NormPreset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Normalisation: cifar10, cifar100, imagenet, half or none.",
        autocompletion=complete.presets,
        rich_help_panel=PREPROCESSING,
    ),
]
Mean = Annotated[
    str | None,
    typer.Option(
        metavar="R,G,B",
        help="Mean per channel of images in [0, 1], e.g. 0.4914,0.4822,0.4465.",
        rich_help_panel=PREPROCESSING,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Standard deviation, e.g. 0.2470,0.2435,0.2616.", rich_help_panel=PREPROCESSING),
]
Resize = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Resize the shorter side to N pixels (default: the model's).", rich_help_panel=PREPROCESSING
    ),
]
Crop = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Crop the centre to N pixels (default: the model's).", rich_help_panel=PREPROCESSING
    ),
]
Interpolation = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="bilinear, bicubic, nearest or lanczos (default: the model's).",
        rich_help_panel=PREPROCESSING,
    ),
]

# Logits of other frameworks
Logits = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Logits that another framework saved, one row per image.", rich_help_panel=SAVED),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Their labels: numbers from 0, one-hot rows, or names.", rich_help_panel=SAVED),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="--logits holds probabilities.", rich_help_panel=SAVED)
]
SavedClassNames = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Class names in the order of the logits, one per line, for labels that are names.",
        rich_help_panel=SAVED,
    ),
]

# How much
Corruption = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Only these conditions, e.g. fog,snow.",
        autocompletion=complete.corruptions,
        rich_help_panel=AMOUNT,
    ),
]
Severity = Annotated[
    str | None, typer.Option(metavar="A,B", help="Only these severities, e.g. 3,5.", rich_help_panel=AMOUNT)
]
Resamples = Annotated[
    int, typer.Option(metavar="N", help="Bootstrap resamples of the intervals.", rich_help_panel=ADVANCED)
]
BootstrapSeed = Annotated[int, typer.Option(metavar="N", help="Seed of the bootstrap.", rich_help_panel=ADVANCED)]

# Run
Device = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="cpu, cuda, cuda:1 or mps (default: the first available).", rich_help_panel=RUN),
]
Precision = Annotated[
    str | None, typer.Option(metavar="NAME", help="fp32, bf16 or fp16 (default: fp32).", rich_help_panel=RUN)
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Images per batch; halved when memory runs out. Changes results only by floating-point rounding.",
        rich_help_panel=RUN,
    ),
]
Compile = Annotated[bool, typer.Option("--compile", help="Use torch.compile.", rich_help_panel=RUN)]
Fold = Annotated[
    bool,
    typer.Option(
        "--fold/--no-fold",
        help="Fold batch norms into convolutions: faster, changes results only by rounding.",
        rich_help_panel=RUN,
    ),
]

# Output
Json = Annotated[bool, typer.Option("--json", help="Print as JSON.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.", rich_help_panel=OUTPUT)]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders or result.json files.")]
