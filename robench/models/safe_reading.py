"""Reading checkpoints without running code from them: tensors and plain data."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from robench.data.magic import looks_like
from robench.errors import RobenchError, first_line

# Unpacked bytes allowed for any archive; beyond that, the allowed multiple of its size in all and per member.
_SMALL = 1 << 26
_TIMES = 20
_TIMES_MEMBER = 100
# Plain data that training codes store with the weights. Little of it is needed: it is read as inert objects.
_PLAIN = """\
pathlib.Path pathlib.PosixPath pathlib.WindowsPath pathlib.PurePath pathlib.PurePosixPath pathlib.PureWindowsPath
pathlib._local.PosixPath pathlib._local.WindowsPath pathlib._local.PurePosixPath pathlib._local.PureWindowsPath
datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone
uuid.UUID decimal.Decimal fractions.Fraction random.Random
builtins.list builtins.dict builtins.int builtins.float builtins.str builtins.bool builtins.tuple builtins.frozenset
builtins.slice builtins.range
numpy.ndarray numpy.dtype numpy.random._pickle.__randomstate_ctor numpy.random._pickle.__generator_ctor
numpy.random._pickle.__bit_generator_ctor numpy.random._mt19937.MT19937 numpy.random._pcg64.PCG64
numpy.core.multiarray.scalar numpy.core.multiarray._reconstruct numpy.core.numeric._frombuffer
numpy._core.multiarray.scalar numpy._core.multiarray._reconstruct numpy._core.numeric._frombuffer
numpy.dtypes.Float64DType numpy.dtypes.Float32DType numpy.dtypes.Int64DType numpy.dtypes.BoolDType
typing.Any omegaconf.dictconfig.DictConfig omegaconf.listconfig.ListConfig omegaconf.base.ContainerMetadata
omegaconf.base.Metadata omegaconf.nodes.AnyNode omegaconf.nodes.StringNode omegaconf.nodes.IntegerNode
omegaconf.nodes.FloatNode omegaconf.nodes.BooleanNode
mmengine.logging.history_buffer.HistoryBuffer
"""
_ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors", ".bin", ".onnx", ".pt2")
# First bytes of what PyTorch writes: archives and pickles.
_PYTORCH = b"P\x80"
_BEGINNING = 512
_KINDS = {
    ".h5": "a Keras model", ".hdf5": "a Keras model", ".keras": "a Keras model", ".pb": "a TensorFlow graph",
    ".tflite": "a TensorFlow Lite model", ".gguf": "a GGUF model", ".mlmodel": "a Core ML model",
    ".msgpack": "a Flax model", ".engine": "a TensorRT engine", ".plan": "a TensorRT engine",
}  # fmt: skip
_MODELS = ((b"TFL3", "a TensorFlow Lite model"), (b"GGUF", "a GGUF model"))
_NAMESPACES = ("argparse.Namespace", "types.SimpleNamespace")
_MAPPINGS = """\
lightning_fabric.utilities.data.AttributeDict lightning_fabric.utilities.parsing.AttributeDict
lightning.fabric.utilities.data.AttributeDict lightning.fabric.utilities.parsing.AttributeDict
pytorch_lightning.utilities.data.AttributeDict pytorch_lightning.utilities.parsing.AttributeDict
mmengine.config.config.ConfigDict yacs.config.CfgNode easydict.EasyDict addict.addict.Dict
"""


class _Inert:
    """Stands for an object of plain data; its contents are dropped."""

    def __new__(cls, *_: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class Options:
    """Stands for a namespace of options, such as ``args`` of a training script.

    Attributes:
        values: the options by name; plain data, as everything else in a checkpoint.
    """

    values: dict[str, Any]

    def __new__(cls, *_: object) -> Options:
        made = super().__new__(cls)
        made.values = {}
        return made

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None:
        self.values = dict(state) if isinstance(state, dict) else {}


def _mapping(*_: object) -> dict[Any, Any]:
    return {}


def _sequence(*_: object) -> list[Any]:
    return []


def read_checkpoint(path: Path) -> Any:
    """Return what a checkpoint holds: tensors in mappings and lists; other plain data as inert objects.

    Raises:
        RobenchError: no such file, not a checkpoint, damaged, or unreadable without running code.
    """
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint=_where_else(str(path)))
    refuse_other_files(path)
    _refuse_program(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _where_else(name: str) -> str:
    """Return the next step where no file has a name: it may be a published model's without its prefix."""
    if re.fullmatch(r"\w+(\.\w+)?", name) and Path(name).suffix not in _ENDINGS:
        import timm

        if timm.is_model(name):
            return f"timm has a model of this name: `model='timm:{name}'`"
    if re.fullmatch(r"[\w-]+/[\w.-]+", name) and not Path(name).suffix:
        return f"Check the path in `model`; a model of the Hugging Face hub is `model='hf:{name}'`"
    return "Check the path in `model`."


