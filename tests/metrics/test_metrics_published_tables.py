"""Printed tables whose inputs are all printed come out of our own summary rules and metric functions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from robench.corruptions.severities import BENCHMARK, EXTRA, GROUPS
from robench.metrics import corruption, shift
from robench.metrics.perturbation import ALEXNET_FLIP_PROBABILITY
from robench.results.summaries import CellArrays, summarise
from robench.suites import get
from robench.suites.base import Cell
from robench.tables.published import PaperTable, load_table

ARCHITECTURES = ("AllConvNet", "DenseNet", "WideResNet", "ResNeXt")
MEAN_ROWS = [("augmix/1", "CIFAR-10-C"), ("augmix/1", "CIFAR-100-C"), ("augmix/5", "CIFAR-10"),
             ("augmix/5", "CIFAR-10-C"), ("augmix/6", "CIFAR-10"), ("augmix/6", "CIFAR-10-P")]  # fmt: skip
DFR = ("small", "large", "slight", "heavy", "nowear", "side", "medium", "zoomlarge")


def numbers(table: PaperTable, row: str, columns: tuple[str, ...] | None = None) -> np.ndarray:
    """Return a row's numbers as they are printed."""
    position = table.labels().index(row)
    return np.array([table.number(position, column) for column in columns or table.columns], float)


@pytest.mark.parametrize(("address", "group"), MEAN_ROWS)
def test_augmix_mean_rows(address: str, group: str) -> None:
    table = load_table(address)
    rows = np.stack([numbers(table, f"{group}/{name}") for name in ARCHITECTURES], axis=1)  # (methods, architectures)
    means = shift.corrupted_mean(rows / 100) * 100
    # Half a unit of the last printed digit, which the summands are rounded to as well.
    np.testing.assert_allclose(means, numbers(table, f"{group}/Mean"), atol=0.0501)
    cells = tuple(Cell(name) for name in ARCHITECTURES)
    found = summarise(CellArrays(cells, {"error": rows / 100}, get("cifar10.1")))["error"] * 100
    np.testing.assert_array_equal(found, means)


def _imagenet_c(errors: np.ndarray, clean: np.ndarray) -> dict[str, np.ndarray]:
    """Summarise errors (models, corruptions) of the 15 corruptions, spread over severities as AlexNet's are."""
    cells = [Cell("clean"), *(Cell(name, severity) for name in BENCHMARK for severity in range(1, 6))]
    rows = []
    for i, name in enumerate(BENCHMARK):
        alexnet = np.array(corruption.ALEXNET[name])
        rows.append(errors[:, i, None] * alexnet / alexnet.mean())
    values = np.concatenate([clean[:, None], *rows], axis=1)
    return summarise(CellArrays(tuple(cells), {"error": values}, get("imagenet-c")))


def test_mce_follows_from_the_printed_corruption_errors() -> None:
    table = load_table("augmix/2")
    printed = np.stack([numbers(table, label) for label in table.labels()])
    clean, ces, mce = printed[:, 0] / 100, printed[:, 1:16] / 100, printed[:, 16]
    baseline = np.array([corruption.BASELINES["alexnet"].mean[name] for name in BENCHMARK])
    assert list(table.columns)[1:16] == list(BENCHMARK)
    found = _imagenet_c(ces * baseline, clean)
    np.testing.assert_allclose(100 * found["mce"], 100 * ces.mean(axis=1))
    # 15 CEs printed as whole numbers: their mean is off by at most 0.5, and by 0.15 at two standard deviations.
    np.testing.assert_allclose(100 * found["mce"], mce, atol=0.5)
    assert np.abs(100 * found["mce"] - mce).mean() < 0.15
    np.testing.assert_allclose(found["clean_error"], clean)
    np.testing.assert_allclose(found["mean_error"], (ces * baseline).mean(axis=1))
    np.testing.assert_allclose(found["robust_accuracy"], 1 - found["mean_error"])
    for group, members in GROUPS.items():
        if group != "extra":
            positions = [list(BENCHMARK).index(name) for name in members if name in BENCHMARK]
            np.testing.assert_allclose(found[f"mean_error_{group}"], (ces * baseline)[:, positions].mean(axis=1))


