"""Heads on frozen backbones: equal to scikit-learn's, resumed, evaluated like any model, and refused in words."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import robench
from robench.cli.main import main
from robench.data import digits
from robench.errors import RobenchError
from robench.models import load_model
from robench.models.backbones import load_backbone
from robench.models.probes import Neighbours
from robench.training.probe import features
from robench.training.probe.logistic import Linear, Standardiser, fit

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import zeroshot_networks as networks

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 300)
FEATURES = RANDOM.normal(size=(4, 6))[LABELS] + 1.5 * RANDOM.normal(size=(300, 6))
STANDARD: dict[str, Any] = {"device": "cpu", "quiet": True}


@pytest.mark.parametrize("l2", [1e-3, 1e-2, 1.0])
def test_logistic_regression_is_scikit_learns(l2: float) -> None:
    wanted = LogisticRegression(C=1 / (l2 * 300), tol=1e-10, max_iter=10_000).fit(FEATURES, LABELS)
    found = fit(torch.from_numpy(FEATURES), torch.from_numpy(LABELS), 4, l2)
    assert found.converged
    probability = found.logits(torch.from_numpy(FEATURES)).softmax(1).numpy()
    np.testing.assert_allclose(probability, wanted.predict_proba(FEATURES), atol=1e-4)
    np.testing.assert_allclose(found.weight, wanted.coef_, atol=1e-3)


def test_a_warm_start_ends_at_the_same_place() -> None:
    x, y = torch.from_numpy(FEATURES), torch.from_numpy(LABELS)
    cold, warm = fit(x, y, 4, 1e-2), fit(x, y, 4, 1e-2, start=fit(x, y, 4, 1.0))
    torch.testing.assert_close(cold.weight, warm.weight, atol=1e-3, rtol=0)
    assert warm.steps < 200


def test_standardised_features_fold_into_the_weights() -> None:
    x = torch.from_numpy(FEATURES * [1, 10, 100, 1, 0, 1] + 5.0)
    standard = Standardiser.of(x)
    model = Linear(torch.randn(4, 6, dtype=torch.float64), torch.randn(4, dtype=torch.float64))
    torch.testing.assert_close(standard.folded(model).logits(x), model.logits(standard(x)))


def test_neighbours_are_scikit_learns() -> None:
    unit = FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True)
    train, test = unit[:250], unit[250:]
    wanted = KNeighborsClassifier(
        15, metric="cosine", algorithm="brute", weights=lambda distance: np.exp((1 - distance) / 0.07)
    ).fit(train, LABELS[:250])
    head = Neighbours(
        torch.from_numpy(train).float(), torch.from_numpy(LABELS[:250]), 4, k=15, temperature=0.07, floor=0.01
    )
    found = head(torch.from_numpy(FEATURES[250:]).float()).exp().numpy()
    np.testing.assert_allclose(found, 0.99 * wanted.predict_proba(test) + 0.01 / 4, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear head on the features of a reference model, without its last layer."""
    place = tmp_path_factory.mktemp("probe")
    (trained,) = robench.train(
        "linear-probe", backbone="reference:digits/standard", set={"l2": [0.01, 0.001]}, out=place / "head",
        features=place / "features", **STANDARD,
    )  # fmt: skip
    assert trained.accuracy is not None
    assert trained.accuracy > 0.97
    return trained.folder


def test_a_head_is_evaluated_like_any_model(folder: Path, tmp_path: Path) -> None:
    result = robench.evaluate(
        str(folder), "digits-c", corruption="contrast", severity=2, limit=200, resamples=0, out=tmp_path, **STANDARD
    )
    assert result is not None
    error = result.summary["clean_error"].value
    assert error is not None
    assert error < 0.04
    card = result.model.card
    assert card["backbone"]["spec"] == "reference:digits/standard"
    assert len(card["backbone"]["hash"]) == len(card["recipe_digest"]) == 64
    assert card["trained_with"]["l2"] in (0.01, 0.001, 0.0001)
    whole = load_model("reference:digits/standard")
    images = torch.rand(3, 3, 32, 32)
    head = load_model(str(folder))
    assert head.classes == whole.classes
    assert head.preprocessing == whole.preprocessing
    with torch.inference_mode():
        rows = load_backbone("reference:digits/standard").module(images)
        torch.testing.assert_close(head.module(images), head.module.head(rows))


