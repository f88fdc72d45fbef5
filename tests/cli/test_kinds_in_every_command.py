"""What holds for every command that loads a model, or reads a run: no silent choice, no default for an answer, no zero.

The commands are found by their parameters, and what makes each of them work stands in test_bad_inputs: a new one takes
part without anybody remembering.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from test_bad_inputs import COMMANDS

from robench.cli.app import build
from robench.cli.main import main
from robench.models.architectures import build as network


def options_of(name: str) -> set[str]:
    words = name.split()
    command = build(words[0]) if len(words) == 1 else build(words[0]).get_command(None, words[1])
    return {option for parameter in command.params for option in parameter.opts}


LOADING = [name for name in COMMANDS if {"--model", "--arch"} <= options_of(name)]
READING = [name for name, good in COMMANDS.items() if "run" in good and name not in LOADING]

OF_RESULTS = ("rank", "leaderboard check", "report", "export")  # which read result.json, and no predictions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("kinds")
    torch.manual_seed(0)
    weights = network("wrn-10-1", 10).state_dict()
    torch.save(weights, made / "bare.pth")
    torch.save({"student": weights, "teacher": {key: value + 1 for key, value in weights.items()}}, made / "two.pth")
    few = ["--limit", "12", "--corruption", "contrast", "--severity", "1", "--device", "cpu", "--resamples", "0", "-q"]
    model = ["-m", "reference:digits/standard", "-s", "digits-c"]
    assert main(["evaluate", *model, *few, "-o", str(made / "run")]) == 0
    return made


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def with_model(name: str, *model: str) -> list[str]:
    good = list(COMMANDS[name])
    at = next(i for i, word in enumerate(good) if word in ("-m", "--model"))
    return [*name.split(), *good[:at], "-m", *model, *good[at + 2 :]]


def test_the_commands_are_found() -> None:
    assert {"evaluate", "fourier", "gate"} <= set(LOADING)
    assert {"metrics", "compare", "calibrate", "conformal", "ood", "report", "export", "rank"} <= set(READING)


@pytest.mark.parametrize("name", LOADING)
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (["two.pth", "--arch", "wrn-10-1", "--norm-preset", "half"], r"two\.pth holds 2 networks: student, teacher\."),
        (["bare.pth", "--arch", "wrn-10-1"], r"does not say which normalisation.*\n.*--norm-preset"),
        (["gone.pth", "--arch", "wrn-10-1", "--norm-preset", "half"], r"No such file: gone\.pth"),
        (["bare.pth", "--norm-preset", "half"], r"bare\.pth holds weights but not the architecture"),
        (["bare.pth", "--arch", "wrn-10-2", "--norm-preset", "half"], r"bare\.pth do(es)? not fit wrn-10-2"),
        (["reference:digits/standard", "--arch", "wrn-10-1"], "--arch has no effect on"),
    ],
    ids=["two networks", "no normalisation", "no file", "no architecture", "another architecture", "ignored"],
)
def test_a_model_that_leaves_something_open_is_refused_by_its_cause(
    name: str, model: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(with_model(name, *model)) == 2
    text = capsys.readouterr().err
    assert re.search(said, text), text
    assert "--data" not in text
    assert "--resize" not in text


@pytest.mark.parametrize("name", READING)
def test_undefined_values_are_never_shown_as_zero(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 12 images the calibration errors are undefined; no command may print 0 with an interval of 0 instead."""
    main([*name.split(), *COMMANDS[name]])
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    shown = said.out + "".join(path.read_text(errors="replace") for path in Path().glob("*.html"))
    assert not re.search(r"\b0\.00? \(0\.00? to 0\.00?\)", shown)


@pytest.mark.parametrize("name", [name for name in READING if name not in OF_RESULTS])
def test_a_damaged_run_gives_no_earlier_answer(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell whose bytes are not those that were measured is named, not scored from a stored result."""
    shutil.copytree(folder / "run", folder / "damaged", dirs_exist_ok=True)
    cell = folder / "damaged" / "predictions" / "contrast__1.parquet"
    data = bytearray(cell.read_bytes())
    data[len(data) // 2] ^= 1
    cell.write_bytes(data)
    before = (folder / "damaged" / "result.json").read_bytes()
    words = [word.replace("run", "damaged") if word == "run" else word for word in COMMANDS[name]]
    code = main([*name.split(), *words])
    said = capsys.readouterr()
    assert (folder / "damaged" / "result.json").read_bytes() == before
    assert code == 2, said
    assert "contrast/1" in said.err or "contrast__1" in said.err
