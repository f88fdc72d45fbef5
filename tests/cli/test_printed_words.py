"""What the command line prints is true: names as they are, and next steps that work."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from robench.cli.main import main
from robench.data.cifar import CIFAR10_CLASSES

MODEL = ["evaluate", "-m", "reference:digits/standard", "-s", "digits-c", "--device", "cpu"]
QUICK = [*MODEL, "--limit", "20", "--corruption", "contrast", "--severity", "1", "--resamples", "20"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must work, and return what it prints to standard output."""
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_names_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    name = "net[bold]v2[/x]:fire:"
    assert name in printed(capsys, *QUICK, "--name", name, "--out", "a")
    assert name in printed(capsys, "metrics", "a", "--metric", "error", "--resamples", "20")
    assert name in printed(capsys, "compare", "a", "a", "--cells", "--resamples", "100")


def test_the_extra_to_install_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert "pip install 'robench[onnx]'" in printed(capsys, "models", "list")


@pytest.mark.parametrize(
    ("arguments", "work", "expected"),
    [
        (
            ["train", "--recipe", "standard-digits", "--out", "a b", "--fresh"],
            "robench.training.engine.loop.train",
            "To resume: robench train --recipe standard-digits --out 'a b'\n",
        ),
        (
            ["fourier", "-m", "reference:digits/standard"],
            "robench.evaluation.fourier.fourier_map",
            "To resume: robench",
        ),
        (
            ["data", "generate", "-s", "digits-c", "--source", "digits", "-o", "x"],
            "robench.suites.generate.generate",
            "To resume: robench data generate",
        ),
        (["metrics", "."], "robench.predictions.RunFolder.open", "robench: Stopped.\n"),
    ],
)
def test_ctrl_c_is_answered_by_every_command(
    arguments: list[str],
    work: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(work, stop)
    assert main(arguments) == 130
    assert expected in capsys.readouterr().err


def write_images(folder: str) -> None:
    """Write 30 images in ten class folders."""
    rng = np.random.default_rng(0)
    for label in range(10):
        below = Path(folder, CIFAR10_CLASSES[label])
        below.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(below / f"{number}.png"), rng.integers(0, 256, (32, 32, 3), np.uint8))


def test_what_a_reader_must_know_survives_another_scoring(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "import torch\ndef make():\n    return lambda x: torch.zeros(len(x), 10) + torch.arange(10) / 10\n"
    )
    write_images("images")
    command = ["evaluate", "-m", "python:mine.py:make", "-s", "cifar10-c", "--data", "images", "--device", "cpu"]
    said = printed(capsys, *command, "--corruption", "contrast", "--severity", "1", "--resamples", "20", "-o", "run")
    notes = [line for line in said.splitlines() if line.startswith("note:")]
    assert any("30 images per cell found, 10,000 can be made of cifar10's test set" in note for note in notes)
    assert any("near chance" in note for note in notes)
    again = printed(capsys, "metrics", "run", "--resamples", "20")
    assert [line for line in again.splitlines() if line.startswith("note:")] == notes


def test_the_folder_of_a_run_is_named_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    folder = printed(capsys, *QUICK).splitlines()[-1].removeprefix("run: ")
    assert "mean error, %" in printed(capsys, "metrics", folder, "--resamples", "20")
    several = printed(capsys, *QUICK, "-s", "digits-c,digits-p", "--corruption", "brightness").splitlines()
    runs = [line.removeprefix("run: ") for line in several if line.startswith("run: ")]
    assert [Path(run).parent.name for run in runs] == ["digits-c", "digits-p"]
    assert all(Path(run, "result.json").exists() for run in runs)


def test_json_is_all_that_is_printed_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    planned = json.loads(printed(capsys, *QUICK, "--dry-run", "--json"))
    assert (planned["cells"], planned["images"], planned["suite"]) == (2, 40, "digits-c")
    assert not Path(planned["folder"]).exists()
    (first, second) = json.loads(printed(capsys, *QUICK, "-s", "digits-c,clean", "--dry-run", "--json"))
    assert first["folder"] == planned["folder"]
    assert (second["suite"], second["problem"]) == ("clean", None)
    metrics = json.loads(printed(capsys, "metrics", "--json"))
    assert metrics["error"]["range"] == [0.0, 1.0]
    assert metrics["nll"]["range"] == [0.0, None]


