"""Reports of more than two runs show the differences of all pairs; what cannot be compared is reported without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import robench

FEW: dict[str, Any] = {"corruption": "fog", "severity": 5, "limit": 60, "device": "cpu", "quiet": True,
                       "resamples": 100}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("augmix", "standard", "mixup"):
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=folder / name, name=f"{name} <b>|x", **FEW)
    return [folder / name for name in ("augmix", "standard", "mixup")]


def test_three_runs_get_a_table_of_pairs(runs: list[Path], tmp_path: Path) -> None:
    page = robench.report(runs, out=tmp_path / "report.html").read_text()
    assert 'id="pairs-title"' in page
    assert "minus augmix &lt;b&gt;|x" in page
    assert "may each be first, no other run in mean error" in page or "than every other run in mean error" in page
    text = robench.report(runs, out=tmp_path / "report.md").read_text()
    part = text[text.index("## Differences of all pairs") :].split("\n## ")[0]
    tables = [block for block in part.split("\n\n") if block.startswith("| rank")]
    assert tables
    for table in tables:
        lines = table.splitlines()
        assert len(lines) == 5
        assert {line.replace("\\|", "").count("|") for line in lines} == {7}


def test_two_runs_and_runs_without_predictions_have_none(runs: list[Path], tmp_path: Path) -> None:
    assert "pairs-title" not in robench.report(runs[:2], out=tmp_path / "two.html").read_text()
    alone = tmp_path / "result.json"  # away from its predictions
    alone.write_bytes((runs[2] / "result.json").read_bytes())
    files = [*runs[:2], alone]
    assert "pairs-title" not in robench.report(files, out=tmp_path / "file.html").read_text()
    files[2] = runs[2] / "result.json"  # beside them
    assert "pairs-title" in robench.report(files, out=tmp_path / "beside.html").read_text()
    assert "pairs-title" not in robench.report(runs, out=tmp_path / "no.html", compare=False).read_text()
