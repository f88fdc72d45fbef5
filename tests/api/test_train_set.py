"""Sets of models: trained and measured by robench's own commands, each once, resumable, in any number at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import robench
from robench.api import SetPlan, train_set
from robench.api import train_set as module_function
from robench.api.set_work import Work
from robench.cli.main import main
from robench.data import digits
from robench.errors import RobenchError

SMALL = ["architecture=wrn-10-1", "data.limit=40", "epochs=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits as PNG files, one folder per class, training and test part."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "test"):
        images = digits.load(split)
        for number in range(60):
            home = folder / split / f"class{int(np.asarray(images.labels)[number])}"
            home.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.read(np.array([number]))[0]).save(home / f"{number}.png")
    return folder


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace robench's commands by what they leave behind; what is called is noted."""
    called: list[list[str]] = []

    def call(work: Any, name: str, words: list[str]) -> bool:
        called.append(list(words))
        out = Path(words[words.index("--out") + 1])
        if "failing" in name or (words[0] == "train" and "cutout" in words[2]):
            return False
        (out if words[0] in ("train", "evaluate") else out.parent).mkdir(parents=True, exist_ok=True)
        if words[0] in ("fourier", "calibrate"):
            out.write_text("{}")
        elif words[0] == "train":
            (out / "card.yaml").write_text(yaml.safe_dump({"trained_with": {"test_accuracy": 0.5, "seconds": 1}}))
        else:
            (out / "result.json").write_text('{"summary": {"mean_error": {"value": 0.25}}}')
        return True

    monkeypatch.setattr(Work, "call", call)
    return called