@pytest.mark.parametrize(
    "options",
    [
        ["-s", "cifar10-c", "--source", "clean", "--corruption", "contrast,fog", "--seed", "3"],
        ["-s", "cifar10-p", "--source", "clean", "--corruption", "gaussian_noise", "--difficulty", "2"],
        ["-s", "digits-c", "--source", "digits", "--corruption", "contrast", "--seed", "3"],
    ],
)
def test_the_step_after_generating_works(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write_images("clean")
    said = printed(capsys, "data", "generate", *options, "--out", "made of noise", "-q")
    assert said == ""
    (*_, step) = printed(capsys, "data", "generate", *options, "--out", "made of noise").splitlines()
    words = shlex.split(step.partition(": ")[2])
    words[words.index("...")] = "reference:digits/standard"
    assert words[:2] == ["robench", "evaluate"]
    result = json.loads(printed(capsys, *words[1:], "--resamples", "0", "--device", "cpu", "--json"))
    assert result["suite"]["source"] == "generated"
    conditions = options[options.index("--corruption") + 1].split(",")
    assert {cell["condition"].removesuffix("_2") for cell in result["cells"]} - {"clean"} == set(conditions)
    if "--seed" in options:
        assert result["suite"]["protocol"]["seed"] == 3


def test_a_split_says_what_its_manifest_must_hold(capsys: pytest.CaptureFixture[str]) -> None:
    said = printed(capsys, "suites", "show", "dfr")
    assert "file, label, scale, occlusion, viewpoint, zoom, split" in said
    assert "numbers 1 to 13, or names: short sleeve top" in said
    assert "zoom-large: scale 2; occlusion 2; viewpoint 2; zoom 3" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["models", "show", "wrn-10-1", "--num-classes", "-1"], "--num-classes"),
        (["train", "--recipe", "standard-digits", "--all", "digits"], "cannot be combined"),
        (["train", "--recipe", "standard-digits", "--set", "epochs=1", "--out", __file__], "Cannot write"),
        (["table", "augmix/1", "--recipe", "nonsense"], "MODEL=RECIPE"),
        (["compare", "a", "b", "--seed", "-1"], "--seed"),
        (["calibrate", "a", "--seed", "-1"], "--seed"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert expected in said.err
    assert said.out == ""


def test_a_pickled_model_is_refused_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), "whole.pt")
    assert main(["models", "show", "whole.pt"]) == 2
    said = capsys.readouterr().err
    assert "it holds torch.nn.modules.container.Sequential" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(("option", "said"), [("--out", "not UTF-8"), ("--name", "not text")])
def test_bytes_that_are_not_utf_8_are_refused_where_they_would_be_written(
    option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "-m", "reference:digits/standard", "-s", "digits-c", "--device", "cpu"]
    assert main([*command, option, "\udcff\udcfebad"]) == 2
    assert f"{option} holds bytes that are {said}" in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "value",
    ["seed=99999999999999999999999999", "seed=-1", "data.pad=99999999999", "epochs=999999999999", "num_classes=0"],
)
def test_numbers_of_a_recipe_that_nothing_can_hold_are_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--recipe", "standard-digits", "--set", value, "--device", "cpu", "--out", "t"]) == 2
    said = capsys.readouterr().err
    assert value.partition("=")[0].rpartition(".")[2] in said or "classes" in said
    assert len(said.strip().splitlines()) >= 2


def test_names_are_whole_on_a_narrow_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, *QUICK, "--corruption", "elastic_transform", "--out", "a")
    monkeypatch.setenv("COLUMNS", "40")
    said = printed(capsys, "metrics", "a", "--metric", "error,ece", "--resamples", "20")
    assert "elastic_transform/1" in said
    cells = printed(capsys, "metrics", "a", "--cells", "--resamples", "20")
    # the error of two cells; a sample of 20 images has no interval of the other metrics
    assert len(re.findall(r"\(full run ", cells)) == 2
    assert "elastic_transform/1" in printed(capsys, "compare", "a", "a", "--cells", "--resamples", "100")
    assert "tiny-imagenet-c" in printed(capsys, "data", "list")
    assert "cifar100-c-bar" in printed(capsys, "suites", "list")
    assert "rms_calibration_error_all_bins" in printed(capsys, "metrics")
