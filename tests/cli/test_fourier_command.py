"""``robench fourier`` as a user types it: the map and the low-pass curve of a reference model on digits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robench.cli.main import main

MODEL = ["-m", "reference:digits/standard", "--device", "cpu"]
IMAGES = 60


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def measured(*arguments: str, out: str = "map.json") -> dict[str, Any]:
    assert main(["fourier", *MODEL, "--limit", str(IMAGES), *arguments, "-o", out]) == 0
    found: dict[str, Any] = json.loads(Path(out).read_text())
    return found


def error_by_hand(perturb: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the model's error on the limited digits, float (n, 3, 32, 32) in [0, 1], each changed and clipped."""
    from robench.models import load_model
    from robench.suites import OpenOptions, open_suite

    model, opened = load_model("reference:digits/standard"), open_suite("clean", None, OpenOptions(limit=IMAGES))
    batches = list(opened.batches(opened.suite.cells[0], IMAGES))
    pixels = torch.cat([batch.images for batch in batches]).double().numpy() / 255
    target = np.concatenate([batch.target for batch in batches])
    x = torch.from_numpy(np.clip(perturb(pixels), 0, 1)).float()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (model.preprocessing.mean, model.preprocessing.std))
    module = model.module
    assert isinstance(module, torch.nn.Module)
    with torch.no_grad():
        predicted = module.eval()((x - mean) / std).argmax(1).numpy()
    return float((predicted != target).mean())


def test_a_map_is_that_of_the_model_on_digits_and_leaves_no_state(capsys: pytest.CaptureFixture[str]) -> None:
    found = measured("--strength", "6", "--window", "3", "--no-signs")
    said = capsys.readouterr()
    assert said.out.strip() == "map.json"
    assert f"{IMAGES} images: error {100 * found['clean_error']:.2f} % clean" in said.err
    assert f"{100 * np.mean(found['error']):.2f} % over the map" in said.err
    assert list(Path().iterdir()) == [Path("map.json")]
    assert (found["kind"], found["size"], found["images"], found["norm"]) == ("robench-fourier", 3, IMAGES, 6)
    assert found["data"]["path"] == "digits"
    error = np.array(found["error"])
    np.testing.assert_array_equal(error, error[::-1, ::-1])
    assert found["clean_error"] == pytest.approx(error_by_hand(lambda x: x), abs=1 / IMAGES + 1e-9)
    constant = error_by_hand(lambda x: x + 6 / 32)  # the wave of frequency zero, of unit norm, is 1/32 everywhere
    assert error[1, 1] == pytest.approx(constant, abs=1 / IMAGES + 1e-9)
    assert error.max() > found["clean_error"]


def test_a_map_can_be_drawn_and_bfloat16_is_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    found = measured("--window", "1", "--precision", "bf16", "--batch-size", "7")
    assert (found["options"]["precision"], found["options"]["batch_size"]) == ("bf16", 7)
    assert main(["plot", "fourier", "map.json", "-o", "map.png"]) == 0
    assert Path("map.png").stat().st_size > 1000


def test_a_stopped_map_is_taken_up_and_another_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    first = measured("--window", "2", out="a.json")
    (run,) = _states_of("a.json", "--window", "2")
    assert measured("--window", "2", out="a.json") == first
    run.write_text(json.dumps({"kind": "robench-fourier-state", "identity": "other", "done": {}}))
    assert main(["fourier", *MODEL, "--limit", str(IMAGES), "--window", "2", "-o", "a.json"]) == 2
    assert "another model, data set or set of options" in capsys.readouterr().err
    run.write_text("{")
    assert main(["fourier", *MODEL, "--limit", str(IMAGES), "--window", "2", "-o", "a.json"]) == 2
    assert "Could not read the state of a map a.state.json" in capsys.readouterr().err


def _states_of(out: str, *arguments: str) -> list[Path]:
    """Stop a map at its third frequency, as Ctrl-C would, and return the files of its state."""
    from robench.evaluation import fourier

    original, calls = fourier.wrong_under, []

    def stops(*given: Any) -> float:
        calls.append(1)
        if len(calls) == 4:  # the first is that of the clean images
            raise KeyboardInterrupt
        return original(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fourier, "wrong_under", stops)
        assert main(["fourier", *MODEL, "--limit", str(IMAGES), *arguments, "-o", out]) == 130
    state = Path(out).with_suffix(".state.json")
    assert len(json.loads(state.read_text())["done"]) == 2
    return [state]


