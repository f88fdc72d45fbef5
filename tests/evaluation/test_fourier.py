"""The Fourier basis beside numpy's transform of it, the map beside the naive loop, and resuming."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robench.errors import RobenchError
from robench.evaluation import fourier
from robench.evaluation.fourier import Classifier, FourierOptions, fourier_map
from robench.evaluation.fourier_basis import basis_vector, frequencies, mirror
from robench.evaluation.lowpass import low_pass, low_pass_curve
from robench.models import wrap, zero_shot
from robench.models.base import Model, Preprocessing
from robench.models.probes import Probe, build_head

SIZES = [(8, 8), (5, 7), (6, 9)]
OPTIONS = FourierOptions(norm=1.5, batch_size=16)


def _by_transform(position: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The published construction: a centred spectrum with one pair of conjugate entries, transformed back."""
    spectrum = np.zeros(size, complex)
    other = mirror(position, size)
    spectrum[position], spectrum[other] = 0.5 + 0.5j, 0.5 - 0.5j
    if other == position:
        spectrum[position] = 1
    return np.fft.ifft2(np.fft.ifftshift(spectrum)).real * np.sqrt(size[0] * size[1])


@pytest.mark.parametrize("size", SIZES)
def test_basis_equals_the_inverse_transform_and_has_unit_norm(size: tuple[int, int]) -> None:
    for position in frequencies(size):
        wave = basis_vector(position, size)
        np.testing.assert_allclose(wave, _by_transform(position, size), atol=1e-12)
        assert np.linalg.norm(wave) == pytest.approx(1)
        np.testing.assert_array_equal(wave, basis_vector(mirror(position, size), size))


@pytest.mark.parametrize("size", SIZES)
def test_every_frequency_is_run_once(size: tuple[int, int]) -> None:
    run = list(frequencies(size))
    covered = {p for f in run for p in (f, mirror(f, size))}
    assert covered == {(i, j) for i in range(size[0]) for j in range(size[1])}
    assert len({frozenset((f, mirror(f, size))) for f in run}) == len(run)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", SIZES)
def test_a_window_runs_frequencies_of_the_whole_map(size: tuple[int, int], window: int) -> None:
    assert set(frequencies(size, window)) <= set(frequencies(size))


def test_32_by_32_takes_514_passes_and_centres_the_mean() -> None:
    assert sum(1 for _ in frequencies((32, 32))) == 514
    assert np.ptp(basis_vector((16, 16), (32, 32))) == 0


def _setting() -> tuple[Model, torch.Tensor, np.ndarray]:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(32, 4),
    )  # fmt: skip
    module[1].running_mean.normal_()
    module[1].running_var.uniform_(0.5, 2)
    model = Model("small", module.eval(), 4, Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.25)), "hash-of-small")
    images = torch.randint(0, 256, (40, 3, 6, 6), dtype=torch.uint8)
    x = (images / 255 - torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1)) / torch.tensor([0.2, 0.3, 0.25]).view(
        1, 3, 1, 1
    )
    return model, images, module(x).argmax(1).numpy()


def test_map_equals_the_naive_loop_over_all_frequencies() -> None:
    model, images, target = _setting()
    found = fourier_map(model, images, target, replace(OPTIONS, signs=False))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (model.preprocessing.mean, model.preprocessing.std))
    expected = np.empty((6, 6))
    for i in range(6):
        for j in range(6):
            wave = torch.from_numpy(1.5 * _by_transform(min((i, j), mirror((i, j), (6, 6))), (6, 6))).float()
            x = ((images / 255 + wave).clamp(0, 1) - mean) / std
            expected[i, j] = (model.module(x).argmax(1).numpy() != target).mean()
    np.testing.assert_allclose(found["error"], expected, atol=1 / 40 + 1e-9)
    assert np.mean(np.array(found["error"]) == expected) > 0.95
    assert found["clean_error"] == 0
    assert expected.max() > 0


