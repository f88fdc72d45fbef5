"""TorchScript files, checked before loading: their programs can write files, some already while they are loaded.

``torch.jit.load`` runs a class's ``__setstate__``, and a TorchScript program may call operators that read and write
files (``torch.save``, ``torch.from_file``, torchvision's ``image.write_file``) or other machines (``rpc``). So the
sources in the archive are searched for whatever is not arithmetic on tensors, and what was searched is what is loaded.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import torch

from robench.errors import RobenchError
from robench.models.safe_reading import refuse_bomb

_DAMAGED = (
    zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, KeyError, NotImplementedError, MemoryError,
    zlib.error, struct.error,
)  # fmt: skip
# Names of operators that reach out of the program, wherever they stand: tensors have operators as methods, too.
_REACHING_OUT = re.compile(
    r"\b(save|load|from_file|read_file|write_file|rpc_\w+|PythonOp|IgnoredPythonOp|fork|awaitable)\b"
)
_NAMESPACES = re.compile(r"(?<![\w.])ops\b(?!\.(?:aten|prim|quantized|torchvision)\.\w)")
_BARE = re.compile(r"(?<![\w.])torch\b(?!\.[A-Za-z_])")
_NESTED = re.compile(r"(?<![\w.])torch\.(?!backends\.mha\.get_fastpath_enabled\b)\w+\s*\.")
_CLASSES = re.compile(r"\btorch\s*\.\s*classes\b(?!\.quantized\b)")
# Other spellings of a name within a string (for getattr): escapes by number, and strings that are put together.
_ESCAPES = re.compile(r"\\[^nrt'\"\\]")
_JOINED = re.compile(r"[\"']\s*[\"']")


def is_torchscript(path: Path) -> bool:
    """Return whether a file is an archive with the parts that TorchScript has."""
    if path.suffix == ".safetensors":
        return False
    try:
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("constants.pkl") for name in archive.namelist())
    except _DAMAGED:  # reported when it is read as a checkpoint
        return False


def load_torchscript(path: Path) -> torch.jit.ScriptModule:
    """Load a TorchScript program that does nothing but compute.

    Raises:
        RobenchError: it is damaged, or calls something that reaches out of the program.
    """
    try:
        refuse_bomb(path)
        checked = _checked_copy(path)
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            return torch.jit.load(checked, map_location="cpu")
    except _DAMAGED as error:
        lines = str(error).strip().splitlines()
        reason = lines[-1][:200] if lines else type(error).__name__
        raise RobenchError(
            f"{path} is a TorchScript file that could not be loaded: {reason}",
            hint="Save it again, or export the model with torch.export.save.",
        ) from error


def _checked_copy(path: Path) -> io.BytesIO:
    """Return the archive written anew from the members that were checked, so that no other reading of it counts."""
    copy, seen = io.BytesIO(), set()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as clean:
        for member in archive.infolist():
            # The other reader does not tell upper from lower case.
            name = member.filename.lower()
            if name in seen:
                raise _refuse(path, f"has two members '{member.filename}'")
            seen.add(name)
            data = archive.read(member)
            if name.endswith(".py"):
                _check_source(path, member.filename, data)
            elif name.endswith(".pkl") and re.search(rb"torch\.classes\.(?!quantized\b)", data):
                raise _refuse(path, f"holds objects of other classes than tensors ({member.filename})")
            clean.writestr(member.filename, data)
    copy.seek(0)
    return copy


def _check_source(path: Path, member: str, data: bytes) -> None:
    try:
        source = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise _refuse(path, f"has a source that is not ASCII ({member})") from error
    for text in (source, _JOINED.sub("", source)):
        for pattern in (_REACHING_OUT, _NAMESPACES, _BARE, _NESTED, _CLASSES, _ESCAPES):
            if found := pattern.search(text):
                line = text[text.rfind("\n", 0, found.start()) + 1 :].split("\n", 1)[0].strip()
                raise _refuse(path, f"does more than compute: '{line[:100]}' ({member})")


def _refuse(path: Path, what: str) -> RobenchError:
    return RobenchError(
        f"{path} {what}: robench runs nothing but arithmetic on tensors from a file.",
        hint="Export the model with torch.export.save, or, if you trust the file, call torch.jit.load in a custom"
        " function: `model='python:FILE.py:FUNCTION'`",
    )