def test_a_finished_head_is_not_trained_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / "card.yaml").read_bytes()
    monkeypatch.setattr(features, "_computed", lambda *_: pytest.fail("features were computed again"))
    how = {"backbone": "reference:digits/standard", "out": folder, "features": folder.parent / "features", **STANDARD}
    robench.train("linear-probe", set={"l2": [0.01, 0.001]}, **how)
    assert (folder / "card.yaml").read_bytes() == before
    with pytest.raises(RobenchError, match="holds a finished run with other settings"):
        robench.train("linear-probe", set={"l2": 0.5}, **how)
    with pytest.raises(RobenchError, match="holds a finished run with other settings"):
        robench.train("knn", **how)
    (trained,) = robench.train("knn", **how | {"out": folder.parent / "knn"})
    assert trained.accuracy is not None
    assert trained.accuracy > 0.97
    assert load_model(str(trained.folder)).num_classes == 10


def test_another_backbone_is_refused(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    text = (copy / "card.yaml").read_text()
    (copy / "card.yaml").write_text(text.replace("reference:digits/standard\n", "reference:digits/augmix\n"))
    with pytest.raises(RobenchError, match="is another backbone than the head"):
        load_model(str(copy))


def test_features_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_BLOCK", 64)
    calls: list[int] = []
    real = features._computed

    def counted(opened: Any, network: Any, size: int, start: int, stop: int, progress: Any) -> Any:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(start)
        return real(opened, network, size, start, stop, progress)

    how: dict[str, Any] = {
        "backbone": "reference:digits/standard", "set": {"l2": 0.01, "limit": 300}, "features": tmp_path / "kept",
    }  # fmt: skip
    monkeypatch.setattr(features, "_computed", counted)
    with pytest.raises(KeyboardInterrupt):
        robench.train("linear-probe", out=tmp_path / "head", **how, **STANDARD)
    calls.clear()
    blocks = sorted((tmp_path / "kept").rglob("*.npz"))
    assert len(blocks) == 3
    blocks[0].write_bytes(blocks[0].read_bytes()[:100])
    monkeypatch.setattr(features, "_computed", lambda *given: calls.append(given[3]) or real(*given))
    robench.train("linear-probe", out=tmp_path / "head", **how, **STANDARD)
    assert calls[:3] == [0, 192, 256]
    robench.train("linear-probe", out=tmp_path / "other", **how | {"features": tmp_path / "n"}, **STANDARD)
    first, second = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("head", "other"))
    assert first == second


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "train",
        "--recipe",
        "linear-probe",
        "--set",
        "l2=0.01",
        "--set",
        "limit=200",
        "--device",
        "cpu",
        "--quiet",
    ]
    there = ["--features", str(tmp_path / "f"), "--out", str(tmp_path / "head")]
    assert main([*words, "--backbone", "reference:digits/standard", *there]) == 0
    assert (tmp_path / "head" / "card.yaml").exists()
    capsys.readouterr()
    assert main(["train", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["knn"]["architecture"] == "a frozen backbone"
    assert main(["train", "--show", "knn", "--set", "temperature=0.1"]) == 0
    assert "temperature: 0.1" in capsys.readouterr().out
    for wrong, said in (
        ([], "linear-probe needs a backbone."),
        (["--backbone", "timm:nope"], "timm has no model 'nope'"),
        (["--backbone", "reference:digits/standard", "--set", "c=1"], "linear-probe has no setting 'c'"),
        (["--backbone", "reference:digits/standard", "--set", "held_out=2"], "held_out: input should be less than 1"),
        (["--backbone", "reference:digits/standard", "--set", "l2=-1"], "l2 takes numbers above 0; found -1"),
        (["--backbone", "reference:digits/standard", "--data", str(tmp_path / "none")], "none"),
    ):
        assert main([*words, *wrong, "--out", str(tmp_path / "other")]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert main(["train", "--recipe", "augmix-digits", "--backbone", "timm:vit"]) == 2
    assert "--backbone is for linear-probe and knn" in capsys.readouterr().err


def photographs(folder: Path) -> Path:
    """Two classes that colour tells apart, without splits."""
    from PIL import Image

    for label, name in enumerate(("red", "blue")):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            pixels = RANDOM.integers(0, 100, (40, 50, 3), dtype=np.uint8)
            pixels[..., 2 * label] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2", "dinov2", "timm"])
def test_image_encoders_of_snapshots(tmp_path: Path, kind: str) -> None:
    folder = (
        save_encoder(tmp_path / kind, kind)
        if kind in ("dinov2", "timm")
        else networks.save_snapshot(tmp_path / kind, kind)
    )
    backbone = load_backbone(f"hf:{folder}")
    size = 28 if kind == "dinov2" else 32
    images = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        found = backbone.module(images)
        if kind == "timm":
            import timm

            wanted = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()(images)
        else:
            network = networks.transformers().AutoModel.from_pretrained(folder).eval()
            if kind == "siglip2":
                wanted = None
            elif kind == "dinov2":
                wanted = network(pixel_values=images).pooler_output
            else:
                out = network.get_image_features(pixel_values=images)
                wanted = out if isinstance(out, torch.Tensor) else out.pooler_output
    if wanted is not None:
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    (trained,) = robench.train(
        "linear-probe", backbone=f"hf:{folder}", data=photographs(tmp_path / "photos"), out=tmp_path / "head",
        features=tmp_path / "features", set={"l2": 0.1, "held_out": 0.25}, **STANDARD,
    )  # fmt: skip
    assert trained.accuracy is None  # no split of its own to test on
    result = robench.evaluate(
        str(trained.folder), "clean", data=tmp_path / "photos", split="train", resamples=0, out=tmp_path / "run",
        **STANDARD,
    )  # fmt: skip
    assert result is not None
    assert result.model.card["backbone"]["spec"] == f"hf:{kind}"


def save_encoder(folder: Path, kind: str) -> Path:
    torch.manual_seed(0)
    if kind == "dinov2":
        library = networks.transformers()
        config = library.Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
        )
        library.Dinov2Model(config).save_pretrained(folder)
        library.BitImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(
            folder
        )
        return folder
    import timm
    from safetensors.torch import save_file

    module = timm.create_model("resnet10t", num_classes=5, stem_width=8)
    folder.mkdir()
    about = {
        "input_size": [3, 32, 32], "crop_pct": 0.9, "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3,
        "num_classes": 5, "first_conv": "conv1.0", "classifier": "fc",
    }  # fmt: skip
    config = {"architecture": "resnet10t", "num_classes": 5, "model_args": {"stem_width": 8}, "pretrained_cfg": about}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(module.state_dict(), folder / "model.safetensors")
    return folder


def test_torchvisions_networks_lose_their_last_layer(tmp_path: Path) -> None:
    from torchvision import models

    (tmp_path / "net.py").write_text(
        "import torch, torchvision\n\ndef make():\n    torch.manual_seed(0)\n"
        "    return torchvision.models.mobilenet_v3_small(num_classes=7).eval()\n\n"
        "def convolutional():\n    return torch.nn.Conv2d(3, 7, 1)\n"
    )
    backbone = load_backbone(f"python:{tmp_path / 'net.py'}:make")
    assert backbone.features == "the input of classifier.3"
    torch.manual_seed(0)
    network = models.mobilenet_v3_small(num_classes=7).eval()
    network.classifier[3] = torch.nn.Identity()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(backbone.module(images), network(images))
    with pytest.raises(RobenchError, match=r"is not known|no linear layer at its end"):
        load_backbone(f"python:{tmp_path / 'net.py'}:convolutional")


def test_an_open_clip_encoder(tmp_path: Path) -> None:
    library = networks.open_clip()
    folder = networks.save_open_clip(tmp_path / "net")
    images = torch.rand(2, 3, 32, 32)
    network = library.create_model(f"local-dir:{folder}").eval()
    with torch.inference_mode():
        torch.testing.assert_close(load_backbone(f"open_clip:{folder}").module(images), network.encode_image(images))


def test_an_encoder_that_draws_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Drawing(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = nn.Linear(3, 7)\n\n"
        "    def forward(self, x):\n        return self.head(x.mean((2, 3)) + torch.rand(len(x), 3))\n"
    )
    with pytest.raises(RobenchError, match="differ from call to call"):
        load_backbone(f"python:{tmp_path / 'net.py'}:Drawing")


@pytest.mark.parametrize("recipe", ["linear-probe", "knn"])
def test_test_images_of_fewer_classes_count_in_those_of_the_training_images(recipe: str, tmp_path: Path) -> None:
    for split, kept in (("train", range(10)), ("test", (3, 5, 7))):
        images = digits.load(split)
        for label in kept:
            for number in np.flatnonzero(np.asarray(images.labels) == label)[:15]:
                place = tmp_path / split / f"digit{label}"
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(images.read(np.array([number]))[0]).save(place / f"{number}.png")
    how = {"backbone": "reference:digits/standard", "data": tmp_path, "features": tmp_path / "features", **STANDARD}
    (trained,) = robench.train(recipe, out=tmp_path / "head", **how)
    assert trained.accuracy is not None
    assert trained.accuracy > 0.9
    (tmp_path / "test" / "digit7").rename(tmp_path / "test" / "letter")
    with pytest.raises(RobenchError, match="have no class letter"):
        robench.train(recipe, out=tmp_path / "head", fresh=True, **how)
    for label in range(10):  # the first classes are the same now, and one more comes after them
        if not (tmp_path / "test" / f"digit{label}").exists():
            shutil.copytree(tmp_path / "train" / f"digit{label}", tmp_path / "test" / f"digit{label}")
    with pytest.raises(RobenchError, match="have no class letter"):
        robench.train(recipe, out=tmp_path / "head", fresh=True, **how)
