"""What three people come for, done with the README's commands: what they type, and what must be on the screen."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from measured_results import measured as of_published

from robench.cli.main import main
from robench.results.schema import CellResult, Value

ROOT = Path(__file__).parents[2]
METHOD = '''
from dataclasses import dataclass

import torch

from robench.training.methods.base import OneView
from robench.training.methods.cutout import cutout


@dataclass
class Half(OneView):
    """Cutout on a share of the images."""

    length: int = 8
    share: float = 0.5

    def view(self, batch):
        plain = batch.view().float() / 255.0
        chosen = batch.stream("half").uniform(0, (1, 1, 1)) < self.share
        return torch.where(chosen.to(plain.device), cutout(plain, batch, self.length), plain)
'''


@dataclass(frozen=True)
class Screen:
    """What a command left: its exit code, and what it printed."""

    code: int
    out: str
    said: str


@dataclass(frozen=True)
class Desk:
    """A person's folder, and a shell in it."""

    folder: Path

    def type(self, line: str) -> Screen:
        """Run a command as it is typed."""
        out, said = io.StringIO(), io.StringIO()
        here = Path.cwd()
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
                code = main(shlex.split(line)[1:])
        finally:
            os.chdir(here)
        return Screen(code, out.getvalue(), said.getvalue())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A folder with a checkpoint as trainings leave them, at a terminal of 80 columns."""
    from safetensors.torch import load_file

    folder = tmp_path_factory.mktemp("desk")
    weights = load_file(ROOT / "reference_models/digits/augmix/weights.safetensors")
    torch.save({"epoch": 15, "state_dict": {f"module.{k}": v for k, v in weights.items()}}, folder / "mine.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        yield Desk(folder)


FEW = "--suite digits-c --corruption fog,contrast --limit 40 --device cpu"


@pytest.fixture(scope="module")
def measured(desk: Desk) -> Screen:
    """The researcher's run."""
    return desk.type(f"robench evaluate --model mine.pth --arch wrn-10-1 --norm-preset half {FEW} --out runs/mine")


def test_help_names_what_each_of_them_needs(desk: Desk) -> None:
    first = desk.type("robench --help").out
    assert all(f"\n  {name}" in first for name in ("evaluate", "table", "compare", "gate", "train", "leaderboard"))
    said = desk.type("robench evaluate --help").out
    for option in ("--arch", "--norm-preset", "--within", "--dry-run", "--models", "--out"):
        assert option in said
    assert max(map(len, said.splitlines())) <= 80
    assert "--with-published" in desk.type("robench table --help").out


# A researcher with a checkpoint, who wants the row of a paper's table.


def test_the_researcher_is_told_what_the_checkpoint_lacks(desk: Desk) -> None:
    screen = desk.type(f"robench evaluate --model mine.pth {FEW} --dry-run")
    assert screen.code == 2
    assert "holds weights but not the architecture" in screen.said
    assert "--arch" in screen.said
    screen = desk.type(f"robench evaluate --model mine.pth --arch wrn-10-1 {FEW} --dry-run")
    assert screen.code == 2
    assert "--norm-preset half" in screen.said
    screen = desk.type(f"robench evaluate --model mine.pth --arch wrn-10-1 --norm-preset half {FEW} --dry-run")
    assert screen.code == 0
    assert "0.5" in next(line for line in screen.out.splitlines() if "normalisation" in line)


def test_the_researcher_measures(measured: Screen) -> None:
    assert measured.code == 0
    assert "with 95 % confidence intervals" in measured.out
    assert "mean error, %" in measured.out
    assert "Partial run" in measured.out or "Sampled" in measured.out  # it is not the suite's number
    assert "No normalisation" not in measured.out
    assert "run: runs/mine" in measured.out


def test_the_researcher_gets_a_row_for_latex(desk: Desk, measured: Screen) -> None:
    text = desk.type("robench table --runs runs/mine --by corruption --format latex").out
    assert "\\toprule" in text
    assert "Fog & " in text
    assert "{\\scriptsize [" in text
    value = json.loads((desk.folder / "runs/mine/result.json").read_text())["conditions"]["fog"]["error"]["value"]
    assert f"{100 * value:.2f}" in text


def test_the_researcher_cannot_mistake_the_protocol(desk: Desk, measured: Screen) -> None:
    screen = desk.type("robench metrics runs/mine --baseline alexnet")
    assert (screen.code, "is of imagenet" in screen.said) == (2, True)
    screen = desk.type("robench table --runs runs/mine --with-published")
    assert (screen.code, "generated images" in screen.said) == (2, True)
    assert "Omit --with-published" in screen.said or "omit --with-published" in screen.said


