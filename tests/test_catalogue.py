"""The catalogue says what every value is: titles, units, directions, derived names and their order."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest

from robench.catalogue import METRICS, SUMMARIES, UNITS, Metric, defaults, headlines, metric, names, row, show
from robench.errors import RobenchError


@pytest.mark.parametrize("name", names())
def test_every_row_is_whole(name: str) -> None:
    about = row(name)
    assert about.name == name
    assert about.title
    assert not about.title.startswith(("Error", "Mean", "Expected"))  # lower case, as within a sentence
    assert about.range[0] < about.range[1]
    assert about.unit in (*UNITS, "nats", "ranks", "classes")
    assert about.decimals == (2 if about.factor == 100 else 3)
    if about.share:
        assert about.range == (0.0, 1.0)


def test_derived_values_keep_what_their_metric_says() -> None:
    clean, shifted = row("clean_ece"), row("mean_ood_ece")
    assert (clean.title, clean.head) == ("clean expected calibration error", "clean ECE, %")
    assert shifted.axis == "expected calibration error out of distribution, %"
    assert row("mean_nll").show(1.23456, unit=True) == "1.235 nats"
    assert row("iid_error").share
    assert row("iid_error").range == (0.0, 1.0)


def test_a_gap_has_points_both_signs_and_the_direction_of_its_metric() -> None:
    gap = row("gap_weighted_pr_auc")
    assert (gap.shown_unit, gap.range, gap.share, gap.lower_is_better) == ("points", (-1.0, 1.0), False, False)
    assert row("gap_nll").shown_unit == "nats"
    assert row("gap_nll").range == (-math.inf, math.inf)


def test_summary_values_of_groups_and_corruptions_have_rows() -> None:
    assert row("mean_error_noise").title == "mean error under noise corruptions"
    assert row("mean_error_noise").share
    assert row("mean_error_19").title == "mean error over 19 corruptions"
    assert row("ce_jpeg_compression").title == "corruption error (CE) under JPEG compression"
    assert row("mean_ece_debiased").title == "expected calibration error under corruption, debiased"
    assert row("ce_fog").range[1] == math.inf


def test_the_mean_top5_distance_has_one_unit() -> None:
    assert {row(name).shown_unit for name in ("mt5d", "top5_distance", "mean_top5_distance")} == {"ranks"}


def test_an_unknown_value_is_shown_as_it_is_stored() -> None:
    assert show("future_figure", 0.25) == "0.2500"
    assert row("future_figure").better == "neither"
    with pytest.raises(RobenchError, match=r"Unknown metric 'eec'.*\n.*'ece'"):
        metric("eec")


def test_results_carry_the_metrics_of_their_task() -> None:
    assert defaults("multilabel") == ("weighted_pr_auc",)
    assert defaults("variants") == ("worst_loss_error", "worst_case_error", "average_case_error")
    assert "error" in defaults("classification")
    assert all(METRICS.get(name).needs for name in METRICS)
    assert {entry.of for entry in map(SUMMARIES.get, SUMMARIES)} <= set(METRICS)


def test_tables_show_the_main_value_first_and_details_on_request() -> None:
    present = ["clean_overconfidence_gap", "mean_ece", "clean_error", "mean_error", "mean_aurc", "unheard_of"]
    assert headlines(present) == ["mean_error", "clean_error", "mean_ece", "mean_aurc"]


def test_it_needs_the_standard_library_only() -> None:
    code = "import sys, robench.catalogue; print({m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names)"
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(re.findall(r"\w+", found.stdout)) == {"__main__", "robench"}


def test_a_metric_is_a_metric_with_few_words() -> None:
    made = Metric("ks", "KS calibration error", needs=("confidence",), kernel="somewhere:ks")
    assert (made.axis, made.better, made.tasks) == ("KS calibration error, %", "lower", ("classification",))
