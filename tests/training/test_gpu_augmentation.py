"""Triton's kernels of augmentation give what the compiled loops give, and without them tensor operations take over.

Triton's interpreter runs the kernels on the CPU, in a process of its own: whether it does is settled when the kernels
are imported. The tests marked ``gpu`` run the compiled ones.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from robench.corruptions import _gpu
from robench.processes import World
from robench.training import recipes
from robench.training.engine.loop import Trainer
from robench.training.ops import augment, kernels_cpu, kernels_torch, plans
from robench.training.ops import operations as op

VALUES: dict[str, tuple[float, ...]] = {
    "posterize": (1, 4, 8),
    "rotate": (-8, 30, 0),
    "solarize": (0, 180, 256),
    "shear_x": (-0.09, 0.3, 0),
    "shear_y": (-0.09, 0.3, 0),
    "translate_x": (-2, 31, 0),
    "translate_y": (-2, 31, 0),
    "color": (0.1, 1.9),
    "contrast": (0.1, 1.9),
    "brightness": (0.1, 1.9),
    "sharpness": (0.1, 1.9),
}
SIZES = ((32, 32), (9, 13), (29, 38))
"""One with one program for all pixels, one with fewer, and one with several whose last is not full."""
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")


def _images(number: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return smooth images with noise; the second has four levels, the third one."""
    random = np.random.default_rng(7)
    coarse = torch.from_numpy(random.integers(0, 256, (number, 3, 5, 5)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").numpy()
    images = np.clip(smooth + random.normal(0, 9, smooth.shape), 0, 255).astype(np.uint8)
    images[1:2] //= 64
    images[2:3] = 77
    return images


def _every_operation() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return chains of one operation: each with each of its values, for three images in turn."""
    cases = [(number, value) for number, name in enumerate(op.NAMES) for value in VALUES.get(name, (0,))]
    rows = [(op.NONE, 0.0), *cases]
    ops, values = (np.array(part).reshape(-1, 1) for part in zip(*rows, strict=True))
    return np.tile(ops, (3, 1)), np.tile(values.astype(np.float64), (3, 1))


def _random_chains(number: int, width: int, depth: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    random = np.random.default_rng(3)
    ops = random.integers(op.NONE, len(op.NAMES), (number, width, depth))
    chosen = [float(random.choice(VALUES.get(op.NAMES[one], (0,)))) if one >= 0 else 0.0 for one in ops.ravel()]
    return ops, np.array(chosen).reshape(ops.shape)


def _differences(kernels: Any, device: str, sizes: tuple[tuple[int, int], ...]) -> list[bool]:
    """Return whether kernels and compiled loops agree: every operation, chains, chains mixed, at every size."""
    same = []
    weights = np.random.default_rng(1).dirichlet([1, 1], 3).astype(np.float32)
    shares = np.array([0.0, 0.3, 1.0], dtype=np.float32)
    for height, width in sizes:
        images = _images(3, height, width)
        for ops, values in (_every_operation(), (part.reshape(6, 4) for part in _random_chains(3, 2, 4))):
            usual = kernels_cpu.apply(images, ops, values, 128)
            there = (torch.from_numpy(part) for part in (ops, values))
            made = kernels.apply(torch.from_numpy(images).to(device), *there, 128)
            same.append(np.array_equal(made.cpu().numpy(), usual))
        mixed = (*_random_chains(3, 2, 2), weights, shares)
        usual = kernels_cpu.mix(images, *mixed, 128)
        made = kernels.mix(torch.from_numpy(images).to(device), *(torch.from_numpy(part) for part in mixed), 128)
        same.append(np.array_equal(made.cpu().numpy(), usual))
    return same


@needs_triton
@pytest.mark.slow  # half a minute: the interpreter runs programs one after another
def test_kernels_give_the_loops_images() -> None:
    done = subprocess.run(
        [sys.executable, __file__], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [True] * 3 * len(SIZES)


@needs_triton
@pytest.mark.slow  # half a minute of compiling
def test_kernels_compile_for_a_card_and_do_not_fuse_arithmetic() -> None:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from robench.training.ops import kernels_gpu

    pointers = {"plan": "*fp64", "weights": "*fp32", "shares": "*fp32"}
    pointers |= dict.fromkeys(("images", "tables", "augmented"), "*u8")
    for kernel, out in ((kernels_gpu._tables, "*u8"), (kernels_gpu._step, "*u8"), (kernels_gpu._mix, "*fp32")):
        kinds = pointers | {"out": out, "BLOCK": "constexpr"}
        names = kernel.arg_names
        source = ASTSource(
            kernel, {name: kinds.get(name, "i32") for name in names}, {(names.index("BLOCK"),): kernels_gpu.BLOCK}
        )
        made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": False})
        assert made.asm["cubin"]
        assert not re.search(r"\bfma\.", made.asm["ptx"])


def test_tensor_operations_read_an_image_once_per_chain() -> None:
    images, (ops, values) = _images(3, 16, 16), (part.reshape(6, 4) for part in _random_chains(3, 2, 4))
    tensors = [torch.from_numpy(part) for part in (ops, values)]
    together = kernels_torch.apply(torch.from_numpy(images), *tensors)
    apart = kernels_torch.apply(torch.from_numpy(images).repeat_interleave(2, dim=0), *tensors)
    assert torch.equal(together, apart)


def test_plans_made_on_a_device_are_those_of_the_host() -> None:
    ops, values = (torch.from_numpy(part) for part in _random_chains(50, 3, 3))
    torch.testing.assert_close(plans._planned(ops, values), plans.plan(ops, values), rtol=0, atol=1e-15)


@contextmanager
def _kernels(function: Any) -> Iterator[None]:
    """Let ``function`` stand for the kernels, on devices of the type meta."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_gpu, "WHERE", {"meta"})
        patch.setattr(_gpu, "_failed", set())
        patch.setattr(_gpu, "has_triton", lambda: True)
        patch.setattr(_gpu, "import_module", lambda name: SimpleNamespace(apply=function, mix=function))
        yield


def test_a_device_takes_the_kernels_and_without_them_tensor_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> torch.Tensor:
        raise RuntimeError("Failed to find C compiler.")

    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8, device="meta")
    ops, values = torch.zeros(8, 1, dtype=torch.int64), torch.zeros(8, 1, dtype=torch.float64)
    with _kernels(lambda *arguments: ("kernels", len(arguments))):
        assert augment.apply(images, ops, values) == ("kernels", 4)
        weights, shares = torch.ones(4, 2), torch.ones(4)
        found = augment.mix(images, ops.view(4, 2, 1), values.view(4, 2, 1), weights, shares)
        assert found == ("kernels", 6)  # type: ignore[comparison-overlap]
    monkeypatch.setattr(kernels_torch, "apply", lambda *arguments: ("tensors", len(arguments)))
    with _kernels(fails):
        with pytest.warns(RuntimeWarning, match=r"kernels_gpu.apply cannot be used here .*C compiler"):
            assert augment.apply(images, ops, values) == ("tensors", 4)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert augment.apply(images, ops, values) == ("tensors", 4)


@pytest.mark.gpu
@needs_triton
def test_kernels_of_a_card_give_the_loops_images() -> None:
    from robench.training.ops import kernels_gpu

    assert _differences(kernels_gpu, "cuda", (*SIZES, (224, 224))) == [True] * 3 * (len(SIZES) + 1)


@pytest.mark.gpu
@needs_triton
def test_no_kernel_of_augmentation_fails_on_a_card() -> None:
    images = torch.from_numpy(_images(3, 32, 32)).cuda()
    ops, values = (torch.from_numpy(part) for part in _random_chains(3, 2, 3))
    weights, shares = torch.full((3, 2), 0.5), torch.full((3,), 0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert augment.chains(images, ops, values).device == images.device
        assert augment.mix(images, ops.cuda(), values.cuda(), weights.cuda(), shares.cuda()).device == images.device
    assert not any("kernels_gpu" in name for name in _gpu._failed)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["standard-digits", "augmix-digits", "cutout-digits"])
def test_a_step_of_training_does_not_wait_for_the_card(name: str, tmp_path: Path) -> None:
    recipe = recipes.load(name, ["data.limit=96", "batch_size=32", "data.validation_split=null", "precision=bf16"])
    trainer = Trainer(recipe, None, tmp_path, torch.device("cuda:0"), World(), quiet=True)
    for number, batch in enumerate(trainer._batches()):  # compiles, and uploads what is kept
        trainer._step(batch, number)
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        for number, batch in enumerate(trainer._batches()):
            trainer._step(batch, number)
    finally:
        torch.cuda.set_sync_debug_mode("default")


if __name__ == "__main__":
    from robench.training.ops import kernels_gpu as interpreted

    print(json.dumps(_differences(interpreted, "cpu", SIZES)))
