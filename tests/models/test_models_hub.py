"""Snapshots of the hub in the layouts of timm and transformers, with the preprocessing they bring, and no code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from robench.data.base import Geometry
from robench.errors import RobenchError
from robench.models import load_model
from robench.models.backbones import load_backbone
from robench.models.classes import in_order_of

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def timm_snapshot(tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    # An argument that changes shapes: a loader that forgets model_args cannot fill it.
    module = timm.create_model("resnet10t", num_classes=7, stem_width=8).eval()
    config = {
        "architecture": "resnet10t",
        "num_classes": 7,
        "model_args": {"stem_width": 8},
        "pretrained_cfg": {
            "input_size": [3, 64, 64], "crop_pct": 0.8, "crop_mode": "center", "interpolation": "bilinear",
            "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "num_classes": 7, "first_conv": "conv1.0",
            "classifier": "fc",
        },
    }  # fmt: skip
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    save_file(module.state_dict(), folder / "model.safetensors")
    return folder, module


def test_a_timm_snapshot(timm_snapshot: tuple[Path, torch.nn.Module]) -> None:
    folder, module = timm_snapshot
    model = load_model(f"hf:{folder}")
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), module(IMAGES))
    assert (model.name, model.num_classes) == ("hf:snapshot", 7)
    assert model.preprocessing.mean == (0.1, 0.2, 0.3)
    assert model.preprocessing.geometry == Geometry(80, 64, "bilinear")
    assert load_model(f"hf:{folder}", mean=(0, 0, 0)).preprocessing.origin == "option over timm"


def test_of_several_files_of_weights_the_usual_one_is_read_and_said(
    timm_snapshot: tuple[Path, torch.nn.Module],
) -> None:
    folder, module = timm_snapshot
    assert "beside" not in load_model(f"hf:{folder}").card
    (folder / "training_args.bin").write_bytes(b"")
    assert "beside" not in load_model(f"hf:{folder}").card
    (folder / "model_ema.safetensors").write_bytes(b"another network")
    model = load_model(f"hf:{folder}")
    assert (model.card["file"], model.card["beside"]) == ("model.safetensors", ["model_ema.safetensors"])
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), module(IMAGES))
    (folder / "model.safetensors").rename(folder / "model_best.safetensors")
    with pytest.raises(RobenchError, match=r"several files of weights: model_best\.safetensors, model_ema"):
        load_model(f"hf:{folder}")


def test_a_timm_snapshot_with_pickled_code(timm_snapshot: tuple[Path, torch.nn.Module], tmp_path: Path) -> None:
    folder, _ = timm_snapshot
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": {}, "extra": Touch(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(RobenchError, match="hf:snapshot could not be loaded"):
        load_model(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_what_is_no_snapshot_is_said(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match=r"Could not read the model configuration .*config\.json: it does not exist"):
        load_model(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text("[]")
    for content in ("[]", "3", "{", "[" * 5000, '{"a": NaN}', "\x00", '{"architecture": {"a": ' * 200):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(RobenchError, match="Could not read the model configuration"):
            load_model(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text('{"architecture": "no_such_model"}')
    with pytest.raises(RobenchError, match="could not be loaded"):
        load_model(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"auto_map": {"AutoModelForImageClassification": "evil.Model"}}, "Python code of its repository"),
        ({"text": [{"attn_implementation": "someone/kernel"}]}, r"a kernel of the hub \(someone/kernel\)"),
    ],
)
def test_configurations_that_ask_for_code_are_refused(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "vit"}))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(RobenchError, match=rf"(?s){said}.*python:FILE\.py:FUNCTION"):
        load_model(f"hf:{tmp_path}")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def vit(tmp_path: Path) -> tuple[Path, torch.nn.Module]:
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed (pip install 'robench[hub]')"
    )
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        num_labels=6,
    )  # fmt: skip
    network = transformers.ViTForImageClassification(config).eval()
    folder = tmp_path / "vit"
    network.save_pretrained(folder)
    _write_processor(folder, image_processor_type="ViTImageProcessor", size={"height": 32, "width": 32}, resample=2)
    return folder, network


def _write_processor(folder: Path, **fields: Any) -> None:
    common = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
    statistics = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.3, 0.2, 0.1]}
    (folder / "preprocessor_config.json").write_text(json.dumps(common | statistics | fields))


def test_a_transformers_snapshot(vit: tuple[Path, torch.nn.Module]) -> None:
    folder, network = vit
    model = load_model(f"hf:{folder}")
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), network(IMAGES).logits)
    assert model.num_classes == 6
    assert model.card["architecture"] == "ViTForImageClassification"
    assert model.preprocessing.mean == (0.5, 0.4, 0.3)
    assert model.preprocessing.geometry == Geometry((32, 32), None, "bilinear")


def test_a_transformers_snapshot_of_half_numbers(vit: tuple[Path, torch.nn.Module]) -> None:
    """From version 5 on, transformers keeps the numbers of the file, and images are float32."""
    folder, network = vit
    network.half().save_pretrained(folder)
    model = load_model(f"hf:{folder}")
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), network.float()(IMAGES).logits)


def test_a_snapshot_without_a_processor_asks_for_the_normalisation(vit: tuple[Path, torch.nn.Module]) -> None:
    folder, network = vit
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(RobenchError, match=r"has no preprocessor_config\.json: it does not say") as caught:
        load_model(f"hf:{folder}")
    assert "`norm_preset='imagenet'`" in str(caught.value.hint)
    model = load_model(f"hf:{folder}", mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    assert (model.preprocessing.std, model.preprocessing.origin) == ((0.2, 0.2, 0.2), "option")
    with torch.no_grad():
        torch.testing.assert_close(model.module(IMAGES), network(IMAGES).logits)


@pytest.mark.parametrize(
    ("fields", "geometry"),
    [
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}, "crop_pct": 0.875,
          "resample": 3}, Geometry(256, 224, "bicubic")),
        ({"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 384}, "crop_pct": 1.0,
          "resample": 3}, Geometry((384, 384), None, "bicubic")),
        ({"image_processor_type": "MobileNetV2ImageProcessor", "size": {"shortest_edge": 256}, "resample": 2,
          "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}, Geometry(256, 224, "bilinear")),
    ],
)  # fmt: skip
def test_processors_become_resize_and_crop(
    vit: tuple[Path, torch.nn.Module], fields: dict[str, Any], geometry: Geometry
) -> None:
    folder, _ = vit
    _write_processor(folder, **fields)
    preprocessing = load_model(f"hf:{folder}").preprocessing
    assert preprocessing.geometry == geometry
    _write_processor(folder, **fields, do_normalize=False)
    assert load_model(f"hf:{folder}").preprocessing.std == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 288}, "do_center_crop": True,
          "crop_size": {"height": 256, "width": 256}}, "grey levels away"),  # exchanges red and blue
        ({"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 224, "width": 224}, "resample": 2},
         "grey levels away"),  # divides by the standard deviation twice
        ({"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 224}, "resample": 3},
         "grey levels away"),  # resizes to 256 where its field says 224
        ({"image_processor_type": "PerceiverImageProcessor", "size": {"height": 224, "width": 224},
          "crop_size": {"height": 256, "width": 256}, "do_center_crop": True, "resample": 3}, "crop of 256"),
    ],
)  # fmt: skip
def test_processors_that_do_more_than_their_fields_say_are_refused(
    vit: tuple[Path, torch.nn.Module], fields: dict[str, Any], said: str
) -> None:
    folder, _ = vit
    _write_processor(folder, **fields)
    with pytest.raises(RobenchError, match=said):
        load_model(f"hf:{folder}")


@pytest.mark.parametrize("lost", ["classifier.weight", "vit.layernorm.bias"])
def test_weights_that_transformers_would_draw_are_refused(vit: tuple[Path, torch.nn.Module], lost: str) -> None:
    from safetensors.torch import load_file, save_file

    folder, _ = vit
    state = load_file(folder / "model.safetensors")
    del state[lost]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RobenchError, match=rf"lack {lost}; transformers would draw"):
        load_model(f"hf:{folder}")


def test_a_transformers_snapshot_that_cannot_be_measured_says_why(
    vit: tuple[Path, torch.nn.Module], tmp_path: Path
) -> None:
    folder, _ = vit
    _write_processor(folder, image_processor_type="ViTImageProcessor", rescale_factor=1 / 127.5)
    with pytest.raises(RobenchError, match="scales pixels by"):
        load_model(f"hf:{folder}")
    (folder / "model.safetensors").unlink()
    torch.save({"a": Touch(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(RobenchError, match="cannot be loaded by transformers"):
        load_model(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_class_names_of_a_snapshot(vit: tuple[Path, torch.nn.Module], timm_snapshot: tuple[Path, Any]) -> None:
    folder, _ = vit
    assert load_model(f"hf:{folder}").classes is None  # LABEL_0 to LABEL_5 are no names
    config = json.loads((folder / "config.json").read_text())
    names = ["ant", "bee", "cat", "dog", "elk", "fox"]
    labels = {str(label): name for label, name in enumerate(names)}
    (folder / "config.json").write_text(json.dumps(config | {"id2label": labels}))
    model = load_model(f"hf:{folder}")
    assert model.classes == tuple(names)
    swapped = ("bee", "ant", *names[2:])
    ordered = in_order_of(model, swapped, 6)
    with torch.no_grad():
        torch.testing.assert_close(ordered.module(IMAGES), model.module(IMAGES)[:, [1, 0, 2, 3, 4, 5]])
    place = timm_snapshot[0] / "config.json"
    config = json.loads(place.read_text())
    place.write_text(json.dumps(config | {"label_names": ["a", "b", "c", "d", "e", "f", "g"]}))
    assert load_model(f"hf:{timm_snapshot[0]}").classes == tuple("abcdefg")


def _changed(folder: Path, to: Path, **fields: Any) -> Path:
    """Copy a snapshot, with other fields in its configuration."""
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    for name, value in fields.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) else value
    (to / "config.json").write_text(json.dumps(config))
    return to


@pytest.mark.parametrize("load", [lambda spec: load_model(spec).hash, lambda spec: load_backbone(spec).hash])
def test_the_same_weights_in_another_network_are_another_model(
    load: Callable[[str], str], vit: tuple[Path, torch.nn.Module], timm_snapshot: tuple[Path, Any], tmp_path: Path
) -> None:
    """Their outputs differ, so a run of one must not go on with, or be compared as, the other's."""
    for (folder, _), others in (
        (vit, ({"hidden_act": "relu"}, {"layer_norm_eps": 0.1})),
        (timm_snapshot, ({"model_args": {"output_stride": 8}}, {"model_args": {"act_layer": "gelu"}})),
    ):
        found = load(f"hf:{folder}")
        assert load(f"hf:{_changed(folder, tmp_path / f'{folder.name}-copy')}") == found
        for i, fields in enumerate(others):
            assert load(f"hf:{_changed(folder, tmp_path / f'{folder.name}-{i}', **fields)}") != found, fields


