"""ONNX networks, run by onnxruntime: their input and its layout, their output, and their hash."""

from __future__ import annotations

import hashlib
import math
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError, first_line
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash
from robench.models.inputs import in_batches, in_grey_levels, is_channels_last, refuse_normalisation
from robench.models.normalisers import HIGHEST_MEAN
from robench.models.outputs import logits_of
from robench.models.safe_reading import refuse_other_files

if TYPE_CHECKING:
    from robench.models.request import Request

# An ONNX file refers to tensors in another file by an entry with the key "location", followed by its value.
_LOCATION = re.compile(rb"\x0a\x08location\x12")
_FLOATS = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}
_TYPES = _FLOATS | {"tensor(uint8)": torch.uint8}
_NAME = "logits"
_KEEPING = ("Cast", "Transpose", "Div", "Mul", "Identity")
_SCALING = ("Div", "Mul")


@dataclass(frozen=True)
class _Images:
    """A network's input.

    Args:
        name: of the input.
        dtype: float images are normalised; uint8 images are pixels from 0 to 255, which the network normalises itself.
        shape: as in the file, None for variable sides.
        channels_last: whether it is (n, H, W, 3).
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int | None, ...]
    channels_last: bool

    @property
    def side(self) -> tuple[int, int] | None:
        """The height and width that it needs, None if they may vary."""
        if len(self.shape) != 4:
            return None
        height, width = self.shape[1:3] if self.channels_last else self.shape[2:]
        return (height, width) if height and width else None

    def prepare(self, images: torch.Tensor) -> Any:
        """Return float images (n, 3, H, W) as an array that the network takes."""
        if self.channels_last:
            images = images.permute(0, 2, 3, 1)
        images = in_grey_levels(images) if self.dtype == torch.uint8 else images.to(self.dtype)
        return images.contiguous().cpu().numpy()


def from_onnx(path: Path, request: Request) -> Model:
    """Load an ONNX network, run by onnxruntime.

    Only the CPU and CUDA providers are used: others would load compiled code named in the file.

    Raises:
        RobenchError: not a network of images, several outputs and none known to be the logits, or a normalisation given
            for a network that takes uint8 images.
    """
    session = _open(path)
    images = _images(session, path)
    pixels = images.dtype == torch.uint8
    if pixels:
        refuse_normalisation(path, request)
    output, others = _output(session, path, request.key)
    classes = _classes(output.shape) or request.num_classes
    if classes is None:
        raise RobenchError(f"The number of classes of {path} is not known.", hint="Give `num_classes`.")
    card: dict[str, Any] = {"format": "ONNX", "file": path.name}
    if others:
        card |= {"key": output.name, "beside": others}
    if images.channels_last:
        card["layout"] = "NHWC"
    preprocessing = Preprocessing(input_size=images.side, origin="file" if pixels else "default")
    if (inside := _subtracted(path, images.name)) is not None:
        card["normalises"] = inside.name
        if inside.of_grey_levels and not pixels:
            preprocessing = replace(preprocessing, std=(1 / 255,) * 3, origin="file")
    return Model(
        path.stem + (f"-{request.key}" if request.key else ""),
        _runner(session, images, output.name, classes),
        classes,
        preprocessing,
        _hash(path, output.name if others else ""),
        card,
    )


@dataclass(frozen=True)
class _Mean:
    """Three numbers that a network takes off its images.

    Args:
        name: of the tensor.
        of_grey_levels: whether they are of pixels from 0 to 255, and nothing changes the images' range before.
    """

    name: str
    of_grey_levels: bool


def _subtracted(path: Path, images: str) -> _Mean | None:
    """Return the three numbers that a network takes off its images first; None where that is not seen.

    It is not seen without the package ``onnx``.
    """
    try:
        import onnx

        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception:  # not installed, or a file that only onnxruntime reads
        return None
    three = {one.name: one for one in graph.initializer if math.prod(one.dims) == 3}
    constants = [node for node in graph.node if node.op_type == "Constant"]
    three |= {
        node.output[0]: one.t
        for node in constants
        for one in node.attribute
        if one.HasField("t") and math.prod(one.t.dims) == 3
    }
    same, scaled = {images}, False  # the images, and what only changes their type, order or range
    for node in graph.node:
        if not any(name in same for name in node.input):
            continue
        if node.op_type == "Sub" and (taken := next((n for n in node.input if n in three), None)):
            return _Mean(taken, not scaled and _highest(three[taken]) > HIGHEST_MEAN)
        if node.op_type in _KEEPING:
            same.update(node.output)
            scaled |= node.op_type in _SCALING
    return None


def _highest(tensor: Any) -> float:
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        return 0.0
    return float(numpy_helper.to_array(tensor).max())


def _open(path: Path) -> Any:
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path in `model`.")
    refuse_other_files(path)
    try:
        import onnxruntime
    except ImportError as error:
        raise RobenchError("ONNX networks need onnxruntime.", hint="pip install 'robench[onnx]'") from error
    known = [p for p in onnxruntime.get_available_providers() if p in ("CUDAExecutionProvider", "CPUExecutionProvider")]
    try:
        quiet = onnxruntime.SessionOptions()
        quiet.log_severity_level = 4  # what matters is raised
        return onnxruntime.InferenceSession(str(path), quiet, providers=known, enable_fallback=0)
    except Exception as error:  # onnxruntime's own kinds
        raise RobenchError(
            f"{path} is not an ONNX network that onnxruntime loads: {first_line(error)}", hint="Export it again."
        ) from error


def _images(session: Any, path: Path) -> _Images:
    entries = session.get_inputs()
    if len(entries) != 1 or entries[0].type not in _TYPES:
        found = ", ".join(f"{entry.name} ({entry.type})" for entry in entries) or "nothing"
        raise RobenchError(
            f"{path} takes {found}; expected float images (or uint8 ones).",
            hint="Export the classifier alone, from normalised images to logits.",
        )
    entry = entries[0]
    shape = tuple(side if isinstance(side, int) else None for side in entry.shape)
    channels_last = is_channels_last(shape)
    if len(shape) == 4 and not channels_last and shape[1] not in (3, None):
        raise RobenchError(
            f"{path} takes images of shape {tuple(entry.shape)}; expected 3 channels, (n, 3, H, W) or (n, H, W, 3).",
            hint="Export a classifier of colour images.",
        )
    return _Images(entry.name, _TYPES[entry.type], shape, channels_last)


def _output(session: Any, path: Path, key: str | None) -> tuple[Any, list[str]]:
    """Return the output of logits and the names of the others.

    The rule: the one named by ``key``, else the one called logits, else the only one of floating-point numbers.
    """
    outputs = session.get_outputs()
    names = [output.name for output in outputs]
    if key is not None and key not in names:
        raise RobenchError(f"{path} has no output '{key}'.", hint=f"There are: {', '.join(names)}.")
    floats = [output for output in outputs if output.type in _FLOATS]
    called = [output for output in floats if output.name.lower().rpartition("/")[2] == _NAME]
    wanted = [output for output in outputs if output.name == key] if key is not None else called or floats
    if len(wanted) != 1 or wanted[0].type not in _FLOATS:
        shown = ", ".join(f"{output.name} ({output.type}, {tuple(output.shape)})" for output in outputs[:6])
        raise RobenchError(
            f"{path} gives {shown or 'nothing'}; expected one output of logits.",
            hint=f"Choose one by its name: '{path}?key={names[-1]}' (in quotes)."
            if len(floats) > 1
            else "Export the classifier with its logits, before any argmax.",
        )
    return wanted[0], [name for name in names if name != wanted[0].name]


def _classes(shape: list[Any]) -> int | None:
    """Return K from an output's shape (n, K), (n, K, 1, 1) or (K,), None if it is variable."""
    sides = list(shape)
    while len(sides) > 2 and sides[-1] == 1:
        sides.pop()
    return sides[-1] if sides and isinstance(sides[-1], int) else None


def _runner(session: Any, images: _Images, output: str, classes: int) -> Callable[[torch.Tensor], torch.Tensor]:
    batch = images.shape[0] if images.shape else None

    def once(part: torch.Tensor) -> torch.Tensor:
        (logits,) = session.run([output], {images.name: images.prepare(part)})
        return logits_of(torch.from_numpy(logits).to(part.device), classes)

    return lambda part: in_batches(once, part, batch or 1, batch)


def _hash(path: Path, output: str) -> str:
    """Return the SHA-256 of the file's bytes, and of the files that hold its weights (``w.onnx.data``).

    PyTorch's exporter stores large tensors there: ``w.onnx`` may be the same for two trainings of an architecture.
    """
    beside = [path.parent / name for name in _external(path)]
    parts = [file_hash(path), *(f"{file.name}|{file_hash(file)}" for file in beside if file.is_file())]
    parts += [f"output {output}"] if output else []
    return parts[0] if len(parts) == 1 else hashlib.sha256("|".join(parts).encode()).hexdigest()


def _external(path: Path) -> list[str]:
    """Return the sorted names of other files that hold tensors of an ONNX network."""
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
