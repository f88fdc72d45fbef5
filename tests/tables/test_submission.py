"""Submissions: an honest result passes, a result edited by hand is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robench.cli.main import main
from robench.tables.locations import leaderboards
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
    assert any("mean_corruption_error" in problem for problem in problems)
    assert any("reliability" in problem for problem in problems)


def test_improved_summary_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["summary"]["mean_corruption_error"].update(value=0.01))
    assert problems
    assert "its cells give" in problems[0]


def test_missing_cell_is_refused(tmp_path: Path) -> None:
    assert any("missing" in problem for problem in edited(tmp_path, lambda d: d["cells"].pop()))


def test_impossible_error_rate_is_refused(tmp_path: Path) -> None:
    problems = edited(tmp_path, lambda d: d["cells"][3]["metrics"]["error"].update(value=0.12345))
    assert any("whole number" in problem for problem in problems)


def test_other_protocol_is_refused(tmp_path: Path) -> None:
    assert any("suite.version" in problem for problem in edited(tmp_path, lambda d: d["suite"].update(version=99)))


def test_the_verb_fails_on_a_refused_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
