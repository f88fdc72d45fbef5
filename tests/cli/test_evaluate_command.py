"""``robench evaluate`` as a user types it: the whole way, and what each mistake is answered with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import starting
import torch

from robench.cli.main import main

WRN = ["--arch", "wrn-10-1", "--norm-preset", "none"]
QUICK = ["--limit", "40", "--corruption", "contrast", "--severity", "1,5", "--resamples", "50", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    from robench.models.architectures import build

    torch.manual_seed(0)
    path = tmp_path / "wrn.pth"
    weights = build("wrn-10-1", num_classes=10).state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in weights.items()}, "epoch": 3}, path)
    return path


def complain(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail as a user's mistake does, and return what it said."""
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    return said.err


def test_bare_weights_ask_for_a_normalisation_and_what_was_used_is_shown(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "-m", str(checkpoint), "--arch", "wrn-10-1", "-s", "digits-c", "--limit", "5", *QUICK]
    said = complain(capsys, *command)
    assert "does not say which normalisation wrn-10-1 was trained with" in said
    assert "--norm-preset cifar10 or --norm-preset half (or --mean and --std), or --norm-preset none" in said
    assert main([*command, "--norm-preset", "none"]) == 0
    said = capsys.readouterr().out
    assert f"model: {checkpoint.stem}: normalisation mean 0, 0, 0; standard deviation 1, 1, 1 (option)" in said
    assert "No normalisation" not in said


