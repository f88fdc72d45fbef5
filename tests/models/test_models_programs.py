"""Programs: torch.export, TorchScript and ONNX give the logits of the module they were made from, at any batch size."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions
from robench.evaluation.forward import Forward
from robench.models import ensemble, load_model, wrap
from robench.models.architectures import build
from robench.models.checkpoints import file_hash

CPU = EvaluationOptions(device="cpu")
IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build("wrn-10-1", 10).eval()


def export(module: nn.Module, path: Path, batch: object, images: torch.Tensor = IMAGES) -> Path:
    shapes = None if batch is None else ({0: batch},)
    torch.export.save(torch.export.export(module, (images,), dynamic_shapes=shapes), path)
    return path


def same(path: Path, module: nn.Module, images: torch.Tensor = IMAGES, **options: int) -> None:
    model = load_model(str(path), **options)  # type: ignore[arg-type]
    assert isinstance(model.module, nn.Module)
    with torch.no_grad():
        expected = module(images)
        torch.testing.assert_close(model.module(images), expected, rtol=1e-4, atol=1e-5)
        last = model.module.to(memory_format=torch.channels_last)
        found = last(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [None, torch.export.Dim("n", min=2, max=4)])
def test_exported_programs(tmp_path: Path, network: nn.Module, batch: object) -> None:
    path = export(network, tmp_path / "w.pt2", batch, IMAGES[:3])
    for count in (1, 2, 3, 5, 7):
        same(path, network, torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count)))
    model = load_model(str(path))
    assert model.num_classes == 10
    assert model.preprocessing.input_size == (32, 32)


class Awkward(nn.Module):
    """Parts that programs of transformers have: views, slices in place, chunks, constants, several results, sums."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.linspace(-1, 1, 8), persistent=False)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.convolution = nn.Conv2d(3, 8, 4, stride=4)
        self.head = nn.Linear(16, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.convolution(images)
        n, c, h, w = x.shape
        tokens = x.view(n, c, h * w).transpose(1, 2) + self.shift
        mask = torch.zeros(n, h * w, 1, device=x.device)
        mask[:, : h * w // 2] += 1.5
        tokens = torch.cat([self.attention(tokens, tokens, tokens)[0], tokens * mask * self.scale], dim=2)
        first, second = tokens.chunk(2, dim=1)
        values, _ = torch.max(first - second.flip(1), dim=1)
        return self.head(torch.where(values > 0, values, torch.full_like(values, float("-inf")).exp()))


@pytest.mark.parametrize("batch", [None, torch.export.Dim("n")])
def test_programs_of_awkward_parts(tmp_path: Path, batch: object) -> None:
    torch.manual_seed(0)
    module = Awkward().eval()
    same(export(module, tmp_path / "w.pt2", batch), module)


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("shufflenet_v2_x0_5", "mobilenet_v3_small", "densenet121", "efficientnet_b0", "regnet_y_400mf")
        ),
    ],
)
def test_programs_of_torchvision(tmp_path: Path, name: str) -> None:
    from torchvision import models

    torch.manual_seed(0)
    module = models.get_model(name, weights=None, num_classes=6).eval()
    images = torch.rand(2, 3, 64, 64)
    same(export(module, tmp_path / "w.pt2", None, images), module, images)