def test_map_does_not_depend_on_the_batch_size_nor_on_folding() -> None:
    model, images, target = _setting()
    first = fourier_map(model, images, target, OPTIONS)["error"]
    assert first == fourier_map(model, images, target, replace(OPTIONS, batch_size=7))["error"]
    unfolded = fourier_map(model, images, target, replace(OPTIONS, fold=False))["error"]
    np.testing.assert_allclose(first, unfolded, atol=1 / 40 + 1e-9)


def test_a_stopped_map_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, target = _setting()
    state, whole = tmp_path / "state.json", fourier_map(model, images, target, OPTIONS)
    measured, original = [], fourier.wrong_under

    def stops(*arguments: object) -> float:
        measured.append(1)
        if len(measured) == 8:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fourier, "wrong_under", stops)
    with pytest.raises(KeyboardInterrupt):
        fourier_map(model, images, target, OPTIONS, state=state)
    assert len(json.loads(state.read_text())["done"]) == 6  # after the clean images
    assert fourier_map(model, images, target, OPTIONS, state=state) == whole
    assert len(measured) == 8 + 1 + (20 - 6)
    with pytest.raises(RobenchError, match="another model"):
        fourier_map(model, images, target, replace(OPTIONS, norm=2.0), state=state)
    other = torch.nn.Sequential(*model.module, torch.nn.Softplus(beta=3))  # of the same hash
    with pytest.raises(RobenchError, match="another model"):
        fourier_map(replace(model, module=other.eval()), images, target, OPTIONS, state=state)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "robench-fourier-state"}', '{"done": {"a": "b"}}'])
def test_a_damaged_state_is_said(tmp_path: Path, content: str) -> None:
    model, images, target = _setting()
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(RobenchError, match=r"state\.json.*\n.*another `out`"):
        fourier_map(model, images, target, OPTIONS, state=tmp_path / "state.json")


def test_window_cuts_the_middle_out_of_the_whole_map() -> None:
    model, images, target = _setting()
    whole = np.array(fourier_map(model, images, target, OPTIONS)["error"])
    part = fourier_map(model, images, target, replace(OPTIONS, window=3))["error"]
    np.testing.assert_array_equal(part, whole[2:5, 2:5])


def test_low_pass_keeps_the_mean_or_everything() -> None:
    x = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(low_pass(x, 8), x)
    torch.testing.assert_close(low_pass(x, 1), x.mean((2, 3), keepdim=True).expand_as(x))
    with pytest.raises(RobenchError):
        low_pass(x, 0)


def test_low_pass_curve_is_the_error_on_filtered_images() -> None:
    model, images, target = _setting()
    found = low_pass_curve(model, images, target, [2, 3, 6], OPTIONS)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (model.preprocessing.mean, model.preprocessing.std))
    for bandwidth, error in zip(found["bandwidths"], found["error"], strict=True):
        shifted = np.fft.fftshift(np.fft.fft2(images.numpy() / 255), axes=(2, 3))
        kept, start = np.zeros_like(shifted), 3 - bandwidth // 2
        middle = (..., slice(start, start + bandwidth), slice(start, start + bandwidth))
        kept[middle] = shifted[middle]
        x = np.clip(np.fft.ifft2(np.fft.ifftshift(kept, axes=(2, 3))).real, 0, 1)
        predicted = model.module((torch.from_numpy(x).float() - mean) / std).argmax(1).numpy()
        assert error == pytest.approx((predicted != target).mean(), abs=1 / 40 + 1e-9)
    assert found["error"][0] > 0
    assert found["error"][2] == 0


