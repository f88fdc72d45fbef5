"""Conformal sets of a run: in Python, on the command line, in a plot and in a report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import robench
from robench import plots
from robench.cli.main import main
from robench.errors import RobenchError
from robench.predictions import RunFolder, parquet
from robench.results.halves import fit_half_of

FEW = {"device": "cpu", "resamples": 20, "quiet": True}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its logits, one without, and one of fewer images to calibrate on."""
    root = tmp_path_factory.mktemp("runs")
    some = {"corruption": "fog,contrast", "severity": "1,5", "limit": 400}
    robench.evaluate("reference:digits/standard", "digits-c", out=root / "with", **some, **FEW)
    robench.evaluate("reference:digits/standard", "digits-c", out=root / "without", keep_logits="no", **some, **FEW)
    robench.evaluate("reference:digits/standard", "clean", data="digits", limit=150, out=root / "clean", **FEW)
    robench.evaluate("reference:digits/augmix", "clean", data="digits", limit=150, out=root / "other", **FEW)
    return root


@pytest.mark.parametrize("method", ["lac", "aps", "raps"])
def test_the_values_are_those_of_the_sets(runs: Path, method: str) -> None:
    found = robench.conformal(runs / "with", alpha=0.2, method=method, resamples=50)
    run = RunFolder.open(runs / "with")
    rows = run.read("fog/1")
    others = ~np.isin(rows.index, fit_half_of(run, run.done()))
    p = np.exp(rows.logits[others] - rows.logits[others].max(1, keepdims=True)).astype(float)
    p /= p.sum(1, keepdims=True)
    order = np.argsort(-p, 1)
    cumulative = np.empty_like(p)
    np.put_along_axis(cumulative, order, np.cumsum(np.take_along_axis(p, order, 1), 1), 1)
    ranks = np.argsort(order, 1)
    scores = {"lac": 1 - p, "aps": cumulative, "raps": cumulative + 0.01 * np.maximum(ranks + 1 - 5, 0)}[method]
    sets = scores <= found.threshold + 1e-7
    values = found.values["fog/1"]
    assert values["conformal_set_size"].value == pytest.approx(sets.sum(1).mean(), abs=1e-6)
    covered = sets[np.arange(len(p)), rows.target[others]]
    assert values["conformal_coverage"].value == pytest.approx(covered.mean(), abs=1e-6)
    assert values["conformal_coverage"].low <= values["conformal_coverage"].value <= values["conformal_coverage"].high
    assert sum(one.images for one in found.strata["fog/1"]) == len(p) == found.images["fog/1"]


def test_clean_coverage_is_kept_and_that_under_shift_is_not(runs: Path) -> None:
    found = robench.conformal(runs / "with", resamples=0)
    low, high = found.expected
    assert low <= found.values["clean"]["conformal_coverage"].value <= high
    assert found.values["severity/5"]["conformal_coverage"].value < low
    both = [found.values[f"{name}/5"]["conformal_coverage"].value for name in ("fog", "contrast")]
    assert found.values["severity/5"]["conformal_coverage"].value == pytest.approx(np.mean(both))


def test_without_logits_coverage_is_the_same_and_sizes_say_the_command(runs: Path) -> None:
    whole = robench.conformal(runs / "with", method="aps", resamples=0)
    bare = robench.conformal(runs / "without", method="aps", resamples=0)
    assert bare.threshold == whole.threshold
    for group, values in bare.values.items():
        assert values["conformal_coverage"] == whole.values[group]["conformal_coverage"]
        size = values["conformal_set_size"]
        assert size.value is None or size.value == whole.values[group]["conformal_set_size"].value
    assert bare.values["mean under shift"]["conformal_set_size"].note == "set sizes need the logits of every class"
    assert "keep_logits='yes'" in bare.notes[0]


