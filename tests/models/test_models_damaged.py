"""Model files that were cut short or changed at random: loaded or refused in words, and never a traceback."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robench.errors import RobenchError
from robench.models import load_model
from robench.models.architectures import build

KINDS = ("zip.pth", "legacy.pth", "w.safetensors", "script.pt", "program.pt2", "network.onnx", "snapshot/config.json")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    state = build("wrn-10-1", 10).state_dict()
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()
    images = torch.zeros(2, 3, 8, 8)
    torch.save({"state_dict": state, "epoch": 3}, folder / "zip.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "w.safetensors")
    with warnings.catch_warnings(action="ignore"):
        torch.jit.trace(network, images).save(str(folder / "script.pt"))
    torch.export.save(torch.export.export(network, (images,)), folder / "program.pt2")
    (folder / "snapshot").mkdir()
    (folder / "snapshot" / "config.json").write_text(
        '{"architecture": "resnet10t", "num_classes": 7, "model_args": {}}'
    )
    try:
        from onnx import helper, save
    except ImportError:
        return folder
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])],
        "means",
        [helper.make_tensor_value_info("x", 1, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", 1, ["n", 3])],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "network.onnx")
    return folder


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Cut, change or lengthen a file at random places, mostly in its head."""
    changed = bytearray(data)
    how = draw.randrange(4)
    if how == 0:
        return data[: draw.randrange(len(data))]
    if how == 1:
        place = draw.randrange(len(data))
        changed[place:place] = draw.randbytes(draw.randrange(1, 200))
        return bytes(changed)
    for _ in range(draw.randrange(1, 20)):
        changed[draw.randrange(len(data) if how == 2 else min(2000, len(data)))] = draw.randrange(256)
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_refused_in_words(files: Path, tmp_path: Path, kind: str) -> None:
    source, draw = files / kind, random.Random(kind)
    if not source.exists():
        pytest.skip("onnx is not installed (pip install 'robench[onnx]')")
    target = tmp_path / source.name
    spec = f"hf:{tmp_path}" if "snapshot" in kind else str(target)
    bare = kind in ("zip.pth", "legacy.pth", "w.safetensors")
    refused: list[RobenchError] = []
    for _ in range(25):
        target.write_bytes(damaged(source.read_bytes(), draw))
        try:
            load_model(spec, arch="wrn-10-1" if bare else None, num_classes=10 if bare else 5)
        except RobenchError as error:
            refused.append(error)
    assert len(refused) > 5
    assert all(error.hint and len(str(error)) < 2000 for error in refused)
