"""What models return besides one tensor of logits, from Python and from ONNX files, and how ONNX takes its images."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from robench.errors import RobenchError
from robench.models import load_model
from robench.models.outputs import logits_of

LOGITS = torch.arange(8.0).view(2, 4)
FEATURES = torch.zeros(2, 7)
IMAGES = torch.randint(0, 256, (3, 3, 8, 6), generator=torch.Generator().manual_seed(1)).float() / 255
Pair = namedtuple("Pair", ["features", "logits"])
Others = namedtuple("Others", ["features", "scores"])


@dataclass
class Output:
    features: torch.Tensor
    logits: torch.Tensor
    loss: None = None


@pytest.mark.parametrize(
    "output",
    [
        LOGITS, LOGITS[:, :, None, None], LOGITS[..., None], LOGITS.numpy(),
        {"logits": LOGITS, "features": FEATURES}, {"logits": LOGITS, "aux": LOGITS + 1}, {"out": LOGITS},
        {"a": FEATURES, "b": LOGITS[:, :, None, None]},
        (LOGITS, FEATURES), [FEATURES, LOGITS], (LOGITS,), (LOGITS, None, {"loss": 3}), (LOGITS, torch.tensor(0.5)),
        Pair(FEATURES, LOGITS), Others(FEATURES, LOGITS), Output(LOGITS + 1, LOGITS),
        SimpleNamespace(logits=LOGITS, x=1),
        LOGITS.numpy().astype(">f4"), LOGITS.numpy().astype(np.longdouble).astype(np.longdouble)[::-1][::-1],
        {"logits": np.asfortranarray(LOGITS.numpy()[:, ::-1])[:, ::-1]}, np.ma.masked_array(LOGITS.numpy()),
        LOGITS.to(torch.float8_e4m3fn),
    ],
)  # fmt: skip
def test_logits_are_found(output: Any) -> None:
    assert torch.equal(logits_of(output, 4).float(), LOGITS)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (LOGITS.to("meta"), "a tensor on the meta device, which holds no numbers"),
        ({"logits": LOGITS.to_sparse()}, r"a tensor of layout torch\.sparse_coo"),
        (torch.quantize_per_tensor(LOGITS, 0.1, 0, torch.qint8), r"a tensor of type torch\.qint8"),
        (torch.nested.nested_tensor(list(LOGITS)), "a tensor of nested rows"),
        (LOGITS.to(torch.complex64), r"a tensor of type torch\.complex64"),
        (LOGITS.numpy().astype(np.complex64), "an array of type complex64"),
        (np.array([[None] * 4] * 2), "an array of type object"),
        ([[LOGITS]], "returned list"), ({"out": {"logits": LOGITS}}, "returned dict"),
        ((LOGITS, LOGITS + 1), r"returned tuple of several outputs: 0 \(2, 4\), 1 \(2, 4\)"),
        ({"main": LOGITS, "aux": LOGITS}, r"returned dict of several outputs: main \(2, 4\), aux \(2, 4\)"),
        ((FEATURES, torch.zeros(2, 9)), "several outputs"),
        (3, "returned int"), (None, "returned NoneType"), ({}, "returned dict"), (["a"], "returned list"),
    ],
)  # fmt: skip
def test_several_outputs_are_named_and_none_is_taken(output: Any, said: str) -> None:
    with pytest.raises(RobenchError, match=f"must return logits.*{said}"):
        logits_of(output, 4)


def write_onnx(
    path: Path,
    outputs: dict[str, str],
    *,
    shape: tuple[Any, ...] = ("n", 3, 8, 6),
    kind: int = 1,
    axes: tuple[int, ...] = (2, 3),
) -> Path:
    """Write a network whose outputs are the channels' means, changed by an operator each (``Neg``, ``Identity``...)."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper, value = onnx.helper, onnx.helper.make_tensor_value_info
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=1),
        helper.make_node("ReduceMean", ["f", "axes"], ["mean"], keepdims=0),
    ]
    infos = []
    for name, operator in outputs.items():
        if operator == "ArgMax":
            nodes.append(helper.make_node("ArgMax", ["mean"], [name], axis=1, keepdims=0))
            infos.append(value(name, 7, ["n"]))
        elif operator == "Unsqueeze":
            nodes.append(helper.make_node("Unsqueeze", ["mean", "axes"], [name]))
            infos.append(value(name, 1, ["n", 3, 1, 1]))
        else:
            nodes.append(helper.make_node(operator, ["mean"], [name]))
            infos.append(value(name, 1, ["n", 3]))
    graph = helper.make_graph(
        nodes, "means", [value("x", kind, list(shape))], infos,
        [helper.make_tensor("axes", 7, [2], axes)],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("outputs", "query", "sign", "key"),
    [
        ({"prob": "Softmax", "logits": "Identity"}, "", 1, "logits"),
        ({"logits": "Neg", "features": "Identity"}, "", -1, "logits"),
        ({"a": "Neg", "b": "Identity"}, "?key=b", 1, "b"),
        ({"a": "Neg", "b": "Identity"}, "?key=a", -1, "a"),
        ({"label": "ArgMax", "scores": "Identity"}, "", 1, "scores"),
    ],
)
def test_the_output_of_an_onnx_network(
    tmp_path: Path, outputs: dict[str, str], query: str, sign: int, key: str
) -> None:
    model = load_model(f"{write_onnx(tmp_path / 'w.onnx', outputs)}{query}")
    torch.testing.assert_close(model.module(IMAGES), sign * IMAGES.mean((2, 3)))
    assert model.card["key"] == key
    assert set(model.card["beside"]) == set(outputs) - {key}


