"""The loop itself: restart after SIGKILL, several processes, a loss that explodes, schedules, files, overrides."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import starting
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import robench
from robench.data import digits
from robench.errors import RobenchError
from robench.models import load_model
from robench.processes import World
from robench.training import recipes
from robench.training.engine import schedule
from robench.training.engine.batch import Batch
from robench.training.engine.loop import Trainer, train
from robench.training.engine.network import Network
from robench.training.engine.source import held_out
from robench.training.methods.base import Step
from robench.training.methods.ccat import CCAT
from robench.training.recipes.schema import OptimiserPart

TINY = ["data.limit=60", "batch_size=15", "epochs=3", "weights=float32"]

KILLED = """
import os, signal, sys, torch
from robench.training import recipes
from robench.training.engine.loop import train
torch.set_num_threads(1)
recipe = recipes.load(sys.argv[1], sys.argv[3].split())
def kill(done):
    if done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
train(recipe, None, sys.argv[2], quiet=True, after_step=kill)
"""


def _run(name: str, out: Path, settings: list[str], kill_at: int) -> int:
    return starting.run(["-c", KILLED, name, str(out), " ".join(settings), str(kill_at)]).returncode


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("augmix-digits", ["checkpoint_steps=2", "optimiser.ema=0.9"]),
        pytest.param("autolabel-augmix-digits", ["options.buckets=2"], marks=pytest.mark.slow),
    ],
)
def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, name: str, more: list[str]) -> None:
    settings = TINY + more
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(recipes.load(name, settings), None, whole, quiet=True)
    for kill_at in (3, 10):
        assert _run(name, broken, settings, kill_at) == -signal.SIGKILL
        assert not (broken / "card.yaml").exists()
    train(recipes.load(name, settings), None, broken, quiet=True)
    expected, found = (load_file(folder / "weights.safetensors") for folder in (whole, broken))
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    rows = [list(csv.DictReader((folder / "log.csv").open())) for folder in (whole, broken)]
    assert [row["epoch"] for row in rows[1]] == ["1", "2", "3"]
    for one, other in zip(*rows, strict=True):
        assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in other.items() if k != "seconds"}


def _digits_in_folders(folder: Path, shift: int = 0) -> Path:
    for split in ("train", "test"):
        images = digits.load(split)
        for number in range(shift, shift + 60):
            place = folder / split / str(np.asarray(images.labels)[number])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.read(np.array([number]))[0]).save(place / f"{number:03}.png")
    return folder


def test_a_schedule_that_the_epochs_cut_short_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = [*TINY, "epochs=2", "data.limit=30"]
    train(recipes.load("standard-digits", tiny), None, tmp_path / "cosine")
    assert "milestones" not in capsys.readouterr().err
    steps = [*tiny, "optimiser.schedule=step", "optimiser.milestones=[2,4]"]
    train(recipes.load("standard-digits", steps), None, tmp_path / "steps")
    assert "optimiser.milestones begin at 2, so the learning rate stays" in capsys.readouterr().err
    train(recipes.load("standard-digits", [*tiny, "optimiser.warmup_epochs=2"]), None, tmp_path / "warm")
    assert "the warm-up takes 2 epochs, all of 2." in capsys.readouterr().err
    train(recipes.load("standard-digits", [*steps, "optimiser.milestones=[1]"]), None, tmp_path / "reached")
    assert "milestones" not in capsys.readouterr().err


def test_a_card_names_the_classes_of_the_training_images(tmp_path: Path) -> None:
    here = _digits_in_folders(tmp_path / "set")
    names = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "owl", "yak")
    for split in ("train", "test"):
        for number, name in enumerate(names):
            (here / split / str(number)).rename(here / split / name)
    recipe = recipes.load("standard-digits", [*TINY, "epochs=1", "data.dataset=animals", "data.validation_split=null"])
    train(recipe, here, tmp_path / "out", quiet=True)
    assert load_model(str(tmp_path / "out")).classes == names
    train(recipes.load("standard-digits", [*TINY, "epochs=1"]), None, tmp_path / "digits", quiet=True)
    assert "classes" not in yaml.safe_load((tmp_path / "digits" / "card.yaml").read_text())
    # Of a set with some of the classes, the logits are found by name.
    shutil.copytree(here / "test" / "owl", tmp_path / "few" / "owl")
    shutil.copytree(here / "test" / "bee", tmp_path / "few" / "bee")
    found = robench.evaluate(
        tmp_path / "out", "clean", data=tmp_path / "few", out=tmp_path / "run", quiet=True, resamples=0, device="cpu"
    )
    assert found is not None
    assert found.model.card["class_order"] == "by name: 2 of 10 logits, 2 moved"


def test_a_run_is_neither_resumed_nor_taken_for_one_on_other_images(tmp_path: Path) -> None:
    here, there = (_digits_in_folders(tmp_path / name / "set", shift) for name, shift in (("a", 0), ("b", 1)))
    recipe = recipes.load("standard-digits", ["epochs=2", "batch_size=20", "data.validation_split=null"])

    def stop(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, here, tmp_path / "out", quiet=True, after_step=stop)
    with pytest.raises(RobenchError, match="belongs to a run on other training images"):
        train(recipe, there, tmp_path / "out", quiet=True)
    moved = here.rename(tmp_path / "moved")
    train(recipe, moved, tmp_path / "out", quiet=True)
    with pytest.raises(RobenchError, match="finished run on other training images"):
        train(recipe, there, tmp_path / "out", quiet=True)
    train(recipe, moved, tmp_path / "out", quiet=True)


def test_other_words_or_more_checkpoints_are_no_other_run(tmp_path: Path) -> None:
    recipe = recipes.load("standard-digits", TINY)

    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, None, tmp_path, quiet=True, after_step=stop)
    said = recipe.model_copy(update={"notes": "reworded", "title": "in a later version", "checkpoint_steps": 2})
    train(said, None, tmp_path, quiet=True)
    assert (tmp_path / "card.yaml").is_file()
    train(recipe, None, tmp_path, quiet=True)


def test_finished_run_is_kept_and_other_settings_are_refused(tmp_path: Path) -> None:
    recipe = recipes.load("standard-digits", [*TINY, "epochs=1"])
    train(recipe, None, tmp_path, quiet=True)
    stamp = (tmp_path / "weights.safetensors").stat().st_mtime_ns
    train(recipe, None, tmp_path, quiet=True)
    assert (tmp_path / "weights.safetensors").stat().st_mtime_ns == stamp
    for changed in (recipes.load("augmix-digits", [*TINY, "epochs=1"]), recipe.model_copy(update={"seed": 2})):
        with pytest.raises(RobenchError, match="finished run with other settings"):
            train(changed, None, tmp_path, quiet=True)
    other = tmp_path / "other"

    def stop(done: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    longer = recipes.load("standard-digits", TINY)
    with pytest.raises(KeyboardInterrupt):
        train(longer, None, other, quiet=True, after_step=stop)
    with pytest.raises(RobenchError, match="other settings"):
        train(recipes.load("standard-digits", [*TINY, "seed=2"]), None, other, quiet=True)
    (other / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(RobenchError, match="Could not read the checkpoint"):
        train(longer, None, other, quiet=True)
    train(longer, None, other, quiet=True, fresh=True)
    assert (other / "card.yaml").is_file()


def test_a_fresh_run_that_is_stopped_does_not_pass_for_the_old_one(tmp_path: Path) -> None:
    recipe = recipes.load("standard-digits", [*TINY, "epochs=1"])
    train(recipe, None, tmp_path, quiet=True)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, None, tmp_path, quiet=True, fresh=True, after_step=stop)
    assert not (tmp_path / "card.yaml").exists()


def test_logged_accuracy_of_half_a_batch_is_a_share_of_that_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = CCAT.loss

    def all_right(method: CCAT, net: Network, batch: Batch) -> Step:
        step = loss(method, net, batch)
        assert step.labels is not None
        return Step(step.loss, torch.nn.functional.one_hot(step.labels, 10).float(), step.labels)

    monkeypatch.setattr(CCAT, "loss", all_right)
    folder = train(recipes.load("ccat-digits", [*TINY, "epochs=1", "options.steps=1"]), None, tmp_path, quiet=True)
    (row,) = csv.DictReader((folder / "log.csv").open())
    assert float(row["train_accuracy"]) == pytest.approx(1.0)


def test_same_seed_same_weights_other_seed_others(tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        recipe = recipes.load("cutmix-digits", [*TINY, "epochs=1", f"seed={seed}"])
        folder = train(recipe, None, tmp_path / str(number), quiet=True)
        weights.append(load_file(folder / "weights.safetensors"))
    first, again, other = weights
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_every_seed_of_the_schema_trains(tmp_path: Path) -> None:
    recipe = recipes.load("standard-digits", [*TINY, "epochs=1", "seed=9223372036854775807"])
    assert (train(recipe, None, tmp_path, quiet=True) / "card.yaml").is_file()


def test_random_resized_crops_of_the_embedded_digits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="images in folders"):
        train(recipes.load("standard-digits", [*TINY, "data.resized_crop=[0.5,1.0]"]), None, tmp_path, quiet=True)


def test_exploding_loss_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    settings = [*TINY, "epochs=40", "optimiser.lr=1e9", "optimiser.warmup_epochs=39"]
    with pytest.raises(RobenchError, match="not finite") as caught:
        train(recipes.load("standard-digits", settings), None, tmp_path, quiet=True)
    assert "lr" in str(caught.value)
    if (tmp_path / "checkpoint.pt").exists():
        state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        assert all(torch.isfinite(value).all() for value in state["module"].values())
    assert not (tmp_path / "card.yaml").exists()


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    settings = [*TINY, "epochs=2"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "robench"]
    command += ["train", "--recipe", "augmix-digits", "--device", "cpu", "--quiet", "--out", str(tmp_path / "two")]
    for setting in settings:
        command += ["--set", setting]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "two" / "log.csv").open()))
    assert len(rows) == 2
    one = train(recipes.load("augmix-digits", settings), None, tmp_path / "one", quiet=True)
    alone = list(csv.DictReader((one / "log.csv").open()))
    # The halves have BatchNorm statistics of their own, so the first epoch is near, not equal.
    assert float(rows[0]["loss"]) == pytest.approx(float(alone[0]["loss"]), rel=0.1)
    two = yaml.safe_load((tmp_path / "two" / "card.yaml").read_text())
    assert two["trained_with"]["epochs"] == 2


def test_a_step_with_fewer_images_than_processes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robench.training.engine.distribution.share_weights", lambda module, world: None)
    world = World(rank=1, size=2)
    device = torch.device("cpu")
    settings = ["data.limit=51", "batch_size=25"]
    with pytest.raises(RobenchError, match="1 images cannot be split over 2"):
        Trainer(recipes.load("standard-digits", settings), None, tmp_path, device, world, quiet=True)


def test_gradients_of_two_processes_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    script = tmp_path / "average.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, torch
            from robench.processes import joined
            from robench.training.engine import distribution
            with joined("cpu") as world:
                torch.manual_seed(world.rank)
                module = torch.nn.Linear(4, 3)
                distribution.share_weights(module, world)
                x = torch.arange(28.0).view(7, 4)[world.rank::world.size] / 28  # four images and three
                module(x).square().mean().backward()
                distribution.average_gradients(module, world, len(x))
                parts = [module.weight.data, module.bias.data, module.weight.grad, module.bias.grad]
                if world.first:
                    torch.save(parts, sys.argv[1])
            """
        )
    )
    out = tmp_path / "gradients.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    done = subprocess.run([*command, str(script), str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    weight, bias, *found = torch.load(out, weights_only=True)
    module = torch.nn.Linear(4, 3)
    module.load_state_dict({"weight": weight, "bias": bias})
    module(torch.arange(28.0).view(7, 4) / 28).square().mean().backward()
    assert module.weight.grad is not None
    torch.testing.assert_close(found[0], module.weight.grad)
    torch.testing.assert_close(found[1], module.bias.grad)


