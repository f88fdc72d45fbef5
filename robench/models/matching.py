"""Matching the names of weights to an architecture's: wrappers, prefixes, separate backbone and head.

Names are compared as paths. What PyTorch's wrappers add is removed wherever it occurs. Then the network is looked for
under one prefix (``backbone.``, ``model.net.``...). Missing parts may be under another prefix if their names end the
same way, or if a single layer of the same shapes is left on both sides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from robench.models.keymaps import nearest
from robench.models.normalisers import find_normalisation

State = dict[str, torch.Tensor]

# Wrappers of PyTorch: FSDP, torch.compile, DataParallel and DDP, activation checkpoints.
_WRAPPERS = ("_fsdp_wrapped_module", "_orig_mod", "_checkpoint_wrapped_module", "module")
# Prefixes that training codes give to the network and to an average of it.
_PREFIXES = ("module.", "model.", "net.", "network.", "backbone.", "ema_model.")
# Other tensors of a Lightning module or an AveragedModel.
_STRAYS = re.compile(r"n_averaged$|(\w*_)?(criterion|loss|losses|loss_fn|metric|metrics|accuracy)(_\w+)?\.")
_COUNTER = "num_batches_tracked"
_DEEPEST = 4


@dataclass(frozen=True)
class Match:
    """The weights of an architecture within a checkpoint.

    Args:
        state: the network's tensors, under its own names or those of a key map.
        rest: other tensors of the checkpoint, by their names without wrappers.
        taken_off: the prefix of the names, and those of parts found elsewhere.
        others: prefixes under which there is another complete network of this architecture.
        fitting: number of the architecture's names found, and their total.
    """

    state: State
    rest: State
    taken_off: tuple[str, ...]
    others: tuple[str, ...]
    fitting: tuple[int, int]


def match(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> Match:
    """Find the weights of an architecture in a checkpoint.

    Args:
        state: names and tensors in the file.
        wanted: names and tensors of the architecture.
    """
    needed = {name for name in wanted if not name.endswith(_COUNTER)} - left_out(state, wanted)
    plain = unwrap(state, needed)
    found = {prefix: _under(plain, prefix) for prefix in _candidates(plain, len(needed) // 2)}
    counts = {prefix: _count(part, wanted, needed) for prefix, part in found.items()}
    best = max(counts, key=lambda prefix: (counts[prefix], -len(prefix)))
    part, rest = found[best], {name: tensor for name, tensor in plain.items() if not name.startswith(best)}
    places, others = [best], []
    if counts[best] == len(needed):
        whole = [prefix for prefix, count in counts.items() if count == len(needed) and prefix != best]
        others = [prefix for prefix in whole if not best.startswith(prefix) and not _same(found[prefix], part)]
    elif 2 * counts[best] >= len(needed) and rest:
        part, rest, places = _complete(part, rest, wanted, needed, best)
    strays = {name: tensor for name, tensor in part.items() if name not in needed and _STRAYS.match(name)}
    normalisation = find_normalisation({name: tensor for name, tensor in part.items() if name not in needed})
    strays |= {name: part[name] for name in normalisation.names} if normalisation is not None else {}
    part = {name: tensor for name, tensor in part.items() if name not in strays}
    taken_off = tuple(place for place in places if place)
    return Match(part, rest | strays, taken_off, tuple(others), (_count(part, wanted, needed), len(needed)))


def unwrap(state: Mapping[str, torch.Tensor], needed: Collection[str] = ()) -> State:
    """Remove what wrappers add to names, wherever it occurs, unless the architecture has such names itself.

    >>> list(unwrap({"_fsdp_wrapped_module.layer._orig_mod.weight": torch.zeros(1)}))
    ['layer.weight']
    """
    own = {part for name in needed for part in name.split(".")}
    wrappers = [part for part in _WRAPPERS if part not in own]
    names = {name: ".".join(part for part in name.split(".") if part not in wrappers) for name in state}
    if len(set(names.values())) < len(names):  # two names became one: an average next to the network, for instance
        return dict(state)
    return {names[name]: tensor for name, tensor in state.items()}


def left_out(names: Collection[str], wanted: Mapping[str, torch.Tensor]) -> set[str]:
    """Return the architecture's names that a file lacks because another of its names is of the same tensor.

    Libraries that write safetensors keep one name of tensors that share their memory.

    Args:
        names: in the file, with or without a prefix.
        wanted: names and tensors of the architecture.
    """
    shared: dict[tuple[Any, ...], list[str]] = {}
    for name, tensor in wanted.items():
        if tensor.numel() and not tensor.is_meta and tensor.layout == torch.strided:
            shared.setdefault((tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()), []).append(name)
    found: set[str] = set()
    for group in shared.values():
        if len(group) > 1:
            ends = {name: f".{name}" for name in group}
            there = {name for name in group if any(one == name or one.endswith(ends[name]) for one in names)}
            found |= set(group) - there if there else set()
    return found


def strip_prefixes(state: Mapping[str, torch.Tensor]) -> State:
    """Remove wrappers and usual prefixes that all names share, for an unknown architecture."""
    found = unwrap(state)
    while found:
        plain = {name: tensor for name, tensor in found.items() if not _STRAYS.match(name)}
        prefix = next((p for p in _PREFIXES if plain and all(name.startswith(p) for name in plain)), None)
        if prefix is None:
            break
        found = _under(plain, prefix)
    return found


def _candidates(state: State, least: int) -> list[str]:
    """Return the prefixes of at least so many names, the shortest first."""
    counts: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")[:-1]
        counts.update(".".join(parts[:depth]) + "." for depth in range(1, min(len(parts), _DEEPEST) + 1))
    return ["", *sorted((prefix for prefix, count in counts.items() if count >= max(least, 1)), key=len)]


def _under(state: State, prefix: str) -> State:
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}


def _count(state: State, wanted: Mapping[str, torch.Tensor], needed: Collection[str]) -> int:
    return sum(name in needed for name in nearest(state, wanted))


def _same(one: State, other: State) -> bool:
    """Return whether two networks are the same, such as a module registered twice."""
    return all(name in one and torch.equal(one[name], tensor) for name, tensor in other.items())


def _complete(
    part: State, rest: State, wanted: Mapping[str, torch.Tensor], needed: Collection[str], best: str
) -> tuple[State, State, list[str]]:
    """Find missing parts under other prefixes; return the network, the remaining tensors and the prefixes."""
    found, left, places = dict(nearest(part, wanted)), dict(rest), [best]
    for name in [name for name in needed if name not in found]:
        ends = [other for other in left if other.endswith(f".{name}") and left[other].shape == wanted[name].shape]
        if len(ends) == 1:
            found[name] = left.pop(ends[0])
            places.append(ends[0][: -len(name)])
    layers, spare = _layers([name for name in needed if name not in found]), _layers(left)
    fitting = [
        layer
        for layer, leaves in spare.items()
        for missing, wanted_leaves in layers.items()
        if leaves == wanted_leaves
        and all(left[f"{layer}{leaf}"].shape == wanted[f"{missing}{leaf}"].shape for leaf in leaves)
    ]
    if len(layers) == 1 and len(fitting) == 1:
        ((missing, leaves),) = layers.items()
        for leaf in leaves:
            found[f"{missing}{leaf}"] = left.pop(f"{fitting[0]}{leaf}")
        places.append(fitting[0])
    return found, left, list(dict.fromkeys(places))


def _layers(names: Collection[str]) -> dict[str, frozenset[str]]:
    """Group names by layer: ``head.`` -> {weight, bias}."""
    found: dict[str, set[str]] = {}
    for name in names:
        layer, dot, leaf = name.rpartition(".")
        found.setdefault(layer + dot, set()).add(leaf)
    return {layer: frozenset(leaves) for layer, leaves in found.items()}
