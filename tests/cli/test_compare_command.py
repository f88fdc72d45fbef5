"""``robench compare``: what it prints at 80 columns, its files' formats, and its exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from robench.cli.main import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    few = ["--suite", "digits-c", "--corruption", "fog", "--severity", "5", "--limit", "80", "--device", "cpu"]
    names = ("augmix", "standard", "weak-augment", "mixup")
    for name in names:
        model = f"reference:digits/{name}"
        assert main(["evaluate", "--model", model, *few, "-q", "--resamples", "0", "-o", str(folder / name)]) == 0
    return [str(folder / name) for name in names]


def printed(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["compare", *words, "--resamples", "100"]) == code
    return capsys.readouterr().out


def test_three_runs_and_more_fit_80_columns(
    capsys: pytest.CaptureFixture[str], runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.cli.common._PIPED", 80)  # as on a terminal of this width
    for count in (3, 4):
        text = printed(capsys, *runs[:count])
        assert (
            max(len(line) for line in text.splitlines() if not line.startswith("- ")) <= 80
        )  # sentences: see common.say
        assert "rank" in text
        assert "augmix minus standard" in text or "minus standard" in text
    monkeypatch.setattr("robench.cli.common._PIPED", 200)
    wide = printed(capsys, *runs)
    assert "minus mixup" in wide
    assert "pair" not in wide


def test_verdicts_stand_beside_the_differences(capsys: pytest.CaptureFixture[str], runs: list[str]) -> None:
    text = printed(capsys, *runs[:2], "--margin", "1", "--figures", "mean_error")
    assert "is better than standard" in text
    assert "p " in text


def test_the_exit_code_is_for_scripts(capsys: pytest.CaptureFixture[str], runs: list[str]) -> None:
    printed(capsys, runs[1], runs[0], "--fail-if", "mean_error:worse", code=1)
    printed(capsys, runs[0], runs[1], "--fail-if", "mean_error:worse", "--fail-if", "any:worse")
    assert main(["compare", runs[1], runs[0], "--resamples", "100", "--fail-if", "mean_error:worse"]) == 1
    assert "failed: mean_error: standard against augmix is worse" in capsys.readouterr().err
    assert main(["compare", *runs[:2], "--fail-if", "mean_error:equivalent"]) == 2
    assert "--margin 0.5" in capsys.readouterr().err


def test_json_csv_latex_and_markdown(capsys: pytest.CaptureFixture[str], runs: list[str]) -> None:
    document = json.loads(printed(capsys, *runs[:3], "--json"))
    assert document["values"]["mean_error"]["runs"]["augmix"]["best_rank"] == 1
    table = list(csv.DictReader(io.StringIO(printed(capsys, *runs[:3], "--format", "csv"))))
    errors = [line for line in table if line["value"] == "mean_error"]
    assert len(errors) == 3
    pairs = document["values"]["mean_error"]["pairs"]
    assert [float(line["difference"]) for line in errors] == pytest.approx([pair["difference"] for pair in pairs], 1e-4)
    latex = printed(capsys, *runs[:3], "--figures", "mean_error", "--format", "latex")
    assert latex.count("\\\\") == 4
    assert latex.count("\\begin{tabular}{lrrrrr}") == 1
    assert "\\item Only 2 of the 76 cells of digits-c were measured" in latex
    assert "\\item Sampled: 80 of 599 images per cell." in latex
    markdown = printed(capsys, *runs[:2], "--margin", "0.5", "--format", "markdown")
    assert "| Mean error under corruption, % |" in markdown
    assert "verdict" in markdown


def test_nothing_to_compare_is_said(capsys: pytest.CaptureFixture[str], runs: list[str]) -> None:
    assert "not estimated from a sample" in printed(capsys, *runs[:3], "--figures", "mean_ece")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "--format", "csv"], "--json and --format cannot be combined"),
        (["--cells", "--format", "csv"], "--cells and --format cannot be combined"),
        (["--format", "excel"], "--format must be one of"),
        (["--margin", "-1"], "--margin takes points above 0"),
        (["--fail-if", "x"], "--fail-if takes VALUE:VERDICT"),
    ],
)
def test_contradictions_are_refused(
    capsys: pytest.CaptureFixture[str], runs: list[str], words: list[str], message: str
) -> None:
    assert main(["compare", *runs[:2], *words]) == 2
    assert message in capsys.readouterr().err


def test_cells_of_three_runs_are_refused(capsys: pytest.CaptureFixture[str], runs: list[str]) -> None:
    assert main(["compare", *runs[:3], "--cells"]) == 2
    assert "--cells has no effect on more than two runs" in capsys.readouterr().err


def test_damaged_and_foreign_runs_are_named(
    capsys: pytest.CaptureFixture[str], runs: list[str], tmp_path: Path
) -> None:
    assert main(["compare", *runs[:2], str(tmp_path)]) == 2
    assert f"{tmp_path} is not a run" in capsys.readouterr().err
