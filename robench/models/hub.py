"""Models of the Hugging Face hub or snapshot folders, in timm's or transformers' layout, without running their code."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.documents import read_document
from robench.errors import RobenchError, first_line
from robench.models.base import Model, Preprocessing
from robench.models.published import classes_of, geometry_left_out, named, timm_classes, timm_preprocessing
from robench.models.safe_reading import tensors_only
from robench.models.snapshots import (
    is_two_tower,
    load_snapshot,
    not_said,
    preprocessing_of,
    refuse_code,
    refuse_drawn,
    refuse_otherwise,
    says_preprocessing,
    settings_of,
)

if TYPE_CHECKING:
    from robench.models.request import Request

_ENDINGS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt")
_USUAL = ("model.safetensors", "pytorch_model.bin")
_PART = re.compile(r"-\d+-of-\d+\.|^(training_args|optimizer|scheduler|rng_state.*|scaler)\.")  # no whole network
_SNAPSHOT = "A snapshot has config.json and model.safetensors of one model; download it again."


def from_hub(name: str, request: Request) -> Model:
    """Load a model of the Hugging Face hub, or a snapshot folder of one: timm's layout, transformers', or open_clip's.

    CLIP, SigLIP and SigLIP 2 become zero-shot classifiers (:mod:`robench.models.zeroshot`).

    Weights are read as tensors only, and Python files of a repository are never run.

    Raises:
        RobenchError: missing, or it needs code from the repository or a library that is not installed.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return _by_name(name, request)
    if not (folder / "config.json").exists() and (folder / "open_clip_config.json").exists():
        from robench.models.zeroshot.openclip import from_open_clip

        return from_open_clip(name, request)
    config = read_document(folder / "config.json", "model configuration", hint=_SNAPSHOT)
    chosen = _weights_of(folder)
    if "architecture" in config:
        model = _by_timm(f"local-dir:{folder}", folder.name, _SNAPSHOT)
        return replace(model, card=model.card | chosen)
    refuse_code(folder, config)
    if is_two_tower(config):
        from robench.models.zeroshot.transformers import from_snapshot

        return from_snapshot(folder, request)
    model = _by_transformers(folder, request)
    return replace(model, card=model.card | chosen)


def _weights_of(folder: Path) -> dict[str, Any]:
    """Return what the card says of the weights that are read where a snapshot holds others beside them.

    The rule is that of timm and transformers: the file with a usual name, safetensors first.

    Raises:
        RobenchError: several files of weights, none of which has a usual name.
    """
    there = sorted(one.name for one in folder.iterdir() if one.suffix in _ENDINGS and not _PART.search(one.name))
    usual = next((name for name in _USUAL if name in there), None)
    if usual is None and len(there) > 1 and not any(folder.glob("*.index.json")):
        raise RobenchError(
            f"{folder} holds several files of weights: {', '.join(there[:5])}.",
            hint=f"Name the one that is meant {_USUAL[0]}, or give its file with the architecture: `arch`.",
        )
    beside = [name for name in there if name != usual]
    return {"file": usual, "beside": beside} if usual is not None and beside else {}


def _by_name(name: str, request: Request) -> Model:
    """Load a model of the hub; timm's, or one of two towers, which timm has fetched the configuration of."""
    hint = "Check the name and the network, or give a snapshot: `model='hf:FOLDER'`"
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise RobenchError(f"hf:{name} is neither an existing folder nor OWNER/NAME on the Hub.", hint=hint)
    try:
        return _by_timm(f"hf-hub:{name}", name, hint)
    except RobenchError:
        from huggingface_hub import snapshot_download, try_to_load_from_cache

        config = try_to_load_from_cache(name, "config.json")
        if not isinstance(config, str) or not is_two_tower(read_document(config, "model configuration")):
            raise
        try:
            folder = snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"])
        except Exception as error:  # hub and network errors of many kinds
            raise RobenchError(f"Could not download hf:{name}: {first_line(error)}", hint=hint) from error
        return replace(from_hub(folder, request), name=f"hf:{name}")


def _by_timm(spec: str, name: str, hint: str) -> Model:
    import timm

    try:
        with tensors_only():
            module = timm.create_model(spec, pretrained=True).eval()
    except Exception as error:  # hub, network and file errors of many kinds
        raise RobenchError(f"hf:{name} could not be loaded: {first_line(error)}", hint=hint) from error
    model = named(f"hf:{name}", module, classes_of(module), timm_preprocessing(module))
    return replace(model, classes=timm_classes(module), card=model.card | geometry_left_out(module))


def _by_transformers(folder: Path, request: Request) -> Model:
    if not says_preprocessing(folder) and request.mean is None:
        raise not_said(
            folder,
            ", or add `norm_preset='imagenet'` or `norm_preset='half'` (or `mean` and `std`), and `resize` and `crop`",
        )
    network, processor, missing = load_snapshot(folder, "AutoModelForImageClassification")
    network.float().eval()  # transformers keeps the file's numbers, such as float16
    refuse_drawn(folder, missing)
    classes = int(network.config.num_labels)
    preprocessing = Preprocessing()  # until the options replace it
    if processor is not None:
        preprocessing = preprocessing_of(processor, folder)
        refuse_otherwise(folder, processor, preprocessing)
    model = named(f"hf:{folder.name}", _Logits(network), classes, preprocessing, settings_of(network))
    card = model.card | {"architecture": type(network).__name__}
    return replace(model, card=card, classes=_names(network.config, classes))


def _names(config: Any, classes: int) -> tuple[str, ...] | None:
    """Return the class names of a configuration; ``LABEL_0`` and so on are none."""
    names = {int(label): str(name) for label, name in (getattr(config, "id2label", None) or {}).items()}
    if set(names) != set(range(classes)) or all(name == f"LABEL_{label}" for label, name in names.items()):
        return None
    return tuple(names[label] for label in range(classes))


class _Logits(nn.Module):
    """A classifier of transformers as a module that returns logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixel_values=images).logits
        return logits
