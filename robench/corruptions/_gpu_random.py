"""Triton kernels of random numbers and of noise on every value; see :mod:`robench.corruptions._gpu`.

A program has so many blocks of four values of one image; each block is one counter of Philox-4x32-10.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from robench.corruptions._gpu import kept
from robench.corruptions.random import Stream, quantile_tables

BLOCK = 256
NUMBERS = {"uniform": 1, "normal": 2, "integers": 3}
NOISES = {"gaussian": 0, "speckle": 1, "impulse": 2}
_KEYS = ("k0", "k1", "draw")
jit: Any = triton.jit


def signed(word: int) -> int:
    """Return a 32-bit word as the signed number of its bits: all words are then one type to Triton."""
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >> 31 else word


@jit
def philox(low, high, block, draw, k0, k1):
    """Return the four words of a counter, uint32."""
    c0, c1, c2, c3 = low, high, block, draw
    for _ in tl.static_range(10):
        first_high, first_low = tl.umulhi(c0, 0xD2511F53), c0 * 0xD2511F53
        second_high, second_low = tl.umulhi(c2, 0xCD9E8D57), c2 * 0xCD9E8D57
        c0, c1, c2, c3 = second_high ^ c1 ^ k0, second_low, first_high ^ c3 ^ k1, first_low
        k0 = k0 + 0x9E3779B9
        k1 = k1 + 0xBB67AE85
    return c0, c1, c2, c3


@jit
def words_of(number, block, draw, k0, k1):
    """Return the four words of an image's number, int64, and blocks, int32."""
    return philox(
        number.to(tl.uint32) + (block * 0).to(tl.uint32), (number >> 32).to(tl.uint32), block.to(tl.uint32),
        draw.to(tl.uint32, bitcast=True), k0.to(tl.uint32, bitcast=True), k1.to(tl.uint32, bitcast=True),
    )  # fmt: skip


@jit
def uniform_of(word):
    """Return the float32 in [0, 1) of a word."""
    return (word >> 8).to(tl.float32) * 5.9604644775390625e-08  # 2**-24


@jit
def normal_of(word, middle, tail):
    """Return the standard normal float32 of a word; see :meth:`robench.corruptions.random.Stream.normal`."""
    u = word >> 8
    place, rest = (u >> 12).to(tl.int32), (u & 0xFFF).to(tl.int32)
    low, high = tl.load(middle + place), tl.load(middle + place + 1)
    inner = low + (rest.to(tl.float32) + 0.5) * 0.000244140625 * (high - low)
    outer = (place == 0) | (place == 4095)
    far = tl.load(tail + tl.where(place == 0, rest, 4095 - rest), mask=outer, other=0.0)
    return tl.where(outer, tl.where(place == 0, far, -far), inner)


@jit
def _value(word, middle, tail, low, span, KIND: tl.constexpr):
    if KIND == 1:
        return uniform_of(word)
    elif KIND == 2:
        return normal_of(word, middle, tail)
    else:
        return low + tl.umulhi(word, span).to(tl.int64)


