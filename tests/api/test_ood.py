"""From foreign images to a table of how well they are told from a model's own, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import robench
from robench import plots
from robench.cli.main import main
from robench.errors import RobenchError
from robench.predictions import RunFolder

MODEL = "reference:digits/standard"
FEW = {"device": "cpu", "resamples": 20, "quiet": True}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on digits, on two foreign sets, and of another model on one of them."""
    root = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for name, images in (
        ("flat", np.repeat(rng.integers(0, 256, (40, 1, 1, 3), np.uint8), 1024, axis=1).reshape(40, 32, 32, 3)),
        ("noise", rng.integers(0, 256, (40, 32, 32, 3), np.uint8)),
    ):
        (root / name).mkdir()
        np.save(root / name / "images.npy", images)
        np.save(root / name / "labels.npy", np.zeros(40, int))
        robench.evaluate(MODEL, f"ood:{root / name}", out=root / f"run-{name}", **FEW)
    robench.evaluate(MODEL, "digits-c", corruption="fog", severity=3, limit=200, out=root / "own", **FEW)
    robench.evaluate("reference:digits/augmix", f"ood:{root / 'flat'}", out=root / "run-other", **FEW)
    return root


def test_values_are_those_of_the_logits(runs: Path) -> None:
    found = robench.ood(runs / "own", near=runs / "run-flat", far={"noise": runs / "run-noise"}, resamples=50)
    both = (("own", "clean"), ("run-flat", "ood"))
    own, foreign = (RunFolder.open(runs / name).read(cell).logits for name, cell in both)
    assert own is not None
    assert foreign is not None
    logits = np.concatenate([own, foreign]).astype(float)
    outlier = np.repeat([0, 1], [len(own), len(foreign)])
    energy = -np.log(np.exp(logits).sum(1))
    flat = found.sets["flat"].values
    assert flat["ood_auroc_energy"].value == pytest.approx(roc_auc_score(outlier, energy), abs=1e-6)
    assert flat["ood_auroc_max_logit"].value == pytest.approx(roc_auc_score(outlier, -logits.max(1)), abs=1e-6)
    assert flat["ood_auroc"].low <= flat["ood_auroc"].value <= flat["ood_auroc"].high
    assert found.groups["near"] == flat
    assert json.loads(found.path.read_text())["sets"]["noise"]["group"] == "far"


def test_perfect_separation_of_few_images_has_an_interval(runs: Path, tmp_path: Path) -> None:
    surest = np.argsort(RunFolder.open(runs / "run-noise").read("ood").columns()["log_complement"])[:3]
    np.save(tmp_path / "images.npy", np.load(runs / "noise" / "images.npy")[surest])
    np.save(tmp_path / "labels.npy", np.zeros(3, int))
    robench.evaluate(MODEL, f"ood:{tmp_path}", out=tmp_path / "run", **FEW)
    found = robench.ood(runs / "own", far=tmp_path / "run", resamples=50).groups["far"]
    auroc, rate = found["ood_auroc"], found["ood_fpr95"]  # the network is surer of noise than of any digit
    assert (auroc.value, auroc.low, auroc.high) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 3)))
    assert (rate.value, rate.low, rate.note) == (1.0, None, "no interval: every resample has this value")


def test_a_corrupted_cell_can_stand_for_the_own_images(runs: Path) -> None:
    clean, fog = (robench.ood(runs / "own", far=runs / "run-flat", cell=c, resamples=0) for c in (None, "fog/3"))
    assert (clean.cell, fog.cell) == ("clean", "fog/3")
    assert fog.sets["flat"].values["ood_auroc"].value != clean.sets["flat"].values["ood_auroc"].value


def test_a_run_with_both_kinds_of_images_has_the_scores_in_its_result(runs: Path, tmp_path: Path) -> None:
    result = robench.evaluate(MODEL, f"ood:{runs / 'flat'}", clean="digits", out=tmp_path / "both", **FEW)
    alone = robench.ood(tmp_path / "both", resamples=0)
    assert result.summary["ood_fpr95"].value == alone.sets["ood"].values["ood_fpr95"].value
    assert result.conditions["clean"]["ood_fpr95"].value is None
    assert "robench ood" in str(result.conditions["clean"]["ood_fpr95"].note)


