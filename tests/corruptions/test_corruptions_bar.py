"""The corruptions of C-bar against NumPy, SciPy and scikit-image, with the numbers that the stream gives."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage
from skimage.draw import line_aa
from test_corruptions_common import photographs

from robench.corruptions import CORRUPTIONS, corrupt
from robench.corruptions.cubic import ORDERS
from robench.corruptions.cutout import _draw_line
from robench.corruptions.lenses import _bend
from robench.corruptions.perlin import _gradient_noise, lattice
from robench.corruptions.random import Stream
from robench.corruptions.registered import parameters
from robench.corruptions.severities import ALL
from robench.corruptions.severities_bar import BAR, CIFAR, IMAGENET
from robench.corruptions.sparkles import ray_counts, ray_lengths
from robench.corruptions.spectra import _distances, phases, spectral_noise

Floats = npt.NDArray[np.float64]
SIDE = 48
Y, X = np.mgrid[:SIDE, :SIDE].astype(np.float64)


@pytest.fixture(scope="module")
def photograph() -> torch.Tensor:
    return photographs(1, SIDE)


def both(name: str, images: torch.Tensor, severity: int = 3, draw: int = 0, count: int = 9) -> tuple[Floats, Floats]:
    """Return what becomes of the image at index 7, (H, W, 3), and the first numbers that are drawn for it."""
    index = torch.tensor([7])
    found = corrupt(images, name, severity, index=index)[0].permute(1, 2, 0).numpy()
    stream = Stream(0, "corrupt", name, severity, index=index)
    return found.astype(np.float64), stream.uniform(draw, (count,))[0].double().numpy()


def pixels(images: torch.Tensor) -> Floats:
    return np.asarray(images[0].permute(1, 2, 0).numpy(), np.float64)


def same(found: Floats, expected: Floats) -> None:
    """Equal, but for a level where a value is whole on paper."""
    gap = np.abs(found - np.clip(expected, 0, 255).astype(np.uint8))
    assert gap.max() <= 1
    assert (gap > 0).mean() < 0.002


def test_fifteen_are_registered_and_ten_are_in_each_set() -> None:
    assert len(BAR) == 15
    assert len(CIFAR) == len(IMAGENET) == 10
    assert {*ALL, *BAR} <= set(CORRUPTIONS)
    assert not set(BAR) & set(ALL)
    assert [parameters("sparkles", 2, side)[0] for side in (32, 64, 224, 299)] == [3.5, 3.5, 2.0, 2.0]
    assert parameters("lines", 5, 224) == (2.5,)
    assert parameters("plasma_noise", 1, 32) == (4.75,)


def test_a_plane_wave(photograph: torch.Tensor) -> None:
    found, u = both("single_frequency_greyscale", photograph)
    first = (2 * u[0] - 1) * math.pi
    second = (2 * u[1] - 1) * abs(first)
    across, down = (second, first) if u[2] < 0.5 else (first, second)
    (strength,) = parameters("single_frequency_greyscale", 3, 64)
    wave = np.sin(X * across + Y * down + 2 * math.pi * u[3])
    same(found, pixels(photograph) + 19.6 * strength * wave[..., None])


def test_rings_are_sawtooths_about_a_point(photograph: torch.Tensor) -> None:
    found, u = both("cocentric_sine_waves", photograph)
    dx, dy = X - SIDE * u[0], Y - SIDE * u[1]
    swing, ring = SIDE / 10 * u[3], SIDE / 10 * (1 - u[4])
    place = np.mod(np.hypot(dx, dy) + np.sin(10 * u[2] * np.arctan2(dx, dy)) * swing, ring) / ring - 0.5
    (strength,) = parameters("cocentric_sine_waves", 3, 64)
    same(found, pixels(photograph) + 12.8 * strength * place[..., None])


@pytest.mark.parametrize(("name", "slope"), [("brownish_noise", -2.0), ("blue_noise_sample", 1.0)])
def test_spectra_have_their_slope(name: str, slope: float) -> None:
    stream = Stream(0, "corrupt", name, 1, index=torch.arange(1))
    amplitudes = _distances(64, 64) if slope > 0 else 1 / (_distances(64, 64) ** 2 + 1)
    noise = spectral_noise(phases(stream, 0, 0, 64, 64), amplitudes)
    assert noise.std() == pytest.approx(1)
    power = np.abs(np.fft.fftshift(np.fft.fft2(noise))) ** 2
    radius = np.hypot(*np.mgrid[-32:32, -32:32])
    low, high = (power[(radius > r - 1) & (radius < r + 1)].mean() for r in (6, 24))
    assert math.log(high / low) / math.log(24 / 6) / 2 == pytest.approx(slope, abs=0.15)


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (8, 11), (11, 6), (2, 2)])
def test_every_shape_is_corrupted(shape: tuple[int, int]) -> None:
    images = torch.full((1, 3, *shape), 128, dtype=torch.uint8)
    for name in BAR:
        assert corrupt(images, name, 5, index=torch.arange(1)).shape == images.shape


def test_blue_noise_blackens_the_share_that_a_normal_variable_has(photograph: torch.Tensor) -> None:
    white = torch.full((4, 3, 64, 64), 255, dtype=torch.uint8)
    found = corrupt(white, "blue_noise_sample", 5, index=torch.arange(4))
    expected = 0.5 * (1 + math.erf((0.3 * 4.2 - 2.5) / math.sqrt(2)))
    assert float((found == 0).float().mean()) == pytest.approx(expected, abs=0.01)
    assert bool((found[:, 0] == found[:, 1]).all())


def test_perlin_noise_is_0_on_its_lattice_and_bounded() -> None:
    gradients, places = lattice(np.random.default_rng(0).random(768, np.float32))
    assert sorted(places.tolist()) == list(range(256))
    assert np.hypot(*gradients.T) == pytest.approx(np.ones(256))
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 50, (200, 2))
    assert [_gradient_noise(float(i), float(j), gradients, places) for i, j in ((0, 0), (3, 7))] == [0, 0]
    for y, x in points[:20]:  # bilinear within a cell but for the smooth weights, from four gradients
        (i, v), (j, u) = (divmod(value, 1) for value in (y, x))
        corner = {}
        for di in (0, 1):
            for dj in (0, 1):
                chosen = gradients[places[(places[int(i + di) % 256] + int(j + dj)) % 256]]
                corner[di, dj] = chosen @ (v - di, u - dj)
        wv, wu = (t * t * (3 - 2 * t) for t in (v, u))
        left = corner[0, 0] + wv * (corner[1, 0] - corner[0, 0])
        right = corner[0, 1] + wv * (corner[1, 1] - corner[0, 1])
        expected = 1.5 * (left + wu * (right - left))
        assert _gradient_noise(y, x, gradients, places) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("ends", [(3, 4, 30, 11), (30, 4, 3, 40), (-20, 5, 60, 9), (7, 7, 7, 7), (5, 40, 5, -3)])
def test_lines_are_scikit_images(ends: tuple[int, int, int, int]) -> None:
    found, expected = np.full((SIDE, SIDE, 3), 17, np.uint8), np.full((SIDE, SIDE, 3), 17, np.uint8)
    _draw_line(*ends, found)
    y, x, shade = line_aa(*ends)
    inside = (y >= 0) & (x >= 0) & (y < SIDE) & (x < SIDE)
    expected[y[inside], x[inside]] = (17 + shade[inside] * (128 - 17)).astype(np.uint8)[:, None]
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != 17).any()


def test_a_board_has_fields_of_the_drawn_size_and_angle(photograph: torch.Tensor) -> None:
    found, u = both("checkerboard_cutout", photograph, severity=5)
    angle, field = 2 * math.pi * u[0], (0.1 + 0.15 * u[1]) * SIDE
    down = (math.cos(angle) * Y + math.sin(angle) * X) / field
    across = (math.cos(angle) * X - math.sin(angle) * Y) / field
    grey = (found == 128).all(axis=2)
    assert not grey[(np.floor(np.mod(down, 2)) != np.floor(np.mod(across, 2)))].any()
    same(found[~grey], pixels(photograph)[~grey])
    assert 0.1 < grey.mean() < 0.5


def test_stars_and_tunnels_fade_with_the_square_of_the_distance() -> None:
    black = torch.zeros((1, 3, 96, 96), dtype=torch.uint8)
    stream = Stream(0, "corrupt", "inverse_sparkles", 5, index=torch.tensor([7]))
    found, u = both("inverse_sparkles", black, severity=5)
    y, x = (0.25 + 0.5 * u[0]) * 96, (0.25 + 0.5 * u[1]) * 96
    rays, lengths = int(ray_counts(u[2:3])[0]), ray_lengths(stream, 0, 24, 1)[0]
    row, column = 90, 3
    turn = (math.atan2(column - x, row - y) + math.pi) / (2 * math.pi) * rays
    ray, part = int(turn), turn % 1
    length = (1 - part) * lengths[ray % rays] + part * lengths[(ray + 1) % rays]
    light = (length**2 / ((row - y) ** 2 + (column - x) ** 2 + 1e-4)) ** (5.0 * 6.5 / 50) * (1 - (part - 0.5) ** 2)
    assert found[row, column, 0] == int(255 - 255 * min(light, 1))
    stars = corrupt(black, "sparkles", 5, index=torch.tensor([7]))
    assert int(stars.max()) >= 190
    assert float(stars.float().mean()) < 128


@pytest.mark.parametrize("name", ["ripple", "pinch_and_twirl"])
def test_warps_are_map_coordinates(name: str, photograph: torch.Tensor) -> None:
    found, u = both(name, photograph)
    (strength,) = parameters(name, 3, 64)
    y, x = Y.copy(), X.copy()
    if name == "ripple":
        for axis, (place, wavelength, phase) in enumerate(((Y, u[0], u[2]), (X, u[1], u[3]))):
            length = (0.1 + 0.2 * wavelength) * SIDE
            moved = 0.0025 * strength * SIDE * np.sin(2 * np.pi * place / length + 2 * np.pi * phase)
            (y, x)[axis][:] += moved
    else:
        signs, side = np.where(u < 0.5, 1, -1).reshape(3, 3), SIDE // 3
        middle_y, middle_x = ((place // side).astype(int) * side + side / 2 for place in (Y, X))
        dy, dx = Y - middle_y, X - middle_x
        part = np.hypot(dy, dx) / (side / 2)
        turned = signs[(X // side).astype(int), (Y // side).astype(int)] * strength * math.pi / 20 * (1 - part) ** 2
        grow = np.sin(np.pi / 2 * np.maximum(part, 1e-9)) ** (-(0.04 * strength + 0.1))
        within = (part <= 1) & (part > 0)
        y[within] = (middle_y + grow * (dy * np.cos(turned) - dx * np.sin(turned)))[within]
        x[within] = (middle_x + grow * (dy * np.sin(turned) + dx * np.cos(turned)))[within]
    planes = [
        ndimage.map_coordinates(pixels(photograph)[..., c], [y, x], order=1, mode="grid-constant") for c in range(3)
    ]
    same(found, np.stack(planes, axis=2) + 1e-9)


def test_caustics_bend_by_snells_law() -> None:
    for slopes in ((0.3, 0.1), (-0.2, 0.5), (0.0, 1.5)):
        normal = np.array([*slopes, 1.0])
        normal /= np.linalg.norm(normal)
        # The refracted ray: of length 1, in the plane of ray and normal, with a quarter of the sine.
        ray = np.array([slopes[0] * _bend(*slopes), slopes[1] * _bend(*slopes)])
        height = math.sqrt(1 - ray @ ray)
        sine_before = math.sqrt(1 - normal[2] ** 2)
        sine_behind = np.linalg.norm(np.cross([*ray, height], normal))
        assert sine_behind == pytest.approx(sine_before / 4, abs=1e-9)
    assert _bend(0.01, 0.01) == 0


def test_turned_copies_are_scipys(photograph: torch.Tensor) -> None:
    found, _ = both("circular_motion_blur", photograph)
    (strength,) = parameters("circular_motion_blur", 3, 64)
    places = np.linspace(-1, 1, 21)
    shares = np.exp(-2 * places**2)
    copies = [
        ndimage.rotate(pixels(photograph).astype(np.float32) / 255, p * 1.5 * strength, reshape=False) for p in places
    ]
    same(found, 255 * np.tensordot(shares / shares.sum(), np.stack(copies), axes=1))


def test_enlarged_channels_are_scipys(photograph: torch.Tensor) -> None:
    found, u = both("transverse_chromatic_abberation", photograph)
    (strength,) = parameters("transverse_chromatic_abberation", 3, 64)
    for channel, chosen in enumerate(ORDERS[int(6 * u[0])]):
        plane = photograph[0, channel].numpy()
        larger = ndimage.zoom(plane, 1 + 0.025 * strength * chosen, prefilter=False)
        edge = (len(larger) - SIDE) // 2
        same(found[..., channel], larger[edge : edge + SIDE, edge : edge + SIDE].astype(np.float64))


def test_plasma_replaces_what_it_takes() -> None:
    grey = torch.full((1, 3, SIDE, SIDE), 100, dtype=torch.uint8)
    found, _ = both("plasma_noise", grey, severity=1)
    amplitude = 6.4 * 4.75
    assert found.max() <= 100 * (1 - amplitude / 255) + amplitude
    assert found.min() >= 100 * (1 - amplitude / 255) - amplitude - 1
    assert found.std() > amplitude / 4
