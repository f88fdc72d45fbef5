"""A small package adds one of each kind, without a change to robench, and the command line uses them all.

What the package is made of is what CONTRIBUTING.md says has to be written: it is true as long as this passes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import starting

import robench

FILES = {
    "metric.py": '''
"""Kolmogorov-Smirnov calibration error (Gupta et al. 2021)."""
import numpy as np
from robench.catalogue import Metric

def ks_error(columns):
    """Return the largest distance between the cumulative confidence and the cumulative accuracy."""
    order = np.argsort(columns["confidence"], kind="stable")
    correct = (columns["predicted"] == columns["target"])[order]
    gaps = np.cumsum(columns["confidence"][order] - correct)
    return float(np.abs(gaps).max() / len(order))

ROW = Metric("ks_error", "KS calibration error", needs=("confidence", "predicted", "target"), default=True,
             kernel="vignettes.metric:ks_error", family="calibration", source="Gupta et al. 2021")
''',
    "corruption.py": '''
"""Images that darken towards their corners."""
import torch
from robench.corruptions.registered import Corruption

def vignette(images, params, stream):
    """Darken uint8 images (n, 3, H, W) by the squared distance to the centre."""
    (strength,) = params
    height, width = images.shape[2:]
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
    return (images * (1 - strength * (x * x + y * y) / 2)).to(torch.uint8)

VIGNETTE = Corruption("vignettes.corruption:vignette", (0.2, 0.4, 0.6, 0.8, 1.0), deterministic=True)
''',
    "suite.py": '''
"""The embedded digits under the vignette."""
from dataclasses import replace
from robench.suites import Cell, get

SUITE = replace(get("digits-c"), name="vignette-c", title="Digits with dark corners", benchmark=("vignette",),
                cells=(Cell("clean"), *(Cell("vignette", severity) for severity in range(1, 6))), groups=())
''',
    "network.py": '''
"""An architecture, and a source of models."""
from torch import nn
from robench.models import Model, Preprocessing

def linear(num_classes, norm="bn"):
    """A linear layer on pixels of 8 x 8."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(192, num_classes))

def from_zoo(name, request):
    """an untrained linear layer"""
    classes = request.num_classes or 10
    return Model(name, linear(classes), classes, Preprocessing(origin="zoo"), "0" * 64)
''',
    "method.py": '''
"""Training on negatives."""
from dataclasses import dataclass
import torch
from robench.training import Batch, OneView

@dataclass
class Negative(OneView):
    share: float = 0.0

    def view(self, batch: Batch) -> torch.Tensor:
        return 1.0 - batch.view().float() / 255.0 * (1 - self.share)

RECIPE = {"extends": "standard-digits", "title": "Negatives", "method": "negative", "architecture": "linear",
          "epochs": 1, "batch_size": 50}
''',
    "plot.py": '''
"""One bar per model."""
from robench.plots import Option, Plot

def bars(results, name="mean_error"):
    from matplotlib.figure import Figure
    value = Figure()
    value.subplots().bar([result.model.name for result in results], [result.summary[name].value for result in results])
    return value

PLOT = Plot("bars", "One bar per model.", bars, options=(Option("name", "The summary.", "mean_error", ("--name",)),))
''',
    "command.py": '''
"""A command."""
import typer
from robench.errors import RobenchError

def corners(severity: int = typer.Option(3, help="From 1 to 5.")) -> int:
    """Print how dark the corners are."""
    from vignettes.corruption import VIGNETTE
    if not 1 <= severity <= 5:
        raise RobenchError("`severity` must be from 1 to 5.", hint="For example `severity=3`.")
    print(f"corners keep {1 - VIGNETTE.strengths[severity - 1]:.0%}")
    return 0
