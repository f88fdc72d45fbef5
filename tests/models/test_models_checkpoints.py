"""Checkpoints as people have them: several networks, wrappers' names, a head apart, a normalisation, data beside."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import pathlib
import sys
import types
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from robench.errors import RobenchError
from robench.models import Model, load_model
from robench.models.architectures import build
from robench.models.checkpoints import read_weights

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return build("wrn-10-1", 10).state_dict()


def zeros(state: State) -> State:
    return {key: torch.zeros_like(value) for key, value in state.items()}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def load(document: Any, folder: Path, query: str = "", **options: Any) -> Model:
    path = folder / "w.pth"
    torch.save(document, path)
    return load_model(f"{path}{query}", **({"arch": "wrn-10-1", "num_classes": 10} | options))


def is_whole(model: Model, state: State) -> bool:
    assert isinstance(model.module, nn.Module)
    found = model.module.state_dict()
    return all(torch.equal(value, found[key]) for key, value in state.items())


SEVERAL: dict[str, tuple[Callable[[State], Any], set[str]]] = {
    "student and teacher": (lambda s: {"student": zeros(s), "teacher": s, "epoch": 3}, {"student", "teacher"}),
    "their state dicts": (
        lambda s: {"student": {"state_dict": zeros(s)}, "teacher": {"state_dict": s}},
        {"student.state_dict", "teacher.state_dict"},
    ),
    "two players": (lambda s: {"netG": zeros(s), "netD": s}, {"netG", "netD"}),
    "two usual names": (lambda s: {"model": zeros(s), "net": s}, {"model", "net"}),
    "within the usual name": (lambda s: {"model": {"encoder_q": zeros(s), "encoder_k": s}}, {"model.encoder_q"}),
    "in one row": (lambda s: {**prefixed("student.", zeros(s)), **prefixed("teacher_net.", s)}, {"student"}),
    "in one row, wrapped": (
        lambda s: {"state_dict": {**prefixed("module.a.", zeros(s)), **prefixed("module.b.", s)}},
        {"'a'", "'b'"},
    ),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_several_networks_are_named_and_none_is_taken(tmp_path: Path, state: State, form: str) -> None:
    make, names = SEVERAL[form]
    with pytest.raises(RobenchError, match="networks") as caught:
        load(make(state), tmp_path)
    assert all(name in str(caught.value) for name in names)
    assert "?key=" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("form", "query", "key"),
    [
        ("student and teacher", "?key=teacher", "teacher"),
        ("their state dicts", "?key=teacher.state_dict", "teacher.state_dict"),
        ("two players", "?key=netD", "netD"),
        ("two usual names", "?key=net", "net"),
        ("within the usual name", "?key=encoder_k", "model.encoder_k"),
        ("within the usual name", "?key=model.encoder_k", "model.encoder_k"),
        ("in one row", "?key=teacher_net", "teacher_net"),
        ("in one row, wrapped", "?key=b", "state_dict.b"),
    ],
)
def test_a_key_chooses_and_stands_on_the_card(tmp_path: Path, state: State, form: str, query: str, key: str) -> None:
    model = load(SEVERAL[form][0](state), tmp_path, query)
    assert is_whole(model, state)
    assert model.card["key"] == key
    assert model.name == f"w-{query.removeprefix('?key=')}"
    with pytest.raises(RobenchError, match="no network under 'gone'"):
        load(SEVERAL[form][0](state), tmp_path, "?key=gone")


def test_an_average_alone_with_its_counters(tmp_path: Path, state: State) -> None:
    """As ema-pytorch keeps it without the network that is trained."""
    document = prefixed("ema_model.", state) | {"initted": torch.tensor([True]), "step": torch.tensor(10)}
    for ema in (False, True):
        model = load(document, tmp_path, ema=ema)
        assert is_whole(model, state)
        assert model.card["key"] == "model_ema"


class Tied(nn.Module):
    """Its first layer is registered twice."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.stem = self.features[0]
        self.head = nn.Linear(4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x).mean((2, 3)))
        return logits


@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
@pytest.mark.parametrize("kept", ["features.0", "stem"])
def test_a_file_may_have_one_name_of_a_shared_tensor(tmp_path: Path, prefix: str, kept: str) -> None:
    """As safetensors' ``save_model`` and accelerate write them."""
    torch.manual_seed(0)
    (tmp_path / "tied.py").write_text(f"import sys\nmake = sys.modules[{__name__!r}].Tied\n")
    module = Tied().eval()
    lost = ({"features.0", "stem"} - {kept}).pop()
    state = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(f"{lost}.")}
    save_file(prefixed(prefix, state), tmp_path / "w.safetensors")
    options: dict[str, Any] = {"arch": f"python:{tmp_path}/tied.py:make", "num_classes": 10}
    model = load_model(str(tmp_path / "w.safetensors"), **options)
    images = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(model.module(images), module(images))
    save_file(prefixed(prefix, {"head.weight": state["head.weight"]}), tmp_path / "w.safetensors")
    with pytest.raises(RobenchError, match=r"Missing: features\.0\.weight, .*stem\.weight"):
        load_model(str(tmp_path / "w.safetensors"), **options)