def _say(folder: Path, **said: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"] |= said
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"crop_mode": "border"}, "crop_mode 'border'"),
        ({"input_size": [3, 96, 64]}, "images of 96 x 64 pixels"),
        ({"interpolation": "hamming"}, "interpolation 'hamming'"),
        ({"crop_pct": 1.25}, "crop_pct 1.25"),
    ],
)
def test_a_geometry_of_timm_that_is_not_resize_and_crop_is_refused(
    timm_snapshot: tuple[Path, torch.nn.Module], said: dict[str, Any], message: str, tmp_path: Path
) -> None:
    import robench

    folder, _ = timm_snapshot
    assert "geometry_left_out" not in load_model(f"hf:{folder}").card
    _say(folder, **said)
    assert load_model(f"hf:{folder}").card["geometry_left_out"] == message
    for i in range(7):
        (tmp_path / "set" / f"{i}").mkdir(parents=True)
        Image.new("RGB", (80, 70), (i, 9, 9)).save(tmp_path / "set" / f"{i}" / "a.png")
    few: dict[str, Any] = {"data": tmp_path / "set", "quiet": True, "device": "cpu", "resamples": 0}
    with pytest.raises(RobenchError, match=f"asks for {message}"):
        robench.evaluate(f"hf:{folder}", "clean", out=tmp_path / "run", **few)
    found = robench.evaluate(f"hf:{folder}", "clean", out=tmp_path / "run", resize=72, crop=64, **few)
    assert found is not None
    assert found.cells[0].images == 7


def test_a_model_of_grey_images_is_refused(timm_snapshot: tuple[Path, torch.nn.Module]) -> None:
    import timm
    from safetensors.torch import save_file

    folder, _ = timm_snapshot
    save_file(timm.create_model("resnet10t", num_classes=7, in_chans=1).state_dict(), folder / "model.safetensors")
    _say(folder, input_size=[1, 64, 64], mean=[0.1307], std=[0.3081])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_args": {"in_chans": 1}}))
    with pytest.raises(RobenchError, match=r"is for images of 1 channel, not of 3"):
        load_model(f"hf:{folder}")
