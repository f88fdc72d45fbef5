"""Zero-shot models give the logits of the library's own code, and their identity holds all that these depend on."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.plan import make_record
from robench.models import Model, load_model
from robench.models.zeroshot import features, zero_shot
from robench.models.zeroshot.texts import load_prompts
from robench.processes import quietly
from robench.suites import open_suite

sys.path.insert(0, str(Path(__file__).parent))
import zeroshot_networks as networks

CLASSES = ("cat", "dog", "maple_tree")
NAMES = ["cat", "dog", "maple tree"]
TEMPLATES = load_prompts("cifar").templates
RANDOM = np.random.default_rng(1)
PIXELS = RANDOM.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(features, "_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def logits_of(model: Model, pixels: np.ndarray = PIXELS) -> torch.Tensor:
    """Return logits of uint8 images (n, H, W, 3) that have the model's size."""
    mean, std = (torch.tensor(one).reshape(3, 1, 1) for one in (model.preprocessing.mean, model.preprocessing.std))
    with torch.inference_mode():
        return model.module((torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std)


@pytest.mark.parametrize("bias", [False, True])
def test_open_clips_own_logits(tmp_path: Path, bias: bool) -> None:
    library = networks.open_clip()
    folder = networks.save_open_clip(tmp_path / "net", bias=bias)
    model = load_model(f"open_clip:{folder}", classes=CLASSES, prompts="cifar")
    name = f"local-dir:{folder}"
    network, _, preprocess = library.create_model_and_transforms(name)
    text = library.build_zero_shot_classifier(network.eval(), library.get_tokenizer(name), NAMES, list(TEMPLATES))
    images = torch.stack([preprocess(Image.fromarray(pixels)) for pixels in PIXELS])
    with torch.inference_mode():
        wanted = network.logit_scale.exp() * network.encode_image(images, normalize=True) @ text
        wanted = wanted + network.logit_bias if bias else wanted
    torch.testing.assert_close(logits_of(model), wanted, atol=1e-5, rtol=0)
    assert wanted.std() > 1e-3
    shown = model.card["zero_shot"]
    assert shown["logit_bias"] == (-10.0 if bias else None)
    assert shown["temperature"] * shown["logit_scale"] == pytest.approx(1)
    assert model.preprocessing.geometry == Geometry(32, 32, "bicubic")


@pytest.mark.parametrize("kind", networks.SNAPSHOTS)
def test_transformers_own_logits(tmp_path: Path, kind: str) -> None:
    library = networks.transformers()
    folder = networks.save_snapshot(tmp_path / kind, kind)
    model = load_model(f"hf:{folder}", classes=CLASSES, prompts="simple")
    network = library.AutoModel.from_pretrained(folder).eval()
    tokenizer = library.AutoTokenizer.from_pretrained(folder)
    padding = True if kind == "clip" else "max_length"
    texts = tokenizer(
        [f"a photo of a {name}." for name in NAMES], padding=padding, max_length=40, truncation=True,
        return_tensors="pt",
    )  # fmt: skip
    images = library.AutoImageProcessor.from_pretrained(folder)(
        [Image.fromarray(pixels) for pixels in PIXELS], return_tensors="pt"
    )
    with torch.inference_mode():
        wanted = network(**texts, **images).logits_per_image
    torch.testing.assert_close(logits_of(model), wanted, atol=1e-5, rtol=0)
    assert len(torch.unique(wanted[0])) == 3
    assert model.card["zero_shot"]["logit_bias"] == (None if kind == "clip" else -10.0)
    assert model.preprocessing.origin == "transformers"


def test_photographs_are_prepared_as_siglip_2s_processor_does_squares(tmp_path: Path) -> None:
    from robench.data.decode import resize_and_crop

    library = networks.transformers()
    folder = networks.save_snapshot(tmp_path / "siglip2", "siglip2")
    model = load_model(f"hf:{folder}", classes=CLASSES)
    pixels = np.kron(PIXELS[0], np.ones((3, 3, 1), np.uint8))
    images = library.AutoImageProcessor.from_pretrained(folder)([Image.fromarray(pixels)], return_tensors="pt")
    ours = resize_and_crop(pixels, model.preprocessing.geometry or Geometry())
    network, tokenizer = library.AutoModel.from_pretrained(folder).eval(), library.AutoTokenizer.from_pretrained(folder)
    texts = tokenizer([f"a photo of a {n}." for n in NAMES], padding="max_length", max_length=40, return_tensors="pt")
    with torch.inference_mode():
        wanted = network(**texts, **images).logits_per_image
    torch.testing.assert_close(logits_of(model, ours[None]), wanted, atol=2e-2, rtol=0)


def identity(model: Model) -> str:
    """Return the identity of a run of this model."""
    return make_record(model, open_suite("digits-c"), EvaluationOptions(device="cpu")).hash


def test_all_that_logits_depend_on_is_in_the_identity(tmp_path: Path) -> None:
    folder = networks.save_snapshot(tmp_path / "siglip", "siglip")

    def load(**words: object) -> Model:
        return load_model(f"hf:{folder}", **{"classes": CLASSES, "prompts": "simple"} | words)

    first = load()
    assert identity(load()) == identity(first)
    seen = {identity(first), identity(load(prompts="cifar")), identity(load(classes=("cat", "dog", "oak tree")))}
    seen.add(identity(replace(first, preprocessing=replace(first.preprocessing, mean=(0.1, 0.2, 0.3)))))
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for number, name in enumerate(("logit_scale", "logit_bias", "text_model.embeddings.token_embedding.weight")):
        save_file(weights | {name: weights[name] + 0.5}, folder / "model.safetensors", {"format": "pt"})
        seen.add(identity(load()))
        assert len(seen) == 5 + number
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"c": 5', '"c": 6').replace('"d": 6', '"d": 5'))
    seen.add(identity(load()))
    (folder / "tokenizer.json").write_text(text)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "relu"
    (folder / "config.json").write_text(json.dumps(config))
    seen.add(identity(load()))
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(processor | {"resample": 2}))
    seen.add(identity(load()))
    assert len(seen) == 10