def test_a_dry_run_plans_and_writes_nothing(
    commands: list[list[str]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plans = []
    options = {"data": data, "out": tmp_path / "out", "set": SMALL, "only": "standard,augmix", "device": "cpu"}
    assert train_set("cifar10", dry_run=True, planned=plans.append, **options) == ()
    assert not commands
    assert not (tmp_path / "out").exists()
    (plan,) = plans
    assert plan.passes == 3 * 1 + 3 * 3  # three seeds of each, one epoch, and AugMix's three views
    words = ["train", "--all", "cifar10", "--data", str(data), "--only", "standard", "--dry-run", "--device", "cpu"]
    words += ["--set", SMALL[0], "--set", SMALL[1], "--set", SMALL[2], "--out", str(tmp_path / "out")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "standard: standard-cifar10-wrn40-2, wrn-10-1, 1 epoch, 1 pass per image, about" in said
    assert said.endswith(" h one at a time on this device; augmentation and evaluation come on top\n")
    assert main(["train", "--recipe", "standard-digits", "--dry-run"]) == 2


def test_a_plan_counts_the_networks_of_deepaugment(commands: list[list[str]], data: Path, tmp_path: Path) -> None:
    """Training them and distorting every image once take longer than a small classifier's epochs."""
    plans: list[SetPlan] = []
    options = {"data": data, "set": SMALL, "device": "cpu", "out": tmp_path / "out", "dry_run": True}
    train_set("cifar10", only="standard,deepaugment", planned=plans.append, **options)
    (plan,) = plans
    assert plan.passes == 10 + 10 + 3 * 1 + 1
    seconds = plan.seconds
    assert list(seconds) == ["edsr", "cae", "standard", "deepaugment", "standard-seed2", "standard-seed3"]
    assert seconds["standard"] == seconds["standard-seed3"]
    assert seconds["edsr"] > 10 * seconds["standard"]
    assert seconds["deepaugment"] > 2 * seconds["standard"]


def test_commands_of_a_set(commands: list[list[str]], data: Path, tmp_path: Path) -> None:
    models = train_set(
        "cifar10", data=data, out=tmp_path, set=SMALL, only="weak-augment,deepaugment", limit=7, device="cpu"
    )
    assert [model.name for model in models] == ["edsr", "cae", "weak-augment", "deepaugment"]
    assert not any(model.problem for model in models)
    trained = [words[2] for words in commands if words[0] == "train"]
    assert trained == ["edsr-cifar10", "cae-cifar10", "weak-augment-cifar10-wrn28-2", "deepaugment-cifar10-wrn40-2"]
    weak = models[2]
    branches, suites = (
        ("", "?bn=auxiliary", "?bn=mean"),
        ("clean", "cifar10-c", "cifar10-c-bar", "cifar10-p", "cifar10-pgd"),
    )
    assert sorted(weak.results) == sorted(f"{suite}{branch}" for suite in suites for branch in branches)
    assert sorted(weak.analyses) == sorted(
        f"{name}{branch}" for name in ("fourier", "lowpass", "temperature") for branch in branches
    )
    calibrated = [words for words in commands if words[0] == "calibrate"]
    assert [Path(words[1]).parent.name for words in calibrated] == ["cifar10-c"] * 4
    measured = [words for words in commands if words[0] in ("evaluate", "fourier")]
    assert len(measured) == 7 * (3 + 1)
    for words in measured:
        assert words[words.index("--limit") + 1] == "7"
        assert "--within" not in words or words[0] == "fourier"
        assert words[words.index("--device") + 1] == "cpu"
    assert f"{weak.folder}?bn=auxiliary" in [words[words.index("--model") + 1] for words in measured]
    commands.clear()
    again = train_set("cifar10", data=data, out=tmp_path, set=SMALL, only=["weak-augment"], limit=7)
    assert not commands
    assert again[0] == weak


def test_a_result_with_failed_cells_is_measured_again(commands: list[list[str]], data: Path, tmp_path: Path) -> None:
    """Some files of a cell may be mended, and the rest is not measured twice."""
    how = {"data": data, "out": tmp_path, "set": SMALL, "only": "mixup", "suite": "cifar10-c", "device": "cpu"}
    (model,) = train_set("cifar10", **how)
    (tmp_path / "results/cifar10-c/mixup/result.json").write_text('{"summary": {}, "failures": ["fog/1: unreadable"]}')
    commands.clear()
    assert train_set("cifar10", **how) == (model,)
    assert [words[0] for words in commands] == ["evaluate"]


def test_a_set_says_how_many_images_a_costly_suite_takes(commands: list[list[str]], data: Path, tmp_path: Path) -> None:
    suites = ["cifar10-c", "cifar10-p", "cifar10-pgd"]
    train_set("cifar10", data=data, out=tmp_path, set=SMALL, only="mixup", suite=suites, device="cpu")
    measured = {words[words.index("--suite") + 1]: words for words in commands if words[0] == "evaluate"}
    assert list(measured) == suites
    assert "--limit" not in measured["cifar10-c"]
    assert measured["cifar10-pgd"][measured["cifar10-pgd"].index("--within") + 1] == "1"
    assert measured["cifar10-p"][measured["cifar10-p"].index("--limit") + 1] == "1000"


def test_what_fails_is_named_and_what_needs_it_is_not_begun(
    commands: list[list[str]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--all", "cifar10", "--data", str(data), "--out", str(tmp_path), "--only", "cutout,mixup"]
    for setting in SMALL:
        words += ["--set", setting]
    assert main([*words, "--suite", "cifar10-c", "--jobs", "2"]) == 1
    printed, complaint = capsys.readouterr()
    assert "mixup: clean test accuracy 50.00%, cifar10-c mean error 25.00 %, done" in printed
    assert "cutout: training failed" in printed
    assert "Not finished: cutout. Repeat the command to resume." in complaint
    assert "2 models, 40 images, about 0.0 h one at a time" in printed


def test_a_folder_of_another_budget_is_refused(commands: list[list[str]], data: Path, tmp_path: Path) -> None:
    train_set("cifar10", data=data, out=tmp_path, set=SMALL, only="mixup", suite="none")
    for other in ({"set": [*SMALL, "epochs=2"]}, {"set": SMALL, "limit": 3}):
        with pytest.raises(RobenchError, match="other settings"):
            train_set("cifar10", data=data, out=tmp_path, only="mixup", suite="none", **other)  # type: ignore[arg-type]
    train_set("cifar10", data=data, out=tmp_path, set=SMALL, only="cutmix", suite="none")
    with pytest.raises(RobenchError, match="other settings"):
        train_set("cifar10", data=data, out=tmp_path, set=[*SMALL, "optimiser.lr=1"], only="mixup", suite="none")
    assert robench.train_set is module_function


def test_a_folder_of_models_of_other_images_is_refused(commands: list[list[str]], data: Path, tmp_path: Path) -> None:
    other = shutil.copytree(data, tmp_path / "data")
    how: dict[str, Any] = {"out": tmp_path / "out", "set": SMALL, "only": "mixup", "suite": "none"}
    train_set("cifar10", data=other, **how)
    train_set("cifar10", data=other.rename(tmp_path / "moved"), **how)
    next((tmp_path / "moved" / "train").rglob("*.png")).unlink()
    with pytest.raises(RobenchError, match="trained on other images"):
        train_set("cifar10", data=tmp_path / "moved", **how)


def test_a_model_of_a_set_is_trained(data: Path, tmp_path: Path) -> None:
    (model,) = train_set("cifar10", data=data, out=tmp_path, set=SMALL, only="mixup", suite="none", device="cpu")
    assert not model.problem, (tmp_path / "logs" / "mixup.log").read_text()
    card = yaml.safe_load((model.folder / "card.yaml").read_text())
    assert (card["trained_with"]["images"], card["trained_with"]["passes"]) == (40, 1.0)
    assert card["dataset"] == "cifar10"


def test_options_of_sets_are_refused_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--recipe", "standard-digits", "--jobs", "2"], "--jobs is for sets of models"),
        (["--all", "digits", "--only", "augmix"], "--only is for sets of models"),
        (["--all", "cifar10"], "Set cifar10 needs its images"),
        (["--all", "cifar10", "--data", "x", "--only", "nothing"], "has no run 'nothing'"),
    ):
        assert main(["train", *words]) != 0
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(("jobs", "asked", "threads"), [(1, None, ""), (3, None, "2"), (20, None, "1"), (2, "5", "5")])
def test_jobs_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, asked: str | None, threads: str
) -> None:
    """Each command may have its part of the cores, or what the user has asked for."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr("robench.api.set_work.cores", lambda: 8)
    command = tmp_path / "command"
    command.write_text('#!/bin/sh\necho "threads: $OMP_NUM_THREADS."\n')
    command.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(command))
    work = Work(tmp_path, tmp_path, (), None, "cpu", None, jobs)
    assert work.call("standard", ["train"])
    assert f"threads: {threads}." in (tmp_path / "logs" / "standard.log").read_text()