def refuse_other_files(path: Path) -> None:
    """Refuse a file whose name or first bytes show that it is not a model of PyTorch; each cause has its message.

    Raises:
        RobenchError: it is empty, a document, an archive of another kind, or another library's model.
    """
    with path.open("rb") as file:
        data = file.read(_BEGINNING)
    if not data:
        raise RobenchError(f"{path} is empty (0 bytes).", hint="Download or save it again.")
    if (kind := _KINDS.get(path.suffix)) or (kind := next((k for start, k in _MODELS if start in data[:8]), None)):
        raise RobenchError(
            f"{path} is {kind}, which robench does not read.",
            hint="Export the model to ONNX, or load it in a custom function: `model='python:FILE.py:FUNCTION'`",
        )
    if path.suffix != ".safetensors" and data[0] in _PYTORCH:
        return
    if (found := looks_like(data)) is not None:
        raise RobenchError(f"{path} is not a model but {found}.", hint="Get the model's own file.")


def _refuse_program(path: Path) -> None:
    """Refuse an archive of ``torch.export.save`` under another name than it is read by."""
    if not zipfile.is_zipfile(path):
        return
    with suppress(zipfile.BadZipFile, OSError, ValueError), zipfile.ZipFile(path) as archive:
        if any(name.endswith("/models/model.json") for name in archive.namelist()):
            raise RobenchError(f"{path} is a torch.export program, not a checkpoint.", hint=f"Name it {path.stem}.pt2.")


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts in the header of a safetensors file; empty of other files."""
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):  # reported when its tensors are read
        return {}


def refuse_bomb(path: Path) -> None:
    """Refuse an archive that would fill the memory when unpacked; PyTorch stores tensors as they are.

    Raises:
        RobenchError: its members unpack to more than 64 MiB and more than 20 times the file's size in all.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    hint = "PyTorch does not write such files. Save the weights again, or download them again."
    for member in members:
        if member.file_size > _SMALL and member.file_size > _TIMES_MEMBER * member.compress_size:
            raise RobenchError(
                f"{path} holds '{member.filename}', {member.compress_size:,} bytes that unpack to"
                f" {member.file_size:,}.",
                hint=hint,
            )
    total, size = sum(member.file_size for member in members), path.stat().st_size
    if total > max(_SMALL, _TIMES * size):
        raise RobenchError(f"{path} has {size:,} bytes, and its members unpack to {total:,}.", hint=hint)


@contextmanager
def tensors_only() -> Iterator[None]:
    """Restrict every ``torch.load`` within, also in other libraries, to tensors: nothing runs code."""
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


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise RobenchError(
            f"{path} is not a safetensors file, or is damaged: {error}", hint="Download or save it again."
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        refuse_bomb(path)
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except RobenchError:
        raise
    except pickle.UnpicklingError as error:
        raise _refuse_code(path, error) from error
    except MemoryError as error:
        raise RobenchError(f"{path} does not fit into memory.", hint="Use a machine with more memory.") from error
    except Exception as error:  # torch raises many kinds for what is not a checkpoint
        raise RobenchError(
            f"{path} is not a PyTorch checkpoint, or is damaged: {first_line(error)}",
            hint="Download or save it again; torch.save(model.state_dict(), ...) and safetensors are understood.",
        ) from error


def _refuse_code(path: Path, error: pickle.UnpicklingError) -> RobenchError:
    if path.suffix == ".py":
        return RobenchError(
            f"{path} is Python source, not a checkpoint.",
            hint=f"Name the function in it that returns the model: python:{path}:FUNCTION.",
        )
    # PyTorch's text begins with how to switch its own guard off.
    named = re.search(r"GLOBAL (\S+)", str(error))
    return RobenchError(
        f"{path} cannot be read without running code from it"
        f" ({f'it holds {named[1]}' if named else 'it holds more than tensors and plain data'}).",
        hint="robench never runs code from a checkpoint. If you trust the file, save the weights alone: "
        "torch.save(model.state_dict(), 'weights.pth').",
    )


def _harmless() -> list[Any]:
    """Return what PyTorch's reader may put in place of names of plain data; nothing is imported."""
    return [
        *((_Inert, name) for name in _PLAIN.split()),
        *((OrderedDict, name) for name in _MAPPINGS.split()),
        *((Options, name) for name in _NAMESPACES),
        (_mapping, "collections.defaultdict"),
        (_sequence, "collections.deque"),
    ]