def test_shared_affine_parameters_may_have_one_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build("wrn-10-1", 10, "splitbn-shared")
    save_model(network, str(tmp_path / "w.safetensors"))
    model = load_model(str(tmp_path / "w.safetensors"), arch="wrn-10-1", norm="splitbn-shared", num_classes=10)
    assert is_whole(model, network.state_dict())


def test_the_rule_among_several_and_its_record(tmp_path: Path, state: State) -> None:
    document = {"state_dict": state, "state_dict_ema": zeros(state), "optimizer": {"state": {0: state}}}
    usual = load(document, tmp_path)
    assert is_whole(usual, state)
    assert usual.card["key"] == "state_dict"
    assert usual.card["beside"] == ["state_dict_ema"]
    assert "ema" not in usual.card
    averaged = load(document, tmp_path, ema=True)
    assert is_whole(averaged, zeros(state))
    assert (averaged.card["key"], averaged.card["beside"]) == ("state_dict_ema", ["state_dict"])
    assert averaged.card["ema"] is True
    with pytest.raises(RobenchError, match=r"`ema` would be ignored, as '\?key=state_dict' names the network"):
        load(document, tmp_path, "?key=state_dict", ema=True)
    assert "key" not in load(state, tmp_path).card


@pytest.mark.parametrize("name", ["student", "teacher", "model_best", "ema"])
def test_the_only_network_is_taken_whatever_its_name(tmp_path: Path, state: State, name: str) -> None:
    assert load({name: state, "epoch": 3}, tmp_path).card["key"] == name


def test_the_same_network_twice_is_one(tmp_path: Path, state: State) -> None:
    assert is_whole(load({"model": state, "net": dict(state)}, tmp_path), state)


def test_what_belongs_to_the_training_is_no_network(tmp_path: Path, state: State) -> None:
    document = {
        "state_dict": state,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(3, 3)}}, "param_groups": [{"lr": 0.1}]},
        "criterion": {"weight": torch.ones(10, 10)},
        "metrics": {"confusion": torch.ones(10, 10), "accuracy": torch.tensor(0.5)},
        "rng_state": torch.get_rng_state(),
        "scaler": {"scale": torch.tensor(1024.0)},
    }
    model = load(document, tmp_path)
    assert is_whole(model, state)
    assert "beside" not in model.card


WRAPPED: dict[str, Callable[[State], State]] = {
    "FSDP before all and inside": lambda s: {
        "_fsdp_wrapped_module." + key.replace("stages.0.", "stages.0._fsdp_wrapped_module."): v for key, v in s.items()
    },
    "compiled parts": lambda s: {key.replace("stages.1.0.", "stages.1.0._orig_mod."): v for key, v in s.items()},
    "activation checkpoints": lambda s: {
        key.replace("stages.2.", "stages.2._checkpoint_wrapped_module."): v for key, v in s.items()
    },
    "DataParallel of a part": lambda s: {
        ("model.module." if key.startswith("stages") else "model.") + key: v for key, v in s.items()
    },
    "an own prefix": lambda s: prefixed("classifier_model.net.", s),
    "backbone and head": lambda s: {("head." if k.startswith("head") else "backbone.") + k: v for k, v in s.items()},
    "head under its own name": lambda s: {
        k.replace("head.", "classifier.") if k.startswith("head") else f"encoder.{k}": v for k, v in s.items()
    },
    "a sequence": lambda s: {k.replace("head.", "1.") if k.startswith("head") else f"0.{k}": v for k, v in s.items()},
    "head deep inside": lambda s: {
        k.replace("head.", "head.mlp.fc.") if k.startswith("head") else f"module.backbone.{k}": v for k, v in s.items()
    },
    "Lightning with metrics": lambda s: {**prefixed("model.", s), "train_acc.confmat": torch.ones(10, 10)},
    "a copy in the attacker": lambda s: {**prefixed("module.model.", s), **prefixed("module.attacker.model.", s)},
}  # fmt: skip


@pytest.mark.parametrize("form", WRAPPED)
def test_wrappers_and_prefixes_anywhere_in_a_name(tmp_path: Path, state: State, form: str) -> None:
    plain = load(state, tmp_path)
    model = load({"state_dict": WRAPPED[form](state)}, tmp_path)
    assert is_whole(model, state)
    if form not in ("head under its own name", "a sequence", "head deep inside"):
        assert model.hash == plain.hash