def test_the_researcher_sees_published_rows_below_hers(desk: Desk) -> None:
    """Of a complete run on the published files; its document stands for 3 GB of them."""
    values = {name: Value(value=at, low=at - 0.005, high=at + 0.005) for name, at in
              (("mean_error", 0.112), ("clean_error", 0.049))}  # fmt: skip
    result = of_published({"architecture": "wrn-40-2"}, "cifar10-c", 0.112, **values)
    cells = [CellResult(name="clean", condition="clean", severity=0, images=10_000, metrics={})]
    model = result.model.model_copy(update={"name": "my method"})
    document = result.model_copy(update={"cells": cells, "model": model})
    (desk.folder / "complete.json").write_text(document.model_dump_json())
    text = desk.type("robench table --runs complete.json --with-published --format latex").out
    assert "\\toprule" in text
    mine, augmix = text.index("my method & 11.20"), text.index("WideResNet, AugMix")
    assert mine < augmix
    assert "RobustBench" in text
    assert "Published rows come without intervals" in text
    screen = desk.type("robench rank complete.json")
    assert "mean error" in screen.out
    assert re.search(r"rank \d+ of 24 \(\d+ to \d+", screen.out)
    assert desk.type("robench report complete.json --out complete.html").code == 0
    page = (desk.folder / "complete.html").read_text()
    assert "WideResNet, AugMix" in page
    assert "RobustBench" in page
    assert "my method" in desk.type("robench table --runs complete.json --format csv").out


def test_the_researcher_reads_mfp_under_its_name(desk: Desk) -> None:
    line = "robench evaluate --model reference:digits/augmix --suite digits-p --corruption brightness --limit 20"
    screen = desk.type(f"{line} --device cpu --out runs/sequences")
    assert screen.code == 0
    assert "mFP" in screen.out
    assert "1 cell, 620 frames" in desk.type(f"{line} --device cpu --dry-run").out  # 20 clips, which are no images


@pytest.mark.slow
def test_the_researcher_gets_a_page_and_repeats_for_nothing(desk: Desk, measured: Screen) -> None:
    assert desk.type("robench report runs/mine --out mine.html").code == 0
    page = (desk.folder / "mine.html").read_text()
    assert "<svg" in page
    assert "partial" in page.lower() or "sampled" in page.lower()
    again = desk.type(f"robench evaluate --model mine.pth --arch wrn-10-1 --norm-preset half {FEW} --out runs/mine")
    assert "Nothing was run" in again.out


# An engineer who chooses between models, and ships one.


@pytest.fixture(scope="module")
def choice(desk: Desk) -> list[str]:
    """The folders of the engineer's three runs: the baseline, a candidate, and the best."""
    names = ("standard", "cutout", "augmix")
    (desk.folder / "models.yaml").write_text("".join(f"- reference:digits/{name}\n" for name in names))
    screen = desk.type(f"robench evaluate --models models.yaml {FEW} --out choice")
    assert screen.code == 0
    assert all(name in screen.out for name in names)
    return [f"choice/digits-c/{next((desk.folder / 'choice/digits-c').glob(f'{name}-*')).name}" for name in names]


def test_the_engineer_sees_which_difference_is_significant(desk: Desk, choice: list[str]) -> None:
    screen = desk.type(f"robench compare {' '.join(choice)}")
    assert screen.code == 0
    assert "augmix" in screen.out
    assert "significant" in screen.out
    found = json.loads(desk.type(f"robench compare {' '.join(choice)} --json").out)
    assert found["values"]["mean_error"]["runs"]["augmix"]["best_rank"] == 1


def test_the_engineer_makes_a_script_fail_on_a_loss(desk: Desk, choice: list[str]) -> None:
    standard, _, augmix = choice
    assert desk.type(f"robench compare {augmix} {standard} --fail-if mean_error:worse").code == 0
    screen = desk.type(f"robench compare {standard} {augmix} --fail-if mean_error:worse")
    assert screen.code == 1
    assert "mean_error" in screen.out + screen.said


def test_the_engineer_reads_four_models_at_80_columns(desk: Desk, choice: list[str]) -> None:
    runs = " ".join([*choice, "runs/mine"])
    lines = desk.type(f"robench table --runs {runs} --figures mean_error,clean_error,mean_nll").out.splitlines()
    assert all(
        any(line.lstrip().startswith(name) for line in lines) for name in ("standard", "cutout", "augmix", "mine")
    )


def test_the_engineer_is_told_that_several_models_are_one_ensemble(desk: Desk) -> None:
    line = "robench evaluate --model reference:digits/augmix --model reference:digits/cutout"
    screen = desk.type(f"{line} {FEW} --dry-run")
    assert "one ensemble of 2 models" in screen.out
    said = " ".join(desk.type("robench evaluate --help").out.split())
    assert "Several --model are joined into one ensemble" in said
    assert "--models" in said


