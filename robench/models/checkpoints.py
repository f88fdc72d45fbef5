"""Reading weights without running code from the file: state dicts in all the wrappings that training codes make."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from robench.errors import RobenchError, first_line

State = dict[str, torch.Tensor]

# Where common training codes keep the weights, and the averaged ones.
_WEIGHTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "ema", "model_ema_state_dict", "teacher")
# In one row with the others, by their names.
_AVERAGED_PREFIXES = ("model_ema.", "ema_model.", "ema.", "averaged_model.")
# What stands beside a network's weights in a Lightning module or an AveragedModel.
_STRAYS = re.compile(r"n_averaged$|(\w*_)?(criterion|loss|losses|loss_fn|metric|metrics|accuracy)(_\w+)?\.")
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "ema_model.")


def read_state(path: Path, *, ema: bool = False) -> State:
    """Return the tensors of a checkpoint by plain names: :func:`read_tensors`, then :func:`strip_prefixes`.

    Raises:
        RobenchError: as :func:`read_tensors`.
    """
    return strip_prefixes(read_tensors(path, ema=ema))


def read_tensors(path: Path, *, ema: bool = False) -> State:
    """Return the tensors of a checkpoint by the names that they have there; wrappings are opened.

    With ``ema`` the averaged weights are taken where there are any.

    Raises:
        RobenchError: no such file, not a checkpoint, damaged, or one that would have to run code to be read.
    """
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path of --model.")
    document = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _find_state(document, path, ema=ema)


def strip_prefixes(state: Mapping[str, torch.Tensor], wanted: Collection[str] = ()) -> State:
    """Take off prefixes of DataParallel, torch.compile and Lightning, as long as all names have them.

    Args:
        state: names and tensors, as the file has them.
        wanted: names in the architecture, where it is known. Nothing more is taken off once they are all there: a
            network of somebody's own may keep everything under ``model.`` or ``backbone.`` itself.
    """
    found = dict(state)
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    while found:
        plain = {name: tensor for name, tensor in found.items() if name in needed or not _STRAYS.match(name)}
        if needed and needed <= set(found):
            return plain
        prefix = next((p for p in _PREFIXES if plain and all(name.startswith(p) for name in plain)), None)
        if prefix is None:
            break
        found = {name[len(prefix) :]: tensor for name, tensor in plain.items()}
    return found


def weights_hash(architecture: str, state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over architecture, names, types, shapes and bytes: the same in whatever container."""
    digest = hashlib.sha256(architecture.encode())
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def refuse_bomb(path: Path) -> None:
    """Refuse an archive with a member that would fill the memory when unpacked; PyTorch stores tensors as they are.

    Raises:
        RobenchError: a member of more than 64 MiB is packed to less than a hundredth.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > 1 << 26 and member.file_size > 100 * member.compress_size:
                raise RobenchError(
                    f"{path} holds '{member.filename}', {member.compress_size:,} bytes that unpack to"
                    f" {member.file_size:,}.",
                    hint="PyTorch does not write such files. Save the weights again, or have them sent again.",
                )


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    from robench.files import sha256

    return sha256(path)


@contextmanager
def tensors_only() -> Iterator[None]:
    """Let every ``torch.load`` of other libraries within read tensors and nothing that would run code."""
    names = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ[names[0]] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _read_safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RobenchError(
            f"{path} is no safetensors file, or damaged: {error}", hint="Fetch or save it again."
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        refuse_bomb(path)
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except RobenchError:
        raise
    except pickle.UnpicklingError as error:
        if path.suffix == ".py":
            raise RobenchError(
                f"{path} is a program, no file of weights.",
                hint=f"Name the function in it that returns the model: python:{path}:FUNCTION.",
            ) from error
        # PyTorch's text begins with how to switch its own guard off.
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise RobenchError(
            f"{path} cannot be read without running code from it"
            f" ({f'it holds {named[1]}' if named else 'it holds more than tensors and plain data'}).",
            hint="robench never runs code from a checkpoint. Save the weights alone, where you trust the file: "
            "torch.save(model.state_dict(), 'weights.pth').",
        ) from error
    except Exception as error:  # torch raises many kinds for what is no checkpoint
        raise RobenchError(
            f"{path} is no PyTorch checkpoint, or damaged: {first_line(error)}",
            hint="Fetch or save it again; torch.save(model.state_dict(), ...) or safetensors are understood.",
        ) from error


def _harmless() -> list[Any]:
    """Return classes of plain data that checkpoints hold beside tensors: options, best scores, paths."""
    import argparse

    import numpy as np

    numbers = [getattr(np.dtypes, name) for name in ("Float64DType", "Float32DType", "Int64DType", "BoolDType")]
    scalar = np.float64(0).__reduce__()[0]
    lightning = ("lightning_fabric", "lightning.fabric", "pytorch_lightning")
    return [
        argparse.Namespace,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *numbers,
        *(
            (OrderedDict, f"{package}.utilities.{home}.AttributeDict")
            for package in lightning
            for home in ("data", "parsing")
        ),
    ]


def _find_state(document: Any, path: Path, *, ema: bool) -> State:
    if ema:
        document = _find_averaged(document, depth=4)
        if not document:
            raise RobenchError(f"{path} holds no averaged weights.", hint="Leave --ema away to take its usual ones.")
    keys = (*_WEIGHTS, *_AVERAGED)
    for _ in range(3):  # wrappings within wrappings
        if isinstance(document, Mapping):
            if document and all(isinstance(value, torch.Tensor) for value in document.values()):
                state = {str(name): tensor for name, tensor in document.items()}
                return {n: t for n, t in state.items() if not n.startswith(_AVERAGED_PREFIXES)} or state
            inner = next((document[key] for key in keys if isinstance(document.get(key), Mapping)), None)
            if inner is not None:
                document = inner
                continue
            tensors = {str(name): value for name, value in document.items() if isinstance(value, torch.Tensor)}
            if tensors:
                return tensors
        break
    found = ", ".join(map(str, list(document)[:6])) if isinstance(document, Mapping) else type(document).__name__
    raise RobenchError(
        f"{path} holds no weights that robench finds (found: {found or 'nothing'}).",
        hint="Expected a state dict, or one under " + ", ".join(_WEIGHTS[:4]) + ".",
    )


def _find_averaged(document: Any, depth: int) -> Mapping[str, Any] | None:
    """Return the averaged weights somewhere in a checkpoint (Lightning keeps a callback's deep inside), or None."""
    if not isinstance(document, Mapping) or depth == 0:
        return None
    inner = next((document[key] for key in _AVERAGED if isinstance(document.get(key), Mapping)), None)
    if inner is not None:
        return inner
    for prefix in _AVERAGED_PREFIXES:
        state = {n[len(prefix) :]: t for n, t in document.items() if isinstance(n, str) and n.startswith(prefix)}
        if state:
            return state
    deeper = (_find_averaged(value, depth - 1) for value in document.values())
    return next((found for found in deeper if found), None)
