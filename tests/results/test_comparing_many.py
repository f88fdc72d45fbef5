"""Any number of runs: pairs, ranks and verdicts against two-run comparisons and plain computation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robench
from robench import api
from robench.catalogue import row
from robench.errors import RobenchError
from robench.metrics.statistics import exact_interval
from robench.predictions import RunFolder
from robench.results.comparing import Comparison
from robench.results.comparing_many import ManyComparison
from robench.results.labels import sentence

FEW: dict[str, Any] = {"corruption": "fog,contrast", "severity": "3,5", "limit": 150, "device": "cpu", "quiet": True,
                       "resamples": 0}  # fmt: skip
MODELS = ("augmix", "standard", "weak-augment")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name in MODELS:
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=folder / name, **FEW)
    robench.evaluate("reference:digits/augmix", "digits-c", out=folder / "again", **FEW)
    return {name: folder / name for name in (*MODELS, "again")}


@pytest.fixture(scope="module")
def three(runs: dict[str, Path]) -> ManyComparison:
    found = robench.compare(*(runs[name] for name in MODELS), margin=2.0, resamples=400)
    assert isinstance(found, ManyComparison)
    return found


def mean_error(folder: Path) -> float:
    run = RunFolder.open(folder)
    return float(np.mean([1 - run.read(cell).correct.mean() for cell in run.done() if cell != "clean"]))


def test_differences_and_ranks_are_those_of_the_values(runs: dict[str, Path], three: ManyComparison) -> None:
    found = three.values["mean_error"]
    values = {name: mean_error(runs[name]) for name in MODELS}
    for pair in found.pairs:
        assert pair.difference == pytest.approx(values[pair.a] - values[pair.b])
        assert pair.low < pair.difference < pair.high
    for place, name in enumerate(sorted(values, key=lambda name: values[name]), start=1):
        assert found.runs[name].value == pytest.approx(values[name])
        assert found.runs[name].best_rank <= place <= found.runs[name].worst_rank
    behind = [pair.b for pair in found.pairs if pair.a == "augmix" and pair.significant]
    assert found.runs["augmix"].worst_rank == 3 - len(behind)


def test_a_pair_turned_round_is_its_mirror(three: ManyComparison) -> None:
    one, other = (three.values["mean_error"].pair(*names) for names in (("augmix", "standard"), ("standard", "augmix")))
    assert (one.difference, one.low, one.high) == (-other.difference, -other.high, -other.low)
    assert (one.verdict, other.verdict) == ("better", "worse")
    with pytest.raises(RobenchError, match="no difference"):
        three.values["mean_error"].pair("augmix", "nobody")


def test_simultaneous_intervals_are_wider_than_those_of_two_runs(runs: dict[str, Path], three: ManyComparison) -> None:
    two = robench.compare(runs["augmix"], runs["standard"], resamples=400)
    assert isinstance(two, Comparison)
    alone, together = two.differences["mean_error"], three.values["mean_error"].pair("augmix", "standard")
    assert together.difference == pytest.approx(alone.value or 0.0)
    assert alone.low is not None
    assert alone.high is not None
    assert 1.05 < (together.high - together.low) / (alone.high - alone.low) < 1.5


def test_equal_models_share_their_ranks_and_are_equivalent(runs: dict[str, Path]) -> None:
    found = robench.compare(runs["augmix"], runs["again"], runs["standard"], margin=2.0, resamples=200)
    assert isinstance(found, ManyComparison)
    assert found.runs == ["augmix (augmix)", "augmix (again)", "standard"]
    value = found.values["mean_error"]
    assert value.pair("augmix (augmix)", "augmix (again)").verdict == "equivalent"
    assert {(value.runs[name].best_rank, value.runs[name].worst_rank) for name in found.runs[:2]} == {(1, 2)}
    assert any("may each be first, no other run" in text for text in found.sentences)


def test_runs_of_one_model_and_one_run_under_two_names_are_told(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "augmix").symlink_to(runs["augmix"])
    found = robench.compare(runs["augmix"], tmp_path / "augmix", resamples=100)
    assert found.a != found.b
    assert f"{found.a} and {found.b} are the same run." in found.sentences
    found = robench.compare(runs["augmix"], runs["again"], runs["standard"], resamples=100)
    told = [text for text in found.sentences if "of the same model" in text]
    assert told == ["augmix (augmix) and augmix (again) are of the same model (their hashes are equal)."]


def test_two_runs_get_verdicts(runs: dict[str, Path]) -> None:
    found = robench.compare(runs["augmix"], runs["again"], margin={"": 2.0, "mean_brier": 0.02}, resamples=200)
    assert isinstance(found, Comparison)
    same = found.differences["mean_error"]
    assert (same.value, same.verdict, same.margin) == (0.0, "equivalent", 0.02)
    assert same.p_equivalence is not None
    assert same.p_equivalence < 0.05
    assert found.differences["mean_brier"].margin == 0.02
    assert found.differences["mean_nll"].p_equivalence is None
    assert any("augmix (augmix) is equivalent to augmix (again) within 2.00 points" in s for s in found.sentences)
    other = robench.compare(runs["augmix"], runs["standard"], margin=2.0, figures="mean_error", resamples=200)
    assert isinstance(other, Comparison)
    tested = [name for name, one in other.differences.items() if one.verdict]
    assert tested == ["mean_error"]
    assert other.differences["mean_error"].verdict == "better"


def test_few_images_do_not_prove_that_models_are_the_same(tmp_path: Path) -> None:
    """Models that answer alike on 40 images may differ by more than half a point on others."""
    few = FEW | {"corruption": "contrast", "severity": "5", "limit": 40}
    for name in ("a", "b"):
        robench.evaluate("reference:digits/augmix", "digits-c", out=tmp_path / name, **few)
    found = robench.compare(tmp_path / "a", tmp_path / "b", margin=0.5, resamples=100)
    assert isinstance(found, Comparison)
    assert found.differences["mean_error"].value == 0.0
    assert found.differences["mean_error"].verdict == "undecided"


def test_samples_are_compared_without_biased_values(runs: dict[str, Path]) -> None:
    found = robench.compare(runs["augmix"], runs["standard"], resamples=100)
    assert isinstance(found, Comparison)
    assert found.differences["mean_ece"].value is None
    assert "sample" in (found.differences["mean_ece"].note or "")


def test_values_that_are_undefined_are_said_where_there_are_many_runs_too(runs: dict[str, Path]) -> None:
    found = robench.compare(*(runs[name] for name in MODELS), resamples=100, figures="mean_ece")
    assert isinstance(found, ManyComparison)
    assert found.values == {}
    assert any(text.startswith(f"{sentence(row('mean_ece').title)}: not estimated") for text in found.sentences)


def test_images_that_were_prepared_differently_are_said_of_many_runs(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"augmix": "resize 256", "standard": "resize 232", "weak-augment": "resize 256"}
    monkeypatch.setattr("robench.results.comparing.prepared", lambda run: sizes[run.record.model.name])
    found = robench.compare(*(runs[name] for name in MODELS), resamples=100, figures="mean_error")
    assert isinstance(found, ManyComparison)
    said = "Images were prepared differently: for augmix, weak-augment resize 256; for standard resize 232."
    assert said in found.sentences


def test_conditions_name_what_fails(runs: dict[str, Path], three: ManyComparison) -> None:
    found = robench.compare(runs["standard"], runs["augmix"], resamples=200)
    assert api.failing(found, "mean_error:worse") == ("mean_error: standard against augmix is worse",)
    assert api.failing(found, "mean_error:better") == ()
    assert api.failing(three, ["any:worse"]) == ()
    assert len(api.failing(three, "mean_error:better")) == 2
    for text, message in (
        ("mean_error", "VALUE:VERDICT"),
        ("mean_error:bad", "VALUE:VERDICT"),
        ("mean_erorr:worse", "Did you mean 'mean_error'"),
        ("", "names nothing"),
    ):
        with pytest.raises(RobenchError, match=message):
            api.failing(found, text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"margin": 0}, "points above 0"),
        ({"margin": "x"}, "points above 0"),
        ({"margin": "1,2"}, "two margins"),
        ({"margin": {}}, "names no margin"),
        ({"margin": "mean_erorr=1"}, "Did you mean 'mean_error'"),
        ({"figures": "mean_overconfidence_gap"}, "neither a low nor a high"),
        ({"figures": "nothing"}, "not a value of these runs"),
        ({"resamples": 10}, "at least 100|from 100"),
    ],
)
def test_impossible_tests_are_refused(runs: dict[str, Path], words: dict[str, Any], message: str) -> None:
    with pytest.raises(RobenchError, match=message):
        robench.compare(runs["augmix"], runs["standard"], **({"resamples": 100} | words))


def test_one_run_is_not_compared(runs: dict[str, Path]) -> None:
    with pytest.raises(RobenchError, match="at least two runs"):
        robench.compare(runs["augmix"])  # type: ignore[call-overload]


def test_a_perfect_value_has_the_exact_binomial_interval_beside_other_runs_too(tmp_path: Path) -> None:
    few = FEW | {"corruption": "brightness", "severity": 1, "limit": 10}
    folders = [tmp_path / name for name in MODELS]
    for name, folder in zip(MODELS, folders, strict=True):
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=folder, **few)
    found = robench.compare(*folders, resamples=100, figures="clean_error")
    assert isinstance(found, ManyComparison)
    perfect = [one for one in found.values["clean_error"].runs.values() if one.value == 0.0]
    assert perfect
    assert {(one.low, one.high) for one in perfect} == {exact_interval(0.0, 10)}


def test_images_in_several_cells_count_once_where_equal_answers_are_to_show_equivalence(tmp_path: Path) -> None:
    """Of 599 images, answered alike in both cells: another image may tell the models apart in both."""
    whole = FEW | {"corruption": "contrast", "limit": None}
    for name in ("one", "same"):
        robench.evaluate("reference:digits/augmix", "digits-c", out=tmp_path / name, **whole)
    for pair, margin, expected in (
        (("one", "same"), 0.3, "undecided"),
        (("one", "same"), 0.6, "equivalent"),
        (("one", "same", "same"), 0.3, "undecided"),
    ):
        found = robench.compare(*(tmp_path / n for n in pair), margin=margin, figures="mean_error", resamples=100)
        if isinstance(found, ManyComparison):
            assert {one.verdict for one in found.values["mean_error"].pairs} == {expected}
        else:
            assert found.differences["mean_error"].verdict == expected
