"""The commands `data` and `suites`: what they print, and what they answer to mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from robench import suites
from robench.cli.main import build_app, main
from robench.data.catalogue import catalogue
from robench.errors import RobenchError


def run(*words: str) -> Result:
    return CliRunner().invoke(build_app(), list(words), env={"COLUMNS": "200"})


def test_every_suite_is_listed_and_shown() -> None:
    listed = run("suites", "list")
    assert listed.exit_code == 0
    for name in suites.names():
        assert f"\n{name} " in listed.stdout
        shown = run("suites", "show", name)
        assert shown.exit_code == 0, name
        for line in ("measures", "cells", "get it", "cost"):
            assert line in shown.stdout, name
    assert [row["name"] for row in json.loads(run("suites", "list", "--json").stdout)] == suites.names()


def test_the_cost_is_counted_in_forward_passes() -> None:
    assert "960,000 forward passes" in run("suites", "show", "cifar10-c").stdout
    assert "2,850,000 forward passes" in run("suites", "show", "cifar10-p").stdout
    assert "100,000 forward passes" in run("suites", "show", "cifar10-sta").stdout


def test_an_unknown_suite_or_set_is_told_its_neighbours() -> None:
    for words, near in ((("suites", "show", "cifar10c"), "cifar10-c"), (("data", "info", "imagenet-cc"), "imagenet-c")):
        failed = run(*words)
        assert isinstance(failed.exception, RobenchError)
        assert f"'{near}'" in str(failed.exception)


def test_sets_are_listed_with_where_they_go(tmp_path: Path) -> None:
    listed = run("data", "list", "--root", str(tmp_path))
    assert listed.exit_code == 0
    for name in catalogue():
        assert name in listed.stdout
    assert str(tmp_path) in listed.stdout
    shown = run("data", "info", "cifar10-c")
    assert "https://zenodo.org/records/2535967/files/CIFAR-10-C.tar" in shown.stdout
    assert "56bf5dcef84df0e2308c6dcbcbbd8499" in shown.stdout


def test_verify_names_every_wrong_file_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "fog.npy", np.zeros(3))
    assert main(["data", "verify", "cifar10-c", "--data", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "fog.npy: wrong checksum" in said
    assert "snow.npy: missing" in said
    assert "20 problem(s)" in said


def test_verify_of_what_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    failed = run("data", "verify", "cifar10-c", "--root", str(tmp_path))
    assert isinstance(failed.exception, RobenchError)
    assert "robench data download cifar10-c" in str(failed.exception)


@pytest.mark.parametrize("words", [("data", "--help"), ("suites", "--help"), ("data", "download", "--help")])
def test_help_has_an_example(words: tuple[str, ...]) -> None:
    assert "robench " in run(*words).stdout
