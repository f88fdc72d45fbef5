"""Models of other libraries: timm, torchvision, the Hugging Face hub, torch.export, ONNX; imported when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.data.base import Geometry, Interpolation
from robench.errors import RobenchError, did_you_mean
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash, weights_hash

if TYPE_CHECKING:
    from robench.models.specs import Request


def from_timm(name: str, request: Request) -> Model:
    """Load a timm model with its published weights and preprocessing.

    Raises:
        RobenchError: no such model, or its weights cannot be fetched.
    """
    import timm

    if not timm.is_model(name):
        raise RobenchError(f"timm has no model '{name}'.", hint=did_you_mean(name, timm.list_models(pretrained=True)))
    try:
        module = timm.create_model(name, pretrained=True).eval()
    except Exception as error:  # hub and network errors of many kinds
        raise RobenchError(
            f"The weights of timm:{name} could not be fetched: {type(error).__name__}: {_first_line(error)}",
            hint=f"Fetch them where there is a network, and give the file: --model FILE.safetensors --arch timm:{name}",
        ) from error
    return _named(f"timm:{name}", module, _classes(module), timm_preprocessing(module))


def timm_preprocessing(module: Any) -> Preprocessing:
    """Return the preprocessing of a timm model's data config: crop fraction, interpolation, mean and std."""
    import timm

    config = timm.data.resolve_model_data_config(module)
    size = int(config["input_size"][-1])
    resize = int(size / config.get("crop_pct", 1.0))
    kind = config.get("interpolation", "bicubic")
    interpolation: Interpolation = kind if kind in ("nearest", "bilinear", "bicubic", "lanczos") else "bicubic"
    geometry = Geometry(resize, size, interpolation)
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
        module = models.get_model(architecture, weights=weights).eval()
    except OSError as error:
        raise RobenchError(
            f"The weights of torchvision:{name} could not be fetched: {error}",
            hint=f"Fetch {weights.url} and give the file: --model FILE.pth --arch torchvision:{architecture}",
        ) from error
    return _named(f"torchvision:{architecture}.{weights.name}", module, 1000, _torchvision_preprocessing(weights))


def from_hub(name: str, request: Request) -> Model:
    """Load a model of the Hugging Face hub, or a snapshot folder of one: timm's layout, or transformers'.

    Raises:
        RobenchError: not there, or of a kind that needs a library which is not installed.
    """
    import json

    folder = Path(name).expanduser()
    if not folder.is_dir():
        return _from_hub_by_timm(name)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise RobenchError(f"{folder} is no snapshot of a model: {error}", hint="It needs config.json.") from error
    if "architecture" in config:
        return _from_timm_snapshot(folder, config)
    return _from_transformers(folder)


def from_export(path: Path, request: Request) -> Model:
    """Load a ``torch.export`` program."""
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path of --model.")
    try:
        module = torch.export.load(path).module()
    except Exception as error:  # torch raises many kinds for what is no program
        raise RobenchError(
            f"{path} is no torch.export program: {_first_line(error)}", hint="Export it again."
        ) from error
    return _program(path, module, request, "torch.export")


def from_onnx(path: Path, request: Request) -> Model:
    """Load an ONNX network, run by onnxruntime."""
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path of --model.")
    try:
        import onnxruntime
    except ImportError as error:
        raise RobenchError("ONNX networks need onnxruntime.", hint="pip install 'robench[onnx]'") from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())
    except Exception as error:  # onnxruntime's own kinds
        raise RobenchError(f"{path} is no ONNX network: {_first_line(error)}", hint="Export it again.") from error
    entry = session.get_inputs()[0].name

    def run(images: torch.Tensor) -> torch.Tensor:
        logits = session.run(None, {entry: images.contiguous().cpu().numpy()})[0]
        return torch.from_numpy(logits).to(images.device)

    return _program(path, run, request, "ONNX")


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
    raise RobenchError(f"Unknown architecture '{name}'.", hint=did_you_mean(name, [*names(), *vision]))


def _from_hub_by_timm(name: str) -> Model:
    import timm

    try:
        module = timm.create_model(f"hf-hub:{name}", pretrained=True).eval()
    except Exception as error:  # hub and network errors of many kinds
        raise RobenchError(
            f"hf:{name} could not be loaded: {type(error).__name__}: {_first_line(error)}",
            hint="Check the name and the network, or give the folder of a snapshot: --model hf:FOLDER",
        ) from error
    return _named(f"hf:{name}", module, _classes(module), timm_preprocessing(module))


def _from_timm_snapshot(folder: Path, config: dict[str, Any]) -> Model:
    import timm

    from robench.models.checkpoints import read_state
    from robench.models.fitting import fit

    files = [folder / name for name in ("model.safetensors", "pytorch_model.bin") if (folder / name).is_file()]
    if not files:
        raise RobenchError(f"{folder} holds no weights.", hint="It needs model.safetensors.")
    overrides = {"pretrained_cfg": config["pretrained_cfg"]} if "pretrained_cfg" in config else {}
    classes = int(config.get("num_classes", 1000))
    module = timm.create_model(config["architecture"], pretrained=False, num_classes=classes, **overrides).eval()
    fit(module, read_state(files[0]), f"timm:{config['architecture']}", str(files[0]))
    return _named(f"hf:{folder.name}", module, classes, timm_preprocessing(module))


def _from_transformers(folder: Path) -> Model:
    try:
        from transformers import AutoImageProcessor, AutoModelForImageClassification
    except ImportError as error:
        raise RobenchError("This snapshot needs transformers.", hint="pip install 'robench[hub]'") from error
    network = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(pixel_values=images).logits
            return logits

    side = processor.size.get("height") or processor.size.get("shortest_edge") or 224
    geometry = Geometry((int(side), int(side)), None, "bicubic")
    preprocessing = Preprocessing(
        tuple(processor.image_mean), tuple(processor.image_std), geometry, None, "transformers"
    )
    return _named(f"hf:{folder.name}", Logits(), int(network.config.num_labels), preprocessing)


def _torchvision_preprocessing(weights: Any) -> Preprocessing:
    transform = weights.transforms()
    interpolation: Interpolation = "bicubic" if "bicubic" in str(transform.interpolation).lower() else "bilinear"
    geometry = Geometry(int(transform.resize_size[0]), int(transform.crop_size[0]), interpolation)
    return Preprocessing(tuple(transform.mean), tuple(transform.std), geometry, None, "torchvision")


def _named(name: str, module: nn.Module, classes: int, preprocessing: Preprocessing) -> Model:
    found = weights_hash(name.partition(":")[0] + type(module).__name__, module.state_dict())
    return Model(name, module, classes, preprocessing, found, {"spec": name, "architecture": type(module).__name__})


def _program(path: Path, module: Any, request: Request, kind: str) -> Model:
    if request.num_classes is None:
        raise RobenchError(f"How many classes {path} puts out is not known.", hint="Say so with --num-classes.")
    card = {"format": kind, "file": path.name}
    if isinstance(module, nn.Module):
        program = module

        def run(images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = program(images)
            return logits

        module = run  # an exported program refuses eval() and channels_last
    return Model(path.stem, module, request.num_classes, Preprocessing(), file_hash(path), card)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""


def _classes(module: Any) -> int:
    return int(module.num_classes)