class _Untraceable(torch.nn.Module):
    """A module whose forward pass branches on its input, which no symbolic tracer follows."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) if float(x.sum()) > -1e9 else self.inner(-x)


def test_the_options_say_what_was_folded_and_not_what_was_asked() -> None:
    model, images, target = _setting()
    recorded = ("fold", "folded_batch_norms", "batch_norms_left")

    def options(module: torch.nn.Module, fold: bool) -> tuple[object, ...]:
        found = fourier_map(
            replace(model, module=module), images[:4], target[:4], replace(OPTIONS, window=1, fold=fold)
        )
        return tuple(found["options"][name] for name in recorded)

    assert options(model.module, True) == (True, 1, 0)
    assert options(model.module, False) == (False, 0, 1)
    assert options(_Untraceable(model.module), True) == (False, 0, 1)
    curve = low_pass_curve(replace(model, module=_Untraceable(model.module)), images, target, [3], OPTIONS)
    assert curve["options"]["fold"] is False
    assert "norm" not in curve["options"]


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_a_compiled_map_pads_its_last_batch_and_is_the_same() -> None:
    model, images, target = _setting()
    options = replace(OPTIONS, window=2, batch_size=25)  # 40 images: the second batch is short
    plain, compiled = (fourier_map(model, images, target, replace(options, compile=c)) for c in (False, True))
    np.testing.assert_allclose(plain["error"], compiled["error"], atol=1 / 40 + 1e-9)
    assert plain["clean_error"] == compiled["clean_error"] == 0
    assert compiled["options"]["compile"] is True


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, target = _setting()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RobenchError, match=r"C\+\+ compiler"):
        fourier_map(model, images, target, replace(OPTIONS, compile=True))


def test_the_batch_size_follows_the_device_and_is_recorded() -> None:
    assert FourierOptions().images_at_a_time == 50
    assert FourierOptions(device="cuda").images_at_a_time == 500
    model, images, target = _setting()
    found = fourier_map(model, images[:4], target[:4], replace(OPTIONS, window=1, batch_size=None))
    assert found["options"]["batch_size"] == 50


def test_bfloat16_shifts_values_little_and_is_recorded() -> None:
    model, images, target = _setting()
    exact, short = (fourier_map(model, images, target, replace(OPTIONS, precision=p)) for p in ("fp32", "bf16"))
    np.testing.assert_allclose(exact["error"], short["error"], atol=0.2)
    assert (exact["options"]["precision"], short["options"]["precision"]) == ("fp32", "bf16")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_heads_that_compute_in_float32_do_so_at_any_precision(precision: Any) -> None:
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=3), torch.nn.Flatten())
    weights = {"weight": torch.randn(4, 32), "bias": torch.zeros(4)}
    features = {"features": torch.randn(9, 32), "labels": torch.arange(9) % 4}
    how = {"k": 3, "temperature": 0.5, "floor": 0.01}
    images = torch.rand(3, 3, 6, 6)
    for model in (
        zero_shot(encoder, [*"abcd"], text_features=weights["weight"], scale=50.0),
        wrap(Probe(encoder, build_head("linear", weights, {}, 4)), num_classes=4),
        wrap(Probe(encoder, build_head("neighbours", features, how, 4)), num_classes=4),
    ):
        exact, short = (Classifier(model, replace(OPTIONS, precision=p)).logits(images) for p in ("fp32", precision))
        assert not torch.equal(exact, short)
        assert float((exact - short).abs().max()) < 0.02 * float(exact.abs().max())


def test_bad_input_is_refused() -> None:
    model, images, target = _setting()
    with pytest.raises(RobenchError, match="norm"):
        fourier_map(model, images, target, replace(OPTIONS, norm=0.0))
    with pytest.raises(RobenchError, match="norm"):
        fourier_map(model, images, target, replace(OPTIONS, norm=float("inf")))
    with pytest.raises(RobenchError, match="seed"):
        fourier_map(model, images, target, replace(OPTIONS, seed=-1))
    with pytest.raises(RobenchError, match="labels"):
        fourier_map(model, images, target[:5], OPTIONS)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (lambda x: (x.flatten(1), x.flatten(1)), "returned tuple of several"),
        (lambda x: x.flatten(), "shape"),
        (lambda x: x.flatten(1)[:, :4] * float("nan"), "NaN or infinite"),
        (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 2)), "fails on float32 images of shape"),
    ],
)
def test_a_model_that_gives_no_logits_is_refused_and_leaves_no_state(module: Any, said: str, tmp_path: Path) -> None:
    model, images, target = _setting()
    with pytest.raises(RobenchError, match=said):
        fourier_map(replace(model, module=module), images, target, OPTIONS, state=tmp_path / "state.json")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RobenchError, match=said):
        low_pass_curve(replace(model, module=module), images, target, [3], OPTIONS)