def test_programs_go_through_the_engine(tmp_path: Path, network: nn.Module) -> None:
    path = export(network, tmp_path / "w.pt2", torch.export.Dim("n"))
    images = (IMAGES * 255).to(torch.uint8)
    found = Forward(load_model(str(path), mean=(0.5,) * 3, std=(0.25,) * 3), EvaluationOptions(device="cpu"))(images)
    with torch.no_grad():
        expected = network((images.float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    half = Forward(load_model(str(path)), EvaluationOptions(device="cpu", precision="bf16"))(images)
    assert half.dtype == torch.bfloat16
    with pytest.raises(RobenchError, match="32 x 32 pixels; the suite gives 16 x 16"):
        Forward(load_model(str(path)), EvaluationOptions(device="cpu"))(images[:, :, :16, :16])


class OfPixels(nn.Module):
    """A network that takes pixels from 0 to 255 and normalises them itself, channels first or last."""

    def __init__(self, network: nn.Module, *, last: bool = False) -> None:
        super().__init__()
        self.network, self.last = network, last

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        images = (pixels.float() / 255 - 0.5) / 0.25
        return self.network(images.permute(0, 3, 1, 2) if self.last else images)


@pytest.mark.parametrize("last", [False, True])
def test_programs_of_pixels_see_grey_levels(tmp_path: Path, network: nn.Module, last: bool) -> None:
    """Images in [0, 1] cast to whole numbers would all be black."""
    module, pixels = OfPixels(network, last=last).eval(), (IMAGES * 255).to(torch.uint8)
    given = pixels.permute(0, 2, 3, 1).contiguous() if last else pixels
    path = export(module, tmp_path / "w.pt2", torch.export.Dim("n"), given)
    model = load_model(str(path))
    with torch.no_grad():
        expected = network((pixels.float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(Forward(model, CPU)(pixels), expected, rtol=1e-4, atol=1e-5)
    assert (model.preprocessing.origin, model.preprocessing.input_size) == ("file", (32, 32))
    assert model.card.get("layout") == ("NHWC" if last else None)
    with pytest.raises(RobenchError, match="takes pixels from 0 to 255"):
        load_model(str(path), mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.mark.parametrize("name", ["w.pt", "w.PT2", "w.pth"])
def test_programs_under_another_name_are_told(tmp_path: Path, network: nn.Module, name: str) -> None:
    export(network, tmp_path / "w.pt2", None).rename(tmp_path / name)
    with pytest.raises(RobenchError, match=r"is a torch\.export program, not a checkpoint.*\n.*w\.pt2"):
        load_model(str(tmp_path / name), num_classes=10)


def test_programs_of_other_inputs_are_refused(tmp_path: Path) -> None:
    class Whole(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float().mean((2, 3))

    export(Whole(), tmp_path / "int.pt2", None, torch.ones(2, 3, 8, 8, dtype=torch.int64))
    export(Whole(), tmp_path / "grey.pt2", None, torch.ones(2, 1, 8, 8))
    for name, said in (("int", "numbers of type int64"), ("grey", "expected 3 channels")):
        with pytest.raises(RobenchError, match=said):
            load_model(str(tmp_path / f"{name}.pt2"), num_classes=3)


def test_programs_that_cannot_be_measured_say_why(tmp_path: Path) -> None:
    class Pair(nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return images.mean((2, 3)), images.sum((2, 3))

    class Two(nn.Module):
        def forward(self, images: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return (images + other).mean((2, 3))

    export(Pair(), tmp_path / "pair.pt2", None)
    torch.export.save(torch.export.export(Two(), (IMAGES, IMAGES)), tmp_path / "two.pt2")
    export(nn.Sequential(nn.BatchNorm2d(3), nn.Flatten()).train(), tmp_path / "train.pt2", None)
    export(nn.Sequential(nn.Dropout(0.5), nn.Flatten()).train(), tmp_path / "dropout.pt2", None)
    for name, said in (
        ("pair", "gives 2 outputs"), ("two", "more than one input"), ("train", r"training mode.*\n?.*model\.eval"),
        ("dropout", "training mode"),
    ):  # fmt: skip
        with pytest.raises(RobenchError, match=f"(?s){said}"):
            load_model(str(tmp_path / f"{name}.pt2"), num_classes=3)


@pytest.mark.parametrize("content", [b"no program", b"PK\x03\x04 truncated"])
def test_what_is_no_program_is_said(tmp_path: Path, network: nn.Module, content: bytes) -> None:
    (tmp_path / "w.pt2").write_bytes(content)
    with pytest.raises(RobenchError, match=r"w\.pt2 is not a torch\.export program"):
        load_model(str(tmp_path / "w.pt2"))
    whole = export(network, tmp_path / "whole.pt2", None).read_bytes()
    (tmp_path / "w.pt2").write_bytes(whole[:-2000])
    with pytest.raises(RobenchError, match=r"w\.pt2 is not a torch\.export program"):
        load_model(str(tmp_path / "w.pt2"))


@pytest.mark.parametrize("scripted", [True, False])
def test_torchscript(tmp_path: Path, network: nn.Module, scripted: bool) -> None:
    with warnings.catch_warnings(action="ignore"):
        program = torch.jit.script(network) if scripted else torch.jit.trace(network, IMAGES)
        program.save(str(tmp_path / "w.pt"))
    same(tmp_path / "w.pt", network, IMAGES[:2], num_classes=10)


def onnx_network(path: Path, batch: int | str, side: int = 32) -> Path:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])],
        "mean",
        [helper.make_tensor_value_info("x", 1, [batch, 3, side, side])],
        [helper.make_tensor_value_info("y", 1, [batch, 3])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("batch", ["n", 1, 2, 8])
def test_onnx_networks_run_at_any_batch_size(tmp_path: Path, batch: int | str) -> None:
    model = load_model(str(onnx_network(tmp_path / "w.onnx", batch)))
    assert (model.num_classes, model.preprocessing.input_size) == (3, (32, 32))
    torch.testing.assert_close(model.module(IMAGES), IMAGES.mean((2, 3)))


def test_an_ensemble_needs_the_image_size_of_its_members(tmp_path: Path) -> None:
    small, other = (load_model(str(onnx_network(tmp_path / f"{side}.onnx", "n", side))) for side in (32, 64))
    free = wrap(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), num_classes=3)
    joined = ensemble([free, small])
    assert joined.preprocessing.input_size == (32, 32)
    with pytest.raises(RobenchError, match=r"needs images of 32 x 32 pixels; the suite gives 64 x 64"):
        Forward(joined, EvaluationOptions(device="cpu"))(torch.zeros(2, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(RobenchError, match=r"made for images of 32 x 32 and 64 x 64 pixels"):
        ensemble([small, other])


def test_onnx_networks_that_cannot_be_measured_say_why(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Flatten", ["x"], ["y"])],
        "whole numbers",
        [value("x", 7, ["n", 3])],
        [value("y", 7, None)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "w.onnx")
    with pytest.raises(RobenchError, match=r"takes x \(tensor\(int64\)\); expected float images"):
        load_model(str(tmp_path / "w.onnx"))
    (tmp_path / "w.onnx").write_bytes(b"nothing")
    with pytest.raises(RobenchError, match=r"w\.onnx is not an ONNX network"):
        load_model(str(tmp_path / "w.onnx"))


def test_weights_beside_an_onnx_file_count_in_its_hash(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper, name = onnx.helper, f"{'long-' * 40}.onnx"
    hashes = []
    for value in (0.0, 1.0, 1.0):
        weight = helper.make_tensor("w", 1, [3], np.full(3, value, np.float32).tobytes(), raw=True)
        graph = helper.make_graph(
            [
                helper.make_node("GlobalAveragePool", ["x"], ["p"]),
                helper.make_node("Flatten", ["p"], ["f"]),
                helper.make_node("Add", ["f", "w"], ["y"]),
            ],
            "weights elsewhere",
            [helper.make_tensor_value_info("x", 1, ["n", 3, 32, 32])],
            [helper.make_tensor_value_info("y", 1, ["n", 3])],
            [weight],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        (tmp_path / f"{name}.data").unlink(missing_ok=True)
        onnx.save(model, tmp_path / name, save_as_external_data=True, location=f"{name}.data", size_threshold=0)
        loaded = load_model(str(tmp_path / name))
        torch.testing.assert_close(loaded.module(IMAGES), IMAGES.mean((2, 3)) + value)
        hashes.append((file_hash(tmp_path / name), loaded.hash))
    assert len({file for file, _ in hashes}) == 1
    assert hashes[0][1] != hashes[1][1] == hashes[2][1]


def test_onnx_reads_no_file_outside_its_folder(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install 'robench[onnx]')")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    helper, inside = onnx.helper, tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(bytes(12))
    weight = helper.make_tensor("w", 1, [3], [0.0, 0.0, 0.0])
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Add", ["f", "w"], ["y"]),
        ],
        "outside",
        [helper.make_tensor_value_info("x", 1, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", 1, ["n", 3])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (inside / "w.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(RobenchError, match=r"w\.onnx is not an ONNX network that onnxruntime loads"):
        load_model(str(inside / "w.onnx"))
