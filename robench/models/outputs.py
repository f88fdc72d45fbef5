"""Extracting the logits from what a model returns: tuples, mappings and records of outputs, trailing axes of 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch

from robench.errors import RobenchError

_NAME = "logits"


def logits_of(output: Any, num_classes: int) -> torch.Tensor:
    """Return the logits, (n, K), from what a model returned.

    The rule: a tensor is taken as it is, without trailing axes of length 1 ((n, K, 1, 1) becomes (n, K)). Of several
    outputs the one called ``logits`` is taken, else the only one with K columns, else the only one.

    Args:
        output: a tensor or array, or a mapping, tuple, list, dataclass or other record of them.
        num_classes: K.

    Raises:
        RobenchError: no tensor, or several and none known to be the logits; the message lists them.

    >>> logits_of({"features": torch.zeros(2, 512), "logits": torch.zeros(2, 10)}, 10).shape
    torch.Size([2, 10])
    >>> logits_of((torch.zeros(2, 10, 1, 1), torch.zeros(2, 512)), 10).shape
    torch.Size([2, 10])
    """
    if isinstance(output, torch.Tensor):
        if (what := _without_numbers(output)) is not None:
            raise RobenchError(
                f"The model must return logits of shape (images, {num_classes}); it returned a tensor {what[0]}.",
                hint=f"Return the logits as a dense tensor: {what[1]}.",
            )
        # Eight bits only store numbers: PyTorch does not compute with them.
        return _flat(output.float() if output.is_floating_point() and output.element_size() == 1 else output)
    if isinstance(output, np.ndarray):
        return _flat(_tensor_of(output, num_classes))
    named = output.get(_NAME) if isinstance(output, Mapping) else getattr(output, _NAME, None)
    if isinstance(named, (torch.Tensor, np.ndarray)):
        return logits_of(named, num_classes)
    found = [(name, logits_of(value, num_classes)) for name, value in _parts(output)]
    fitting = [value for _, value in found if value.ndim == 2 and value.shape[1] == num_classes]
    if len(fitting) == 1:
        return fitting[0]
    if len(found) == 1 and not fitting:
        return found[0][1]
    shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in found[:6])
    raise RobenchError(
        f"The model must return logits of shape (images, {num_classes}); it returned {type(output).__name__}"
        f"{f' of several outputs: {shapes}' if found else ''}.",
        hint="Return the logits alone, or call them 'logits' among several outputs (python:FILE:FUNCTION).",
    )


_parts_seen: ContextVar[list[tuple[str, torch.Tensor]] | None] = ContextVar("parts_seen", default=None)


@contextmanager
def parts_seen() -> Iterator[list[tuple[str, torch.Tensor]]]:
    """Collect what the parts of averages of probabilities return within the block: whose it is, and the logits."""
    found: list[tuple[str, torch.Tensor]] = []
    token = _parts_seen.set(found)
    try:
        yield found
    finally:
        _parts_seen.reset(token)


def log_probabilities(logits: torch.Tensor, whose: str) -> torch.Tensor:
    """Return a part's logits (n, K) as log-probabilities, to be averaged with others; see :func:`parts_seen`."""
    if (seen := _parts_seen.get()) is not None:
        seen.append((whose, logits))
    return torch.log_softmax(logits.float(), dim=1)


def all_logits_of(output: Any, num_classes: int) -> torch.Tensor:
    """Return the logits, (n, K), to take some of them by position; as :func:`logits_of` does.

    Raises:
        RobenchError: as :func:`logits_of`, or there are more or fewer than K: positions would be of other classes.
    """
    logits = logits_of(output, num_classes)
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        raise RobenchError(
            f"The model is said to have {num_classes:,} classes; its logits have the shape {tuple(logits.shape)}.",
            hint="Correct `num_classes`, or the names of its classes.",
        )
    return logits


def _without_numbers(output: torch.Tensor) -> tuple[str, str] | None:
    """Return what a tensor is that has no number per element to compute with, and the way out; None of any other."""
    if output.is_meta:
        return "on the meta device, which holds no numbers", "load the weights"
    if output.is_nested:
        return "of nested rows", "call .to_padded_tensor()"
    if output.layout is not torch.strided:
        return f"of layout {output.layout}", "call .to_dense()"
    if output.is_quantized:
        return f"of type {output.dtype}", "call .dequantize()"
    if output.is_complex():
        return f"of type {output.dtype}", "return real numbers"
    return None


def _tensor_of(array: np.ndarray, num_classes: int) -> torch.Tensor:
    """Return a copy of an array as a tensor; PyTorch knows neither other byte orders nor more than 64 bits.

    Raises:
        RobenchError: it holds no real numbers.
    """
    if array.dtype.kind not in "biuf":
        raise RobenchError(
            f"The model must return logits of shape (images, {num_classes}); it returned an array of type"
            f" {array.dtype}.",
            hint="Return the logits as an array of real numbers: float32.",
        )
    kind = np.dtype(np.float64) if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=kind, order="C", subok=False))


def _flat(values: torch.Tensor) -> torch.Tensor:
    while values.ndim > 2 and values.shape[-1] == 1:
        values = values.squeeze(-1)
    return values


def _parts(output: Any) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of a record by name or position."""
    if isinstance(output, Mapping):
        parts: list[tuple[str, Any]] = [(str(name), value) for name, value in output.items()]
    elif isinstance(output, (tuple, list)):
        parts = [(str(position), value) for position, value in enumerate(output)]
    elif is_dataclass(output) and not isinstance(output, type):
        parts = [(one.name, getattr(output, one.name)) for one in fields(output)]
    else:
        parts = list(getattr(output, "__dict__", {}).items())
    yield from ((name, value) for name, value in parts if isinstance(value, (torch.Tensor, np.ndarray)))