''',
}  # fmt: skip
ENTRY_POINTS = """\
[robench.metrics]
ks_error = vignettes.metric:ROW

[robench.corruptions]
vignette = vignettes.corruption:VIGNETTE

[robench.suites]
vignette-c = vignettes.suite:SUITE

[robench.architectures]
linear = vignettes.network:linear

[robench.model_sources]
zoo = vignettes.network:from_zoo

[robench.methods]
negative = vignettes.method:Negative

[robench.recipes]
negative-digits = vignettes.method:RECIPE

[robench.plots]
bars = vignettes.plot:PLOT

[robench.commands]
corners = vignettes.command:corners
"""
# Several commands in one process: each is a start of Python and PyTorch otherwise.
SCRIPT = """
import json, sys
from robench.cli.main import main
codes = []
for words in json.loads(sys.argv[1]):
    print("$", *words, flush=True)
    codes.append(main(words))
print(json.dumps(codes))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package as pip does: modules, and metadata with entry points."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "vignettes").mkdir()
    for name, text in {"__init__.py": "", **FILES}.items():
        (folder / "vignettes" / name).write_text(text)
    metadata = folder / "vignettes-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: vignettes\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def run(package: Path, folder: Path, *commands: str) -> tuple[list[int], dict[str, str]]:
    """Run commands with the package installed; return their exit codes, and what each has printed."""
    paths = os.pathsep.join([str(package), str(Path(robench.__file__).parents[1])])
    words = json.dumps([command.split() for command in commands])
    environment = os.environ | {"PYTHONPATH": paths, "COLUMNS": "200"}
    done = starting.run(["-c", SCRIPT, words], cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    *said, codes = done.stdout.rsplit("\n", 2)[0].split("\n$ "), done.stdout.strip().rpartition("\n")[2]
    parts = [part.removeprefix("$ ").partition("\n") for part in said[0]]
    assert "Traceback" not in done.stderr
    return json.loads(codes), {head: text for head, _, text in parts} | {"stderr": done.stderr}


def test_everything_that_it_adds_is_used(package: Path, tmp_path: Path) -> None:
    few = "--limit 60 --device cpu --resamples 20 --quiet"
    commands = [
        "train --recipe negative-digits --device cpu --quiet --out trained",
        f"evaluate --model trained --suite vignette-c --out runs/trained {few}",
        f"evaluate --model zoo:lion --suite vignette-c --out runs/lion {few}",
        "metrics runs/trained --metric ks_error --resamples 0 --json",
        "plot bars runs/trained runs/lion --name mean_ks_error --out bars.svg",
        "report runs/trained runs/lion --out report.html",
        "corners --severity 5",
    ]
    codes, said = run(package, tmp_path, *commands)
    assert codes == [0] * len(commands), said
    result = json.loads((tmp_path / "runs" / "trained" / "result.json").read_text())
    assert [cell["name"] for cell in result["cells"]] == ["clean", *(f"vignette/{s}" for s in range(1, 6))]
    assert result["suite"]["name"] == "vignette-c"
    assert result["model"]["card"]["architecture"] == "linear"
    assert result["model"]["card"]["recipe"] == "negative-digits"
    value = result["summary"]["mean_ks_error"]
    assert 0 < value["low"] <= value["value"] <= value["high"] <= 1
    again = json.loads(said[commands[3]])
    assert [cell["metrics"]["ks_error"]["value"] for cell in again["cells"]] == pytest.approx(
        [cell["metrics"]["ks_error"]["value"] for cell in result["cells"]]
    )
    assert "<svg" in (tmp_path / "bars.svg").read_text()
    assert "KS calibration error" in (tmp_path / "report.html").read_text()
    assert said["corners --severity 5"].strip() == "corners keep 0%"


def test_everything_that_it_adds_is_listed(package: Path, tmp_path: Path) -> None:
    places = {
        "--help": "Print how dark the corners are.",
        "suites list": "Digits with dark corners",
        "suites show vignette-c": "6: clean, vignette",
        "models list": "an untrained linear layer",
        "metrics": "ks_error",
        "train --list": "negative-digits",
        "train --show negative-digits": "method: negative",
        "plot --help": "One bar per model.",
        "plot bars --help": "--name",
        "corners --help": "From 1 to 5.",
    }
    codes, said = run(package, tmp_path, *places)
    assert codes == [0] * len(places)
    for command, words in places.items():
        assert words in said[command], command


def test_its_mistakes_are_answered_like_built_in_ones(package: Path, tmp_path: Path) -> None:
    mistakes = {
        "corners --severity 7": "--severity must be from 1 to 5.\nFor example --severity 3.",
        "corner": "Did you mean 'corners'",
        "evaluate --model zoo:lion --suite vignete-c": "Did you mean 'vignette-c'",
        "evaluate --model zoo:lion --suite vignette-c --corruption fog": "has no condition 'fog'",
        "evaluate --model zoo:lion --suite vignette-c --arch linear": "--arch has no effect on 'zoo:lion'",
        "metrics runs --metric ks": "runs is not a run",
    }
    codes, said = run(package, tmp_path, *mistakes)
    assert codes == [2] * len(mistakes)
    for words in mistakes.values():
        assert words in said["stderr"]


def test_without_the_package_nothing_of_it_is_there(tmp_path: Path) -> None:
    codes, said = run(tmp_path, tmp_path, "suites show vignette-c", "corners")
    assert codes == [2, 2]
    assert "Unknown suite 'vignette-c'" in said["stderr"]
    assert "No such command 'corners'" in said["stderr"]
