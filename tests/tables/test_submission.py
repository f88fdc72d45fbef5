"""Submissions: an honest result passes, a result edited by hand is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robench.cli.main import main
from robench.errors import RobenchError
from robench.predictions import RunFolder
from robench.results import load
from robench.results.comparing import compare_runs
from robench.tables.boards import make_boards
from robench.tables.locations import leaderboards
from robench.tables.report_rows import protocol_table
from robench.tables.submission import check_submission

MEASURED = sorted((leaderboards() / "measured").rglob("*.json"))
pytestmark = pytest.mark.skipif(not MEASURED, reason="no measured results in leaderboards/measured")


def edited(tmp_path: Path, edit: Callable[[dict[str, Any]], object]) -> list[str]:
    document = json.loads(MEASURED[0].read_text())
    edit(document)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(document))
    return check_submission(path)


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_measured_results_pass(path: Path) -> None:
    assert check_submission(path) == []


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_measured_results_name_no_place_of_the_machine_they_were_made_on(path: Path) -> None:
    words = json.loads(path.read_text())["run"]["command"].split()
    assert not [word for word in words if word.startswith(("/", "~"))]


def test_one_improved_cell_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["cells"][5]["metrics"]["error"].update(value=0.0))
    assert any("mean_error" in problem for problem in problems)
    assert any("reliability" in problem for problem in problems)


def test_improved_summary_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["summary"]["mean_error"].update(value=0.01))
    assert any("its cells give" in problem for problem in problems)


def test_an_interval_of_a_sample_is_refused_on_a_whole_result(tmp_path: Path) -> None:
    value = {"full_run_low": 0.0, "full_run_high": 1.0}
    problems = edited(tmp_path, lambda d: d["summary"]["mean_error"].update(value))
    assert problems == ["summary mean_error has an interval for the full run, but the result is no sample"]


def test_missing_cell_is_refused(tmp_path: Path) -> None:
    assert any("missing" in problem for problem in edited(tmp_path, lambda d: d["cells"].pop()))


def test_impossible_error_rate_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["cells"][3]["metrics"]["error"].update(value=0.12345))
    assert any("multiple of 1/" in problem for problem in problems)


def test_other_protocol_is_refused(tmp_path: Path) -> None:
    assert any("suite.version" in problem for problem in edited(tmp_path, lambda d: d["suite"].update(version=99)))


def test_the_command_fails_on_a_refused_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(MEASURED[0].read_text())
    document["cells"][1]["metrics"]["error"]["value"] = 0.0
    (tmp_path / "one.json").write_text(json.dumps(document))
    assert main(["leaderboard", "check", str(tmp_path)]) == 1
    assert "refused" in capsys.readouterr().out


@pytest.mark.parametrize(("source", "clean"), [("generated", True), ("published", False)])
def test_held_out_corruptions_may_be_missing(source: str, clean: bool, tmp_path: Path) -> None:
    """CIFAR-10-C's headline needs its 75 cells; the published files have no clean images beside them."""

    def as_cifar(document: dict[str, Any]) -> None:
        document["suite"] |= {"name": "cifar10-c", "dataset": "cifar10", "source": source}
        document["cells"] = [cell for cell in document["cells"] if clean or cell["name"] != "clean"]

    assert not any("missing" in problem for problem in edited(tmp_path, as_cifar))


def test_the_clean_suite_takes_any_data_set(tmp_path: Path) -> None:
    def as_clean(document: dict[str, Any]) -> None:
        document["suite"] |= {"name": "clean", "dataset": "cifar10", "source": "published"}
        document["cells"] = document["cells"][:1]

    problems = edited(tmp_path, as_clean)
    assert not any("dataset" in problem or "num_classes" in problem or "missing" in problem for problem in problems)


def test_an_interval_that_does_not_hold_its_value_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["summary"]["mean_error"].update(low=0.0, high=0.0))
    assert any("outside its own interval" in problem for problem in problems)


def test_intervals_of_few_resamples_are_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["statistics"].update(resamples=999))
    assert problems == ["the intervals are of 999 resamples; a board needs 1,000 (`resamples`)"]
    assert edited(tmp_path, lambda d: d["statistics"].update(resamples=5000)) == []


def test_narrower_intervals_of_another_level_are_refused(tmp_path: Path) -> None:
    assert any("0.5" in problem for problem in edited(tmp_path, lambda d: d["statistics"].update(level=0.5)))


@pytest.mark.parametrize("group", ["conditions", "severities", "reliability"])
def test_left_out_groups_are_refused(group: str, tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d.update({group: {}}))
    assert any(problem.startswith(group) and "missing" in problem for problem in problems)