@pytest.mark.slow
def test_the_engineer_has_one_table_and_one_page(desk: Desk, choice: list[str]) -> None:
    text = desk.type(f"robench table --runs {' '.join(choice)} --format markdown").out
    row = next(line for line in text.splitlines() if line.startswith("| augmix"))
    assert "**" in row  # significantly better than both
    assert "paired" in text
    assert desk.type(f"robench report {' '.join(choice)} --out choice.html").code == 0
    assert "Differences of all pairs" in (desk.folder / "choice.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "code"), [("augmix", 0), ("standard", 1)])
def test_the_engineer_has_a_gate_for_ci(desk: Desk, choice: list[str], model: str, code: int) -> None:
    line = (
        f"robench gate --model reference:digits/{model} --baseline {choice[1]} --suite digits-c --max-loss 2 "
        f"--corruption contrast --device cpu --budget 4000 --out gate-{model}"
    )
    screen = desk.type(line)
    assert screen.code == code, screen.out + screen.said


@pytest.mark.slow
def test_the_engineer_asks_whether_the_confidence_is_any_good(desk: Desk, choice: list[str]) -> None:
    screen = desk.type(f"robench calibrate {choice[0]}")
    assert screen.code == 0
    assert "temperature" in screen.out.lower()


# An author of a training method, who wants honest baselines.


def test_the_author_finds_the_baseline(desk: Desk) -> None:
    screen = desk.type("robench train --list --method cutout --data digits")
    assert "cutout-digits" in screen.out
    assert len(screen.out.splitlines()) < 10
    assert "passes" in screen.out  # what it costs, before it starts
    assert "method: cutout" in desk.type("robench train --show cutout-digits").out


@pytest.mark.slow
def test_the_author_trains_a_method_of_one_file_and_measures_it(desk: Desk) -> None:
    (desk.folder / "half.py").write_text(METHOD)
    for seed in (1, 2):
        screen = desk.type(
            f"robench train --recipe cutout-digits --set method=python:half.py:Half --set options.share=0.25 "
            f"--set epochs=1 --set seed={seed} --device cpu --out models/half-{seed}"
        )
        assert screen.code == 0, screen.said
        assert "clean test accuracy" in screen.out
        assert f"robench evaluate --model models/half-{seed}" in screen.out + screen.said  # what to type next
        screen = desk.type(f"robench evaluate --model models/half-{seed} {FEW} --out method/half-{seed}")
        assert screen.code == 0, screen.said
    text = desk.type("robench table --runs method/half-1 method/half-2 --seeds").out
    assert "2 seeds" in text
    assert "±" in text
    screen = desk.type("robench leaderboard check method/half-1/result.json")
    assert screen.code == 1  # a part of the suite is no submission
    assert "complete" in screen.out + screen.said or "part" in screen.out + screen.said


def test_the_author_sees_why_a_result_fills_no_cell(desk: Desk, measured: Screen) -> None:
    screen = desk.type("robench table augmix/1 --results runs/mine")
    assert screen.code == 0
    assert "1 result" in screen.out + screen.said
    screen = desk.type("robench table augmix/1 --results runs/mine --recipe mine=foo")
    assert (screen.code, "foo" in screen.said) == (2, True)


def test_the_author_reads_how_to_submit() -> None:
    page = (ROOT / "docs/guides/submitting.md").read_text()
    assert "robench leaderboard check" in page
    assert "guides/submitting.md" in (ROOT / "docs/tutorials/method.md").read_text()


# All of it from the README and the help.


def _typed() -> dict[str, set[str]]:
    """Return the options that this file types, by command."""
    found: dict[str, set[str]] = {}
    text = Path(__file__).read_text().partition("# All of it from")[0]
    text = re.sub(r'"\n +f"', "", text)  # commands over two lines
    for command, words in re.findall(r'"robench ([a-z]+)([^"\n]*)', text):
        found.setdefault(command, set()).update(re.findall(r"--[a-z][a-z-]+", words))
    found["evaluate"] |= set(re.findall(r"--[a-z-]+", FEW))
    return found


def test_every_command_and_option_is_in_the_readme_or_the_help(desk: Desk) -> None:
    readme = (ROOT / "README.md").read_text()
    typed = _typed()
    assert {"evaluate", "table", "compare", "gate", "train", "rank", "report", "leaderboard"} <= set(typed)
    for command, options in typed.items():
        assert re.search(rf"\b{command}\b", readme), command
        told = desk.type(f"robench {command} --help").out
        told += desk.type(f"robench {command} --help-all").out if "--help-all" in told else ""
        assert sorted(one for one in options if one not in told and one != "--help") == [], command
