"""``robench quickstart``: from nothing to a robustness and calibration report in a minute, without data or GPU."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from robench.cli import options as o

if TYPE_CHECKING:
    from robench.api import Quickstart

HELP = """\
The models are a baseline and one trained with AugMix. No data, GPU or network is needed: the digits are \
scikit-learn's, the models come with robench. A second call reuses the results of the first.

Examples:

    robench quickstart
    robench quickstart --out my-report
"""


def quickstart(
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Folder for results, plots and report.", rich_help_panel=o.OUTPUT
        ),
    ] = "robench-quickstart",
    json_: o.Json = False,
    quiet: o.Quiet = False,
) -> int:
    """Evaluate, print, plot and write the report; see HELP."""
    from robench import api
    from robench.api.quickstart import MODELS, SUITE
    from robench.cli.common import print_json, say

    began = time.monotonic()
    if not (quiet or json_):
        say(f"robench quickstart: {len(MODELS)} models on {SUITE} (15 corruptions, 5 severities, generated)")
    found = api.quickstart(out, quiet=quiet or json_)
    if json_ and found is not None:
        print_json(
            {
                "results": [result.model_dump(mode="json") for result in found.results],
                "comparison": found.comparison.model_dump(mode="json"),
                "files": [str(Path(out) / name) for name in found.files],
            }
        )
    elif not quiet and found is not None:
        _print(found, Path(out), time.monotonic() - began)
    return 0


def _print(found: Quickstart, out: Path, seconds: float) -> None:
    from robench.api.quickstart import MODELS
    from robench.cli.common import print_summary, say
    from robench.tables.comparisons import difference_text

    differences = found.comparison.differences
    shown = {name: difference_text(name, one) for name, one in differences.items() if one.value is not None}
    print_summary(found.results, shown)
    print("* = significant at the 5 % level (paired bootstrap over images)\n")
    for sentence in found.comparison.sentences:
        say(f"- {sentence}", "  ")
    print(f"\nWritten in {seconds:.0f} s to {out}/:")
    lines = dict(found.files)
    for name, folder in zip(MODELS, found.folders, strict=True):
        lines[f"{folder.name}/result.json"] = f"all results of {name} with their intervals"
        lines[f"{folder.name}/predictions/"] = "per-image predictions, one Parquet file per cell"
    for name, text in lines.items():
        say(f"  {name:<28} {text}", " " * 31)
    print(_NEXT.format(a=found.folders[0], b=found.folders[1]))


_NEXT = """
Next:
  which differences are significant, cell by cell:
    robench compare {a} {b} --cells
  other metrics, without the model:
    robench metrics {a} --metric adaptive_ece,aurc
  your own model:
    robench evaluate --model timm:resnet50 --suite imagenet-c --data ImageNet-C
  what else can be measured:
    robench suites list
"""