def test_a_low_pass_curve_is_that_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    found = measured("--lowpass", "2,8,32", out="curve.json")
    assert f"{100 * found['error'][1]:.2f} % at bandwidth 8" in capsys.readouterr().err
    assert (found["kind"], found["bandwidths"]) == ("robench-lowpass", [2, 8, 32])

    def filtered(x: np.ndarray) -> np.ndarray:
        spectrum = np.fft.fftshift(np.fft.fft2(x), axes=(2, 3))
        kept = np.zeros_like(spectrum)
        kept[..., 12:20, 12:20] = spectrum[..., 12:20, 12:20]
        return np.fft.ifft2(np.fft.ifftshift(kept, axes=(2, 3))).real

    assert found["error"][1] == pytest.approx(error_by_hand(filtered), abs=1 / IMAGES + 1e-9)
    assert found["error"][2] == pytest.approx(error_by_hand(lambda x: x), abs=1 / IMAGES + 1e-9)
    assert found["error"][0] > found["error"][2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "reference:digits/standrd"], "standard"),
        (["-m", "reference:digits/standard", "--strength", "0"], "above 0"),
        (["-m", "reference:digits/standard", "--lowpass", "4,x"], "whole numbers"),
        (["-m", "reference:digits/standard", "--lowpass", "0"], "whole numbers"),
        (["-m", "reference:digits/standard", "--limit", "0"], "limit"),
        (["-m", "reference:digits/standard", "--window", "0"], "window"),
        (["-m", "reference:digits/standard", "--batch-size", "0"], "batch"),
        (["-m", "reference:digits/standard", "--data", "nowhere"], "nowhere"),
        (["-m", "reference:digits/standard", "--norm-preset", "cifar"], "cifar10"),
        (["-m", "gone.pth", "--arch", "wrn-10-1"], "gone.pth"),
        ([], "--model"),
    ],
)
def test_mistakes(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fourier", *arguments, "-o", "map.json"]) == 2
    said = capsys.readouterr()
    assert expected in said.err
    assert "Traceback" not in said.err + said.out
    assert not list(Path().iterdir())


def photographs(folder: Path) -> Path:
    """Write two photographs of different sizes, each of its own class, among the folders of ten."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in "0123456789":
        (folder / name).mkdir(parents=True)
    for name, size in (("3", (50, 40)), ("8", (38, 61))):
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(folder / name / "1.png")
    return folder


def test_photographs_are_resized_and_cropped_as_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(photographs(tmp_path / "photographs")), "--lowpass", "4"]
    found = measured(*data, "--resize", "36", "--crop", "32")
    assert found["images"] == 2
    assert main(["fourier", *MODEL, *data, "--interpolation", "cubic"]) == 2
    assert "--interpolation must be one of" in capsys.readouterr().err


def test_photographs_get_the_models_own_geometry(tmp_path: Path) -> None:
    from robench.api.fourier import _material
    from robench.api.options import ModelOptions
    from robench.api.packing import Sizes
    from robench.data.base import Geometry
    from robench.models.base import Model, Preprocessing
    from robench.suites import OpenOptions, open_suite

    model = Model("m", torch.nn.Flatten(), 10, Preprocessing(geometry=Geometry(resize=36, crop=32)), "h")
    opened = open_suite("clean", photographs(tmp_path / "photographs"), OpenOptions())
    for sizes, side in ((Sizes(), 32), (Sizes(30, 24), 24)):
        assert _material(model, ModelOptions(), opened, sizes)[1].shape == (2, 3, side, side)


def test_a_model_of_other_classes_than_its_data_and_a_folder_for_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("import torch\ndef make():\n    return lambda x: torch.zeros(len(x), 12)\n")
    assert main(["fourier", "-m", "python:mine.py:make", "--limit", "4", "--window", "1", "-o", "map.json"]) == 2
    assert "shape (4, 10) for 4 images; it returned (4, 12)" in capsys.readouterr().err
    Path("maps").mkdir()
    assert main(["fourier", *MODEL, "--limit", "4", "--window", "1", "-o", "maps"]) == 2
    assert "maps is a folder" in capsys.readouterr().err
