"""The forward pass: normalisation against the plain formula, and memory that no batch leaves to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions
from robench.evaluation.forward import Forward
from robench.models.base import Model, Preprocessing

CPU = EvaluationOptions(device="cpu")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def make_forward(
    module: Callable[[torch.Tensor], torch.Tensor],
    options: EvaluationOptions = CPU,
    preprocessing: Preprocessing | None = None,
) -> Forward:
    return Forward(Model("probe", module, 10, preprocessing or Preprocessing(MEAN, STD), hash="probe"), options)


def random_images(*shape: int, seed: int = 0, layout: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return images.contiguous(memory_format=layout)


def by_formula(images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """(x / 255 - mean) / std in double precision."""
    x = images.double() / 255
    return torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], dim=1)


class Keeping(nn.Module):
    """Keeps a copy of what it is given, and its memory layout."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []
        self.channels_last: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.clone())
        self.channels_last.append(x.is_contiguous(memory_format=torch.channels_last))
        return torch.zeros(len(x), 10)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 5),
    height=st.integers(1, 33),
    width=st.integers(1, 33),
    from_last=st.booleans(),
    as_callable=st.booleans(),
    seed=st.integers(0, 99),
)
def test_normalisation_is_the_plain_formula(
    n: int, height: int, width: int, from_last: bool, as_callable: bool, seed: int
) -> None:
    layout = torch.channels_last if from_last else torch.contiguous_format
    images = random_images(n, 3, height, width, seed=seed, layout=layout)
    keeping = Keeping()
    # A bare callable gets contiguous images, a module channels_last ones: two branches.
    make_forward(keeping.forward if as_callable else keeping)(images)
    torch.testing.assert_close(keeping.seen[0].double(), by_formula(images, MEAN, STD), rtol=1e-5, atol=2e-6)


def test_a_module_gets_channels_last_images_and_a_callable_contiguous_ones() -> None:
    images = random_images(2, 3, 8, 6)
    module, function = Keeping(), Keeping()
    make_forward(module)(images)
    make_forward(function.forward)(images)
    assert module.channels_last == [True]
    assert function.channels_last == [False]


