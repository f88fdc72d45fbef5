"""Model files that carry code: each would leave a mark if it ran, none does, and the error says what to do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from robench.errors import RobenchError
from robench.models import load_model

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
OWN_FUNCTION = "python:FILE.py:FUNCTION"


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()


@pytest.fixture(scope="module")
def program(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "w.pt2"
    torch.export.save(torch.export.export(network, (IMAGES,), dynamic_shapes=({0: torch.export.Dim("n")},)), path)
    return path


def rewrite(source: Path, target: Path, change: Callable[[str, bytes], bytes], **added: bytes) -> Path:
    """Copy an archive with its members changed and others added (by the part of the name after the first slash)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        top = old.namelist()[0].split("/")[0]
        for name, data in added.items():
            new.writestr(f"{top}/{name}", data)
    return target


def edit(source: Path, target: Path, member: str, change: Callable[[dict[str, Any]], None], **added: bytes) -> Path:
    """Copy an archive with one JSON member changed."""

    def change_one(name: str, data: bytes) -> bytes:
        if not name.endswith(member):
            return data
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return rewrite(source, target, change_one, **added)


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def refused(path: Path, match: str) -> None:
    with pytest.raises(RobenchError, match=match) as caught:
        load_model(str(path), num_classes=5)
    assert OWN_FUNCTION in str(caught.value) or "Save it again" in str(caught.value)


def gives(path: Path, network: nn.Module) -> None:
    model = load_model(str(path), num_classes=5)
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), network(IMAGES))


def test_the_payload_is_live(mark: Path) -> None:
    # Otherwise the tests below would show nothing.
    torch.load(io.BytesIO(pickled(Touch(mark))), weights_only=False)
    assert mark.exists()


def test_pickled_sample_inputs_are_not_read(program: Path, network: nn.Module, tmp_path: Path, mark: Path) -> None:
    evil = pickled(((Touch(mark),), {}))
    path = rewrite(program, tmp_path / "e.pt2", lambda name, data: evil if "sample_inputs" in name else data)
    gives(path, network)
    assert not mark.exists()
    # What the file does to whoever loads it with PyTorch.
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        torch.export.load(path)
    assert mark.exists()


def test_pickled_weights_are_refused(program: Path, tmp_path: Path, mark: Path) -> None:
    def pickle_first(config: dict[str, Any]) -> None:
        next(iter(config["config"].values())).update(use_pickle=True, path_name="weight_evil")

    path = edit(
        program, tmp_path / "e.pt2", "weights_config.json", pickle_first,
        **{"data/weights/weight_evil": pickled(Touch(mark))},
    )  # fmt: skip
    refused(path, "holds pickled objects other than tensors")
    assert not mark.exists()


@pytest.mark.parametrize("prefix", ["opaque_obj_0", "custom_obj_0", "tensor_0"])
def test_pickled_constants_are_refused(program: Path, tmp_path: Path, mark: Path, prefix: str) -> None:
    def add(config: dict[str, Any]) -> None:
        config["config"]["c"] = {"path_name": prefix, "is_param": False, "use_pickle": True, "tensor_meta": None}

    data = pickled(Touch(mark)) if prefix.startswith("tensor") else pickle.dumps(Touch(mark))
    path = edit(program, tmp_path / "e.pt2", "constants_config.json", add, **{f"data/constants/{prefix}": data})
    refused(path, "holds pickled objects other than tensors")
    assert not mark.exists()


@pytest.mark.parametrize("where", ["guards", "shapes", "names", "metadata", "tree"])
def test_text_in_the_description_is_never_evaluated(
    program: Path, network: nn.Module, tmp_path: Path, mark: Path, where: str
) -> None:
    code = f"__import__('os').system('touch {mark}')"

    def change(document: dict[str, Any]) -> None:
        graph = document["graph_module"]["graph"]
        if where == "guards":
            document["guards_code"] = [f"{code} == 0"]
        elif where == "shapes":
            for meta in graph["tensor_values"].values():
                for size in meta["sizes"]:
                    if "as_expr" in size:
                        size["as_expr"]["expr_str"] = code
            document["range_constraints"] = {code: {"min_val": 2, "max_val": 9}}
        elif where == "names":
            # The name of the images, where a value and not an argument has it.
            name, text = json.dumps(f"x={code}"), json.dumps(document)
            assert '{"name": "input"}' in text
            text = text.replace('{"name": "input"}', f'{{"name": {name}}}').replace(
                '"input": {"dtype"', f'{name}: {{"dtype"'
            )
            document.clear()
            document.update(json.loads(text))
        elif where == "metadata":
            for node in graph["nodes"]:
                node["metadata"] = {"nn_module_stack": code, "source_fn_stack": code, "stack_trace": code}
        else:
            for entry in document["graph_module"]["module_call_graph"]:
                if entry["signature"]:
                    entry["signature"].update(in_spec=code, out_spec=code, forward_arg_names=[code])

    gives(edit(program, tmp_path / "e.pt2", "models/model.json", change), network)
    assert not mark.exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "builtins.eval", "builtins.getattr", "_operator.attrgetter", "_operator.methodcaller",
        "torch.load", "torch.ops.image.write_file.default", "torch.ops.aten.from_file.default",
        "torch.ops.aten.save.default",
        "torch.ops.aten.__class__.mro", "torch.ops.aten._dir.default", "torch.ops.aten.relu.__call__",
        "torch.ops.higher_order.cond", "torch.ops.aten.set_.source_Tensor_storage_offset",
        "torch.ops.aten.resize_.default", "torch.ops.load_library", "torch._ops.ops.load_library",
    ],
)  # fmt: skip
def test_operators_other_than_tensor_arithmetic_are_refused(program: Path, tmp_path: Path, target: str) -> None:
    def change(document: dict[str, Any]) -> None:
        document["graph_module"]["graph"]["nodes"][1]["target"] = target

    refused(edit(program, tmp_path / "e.pt2", "models/model.json", change), "calls '")


