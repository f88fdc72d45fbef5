"""Runs that differ in their images, and names that look like markup."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.cli.main import main

SUITE = ("--suite", "digits-p", "--corruption", "translate")


def test_runs_on_other_images_are_reported_without_a_comparison(tmp_path: Path) -> None:
    for seed in ("4", "5"):
        arguments = ["--model", "reference:digits/standard", *SUITE, "--limit", "4", "--seed", seed]
        assert main(["evaluate", *arguments, "--quiet", "--out", str(tmp_path / seed)]) == 0
    page = tmp_path / "report.md"
    assert main(["report", str(tmp_path / "4"), str(tmp_path / "5"), "--out", str(page)]) == 0
    text = page.read_text()
    assert "These runs differ in" in text
    assert "seed: their means" in text


def test_square_brackets_in_names_are_not_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sweeps name their files so: wrn[seed=1].pth."""
    runs = []
    for i in range(2):
        arguments = ["--model", "reference:digits/standard", *SUITE, "--limit", "3", "--quiet"]
        runs.append(tmp_path / str(i))
        assert main(["evaluate", *arguments, "--out", str(runs[-1])]) == 0
        record = runs[-1] / "run.json"
        record.write_text(record.read_text().replace('"name": "standard"', f'"name": "w[seed={i}][/x]"'))
    capsys.readouterr()
    assert main(["compare", *map(str, runs), "--cells"]) == 0
    assert "w[seed=0][/x] minus w[seed=1][/x]" in capsys.readouterr().out
    assert main(["metrics", str(runs[0])]) == 0
    assert "w[seed=0][/x]" in capsys.readouterr().out
