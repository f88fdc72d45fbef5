"""From a run to a result: every value against brute force on the stored predictions."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from robench.catalogue import row
from robench.corruptions.perturbations import PERTURBATIONS
from robench.corruptions.severities import BENCHMARK, EXTRA
from robench.errors import RobenchError
from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY
from robench.predictions import (
    Environment,
    ModelInfo,
    Predictions,
    RunFolder,
    RunIdentity,
    RunRecord,
    SuiteInfo,
    Timing,
)
from robench.results import load, save, score_run
from robench.results.comparing import compare_runs, difference_of
from robench.results.loading import parse
from robench.results.migrations import migrate
from robench.results.protocols import averaged
from robench.results.summaries import CellArrays, summarise
from robench.results.values import with_interval
from robench.suites import get
from robench.suites.base import Cell

CORRUPTIONS = ("gaussian_noise", "fog", "contrast")
CELLS = ("clean", *(f"{name}/{s}" for name in CORRUPTIONS for s in range(1, 6)))
IMAGES = 300


def make_columns(strength: float, seed: int, images: int = IMAGES) -> Predictions:
    """Return predictions of a ten-class softmax on noisy logits, computed the plain way."""
    rng = np.random.default_rng(seed)
    target = np.arange(images) % 10
    logits = torch.from_numpy(rng.standard_normal((images, 10)) + strength * np.eye(10)[target])
    p = torch.softmax(logits, 1).numpy()
    rows = np.arange(images)
    return Predictions(
        index=rows,
        target=target.astype(np.int32),
        predicted=p.argmax(1).astype(np.int32),
        confidence=p.max(1).astype(np.float32),
        target_probability=p[rows, target].astype(np.float32),
        nll=-np.log(p[rows, target]).astype(np.float32),
        brier=((p - np.eye(10)[target]) ** 2).sum(1).astype(np.float32),
        entropy=-(p * np.log(p)).sum(1).astype(np.float32),
        top5=np.argsort(-p, 1)[:, :5].astype(np.int32),
    )


def make_run(
    path: Path, *, better: float = 0.0, cells: tuple[str, ...] = CELLS, model: str = "m", images: int = IMAGES
) -> RunFolder:
    protocol = {"suite": "digits-c", "seed": 0}
    suite = SuiteInfo(
        name="digits-c", title="t", task="classification", version=1, dataset="digits", num_classes=10,
        source="generated", summary=("clean", "corruption"), cells=CELLS, protocol=protocol,
    )  # fmt: skip
    record = RunRecord(
        identity=RunIdentity(model=model, protocol=protocol),
        cells=CELLS,
        suite=suite,
        model=ModelInfo(name=model, hash=model, num_classes=10),
        environment=Environment(torch="x"),
    )
    run = RunFolder.create(path, record)
    for i, name in enumerate(cells):
        severity = Cell.parse(name).severity or 0
        run.write(name, make_columns(3.5 - 0.5 * severity + better, seed=i, images=images))
    run.note_timings({name: Timing(seconds=0.5, images=images) for name in cells})
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("run") / "r")


def test_summaries_are_the_means_of_the_cells(run: RunFolder) -> None:
    result = score_run(run, resamples=50)
    error = {name: float(np.mean(~run.read(name).correct)) for name in CELLS}
    corrupted = [error[name] for name in CELLS if name != "clean"]
    assert result.summary["clean_error"].value == pytest.approx(error["clean"])
    assert result.summary["mean_error"].value == pytest.approx(np.mean(corrupted))
    assert result.summary["robust_accuracy"].value == pytest.approx(1 - np.mean(corrupted))
    assert result.summary["mean_error_noise"].value == pytest.approx(
        np.mean([error[f"gaussian_noise/{s}"] for s in range(1, 6)])
    )
    brier = [run.read(name).brier.mean(dtype=float) for name in CELLS if name != "clean"]
    assert result.summary["mean_brier"].value == pytest.approx(np.mean(brier), rel=1e-6)
    assert result.conditions["fog"]["error"].value == pytest.approx(np.mean([error[f"fog/{s}"] for s in range(1, 6)]))
    assert result.severities["3"]["error"].value == pytest.approx(np.mean([error[f"{c}/3"] for c in CORRUPTIONS]))
    assert result.severities["0"]["error"].value == result.summary["clean_error"].value
    assert [cell.name for cell in result.cells] == list(CELLS)
    assert result.status == "complete"
    assert result.suite.complete
    assert result.run.images_per_second == IMAGES / 0.5


def test_every_value_has_an_interval_around_it(run: RunFolder) -> None:
    result = score_run(run, resamples=200)
    for name in ("clean_error", "mean_error", "mean_brier", "mean_nll"):
        value = result.summary[name]
        assert value.low is not None
        assert value.high is not None
        assert value.low < value.value < value.high
    # The mean over cells of independent noise is known better than one cell.
    one, mean = result.cells[1].metrics["brier"], result.summary["mean_brier"]
    assert mean.high - mean.low < one.high - one.low


def test_no_wrong_answer_has_the_exact_binomial_interval(tmp_path: Path) -> None:
    result = score_run(make_run(tmp_path / "r", better=40.0), resamples=20)
    high = binomtest(0, IMAGES).proportion_ci(method="exact").high
    for values in (result.cells[3].metrics, result.conditions["fog"], result.severities["5"]):
        assert (values["error"].low, values["error"].high) == (0.0, pytest.approx(high))
        assert (values["ece"].value, values["ece"].high) == (pytest.approx(0.0, abs=1e-6), None)
        assert values["ece"].note == "no interval: every resample has this value"
    for name in ("clean_error", "mean_error", "mean_error_noise"):
        assert (result.summary[name].low, result.summary[name].high) == (0.0, pytest.approx(high))
    accuracy = result.summary["robust_accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (1.0, pytest.approx(1 - high), 1.0)
    assert score_run(tmp_path / "r", resamples=0).summary["clean_error"].high is None


@pytest.mark.parametrize(
    ("name", "share"),
    [("error", True), ("mean_top5_error", True), ("worst_case_error", True), ("iid_error", True), ("mfp", True),
     ("mce", False), ("relative_mce", False), ("gap_error", False), ("mean_ece", False), ("mt5d", False)],
)  # fmt: skip
def test_shares_of_images_are_told_from_other_values(name: str, share: bool) -> None:
    assert row(name).share is share


def test_the_interval_of_the_error_is_about_the_binomial_one(run: RunFolder) -> None:
    result = score_run(run, resamples=1000)
    value = result.conditions["clean"]["error"]
    half = 1.96 * np.sqrt(value.value * (1 - value.value) / IMAGES)
    assert (value.high - value.low) / 2 == pytest.approx(half, rel=0.2)


def test_reliability_bins_hold_every_image(run: RunFolder) -> None:
    result = score_run(run, resamples=0)
    assert sum(b.count for b in result.reliability["clean"]) == IMAGES
    assert sum(b.count for b in result.reliability["severity/5"]) == IMAGES * len(CORRUPTIONS)
    clean = run.read("clean")
    chosen = (clean.confidence >= 14 / 15) & (clean.confidence <= 1)
    assert result.reliability["clean"][-1].count == chosen.sum()
    assert result.reliability["clean"][-1].accuracy == pytest.approx(clean.correct[chosen].mean())


def test_a_result_survives_its_file(run: RunFolder, tmp_path: Path) -> None:
    result = score_run(run, resamples=20)
    assert load(save(result, tmp_path / "result.json")) == result
    assert "NaN" not in (tmp_path / "result.json").read_text()


def test_scoring_twice_gives_the_same_document(run: RunFolder) -> None:
    assert score_run(run, resamples=50) == score_run(run, resamples=50)


def test_an_unfinished_run_is_partial(tmp_path: Path) -> None:
    result = score_run(make_run(tmp_path / "r", cells=CELLS[:4]), resamples=20)
    assert result.status == "partial"
    assert not result.suite.complete
    assert "mce" not in result.summary


def test_what_cannot_be_scored_is_said(tmp_path: Path, run: RunFolder) -> None:
    with pytest.raises(RobenchError, match="no finished cell"):
        score_run(make_run(tmp_path / "r", cells=()))
    with pytest.raises(RobenchError, match="Unknown metric 'eec'"):
        score_run(run, metrics=["eec"])
    with pytest.raises(RobenchError, match="keep_logits='yes'"):
        score_run(run, metrics=["classwise_ece"])


def test_other_metrics_alone_are_summed_up_without_the_error(run: RunFolder) -> None:
    summary = score_run(run, metrics=["aurc", "soft_f1"], resamples=10).summary
    assert set(summary) == {f"{of}_{name}" for of in ("clean", "mean") for name in ("aurc", "soft_f1")}
    cells = (Cell("clean"), *(Cell(name, s) for name in BENCHMARK for s in range(1, 6)))
    every = replace(get("imagenet-c"), summary=("clean", "corruption", "normalised", "gap"))
    assert set(summarise(CellArrays(cells, {"ece": np.ones(len(cells))}, every))) == {"clean_ece", "mean_ece", "ece"}
    sequences = CellArrays((Cell("snow"),), {"top5_distance": np.ones(1)}, get("imagenet-p"))
    assert set(summarise(sequences)) == {"mt5d"}


def test_documents_that_are_no_results(tmp_path: Path, run: RunFolder) -> None:
    with pytest.raises(RobenchError, match="No result at"):
        load(tmp_path)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(RobenchError, match="is not valid JSON"):
        load(tmp_path)
    with pytest.raises(RobenchError, match="not a robench result"):
        parse({"kind": "other"})
    document = score_run(run, resamples=0).model_dump(mode="json")
    with pytest.raises(RobenchError, match="newer robench"):
        migrate(document | {"schema_version": 999})
    del document["suite"]["dataset"]
    with pytest.raises(RobenchError, match=r"suite\.dataset"):
        parse(document)


def test_the_better_of_two_runs_is_told_and_equal_ones_are_not(tmp_path: Path, run: RunFolder) -> None:
    better = make_run(tmp_path / "better", better=1.0, model="better")
    comparison = compare_runs(better, run, resamples=300)
    difference = comparison.differences["mean_error"]
    expected = np.mean([(~better.read(n).correct).mean() - (~run.read(n).correct).mean() for n in CELLS[1:]])
    assert difference.value == pytest.approx(expected)
    assert difference.significant
    assert any("better is lower" in sentence and "significant" in sentence for sentence in comparison.sentences)
    same = compare_runs(run, make_run(tmp_path / "same"), resamples=100)
    assert same.differences["mean_error"].value == 0
    assert not same.differences["mean_error"].significant
    assert all(cell.p == 1 for cell in same.cells)
    json.dumps(comparison.model_dump(mode="json"), allow_nan=False)


def test_models_that_answer_alike_on_few_images_may_differ_on_others(tmp_path: Path, run: RunFolder) -> None:
    """Resamples of no difference have none: their interval, from 0 to 0, would say that the models are the same."""
    same = compare_runs(run, make_run(tmp_path / "same"), resamples=20)
    reach = 1.959964 * (2 / (IMAGES + 2) / IMAGES) ** 0.5  # two images that differ are added
    for cell in same.cells:
        assert (cell.difference.low, cell.difference.high) == pytest.approx((-reach, reach))
    mean = same.differences["mean_error"]
    assert mean.low == pytest.approx(-1.959964 * mean.error)
    assert -reach < mean.low < 0 < mean.high
    wide = difference_of(-0.02, np.linspace(-0.05, 0.01, 100), "mean_error", least=0.001)
    assert (wide.low, wide.high) == pytest.approx((-0.0485, 0.0085))  # their own spread is larger


def test_a_paired_difference_is_sharper_than_two_intervals(tmp_path: Path, run: RunFolder) -> None:
    other = make_run(tmp_path / "other", better=0.1, model="other")
    difference = compare_runs(other, run, resamples=300).differences["mean_brier"]
    alone = score_run(run, resamples=300).summary["mean_brier"]
    assert difference.high - difference.low < alone.high - alone.low


def test_runs_of_other_protocols_are_not_compared(tmp_path: Path, run: RunFolder) -> None:
    other = make_run(tmp_path / "o")
    other.record.identity.protocol["seed"] = 7
    with pytest.raises(RobenchError, match="not of the same protocol; they differ in seed"):
        compare_runs(run, other)


def test_a_comparison_of_a_part_says_so(tmp_path: Path, run: RunFolder) -> None:
    part = make_run(tmp_path / "part", cells=CELLS[:3], model="part")
    said = compare_runs(run, part, resamples=20).sentences[0]
    assert said.startswith(f"Only the 3 cells that both runs have are compared (of {len(CELLS)} and 3)")
    both = compare_runs(part, make_run(tmp_path / "same", cells=CELLS[:3], model="same"), resamples=20).sentences[0]
    assert both.startswith(f"Only 3 of the {len(CELLS)} cells of digits-c were measured: the means are over these")
    whole = compare_runs(run, make_run(tmp_path / "whole", model="whole"), resamples=20)
    assert not any("Only the" in sentence for sentence in whole.sentences)


def test_headline_values_average_the_fifteen() -> None:
    cells = tuple(Cell(name, s) for name in ("fog", "spatter") for s in range(1, 6))
    suite = replace(get("cifar10-c"), summary=("corruption",))
    assert averaged(suite, cells) == ("fog",)
    found = summarise(CellArrays(cells, {"error": np.arange(10.0)}, suite))
    assert found["mean_error"] == 2.0
    assert "mean_error_19" not in found
    cells = tuple(Cell(name, s) for name in (*BENCHMARK, *EXTRA) for s in range(1, 6))
    found = summarise(CellArrays(cells, {"error": np.arange(95.0)}, suite))
    assert (found["mean_error"], found["mean_error_19"]) == (37.0, 47.0)


def test_flip_rate_is_of_all_ten_perturbations() -> None:
    cells = tuple(Cell(name) for name in PERTURBATIONS)
    flips = np.array([ALEXNET_FLIP_PROBABILITY[name] for name in PERTURBATIONS])
    found = summarise(CellArrays(cells, {"flip_probability": 2 * flips}, get("imagenet-p")))
    assert found["mfr"] == pytest.approx(2.0)
    part = summarise(CellArrays(cells[1:], {"flip_probability": flips[1:]}, get("imagenet-p")))
    assert set(part) == {"mfp"}


def test_a_stored_result_is_taken_up_only_while_it_is_current(tmp_path: Path) -> None:
    from robench.results.scoring import current_result

    run = make_run(tmp_path / "r")
    assert current_result(run, 20) is None
    result = score_run(run, resamples=20)
    save(result, run.path / "result.json")
    assert current_result(run, 20) == result
    assert current_result(run, 30) is None
    document = json.loads((run.path / "result.json").read_text())
    (run.path / "result.json").write_text(json.dumps(document | {"schema_version": 1}))
    assert current_result(run, 20) is None  # it can be read, but was scored by other rules
    save(result, run.path / "result.json")
    run.write("fog/3", make_columns(0.0, seed=99))
    assert current_result(run, 20) is None
    (run.path / "result.json").write_text("{")
    assert current_result(run, 20) is None


def test_a_binned_error_lies_inside_its_interval(run: RunFolder) -> None:
    """Resamples repeat images and so look worse calibrated; the bootstrap's bias is taken off."""
    result = score_run(run, resamples=300)
    for values in (result.summary, *(cell.metrics for cell in result.cells)):
        for name, value in values.items():
            if value.low is not None:
                assert value.low <= value.value <= value.high, name
    ece = result.summary["mean_ece"]
    assert ece.low < ece.value < ece.high