@pytest.mark.parametrize("as_callable", [False, True])
def test_batches_of_changing_sizes_are_all_normalised_alike(as_callable: bool) -> None:
    keeping = Keeping()
    forward = make_forward(keeping.forward if as_callable else keeping)
    shapes = [(4, 3, 8, 8), (4, 3, 8, 8), (3, 3, 8, 8), (3, 3, 7, 5), (4, 3, 5, 8), (4, 3, 8, 8)]
    for seed, shape in enumerate(shapes):
        images = random_images(*shape, seed=seed)
        forward(images)
        torch.testing.assert_close(keeping.seen[-1].double(), by_formula(images, MEAN, STD), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("as_callable", [False, True])
def test_without_normalisation_images_are_divided_by_255(as_callable: bool) -> None:
    keeping = Keeping()
    images = random_images(2, 3, 7, 9)
    make_forward(keeping.forward if as_callable else keeping, preprocessing=Preprocessing())(images)
    torch.testing.assert_close(keeping.seen[0], images.float() / 255, rtol=1e-6, atol=0)


def test_images_are_left_as_they_are() -> None:
    images = random_images(2, 3, 7, 9, layout=torch.channels_last)
    before = images.clone()
    make_forward(Keeping())(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("as_callable", [False, True])
def test_logits_in_memory_that_the_model_uses_again_outlive_the_next_batch(as_callable: bool) -> None:
    class Reusing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = torch.empty(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out.copy_(x.mean((2, 3)))

    forward = make_forward(Reusing().forward if as_callable else Reusing())
    batches = [random_images(4, 3, 2, 2, seed=seed) for seed in range(3)]
    found = [forward(images) for images in batches]
    for logits, images in zip(found, batches, strict=True):
        torch.testing.assert_close(logits.double(), by_formula(images, MEAN, STD).mean((2, 3)), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("view", [lambda x: x[:, :, 0, 0], lambda x: x.flatten(1)[:, :3]])
@pytest.mark.parametrize("as_callable", [False, True])
def test_logits_that_are_a_view_of_the_input_outlive_the_next_batch(
    view: Callable[[torch.Tensor], torch.Tensor], as_callable: bool
) -> None:
    class Viewing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return view(x)

    forward = make_forward(Viewing().forward if as_callable else Viewing())
    batches = [random_images(4, 3, 1, 1, seed=seed) for seed in range(3)]
    logits = [forward(images) for images in batches]
    assert len({part.data_ptr() for part in logits}) == len(logits)
    for found, images in zip(logits, batches, strict=True):
        torch.testing.assert_close(found.double(), by_formula(images, MEAN, STD)[:, :, 0, 0], rtol=1e-5, atol=2e-6)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 10),
    )  # fmt: skip


def test_bf16_computes_in_bf16_and_stays_near_fp32() -> None:
    images = random_images(6, 3, 9, 9)
    whole = make_forward(small_network())(images)
    half = make_forward(small_network(), EvaluationOptions(device="cpu", precision="bf16"))(images)
    assert whole.dtype == torch.float32
    # bfloat16 has 8 bits of mantissa: near, but not the same.
    torch.testing.assert_close(half.float(), whole, rtol=0.05, atol=0.02)
    assert not torch.equal(half.float(), whole)


def test_the_module_is_evaluated_not_trained() -> None:
    network = small_network().train()
    before = network[1].running_mean.clone()
    logits = make_forward(network)(random_images(6, 3, 9, 9))
    assert not network.training
    assert torch.equal(network[1].running_mean, before)
    assert not logits.requires_grad


def test_images_of_another_size_than_the_model_needs_are_refused() -> None:
    forward = make_forward(Keeping(), preprocessing=Preprocessing(input_size=(8, 8)))
    forward(random_images(1, 3, 8, 8))
    with pytest.raises(RobenchError, match=r"8 x 8 pixels; the suite gives 8 x 9"):
        forward(random_images(1, 3, 8, 9))


@pytest.mark.slow  # compiling takes half a minute
@pytest.mark.parametrize("batches", [[6, 6, 3]])
def test_a_compiled_module_gives_the_same_logits(batches: list[int]) -> None:
    images = random_images(sum(batches), 3, 9, 9)
    plain = make_forward(small_network())(images)
    forward = make_forward(small_network(), EvaluationOptions(device="cpu", compile=True))
    compiled = torch.cat([forward(part) for part in images.split(batches)])
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)


_UNCOMPILED = """
import torch
from torch import nn
from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions
from robench.evaluation.forward import Forward
from robench.models import wrap
module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 49, 10))
forward = Forward(wrap(module, name="probe"), EvaluationOptions(device="cpu", compile=True))
try:
    forward(torch.zeros(2, 3, 9, 9, dtype=torch.uint8))
except RobenchError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_module_that_cannot_be_compiled_is_said(tmp_path: Path) -> None:
    # In a process of its own: PyTorch remembers the compiler that it found.
    environment = os.environ | {"CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", _UNCOMPILED]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "Could not compile probe" in said
    assert "Omit `compile`" in said


def gradient(x: torch.Tensor) -> torch.Tensor:
    """Return logits after a step that needs the images' gradient."""
    x = x.requires_grad_()
    x.square().sum().backward()
    assert x.grad is not None
    return x.grad.flatten(1)[:, :10]


def test_a_function_computes_gradients_as_its_refusal_says() -> None:
    def run(x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(False):
            return gradient(x.clone())

    images = random_images(2, 3, 8, 8)
    plain = make_forward(lambda x: 2 * x.flatten(1)[:, :10])
    torch.testing.assert_close(make_forward(run)(images), plain(images))


@pytest.mark.parametrize("part", [nn.Conv2d(3, 10, 8), nn.Sequential(nn.Flatten(), nn.Linear(192, 10))])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_weights_of_another_type_than_images_are_told_as_the_cause(part: nn.Module, dtype: torch.dtype) -> None:
    images = random_images(2, 3, 8, 8)
    with pytest.raises(RobenchError, match=r"call \.float\(\) on it"):
        make_forward(part.to(dtype))(images)
    assert make_forward(part.float())(images).shape == (2, 10)


def test_a_model_that_fails_on_the_images_is_said_and_memory_that_runs_out_is_told_apart() -> None:
    def failing(error: Exception) -> Callable[[torch.Tensor], torch.Tensor]:
        def run(x: torch.Tensor) -> torch.Tensor:
            raise error

        return run

    images = random_images(2, 3, 8, 8)
    with pytest.raises(RobenchError, match=r"(?s)shape \(2, 3, 8, 8\): ValueError: 7.*custom function") as caught:
        make_forward(failing(ValueError("7")))(images)
    assert "`resize`" not in str(caught.value)
    with pytest.raises(RobenchError, match=r"(?s)mat1 and mat2.*`resize`"):
        make_forward(nn.Sequential(nn.Flatten(), nn.Linear(7, 10)))(images)
    with pytest.raises(RobenchError, match=r"(?s)Gradients are off.*torch\.inference_mode\(False\)") as caught:
        make_forward(gradient)(images)
    assert "`resize`" not in str(caught.value)
    for error in (torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        with pytest.raises(torch.OutOfMemoryError):
            make_forward(failing(error))(images)


@pytest.mark.parametrize(("module", "said"), [(nn.LazyLinear(10), "lazy module"), (None, "on the meta device")])
def test_modules_without_numbers_are_refused(module: nn.Module | None, said: str) -> None:
    with torch.device("meta"):
        module = module or nn.Linear(3, 10)
    with pytest.raises(RobenchError, match=said):
        make_forward(module)