def test_the_note_repeats_the_command_that_measured_the_run(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "without", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    record["info"]["command"] = (
        "robench evaluate --model m.pth --suite digits-c -o 'my run' --keep-logits no --limit 400"
    )
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    found = robench.conformal(tmp_path / "run", method="aps", resamples=0)
    kept = "robench evaluate --model m.pth --suite digits-c --limit 400"
    assert found.notes[0].endswith(f"{kept} --keep-logits yes --out {tmp_path / 'run'}-logits")


def test_another_run_can_be_calibrated_on_and_its_images_are_left_out(runs: Path) -> None:
    found = robench.conformal(runs / "with", fit_run=runs / "clean", resamples=0)
    assert found.fit_images == 150
    assert found.images["clean"] < 400
    with pytest.raises(RobenchError, match="another model"):
        robench.conformal(runs / "with", fit_run=runs / "other", resamples=0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"alpha": 0.0}, "`alpha` must be a number above 0 and below 1"),
        ({"alpha": "much"}, "found 'much'"),
        ({"alpha": 0.001}, "needs at least 999 held-out images"),
        ({"method": "lca"}, "lac"),
        ({"kreg": 2}, "applies only to raps"),
        ({"method": "raps", "penalty": -1}, "of at least 0"),
        ({"fit_on": "snow/1"}, "no finished cell 'snow/1'"),
    ],
)
def test_what_makes_no_sense_is_refused(runs: Path, options: dict[str, object], expected: str) -> None:
    with pytest.raises(RobenchError, match=expected):
        robench.conformal(runs / "with", resamples=0, **options)


def test_a_run_of_the_first_version_is_refused(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "with", tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    for cell in run.done():
        rows = run.read(cell)
        rows.target_tail = rows.target_rank = None
        parquet.write(run.cell_path(cell), rows)
    with pytest.raises(RobenchError, match="earlier version"):
        robench.conformal(tmp_path / "run")


def test_documents_of_other_options_lie_beside(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "with", run, ignore=shutil.ignore_patterns("conformal-*"))
    options: list[dict[str, object]] = [
        {}, {"alpha": 0.2}, {"method": "raps", "penalty": 0.1, "kreg": 2}, {"method": "raps", "penalty": 0.01},
        {"fit_run": runs / "clean"}, {"alpha": 0.25, "fit_on": "fog/1"},
    ]  # fmt: skip
    names = [robench.conformal(run, resamples=0, **one).path.name for one in options]  # type: ignore[arg-type]
    assert names == [
        "conformal-lac-0.1.json", "conformal-lac-0.2.json", "conformal-raps-0.1-penalty-0.1-kreg-2.json",
        "conformal-raps-0.1.json", "conformal-lac-0.1-of-clean.json", "conformal-lac-0.25-on-fog-1.json",
    ]  # fmt: skip
    shown = {curve.name.partition(", ")[2] for curve in plots.read_coverage(run)}
    assert shown == {"LAC 90 %", "LAC 80 %", "LAC 75 %", "RAPS 90 %"}


def test_command_plot_and_report(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "with", run, ignore=shutil.ignore_patterns("conformal-*"))
    assert main(["plot", "coverage", str(run), "--out", str(tmp_path / "c.png")]) == 2
    assert "robench conformal" in capsys.readouterr().err
    assert main(["conformal", str(run), "--alpha", "0.2", "--resamples", "20"]) == 0
    shown = capsys.readouterr().out
    assert "LAC sets, alpha = 0.2" in shown
    assert "mean under shift" in shown
    assert main(["conformal", str(run), "--method", "aps", "--json", "--resamples", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "robench-conformal"
    curves = plots.read_coverage(run)
    assert [curve.method for curve in curves] == ["aps", "lac"]
    assert curves[1].alpha == 0.2
    assert curves[1].values["conformal_coverage"][0, 0] > curves[1].values["conformal_coverage"][5, 0]
    assert main(["plot", "coverage", str(run), "--method", "lac", "--out", str(tmp_path / "c.png")]) == 0
    assert main(["plot", "coverage", str(run), "--method", "none", "--out", str(tmp_path / "c.png")]) == 2
    page = robench.report(run, out=tmp_path / "report.html")
    assert "Coverage of conformal sets under shift" in page.read_text()
