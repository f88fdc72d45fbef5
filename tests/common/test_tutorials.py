"""The tutorial's commands run as they stand, and what it says of their numbers holds."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from robench.cli.app import COMMANDS
from robench.cli.main import main
from robench.results import load

PAGE = Path(__file__).parents[2] / "docs" / "trust.md"
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_tutorial_names_commands_that_there_are() -> None:
    lines = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
    assert len(lines) > 10
    for line in lines:
        program, command, *_ = shlex.split(line)
        assert program == "robench"
        assert command in COMMANDS


@pytest.mark.slow
def test_the_tutorial_runs_and_says_what_is_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), {})
        else:
            for line in text.splitlines():
                assert main(shlex.split(line)[1:]) == 0, line
    cells = {cell.name: cell.metrics for cell in load("standard.json").cells}
    assert cells["clean"]["failure_auroc"].value > 0.95 > 0.85 > cells["fog/3"]["failure_auroc"].value
    assert abs(cells["fog/3"]["selective_error_90"].value - cells["fog/3"]["error"].value) < 0.02
    files = {name: Path(f"runs/{name}/conformal-lac-0.05.json") for name in ("standard", "augmix")}
    covered = {name: json.loads(file.read_text())["values"] for name, file in files.items()}
    shift = {name: values["mean under shift"]["conformal_coverage"]["value"] for name, values in covered.items()}
    assert 0.5 < shift["standard"] < 0.65 < 0.7 < shift["augmix"] < 0.85
    assert covered["standard"]["clean"]["conformal_coverage"]["value"] > 0.9
    foreign = json.loads(Path("runs/standard/ood.json").read_text())["sets"]["foreign"]["values"]
    assert all(value["value"] < 0.5 for name, value in foreign.items() if name.startswith("ood_auroc"))
    fog = [load(f"runs/{name}").conditions["fog"]["error"].value for name in ("standard", "adapted")]
    assert fog[0] > 0.6 > 0.2 > fog[1]
    assert "Coverage of conformal sets" in Path("trust.html").read_text()
