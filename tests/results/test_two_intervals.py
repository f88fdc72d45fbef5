"""A sampled result says how much was measured, and has two intervals, wherever it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robench
from robench.results import Result
from robench.results.intervals import interval_of
from robench.results.labels import interval_text, sampled_whole, show, unlike
from robench.results.schema import Value

MEASURED = Path(__file__).parents[2] / "leaderboards" / "measured" / "digits-c"
FEW: dict[str, Any] = {"quiet": True, "resamples": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Result:
    out = tmp_path_factory.mktemp("sampled") / "run"
    found = robench.evaluate("reference:digits/standard", "digits-c", out=out, limit=210, **FEW)
    assert found is not None
    return found


def test_the_two_intervals_are_named_apart() -> None:
    value = Value(value=0.5, low=0.4, high=0.6, full_run_low=0.45, full_run_high=0.55)
    assert interval_text(value, "error") == "full run 45.00 to 55.00; new images 40.00 to 60.00"
    assert show(value, "error", interval=True).startswith("50.00 (full run 45.00")


def test_the_terminal_shows_both(sampled: Result, capsys: pytest.CaptureFixture[str]) -> None:
    from robench.cli.common import print_summary

    print_summary([sampled])
    out = capsys.readouterr().out
    assert "full run" in out
    assert "new images" in out
    assert "Sampled: 15,960 of 45,524 images." in out


def test_reports_show_both_and_how_much_was_measured(sampled: Result) -> None:
    from robench.tables.report import render_html, render_markdown

    for text in (render_html([sampled], {}, None), render_markdown([sampled], {}, None)):
        assert "full run" in text
        assert "sampled: 15,960 of 45,524" in text


def test_a_sample_of_all_cells_stands_on_the_board_of_the_whole_suite(sampled: Result) -> None:
    from robench.tables.boards import make_boards

    whole = robench.load(MEASURED / "augmix.json")
    assert sampled_whole(sampled)
    assert unlike([sampled, whole]) == []
    (board,) = make_boards({Path("a"): sampled, Path("b"): whole}, living=False)
    rows = {row.name: row for row in board.rows}
    assert len(rows) == 2
    (marked,) = [row for row in board.rows if row.sampled]
    assert marked.sampled == "sampled: 15,960 of 45,524"
    assert marked.rank is not None


def test_a_sample_of_some_cells_is_a_part(tmp_path: Path) -> None:
    found = robench.evaluate(
        "reference:digits/standard", "digits-c", out=tmp_path / "r", limit=30, corruption="fog", severity=3, **FEW
    )
    assert found is not None
    assert not sampled_whole(found)


def test_the_trio_is_drawn_in_the_debiased_form(sampled: Result) -> None:
    from robench.plots import trio
    from robench.plots.common import or_debiased, provenance

    assert or_debiased([sampled], "rms_calibration_error") == "rms_calibration_error_debiased"
    assert or_debiased([sampled], "brier") == "brier"
    figure = trio([sampled])
    labels = [axes.get_ylabel() + axes.get_title() for axes in figure.axes]
    assert any("debiased" in label for label in labels)
    assert "sampled: 15,960 of 45,524" in provenance([sampled])


@pytest.mark.parametrize(("wrong", "images"), [(0, 40), (1, 40), (5, 60), (200, 1000)])
def test_shares_have_wilsons_interval(wrong: int, images: int) -> None:
    """Against SciPy's, within what the two more images among four leave."""
    from scipy.stats import binomtest

    expected = (wrong + 2) / (images + 4) if wrong < 20 else wrong / images
    found = interval_of(wrong / images, float(np.sqrt(expected * (1 - expected) / images)), "error")
    assert found is not None
    theirs = binomtest(wrong, images).proportion_ci(method="wilson")
    assert found[0] == pytest.approx(theirs.low, abs=0.004)
    assert found[1] == pytest.approx(theirs.high, abs=0.004)


def test_a_score_of_next_to_no_wrong_images_has_no_interval(tmp_path: Path) -> None:
    found = robench.evaluate(
        "reference:digits/standard",
        "digits-c",
        out=tmp_path / "r",
        limit=60,
        corruption="brightness",
        severity=1,
        **FEW,
    )
    assert found is not None
    nll = found.cells[0].metrics["nll"]
    assert nll.value is not None
    assert nll.low is None
    assert "fewer than 20 images are wrong" in (nll.note or "")