def test_mfr_follows_from_the_printed_flip_rates() -> None:
    table = load_table("augmix/3")
    names = tuple(name for name in table.columns if name in ALEXNET_FLIP_PROBABILITY)
    assert len(names) == 10
    rates = np.stack([numbers(table, label, names) for label in table.labels()])
    flips = rates / 100 * [ALEXNET_FLIP_PROBABILITY[name] for name in names]
    metrics = {"flip_probability": flips, "top5_distance": np.zeros_like(flips)}
    found = summarise(CellArrays(tuple(Cell(name) for name in names), metrics, get("imagenet-p")))
    printed = np.concatenate([numbers(table, label, ("mfr",)) for label in table.labels()])
    np.testing.assert_allclose(100 * found["mfr"], printed, atol=0.5)
    np.testing.assert_allclose(found["mfp"], flips.mean(axis=1))


def test_ood_means_of_deepfashion_remixed() -> None:
    table = load_table("many-faces/3")
    cells = (Cell("iid"), *(Cell(name) for name in DFR))
    printed = np.stack([numbers(table, label, ("iid", *DFR)) for label in table.labels()])
    found = summarise(CellArrays(cells, {"weighted_pr_auc": printed / 100}, get("dfr")))
    ood = np.concatenate([numbers(table, label, ("ood",)) for label in table.labels()])
    np.testing.assert_allclose(100 * found["mean_ood_weighted_pr_auc"], ood, atol=0.0501)
    np.testing.assert_allclose(100 * found["iid_weighted_pr_auc"], printed[:, 0])
    np.testing.assert_allclose(100 * found["gap_weighted_pr_auc"], ood - printed[:, 0], atol=0.0501)
    assert shift.generalisation_gap(printed[0, 0], printed[0, 1:]) == pytest.approx(ood[0] - printed[0, 0], abs=0.0501)


def test_a_misread_digit_would_be_found() -> None:
    table = load_table("many-faces/3")
    printed = numbers(table, table.labels()[0], DFR)
    printed[0] += 1
    assert abs(shift.corrupted_mean(printed) - numbers(table, table.labels()[0], ("ood",))[0]) > 0.0501


SUBSETS = {
    "15": tuple(BENCHMARK),
    "17": (*BENCHMARK, "speckle_noise", "gaussian_blur"),
    "19": (*BENCHMARK, *EXTRA),
    "12 without noise": tuple(name for name in BENCHMARK if name not in GROUPS["noise"]),
}


@pytest.mark.parametrize("name", SUBSETS)
def test_mce_over_a_subset_equals_a_plain_loop(name: str) -> None:
    chosen, baseline = SUBSETS[name], corruption.baseline_errors("alexnet")
    assert len(chosen) == int(name.split()[0])
    error = np.random.default_rng(1).random((len(chosen), 5))
    total, relative = 0.0, 0.0
    for row, one in zip(error, chosen, strict=True):
        expected = sum(corruption.ALEXNET[one]) if one in corruption.ALEXNET else 5 * corruption.ALEXNET_EXTRA[one]
        total += sum(row) / expected
        relative += sum(e - 0.3 for e in row) / (expected - 5 * corruption.ALEXNET_CLEAN)
    assert corruption.mean_corruption_error(error, baseline, chosen) == pytest.approx(total / len(chosen))
    found = corruption.relative_mean_corruption_error(error, 0.3, baseline, chosen)
    assert found == pytest.approx(relative / len(chosen))


def test_any_run_can_be_the_baseline() -> None:
    rng = np.random.default_rng(2)
    errors, own = rng.random((3, 15, 5)), rng.random((15, 5))
    baseline = corruption.Baseline("mine", dict(zip(BENCHMARK, own.mean(axis=1), strict=True)), 0.1, "a run of mine")
    found = corruption.mean_corruption_error(errors, baseline, tuple(BENCHMARK))
    expected = [np.mean([e.sum() / b.sum() for e, b in zip(error, own, strict=True)]) for error in errors]
    np.testing.assert_allclose(found, expected)
    assert corruption.mean_corruption_error(own, baseline, tuple(BENCHMARK)) == pytest.approx(1)


def test_severities_of_the_baseline_rise() -> None:
    """A swapped line of AlexNet's table would show: noise, blur and contrast only get harder."""
    for name in ("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "motion_blur", "contrast"):
        assert all(a < b for a, b in pairwise(corruption.ALEXNET[name]))
