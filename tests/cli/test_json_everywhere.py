"""``--json``: every command has it, and standard output is one JSON document whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_python_has_every_option import commands

from robench import api
from robench.cli.app import build
from robench.cli.main import main
from robench.plots import PLOTS


@pytest.mark.parametrize("name", [*dict(commands()), *(f"plot {one}" for one in PLOTS)])
def test_every_command_has_it(name: str) -> None:
    first, _, second = name.partition(" ")
    command = build(first).get_command(None, second) if second else build(first)
    assert any("--json" in parameter.opts for parameter in command.params)


def printed(capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    said = capsys.readouterr()
    return json.loads(said.out), said.err


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("metrics nowhere", "nowhere is not a run", "folder"),
        ("suites show cifar10c", "Unknown suite 'cifar10c'.", "Did you mean"),
        ("evaluate --suite digits-c --limit x", "Invalid value for '--limit'", None),
        ("evaluate --model reference:digits/augmix --suite digits-c --limit 0", "--limit", ""),
        ("plot severity nowhere --labels a,b", "nowhere", ""),
        ("nonsense", "No such command 'nonsense'.", ""),
        ("table augmix/2 --format csv", "--format and --json were both given.", "Use only one"),
    ],
)
def test_an_error_is_a_document_too(
    line: str, message: str, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*line.split(), "--json"]) == 2
    found, err = printed(capsys)
    assert set(found) == {"error"}
    assert set(found["error"]) == {"message", "hint", "exit_code"}
    assert message in found["error"]["message"]
    assert (found["error"]["hint"] is None) == (hint is None)
    assert hint is None or hint in found["error"]["hint"]
    assert found["error"]["exit_code"] == 2
    assert message in err  # people read it where they did before
    assert main(line.split()) == 2 or "table" in line
    assert "{" not in capsys.readouterr().out or "table" in line


def test_lists_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "augmix/2", "--json"]) == 0
    rows, _ = printed(capsys)
    assert rows[0] == rows[0] | {"row": "Standard", "clean": 23.9, "gaussian_noise": 79, "mce": 80.6}
    assert main(["table", "list", "--json"]) == 0
    assert "augmix/2" in printed(capsys)[0]
    assert main(["train", "--show", "augmix-digits", "--json"]) == 0
    assert printed(capsys)[0]["method"] == "augmix"
    assert main(["figure", "list", "--json"]) == 0
    assert printed(capsys)[0]["augmix/1"]["drawn"]


def test_of_many_models_the_one_that_fails_is_in_the_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = ["--suite", "digits-c", "--corruption", "fog", "--severity", "1", "--limit", "20", "--resamples", "0"]
    models = f"reference:digits/augmix,{tmp_path / 'missing.pt'}"
    assert main(["evaluate", "--models", models, *some, "--out", str(tmp_path / "runs"), "--json", "--quiet"]) == 1
    (result, failed), err = printed(capsys)
    assert result["model"]["name"] == "augmix"
    assert failed["model"].endswith("missing.pt")
    assert "No such file" in failed["error"]["message"]
    assert "No such file" in err


def test_data_list_names_the_data_of_every_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    sets = {one["set"]: one for one in printed(capsys)[0]}
    suites = {one.suite.name for one in api.list_suites() if not (one.suite.embedded or one.suite.attacks)}
    assert suites - {"clean", "ood"} <= set(sets)
    assert {"imagenet", "imagenet-v2", "imagenet-sketch", "svsf", "dfr", "cifar10-c-bar"} <= set(sets)
    assert all(one["source"] for one in sets.values())
    assert sets["imagenet-c"]["download"]
    assert not sets["svsf"]["download"]
