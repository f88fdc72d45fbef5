"""``robench plot`` and ``robench report`` from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from digit_results import make

from robench.cli.main import main
from robench.plots import PLOTS
from robench.results import save


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("logistic", "bayes"):
        (folder / name).mkdir()
        save(make(name), folder / name / "result.json")
    return [str(folder / "logistic"), str(folder / "bayes" / "result.json")]


@pytest.mark.parametrize("kind", ["severity", "trio", "reliability", "corruptions", "scatter"])
def test_a_plot_of_runs_and_files(kind: str, runs: list[str], tmp_path: Path) -> None:
    assert main(["plot", kind, *runs, "--out", str(tmp_path / "plot")]) == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "plot.svg").read_bytes()


def test_one_file_where_the_suffix_says_so(runs: list[str], tmp_path: Path) -> None:
    assert main(["plot", "severity", *runs, "-m", "brier", "--out", str(tmp_path / "deep" / "a.pdf")]) == 0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.pdf"]


@pytest.mark.parametrize(
    "arguments",
    [["severity", "nowhere"], ["severity", "RUN", "-m", "moon"], ["fourier", "RUN"], ["flips", "RUN"]],
)
def test_mistakes_end_with_code_2_and_the_next_step(
    arguments: list[str], runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *(runs[1] if word == "RUN" else word for word in arguments)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("robench: ")
    assert len(said.strip().splitlines()) >= 2


def test_report_as_a_page_and_as_markdown(runs: list[str], tmp_path: Path) -> None:
    page, text = tmp_path / "a.html", tmp_path / "a.md"
    assert main(["report", *runs, "--out", str(page)]) == 0
    assert page.read_text().count("<svg") == 6
    assert main(["report", *runs, "--out", str(text)]) == 0
    for line in text.read_text().splitlines():
        if line.startswith("!["):
            assert (tmp_path / line.rpartition("(")[2].rstrip(")")).exists()
    assert main(["report", *runs, "--out", str(tmp_path / "a.docx")]) == 2


def test_title_width_and_labels(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wishes = ["--title", "My models", "--width", "5", "--labels", "ours,the baseline"]
    assert main(["plot", "corruptions", *runs, *wishes, "--out", str(tmp_path / "a.svg")]) == 0
    assert 'width="360pt"' in (tmp_path / "a.svg").read_text()  # 5 inches of 72 points
    figure = PLOTS.get("corruptions").figure(runs, title="My models", width=5, labels=["ours", "the baseline"])
    assert figure.get_suptitle() == "My models"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ours", "the baseline"]
    assert figure.get_figwidth() == 5
    for wrong, said in (
        (["--labels", "ours"], "--labels needs one name per input: found 1 for 2"),
        (["--width", "0"], "--width must be from 2 to 40 inches; found 0"),
        (["--width", "nan"], "found nan"),
    ):
        assert main(["plot", "severity", *runs, *wrong]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["severity", "trio", "reliability", "corruptions", "scatter", "methods"])
def test_no_title_at_all(kind: str, runs: list[str]) -> None:
    figure = PLOTS.get(kind).figure(runs, title="")
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert figure.get_suptitle() == ""
    assert len(titles) != 1  # several panels keep theirs, which say what each shows


def test_metrics_are_repeated_or_joined_by_commas(runs: list[str], tmp_path: Path) -> None:
    drawn = []
    for words in (["-m", "error,brier"], ["-m", "error", "-m", "brier"]):
        assert main(["plot", "severity", *runs, *words, "--out", str(tmp_path / "a.svg")]) == 0
        drawn.append((tmp_path / "a.svg").read_text())
    assert "Brier score" in drawn[0]
    assert drawn[0] == drawn[1]
