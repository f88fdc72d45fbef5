"""Exported networks: ONNX, run by onnxruntime, and torch.export programs."""

from __future__ import annotations

import hashlib
import mmap
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError, first_line
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash

if TYPE_CHECKING:
    from robench.models.request import Request

# How an ONNX file says that a tensor's bytes are in a file beside it: an entry of key "location", then its value.
_LOCATION = re.compile(rb"\x0a\x08location\x12")
_ONNX_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}


def from_export(path: Path, request: Request) -> Model:
    """Load a ``torch.export`` program; see :func:`robench.models.programs.read_program`."""
    from robench.models.programs import read_program

    _check_there(path)
    program = read_program(path)
    shape = program.shape
    return _program(path, program, request, "torch.export", program.num_classes, shape)


def from_onnx(path: Path, request: Request) -> Model:
    """Load an ONNX network, run by onnxruntime.

    Only the CPU and CUDA providers are used: others would load engines (compiled code) that a file names.
    """
    from robench.models.programs import in_batches

    _check_there(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise RobenchError("ONNX networks need onnxruntime.", hint="pip install 'robench[onnx]'") from error
    known = [p for p in onnxruntime.get_available_providers() if p in ("CUDAExecutionProvider", "CPUExecutionProvider")]
    try:
        session = onnxruntime.InferenceSession(str(path), providers=known)
    except Exception as error:  # onnxruntime's own kinds
        raise RobenchError(
            f"{path} is no ONNX network that onnxruntime loads: {first_line(error)}", hint="Export it again."
        ) from error
    entry, output = session.get_inputs(), session.get_outputs()
    if len(entry) != 1 or entry[0].type not in _ONNX_TYPES or not output:
        raise RobenchError(
            f"{path} takes {', '.join(f'{e.name} ({e.type})' for e in entry) or 'nothing'}; expected float images.",
            hint="Export the classifier alone, from normalised images to logits.",
        )
    name, dtype = entry[0].name, _ONNX_TYPES[entry[0].type]
    shape = tuple(side if isinstance(side, int) else None for side in entry[0].shape)
    batch = shape[0] if shape else None

    def once(images: torch.Tensor) -> torch.Tensor:
        logits = session.run(None, {name: images.to(dtype).contiguous().cpu().numpy()})[0]
        return torch.from_numpy(logits).to(images.device)

    def run(images: torch.Tensor) -> torch.Tensor:
        return in_batches(once, images, batch or 1, batch)

    classes = output[0].shape[-1] if output[0].shape else None
    model = _program(path, run, request, "ONNX", classes if isinstance(classes, int) else None, shape)
    return replace(model, hash=_onnx_hash(path))


def _onnx_hash(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, and of those beside it that hold its weights (``w.onnx.data``).

    PyTorch's exporter puts large tensors there: of two trainings of one architecture, ``w.onnx`` may be the same.
    """
    beside = [path.parent / name for name in _external(path)]
    parts = [file_hash(path), *(f"{file.name}|{file_hash(file)}" for file in beside if file.is_file())]
    return parts[0] if len(parts) == 1 else hashlib.sha256("|".join(parts).encode()).hexdigest()


def _external(path: Path) -> list[str]:
    """Return the names of the files that hold tensors of an ONNX network, sorted."""
    names = set()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for found in _LOCATION.finditer(data):
            start, length, shift = found.end(), 0, 0
            while start < len(data) and shift < 28:  # a number in groups of seven bits, the last without the high one
                length |= (data[start] & 0x7F) << shift
                start, shift = start + 1, shift + 7
                if data[start - 1] < 0x80:
                    break
            names.add(data[start : start + length].decode(errors="replace"))
    return sorted(names)


def _program(
    path: Path, module: Any, request: Request, kind: str, classes: int | None, shape: tuple[int | None, ...]
) -> Model:
    found = classes or request.num_classes
    if found is None:
        raise RobenchError(f"How many classes {path} puts out is not known.", hint="Say so with --num-classes.")
    size = (shape[2], shape[3]) if len(shape) == 4 and shape[2] and shape[3] else None
    card = {"format": kind, "file": path.name}
    return Model(path.stem, module, found, Preprocessing(input_size=size), file_hash(path), card)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path of --model.")