def test_learning_rates() -> None:
    cosine = OptimiserPart(lr=0.1, final_lr=1e-6)
    rates = [schedule.learning_rate(cosine, step, 10, 10) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[50] == pytest.approx(1e-6 + (0.1 - 1e-6) / 2)
    assert rates == sorted(rates, reverse=True)
    whole = OptimiserPart(lr=0.1, schedule="cosine-epoch")
    assert len({schedule.learning_rate(whole, step, 10, 10) for step in range(100)}) == 10
    steps = OptimiserPart(lr=1.0, schedule="step", milestones=[3, 6])
    assert [schedule.learning_rate(steps, epoch * 7, 7, 9) for epoch in (0, 3, 6)] == pytest.approx([1, 0.1, 0.01])
    warm = OptimiserPart(lr=1.0, warmup_epochs=2)
    first = [schedule.learning_rate(warm, step, 5, 4) for step in range(11)]
    assert first[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert first[10] == pytest.approx(1.0)
    assert schedule.learning_rate(warm, 15, 5, 4) == pytest.approx(1e-6 + 0.5 * (1 - 1e-6), rel=1e-5)


def test_moving_average_is_the_recurrence() -> None:
    module = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(module.weight, 0.0)
    average = schedule.MovingAverage(module, 0.5)
    expected = 0.0
    for step in range(1, 5):
        torch.nn.init.constant_(module.weight, float(step))
        average.update(module)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.values["weight"].item() == pytest.approx(expected)


def test_moving_average_ends_with_the_statistics_of_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def averaged(module: torch.nn.Module, world: World) -> None:
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.fill_(7.0)

    monkeypatch.setattr("robench.training.engine.distribution.average_buffers", averaged)
    recipe = recipes.load("standard-digits", [*TINY, "epochs=1", "optimiser.ema=0.9"])
    weights = load_file(train(recipe, None, tmp_path, quiet=True) / "weights.safetensors")
    found = [value for name, value in weights.items() if name.endswith("running_var")]
    assert found
    assert all((value == 7.0).all() for value in found)


def test_images_are_held_out_in_one_way(tmp_path: Path) -> None:
    recipe = recipes.load("standard-digits", [*TINY, "data.validation=10"])
    with pytest.raises(RobenchError, match="Use only one of data"):
        train(recipe, None, tmp_path, quiet=True)


def test_held_out_images_do_not_depend_on_anything_but_the_count() -> None:
    train_index, validation = held_out(1000, 100)
    assert len(train_index) == 900
    assert len(validation) == 100
    assert sorted([*train_index.tolist(), *validation.tolist()]) == list(range(1000))
    assert torch.equal(held_out(1000, 100)[1], validation)
    with pytest.raises(RobenchError):
        held_out(10, 10)


def test_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from robench.cli.main import main

    assert main(["train", "--list"]) == 0
    listed = capsys.readouterr().out
    assert "augmix-cifar10-wrn40-2" in listed
    assert main(["train", "--show", "augmix-digits", "--set", "epochs=7"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["epochs"] == 7
    assert main(["train"]) == 2
    assert main(["train", "--recipe", "nothing"]) == 2
    arguments = ["train", "--recipe", "standard-digits", "--out", str(tmp_path), "--quiet"]
    assert main([*arguments, "--set", "epochs=1", "--set", "data.limit=50"]) == 0
    card = yaml.safe_load((tmp_path / "card.yaml").read_text())
    assert card["command"] == "robench train --recipe standard-digits --set epochs=1 --set data.limit=50"


def test_autolabels_labels_are_logged_every_epoch(tmp_path: Path) -> None:
    short = ["data.limit=40", "batch_size=20", "epochs=2", "options.buckets=3", "optimiser.lr=0.05"]
    train(recipes.load("autolabel-augmix-digits", short), None, tmp_path, quiet=True)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [one["epoch"] for one in log] == [1, 2]
    assert "labels" not in rows[0]
    for row, one in zip(rows, log, strict=True):
        assert [len(depth) for depth in one["labels"]] == [3, 3, 3]  # a list per depth, by rising share of the image
        assert [float(row[f"label_{n + 1}"]) for n in range(9)] == [v for depth in one["labels"] for v in depth]
        assert float(row["loss"]) == pytest.approx(one["loss"])
