"""Loading weights into an architecture, and explaining what is wrong if they do not fit."""

from __future__ import annotations

import torch
from torch import nn

from robench.errors import RobenchError
from robench.models.checkpoints import State
from robench.models.keymaps import translate
from robench.models.matching import Match, left_out

_CANDIDATES = (
    "wrn-10-1", "wrn-16-4", "wrn-28-2", "wrn-28-10", "wrn-40-2", "resnet-18", "resnet-20", "resnet-32", "resnet-44",
    "resnet-56", "resnet-110", "resnext-29", "resnext-29-4x32", "densenet-bc-100-12", "densenet-40-12", "allconv",
)  # fmt: skip


def fit(module: nn.Module, state: State, architecture: str, source: str, *, found: Match | None = None) -> None:
    """Load ``state`` into ``module``.

    Args:
        module: the network; its weights are replaced.
        state: names and tensors.
        architecture, source: what messages call the network and the file.
        found: how the names were matched, if they are not the file's own.

    Raises:
        RobenchError: keys, shapes or kinds of numbers differ; the message names some and says what the file looks like.
    """
    wanted = module.state_dict()
    if _pads_otherwise(state, architecture) and "_conv_stem.weight" not in wanted:
        raise _misfit(state, architecture, source, [], [name for name in state if name not in wanted], found)
    given = {name: tensor for name, tensor in translate(state, wanted).items() if not _is_counter(name, wanted)}
    spare = left_out(given, wanted)
    missing = [n for n in wanted if n not in given and n not in spare and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    if missing or unexpected:
        raise _misfit(state, architecture, source, missing, unexpected, found)
    wrong = [n for n, t in given.items() if t.shape != wanted[n].shape]
    if wrong:
        raise _wrong_shapes(state, architecture, source, wrong, given, wanted)
    odd = [n for n, t in given.items() if not _plain(t, wanted[n])]
    if odd:
        kinds = {str(given[n].dtype).removeprefix("torch.") for n in odd}
        raise RobenchError(
            f"The weights in {source} are {', '.join(sorted(kinds))} ({_some(odd)}), which {architecture} cannot take.",
            hint="Quantised, sparse or complex weights need code that knows them: `model='python:FILE.py:FUNCTION'`",
        )
    module.load_state_dict(given, strict=False)


def looks_like(state: State) -> str | None:
    """Return the name of a built-in architecture whose weights have these names and shapes, or None."""
    from robench.models.architectures import build

    classes = next((len(t) for name, t in reversed(list(state.items())) if name.endswith("bias")), 10)
    for name in _CANDIDATES:
        with torch.device("meta"):
            try:
                wanted = build(name, classes).state_dict()
            except RobenchError:
                continue
        shapes = {n: t.shape for n, t in wanted.items() if not n.endswith("num_batches_tracked")}
        found = {n: t.shape for n, t in translate(state, wanted).items() if not n.endswith("num_batches_tracked")}
        if shapes == found:
            return name
    return None


def _plain(tensor: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Return whether a tensor can be copied into another without changing meaning: integers may be quantised codes."""
    dense = tensor.layout == torch.strided and not tensor.is_meta and not tensor.is_quantized
    return dense and (tensor.is_floating_point() or not wanted.is_floating_point())


def _pads_otherwise(state: State, architecture: str) -> bool:
    """Return whether weights are efficientnet_pytorch's, which pads as TensorFlow does, and the network does not."""
    return any(name.startswith("_blocks.") for name in state) and "tf_efficientnet" not in architecture


def _is_counter(name: str, wanted: dict[str, torch.Tensor]) -> bool:
    return name.endswith("num_batches_tracked") and name not in wanted


def _misfit(
    state: State, architecture: str, source: str, missing: list[str], unexpected: list[str], found: Match | None
) -> RobenchError:
    parts = [f"The weights in {source} do not fit {architecture}."]
    if found is not None and found.taken_off and found.fitting[0] > 0:
        off = " and ".join(f"'{prefix}'" for prefix in found.taken_off)
        parts.append(f"After taking off {off}, {found.fitting[0]} of {found.fitting[1]} names fit.")
        unexpected = [*unexpected, *found.rest]
    if missing:
        parts.append(f"Missing: {_some(missing)}.")
    if unexpected:
        parts.append(f"Not expected: {_some(unexpected)}.")
    return RobenchError(" ".join(parts), hint=_suggestion(state, architecture))


def _wrong_shapes(
    state: State, architecture: str, source: str, wrong: list[str], given: State, wanted: State
) -> RobenchError:
    shown = ", ".join(f"{n} is {tuple(given[n].shape)}, expected {tuple(wanted[n].shape)}" for n in wrong[:3])
    only_head = all(len(given[n].shape) in (1, 2) for n in wrong) and len(wrong) <= 2
    if only_head:
        classes = given[wrong[0]].shape[0]
        return RobenchError(
            f"The weights in {source} are for {classes} classes, not {wanted[wrong[0]].shape[0]} ({shown}).",
            hint=f"Choose the suite of the model's classes, or give `num_classes={classes}` if that is meant.",
        )
    return RobenchError(
        f"The weights in {source} do not fit {architecture}: {shown}.", hint=_suggestion(state, architecture)
    )


def _suggestion(state: State, architecture: str) -> str:
    if any(name.rpartition(".")[2] == "_flat_param" for name in state):
        return "They are FSDP's flattened parameters. Save them whole: StateDictType.FULL_STATE_DICT."
    if _pads_otherwise(state, architecture):
        return (
            "They look like efficientnet_pytorch's: try `arch='timm:tf_efficientnet_b0'` (to b8, or _lite0 to _lite4)."
        )
    name = looks_like(state)
    if name is not None and name != architecture:
        return f"They look like {name}: try `arch='{name}'`."
    return (
        "Give the architecture it was trained with: one of `robench models list`, a timm or torchvision name, or "
        "python:FILE:FUNCTION that builds it."
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