def test_images_of_both_sides_are_counted(runs: Path, tmp_path: Path) -> None:
    robench.evaluate(MODEL, "ood:digits", out=tmp_path / "same", **FEW)
    found = robench.ood(runs / "own", far=tmp_path / "same", resamples=0)
    assert found.sets["digits"].shared == 200
    assert "200 of 599 images" in found.notes[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "neither `near` nor `far`"),
        ({"far": "run-other"}, "another model"),
        ({"far": "run-flat", "cell": "fog/5"}, "no finished cell 'fog/5'"),
        ({"near": "run-flat", "far": "run-flat"}, "Two sets are called 'flat'"),
        ({"far": "nowhere"}, "nowhere"),
    ],
)
def test_what_does_not_go_together_is_refused(runs: Path, options: dict[str, str], expected: str) -> None:
    given = {name: runs / one if name != "cell" else one for name, one in options.items()}
    with pytest.raises(RobenchError, match=expected):
        robench.ood(runs / "own", resamples=0, **given)


def test_the_command_prints_a_table_and_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["ood", str(runs / "own"), "--far", f"plain={runs / 'run-flat'}", "--resamples", "20"]
    assert main(call) == 0
    shown = capsys.readouterr().out
    assert "plain (far, 40 images)" in shown
    assert "energy" in shown
    assert main([*call, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sets"]["plain"]["images"] == 40
    assert main(["ood", str(runs / "run-flat"), "--far", str(runs / "run-noise")]) == 2
    assert "--cell" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--suite", "ood:"], "names no folder"), (["--suite", "ood:x", "--data", "y"], "--data would be ignored")],
)
def test_a_folder_is_named_once(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--model", MODEL, *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_other_metrics_go_to_a_file_for_plots(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "confidence.json"
    assert main(["metrics", str(runs / "own"), "--metric", "error,failure_auroc", "--out", str(out)]) == 0
    assert robench.load(out).cells[0].metrics["failure_auroc"].value is not None
    assert main(["plot", "severity", str(out), "--metric", "failure_auroc", "--out", str(tmp_path / "a.png")]) == 0
    assert robench.load(runs / "own").cells[0].metrics.keys() != robench.load(out).cells[0].metrics.keys()


def test_the_plot_has_a_row_per_set_and_a_dot_per_score(runs: Path, tmp_path: Path) -> None:
    far = {"flat": runs / "run-flat", "noise": runs / "run-noise"}
    found = robench.ood(runs / "own", far=far, out=tmp_path / "standard.json", resamples=20)
    drawn = plots.read_outliers(tmp_path / "standard.json")
    assert drawn.rows == ["flat", "noise", "mean of far"]
    value = found.sets["noise"].values["ood_auroc_energy"]
    assert drawn.values["ood_auroc_energy"]["noise"] == pytest.approx(
        [100 * v for v in (value.value, value.low, value.high)]
    )
    figure = plots.outliers([drawn])
    for ax, metric in zip(figure.axes, ("ood_auroc", "ood_fpr95"), strict=True):
        dots = [line for line in ax.get_lines() if line.get_marker() != "None" and len(line.get_xdata()) == 3]
        assert len(dots) == 5
        expected = [100 * found.sets[name].values[metric].value for name in far]
        assert dots[0].get_xdata()[:2] == pytest.approx(expected)
    one = plots.outliers([drawn], score="margin")
    assert [text.get_text() for text in one.axes[0].get_yticklabels()] == ["flat (far)", "noise (far)", "Mean of far"]
    with pytest.raises(RobenchError, match="no score 'energie'"):
        plots.outliers([drawn], score="energie")
    other = robench.ood(runs / "own", far=far["noise"], out=tmp_path / "other.json", resamples=0)
    with pytest.raises(RobenchError, match="same sets"):
        plots.outliers([drawn, plots.read_outliers(other.path)])


def test_plot_on_the_command_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = tmp_path / "ood.svg"
    (tmp_path / "empty").mkdir()
    assert main(["plot", "ood", str(tmp_path / "empty"), "--out", str(plot)]) == 2
    assert "robench ood" in capsys.readouterr().err
    robench.ood(runs / "own", far=runs / "run-flat", resamples=0)
    assert main(["plot", "ood", str(runs / "own"), "--score", "energy", "--out", str(plot)]) == 0
    assert plot.read_text().startswith("<?xml")
    (tmp_path / "cut.json").write_text('{"kind": "robench-ood", "sets": {}}')
    assert main(["plot", "ood", str(tmp_path / "cut.json"), "--out", str(plot)]) == 2
    assert "not a complete document" in capsys.readouterr().err


def test_another_cells_scores_are_kept_beside(runs: Path) -> None:
    names = [robench.ood(runs / "own", far=runs / "run-flat", cell=c, resamples=0).path.name for c in (None, "fog/3")]
    assert names == ["ood.json", "ood-fog-3.json"]