def test_some_of_the_conditions_are_not_the_whole_suite(tmp_path: Path) -> None:
    """Fog alone has a mean over its corruptions too, which must not pass for the suite's; later cells complete it."""
    from robench.evaluation import EvaluationOptions, evaluate_suite
    from robench.models import wrap
    from robench.suites import open_suite
    from robench.suites.base import OpenOptions

    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
    model, cpu = wrap(linear, num_classes=10), EvaluationOptions(device="cpu")
    part = open_suite("digits-c", None, OpenOptions(conditions=("contrast",)))
    run = evaluate_suite(model, part, tmp_path / "run", cpu).run
    assert not score_run(run, resamples=10).suite.complete
    everything = open_suite("digits-c", None, OpenOptions())
    run = evaluate_suite(model, everything, tmp_path / "run", cpu).run
    assert score_run(run, resamples=10).suite.complete
    run = evaluate_suite(model, part, tmp_path / "run", cpu).run
    assert score_run(run, resamples=10).suite.complete


def test_what_an_earlier_version_did_not_count_is_not_taken_for_nothing(
    tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 kept the number of unreadable images in its log alone: without it, no run is known to be whole."""
    assert score_run(run, resamples=0).suite.complete
    part = make_run(tmp_path / "r")
    part.record.suite.protocol["skip_corrupt"] = True
    assert score_run(part, resamples=0).suite.complete
    read = RunFolder.read
    monkeypatch.setattr(RunFolder, "read", lambda run, *rest: replace(read(run, *rest), notes=None))
    result = score_run(part, resamples=0)
    assert not result.suite.complete
    assert any("it is not known how many there were" in sentence for sentence in result.notes)


def test_no_interval_goes_beyond_what_a_value_can_be() -> None:
    replicates = np.repeat([0.97, 0.98, 0.99, 1.0, 1.0], 200)  # so many that their bias is no chance
    for name in ("robust_accuracy", "error", "mean_ece", "clean_ece", "mean_error", "mean_error_noise", "gap_error"):
        assert with_interval(0.995, replicates, name).high == 1.0
    for name in ("nll", "mean_nll", "mce", ""):  # these may pass 1
        assert (with_interval(0.995, replicates, name).high or 0) > 1.0
    assert (with_interval(0.995, replicates, "mean_brier").high or 0) > 1.0  # of 0 to 2
    assert with_interval(1.995, replicates + 1, "mean_brier").high == 2.0


@pytest.mark.parametrize("images", [20, 100, 150, 199])
def test_a_calibration_error_of_too_few_images_is_null_with_its_reason(images: int, tmp_path: Path) -> None:
    """The published code bins by 100 and leaves the last bin out: of 100 to 199 images it says 0.00, of whatever."""
    why = "undefined with fewer than 200 images per cell"
    run, other = (make_run(tmp_path / name, model=name, better=i, images=images) for i, name in enumerate("ab"))
    result = score_run(run, resamples=20)
    for values in (result.summary, result.conditions["fog"], result.severities["5"], result.cells[0].metrics):
        value = values.get("rms_calibration_error") or values["mean_rms_calibration_error"]
        assert (value.value, value.low, value.high, value.note) == (None, None, None, why)
    assert result.summary["mean_rms_calibration_error_all_bins"].value is not None or images < 100
    assert any("undefined with fewer than 200 images per cell" in note for note in result.notes)
    comparison = compare_runs(run, other, resamples=20)
    difference = comparison.differences["mean_rms_calibration_error"]
    assert (difference.value, difference.low, difference.significant, difference.note) == (None, None, False, why)
    assert f"RMS calibration error under corruption: {why}." in comparison.sentences


def test_two_hundred_images_have_one_bin(tmp_path: Path) -> None:
    found = score_run(make_run(tmp_path / "r", images=200), resamples=20).summary["clean_rms_calibration_error"]
    assert found.value is not None
    assert found.value > 0
    assert found.note is None


def test_a_published_rms_that_depends_on_the_order_of_images_is_said(tmp_path: Path, run: RunFolder) -> None:
    certain = make_run(tmp_path / "r", cells=("clean",))
    rows = make_columns(3.0, seed=0)
    certain.write("clean", dataclasses.replace(rows, confidence=np.ones(IMAGES, np.float32)))
    assert any(note.startswith("clean: a bin of the RMS") for note in score_run(certain, resamples=2).notes)
    assert not any("cuts through images" in note for note in score_run(run, resamples=2).notes)
