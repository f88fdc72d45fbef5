"""What nobody should type, for every option: one message with a next step, or the work begins; never a traceback.

The work itself is stopped where it would begin. No value leads out of the test's own folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from robench.cli.app import COMMANDS as NAMES
from robench.cli.app import build
from robench.cli.main import main
from robench.plots import PLOTS

VALUES = ["", ",,,", "x" * 5000, "y" * 300 + "/z", "-1", "nan", str(10**30), "²", "\x1b[31m", "."]
RUN = ["--resamples", "0"]
# A command that works, but for the option that is tried.
COMMANDS: dict[str, list[str]] = {
    "evaluate": ["-m", "reference:digits/standard", "-s", "digits-c", "--limit", "5", "--device", "cpu", *RUN],
    "fourier": ["-m", "reference:digits/standard", "--limit", "4", "--device", "cpu"],
    "affinity": ["-m", "reference:digits/standard", "--recipe", "cutout-digits", "--limit", "4", "--device", "cpu"],
    "train": ["--recipe", "standard-digits"],
    "metrics": ["run", *RUN],
    "gate": [
        "-m",
        "reference:digits/standard",
        "--baseline",
        "run",
        "-s",
        "digits-c",
        "--max-loss",
        "1",
        "--corruption",
        "contrast",
        "--severity",
        "1",
        "--device",
        "cpu",
    ],
    "quickstart": ["--out", "quick"],
    "conformal": ["run", *RUN],
    "ood": ["run", *RUN],
    "rank": ["run"],
    "export": ["run"],
    "compare": ["run", "run", "--resamples", "100"],
    "calibrate": ["run", *RUN],
    "table": ["augmix/2"],
    "figure": ["augmix/2"],
    "report": ["run"],
    "data list": [],
    "data info": ["cifar10-c"],
    "data download": ["cifar10-c"],
    "data verify": ["cifar10-c"],
    "data generate": ["-s", "digits-c", "--source", "digits", "-o", "generated"],
    "data deepaugment": ["--network", "edsr", "--source", "nowhere", "-o", "written"],
    "data manifest-dfr": ["nowhere"],
    "suites show": ["digits-c"],
    "models show": ["wrn-10-1"],
    "suites list": [],
    "models list": [],
    "leaderboard check": ["run"],
    "leaderboard build": [],
    "leaderboard list": [],
    "leaderboard readme": [],
    "leaderboard findings": ["nowhere"],
    **{f"plot {name}": ["nowhere.json"] for name in PLOTS},
    "plot corruptions-gallery": [],
    "plot augmentations": ["--recipe", "cutout-digits"],
    "plot operations": [],
}
SCREEN = {"help", "json_", "quiet", "list_", "cells", "dry_run"}


class _WorkBeginsError(Exception):
    """What stands for hours of work in this test."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("bad")
    few = ["--limit", "12", "--corruption", "contrast", "--severity", "1", "--device", "cpu", *RUN, "-q"]
    model = ["-m", "reference:digits/standard", "-s", "digits-c"]
    assert main(["evaluate", *model, *few, "-o", str(made / "run")]) == 0
    return made


@pytest.fixture(autouse=True)
def _no_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise _WorkBeginsError

    for name in (
        "robench.evaluation.evaluate_suite",
        "robench.evaluation.cluster.evaluate_on_cluster",
        "robench.evaluation.fourier.fourier_map",
        "robench.evaluation.lowpass.low_pass_curve",
        "robench.training.engine.loop.train",
        "robench.data.install.install",
        "robench.suites.generate.generate",
        "robench.corruptions.corrupt",
        "robench.tables.site.build_site",
        "robench.tables.board_readme.readme_text",
        "robench.files.atomic_write",  # nothing is written to where the values lead
    ):
        monkeypatch.setattr(name, stop)
    monkeypatch.setattr(import_module("robench.api.report"), "plots_for", stop)  # its function has the same name
    monkeypatch.chdir(folder)


def test_every_command_has_a_row() -> None:
    """A command or plot that is added takes part in the test below, or fails here."""
    known = set()
    for name in NAMES:
        command = build(name)
        parts = command.list_commands(None) if hasattr(command, "list_commands") else None  # type: ignore[arg-type]
        known |= {name} if parts is None else {f"{name} {part}" for part in parts}
    assert set(COMMANDS) == known


def tried(name: str, *, every: bool) -> Iterator[list[str]]:
    """Yield the command with every value for every option and argument, or with the two whose turn it is."""
    words, good = name.split(), COMMANDS[name]
    command = build(words[0]) if len(words) == 1 else build(words[0]).get_command(None, words[1])
    for place, parameter in enumerate(command.params):
        options = [one for one in parameter.opts if one.startswith("--")]
        if parameter.name in SCREEN or getattr(parameter, "is_flag", False):
            continue
        kept = list(good)
        for option in parameter.opts:
            if option in kept:
                at = kept.index(option)
                del kept[at : at + 2]
        turn = (2 * place + len(name)) % len(VALUES)
        for value in VALUES if every else (VALUES + VALUES[:1])[turn : turn + 2]:
            yield [*words, *kept, f"{options[0]}={value}"] if options else [*words, *good[1:], "--", value]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["some", "every"])
def test_no_value_of_any_option_ends_in_a_traceback(name: str, every: bool, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for command in tried(name, every=every):
        shown = " ".join(word if len(word) < 40 else f"{word[:20]}..." for word in command)
        try:
            code: object = main(command)
        except _WorkBeginsError:
            code = "begun"
        except Exception as error:
            wrong.append(f"{shown!r}: {type(error).__name__}: {error}"[:300])
            continue
        said = capsys.readouterr().err
        if code == 2 and said.startswith("robench:") and len(said.strip().splitlines()) < 2:
            wrong.append(f"{shown!r} has no next step: {said[:200]}")
        if "\x1b" in said or len(said) > 4000:
            wrong.append(f"{shown!r} is echoed as it is: {said[:200]!r}")
    assert wrong == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["metrics", "nowhere", "--metric", "aurc", "--metric=ece"], "--metric was given 2 times"),
        (["suites", "show", "nothing", "--json", "--json"], ""),
        (["evaluate", "-m", "a", "-s", "digits-c", "--suite", "nothing"], "--suite was given 2 times"),
        (["evaluate", "-m", "a", "-s", "nothing", "--limit", "3", "--limit", "4"], ""),
    ],
)
def test_a_list_given_in_parts_is_told_with_the_form_that_counts(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert told in said
    assert ("Several values: --" in said) == bool(told)


def test_a_wrong_path_is_named_by_the_option_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["-m", "reference:digits/standard", "-s", "digits-c", "--max-loss", "1", "--device", "cpu"]
    assert main(["gate", *words, "--baseline", "nowhere.pth"]) == 2
    assert "Check the path in --baseline" in capsys.readouterr().err