def test_a_severity_that_no_cell_has_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["severities"].update(best=d["severities"]["1"]))
    assert "severities: best follows from no cell" in problems


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole of digits-p on four images, with predictions beside the result."""
    folder = tmp_path_factory.mktemp("submission") / "run"
    arguments = ["--model", "reference:digits/standard", "--suite", "digits-p", "--limit", "4", "--quiet"]
    assert main(["evaluate", *arguments, "--out", str(folder)]) == 0
    return folder


def edited_run(run: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object]) -> list[str]:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    document = json.loads((folder / "result.json").read_text())
    edit(document)
    (folder / "result.json").write_text(json.dumps(document))
    return check_submission(folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["cells"][0].update(name="fog/x"),
        lambda d: d["cells"][5].update(severity=9),
        lambda d: d["summary"]["clean_error"].update(low=-1e308),
        lambda d: d["summary"]["mean_nll"].update(high=2e4),
        lambda d: d["reliability"]["clean"][3].update(accuracy=-1e308),
        lambda d: d["reliability"]["clean"][3].update(low=float("nan")),
        lambda d: d["reliability"]["clean"][3].update(count=-1),
        lambda d: d["cells"][0]["metrics"]["error"].update(value=float("nan")),
        lambda d: d["model"]["card"].update(x=float("inf")),
        lambda d: d["model"].update(name="\ud800"),
    ],
)
def test_made_up_numbers_are_refused_in_words(edit: Callable[[dict[str, Any]], object], tmp_path: Path) -> None:
    """Each ended in a traceback, or was accepted and broke the page that shows it."""
    try:
        problems = edited(tmp_path, edit)
    except RobenchError as error:
        problems = [error.message]
    assert problems
    assert all(isinstance(problem, str) for problem in problems)


def test_sequences_are_counted_as_clips(small_run: Path) -> None:
    """Four clips of 31 frames are neither 4 images nor 124."""
    assert any("1,140 of 170,715 frames" in note for note in load(small_run).notes)
    assert "4 clips" in dict(protocol_table([load(small_run)]))["Images"]
    run = RunFolder.open(small_run)
    assert compare_runs(run, run, resamples=20).images == 4
    (board,) = make_boards({small_run: load(small_run)}, living=False)
    assert "599 clips per cell" in board.protocol  # a sample stands on the board of the whole suite


def test_an_honest_run_is_refused_for_its_few_images_alone(small_run: Path) -> None:
    (problem,) = check_submission(small_run)
    assert "known to within" in problem or "too few images" in problem


@pytest.fixture(scope="module")
def sampled_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cells of digits-c on 60 of 599 images each, with predictions beside the result."""
    folder = tmp_path_factory.mktemp("sampled") / "run"
    arguments = ["--model", "reference:digits/standard", "--suite", "digits-c", "--limit", "60", "--quiet"]
    assert main(["evaluate", *arguments, "--out", str(folder)]) == 0
    return folder


def test_a_sample_of_every_cell_is_accepted(sampled_run: Path) -> None:
    assert check_submission(sampled_run) == []
    assert check_submission(sampled_run / "result.json") == []


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda d: d["summary"]["mean_error"].update(full_run_low=0.0), "known to within"),
        (lambda d: d["summary"]["mean_error"].update(full_run_low=0.9, full_run_high=0.1), "full run are swapped"),
        (
            lambda d: d["summary"]["mean_error"].update(full_run_low=0.9, full_run_high=0.901),
            "outside its own interval",
        ),
        (lambda d: d["cells"][3].update(of=300), "is of 300 images"),
        (lambda d: d["cells"].pop(), "incomplete"),
        (lambda d: d["cells"][3]["metrics"]["error"].update(value=0.0, low=0.0), "predictions give"),
    ],
)
def test_an_edited_sample_is_refused(
    sampled_run: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], problem: str
) -> None:
    assert any(problem in found for found in edited_run(sampled_run, tmp_path, edit))


def test_a_part_that_says_it_is_the_whole_is_refused_by_its_run(small_run: Path, tmp_path: Path) -> None:
    def as_whole(document: dict[str, Any]) -> None:
        document["suite"]["complete"] = True
        document["suite"]["sampled"] = None

    problems = edited_run(small_run, tmp_path, as_whole)
    assert any(problem.endswith("is of 4 clips; the suite's cell has 599") for problem in problems)


def test_another_model_than_the_run_measured_is_refused(small_run: Path, tmp_path: Path) -> None:
    problems = edited_run(small_run, tmp_path, lambda d: d["model"].update(name="mine", hash="0" * 64))
    assert any(problem.startswith("model.name is 'mine'") for problem in problems)
    assert any(problem.startswith("model.hash") for problem in problems)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d["cells"][3]["metrics"].pop("top5_distance"), "lacks top5_distance"),
        (lambda d: d["cells"][3]["metrics"].update(luck={"value": 0.1}), "unknown metric 'luck'"),
        (lambda d: d["cells"][3].update(images=5000), "5000 images, but its predictions are of 4"),
    ],
    ids=["lacking", "unknown", "images"],
)
def test_cells_unlike_the_predictions_are_refused_in_words(
    edit: Callable[[dict[str, Any]], object], said: str, small_run: Path, tmp_path: Path
) -> None:
    assert any(said in problem for problem in edited_run(small_run, tmp_path, edit))