def test_a_tensor_beyond_its_bytes_is_refused(program: Path, tmp_path: Path) -> None:
    def enlarge(config: dict[str, Any]) -> None:
        meta = next(iter(config["config"].values()))["tensor_meta"]
        meta["storage_offset"] = {"as_int": 10_000}

    refused(edit(program, tmp_path / "e.pt2", "weights_config.json", enlarge), "out of bounds")


def test_the_pickled_layout_of_old_programs_is_refused(tmp_path: Path, mark: Path) -> None:
    path = tmp_path / "old.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("state_dict", "constants", "example_inputs"):
            archive.writestr(f"serialized_{name}.pt", pickled(Touch(mark)))
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("version", "8.1")
    refused(path, "not a torch.export program")
    assert not mark.exists()


def torchscript(path: Path, source: str) -> Path:
    """Write a TorchScript file whose only class has this body (with the mark of the test in it)."""
    with warnings.catch_warnings(action="ignore"):
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(_Script()), buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith(".py"):
                data = data.decode().replace("    return None\n", f"    {source}\n    return None\n").encode()
            new.writestr(name, data)
    return path


class _Script(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * self.weight

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        self.weight = state[0]
        self.training = state[1]


def test_a_torchscript_class_that_only_computes_is_loaded(tmp_path: Path) -> None:
    model = load_model(str(torchscript(tmp_path / "w.pt", "_0 = torch.neg(self.weight)")), num_classes=3)
    torch.testing.assert_close(model.module(IMAGES), IMAGES.mean((2, 3)))


def test_torchscript_that_writes_a_file_while_it_is_loaded_is_refused(tmp_path: Path, mark: Path) -> None:
    path = torchscript(tmp_path / "w.pt", f'torch.save(torch.ones([3]), "{mark}")')
    refused(path, r"does more than compute: 'torch\.save")
    assert not mark.exists()
    with warnings.catch_warnings(action="ignore"):
        torch.jit.load(path)
    assert mark.exists()  # what the file does to whoever loads it with PyTorch


@pytest.mark.parametrize(
    "source",
    [
        '_0 = torch.from_file("m", True, 8)',
        '_0 = ops.image.write_file("m", torch.ones([3], dtype=0))',
        '_0 = ops . image . write_file("m", torch.ones([3], dtype=0))',
        '_0 = ops.aten.from_file("m", True, 8)',
        '(self.weight).save("m")',
        'getattr(torch, "sa" "ve")(self.weight, "m")',
        'getattr(self.weight, "sa" \'ve\')("m")',
        'getattr(self.weight, "\\163ave")("m")',
        "_0 = torch.classes.profiler._RecordFunction()",
        "_0 = torch.distributed.rpc.rpc_async(self.weight)",
        "_0 = ops.c10d.send([self.weight], 0, 0)",
    ],
)
def test_torchscript_that_reaches_out_is_refused(tmp_path: Path, source: str) -> None:
    refused(torchscript(tmp_path / "w.pt", source), "does more than compute")


def test_a_second_member_of_a_name_is_refused(tmp_path: Path, mark: Path) -> None:
    good = torchscript(tmp_path / "good.pt", "_0 = torch.neg(self.weight)")
    evil = torchscript(tmp_path / "evil.pt", f'torch.save(torch.ones([3]), "{mark}")')
    with zipfile.ZipFile(evil) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".py"))
        hidden = archive.read(name)
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr(name.upper().replace(".PY", ".Py"), hidden)
    refused(good, "has two members")
    assert not mark.exists()


def test_cards_are_read_as_plain_data(tmp_path: Path, mark: Path) -> None:
    (tmp_path / "card.yaml").write_text(f"name: !!python/object/apply:os.system ['touch {mark}']\n")
    with pytest.raises(RobenchError, match=r"Could not read the model card .*card\.yaml"):
        load_model(str(tmp_path))
    assert not mark.exists()


def test_other_libraries_read_tensors_only(tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import ResNet18_Weights

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub/checkpoints" / Path(ResNet18_Weights.DEFAULT.url).name
    cached.parent.mkdir(parents=True)
    torch.save({"conv1.weight": Touch(mark)}, cached)
    with pytest.raises(RobenchError, match="weights of torchvision:resnet18"):
        load_model("torchvision:resnet18")
    assert not mark.exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("name", ["w.pth", "w.pt2"])
def test_archives_that_would_fill_the_memory_are_refused(tmp_path: Path, program: Path, name: str) -> None:
    path = tmp_path / name
    if name == "w.pth":
        torch.save({"weight": torch.zeros(4)}, path)
    else:
        path.write_bytes(program.read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/9", bytes(80 << 20))
    with pytest.raises(RobenchError, match=r"archive/data/9', [\d,]+ bytes that unpack to 83,886,080"):
        load_model(str(path), arch="wrn-10-1", num_classes=10)
