"""Every batched operation against Pillow's at fixed values, and the tensor kernels against the compiled ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from robench.training.ops import augment, kernels_cpu, kernels_torch
from robench.training.ops import operations as op

BILINEAR = Image.Resampling.BILINEAR


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=BILINEAR)


PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "autocontrast": lambda p, v: ImageOps.autocontrast(p),
    "equalize": lambda p, v: ImageOps.equalize(p),
    "posterize": lambda p, v: ImageOps.posterize(p, int(v)),
    "rotate": lambda p, v: p.rotate(v, resample=BILINEAR),
    "solarize": lambda p, v: ImageOps.solarize(p, int(v)),
    "shear_x": lambda p, v: _affine(p, (1, v, 0, 0, 1, 0)),
    "shear_y": lambda p, v: _affine(p, (1, 0, 0, v, 1, 0)),
    "translate_x": lambda p, v: _affine(p, (1, 0, v, 0, 1, 0)),
    "translate_y": lambda p, v: _affine(p, (1, 0, 0, 0, 1, v)),
    "color": lambda p, v: ImageEnhance.Color(p).enhance(v),
    "contrast": lambda p, v: ImageEnhance.Contrast(p).enhance(v),
    "brightness": lambda p, v: ImageEnhance.Brightness(p).enhance(v),
    "sharpness": lambda p, v: ImageEnhance.Sharpness(p).enhance(v),
    "invert": lambda p, v: ImageOps.invert(p),
}
VALUES: dict[str, tuple[float, ...]] = {
    "autocontrast": (0,),
    "equalize": (0,),
    "posterize": (1, 3, 4, 8),
    "rotate": (-8, 5, 30),
    "solarize": (0, 1, 180, 254, 256),
    "shear_x": (-0.09, 0.05, 0.3),
    "shear_y": (-0.09, 0.05, 0.3),
    "translate_x": (-2, 3, 31),
    "translate_y": (-2, 3, 31),
    "color": (0.1, 0.64, 1.9),
    "contrast": (0.1, 0.64, 1.9),
    "brightness": (0.1, 0.64, 1.9),
    "sharpness": (0.1, 0.64, 1.9),
    "invert": (0,),
}
EXACT = set(op.NAMES) - {"rotate", "shear_x"}
CASES = [(name, value) for name in op.NAMES for value in VALUES[name]]


@pytest.fixture(scope="module")
def samples() -> npt.NDArray[np.uint8]:
    """Smooth and noisy images, low contrast among them, and two of one colour."""
    random = np.random.default_rng(5)
    small = random.integers(0, 256, (40, 3, 6, 6)).astype(np.float32)
    large = torch.nn.functional.interpolate(torch.from_numpy(small), (32, 32), mode="bicubic").numpy()
    contrast = random.uniform(0.2, 1.2, (40, 1, 1, 1))
    noisy = 128 + contrast * (large - 128) + random.normal(0, 8, large.shape)
    result = np.clip(noisy, 0, 255).astype(np.uint8)
    result[0] = 0
    result[1] = 77
    return result


def _by_pillow(samples: npt.NDArray[np.uint8], name: str, value: float) -> npt.NDArray[np.uint8]:
    done = [np.asarray(PILLOW[name](Image.fromarray(one.transpose(1, 2, 0)), value)) for one in samples]
    return np.stack(done).transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("name", "value"), CASES)
def test_operation_is_pillows(samples: npt.NDArray[np.uint8], name: str, value: float) -> None:
    ops = np.full((len(samples), 1), op.NAMES.index(name))
    found = kernels_cpu.apply(samples, ops, np.full(ops.shape, float(value)))
    difference = np.abs(found.astype(int) - _by_pillow(samples, name, value).astype(int))
    if name in EXACT:
        assert difference.max() == 0
    else:
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.012


@pytest.mark.parametrize(("name", "value"), CASES)
def test_tensor_kernel_is_the_compiled_one(samples: npt.NDArray[np.uint8], name: str, value: float) -> None:
    ops = np.full((len(samples), 1), op.NAMES.index(name))
    values = np.full(ops.shape, float(value))
    compiled = kernels_cpu.apply(samples, ops, values, fill=128)
    arguments = (torch.from_numpy(samples), torch.from_numpy(ops), torch.from_numpy(values))
    difference = np.abs(kernels_torch.apply(*arguments, fill=128).numpy().astype(int) - compiled.astype(int))
    assert difference.max() <= (1 if name in ("shear_x", "shear_y", "rotate") else 0)
    assert (difference > 0).mean() < 0.02


def test_every_image_has_its_own_chain(samples: npt.NDArray[np.uint8]) -> None:
    random = np.random.default_rng(0)
    ops = random.integers(-1, len(op.NAMES), (len(samples), 3))
    choices = [VALUES[op.NAMES[number]] for number in ops.ravel()]
    values = np.array([float(one[random.integers(len(one))]) for one in choices]).reshape(ops.shape)
    together = kernels_cpu.apply(samples, ops, values)
    for i in range(len(samples)):
        alone = kernels_cpu.apply(samples[i : i + 1], ops[i : i + 1], values[i : i + 1])
        assert np.array_equal(alone[0], together[i])
    tensors = (torch.from_numpy(samples), torch.from_numpy(ops), torch.from_numpy(values))
    batched = kernels_torch.apply(*tensors).numpy()
    # A later operation may amplify a last-bit difference of a warp, so compare the bulk.
    assert (np.abs(batched.astype(int) - together.astype(int)) > 1).mean() < 0.02


@pytest.mark.parametrize("places", [(0, 2), (1, 3), (0, 3), (2, 3)])
def test_a_skipped_step_changes_nothing(samples: npt.NDArray[np.uint8], places: tuple[int, int]) -> None:
    pairs = [(a, b) for a in range(len(op.NAMES)) for b in range(len(op.NAMES))]
    values = np.array([[float(VALUES[op.NAMES[number]][-1]) for number in pair] for pair in pairs])
    ops = np.array(pairs)
    images = samples[2 + np.arange(len(pairs)) % (len(samples) - 2)]
    spread_ops, spread_values = np.full((len(pairs), 4), op.NONE), np.zeros((len(pairs), 4))
    spread_ops[:, places], spread_values[:, places] = ops, values
    short = kernels_cpu.apply(images, ops, values)
    assert np.array_equal(kernels_cpu.apply(images, spread_ops, spread_values), short)


def test_images_are_not_changed_and_noop_copies(samples: npt.NDArray[np.uint8]) -> None:
    before = samples.copy()
    none = torch.full((len(samples), 2), op.NONE)
    values = torch.zeros(len(samples), 2, dtype=torch.float64)
    same = augment.apply(torch.from_numpy(samples), none, values)
    assert np.array_equal(same.numpy(), before)
    augment.apply(torch.from_numpy(samples), torch.full((len(samples), 2), op.INVERT), values)
    assert np.array_equal(samples, before)


@pytest.mark.parametrize("kernel", ["compiled", "tensor"])
def test_mixing_is_the_convex_combination(samples: npt.NDArray[np.uint8], kernel: str) -> None:
    n = len(samples)
    random = np.random.default_rng(1)
    ops = random.integers(0, 9, (n, 3, 2))
    values = np.where(ops == op.POSTERIZE, 3.0, np.where(ops == op.SOLARIZE, 200.0, 0.0))
    weights = random.dirichlet([1, 1, 1], n).astype(np.float32)
    m = random.uniform(size=n).astype(np.float32)
    chains = np.stack([kernels_cpu.apply(samples, ops[:, k], values[:, k]) for k in range(3)], axis=1)
    mixed = np.einsum("nk,nkchw->nchw", weights, chains.astype(np.float64))
    share = m[:, None, None, None]
    expected = ((1 - share) * samples + share * mixed) / 255
    if kernel == "compiled":
        found = kernels_cpu.mix(samples, ops, values, weights, m)
    else:
        tensors = [torch.from_numpy(array) for array in (samples, ops, values, weights, m)]
        found = kernels_torch.mix(*tensors).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_augmix_values_are_the_published_ranges() -> None:
    levels = torch.linspace(0.1, 3.0, 200, dtype=torch.float64)

    def at(name: str, size: int = 32, level: torch.Tensor = levels) -> torch.Tensor:
        ops = torch.full_like(level, op.NAMES.index(name), dtype=torch.int64)
        return op.augmix_values(ops, level, torch.zeros_like(level, dtype=torch.bool), size)

    assert set(at("posterize").tolist()) == {3.0, 4.0}
    assert set(at("rotate").tolist()) == set(map(float, range(10)))
    assert (at("solarize").min(), at("solarize").max()) == (256 - int(25.6 * 3), 254.0)
    assert float(at("shear_x").max()) == pytest.approx(0.09)
    assert set(at("translate_y").tolist()) == {0.0, 1.0, 2.0, 3.0}
    assert float(at("translate_x", size=224).max()) == int(3 * 224 / 3 / 10)
    assert float(at("color").max()) == pytest.approx(0.64)
    negative = op.augmix_values(
        torch.tensor([op.ROTATE, op.SOLARIZE]), torch.tensor([3.0, 3.0]).double(), torch.tensor([True, True]), 32
    )
    assert negative.tolist() == [-9.0, 256.0 - 76.0]
