"""Finding the network in a checkpoint, whatever wrapping the training code used, and without guessing.

The rule: the network under a usual name (``state_dict``, ``model``, ``net``...) is taken, with ``ema=True`` the
averaged one, with a key any other. If that leaves several, an error lists them. The card records which one was taken
and which others are in the file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robench.errors import RobenchError
from robench.files import digest
from robench.models.safe_reading import read_checkpoint

State = dict[str, torch.Tensor]

# Keys under which common training codes store the weights, and the averaged ones.
_WEIGHTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
_AVERAGED = re.compile(r"(^|_)(ema|swa|avg|averaged?|shadow|teacher)(_|$)")
# Averaged weights stored alongside the others in one mapping.
_AVERAGED_PREFIXES = ("model_ema.", "ema_model.", "ema.", "averaged_model.")
_NO_NETWORK = re.compile(r"optim|sched|loss|criterion|scaler|rng|grad|momentum_buffer|hyper_parameters|args|config|cfg")
_DEPTH = 5


@dataclass(frozen=True)
class Weights:
    """The tensors of one network of a checkpoint.

    Args:
        state: tensors by their names in the file.
        key: their place in the file, such as ``state_dict`` or ``callbacks.EMA.ema_state_dict``; empty: the top level.
        beside: other networks in the file.
        averaged: whether they are an average over the training.
        document: all that the file holds.
    """

    state: State
    key: str = ""
    beside: tuple[str, ...] = ()
    averaged: bool = False
    document: Any = field(default=None, repr=False)

    def record(self) -> dict[str, Any]:
        """Return what a model's card records about the choice."""
        found: dict[str, Any] = {"key": self.key} if self.key else {}
        if self.beside:
            found["beside"] = list(self.beside)
        return found | ({"ema": True} if self.averaged else {})


@dataclass(frozen=True)
class _Network:
    path: tuple[str, ...]
    state: State = field(repr=False)

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def averaged(self) -> bool:
        return any(_AVERAGED.search(part) for part in self.path)

    @property
    def usual(self) -> bool:
        return all(part in _WEIGHTS for part in self.path)


def read_weights(path: Path, *, ema: bool = False, key: str | None = None) -> Weights:
    """Return the one network of a checkpoint.

    Args:
        path: a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file.
        ema: take the averaged weights.
        key: which network to take, by its name in the file (``student``, ``state_dict.generator``).

    Raises:
        RobenchError: both ways to choose; as :func:`robench.models.safe_reading.read_checkpoint`; no weights, no such
            key, or several networks and none under a usual name.
    """
    if ema and key is not None:
        raise RobenchError(
            f"`ema` would be ignored, as '?key={key}' names the network of {path}.", hint="Use only one of them."
        )
    document = read_checkpoint(path)
    found = list(_networks(document, (), _is_network)) or list(_networks(document, (), bool))
    if not found:
        inside = ", ".join(map(str, list(document)[:6])) if isinstance(document, Mapping) else type(document).__name__
        raise RobenchError(
            f"{path} holds no weights that robench recognises (found: {inside or 'nothing'}).",
            hint="Expected a state dict, or one under " + ", ".join(_WEIGHTS[:4]) + ".",
        )
    chosen = _by_key(found, key, path) if key is not None else _by_rule(found, ema, path)
    beside = tuple(one.key for one in found if chosen.path[: len(one.path)] != one.path)
    return Weights(chosen.state, chosen.key, beside, ema, document)


