"""``robench metrics RUN --baseline``: CE, mCE and relative mCE against another run, over chosen corruptions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from robench.cli.main import main
from robench.errors import RobenchError
from robench.metrics.corruption import BASELINES, Baseline
from robench.predictions import RunFolder
from robench.results.normalising import _chosen, normalised_values

CORRUPTIONS = ("contrast", "fog")


def evaluate(out: Path, *more: str) -> str:
    command = ["evaluate", "-s", "digits-c", "--limit", "80", "--device", "cpu", "--workers", "1", "--resamples", "0"]
    assert main([*command, "-q", "-o", str(out), *more]) == 0
    return str(out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, both = tmp_path_factory.mktemp("runs"), ["--corruption", ",".join(CORRUPTIONS)]
    return {
        "run": evaluate(folder / "run", "-m", "reference:digits/mixup", *both),
        "other": evaluate(folder / "other", "-m", "reference:digits/standard", *both),
        "part": evaluate(folder / "part", "-m", "reference:digits/standard", *both, "--severity", "5"),
        "empty": str(folder),
    }


def errors(run: str) -> dict[str, float]:
    folder = RunFolder.open(run)
    return {cell: float((folder.read(cell).predicted != folder.read(cell).target).mean()) for cell in folder.done()}


def against(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, float]]:
    assert main(["metrics", *arguments, "--json", "--resamples", "40"]) == 0
    found: dict[str, dict[str, float]] = json.loads(capsys.readouterr().out)
    return found


def test_against_another_run_is_a_plain_ratio_of_sums(runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = errors(runs["run"]), errors(runs["other"])
    found = against(capsys, runs["run"], "--baseline", runs["other"])
    sums = {name: [sum(e[f"{name}/{s}"] for s in range(1, 6)) for e in (ours, theirs)] for name in CORRUPTIONS}
    for name in CORRUPTIONS:
        assert found[f"ce_{name}"]["value"] == pytest.approx(sums[name][0] / sums[name][1])
    assert found["mce"]["value"] == pytest.approx(np.mean([a / b for a, b in sums.values()]))
    rise = [(a - 5 * ours["clean"]) / (b - 5 * theirs["clean"]) for a, b in sums.values()]
    assert found["relative_mce"]["value"] == pytest.approx(np.mean(rise))
    assert found["mean_error"]["value"] == pytest.approx(np.mean([a / 5 for a, _ in sums.values()]))
    assert all(value["low"] <= value["value"] <= value["high"] for value in found.values())
    itself = against(capsys, runs["run"], "--baseline", runs["run"])
    assert itself["mce"]["value"] == pytest.approx(1)


def of_dataset(run: str, out: Path, suite: str, dataset: str) -> str:
    """Return a copy of a run whose record says that it is of another suite."""
    shutil.copytree(run, out)
    record = json.loads((out / "run.json").read_text())
    record["info"]["suite"] |= {"name": suite, "dataset": dataset}
    (out / "run.json").write_text(json.dumps(record))
    return str(out)


def test_a_published_table_and_a_subset(
    runs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = errors(runs["run"])
    tiny = of_dataset(runs["run"], tmp_path / "tiny", "tiny-imagenet-c", "tiny-imagenet")
    found = against(capsys, tiny, "--baseline", "tiny-imagenet-resnet18", "--corruption", "fog")
    expected = np.mean([ours[f"fog/{s}"] for s in range(1, 6)]) / BASELINES["tiny-imagenet-resnet18"].mean["fog"]
    assert found["mce"]["value"] == found["ce_fog"]["value"] == pytest.approx(expected)
    assert "relative_mce" not in found
    imagenet = of_dataset(runs["run"], tmp_path / "imagenet", "imagenet-c", "imagenet")
    assert main(["metrics", imagenet, "--baseline", "alexnet", "--resamples", "0"]) == 0
    assert "relative mCE, %" in capsys.readouterr().out


def test_a_baseline_of_another_data_set_is_refused(runs: dict[str, str], tmp_path: Path) -> None:
    """AlexNet's errors are ImageNet-C's: divided by them, errors on other images look like an mCE and are none."""
    with pytest.raises(RobenchError, match=r"alexnet is of imagenet, but .* is a run on digits \(digits-c\)"):
        normalised_values(runs["run"], "alexnet", resamples=0)
    cifar = of_dataset(runs["run"], tmp_path / "cifar", "cifar10-c", "cifar10")
    with pytest.raises(RobenchError, match=r"of digits, but .* is a run on cifar10 \(cifar10-c\)"):
        normalised_values(cifar, runs["other"], resamples=0)
    tiny = of_dataset(runs["run"], tmp_path / "tiny", "tiny-imagenet-c", "tiny-imagenet")
    with pytest.raises(RobenchError, match="or tiny-imagenet-resnet18"):
        normalised_values(tiny, "alexnet", resamples=0)


def test_no_relative_error_where_the_baseline_has_no_rise(
    runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rise below 0 would turn the sign: the more our error rose, the better its ratio would look."""
    harder = Baseline("harder", {"contrast": 0.5, "fog": 0.2}, 0.3, "made up", "digits")
    monkeypatch.setitem(BASELINES, "harder", harder)
    assert "relative_mce" not in normalised_values(runs["run"], "harder", resamples=0)
    assert "relative_mce" in normalised_values(runs["run"], "harder", corruptions=["contrast"], resamples=0)


def test_held_out_corruptions_count_only_where_they_are_named() -> None:
    """A published CIFAR-10-C or ImageNet-C folder has 19 corruptions; what is called mCE is of the 15."""
    table, all_five = BASELINES["alexnet"], set(range(1, 6))
    ours = dict.fromkeys(("fog", "spatter", "snow"), all_five)
    assert _chosen(None, ours, table, None, Path("run")) == ("fog", "snow")
    assert _chosen(["fog", "spatter"], ours, table, None, Path("run")) == ("fog", "spatter")
    assert _chosen(None, {"spatter": all_five}, table, None, Path("run")) == ("spatter",)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{run}", "--baseline", "alexnett"], "alexnet"),
        (["{run}", "--baseline", "{empty}"], "not a run"),
        (["{run}", "--baseline", "{part}"], "[1, 2, 3, 4, 5] of 'fog', the baseline [5]"),
        (["{part}", "--baseline", "{other}"], "same severities"),
        (["{run}", "--baseline", "{other}", "--corruption", "snow"], "Both have: fog, contrast"),
        (["{run}", "--corruption", "snow"], "--baseline"),
        (["{run}", "--baseline", "alexnet", "--metric", "ece"], "--baseline and --metric cannot be combined"),
        (["{run}", "--seed", "-1"], "--seed"),
        (["{run}/result.json"], "result.json is not a run"),
    ],
)
def test_mistakes(
    arguments: list[str], expected: str, runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", *(part.format(**runs) for part in arguments)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert expected in said
    assert "Traceback" not in said


def test_why_a_metric_is_undefined_stands_below_the_table(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", runs["run"], "--metric", "sweep_ece,aurc", "--resamples", "0"]) == 0
    printed = " ".join((told := capsys.readouterr()).out.split() + told.err.split())
    assert printed.count("note: sweep_ece: not estimated from a sample of fewer than 5,000 images per cell") == 1
    assert "note: aurc" not in printed
