"""What three people come for, done with the README's commands: what they type, and what must be on the screen."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from robench.cli.main import main

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
        screen = desk.type(f"robench evaluate --model models/half-{seed} {FEW} --out method/half-{seed}")
        assert screen.code == 0, screen.said
    text = desk.type("robench table --runs method/half-1 method/half-2 --seeds").out
    assert "2 seeds" in text
    assert "±" in text
    screen = desk.type("robench leaderboard check method/half-1/result.json")
    assert screen.code == 1  # a part of the suite is no submission
    assert "complete" in screen.out + screen.said or "part" in screen.out + screen.said


def test_the_author_reads_how_to_submit() -> None:
    page = (ROOT / "docs/guides/submitting.md").read_text()
    assert "robench leaderboard check" in page
    assert "guides/submitting.md" in (ROOT / "docs/tutorials/method.md").read_text()
