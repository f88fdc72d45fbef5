"""What files say of their normalisation counts, and models that normalise images themselves are known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.transforms import Normalize

import robench
from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models import load_model, wrap
from robench.models.normalisers import own_normalisation
from robench.predictions import ModelInfo
from robench.results.remarks import normalised_twice, without_normalisation
from robench.results.used import used

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.25, 0.2)
SAID = {"mean": list(MEAN), "std": list(STD)}
NAMES = ["a", "b", "c"]
OWN = (0.485, 0.456, 0.406)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    import timm

    weights: dict[str, torch.Tensor] = timm.create_model("test_resnet", num_classes=3).state_dict()
    return weights


def in_metadata(state: dict[str, torch.Tensor], folder: Path) -> Path:
    save_file(state, folder / "w.safetensors", metadata={"format": "pt", "pretrained_cfg": json.dumps(SAID)})
    return folder / "w.safetensors"


def in_checkpoint(state: dict[str, torch.Tensor], folder: Path) -> Path:
    torch.save({"state_dict": state, "pretrained_cfg": SAID}, folder / "w.pth")
    return folder / "w.pth"


def in_options(state: dict[str, torch.Tensor], folder: Path) -> Path:
    torch.save(
        {"state_dict": state, "args": argparse.Namespace(**SAID, crop_pct=None, img_size=None)}, folder / "w.pth"
    )
    return folder / "w.pth"


def beside(state: dict[str, torch.Tensor], folder: Path) -> Path:
    save_file(state, folder / "w.safetensors")
    document = {"architecture": "test_resnet", "label_names": NAMES, "pretrained_cfg": SAID}
    (folder / "config.json").write_text(json.dumps(document))
    return folder / "w.safetensors"


@pytest.mark.parametrize("write", [in_metadata, in_checkpoint, in_options, beside])
def test_what_a_file_of_timm_says_counts(write: Callable[..., Path], state: Any, tmp_path: Path) -> None:
    model = load_model(str(write(state, tmp_path)), arch="timm:test_resnet", num_classes=3)
    assert (model.preprocessing.mean, model.preprocessing.std) == (MEAN, STD)
    assert model.preprocessing.origin == ("config.json over timm" if write is beside else "checkpoint over timm")
    assert model.classes == (tuple(NAMES) if write is beside else None)
    chosen = load_model(str(write(state, tmp_path)), arch="timm:test_resnet", num_classes=3, mean=OWN, std=STD)
    assert chosen.preprocessing.mean == OWN


def test_resize_and_crop_of_a_file_count_too(state: Any, tmp_path: Path) -> None:
    config = SAID | {"input_size": (3, 64, 64), "crop_pct": 0.8, "interpolation": "bilinear"}
    torch.save({"state_dict": state, "pretrained_cfg": config}, tmp_path / "w.pth")
    model = load_model(str(tmp_path / "w.pth"), arch="timm:test_resnet", num_classes=3, mean=OWN, std=STD)
    assert model.preprocessing.geometry == Geometry(80, 64, "bilinear")


@pytest.mark.parametrize(
    "config",
    [None, {"architecture": "resnet50", "pretrained_cfg": SAID}, {"architecture": "test_resnet"}, [], "{",
     {"architecture": "test_resnet", "pretrained_cfg": 3},
     {"architecture": "test_resnet", "pretrained_cfg": {"mean": 1}}],
)  # fmt: skip
def test_other_configurations_beside_a_file_say_nothing(config: Any, state: Any, tmp_path: Path) -> None:
    save_file(state, tmp_path / "w.safetensors")
    if config is not None:
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    model = load_model(str(tmp_path / "w.safetensors"), arch="timm:test_resnet", num_classes=3)
    assert (model.preprocessing.mean, model.preprocessing.origin) == ((0.5, 0.5, 0.5), "timm")


@pytest.mark.parametrize("mean", [[125, 123, 113], [0.5], "none", [0.5, 0.5, None]])
def test_an_impossible_mean_in_a_file_is_refused(mean: Any, state: Any, tmp_path: Path) -> None:
    torch.save({"state_dict": state, "pretrained_cfg": SAID | {"mean": mean}}, tmp_path / "w.pth")
    with pytest.raises(RobenchError, match=r"configuration whose mean is .*; expected three numbers"):
        load_model(str(tmp_path / "w.pth"), arch="timm:test_resnet", num_classes=3)
    load_model(str(tmp_path / "w.pth"), arch="timm:test_resnet", num_classes=3, mean=OWN, std=STD)


class Buffers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head((x - self.mean).mean((2, 3)))
        return logits


class Attribute(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mu, self.head = [0.5, 0.5, 0.5], nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head((x - torch.tensor(self.mu)[:, None, None]).mean((2, 3)))
        return logits


MEANS = torch.full((3, 1, 1), 0.5)
HEAD = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))


def in_closure() -> Callable[[torch.Tensor], torch.Tensor]:
    mean = MEANS
    return lambda x: HEAD(x - mean)


def of_numpy() -> Callable[[torch.Tensor], torch.Tensor]:
    mean = np.array([123.7, 116.3, 103.5], np.float32)
    return lambda x: HEAD(x - torch.from_numpy(mean / 255)[:, None, None])


class Caller:
    """An object that is called with images, as wrappers of other libraries' sessions are."""

    def __init__(self, mean: Any) -> None:
        self.mean, self.rest = np.asarray(mean), np.zeros((2, 3))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return HEAD(x - torch.from_numpy(self.mean).float()[:, None, None])