def test_two_models_are_one_ensemble_and_each_without_a_normalisation_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine.py").write_text("import torch\ndef make():\n    return lambda x: x.flatten(1)[:, :10]\n")
    models = ["-m", "python:mine.py:make", "-m", "reference:digits/standard"]
    assert main(["evaluate", *models, "-s", "digits-c", "--limit", "5", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "No normalisation was given for make of this ensemble" in said
    assert "model: make+standard: one ensemble of 2 models (mean-prob); normalisation each member's own" in said


def test_a_function_without_a_normalisation_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("import torch\ndef make():\n    return lambda x: x.flatten(1)[:, :10]\n")
    command = ["evaluate", "-m", "python:mine.py:make", "-s", "digits-c", "--limit", "5", *QUICK]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "note: No normalisation was given: the model saw images in [0, 1]." in said
    assert "set --mean and --std, or --norm-preset" in said
    assert "normalisation none" in said.splitlines()[-2]


def test_a_checkpoint_on_digits(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "-m", str(checkpoint), "--arch", "wrn-10-1", "-s", "digits-c", *QUICK]
    assert main([*command, "--norm-preset", "half", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [cell["name"] for cell in document["cells"]] == ["clean", "contrast/1", "contrast/5"]
    assert document["model"]["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert not document["suite"]["complete"]
    (run,) = Path("runs/digits-c").iterdir()
    before = {p.name: p.read_bytes() for p in (run / "predictions").iterdir()}
    capsys.readouterr()
    assert main([*command, "--norm-preset", "half"]) == 0
    nothing = f"Nothing was run: every cell had already been measured ({run}).\n"
    said = capsys.readouterr().out
    assert said.endswith(f"run: {run}\n{nothing}")
    assert said.count("Nothing was run") == 1
    assert main([*command, "--norm-preset", "half", "-q"]) == 0
    assert capsys.readouterr() == ("", nothing)
    assert {p.name: p.read_bytes() for p in (run / "predictions").iterdir()} == before
    assert main(["metrics", str(run), "--metric", "adaptive_ece,error"]) == 0
    assert "contrast/5" in capsys.readouterr().out


def measured(command: list[str], out: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], np.ndarray]:
    """Run a command; return its result and the confidences of its corrupted cells."""
    from robench.predictions import RunFolder

    assert main([*command, "--out", out, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    run = RunFolder.open(out)
    return result, np.concatenate([run.read(f"contrast/{severity}").confidence for severity in (1, 5)])


def test_folded_batch_norms_change_float_noise_only(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "-m", str(checkpoint), *WRN, "-s", "digits-c", "--workers", "1", *QUICK]
    plain, expected = measured(command, "plain", capsys)
    folded, found = measured([*command, "--fold"], "folded", capsys)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert folded["model"]["hash"] == plain["model"]["hash"]
    assert (folded["model"]["card"]["folded_batch_norms"], folded["model"]["card"]["batch_norms_left"]) == (3, 4)
    assert "folded_batch_norms" not in plain["model"]["card"]


def test_a_model_that_cannot_be_folded_is_measured_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("def make():\n    return lambda x: x.mean((2, 3)).repeat(1, 4)[:, :10]\n")
    command = ["evaluate", "-m", "python:mine.py:make", "-s", "digits-c", "--fold", "-q", *QUICK]
    assert main(command) == 0
    assert "make: No batch norm was folded: make is a function, not a module." in capsys.readouterr().err


@pytest.mark.slow  # compiling takes half a minute
def test_a_compiled_model_gives_the_same_predictions(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "-m", str(checkpoint), *WRN, "-s", "digits-c", *QUICK]
    _, expected = measured(command, "plain", capsys)
    compiled, found = measured([*command, "--compile", "--fold"], "compiled", capsys)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert compiled["model"]["card"]["compiled"]


def test_any_callable_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "import torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"
    )
    assert main(["evaluate", "-m", "python:mine.py:make", "-s", "digits-c", *QUICK]) == 0
    assert "mean error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "gone.pth", "--arch", "wrn-10-1", "-s", "digits-c"], "gone.pth"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "-s", "digit-c"], "Did you mean 'digits-c'"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "-s", "digits-c", "--corruption", "contrst"], "'contrast'"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "-s", "digits-c", "--severity", "6"], "from 1 to 5"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-2", "-s", "digits-c"], "wrn-10-1"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "--num-classes", "7", "-s", "digits-c"], "7"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "-s", "digits-c", "--mean", "0.5,x"], "--mean takes 3 numbers"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "-s", "digits-c", "--precision", "fp8"], "fp32, bf16, fp16"),
        (["-m", "{checkpoint}", "--arch", "wrn-10-1", "-s", "cifar10-c", "--data", "{empty}"], "{empty}"),
        (["-s", "digits-c"], "No model given"),
        (["-m", "reference:digits/augmix", "-s", "digits-c", "--device", "gpu"], "Unknown device 'gpu'"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--mean", "125,123,114"], "Divide by 255"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--mean", "nan"], "--mean takes 3 numbers"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--std", "0"], "above 0"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--mean", "0.5"], "--mean was given without --std"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--std", "0.5"], "--std was given without --mean"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--std", "63,62,67"], "Divide by 255"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--norm-preset", "half", "--mean", "0.5"], "cannot be combined"),
        (
            ["-m", "{checkpoint}", "-s", "digits-c", "--models", "models.yaml"],
            "--models and --model cannot be combined",
        ),
        (["-m", "{checkpoint}", "-s", "digits-c,digits-p", "--cluster", "auto"], "--cluster cannot be combined"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--crop", "-3"], "--crop"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--num-classes", "0"], "--num-classes"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--ensemble", "sum"], "mean-logit"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--split", "train"], "--split has no effect on digits-c"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--difficulty", "2"], "only to digits-p, cifar10-p"),
        (
            ["-m", "{checkpoint}", "-s", "digits-c,clean", "--definition", "mine.yaml"],
            "only to imagenet-real, svsf, dfr",
        ),
        (["-m", "{checkpoint}", "-s", "digits-c", "--clean", "gone"], "--clean has no effect on digits-c"),
        (["-m", "{program}", "-s", "digits-c"], "python:{program}:FUNCTION"),
        (["-m", "reference:digits/augmix", "-s", "digits-c", "--out", "{program}/run"], "Cannot write {program}/run"),
        (["-m", "{checkpoint}", "-s", "digits-c", "--interpolation", "cubic"], "bicubic"),
    ],
)
def test_mistakes(
    arguments: list[str], expected: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("nothing here")
    (program := tmp_path / "mine.py").write_text("def make(): ...")
    names = {"checkpoint": str(checkpoint), "empty": str(empty), "program": str(program)}
    said = complain(capsys, "evaluate", *(part.format(**names) for part in arguments))
    assert expected.format(**names) in said


@pytest.mark.parametrize(("units", "share", "said"), [(True, 0.4, True), (True, 0.9, False), (False, 0.4, False)])
def test_a_dry_run_says_where_bfloat16_would_pay(
    units: bool, share: float, said: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.processes.has_bf16_units", lambda device: units)
    monkeypatch.setattr(
        "robench.api.planning.seconds_per_image",
        lambda model, suite, options: share if options.precision == "bf16" else 1.0,
    )
    command = ["evaluate", "-m", "reference:digits/augmix", "-s", "digits-c", "--dry-run", *QUICK]
    assert main(command) == 0
    assert ("with --precision bf16 about" in capsys.readouterr().out) is said
    assert main([*command, "--precision", "bf16"]) == 0
    assert "with --precision bf16" not in capsys.readouterr().out


def test_a_time_that_is_not_known_is_not_said_to_be_none(capsys: pytest.CaptureFixture[str]) -> None:
    """AutoAttack takes as many passes as it takes."""
    from robench.api import Job, Plan
    from robench.cli.grid import print_plan, show_plan

    plan = Plan("net", "digits-pgd", "generated", 1, 100, 100, None, Path("there"), {"origin": "default"})
    show_plan(plan, as_json=False)
    assert "100 images left, how long it takes is not known" in capsys.readouterr().out
    print_plan([Job("net", "digits-pgd", plan=plan)], "What would be measured")
    said = capsys.readouterr().err
    assert said.count("not known") == 2
    assert "0 s" not in said


def test_a_dry_run_names_the_folder_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "-m", "reference:digits/augmix", "-s", "digits-c", "--dry-run", *QUICK]
    assert main([*command, "--out", "there"]) == 0
    assert "into there\n" in capsys.readouterr().out
    assert main(command) == 0
    assert "into runs/digits-c/augmix-" in capsys.readouterr().out


def test_a_folder_of_another_model_is_refused(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "-m", str(checkpoint), *WRN, "-s", "digits-c", "-o", "here", *QUICK, "-q"]
    assert main(command) == 0
    said = complain(capsys, *command, "--norm-preset", "cifar10")
    assert "preprocessing.mean" in said
    assert "--out" in said


def test_a_model_that_puts_out_nan(capsys: pytest.CaptureFixture[str]) -> None:
    Path("nan.py").write_text(
        "import torch\ndef make():\n    return lambda x: torch.full((len(x), 10), float('nan'))\n"
    )
    said = complain(capsys, "evaluate", "-m", "python:nan.py:make", "-s", "digits-c", *QUICK)
    assert "In cell 'clean'" in said
    assert "40 of 40" in said


def test_unknown_options_and_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such option" in complain(capsys, "evaluate", "--modell", "x")
    assert "No such command" in complain(capsys, "evalute")


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path: Path) -> None:
    Path("slow.py").write_text(
        "import time, torch\n"
        "def make():\n"
        "    layer = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"
        "    def model(x):\n"
        "        print('batch', flush=True)\n"
        "        time.sleep(0.2)\n"
        "        return layer(x)\n"
        "    return model\n"
    )
    command = ["-m", "robench", "evaluate", "-m", "python:slow.py:make", "-s", "digits-c", "-q"]
    reader, writer = os.pipe()
    with open(reader) as lines, Path("said.txt").open("w") as errors:
        process = starting.start(command, cwd=tmp_path, stdout=writer, stderr=errors)
        os.close(writer)
        for _ in range(12):  # beyond the first cell
            lines.readline()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    said = Path("said.txt").read_text()
    assert "finished cells are kept" in said
    assert "robench evaluate -m python:slow.py:make" in said
    assert "Traceback" not in said
    (run,) = (tmp_path / "runs" / "digits-c").iterdir()
    assert (run / "predictions" / "clean.parquet").exists()