def weights_hash(architecture: str, state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over architecture, names, types, shapes and bytes: independent of the file format.

    >>> weights_hash("tiny", {"weight": torch.zeros(2)})[:16]
    '4bfd5735e973f0ec'
    """
    digest = hashlib.sha256(architecture.encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def network_hash(
    kind: str,
    network: nn.Module,
    settings: Mapping[str, Any] | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
) -> str:
    """Return the SHA-256 over a network's weights and how it is built.

    Networks of one class may have the same weights and other activations, strides or epsilons: what a network prints of
    its layers is part of the hash.

    Args:
        kind: what it is loaded by, such as ``timm``.
        network: how it is built counts.
        settings: of its configuration, where it has one: what its layers do not print.
        state: the weights that count; None: all of its state dict.

    >>> first, second = (nn.Sequential(nn.Linear(2, 2), one) for one in (nn.ReLU(), nn.GELU()))
    >>> _ = second.load_state_dict(first.state_dict())
    >>> network_hash("here", first) == network_hash("here", second)
    False
    """
    printed = re.sub(r" at 0x[0-9a-f]+", "", repr(network))
    built = digest({"kind": kind, "network": printed, "settings": settings})
    weights = network.state_dict() if state is None else state
    return weights_hash(f"{kind}:{type(network).__name__}:{built}", weights)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    from robench.files import sha256

    return sha256(path)


def _networks(document: Any, path: tuple[str, ...], accepted: Callable[[State], bool]) -> Iterator[_Network]:
    """Yield all networks in a document; averaged weights stored alongside others count as a network."""
    if not isinstance(document, Mapping) or len(path) > _DEPTH:
        return
    tensors = {str(name): value for name, value in document.items() if isinstance(value, torch.Tensor)}
    if accepted(tensors):
        yield from _apart(tensors, path)
        return
    for name, value in document.items():
        if isinstance(name, str) and (name in _WEIGHTS or not _NO_NETWORK.search(name.lower())):
            yield from _networks(value, (*path, name), accepted)


def _is_network(tensors: State) -> bool:
    """Return whether tensors include weights of layers, not only statistics, scores or optimiser state."""
    return any(name.endswith("weight") and tensor.ndim >= 2 for name, tensor in tensors.items())


def _apart(tensors: State, path: tuple[str, ...]) -> Iterator[_Network]:
    rest = {name: tensor for name, tensor in tensors.items() if not name.startswith(_AVERAGED_PREFIXES)}
    if len(rest) == len(tensors) or not rest:
        yield _Network(path, tensors)
        return
    if any(tensor.numel() > 1 for tensor in rest.values()):  # not only counters of an average
        yield _Network(path, rest)
    for prefix in _AVERAGED_PREFIXES:
        state = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        if state:
            yield _Network((*path, "model_ema"), state)


def _by_rule(found: list[_Network], ema: bool, path: Path) -> _Network:
    wanted = [one for one in found if one.averaged] if ema else [one for one in found if one.usual]
    if ema and not wanted:
        raise RobenchError(f"{path} holds no averaged weights.", hint="Omit `ema` to load its usual weights.")
    wanted = wanted or found
    if all(_equal(one.state, wanted[0].state) for one in wanted):
        return wanted[0]
    raise _several(wanted, path)


def _equal(one: State, other: State) -> bool:
    return one is other or (one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one))


def _by_key(found: list[_Network], key: str, path: Path) -> _Network:
    named = [one for one in found if one.key == key] or [one for one in found if one.path and one.path[-1] == key]
    if len(named) == 1:
        return named[0]
    for one in found:  # several networks in one mapping, by prefix
        lead = key.removeprefix(f"{one.key}.") if one.key else key
        places = [prefix for prefix in ("", "module.", "_orig_mod.", "model.") if _under(one.state, f"{prefix}{lead}.")]
        if places:
            return _Network((*one.path, lead), _under(one.state, f"{places[0]}{lead}."))
    raise _several(named or found, path, f"{path} has no network under '{key}'.")


def _under(state: State, prefix: str) -> State:
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def _several(found: list[_Network], path: Path, what: str | None = None) -> RobenchError:
    keys = [one.key or "(the top)" for one in found]
    shown = ", ".join(keys[:8]) + (f" and {len(keys) - 8} more" if len(keys) > 8 else "")
    return RobenchError(
        what or f"{path} holds {len(keys)} networks: {shown}.",
        hint=f"Choose one by its name: '{path}?key={keys[-1]}' (in quotes)."
        + (f" There are: {shown}." if what else ""),
    )
