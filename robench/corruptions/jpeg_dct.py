"""The 8 x 8 DCT and its inverse in the fixed-point arithmetic of libjpeg's "islow", on int32 tensors.

Loeffler, Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989. Constants
have 13 fractional bits; two extra bits are kept between the passes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

_BITS, _PASS = 13, 2


def _fixed(value: float) -> int:
    return round(value * (1 << _BITS))


_C0_298, _C0_390, _C0_541, _C0_765 = map(_fixed, (0.298631336, 0.390180644, 0.541196100, 0.765366865))
_C0_899, _C1_175, _C1_501, _C1_847 = map(_fixed, (0.899976223, 1.175875602, 1.501321110, 1.847759065))
_C1_961, _C2_053, _C2_562, _C3_072 = map(_fixed, (1.961570560, 2.053119869, 2.562915447, 3.072711026))


def forward_dct(blocks: torch.Tensor) -> torch.Tensor:
    """Return eight times the DCT of int32 blocks (..., 8, 8) with values -128 to 127."""
    rows = _forward(blocks.unbind(-1), -_PASS, _BITS - _PASS)
    columns = torch.stack(rows, dim=-1).unbind(-2)
    return torch.stack(_forward(columns, _PASS, _BITS + _PASS), dim=-2)


def inverse_dct(coefficients: torch.Tensor) -> torch.Tensor:
    """Return the blocks of dequantised int32 coefficients (..., 8, 8), not yet clamped."""
    columns = _inverse(coefficients.unbind(-2), _BITS - _PASS)
    rows = torch.stack(columns, dim=-2).unbind(-1)
    return torch.stack(_inverse(rows, _BITS + _PASS + 3), dim=-1)


def _descale(value: torch.Tensor, bits: int) -> torch.Tensor:
    return value << -bits if bits < 0 else (value + (1 << (bits - 1))) >> bits


def _forward(x: Sequence[torch.Tensor], even_bits: int, odd_bits: int) -> list[torch.Tensor]:
    """Transform eight samples; ``even_bits`` scale outputs 0 and 4, ``odd_bits`` those that were multiplied."""
    sums = [x[i] + x[7 - i] for i in range(4)]
    t4, t5, t6, t7 = (x[3 - i] - x[4 + i] for i in range(4))
    t10, t13, t11, t12 = sums[0] + sums[3], sums[0] - sums[3], sums[1] + sums[2], sums[1] - sums[2]
    shared = (t12 + t13) * _C0_541
    z1, z2, z3, z4 = (t4 + t7) * -_C0_899, (t5 + t6) * -_C2_562, t4 + t6, t5 + t7
    z5 = (z3 + z4) * _C1_175
    z3, z4 = z3 * -_C1_961 + z5, z4 * -_C0_390 + z5
    multiplied = {
        2: shared + t13 * _C0_765,
        6: shared + t12 * -_C1_847,
        7: t4 * _C0_298 + z1 + z3,
        5: t5 * _C2_053 + z2 + z4,
        3: t6 * _C3_072 + z2 + z3,
        1: t7 * _C1_501 + z1 + z4,
    }
    plain = {0: t10 + t11, 4: t10 - t11}
    return [_descale(plain[i], even_bits) if i in plain else _descale(multiplied[i], odd_bits) for i in range(8)]


def _inverse(x: Sequence[torch.Tensor], bits: int) -> list[torch.Tensor]:
    """Transform eight coefficients back and scale them down by ``bits``."""
    shared = (x[2] + x[6]) * _C0_541
    t2, t3 = shared + x[6] * -_C1_847, shared + x[2] * _C0_765
    t0, t1 = (x[0] + x[4]) << _BITS, (x[0] - x[4]) << _BITS
    even = (t0 + t3, t1 + t2, t1 - t2, t0 - t3)
    o0, o1, o2, o3 = x[7], x[5], x[3], x[1]
    z1, z2, z3, z4 = (o0 + o3) * -_C0_899, (o1 + o2) * -_C2_562, o0 + o2, o1 + o3
    z5 = (z3 + z4) * _C1_175
    z3, z4 = z3 * -_C1_961 + z5, z4 * -_C0_390 + z5
    odd = (
        o3 * _C1_501 + z1 + z4,
        o2 * _C3_072 + z2 + z3,
        o1 * _C2_053 + z2 + z4,
        o0 * _C0_298 + z1 + z3,
    )
    ahead = [_descale(even[i] + odd[i], bits) for i in range(4)]
    return ahead + [_descale(even[i] - odd[i], bits) for i in reversed(range(4))]
