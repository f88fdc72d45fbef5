"""Corruptions against scikit-image, scipy, Pillow and plain loops; the device paths against the CPU's."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage, stats
from skimage import color, filters
from test_corruptions_common import photographs

from robench.corruptions import corrupt
from robench.corruptions.blur import _trim, _without_denormals, defocus_blur, disk_kernel, truncate
from robench.corruptions.colour import hsv_to_rgb, rgb_to_hsv
from robench.corruptions.elastic import _sample, smoothing_matrix
from robench.corruptions.glass import displace
from robench.corruptions.noise import to_uint8
from robench.corruptions.pixelate import _resize
from robench.corruptions.random import Stream
from robench.corruptions.registered import parameters
from robench.corruptions.zoom import clipped_zoom

INDEX = torch.arange(4)


def arrays(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


def run(name: str, severity: int, images: torch.Tensor) -> np.ndarray:
    return arrays(corrupt(images, name, severity, index=INDEX[: len(images)])).astype(int)


def as_bytes(x: np.ndarray) -> np.ndarray:
    return (np.clip(x, 0, 1) * 255).astype(np.uint8).astype(int)


def assert_close(found: np.ndarray, expected: np.ndarray, share: float = 0.01, largest: int = 1) -> None:
    """Equal up to one grey level on at most a share of the values (truncation next to whole numbers)."""
    difference = np.abs(found - expected)
    assert difference.max() <= largest
    assert (difference > 0).mean() <= share


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [32, 224])
def test_gaussian_blur_is_scikit_images(severity: int, size: int) -> None:
    images = photographs(2, size)
    (sigma,) = parameters("gaussian_blur", severity, size)
    expected = [as_bytes(filters.gaussian(p / 255.0, sigma=sigma, channel_axis=-1)) for p in arrays(images)]
    assert_close(run("gaussian_blur", severity, images), np.stack(expected))


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [32, 224])
def test_defocus_blur_is_the_filter_in_float64(severity: int, size: int) -> None:
    images = photographs(2, size)
    kernel = disk_kernel(*parameters("defocus_blur", severity, size)).astype(np.float64)
    expected = [as_bytes(cv2.filter2D(p / 255.0, -1, kernel)) for p in arrays(images)]
    # A kernel of radius 1 puts many sums within 1e-5 of whole numbers, where float32 cannot follow float64.
    assert_close(run("defocus_blur", severity, images), np.stack(expected), share=0.06)


@pytest.mark.parametrize(("radius", "alias"), [(3, 0.1), (1.5, 0.1), (1, 0.1), (4, 0.5)])
def test_defocus_blur_leaves_out_taps_below_float32s_normal_numbers_and_no_byte_changes(
    radius: float, alias: float
) -> None:
    whole = _trim(disk_kernel(radius, alias))
    kept = _without_denormals(whole)
    assert kept.shape == whole.shape
    assert not ((kept != 0) & (np.abs(kept) < np.finfo(np.float32).tiny)).any()
    assert ((whole != 0) & (kept == 0)).any() == (alias == 0.1)
    sparse = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    sparse[0, :, ::9, ::7] = torch.tensor([1, 255, 128], dtype=torch.uint8)[:, None, None]
    images = torch.cat([photographs(2, 32), sparse, 255 * sparse.bool().byte()])
    if len(whole) > 5:  # one channel at a time, as defocus_blur does
        planes = images.flatten(0, 1).numpy().astype(np.float32)
        expected = np.stack([cv2.filter2D(plane, cv2.CV_32F, whole) for plane in planes]).reshape(images.shape)
    else:
        filtered = [cv2.filter2D(np.ascontiguousarray(image), cv2.CV_32F, whole) for image in arrays(images)]
        expected = np.stack(filtered).transpose(0, 3, 1, 2)
    found = defocus_blur(images, (radius, alias), Stream(0, "defocus_blur", index=INDEX))
    np.testing.assert_array_equal(found.numpy(), truncate(expected))


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("size", [32, 224])
def test_zoom_blur_is_the_mean_of_scipys_zooms(severity: int, size: int) -> None:
    images = photographs(1, size)
    stop, step = parameters("zoom_blur", severity, size)
    x = arrays(images)[0] / 255.0
    total, factors = x.copy(), np.arange(1, stop, step)
    for factor in factors:
        crop = math.ceil(size / factor)
        top = (size - crop) // 2
        large = ndimage.zoom(x[top : top + crop, top : top + crop], (factor, factor, 1), order=1)
        trim = (large.shape[0] - size) // 2
        total += large[trim : trim + size, trim : trim + size]
    assert_close(run("zoom_blur", severity, images), as_bytes(total / (len(factors) + 1))[None], share=0.02)


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [32, 64])
def test_glass_blur_is_the_published_loop(severity: int, size: int) -> None:
    images = photographs(2, size)
    sigma, reach, iterations = parameters("glass_blur", severity, size)
    shifts = Stream(0, "corrupt", "glass_blur", severity, index=INDEX[:2]).integers(
        0, -reach, reach, (iterations, size, size, 2)
    )
    expected = []
    for n, array in enumerate(arrays(images)):
        x = as_bytes(filters.gaussian(array / 255.0, sigma=sigma, channel_axis=-1))
        for t in range(iterations):
            for h in range(size - reach, reach, -1):
                for w in range(size - reach, reach, -1):
                    dx, dy = shifts[n, t, h, w].tolist()
                    x[h, w] = x[h + dy, w + dx]
        expected.append(as_bytes(filters.gaussian(x / 255.0, sigma=sigma, channel_axis=-1)))
    assert_close(run("glass_blur", severity, images), np.stack(expected), share=0.03)


@pytest.mark.parametrize(("reach", "iterations"), [(1, 1), (1, 3), (4, 2)])
def test_pointer_doubling_follows_the_chains(reach: int, iterations: int) -> None:
    images = photographs(3, 40)
    stream = Stream(7, "g", index=INDEX[:3])
    shifts = stream.integers(0, -reach, reach, (iterations, 40, 40, 2))
    from robench.corruptions._kernels import displace_one

    one_by_one = np.empty((3, 40, 40, 3), np.uint8)
    for row, image in enumerate(np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())):
        displace_one(image, stream.index_array()[row], *stream.key, iterations, reach, one_by_one[row])
    found = displace(images, shifts, reach).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(found, one_by_one)


@pytest.mark.parametrize("severity", range(1, 6))
def test_colours_are_scikit_images(severity: int) -> None:
    images = photographs(2, 64)
    x = arrays(images) / 255.0
    hsv = color.rgb2hsv(x)
    (offset,) = parameters("brightness", severity, 64)
    brighter = np.stack([hsv[..., 0], hsv[..., 1], np.clip(hsv[..., 2] + offset, 0, 1)], axis=-1)
    assert_close(run("brightness", severity, images), as_bytes(color.hsv2rgb(brighter)), share=0.002)
    factor, plus = parameters("saturate", severity, 64)
    fuller = np.stack([hsv[..., 0], np.clip(hsv[..., 1] * factor + plus, 0, 1), hsv[..., 2]], axis=-1)
    assert_close(run("saturate", severity, images), as_bytes(color.hsv2rgb(fuller)), share=0.002)
    (c,) = parameters("contrast", severity, 64)
    mean = x.mean(axis=(1, 2), keepdims=True)
    assert_close(run("contrast", severity, images), as_bytes((x - mean) * c + mean), share=0.002)


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [32, 64, 224])
def test_pixelate_is_pillows_to_the_bit(severity: int, size: int) -> None:
    images = photographs(2, size)
    side = int(size * parameters("pixelate", severity, size)[0])
    box = Image.Resampling.BOX
    expected = [Image.fromarray(p).resize((side, side), box).resize((size, size), box) for p in arrays(images)]
    np.testing.assert_array_equal(run("pixelate", severity, images), np.stack(expected))
    device = _resize(_resize(images, (side, side)), (size, size))
    np.testing.assert_array_equal(arrays(device), np.stack(expected))


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("size", [32, 224])
def test_elastic_transform_is_scipys(severity: int, size: int) -> None:
    images = photographs(1, size)
    alpha, sigma, jitter = parameters("elastic_transform", severity, size)
    stream = Stream(0, "corrupt", "elastic_transform", severity, index=INDEX[:1])
    moved = (stream.uniform(0, (3, 2)).double().numpy()[0] * 2 - 1) * jitter
    noise = (stream.uniform(1, (2, size, size)) * 2 - 1).double().numpy()[0]
    centre, third = size // 2, size // 3
    points = np.float32([[centre + third] * 2, [centre + third, centre - third], [centre - third] * 2])
    matrix = cv2.getAffineTransform(points, (points + moved).astype(np.float32))
    x = cv2.warpAffine(arrays(images)[0] / 255.0, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101)
    dx, dy = (alpha * ndimage.gaussian_filter(field, sigma, mode="reflect", truncate=3) for field in noise)
    rows, columns = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    channels = [
        ndimage.map_coordinates(x[..., c], [rows + dy, columns + dx], order=1, mode="reflect") for c in range(3)
    ]
    assert_close(
        run("elastic_transform", severity, images), as_bytes(np.stack(channels, -1))[None], share=0.005, largest=2
    )


def test_gaussian_and_speckle_noise_have_their_moments() -> None:
    images = torch.full((4, 3, 64, 64), 128, dtype=torch.uint8)
    x = 128 / 255
    for name, scale in (("gaussian_noise", 1.0), ("speckle_noise", x)):
        (sigma,) = parameters(name, 1, 64)
        values = run(name, 1, images).ravel() / 255.0
        assert values.mean() == pytest.approx(x - 0.5 / 255, abs=4e-4 + 4 * sigma / math.sqrt(values.size))
        assert values.std() == pytest.approx(sigma * scale, rel=0.02)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("size", [32, 224])
def test_shot_noise_is_poisson(severity: int, size: int) -> None:
    images = torch.full((4, 3, size, size), 90, dtype=torch.uint8)
    (rate,) = parameters("shot_noise", severity, size)
    values = run("shot_noise", severity, images).ravel()
    counts = np.arange(0, 10 * rate + 50)
    shown = (np.clip(counts / rate, 0, 1) * 255).astype(int)
    expected = np.bincount(shown, stats.poisson.pmf(counts, 90 / 255 * rate), minlength=256) * values.size
    found = np.bincount(values, minlength=256)
    common = expected > 20
    chi = ((found - expected)[common] ** 2 / expected[common]).sum()
    assert stats.chi2.sf(chi, common.sum() - 1) > 1e-4


@pytest.mark.parametrize("severity", [1, 5])
def test_impulse_noise_sets_the_right_share(severity: int) -> None:
    images = torch.full((4, 3, 64, 64), 90, dtype=torch.uint8)
    (amount,) = parameters("impulse_noise", severity, 64)
    values = run("impulse_noise", severity, images).ravel()
    for value in (0, 255):
        assert stats.binomtest(int((values == value).sum()), values.size, amount / 2).pvalue > 1e-4
    assert set(np.unique(values)) == {0, 90, 255}


@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "impulse_noise", "shot_noise"])
def test_fused_noise_equals_the_streams_numbers(name: str) -> None:
    """The path for other devices, run here on the CPU through the same stream, agrees with the fused loop."""
    images = photographs(3, 32)
    stream = Stream(0, "corrupt", name, 3, index=INDEX[:3])
    fused = run(name, 3, images)
    (strength,) = parameters(name, 3, 32)
    x = images.float() / 255
    u, z = stream.uniform(0, (3, 32, 32)), stream.normal(0, (3, 32, 32))
    if name == "impulse_noise":
        expected = torch.where(u < strength, torch.where(u < strength / 2, 255, 0), images)
    elif name == "shot_noise":
        level = torch.from_numpy(stats.poisson.ppf(u.double().numpy(), (x * strength).double().numpy())).float()
        expected = to_uint8(level.clamp(min=0) / strength)
    else:
        expected = to_uint8(x + strength * z * (x if name == "speckle_noise" else 1.0))
    assert (np.abs(fused - arrays(expected).astype(int)) > 0).mean() < 0.002


def test_device_paths_agree_with_the_cpus() -> None:
    images = photographs(3, 64)
    x = images.float() / 255
    hue, s, v = rgb_to_hsv(images.double() / 255)
    np.testing.assert_allclose(torch.stack([hue, s, v], -1).numpy(), color.rgb2hsv(arrays(images)), atol=1e-12)
    torch.testing.assert_close(hsv_to_rgb(hue, s, v), images.double() / 255, rtol=0, atol=1e-12)
    zoomed = clipped_zoom(x, 1.11)
    crop = math.ceil(64 / 1.11)
    top = (64 - crop) // 2
    reference = ndimage.zoom(arrays(x)[0][top : top + crop, top : top + crop], (1.11, 1.11, 1), order=1)[:64, :64]
    np.testing.assert_allclose(arrays(zoomed)[0], reference, atol=1e-5)
    y, xx = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    place = [y + 0.3 - 5 * (xx % 7), xx - 8.7 + y % 3]
    found = _sample(x, place[0].expand(3, -1, -1), place[1].expand(3, -1, -1), edge_twice=True)
    for mode, flag in (("reflect", True), ("mirror", False)):
        found = _sample(x, place[0].expand(3, -1, -1), place[1].expand(3, -1, -1), edge_twice=flag)
        expected = ndimage.map_coordinates(x[0, 0].numpy(), [p.numpy() for p in place], order=1, mode=mode)
        np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.01, 2.4, 20.0])
def test_smoothing_matrix_is_scipys_filter(sigma: float) -> None:
    x = np.random.default_rng(0).random(40)
    expected = ndimage.gaussian_filter1d(x, sigma, mode="reflect", truncate=3)
    np.testing.assert_allclose(smoothing_matrix(40, sigma) @ x, expected, atol=1e-6)


def test_philox_gives_the_published_vectors() -> None:
    """Known answers of Philox-4x32-10: Salmon et al. 2011, Random123's kat_vectors."""
    from robench.corruptions._kernels import philox
    from robench.corruptions.random import _philox

    for counter, key, answer in (
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ):
        compiled = philox(*(np.uint32(c) for c in counter), *(np.uint32(k) for k in key))
        assert tuple(int(word) for word in compiled) == answer
        tensors = _philox([torch.tensor([c], dtype=torch.int64) for c in counter], key)
        assert tuple(int(word) for word in tensors) == answer


def test_normals_are_normal() -> None:
    z = Stream(0, "z", index=torch.arange(40)).normal(0, (5000,)).numpy()
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(z)[np.triu_indices(40, 1)]).max() < 0.08
    assert abs(stats.kurtosis(z.ravel())) < 0.05