def test_outputs_that_nobody_can_choose_from_are_named(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "w.onnx", {"a": "Neg", "b": "Identity"})
    with pytest.raises(RobenchError, match=r"gives a \(tensor\(float\), .*, b \(") as caught:
        load_model(str(path))
    assert "?key=b" in str(caught.value.hint)
    with pytest.raises(RobenchError, match="no output 'c'"):
        load_model(f"{path}?key=c")
    with pytest.raises(RobenchError, match="expected one output of logits") as caught:
        load_model(str(write_onnx(tmp_path / "l.onnx", {"label": "ArgMax"})))
    assert "argmax" in str(caught.value.hint)
    hashes = {load_model(f"{path}?key={key}").hash for key in "ab"}
    assert len(hashes) == 2


def test_onnx_outputs_with_axes_of_one(tmp_path: Path) -> None:
    model = load_model(str(write_onnx(tmp_path / "w.onnx", {"y": "Unsqueeze"})))
    assert model.num_classes == 3
    torch.testing.assert_close(model.module(IMAGES), IMAGES.mean((2, 3)))


@pytest.mark.parametrize("shape", [("n", 8, 6, 3), (1, 8, 6, 3), (None, None, None, 3)])
def test_onnx_networks_of_channels_last(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    model = load_model(str(write_onnx(tmp_path / "w.onnx", {"y": "Identity"}, shape=shape, axes=(1, 2))))
    torch.testing.assert_close(model.module(IMAGES), IMAGES.mean((2, 3)))
    assert model.preprocessing.input_size == (None if shape[1] is None else (8, 6))
    assert model.card["layout"] == "NHWC"


@pytest.mark.parametrize("last", [True, False])
def test_onnx_networks_of_pixels(tmp_path: Path, last: bool) -> None:
    shape, axes = (("n", 8, 6, 3), (1, 2)) if last else (("n", 3, 8, 6), (2, 3))
    path = write_onnx(tmp_path / "w.onnx", {"y": "Identity"}, shape=shape, kind=2, axes=axes)
    model = load_model(str(path))
    assert model.preprocessing.origin == "file"
    torch.testing.assert_close(model.module(IMAGES), (IMAGES * 255).mean((2, 3)))
    every = (torch.arange(256).float() / 255).expand(1, 3, 1, 256).reshape(1, 3, 16, 16)
    free = write_onnx(tmp_path / "f.onnx", {"y": "Identity"}, shape=("n", 3, None, None), kind=2)
    assert torch.equal(load_model(str(free)).module(every), torch.full((1, 3), 127.5))
    with pytest.raises(RobenchError, match="takes pixels from 0 to 255"):
        load_model(str(path), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    with pytest.raises(RobenchError, match="takes pixels from 0 to 255"):
        load_model(str(path), std=(0.5, 0.5, 0.5))
    assert load_model(str(path), mean=(0, 0, 0), std=(1, 1, 1)).num_classes == 3


def test_onnx_networks_of_other_channels_are_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "w.onnx", {"y": "Identity"}, shape=("n", 1, 8, 6))
    with pytest.raises(RobenchError, match="expected 3 channels"):
        load_model(str(path))


def test_pixels_survive_the_way_through_floats() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    floats = torch.from_numpy(pixels).float() * (1.0 / 255.0)
    assert np.array_equal((floats * 255.0).round().to(torch.uint8).numpy(), pixels)