def around(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: module(x)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (Buffers(), "mean"), (Attribute(), "mu"), (nn.Sequential(Normalize(MEAN, STD), HEAD), "0.mean"),
        (torch.jit.script(Buffers()), "mean"), (nn.DataParallel(Buffers()), "module.mean"), (in_closure(), "mean"),
        (of_numpy(), "mean"), (Caller([0.5, 0.4, 0.3]), "mean"), (Caller([0, 0, 0]), None),
        (Buffers().forward, "mean"), (Caller([0.5, 0.4, 0.3]).__call__, "mean"),
        (around(Buffers()), "module.mean"), (HEAD, None), (nn.BatchNorm2d(3), None), (around(HEAD), None),
        (nn.Sequential(Normalize((0, 0, 0), (1, 1, 1)), HEAD), None), (nn.Sequential(nn.Sequential(Attribute())), None),
    ],
)  # fmt: skip
def test_a_mean_within_a_model_is_seen(module: Any, name: str | None) -> None:
    assert own_normalisation(module) == name
    assert wrap(module, num_classes=4).card.get("normalises") == name


def test_a_mean_within_a_file_is_seen(tmp_path: Path) -> None:
    images = torch.zeros(2, 3, 8, 8)
    torch.export.save(torch.export.export(Buffers().eval(), (images,)), tmp_path / "m.pt2")
    assert load_model(str(tmp_path / "m.pt2")).card["normalises"] == "mean"