def test_published_names_under_a_prefix_with_the_head_apart(tmp_path: Path) -> None:
    network = build("resnet-20", 10)
    names = {"stages.0.": "layer1.", "stages.1.": "layer2.", "stages.2.": "layer3.", "norm": "bn"}

    def published(name: str) -> str:
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        return name.replace("conv.", "conv1.") if name.startswith("conv.") else name.replace("bn.", "bn1.")

    state = {
        f"cls_head.fc.{k.partition('.')[2]}" if k.startswith("head.") else f"backbone.{published(k)}": v
        for k, v in network.state_dict().items()
    }
    assert {"backbone.layer1.0.bn1.weight", "backbone.conv1.weight", "cls_head.fc.bias"} <= set(state)
    assert is_whole(load(state, tmp_path, arch="resnet-20"), network.state_dict())


def test_what_lacks_is_said_with_what_fits(tmp_path: Path, state: State) -> None:
    headless = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("head")}
    with pytest.raises(RobenchError, match=r"After taking off 'backbone\.', 37 of 39 names fit") as caught:
        load(headless | {"projector.weight": torch.ones(7, 64)}, tmp_path)
    assert "Missing: head.weight, head.bias. Not expected: projector.weight." in str(caught.value)
    with pytest.raises(RobenchError, match=r"Not expected: stages\.9\.conv\.weight"):
        load({**state, "stages.9.conv.weight": torch.ones(3, 3)}, tmp_path)
    with pytest.raises(RobenchError, match="FULL_STATE_DICT"):
        load({"_fsdp_wrapped_module._flat_param": torch.ones(9)}, tmp_path)


def test_parts_that_are_left_out_stand_on_the_card(tmp_path: Path, state: State) -> None:
    model = load({**prefixed("net.", state), "projector.0.weight": torch.ones(3, 3), "queue": torch.ones(4)}, tmp_path)
    assert is_whole(model, state)
    assert model.card["unused"] == ["projector", "queue"]


NORMALISED: dict[str, dict[str, torch.Tensor]] = {
    "mu and sigma": {"mu": torch.full((1, 3, 1, 1), 0.5), "sigma": torch.full((1, 3, 1, 1), 0.25)},
    "a layer": {"normalizer.mean": torch.full((3,), 0.5), "normalizer.std": torch.full((3,), 0.25)},
    "Madry's": {
        "normalizer.new_mean": torch.full((3, 1, 1), 0.5), "normalizer.new_std": torch.full((3, 1, 1), 0.25),
        "attacker.normalize.new_mean": torch.full((3, 1, 1), 0.5),
        "attacker.normalize.new_std": torch.full((3, 1, 1), 0.25),
    },
    "pixels": {"pixel_mean": torch.full((3, 1, 1), 127.5), "pixel_std": torch.full((3, 1, 1), 63.75)},
}  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize("form", NORMALISED)
def test_a_checkpoints_normalisation_is_used(tmp_path: Path, state: State, form: str, prefix: str) -> None:
    document = {**prefixed(prefix, state), **NORMALISED[form]}
    model = load(document, tmp_path)
    assert is_whole(model, state)
    found = model.preprocessing
    assert (found.mean, found.std, found.origin) == ((0.5,) * 3, (0.25,) * 3, "checkpoint")
    assert "unused" not in model.card
    other = load(document, tmp_path, mean=(0.1, 0.1, 0.1), std=(1, 1, 1)).preprocessing
    assert (other.mean, other.origin) == ((0.1,) * 3, "option over checkpoint")


def test_half_a_normalisation_is_refused(tmp_path: Path, state: State) -> None:
    with pytest.raises(RobenchError, match="Not expected: mu, gamma"):
        load({**state, "mu": torch.full((3,), 0.5), "gamma": torch.ones(3)}, tmp_path)


def test_weights_of_a_foreign_architecture_need_a_normalisation(tmp_path: Path) -> None:
    from torchvision import models

    state = models.squeezenet1_1(num_classes=7).state_dict()
    for arch in ("torchvision:squeezenet1_1", "squeezenet1_1"):
        with pytest.raises(RobenchError, match="does not say which normalisation") as caught:
            load(state, tmp_path, arch=arch, num_classes=7)
        assert "`norm_preset='none'`" in str(caught.value.hint)
    none = load(state, tmp_path, arch="squeezenet1_1", num_classes=7, mean=(0, 0, 0), std=(1, 1, 1)).preprocessing
    assert (none.mean, none.std, none.origin) == ((0, 0, 0), (1, 1, 1), "option")
    named = load(state, tmp_path, arch="torchvision:squeezenet1_1.IMAGENET1K_V1", num_classes=7).preprocessing
    assert (named.mean, named.origin) == ((0.485, 0.456, 0.406), "torchvision")
    assert named.geometry is not None
    assert (named.geometry.resize, named.geometry.crop) == (256, 224)
    timm = load(build_timm(), tmp_path, arch="timm:resnet10t", num_classes=7).preprocessing
    assert (timm.mean, timm.origin) == ((0.485, 0.456, 0.406), "timm")


