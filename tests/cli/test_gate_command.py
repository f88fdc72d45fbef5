"""``robench gate``: exit codes, JSON, files and help."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robench.cli.main import main

FEW = ["--suite", "digits-c", "--corruption", "fog", "--device", "cpu", "--max-loss", "1"]
GOOD, BAD = "reference:digits/augmix", "reference:digits/standard"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")


def test_exit_codes_json_and_files(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.cli.common._PIPED", 80)  # as on a terminal of this width
    files = ["--junit", str(folder / "gate.xml"), "--markdown", str(folder / "gate.md"), "-o", str(folder / "runs")]
    assert main(["gate", "-m", GOOD, "--baseline", BAD, *FEW, *files]) == 0
    text = capsys.readouterr().out
    assert "augmix loses no more than allowed against standard on digits-c" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80
    assert (folder / "gate.xml").read_text().startswith("<?xml")
    assert "### robench gate: no loss beyond the margin" in (folder / "gate.md").read_text()
    assert main(["gate", "-m", BAD, "--baseline", GOOD, *FEW, "--json", "-o", str(folder / "runs")]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["verdict"], document["exit_code"], document["measured"]) == ("loss", 1, 0)
    assert main(["gate", "-m", BAD, "--baseline", GOOD, *FEW, "-o", str(folder / "runs")]) == 1
    text, (value,) = capsys.readouterr().out, document["values"]
    shown = " ".join(text.split())
    screen = {words[0]: words[-1] for words in map(str.split, text.splitlines()) if len(words) == 2}
    assert screen["standard"] == f"{100 * value['model']:.2f}"
    assert screen["augmix"] == f"{100 * value['baseline']:.2f}"
    assert screen["loss"] == f"{100 * value['loss']:+.2f}"
    assert f"{100 * value['low']:+.2f} to {100 * value['high']:+.2f}" in shown
    assert f"{document['passes']:,} of {document['of']:,} passes, {document['images']} images per cell" in shown
    small = ["gate", "-m", GOOD, "--baseline", GOOD, *FEW[:-1], "0.01", "--budget", "400"]
    assert main([*small, "-o", str(folder / "runs")]) == 3
    text = " ".join(capsys.readouterr().out.split())
    assert "Undecided whether augmix loses" in text
    assert "Next: the same command with a larger --budget (or --minutes) goes on from here" in text


def test_mistakes_end_with_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "-m", GOOD, "--baseline", GOOD, *FEW[:-1], "x"]) == 2
    assert "--max-loss takes points above 0" in capsys.readouterr().err
    assert main(["gate", "-m", GOOD, "--baseline", "nowhere.json", *FEW]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_the_help_is_in_groups_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", "--help"]) == 0
    text = capsys.readouterr().out
    for title in ("Model", "Suite and data", "Tests", "How much", "Output", "Exit codes: 0"):
        assert title in text
    assert "robench gate --model new.pt" in text


def test_the_example_workflow_runs_a_command_that_exists() -> None:
    import shlex

    import yaml

    from robench.cli.app import build

    workflow = yaml.safe_load((Path(__file__).parents[2] / "examples" / "gate" / "gate.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["gate"]["steps"] if "robench gate" in step.get("run", "")]
    assert len(commands) == 1
    words = shlex.split(commands[0])
    known = {name for parameter in build("gate").params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    required = {max(parameter.opts, key=len) for parameter in build("gate").params if parameter.required}
    assert required <= set(words)
