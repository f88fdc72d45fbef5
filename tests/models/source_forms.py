"""Every way to name a model, built offline: what the tests of all sources run over.

A source that is added to :data:`robench.models.specs.SOURCES`, and a kind of file that is added to its ``FORMS``, needs
a builder here, and then takes part in every test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from robench.models.architectures import build as build_architecture

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Spec:
    """What is typed: the spec, its options, and how many outputs there are."""

    spec: str
    options: dict[str, Any] = field(default_factory=dict)
    classes: int = 10


@dataclass(frozen=True)
class Form:
    """A way to name a model.

    Args:
        source: its scheme, or the ending (``folder``) of a path.
        build: writes the model with these initial weights, and returns what is typed.
        normalisation: where its mean and standard deviation come from, as its record says.
        named: whether its classes have names.
    """

    source: str
    build: Callable[[Path, pytest.MonkeyPatch, int], Spec]
    normalisation: str
    named: bool = False


def network(seed: int) -> nn.Module:
    """Return a small network of ten classes."""
    torch.manual_seed(seed)
    return build_architecture("wrn-10-1", 10).eval()


def _checkpoint(ending: str) -> Callable[[Path, pytest.MonkeyPatch, int], Spec]:
    def write(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
        path, state = folder / f"w{ending}", network(seed).state_dict()
        if ending == ".safetensors":
            save_file(state, path)
        else:
            torch.save({"state_dict": state, "epoch": 3}, path)
        return Spec(str(path), {"arch": "wrn-10-1", "num_classes": 10})

    return write


def _folder(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
    save_file(network(seed).state_dict(), folder / "weights.safetensors")
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    card = {"name": "m", "architecture": "wrn-10-1", "num_classes": 10, "mean": [0.5] * 3, "std": [0.2] * 3}
    (folder / "card.yaml").write_text(yaml.safe_dump(card | {"classes": names}))
    return Spec(str(folder))


def _torchscript(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
    torch.jit.trace(network(seed), IMAGES).save(str(folder / "w.pt"))
    return Spec(str(folder / "w.pt"), {"num_classes": 10})


def _export(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
    torch.export.save(torch.export.export(network(seed), (IMAGES,)), folder / "w.pt2")
    return Spec(str(folder / "w.pt2"))


def _onnx(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper, info = onnx.helper, onnx.helper.make_tensor_value_info
    torch.manual_seed(seed)
    weights = torch.randn(3, 10)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "w"], ["logits"]),
        ],
        "means", [info("x", 1, ["n", 3, 32, 32])], [info("logits", 1, ["n", 10])],
        [helper.make_tensor("axes", 7, [2], [2, 3]), helper.make_tensor("w", 1, [3, 10], weights.flatten().tolist())],
    )  # fmt: skip
    path = folder / "w.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return Spec(str(path))


def _timm_module(seed: int) -> nn.Module:
    import timm

    torch.manual_seed(seed)
    return timm.create_model("resnet10t", pretrained=False).eval()


def _timm(_: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Spec:
    import timm

    module = _timm_module(seed)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: module)  # no download
    return Spec("timm:resnet10t", classes=1000)


def _torchvision(_: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Spec:
    from robench.models import networks

    original = networks.build

    def without_download(arch: str, classes: int, **__: Any) -> nn.Module:
        torch.manual_seed(seed)
        return original(arch, classes)

    monkeypatch.setattr(networks, "build", without_download)
    return Spec("torchvision:resnet18.IMAGENET1K_V1", classes=1000)


def _hub(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
    import json

    import timm

    torch.manual_seed(seed)
    module = timm.create_model("resnet10t", num_classes=7).eval()
    about = {"input_size": [3, 64, 64], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "num_classes": 7,
             "label_names": list("abcdefg"), "first_conv": "conv1.0", "classifier": "fc"}  # fmt: skip
    config = {"architecture": "resnet10t", "num_classes": 7, "pretrained_cfg": about}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(module.state_dict(), folder / "model.safetensors")
    return Spec(f"hf:{folder}", classes=7)


def _open_clip(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Spec:
    from zeroshot_networks import save_open_clip

    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    save_open_clip(folder, seed=seed)
    return Spec(f"open_clip:{folder}", {"class_names": "cifar10"})


def _reference(_: Path, __: pytest.MonkeyPatch, seed: int) -> Spec:
    return Spec(f"reference:digits/{('standard', 'augmix')[seed % 2]}")


def _robustbench(_: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Spec:
    zoo = {"cifar10": {"corruptions": {"Small": {}}}}
    for name, content in {
        "robustbench": {},
        "robustbench.utils": {"load_model": lambda **_: network(seed)},
        "robustbench.model_zoo": {},
        "robustbench.model_zoo.models": {"model_dicts": zoo},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(content, __path__=[])
        monkeypatch.setitem(sys.modules, name, module)
    return Spec("robustbench:cifar10/Small")


def _python(folder: Path, _: pytest.MonkeyPatch, seed: int) -> Spec:
    code = f"""
        import torch
        from torch import nn

        def make():
            torch.manual_seed({seed})
            return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 10))
    """
    (folder / "mine.py").write_text("\n".join(line[8:] for line in code.splitlines()))
    return Spec(f"python:{folder / 'mine.py'}:make")


FORMS = {
    "pth": Form(".pth", _checkpoint(".pth"), "default"),
    "pt": Form(".pt", _checkpoint(".pt"), "default"),
    "ckpt": Form(".ckpt", _checkpoint(".ckpt"), "default"),
    "safetensors": Form(".safetensors", _checkpoint(".safetensors"), "default"),
    "folder": Form("folder", _folder, "card", named=True),
    "torchscript": Form(".pt", _torchscript, "default"),
    "export": Form(".pt2", _export, "default"),
    "onnx": Form(".onnx", _onnx, "default"),
    "timm": Form("timm", _timm, "timm"),
    "torchvision": Form("torchvision", _torchvision, "torchvision", named=True),
    "hf": Form("hf", _hub, "timm", named=True),
    "open_clip": Form("open_clip", _open_clip, "open_clip", named=True),
    "reference": Form("reference", _reference, "card", named=True),
    "python": Form("python", _python, "default"),
    "robustbench": Form("robustbench", _robustbench, "robustbench"),
}
