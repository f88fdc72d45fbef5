"""Measuring two models until it is clear which is better, or that they are equivalent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import robench
from robench.api.decide import LEVEL, settled, verdict_of
from robench.api.looks import Bounds, Look
from robench.cli.main import main
from robench.errors import RobenchError
from robench.results.deciding import Loss

FEW: dict[str, Any] = {"corruption": "fog,contrast", "device": "cpu", "quiet": True}


def decided(models: Any, folder: Path, **words: Any) -> robench.api.Decision:
    return robench.decide(models, "digits-c", **({"margin": 1.0, "out": folder} | FEW | words))


def bounds(loss: float, critical: float = 2.0) -> Bounds:
    return Bounds(Loss("mean_error", 0.1, 0.1, loss, 0.002), {LEVEL / 2: critical, LEVEL: 0.9 * critical})


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [(0.0, "equivalent"), (0.005, "equivalent"), (0.009, "worse"), (-0.009, "better"), (0.05, "worse")],
)
def test_verdicts_follow_the_bounds_and_equivalence_comes_first(loss: float, verdict: str) -> None:
    assert verdict_of({"mean_error": 0.01}, "mean_error", bounds(loss)) == verdict


def test_nothing_is_decided_where_a_value_is_undecided_or_undefined() -> None:
    margins = {"mean_error": 0.01, "mean_brier": 0.01}
    levels = {LEVEL / 4: 2.0, LEVEL / 2: 2.0}
    one = Bounds(Loss("mean_error", 0.1, 0.1, 0.0, 0.001), levels)
    open_ = Bounds(Loss("mean_brier", 0.1, 0.1, 0.0, 0.1), levels)
    assert settled(margins, Look(25, 100, {"mean_error": one, "mean_brier": one}, last=False))
    assert not settled(margins, Look(25, 100, {"mean_error": one, "mean_brier": open_}, last=False))
    assert not settled(margins, Look(25, 100, {"mean_error": one}, last=False))


def test_a_clear_difference_takes_few_passes_and_equal_models_are_equivalent(tmp_path: Path) -> None:
    found = decided("reference:digits/augmix,reference:digits/standard", tmp_path)
    assert found.values[0].verdict == "better"
    assert found.values[0].high < 0.0
    assert found.passes < 0.3 * found.of
    same = decided(["reference:digits/augmix"] * 2, tmp_path)
    assert (same.values[0].verdict, same.values[0].difference, same.decided) == ("equivalent", 0.0, True)
    turned = decided(["reference:digits/standard", "reference:digits/augmix"], tmp_path)
    assert turned.values[0].verdict == "worse"
    assert turned.measured == 0
    assert turned.values[0].difference == -found.values[0].difference


def test_models_in_a_file_keep_their_options(tmp_path: Path) -> None:
    listed = tmp_path / "models.yaml"
    listed.write_text(
        "- {model: reference:digits/augmix, name: new}\n- {model: reference:digits/standard, name: old}\n"
    )
    found = decided(listed, tmp_path, budget=2000)
    assert (found.a, found.b) == ("new", "old")
    assert found.passes <= 2000


def test_other_numbers_of_models_and_no_margin_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="between two models; found 1"):
        decided(["reference:digits/augmix"], tmp_path)
    with pytest.raises(RobenchError, match="points above 0"):
        decided("a,b", tmp_path, margin="")
    with pytest.raises(RobenchError, match="no effect here"):
        decided("a,b", tmp_path, limit=5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models", "a,b", "--until-decided"], "--until-decided needs a margin"),
        (["--until-decided", "--margin", "1"], "--until-decided needs two models"),
        (["--models", "a,b", "--margin", "1"], "--margin has no effect without --until-decided"),
        (["--models", "a,b", "--budget", "10"], "--budget has no effect without --until-decided"),
        (["--model", "a", "--until-decided", "--margin", "1"], "--until-decided and --model cannot be combined"),
        (["--models", "a,b", "--until-decided", "--margin", "1", "--dry-run"], "--until-decided and --dry-run cannot"),
    ],
)
def test_contradictions_are_refused_on_the_command_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["evaluate", "--suite", "digits-c", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_command_says_the_decision_and_its_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    models = "reference:digits/augmix,reference:digits/standard"
    few = ["--suite", "digits-c", "--corruption", "fog", "--device", "cpu", "-o", str(tmp_path)]
    words = ["evaluate", "--models", models, *few, "--until-decided", "--margin", "0.5"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "augmix is better than standard" in text
    assert "passes" in text
    assert max(map(len, text.splitlines())) <= 80
