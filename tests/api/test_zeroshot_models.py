"""Random CLIP and SigLIP networks through whole runs: names and prompts of the data, files, refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import robench
from robench.cli.main import main
from robench.errors import RobenchError
from robench.models.zeroshot import features

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import zeroshot_networks as networks

FEW: dict[str, Any] = {"device": "cpu", "resamples": 0, "quiet": True}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_folder", lambda: tmp_path / "cache")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Class folders of photographs of several shapes."""
    random = np.random.default_rng(0)
    for name in ("cat", "maple_tree", "n01440764"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, shape in enumerate(((40, 50, 3), (64, 36, 3))):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("kind", networks.SNAPSHOTS)
def test_a_snapshot_on_digits(tmp_path: Path, kind: str) -> None:
    folder = networks.save_snapshot(tmp_path / kind, kind)
    result = robench.evaluate(
        f"hf:{folder}", "digits-c", corruption="fog", severity=5, limit=40, out=tmp_path / "run", **FEW
    )
    assert result is not None
    shown = result.model.card["zero_shot"]
    assert (shown["example"], shown["prompts"], shown["class_names"]) == ("a photo of a zero.", "simple", "data")
    assert [cell.images for cell in result.cells] == [40, 40]


@pytest.mark.parametrize("bias", [False, True])
def test_an_open_clip_on_a_folder_of_photographs(tmp_path: Path, photos: Path, bias: bool) -> None:
    folder = networks.save_open_clip(tmp_path / "net", bias=bias)
    result = robench.evaluate(f"open_clip:{folder}", "clean", data=photos, out=tmp_path / "run", **FEW)
    assert result is not None
    assert result.cells[0].images == 6
    assert result.model.card["zero_shot"]["example"] == "a photo of a cat."
    assert result.model.preprocessing["geometry"]["crop"] == 32


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = networks.save_snapshot(tmp_path / "clip", "clip")
    (tmp_path / "names.txt").write_text("\n".join(f"the digit {name}" for name in "abcdefghij"))
    (tmp_path / "prompts.txt").write_text("a drawing of {}.\n{} in black\n")
    words = [
        "--model",
        f"hf:{folder}",
        "--suite",
        "digits-c",
        "--corruption",
        "fog",
        "--severity",
        "5",
        "--limit",
        "20",
    ]
    words += ["--prompts", str(tmp_path / "prompts.txt"), "--class-names", str(tmp_path / "names.txt")]
    assert main(["evaluate", *words, "--out", str(tmp_path / "run"), "--quiet", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["models", "show", f"hf:{folder}", "--class-names", str(tmp_path / "names.txt")]) == 0
    said = capsys.readouterr().out
    for part in ("a photo of a the digit a.", "temperature", "CLIPTokenizer", "names.txt", "bicubic"):
        assert part in said
    assert main(["models", "show", f"hf:{folder}"]) == 0
    assert "of the data" in capsys.readouterr().out
    for wrong, found in (
        (["--prompts", "nope"], "--prompts is one of imagenet, cifar, simple, or a file; 'nope' is not there."),
        (["--class-names", "imagenet"], "has 1,000 output classes; the suite needs 10"),
    ):
        assert main(["evaluate", *words[:10], *wrong, "--quiet"]) == 2
        assert found in " ".join(capsys.readouterr().err.split())


def test_models_with_a_head_take_no_prompts(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="`prompts` has no effect on 'reference:digits/augmix'"):
        robench.evaluate("reference:digits/augmix", "digits-c", prompts="imagenet", out=tmp_path)
    with pytest.raises(RobenchError, match="`class_names` has no effect on a module or function"):
        robench.evaluate(lambda images: images, "digits-c", class_names="cifar10", out=tmp_path)