@jit(do_not_specialize=(*_KEYS, "low", "span", "count", "programs"))
def _fill(
    index, out, k0, k1, draw, low, span, middle, tail, count,
    programs, KIND: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    image = tl.program_id(0) // programs
    block = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    a, b, c, d = words_of(tl.load(index + image), block, draw, k0, k1)
    out += image.to(tl.int64) * count
    place, width = block * 4, span.to(tl.uint32, bitcast=True)
    tl.store(out + place, _value(a, middle, tail, low, width, KIND), mask=place < count)
    tl.store(out + place + 1, _value(b, middle, tail, low, width, KIND), mask=place + 1 < count)
    tl.store(out + place + 2, _value(c, middle, tail, low, width, KIND), mask=place + 2 < count)
    tl.store(out + place + 3, _value(d, middle, tail, low, width, KIND), mask=place + 3 < count)


def fill(stream: Stream, draw: int, count: int, kind: str, low: int = 0, span: int = 0) -> torch.Tensor:
    """Return (N, count) of one of :data:`NUMBERS`: float32, integers int64."""
    dtype = torch.float32 if kind != "integers" else torch.int64
    out = torch.empty((len(stream.index), count), dtype=dtype, device=stream.device)
    programs = triton.cdiv(count, 4 * BLOCK)
    if out.numel():
        _fill[(len(out) * programs,)](
            stream.index, out, *map(signed, (*stream.key, draw)), low, signed(span), *tables(stream.device), count,
            programs, KIND=NUMBERS[kind], BLOCK=BLOCK, enable_fp_fusion=False,
        )  # fmt: skip
    return out


def tables(device: torch.device) -> list[torch.Tensor]:
    """Return the two tables of quantiles on the device."""
    return [kept(device, ("quantiles", i), torch.from_numpy, table) for i, table in enumerate(quantile_tables())]


@jit
def _changed(value, word, strength, middle, tail, KIND: tl.constexpr):
    if KIND == 2:
        u = uniform_of(word)
        return tl.where(u < strength * 0.5, 255, tl.where(u < strength, 0, value.to(tl.int32))).to(tl.uint8)
    else:
        noise, x = normal_of(word, middle, tail), tl.div_rn(value.to(tl.float32), 255.0)
        x = x + x * strength * noise if KIND == 1 else x + strength * noise
        return (tl.minimum(tl.maximum(x, 0.0), 1.0) * 255.0).to(tl.uint8)


@jit(do_not_specialize=_KEYS)
def _noise(
    images, index, out, k0, k1, draw, strength, middle, tail, count,
    programs, KIND: tl.constexpr, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    image = tl.program_id(0) // programs
    block = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    a, b, c, d = words_of(tl.load(index + image), block, draw, k0, k1)
    images += image.to(tl.int64) * count
    out += image.to(tl.int64) * count
    place = block * 4
    for lane in tl.static_range(4):
        word = a if lane == 0 else b if lane == 1 else c if lane == 2 else d
        within = place + lane < count
        value = tl.load(images + place + lane, mask=within, other=0)
        tl.store(out + place + lane, _changed(value, word, strength, middle, tail, KIND), mask=within)


def noise(images: torch.Tensor, stream: Stream, strength: float, kind: str) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) with one of :data:`NOISES`."""
    images = images.contiguous()
    out = torch.empty_like(images)
    count = images[0].numel()
    programs = triton.cdiv(count, 4 * BLOCK)
    _noise[(len(images) * programs,)](
        images, stream.index, out, *map(signed, (*stream.key, 0)), float(strength), *tables(images.device), count,
        programs, KIND=NOISES[kind], BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out


@jit
def _counted(value, word, cumulative, guide, values, width, halvings):
    level, first = value.to(tl.int32), (word >> 24).to(tl.int32)
    u = (word >> 8).to(tl.float64) * 5.9604644775390625e-08
    left, right = tl.load(guide + level * 257 + first), tl.load(guide + level * 257 + first + 1)
    for _ in range(halvings):
        middle = (left + right) >> 1
        open_ = left < right
        above = tl.load(cumulative + level * width + middle) > u
        right = tl.where(open_ & above, middle, right)
        left = tl.where(open_ & ~above, middle + 1, left)
    return tl.load(values + left)


@jit(do_not_specialize=(*_KEYS, "width", "halvings"))
def _shot(
    images, index, out, k0, k1, draw, cumulative, guide, values,
    width, halvings, count, programs, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    image = tl.program_id(0) // programs
    block = tl.program_id(0) % programs * BLOCK + tl.arange(0, BLOCK)
    a, b, c, d = words_of(tl.load(index + image), block, draw, k0, k1)
    images += image.to(tl.int64) * count
    out += image.to(tl.int64) * count
    place = block * 4
    for lane in tl.static_range(4):
        word = a if lane == 0 else b if lane == 1 else c if lane == 2 else d
        within = place + lane < count
        value = tl.load(images + place + lane, mask=within, other=0)
        tl.store(out + place + lane, _counted(value, word, cumulative, guide, values, width, halvings), mask=within)


def shot(images: torch.Tensor, stream: Stream, rate: float) -> torch.Tensor:
    """Return uint8 images (N, C, H, W) with Poisson noise, by bisection in the tables of ``shot_noise``."""
    from robench.corruptions.noise import poisson_tables

    images, device = images.contiguous(), images.device
    found = poisson_tables(rate)
    cumulative, guide, values = (
        kept(device, ("poisson", rate, i), torch.from_numpy, table) for i, table in enumerate(found)
    )
    widest = int((found[1][:, 1:] - found[1][:, :-1]).max())
    out = torch.empty_like(images)
    count = images[0].numel()
    programs = triton.cdiv(count, 4 * BLOCK)
    _shot[(len(images) * programs,)](
        images, stream.index, out, *map(signed, (*stream.key, 0)), cumulative, guide, values, cumulative.shape[1],
        widest.bit_length(), count, programs, BLOCK=BLOCK, enable_fp_fusion=False,
    )  # fmt: skip
    return out
