"""One read of every row: top class, confidence, probability of the target, sum of squares; compiled by numba.

Rows stand alone, so that any part of them may be given to a thread of its own.

Sums may be taken in any order (so that they vectorise), but NaN keeps its meaning in them: a row's sum tells
whether the row was finite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled

_SUM = {"reassoc", "contract"}
_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@compiled()
def _largest32(row: Any) -> Any:
    """Return the largest float32 by its bits as integers, which vectorises where float comparison does not.

    Every step is cast: numba widens int32 to int64, which halves the numbers in a register.
    """
    bits = row.view(np.int32)
    largest = np.int32(-(2**31))
    for j in range(bits.shape[0]):
        # Bits of negative floats rise as the floats fall: flipped, the order of integers is that of floats.
        rising = np.int32(bits[j] ^ np.int32(np.int32(bits[j] >> np.int32(31)) & np.int32(0x7FFFFFFF)))
        largest = rising if rising > largest else largest
    return np.int32(largest ^ ((largest >> 31) & np.int32(0x7FFFFFFF))).view(np.float32)


@compiled()
def _largest64(row: Any) -> Any:
    bits = row.view(np.int64)
    largest = np.int64(-(2**63))
    for j in range(bits.shape[0]):
        largest = max(largest, bits[j] ^ ((bits[j] >> 63) & np.int64(0x7FFFFFFFFFFFFFFF)))
    return np.int64(largest ^ ((largest >> 63) & np.int64(0x7FFFFFFFFFFFFFFF))).view(np.float64)


@compiled(fastmath=_SUM)
def _squares(row: Any) -> Any:
    total = 0.0
    for j in range(row.shape[0]):
        value = np.float64(row[j])
        total += value * value
    return total


@compiled(fastmath=_SUM)
def _count_equal(row: Any, stop: int, value: Any) -> int:
    count = 0
    for j in range(stop):
        count += row[j] == value
    return count


@compiled(fastmath=_SUM)
def _exp_sums32(row: Any, largest: Any) -> Any:
    """Return the sums of exp(z - largest) and of its square, float32 exponentials good to about 1e-7.

    exp(x) = 2^k exp(r), |r| <= log(2) / 2, with the polynomial of Cephes' expf; below -87 it is about 1e-38.
    """
    total, squares, nans = 0.0, 0.0, 0
    for j in range(row.shape[0]):
        nans += row[j] != row[j]
        x = max(row[j] - largest, np.float32(-87.0))
        k = np.floor(x * _LOG2E + np.float32(0.5))
        r = x - k * _LN2_HIGH - k * _LN2_LOW
        q = np.float32(1.9875691500e-4)
        q = q * r + np.float32(1.3981999507e-3)
        q = q * r + np.float32(8.3334519073e-3)
        q = q * r + np.float32(4.1665795894e-2)
        q = q * r + np.float32(1.6666665459e-1)
        q = q * r + np.float32(5.0000001201e-1)
        q = q * r * r + r + np.float32(1.0)
        power = np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
        e = np.float64(q * power)
        total += e
        squares += e * e
    return total, squares if nans == 0 else np.nan


@compiled(fastmath=_SUM)
def _exp_sums64(row: Any, largest: Any) -> Any:
    total, squares = 0.0, 0.0
    for j in range(row.shape[0]):
        e = np.exp(row[j] - largest)
        total += e
        squares += e * e
    return total, squares


@compiled(nogil=True)
def rows_from_probabilities32(rows: Any, target: Any, out: Any) -> None:
    """Fill out (n, 4) with correct, confidence, nll and Brier score of each row of float32 probabilities."""
    for i in range(rows.shape[0]):
        _fill_probabilities(rows[i], target[i], _largest32(rows[i]), out[i])


@compiled(nogil=True)
def rows_from_probabilities64(rows: Any, target: Any, out: Any) -> None:
    """As :func:`rows_from_probabilities32`, of float64 probabilities."""
    for i in range(rows.shape[0]):
        _fill_probabilities(rows[i], target[i], _largest64(rows[i]), out[i])


@compiled(nogil=True)
def rows_from_logits32(rows: Any, target: Any, out: Any) -> None:
    """As :func:`rows_from_probabilities32`, of float32 logits."""
    for i in range(rows.shape[0]):
        row, label = rows[i], target[i]
        largest = _largest32(row)
        total, squares = _exp_sums32(row, largest)
        _fill(row, label, largest, total, squares, out[i])


@compiled(nogil=True)
def rows_from_logits64(rows: Any, target: Any, out: Any) -> None:
    """As :func:`rows_from_probabilities32`, of float64 logits."""
    for i in range(rows.shape[0]):
        row, label = rows[i], target[i]
        largest = _largest64(row)
        total, squares = _exp_sums64(row, largest)
        _fill(row, label, largest, total, squares, out[i])


@compiled()
def _fill(row: Any, label: int, largest: Any, total: float, squares: float, out: Any) -> None:
    if not np.isfinite(largest):
        squares = np.nan
    below = np.float64(row[label]) - np.float64(largest)
    nll = np.log(total) - below
    out[0] = 1.0 if row[label] == largest and _count_equal(row, label, largest) == 0 else 0.0
    out[1] = min(1.0, 1.0 / total)
    out[2] = nll
    brier = squares / (total * total) - 2.0 * np.exp(-nll) + 1.0
    out[3] = 0.0 if brier < 0.0 else brier


@compiled()
def _fill_probabilities(row: Any, label: int, largest: Any, out: Any) -> None:
    own = row[label]
    out[0] = 1.0 if own == largest and _count_equal(row, label, largest) == 0 else 0.0
    out[1] = largest
    out[2] = -np.log(np.float64(own)) if own > 0 else np.inf
    out[3] = _squares(row) - 2.0 * np.float64(own) + 1.0
    if own < 0:  # no probability: an untrained network's small logits, say; only looked for where it costs nothing
        out[3] = np.nan
