"""What holds for every source of models: an identity, a stated normalisation, compared names, one message per cause."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from source_forms import FORMS, IMAGES, Spec

from robench.errors import RobenchError
from robench.models import Model, load_model
from robench.models.classes import in_order_of
from robench.models.specs import FORMS as TOLD
from robench.models.specs import SOURCES


def written(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> Spec:
    tmp_path.mkdir(exist_ok=True)
    return FORMS[form].build(tmp_path, monkeypatch, seed)


def loaded(spec: Spec, **options: object) -> Model:
    return load_model(spec.spec, **(spec.options | options))  # type: ignore[arg-type]


def test_every_source_has_a_form() -> None:
    endings = {ending for told in TOLD if told.startswith("PATH") for ending in re.findall(r"\.\w+", told)}
    assert {form.source for form in FORMS.values()} == set(SOURCES) | endings | {"folder"}


# Kind 1: an old answer for a new question


@pytest.mark.parametrize("form", FORMS)
def test_other_weights_are_another_model(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        first = loaded(written(form, tmp_path / "a", patch))
    with monkeypatch.context() as patch:
        again = loaded(written(form, tmp_path / "b", patch))
    with monkeypatch.context() as patch:
        other = loaded(written(form, tmp_path / "c", patch, seed=1))
    if form not in ("export", "torchscript", "python"):  # a program's bytes, and a file's place, count as well
        assert again.hash == first.hash
    assert other.hash != first.hash
    assert first.identity_proven


# Kinds 2 and 4: what was chosen, and the normalisation, stand in the record


@pytest.mark.parametrize("form", FORMS)
def test_the_normalisation_and_where_it_is_from_stand_in_the_record(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = written(form, tmp_path / "m", monkeypatch)
    model = loaded(spec)
    record = model.record()["preprocessing"]
    assert record["origin"] == FORMS[form].normalisation
    assert len(record["mean"]) == len(record["std"]) == 3
    changed = loaded(spec, mean=(0.3, 0.3, 0.3), std=(0.4, 0.4, 0.4)).record()["preprocessing"]
    assert (list(changed["mean"]), list(changed["std"])) == ([0.3] * 3, [0.4] * 3)
    assert "option" in changed["origin"]


# Kind 3: class names


@pytest.mark.parametrize("form", [name for name, form in FORMS.items() if form.named])
def test_class_names_are_known_and_a_permutation_is_put_right(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(written(form, tmp_path / "m", monkeypatch))
    assert model.classes is not None
    assert len(model.classes) == model.num_classes
    if len(set(map(str.lower, model.classes))) < len(model.classes):  # torchvision has two cranes, maillots, cardigans
        with pytest.raises(RobenchError, match="another order"):
            in_order_of(model, tuple(reversed(model.classes)), model.num_classes)
        return
    turned = in_order_of(model, tuple(reversed(model.classes)), model.num_classes)
    images = torch.rand(2, 3, 64, 64) if form == "hf" else IMAGES
    with torch.no_grad():
        torch.testing.assert_close(turned.module(images), model.module(images).flip(1))


# Kind 5: what comes out is looked at


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_number_of_classes_is_refused(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = written(form, tmp_path / "m", monkeypatch)
    assert loaded(spec).num_classes == spec.classes
    with pytest.raises(RobenchError):
        loaded(spec, num_classes=0)


# Kind 7: one message per cause, with a next step


@pytest.mark.parametrize("source", [*SOURCES, ".pth", ".pt", ".ckpt", ".safetensors", ".pt2", ".onnx", "folder"])
def test_what_is_not_there_is_said_with_a_next_step(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    if source == "open_clip":
        pytest.importorskip("open_clip", reason="open_clip is not installed (pip install 'robench[zeroshot]')")
    missing = {"hf": "hf:./nowhere", "open_clip": "open_clip:./nowhere", "python": "python:nowhere.py:make"}
    spec = str(tmp_path / f"nowhere{source}") if source[0] == "." else missing.get(source, f"{source}:nowhere")
    if source == "folder":
        (tmp_path / "empty").mkdir()
        spec = str(tmp_path / "empty")
    with pytest.raises(RobenchError, match=r"nowhere|empty") as caught:
        load_model(spec, arch="wrn-10-1" if source in (".pth", ".pt", ".ckpt", ".safetensors") else None)
    assert caught.value.hint


@pytest.mark.parametrize("ending", [".pth", ".pt", ".ckpt", ".safetensors", ".pt2", ".onnx"])
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"PK\x03\x04 broken", b"\x80\x02broken"])
def test_a_damaged_file_is_said_by_its_name(ending: str, content: bytes, tmp_path: Path) -> None:
    if ending == ".onnx":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install 'robench[onnx]')")
    path = tmp_path / f"damaged{ending}"
    path.write_bytes(content)
    with pytest.raises(RobenchError, match="damaged") as caught:
        load_model(str(path), arch=None if ending in (".pt2", ".onnx") else "wrn-10-1", num_classes=10)
    assert caught.value.hint
