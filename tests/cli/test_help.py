"""``--help``: groups, experts' options folded until ``--help-all``, and nothing wider than 80 columns."""

from __future__ import annotations

import pytest
from test_python_has_every_option import commands

from robench.cli.main import main

GROUPS = ["Model", "Suite and data", "Preprocessing", "How much", "Run", "Output", "Advanced", "Options"]


def shown(words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(words.split()) == 0
    return capsys.readouterr().out.splitlines()


def options(lines: list[str]) -> list[str]:
    return [word for line in lines if line.startswith("  -") for word in line.split()[:1]]


def test_evaluate_in_groups_with_the_advanced_ones_folded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown("evaluate --help", capsys, monkeypatch)
    heads = [line for line in lines if line in GROUPS]
    assert heads == GROUPS
    advanced = lines[lines.index("Advanced") :]
    assert options(advanced) == ["--help-all", "-h,"]
    folded = " ".join(line.strip() for line in advanced)
    everything = shown("evaluate --help-all", capsys, monkeypatch)
    assert [line for line in everything if line in GROUPS] == GROUPS
    told = options(everything[everything.index("Advanced") : everything.index("Options")])
    assert len(told) > 8
    assert all(name in folded for name in told)
    assert len(everything) > len(lines)


@pytest.mark.parametrize("name", dict(commands()))
def test_help_fits_80_columns(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(f"{name} --help", capsys, monkeypatch)
    assert [line for line in lines if len(line) > 80] == []


def test_no_option_has_two_names(capsys: pytest.CaptureFixture[str]) -> None:
    """What one command calls so, no other calls otherwise: the pairs that were found, and must not come back."""
    known = {word.lstrip("-") for _, command in commands() for one in command.params for word in one.opts}
    gone = {"classes", "bf16", "dtype", "ckpt", "checkpoint", "max-images", "batch", "gpu", "output", "outdir"}
    assert known & gone == set()
