"""Tables fit the terminal: they turn, and go on below, where models are many; in a pipe no row is wrapped."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

import robench
from robench.cli.common import print_columns, print_summary, say
from robench.cli.main import main
from robench.cli.metrics import _print_cells
from robench.cli.models import _table
from robench.results import load
from robench.results.labels import show
from robench.tables.locations import leaderboards


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> Terminal:
    """Put a terminal in the place of standard output, for the rest of the test."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    return screen


def results(count: int) -> list[object]:
    files: list[Path] = sorted((leaderboards() / "measured" / "digits-c").glob("*.json"))
    return [load(file) for file in files[:count]]


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("models", [1, 2, 7])
def test_a_summary_fits(columns: int, models: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found, screen = results(models), terminal(monkeypatch, columns)
    print_summary(found)  # type: ignore[arg-type]
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    lines = text.splitlines()
    table = [line for line in lines if not line.startswith(("note: ", "model: "))]  # sentences wrap
    assert max(map(len, table)) <= columns
    for result in found:
        name, value = result.model.name, result.summary["mean_error"]  # type: ignore[attr-defined]
        assert any(name in line.split() for line in table)  # whole, on one line
        assert f"{100 * value.value:.2f}" in text
        assert f"{100 * value.low:.2f} to {100 * value.high:.2f}" in text


def test_in_a_pipe_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(results(7))  # type: ignore[arg-type]
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "mean error, %" in line]
    assert row.count(" to ") == 7
    for command in (["suites", "list"], ["metrics"], ["models", "list"], ["data", "list"]):
        assert main(command) == 0
        assert "…" not in capsys.readouterr().out


def test_recipes_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in (80, 120):
        screen = terminal(monkeypatch, columns)
        assert main(["train", "--list", "--data", "cifar10"]) == 0
        head, _, *lines = screen.getvalue().strip().splitlines()
        assert head.split()[:3] == ["recipe", "network", "passes"]
        assert max(map(len, lines)) <= columns
        named = {line.split()[0]: line for line in lines}
        assert len(named) == len(lines) > 90
        assert "wrn-40-2" in named["augmix-cifar10-wrn40-2"]
        assert " 300 " in named["augmix-cifar10-wrn40-2"]  # 100 epochs of three views


def test_columns_that_do_not_fit_go_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, 20)
    columns = {"name": ["a" * 12], ">n": ["1,000"], "text": ["words " * 9]}
    print_columns(columns, narrower=[{"text": None}])
    assert screen.getvalue().splitlines() == ["name              n", "------------  -----", f"{'a' * 12}  1,000"]


LISTS = (
    "data list",
    "table",
    "figure",
    "suites show digits-c",
    "leaderboard list",
    "table augmix/2",
    "table many-faces/4",
)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", LISTS)
def test_lists_fit_the_terminal(words: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, columns)
    assert main(words.split()) == 0
    lines = screen.getvalue().splitlines()
    assert len(lines) > 5
    assert [line for line in lines if len(line) > columns] == []
    assert max(map(len, lines)) > columns / 2  # the room is used


def test_a_published_table_goes_on_below(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "augmix/2"]) == 0
    *_, piped = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  AugMix+SIN")]
    screen = terminal(monkeypatch, 80)
    assert main(["table", "augmix/2"]) == 0
    lines = screen.getvalue().splitlines()
    parts = [line.removeprefix("  AugMix+SIN") for line in lines if line.startswith("  AugMix+SIN")]
    assert len(parts) > 1
    assert " ".join(parts).split() == piped.removeprefix("  AugMix+SIN").split()  # every value, in order
    assert "…" not in screen.getvalue()
    assert {"Clean", "Impulse", "Contrast", "mCE"} <= set(screen.getvalue().split())


def test_sentences_break_between_words_and_commands_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch, 20)
    text = "  note: one two three four, then `robench table list` to go on"
    say(text, "    ")
    lines = screen.getvalue().splitlines()
    assert lines == ["  note: one two", "    three four, then", "    `robench table list`", "    to go on"]
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    say(text, "    ")
    assert sys.stdout.getvalue() == f"{text}\n"  # type: ignore[attr-defined]


def test_every_set_of_the_list_has_a_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) > 25
    assert [row["set"] for row in rows if not row["licence"]] == []


def test_a_command_without_a_word_shows_its_help_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("suites", "data", "models", "leaderboard"):
        assert main([name]) == 2
        said = capsys.readouterr()
        assert "Commands\n" in said.err + said.out
        assert "x1b" not in said.err + said.out


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_cells_go_on_below(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,), screen = results(1), terminal(monkeypatch, columns)
    _print_cells(found)  # type: ignore[arg-type]
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, text.splitlines())) <= columns
    for name, value in found.cells[-1].metrics.items():  # type: ignore[attr-defined]
        assert name in text.split()
        assert show(value, name).split(" (")[0] in text


def test_in_a_pipe_no_line_ends_in_blanks_nor_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(results(7))  # type: ignore[arg-type]
    for command in (["models", "list"], ["models", "show", "reference:digits/standard"]):
        assert main(command) == 0
    long = "x" * 3000
    _table("title", {"name": "short", "command": long})
    lines = capsys.readouterr().out.split("\n")
    assert [line for line in lines if line != line.rstrip()] == []
    assert f"  command   {long}" in lines


def test_tables_of_values_have_a_row_per_line_in_a_pipe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    few = {"corruption": "contrast", "severity": 5, "limit": 60, "device": "cpu", "quiet": True, "resamples": 50}
    names = ("augmix", "standard", "mixup")
    for name in names:
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=tmp_path / name, **few)
    runs = [str(tmp_path / name) for name in names]
    commands = (
        ["table", "--runs", *runs], ["compare", *runs, "--resamples", "100"],
        ["conformal", runs[0], "--alpha", "0.2", "--resamples", "50"],
    )  # fmt: skip
    for command in commands:
        assert main(command) == 0
        lines = capsys.readouterr().out.splitlines()
        assert any(" to " in line for line in lines)
        assert [line for line in lines if re.match(r"\s{9,}\(?-?[\d.]+ to [\d.]+\)?\s", line)] == [], command