def build_timm() -> State:
    from timm import create_model

    state: State = create_model("resnet10t", num_classes=7).state_dict()
    return state


class Options(dict[str, Any]):
    """A mapping of a training code's own."""


BESIDE: dict[str, Any] = {
    "a path": {"args": argparse.Namespace(out=pathlib.PosixPath("/tmp/x"), data=pathlib.PurePosixPath("a"))},
    "arrays": {"history": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "b"]), "none": np.array([None, 1])},
    "a defaultdict": {"scores": collections.defaultdict(list, {"a": [1, 2]}), "n": collections.defaultdict(int, a=1)},
    "a deque": {"last": collections.deque([1.0, 2.0], maxlen=5)},
    "times": {
        "at": datetime.datetime(2024, 1, 2), "day": datetime.date(2024, 1, 2), "took": datetime.timedelta(seconds=3),
        "zone": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
    },
    "random states": {"numpy": np.random.RandomState(0).get_state(), "torch": torch.get_rng_state()},
    "numbers": {"best": np.float32(0.5), "flag": np.bool_(True), "exact": decimal.Decimal("0.1"), "id": uuid.uuid4()},
    "counts": {"seen": collections.Counter("abca"), "tags": {"a", "b"}, "raw": b"\x00\xff", "more": bytearray(b"x")},
    "a namespace": {"cfg": types.SimpleNamespace(lr=0.1, sizes=(1, 2))},
}  # fmt: skip


@pytest.mark.parametrize("form", BESIDE)
def test_plain_data_beside_the_weights_is_let_in(tmp_path: Path, state: State, form: str) -> None:
    assert is_whole(load({"state_dict": state, **BESIDE[form]}, tmp_path), state)


def test_options_of_libraries_that_are_not_installed(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "yacs.config.CfgNode",
        "omegaconf.dictconfig.DictConfig",
        "mmengine.logging.history_buffer.HistoryBuffer",
    ):
        home, _, kind = name.rpartition(".")
        base = dict if "yacs" in name else object
        made = type(kind, (base,), {"__module__": home})
        with monkeypatch.context() as patch:
            for depth in range(1, home.count(".") + 2):
                part = ".".join(home.split(".")[:depth])
                patch.setitem(sys.modules, part, types.ModuleType(part))
            setattr(sys.modules[home], kind, made)
            value = made()
            value.lr = 0.1
            torch.save({"state_dict": state, "config": value}, tmp_path / "w.pth")
        assert is_whole(load_model(str(tmp_path / "w.pth"), arch="wrn-10-1", num_classes=10), state)


def test_nothing_of_the_plain_data_is_imported(tmp_path: Path, state: State) -> None:
    torch.save({"state_dict": state, "array": np.arange(3), "path": pathlib.PosixPath("a")}, tmp_path / "w.pth")
    weights = read_weights(tmp_path / "w.pth")
    assert weights.state.keys() == state.keys()
    from robench.models.safe_reading import read_checkpoint

    document = read_checkpoint(tmp_path / "w.pth")
    assert {type(document[name]).__name__ for name in ("array", "path")} == {"_Inert"}


def test_an_archive_of_many_small_bombs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"weight": torch.zeros(4)}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"archive/data/{number + 7}", bytes(40 << 20))
    with pytest.raises(RobenchError, match=r"members unpack to 125,\d+,\d+"):
        load_model(str(path), arch="wrn-10-1", num_classes=10)


def test_many_weights_are_no_bomb(tmp_path: Path, state: State) -> None:
    save_file(state, tmp_path / "w.safetensors")
    assert is_whole(load_model(str(tmp_path / "w.safetensors"), arch="wrn-10-1", num_classes=10), state)


@pytest.mark.parametrize("arch", ["wrn-100000-2", "wrn-40-9999", "wrn-9999999999-1"])
def test_networks_that_no_memory_holds_are_refused(arch: str) -> None:
    with pytest.raises(RobenchError, match=r"the limit is|Unknown architecture"):
        build(arch, 10)
    with pytest.raises(RobenchError, match="1 to 100,000 classes"):
        build("wrn-10-1", 10**9)
