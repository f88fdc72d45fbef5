"""Models of other libraries: timm, torchvision, torch.export, ONNX; imported when asked for."""

from __future__ import annotations

import hashlib
import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.errors import RobenchError, did_you_mean
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash, tensors_only, weights_hash

if TYPE_CHECKING:
    from robench.models.specs import Request

# How an ONNX file says that a tensor's bytes are in a file beside it: an entry of key "location", then its value.
_LOCATION = re.compile(rb"\x0a\x08location\x12")
_ONNX_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}


def from_timm(name: str, request: Request) -> Model:
    """Load a timm model with its published weights and preprocessing.

    Raises:
        RobenchError: no such model, or its weights cannot be fetched.
    """
    import timm

    if not timm.is_model(name):
        raise RobenchError(f"timm has no model '{name}'.", hint=did_you_mean(name, timm.list_models(pretrained=True)))
    try:
        with tensors_only():
            module = timm.create_model(name, pretrained=True).eval()
    except Exception as error:  # hub and network errors of many kinds
        raise RobenchError(
            f"The weights of timm:{name} could not be fetched: {type(error).__name__}: {first_line(error)}",
            hint=f"Fetch them where there is a network, and give the file: --model FILE.safetensors --arch timm:{name}",
        ) from error
    return named(f"timm:{name}", module, classes_of(module), timm_preprocessing(module))


def timm_preprocessing(module: Any) -> Preprocessing:
    """Return the preprocessing of a timm model's data config: crop fraction, interpolation, mean and std."""
    import timm

    config = timm.data.resolve_model_data_config(module)
    size = int(config["input_size"][-1])
    resize = int(size / config.get("crop_pct", 1.0))
    kind = config.get("interpolation", "bicubic")
    interpolation: Interpolation = kind if kind in ("nearest", "bilinear", "bicubic", "lanczos") else "bicubic"
    exact = config.get("crop_mode") == "squash"
    geometry = Geometry((resize, resize) if exact else resize, size, interpolation)
    return Preprocessing(tuple(config["mean"]), tuple(config["std"]), geometry, None, "timm")


def from_torchvision(name: str, request: Request) -> Model:
    """Load a torchvision model: ``resnet50`` (its default weights) or ``resnet50.IMAGENET1K_V1``.

    Raises:
        RobenchError: no such model or weights, or they cannot be fetched.
    """
    from torchvision import models

    architecture, _, weights_name = name.partition(".")
    if architecture not in models.list_models(module=models):
        raise RobenchError(
            f"torchvision has no classifier '{architecture}'.",
            hint=did_you_mean(architecture, models.list_models(module=models)),
        )
    options = models.get_model_weights(architecture)
    known = [entry.name for entry in options]
    if weights_name and weights_name not in known:
        raise RobenchError(f"{architecture} has no weights '{weights_name}'.", hint=did_you_mean(weights_name, known))
    weights = options[weights_name] if weights_name else options.DEFAULT
    try:
        with tensors_only():
            module = models.get_model(architecture, weights=weights).eval()
    except Exception as error:  # network errors, and what is left of a broken fetch
        raise RobenchError(
            f"The weights of torchvision:{name} could not be fetched: {type(error).__name__}: {first_line(error)}",
            hint=f"Fetch {weights.url} and give the file: --model FILE.pth --arch torchvision:{architecture}",
        ) from error
    return named(f"torchvision:{architecture}.{weights.name}", module, 1000, _torchvision_preprocessing(weights))


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
    model.hash = _onnx_hash(path)
    return model


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


def build_architecture(name: str, library: str | None, num_classes: int) -> tuple[nn.Module, str, Preprocessing]:
    """Build a torchvision or timm architecture without weights; a bare name is torchvision's where both have it.

    Raises:
        RobenchError: nobody has it.
    """
    from robench.models.architectures import names

    vision: list[str] = []
    if library in (None, "torchvision"):
        from torchvision import models

        vision = models.list_models(module=models)
        if name in vision:
            built = models.get_model(name, weights=None, num_classes=num_classes)
            return built.eval(), f"torchvision:{name}", Preprocessing()
    if library in (None, "timm"):
        import timm

        if timm.is_model(name):
            module = timm.create_model(name, pretrained=False, num_classes=num_classes).eval()
            return module, f"timm:{name}", timm_preprocessing(module)
        vision = vision + timm.list_models()
    hint = did_you_mean(name, [*names(), *vision])
    if hint.startswith("Known: "):  # more than a thousand names, none of them near
        hint = f"Ours: {', '.join(names())}; else a torchvision or timm name, or python:FILE.py:FUNCTION."
    raise RobenchError(f"Unknown architecture '{name}'.", hint=hint)


def _torchvision_preprocessing(weights: Any) -> Preprocessing:
    transform = weights.transforms()
    interpolation: Interpolation = "bicubic" if "bicubic" in str(transform.interpolation).lower() else "bilinear"
    geometry = Geometry(int(transform.resize_size[0]), int(transform.crop_size[0]), interpolation)
    return Preprocessing(tuple(transform.mean), tuple(transform.std), geometry, None, "torchvision")


def named(name: str, module: nn.Module, classes: int, preprocessing: Preprocessing) -> Model:
    """Return a model whose hash is that of its weights."""
    found = weights_hash(name.partition(":")[0] + type(module).__name__, module.state_dict())
    return Model(name, module, classes, preprocessing, found, {"spec": name, "architecture": type(module).__name__})


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


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, at most 200 characters."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""


def classes_of(module: Any) -> int:
    """Return how many classes a timm model puts out."""
    return int(module.num_classes)