def test_published_files_equal_what_they_were_made_of(tmp_path: Path, checkpoint: Path) -> None:
    """CIFAR-10-C read from .npy files in the published layout gives the predictions of a plain loop."""
    from robench.models import load_model
    from robench.predictions import RunFolder

    rng = np.random.default_rng(0)
    folder = tmp_path / "CIFAR-10-C"
    folder.mkdir()
    pixels = rng.integers(0, 256, (50000, 32, 32, 3), dtype=np.uint8)
    labels = np.tile(rng.integers(0, 10, 10000, dtype=np.uint8), 5)
    np.save(folder / "fog.npy", pixels)
    np.save(folder / "labels.npy", labels)
    command = ["evaluate", "-m", str(checkpoint), *WRN, "-s", "cifar10-c", "--data", str(folder)]
    assert main([*command, "--corruption", "fog", "--severity", "3", "--limit", "64", "-o", "run", "-q"]) == 0
    found = RunFolder.open("run").read("fog/3")
    chosen = pixels[20000 + found.index]
    model = load_model(str(checkpoint), arch="wrn-10-1", num_classes=10)
    with torch.no_grad():
        logits = model.module(torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 255)
    np.testing.assert_array_equal(found.predicted, logits.argmax(1).numpy())
    np.testing.assert_array_equal(found.target, labels[20000 + found.index])


