"""Loading: every form of file gives the same model; nothing runs code; what does not fit is named."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robench.errors import RobenchError
from robench.models import ensemble, load_model, preset, wrap
from robench.models.architectures import build

IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build("wrn-10-1", 10).eval()


@pytest.fixture(scope="module")
def logits(network: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return network(IMAGES)


def load(path: Path, **options: object) -> torch.Tensor:
    model = load_model(str(path), **({"arch": "wrn-10-1", "num_classes": 10} | options))  # type: ignore[arg-type]
    assert isinstance(model.module, nn.Module)
    with torch.no_grad():
        return model.module.eval()(IMAGES)


@pytest.mark.parametrize(
    "wrapping",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {"model_state_dict": {f"_orig_mod.{k}": v for k, v in s.items()}},
        lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}, "pytorch-lightning_version": "2.0"},
        lambda s: {"net": {f"module._orig_mod.{k}": v for k, v in s.items()}, "acc": 93.1},
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},
    ],
    ids=["bare", "state_dict", "DataParallel", "compiled", "Lightning", "both prefixes", "old BatchNorm"],
)
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_every_wrapping_gives_the_same_model(
    tmp_path: Path, network: nn.Module, logits: torch.Tensor, wrapping: object, suffix: str
) -> None:
    path = tmp_path / f"w{suffix}"
    torch.save(wrapping(network.state_dict()), path)  # type: ignore[operator]
    torch.testing.assert_close(load(path), logits)


def test_containers_do_not_change_the_hash(tmp_path: Path, network: nn.Module, logits: torch.Tensor) -> None:
    torch.save({"model": network.state_dict()}, tmp_path / "a.pth")
    save_file({f"module.{k}": v for k, v in network.state_dict().items()}, tmp_path / "b.safetensors")
    torch.testing.assert_close(load(tmp_path / "b.safetensors"), logits)
    hashes = {load_model(str(tmp_path / n), arch="wrn-10-1", num_classes=10).hash for n in ("a.pth", "b.safetensors")}
    assert len(hashes) == 1
    other = {k: v + 1 if k == "head.bias" else v for k, v in network.state_dict().items()}
    torch.save(other, tmp_path / "c.pth")
    assert load_model(str(tmp_path / "c.pth"), arch="wrn-10-1", num_classes=10).hash not in hashes


def test_averaged_weights_are_preferred_when_asked(tmp_path: Path, network: nn.Module, logits: torch.Tensor) -> None:
    zero = {k: torch.zeros_like(v) for k, v in network.state_dict().items()}
    torch.save({"state_dict": zero, "state_dict_ema": network.state_dict()}, tmp_path / "w.pth")
    torch.testing.assert_close(load(tmp_path / "w.pth", ema=True), logits)
    assert not torch.allclose(load(tmp_path / "w.pth"), logits)
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    with pytest.raises(RobenchError, match="holds no averaged weights"):
        load(tmp_path / "plain.pth", ema=True)


def test_a_loaded_network_is_ready_to_predict(tmp_path: Path, network: nn.Module) -> None:
    torch.save(network.state_dict(), tmp_path / "w.pth")
    for spec, options in (("reference:digits/standard", {}), (str(tmp_path / "w.pth"), {"arch": "wrn-10-1"})):
        module = load_model(spec, num_classes=10, **options).module
        assert not module.training


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['ROBENCH_MARK']}",)


def test_code_in_a_checkpoint_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv("ROBENCH_MARK", str(mark))
    torch.save({"state_dict": {"w": torch.zeros(1)}, "extra": _Hostile()}, tmp_path / "zip.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(_Hostile()))
    for name in ("zip.pth", "raw.pth"):
        with pytest.raises(RobenchError, match=r"without running code|not a PyTorch checkpoint"):
            load_model(str(tmp_path / name), arch="wrn-10-1", num_classes=10)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html><html>404</html>", b"PK\x03\x04 truncated", bytes(range(64))],
    ids=["empty", "page", "zip", "bytes"],
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_what_is_no_checkpoint_is_said(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RobenchError, match=name):
        load_model(str(tmp_path / name), arch="wrn-10-1", num_classes=10)


def test_a_truncated_checkpoint_is_said(tmp_path: Path, network: nn.Module) -> None:
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(RobenchError, match="damaged"):
        load_model(str(path), arch="wrn-10-1", num_classes=10)


def test_weights_of_another_architecture_are_recognised(tmp_path: Path) -> None:
    torch.save(build("resnet-20", 10).state_dict(), tmp_path / "w.pth")
    with pytest.raises(RobenchError, match=r"(?s)do not fit wrn-10-1.*Missing: .*They look like resnet-20"):
        load_model(str(tmp_path / "w.pth"), arch="wrn-10-1", num_classes=10)
    with pytest.raises(RobenchError, match="looks like resnet-20: add `arch='resnet-20'`"):
        load_model(str(tmp_path / "w.pth"), num_classes=10)


def test_a_wrong_number_of_classes_is_said(tmp_path: Path, network: nn.Module) -> None:
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(RobenchError, match="are for 10 classes, not 100"):
        load_model(str(tmp_path / "w.pth"), arch="wrn-10-1", num_classes=100)
    with pytest.raises(RobenchError, match="at least one class; found num_classes -3"):
        load_model(str(tmp_path / "w.pth"), arch="wrn-10-1", num_classes=-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: (t * 10).to(torch.int8), r"are int8 \(head\.weight\)"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "are qint8"),
        (lambda t: t.to(torch.complex64), "are complex64"),
        (lambda t: t.to_sparse(), "cannot take"),
    ],
)
def test_weights_that_are_no_plain_numbers_are_refused(
    tmp_path: Path, network: nn.Module, change: Callable[[torch.Tensor], torch.Tensor], said: str
) -> None:
    state = network.state_dict()
    torch.save(state | {"head.weight": change(state["head.weight"])}, tmp_path / "w.pth")
    with pytest.raises(RobenchError, match=said):
        load(tmp_path / "w.pth")


def test_a_network_that_was_pickled_whole_is_named(tmp_path: Path, network: nn.Module) -> None:
    torch.save(network, tmp_path / "w.pth")
    with pytest.raises(RobenchError, match=r"running code from it \(it holds \S+\.WideResNet\)\.") as refused:
        load(tmp_path / "w.pth")
    assert "\x1b" not in str(refused.value)


def test_unknown_things_suggest_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match=r"No such file: gone\.pth"):
        load_model("gone.pth", arch="wrn-10-1", num_classes=10)
    with pytest.raises(RobenchError, match="digits/augmix"):
        load_model("reference:digits/augmx")
    with pytest.raises(RobenchError, match="Unknown kind of model 'tim:'"):
        load_model("tim:resnet50")
    with pytest.raises(RobenchError, match="cifar10"):
        preset("cifar")
    with pytest.raises(RobenchError, match="resnet-56"):
        build("resnet-57", 10)
    torch.save(build("wrn-10-1", 10).state_dict(), tmp_path / "w.pth")
    with pytest.raises(RobenchError, match=r"Built in: .*wrn-40-2") as refused:
        load_model(str(tmp_path / "w.pth"), arch="nope", num_classes=10)
    assert len(str(refused.value)) < 1000


def test_torchvision_and_timm_architectures_take_weights(tmp_path: Path) -> None:
    from torchvision import models

    torch.manual_seed(0)
    theirs = models.get_model("squeezenet1_1", weights=None, num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    for arch in ("squeezenet1_1", "torchvision:squeezenet1_1"):
        model = load_model(str(tmp_path / "w.pth"), arch=arch, num_classes=7, mean=(0, 0, 0), std=(1, 1, 1))
        image = torch.rand(1, 3, 64, 64)
        with torch.no_grad():
            torch.testing.assert_close(model.module(image), theirs(image))


def test_a_training_folder_and_a_reference_model_bring_their_normalisation() -> None:
    model = load_model("reference:digits/augmix")
    assert model.preprocessing.mean == (0.5, 0.5, 0.5)
    assert model.preprocessing.origin == "card"
    assert load_model("reference:digits/augmix", mean=(0, 0, 0)).preprocessing.origin == "option over card"
    with pytest.raises(RobenchError, match=r"without card\.yaml"):
        load_model(str(Path(__file__).parent))


@pytest.mark.parametrize(
    "wrapping",
    [
        lambda s: s,
        lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()} | {"criterion.weight": torch.ones(10)}},
    ],
    ids=["bare", "both prefixes", "Lightning"],
)
@pytest.mark.parametrize("inner", ["model", "backbone", "module"])
def test_a_network_may_keep_its_layers_under_a_wrappers_name(tmp_path: Path, inner: str, wrapping: object) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        f"        self.{inner} = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
        "        self.metric_fc = nn.Linear(4, 10)\n"
        "    def forward(self, x):\n"
        f"        return self.metric_fc(self.{inner}(x))\n"
    )
    spec = f"python:{tmp_path / 'mine.py'}:Net"
    whole = load_model(spec, num_classes=10).module
    assert isinstance(whole, nn.Module)
    torch.save(wrapping(whole.state_dict()), tmp_path / "w.pth")  # type: ignore[operator]
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "w.pth", arch=spec), whole(IMAGES))


def test_functions_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from helper import K\nimport torch\n"
        "def make():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, K))\n"
        "def bad():\n    raise ValueError('no weights')\n"
        "def number():\n    return 3\n"
    )
    (tmp_path / "helper.py").write_text("K = 10\n")
    assert load_model(f"python:{file}:make").num_classes == 10
    for function, said in (("bad", "no weights"), ("number", "cannot be called"), ("gone", "has no function")):
        with pytest.raises(RobenchError, match=said):
            load_model(f"python:{file}:{function}", num_classes=10)
    with pytest.raises(RobenchError, match="No such file"):
        load_model("python:gone.py:make")


@pytest.mark.parametrize("which", ["mine", "helper"])
def test_a_changed_function_is_another_model_though_its_weights_are_the_same(tmp_path: Path, which: str) -> None:
    (tmp_path / "hash_helper.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = nn.Linear(3072, 10)\n"
        "    def forward(self, x):\n        return self.head(x.flatten(1))\n"
    )
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch, hash_helper\n"
        "def make():\n    torch.manual_seed(0)\n    return hash_helper.Net()\n"
        "def one():\n    net = make()\n    return lambda x: net(x)\n"
        "def two():\n    net = make()\n    return lambda x: -net(x)\n"
    )
    weights = tmp_path / "w.pth"

    def hashes() -> list[str]:
        sys.modules.pop("hash_helper", None)
        models = [load_model(f"python:{file}:{name}", num_classes=10) for name in ("make", "one", "two")]
        torch.save(models[0].module.state_dict(), weights)  # type: ignore[attr-defined]
        models.append(load_model(str(weights), arch=f"python:{file}:make", num_classes=10))
        return [model.hash for model in models]

    before = hashes()
    assert before == hashes()
    assert len(set(before)) == 4
    changed = tmp_path / f"{'hash_helper' if which == 'helper' else 'mine'}.py"
    changed.write_text(
        changed.read_text()
        .replace("torch.manual_seed(0)", "torch.manual_seed(0); 1")
        .replace("return self.head(", "return 2 * self.head(")
    )
    after = hashes()
    changing = (0, 3) if which == "helper" else (0, 1, 2, 3)
    assert all(after[position] != before[position] for position in changing)


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    torch.manual_seed(0)
    a, b = (wrap(nn.Sequential(nn.Flatten(), nn.Linear(3072, 4)), mean=(0.5, 0.5, 0.5)) for _ in range(2))
    with torch.no_grad():
        normal = IMAGES - 0.5
        probabilities = (torch.softmax(a.module(normal), 1) + torch.softmax(b.module(normal), 1)) / 2
        found = torch.softmax(ensemble([a, b]).module(IMAGES), 1)
        torch.testing.assert_close(found, probabilities)
        mean = ensemble([a, b], how="mean-logit").module(IMAGES)
        torch.testing.assert_close(mean, (a.module(normal) + b.module(normal)) / 2)
    assert ensemble([a, b]).hash != ensemble([b, a]).hash
    with pytest.raises(RobenchError, match="one number"):
        ensemble([a, wrap(nn.Linear(3, 5))])
    with pytest.raises(RobenchError, match="mean-prob"):
        ensemble([a, b], how="vote")


def test_a_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(RobenchError, match=r"w\.pth"):
        load_model(str(tmp_path / "w.pth"), arch="wrn-10-1", num_classes=10)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("w.pth", b"", "is empty \\(0 bytes\\)"),
        ("w.pth", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("w.onnx", b"<!DOCTYPE html>", "an HTML, SVG or XML document"),
        ("w.pt2", b"<!DOCTYPE html>", "an HTML, SVG or XML document"),
        ("config.json", b'{"a": 1}', "a JSON document"),
        ("w.h5", b"\x89HDF\r\n", "is a Keras model"),
        ("w.tflite", b"\x1c\0\0\0TFL3", "is a TensorFlow Lite model"),
        ("w.pth", b"GGUF\0", "is a GGUF model"),
        ("w.pth.gz", b"\x1f\x8b\0", "a gzip file"),
    ],
)
def test_files_that_are_no_checkpoints_are_named(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RobenchError, match=said):
        load_model(str(tmp_path / name), arch="wrn-10-1", num_classes=10)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [("test_resnet", "`model='timm:test_resnet'`"), ("microsoft/resnet-50", "`model='hf:microsoft/resnet-50'`"),
     ("https://example.com/w.pth", "Download the file"), ("gone.pth", "Check the path in `model`.")],
)  # fmt: skip
def test_names_without_their_prefix_are_told(spec: str, hint: str) -> None:
    with pytest.raises(RobenchError) as caught:
        load_model(spec, arch="wrn-10-1", num_classes=10)
    assert hint in str(caught.value.hint)


def test_folders_of_other_libraries_are_told(tmp_path: Path) -> None:
    for name, hint in (("config.json", f"`model='hf:{tmp_path / 'config.json'}'`"), ("saved_model.pb", "to ONNX")):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("{}")
        with pytest.raises(RobenchError, match=r"without card\.yaml") as caught:
            load_model(str(tmp_path / name))
        assert hint in str(caught.value.hint)


@pytest.mark.parametrize("spec", ["a.pth,b.pth", "reference:digits/standard,reference:digits/augmix"])
def test_a_list_of_models_is_told_where_lists_are_taken(spec: str) -> None:
    with pytest.raises(RobenchError) as error:
        load_model(spec)
    assert "Several models are given by `models`." in str(error.value.hint)