def test_a_mean_within_an_onnx_network_is_seen(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper = onnx.helper
    for taken, name in ((3, "pixel mean"), (1, None)):
        nodes = [
            helper.make_node("Div", ["x", "range"], ["y"]),
            helper.make_node("Sub", ["y", "pixel mean"], ["z"]),
            helper.make_node("GlobalAveragePool", ["z"], ["p"]),
            helper.make_node("Flatten", ["p"], ["logits"]),
        ]
        values = [
            helper.make_tensor("range", 1, [1], [255.0]),
            helper.make_tensor("pixel mean", 1, [1, taken, 1, 1], [0.5] * taken),
        ]
        shapes = (("x", ["n", 3, 8, 8]), ("logits", ["n", 3]))
        given, wanted = (helper.make_tensor_value_info(title, 1, shape) for title, shape in shapes)
        graph = helper.make_graph(nodes, "g", [given], [wanted], values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, tmp_path / "m.onnx")
        assert load_model(str(tmp_path / "m.onnx")).card.get("normalises") == name


@pytest.mark.parametrize(("before", "factor"), [((), 255.0), (("Mul",), 1.0), (("Cast", "Identity"), 255.0)])
def test_an_onnx_network_that_takes_a_mean_of_grey_levels_off_gets_these(
    tmp_path: Path, before: tuple[str, ...], factor: float
) -> None:
    """A mean of 123.7 is of no image in [0, 1]: with one it gives the same class to every image."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper, nodes, name = onnx.helper, [], "x"
    for op in before:
        inputs = [name, "range"] if op == "Mul" else [name]
        nodes.append(helper.make_node(op, inputs, [f"{name}{op}"], **({"to": 1} if op == "Cast" else {})))
        name = f"{name}{op}"
    nodes += [
        helper.make_node("Sub", [name, "mean"], ["z"]),
        helper.make_node("GlobalAveragePool", ["z"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    mean = [123.675, 116.28, 103.53]
    values = [helper.make_tensor("range", 1, [1], [255.0]), helper.make_tensor("mean", 1, [1, 3, 1, 1], mean)]
    shapes = (("x", ["n", 3, 8, 8]), ("logits", ["n", 3]))
    given, wanted = (helper.make_tensor_value_info(title, 1, shape) for title, shape in shapes)
    graph = helper.make_graph(nodes, "g", [given], [wanted], values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "m.onnx")
    model = load_model(str(tmp_path / "m.onnx"))
    assert model.card["normalises"] == "mean"
    assert model.preprocessing.origin == ("file" if factor > 1 else "default")
    images = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean_of, std = (torch.tensor(v).view(3, 1, 1) for v in (model.preprocessing.mean, model.preprocessing.std))
    expected = images.double().mean((2, 3)) - torch.tensor(mean).double()
    torch.testing.assert_close(model.module((images / 255.0 - mean_of) / std).double(), expected, atol=1e-3, rtol=0)
    own = load_model(str(tmp_path / "m.onnx"), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert own.preprocessing.std == (1.0, 1.0, 1.0)


def test_images_normalised_twice_are_said(tmp_path: Path) -> None:
    options = {"num_classes": 10, "limit": 20, "quiet": True, "resamples": 0, "device": "cpu"}
    network = load_model("reference:digits/standard").module
    module = nn.Sequential(Normalize((0.5,) * 3, (0.5,) * 3), network)
    twice = robench.evaluate(module, "clean", out=tmp_path / "twice", norm_preset="half", **options)
    assert any("seems to normalise its images itself (it has '0.mean')" in note for note in twice.notes)
    once = robench.evaluate(module, "clean", out=tmp_path / "once", **options)
    assert once.summary["clean_error"].value < 0.1
    assert not any("normalise" in note for note in once.notes)


def test_bare_weights_of_a_network_that_normalises_ask_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.register_buffer('mean', torch.full((1, 3, 1, 1), 0.5))\n"
        "        self.head = torch.nn.Linear(3, 10)\n"
        "    def forward(self, x):\n"
        "        return self.head((x - self.mean).mean((2, 3)))\n"
        "def make():\n"
        "    return Net()\n"
    )
    state = {"mean": torch.full((1, 3, 1, 1), 0.5), "head.weight": torch.eye(10, 3), "head.bias": torch.zeros(10)}
    torch.save(state, tmp_path / "w.pth")
    result = robench.evaluate(tmp_path / "w.pth", "clean", arch=f"python:{tmp_path / 'mine.py'}:make", limit=10,
                              out=tmp_path / "run", quiet=True, resamples=0, device="cpu")  # fmt: skip
    assert result.model.card["normalises"] == "mean"
    assert "normalisation the model's own ('mean')" in used(result)


def test_members_of_an_ensemble_are_told_apart() -> None:
    def member(name: str, origin: str, mean: float, **card: str) -> dict[str, Any]:
        return {"name": name, "preprocessing": {"origin": origin, "mean": [mean] * 3}, "card": card}

    members = [member("a", "option", 0.5, normalises="mean"), member("b", "default", 0.0, normalises="mean"),
               member("c", "default", 0.0)]  # fmt: skip
    info = ModelInfo(
        name="all", hash="0", num_classes=4, preprocessing={"origin": "ensemble"}, card={"members": members}
    )
    assert [note.partition(" ")[0] for note in normalised_twice(info)] == ["a"]
    assert "was given for c of this ensemble" in next(without_normalisation(info))