def test_scaled_images_are_not_taken_for_unscaled_ones(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "import torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(\n"
        "        torch.nn.AdaptiveAvgPool2d(3), torch.nn.Flatten(), torch.nn.Linear(27, 10))\n"
    )
    command = ["evaluate", "-m", "python:mine.py:make", "-s", "digits-c", "-q", *QUICK]
    assert main([*command, "--resize", "20"]) == 0
    assert main(command) == 0
    assert len(list(Path("runs/digits-c").iterdir())) == 2
    assert main([*command, "--out", "one", "--resize", "20"]) == 0
    assert "scaled_to" in complain(capsys, *command, "--out", "one")


@pytest.mark.slow
def test_a_grid_under_torchrun_goes_on_past_a_model_that_fails_in_one_process(tmp_path: Path) -> None:
    Path("mine.py").write_text(
        "import os, torch\n"
        "def make(broken=False):\n"
        "    torch.manual_seed(0)\n"
        "    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))\n"
        "    def run(x):\n"
        "        logits = net(x)\n"
        "        return logits / 0 if broken and os.environ.get('RANK') == '1' else logits\n"
        "    return run\n"
        "def sick():\n    return make(broken=True)\n"
    )
    models = ["python:mine.py:sick", "gone.pth", "python:mine.py:make", "reference:digits/augmix"]
    Path("models.yaml").write_text("".join(f"- {model}\n" for model in models))
    command = ["evaluate", "--models", "models.yaml", "-s", "digits-c", "--out", "grid", *QUICK]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "robench"]
    done = subprocess.run(
        [*launch, *command], capture_output=True, text=True, timeout=180, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 1
    assert "NaN or infinite" in done.stderr
    assert done.stderr.count("failed: gone.pth on digits-c: No such file: gone.pth") == 1
    Path("models.yaml").write_text("".join(f"- {model}\n" for model in models[2:]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each rank has: on some processors another number adds a product's terms otherwise
    try:
        assert main([*command[: -len(QUICK) - 1], "alone", *QUICK, "-q"]) == 0
    finally:
        torch.set_num_threads(threads)

    def files(folder: str) -> dict[tuple[str, str], bytes]:
        """Return the files of predictions by model and cell: a function that reads its rank has no fixed hash."""
        return {
            (path.parts[2].rpartition("-")[0], path.name): path.read_bytes()
            for path in Path(folder).rglob("predictions/*")
        }

    alone = files("alone")
    assert len(alone) == 2 * 3 * 2
    assert {name: files("grid")[name] for name in alone} == alone


def test_photographs_resized_otherwise_are_not_taken_for_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A clean set's protocol says nothing of the geometry, and both commands end at 24 x 24."""
    from PIL import Image

    for name in "ab":
        Path("photographs", name).mkdir(parents=True)
        noise = np.random.default_rng(ord(name)).integers(0, 256, (50, 61, 3), np.uint8)
        Image.fromarray(noise).save(f"photographs/{name}/1.png")
    Path("mine.py").write_text(
        "import torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 24 * 24, 2))\n"
    )
    command = ["evaluate", "-m", "python:mine.py:make", "-s", "clean", "--data", "photographs", "-q", "--device", "cpu"]
    assert main([*command, "--out", "one", "--resize", "24", "--crop", "24"]) == 0
    assert "scaled_to" in complain(capsys, *command, "--out", "one", "--resize", "36", "--crop", "24")


def test_a_dry_run_names_the_models_that_cannot_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.yaml").write_text("- reference:digits/augmix\n- {model: no.pth, arch: wrn-40-2, name: mine}\n")
    assert main(["evaluate", "--models", "models.yaml", "--suite", "digits-c", "--limit", "20", "--dry-run"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert ["mine", "on", "digits-c", "fails", "–", "–"] in [line.split() for line in lines]
    assert "fails: mine on digits-c: No such file: no.pth" in lines
    assert max(map(len, lines)) < 100  # a message is no cell of the table