def test_text_features_are_computed_once_and_resume(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = networks.save_snapshot(tmp_path / "clip", "clip")
    monkeypatch.setattr(features, "_BLOCK", 36)  # two classes of 18 prompts
    whole = load_model(f"hf:{folder}", classes=CLASSES, prompts="cifar")
    files = sorted(cache.rglob("*.npy"))
    assert len(files) == 2
    calls = []
    real = features._features
    monkeypatch.setattr(features, "_features", lambda *given: calls.append(given[2]) or real(*given))
    again = load_model(f"hf:{folder}", classes=CLASSES, prompts="cifar")
    assert calls == []
    assert torch.equal(again.module.text, whole.module.text)
    files[1].write_bytes(files[1].read_bytes()[:-7])  # cut short
    once_more = load_model(f"hf:{folder}", classes=CLASSES, prompts="cifar")
    assert calls == [("maple tree",)]
    torch.testing.assert_close(once_more.module.text, whole.module.text)


def test_half_precision_leaves_the_product_alone(tmp_path: Path) -> None:
    model = load_model(f"hf:{networks.save_snapshot(tmp_path / 'clip', 'clip')}", classes=CLASSES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.module(torch.rand(2, 3, 32, 32)).dtype == torch.float32


def test_unusable_snapshots_are_said(tmp_path: Path) -> None:
    folder = networks.save_snapshot(tmp_path / "clip", "clip")
    with pytest.raises(RobenchError, match="class names of the data are not known") as caught:
        load_model(f"hf:{folder}")
    assert "class_names" in (caught.value.hint or "")
    with pytest.raises(RobenchError, match="classes are numbers"):
        load_model(f"hf:{folder}", classes=("0", "1"))
    with pytest.raises(RobenchError, match="sees 1 different texts in 3 class names"):
        load_model(f"hf:{folder}", classes=("\u4e00", "\u4e8c", "\u4e09"))
    for name, said in (("tokenizer.json", "holds no tokenizer"), ("model.safetensors", "cannot be loaded")):
        os.rename(folder / name, folder / "aside")
        with pytest.raises(RobenchError, match=said) as caught:
            load_model(f"hf:{folder}", classes=CLASSES)
        assert "the tokenizer's files and model.safetensors" in (caught.value.hint or "")
        os.rename(folder / "aside", folder / name)


def test_open_clip_mistakes_are_said(tmp_path: Path) -> None:
    networks.open_clip()
    for spec, said, hint in (
        ("ViT-B-32", "does not say which weights", "laion2b_s34b_b79k"),
        ("ViT-B-33/openai", "no architecture 'ViT-B-33'", "ViT-B-32"),
        ("ViT-B-32/nope", "no weights 'nope'", "laion2b_s34b_b79k"),
        ("ViT-B-32/openai", "with QuickGELU", "ViT-B-32-quickgelu/openai"),
        (str(tmp_path), "could not be loaded", "open_clip_config.json"),
    ):
        with pytest.raises(RobenchError, match=said) as caught:
            load_model(f"open_clip:{spec}", classes=CLASSES)
        assert hint in (caught.value.hint or "")
    padded = networks.save_open_clip(tmp_path / "longest", resize_mode="longest")
    with pytest.raises(RobenchError, match="resizes images by 'longest'"):
        load_model(f"open_clip:{padded}", classes=CLASSES)


def test_an_open_clip_snapshot_is_a_snapshot_of_the_hub(tmp_path: Path) -> None:
    folder = networks.save_open_clip(tmp_path / "net", resize_mode="squash")
    model = load_model(f"hf:{folder}", classes=CLASSES)
    assert model.preprocessing.geometry == Geometry((32, 32), None, "bicubic")
    assert model.hash == load_model(f"open_clip:{folder}", classes=CLASSES).hash


def encode(texts: list[str]) -> torch.Tensor:
    return torch.tensor([[len(text), text.count("a"), text.count("o") + 1.0] for text in texts])


def test_any_two_towers_from_python() -> None:
    torch.manual_seed(0)
    image = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    templates = ["a {}.", "the old {}."]
    model = zero_shot(image, NAMES, text_encoder=encode, prompts=templates, scale=20.0, bias=-3.0, name="mine")
    images = torch.rand(5, 3, 2, 2)
    unit = nn.functional.normalize
    every = torch.stack([unit(encode([one.replace("{}", name) for one in templates]), dim=1) for name in NAMES])
    wanted = 20 * unit(image(images), dim=1) @ unit(every.mean(1), dim=1).T - 3
    torch.testing.assert_close(model.module(images), wanted)
    given = zero_shot(image, NAMES, text_features=every.numpy(), scale=20.0, bias=-3.0)
    torch.testing.assert_close(given.module(images), wanted)
    torch.testing.assert_close(model.module(images).softmax(1), (model.module(images) + 3).softmax(1))
    words = {"text_features": every, "scale": 20.0}
    hashes = [
        zero_shot(image, NAMES, **words).hash,
        zero_shot(image, NAMES[::-1], **words).hash,
        zero_shot(image, NAMES, **words | {"scale": 21.0}).hash,
        zero_shot(image, NAMES, **words, bias=1.0).hash,
        zero_shot(image, NAMES, **words | {"text_features": every.flip(0)}).hash,
    ]
    assert len(set(hashes)) == 5
    assert zero_shot(image, NAMES, **words).hash == hashes[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "either a text encoder or text features"),
        ({"text_encoder": encode, "text_features": np.ones((3, 3))}, "either a text encoder or text features"),
        ({"text_features": np.ones((2, 3))}, r"shape \(2, 3\); 3 classes need"),
        ({"text_features": np.full((3, 3), np.nan)}, "NaN"),
        ({"text_features": np.ones((3, 3)), "scale": 0.0}, "scale must be above 0"),
        ({"text_encoder": encode, "prompts": ["no slot"]}, "Every template has one"),
    ],
)
def test_what_makes_no_classifier_is_refused(words: dict[str, object], said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        zero_shot(nn.Flatten(), NAMES, **{"scale": 10.0} | words)


def test_a_name_of_the_hub_that_timm_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration is fetched by timm, which fails on it; what is cached says that it is a CLIP."""
    import huggingface_hub

    from robench.models import hub

    folder = networks.save_snapshot(tmp_path / "clip", "clip")

    def fail(*_: object) -> Model:
        raise RobenchError("hf:someone/clip could not be loaded: KeyError: 'architecture'")

    monkeypatch.setattr(hub, "_by_timm", fail)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: str(folder / "config.json"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(folder))
    model = load_model("hf:someone/clip", classes=CLASSES)
    assert model.name == "hf:someone/clip"
    assert model.hash == load_model(f"hf:{folder}", classes=CLASSES).hash
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with pytest.raises(RobenchError, match="KeyError: 'architecture'"):
        load_model("hf:someone/clip", classes=CLASSES)


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_of_text_features_is_said_unless_it_is_to_be_quiet(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(features, "_QUIET_FOR", -1.0)
    folder = networks.save_open_clip(tmp_path / "net")
    with quietly(quiet):
        load_model(f"open_clip:{folder}", classes=CLASSES, prompts="simple")
    assert ("text features: 3/3 classes" in capsys.readouterr().err) is not quiet
