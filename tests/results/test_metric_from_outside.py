"""A metric of another package is one file and one row: scoring, tables, sentences and plots show it like the others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robench import plots
from robench.catalogue import METRICS, row
from robench.cli.main import main
from robench.predictions import RunFolder
from robench.results import load, save, score_run
from robench.results.comparing import compare_runs
from robench.tables.boards import make_boards

FILE = '''
"""The Kolmogorov-Smirnov calibration error: largest gap between summed confidence and summed hits, by confidence."""
import numpy as np
from robench.catalogue import Metric

def ks_error(columns):
    order = np.argsort(columns["confidence"], kind="stable")
    gap = np.asarray(columns["confidence"], float) - (columns["predicted"] == columns["target"])
    return float(np.abs(np.cumsum(gap[order])).max() / len(order))

ROW = Metric("ks_error", "KS calibration error", needs=("confidence", "predicted", "target"), default=True,
             kernel="robench_ks:ks_error", family="calibration", source="Gupta et al. 2021")
'''


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two small runs, evaluated without the package."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for name in ("standard", "augmix"):
        made.append(str(folder / name))
        command = ["evaluate", "-m", f"reference:digits/{name}", "-s", "digits-c", "--corruption", "contrast,fog"]
        assert main([*command, "--limit", "60", "--device", "cpu", "--resamples", "20", "-o", made[-1], "--quiet"]) == 0
    return made


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the package, as pip would: a module, and metadata with an entry point."""
    (tmp_path / "robench_ks.py").write_text(FILE)
    metadata = tmp_path / "robench_ks-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: robench-ks\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[robench.metrics]\nks_error = robench_ks:ROW\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(METRICS, "_installed", None)
    yield
    sys.modules.pop("robench_ks", None)
    importlib.invalidate_caches()


def expected(run: str) -> dict[str, float]:
    """Compute the metric of every cell the plain way."""
    folder, found = RunFolder.open(run), {}
    for cell in folder.done():
        rows = folder.read(cell)
        confidence = rows.fine_confidence
        order = np.argsort(confidence, kind="stable")
        sums = np.cumsum(confidence[order]) - np.cumsum(rows.correct[order])
        found[cell] = np.abs(sums).max() / len(order)
    return found


@pytest.mark.usefixtures("installed")
def test_it_is_scored_summed_up_and_has_an_interval(runs: list[str]) -> None:
    cells = expected(runs[0])
    result = score_run(runs[0], resamples=50)
    assert {cell.name: cell.metrics["ks_error"].value for cell in result.cells} == pytest.approx(cells)
    assert result.summary["clean_ks_error"].value == pytest.approx(cells["clean"])
    mean = result.summary["mean_ks_error"]
    assert mean.value == pytest.approx(np.mean([value for name, value in cells.items() if name != "clean"]))
    assert None not in (mean.low, mean.high)
    assert "ks_error" in score_run(runs[0], metrics=["ks_error"], resamples=0).cells[0].metrics


@pytest.mark.usefixtures("installed")
def test_it_is_compared_image_by_image(runs: list[str]) -> None:
    comparison = compare_runs(*map(RunFolder.open, runs), resamples=50)
    ours, theirs = (np.mean([v for name, v in expected(run).items() if name != "clean"]) for run in runs)
    assert comparison.differences["mean_ks_error"].value == pytest.approx(ours - theirs)
    assert any(text.startswith("KS calibration error under corruption: ") for text in comparison.sentences)


@pytest.mark.usefixtures("installed")
def test_every_screen_shows_it_with_title_and_unit(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics"]) == 0
    assert "ks_error" in capsys.readouterr().out
    for run in runs:
        assert main(["metrics", run, "--resamples", "20"]) == 0
    shown = capsys.readouterr().out
    value = row("mean_ks_error").show(load(runs[0]).summary["mean_ks_error"].value or 0.0)
    assert "mean KS calibration error, %" in shown
    assert value in shown
    assert main(["compare", *runs, "--resamples", "100"]) == 0
    assert "mean KS calibration error, %" in capsys.readouterr().out
    assert main(["report", *runs, "--out", str(tmp_path / "r.md")]) == 0
    line = next(
        line
        for line in (tmp_path / "r.md").read_text().splitlines()
        if line.startswith("| KS calibration error under corruption, %")
    )
    assert f"| {value} (" in line.replace("*", "")


@pytest.mark.usefixtures("installed")
def test_plots_and_leaderboards_take_it(runs: list[str], tmp_path: Path) -> None:
    results = {Path(run): score_run(run, resamples=20) for run in runs}
    curves = plots.SeverityCurves.from_results(list(results.values()), "ks_error")
    cells = expected(runs[0])
    assert curves.values[0][3] == pytest.approx(50 * (cells["contrast/3"] + cells["fog/3"]))
    assert curves.plot().get_ylabel() == "KS calibration error, %"
    for run, result in results.items():
        save(result, run / "result.json")
    drawn = tmp_path / "k.svg"
    assert main(["plot", "severity", *runs, "--metric", "ks_error", "--out", str(drawn)]) == 0
    assert drawn.read_bytes().startswith(b"<?xml")
    board = make_boards(results, living=False)[0]
    assert "mean_ks_error" in board.columns


def test_without_the_package_its_values_are_shown_as_they_are_stored(runs: list[str]) -> None:
    assert "ks_error" not in METRICS
    assert row("ks_error").show(0.25) == "0.2500"
    assert "ks_error" not in score_run(runs[0], resamples=0).cells[0].metrics
