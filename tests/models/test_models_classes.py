"""The order of the classes: a permutation is put right, what cannot be told is refused, numbers say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from robench.data.cifar import CIFAR10_CLASSES
from robench.data.classes import imagenet_names, imagenet_wnids
from robench.data.digits import CLASSES
from robench.errors import RobenchError
from robench.models import Model, ensemble, load_model, wrap
from robench.models.classes import align, in_order_of, keep

NAMES = ("ant", "bee", "cat", "dog")


def identity_model(classes: tuple[str, ...] | None, count: int | None = None) -> Model:
    """A model whose logits are its input's channels' pixels in a row: logit k says position k."""
    model = wrap(nn.Flatten(), num_classes=count or len(classes or ()))
    return replace(model, classes=classes)


@pytest.mark.parametrize(
    ("model", "data", "order"),
    [
        (NAMES, NAMES, None),
        (("Ant", "BEE", "c a t", "dog"), NAMES, None),
        (("bee", "ant", "cat", "dog"), NAMES, (1, 0, 2, 3)),
        (("dog", "cat", "bee", "ant"), NAMES, (3, 2, 1, 0)),
        (("background", *NAMES), NAMES, (1, 2, 3, 4)),
        (("dog", "yak", "cat", "bee", "ant"), NAMES, (4, 3, 2, 0)),
        # Names say nothing: numbers, positions, another language.
        (("0", "1", "2", "3"), NAMES, None),
        (NAMES, ("0", "1", "2", "3"), None),
        (("Ameise", "Biene", "Katze", "Hund"), NAMES, None),
        # Folders that were sorted as text when the model was trained.
        (("0", "1", "10", "2"), ("0", "1", "2", "10"), (0, 1, 3, 2)),
        (("LABEL_1", "LABEL_0"), ("0", "1"), (1, 0)),
        # One list counts from 0, the other from 1.
        (("LABEL_0", "LABEL_1", "LABEL_2"), ("class 1", "class 2", "class 3"), None),
        (("0", "1", "2"), ("1", "3", "2"), (0, 2, 1)),
        (("1", "2", "3"), ("0", "2", "1"), (0, 2, 1)),
        # One name spelled otherwise, in place or told by elimination; several in place.
        (("ant", "bee", "cat", "hound"), NAMES, None),
        (("bee", "ant", "cat", "hound"), NAMES, (1, 0, 2, 3)),
        (("ant", "wasp", "tiger", "dog"), NAMES, None),
        (("airplane", "car", *CIFAR10_CLASSES[2:]), CIFAR10_CLASSES, None),
        # Letters beyond ASCII, and Unicode's two ways to write an accent.
        (("\u72d7", "\u732b", "\u725b"), ("\u725b", "\u72d7", "\u732b"), (2, 0, 1)),
        (("caf\u00e9", "na\u00efve", "x"), ("cafe\u0301", "x", "nai\u0308ve"), (0, 2, 1)),
        # WordNet ids against names, either way.
        (("lion", "tabby", "tiger"), ("n02123045", "n02129165", "n02129604"), (1, 0, 2)),
        (("n02129165", "n02123045", "n02129604"), ("lion", "tabby", "tiger"), None),
        (("n02123045", "n02129165", "n02129604"), ("lion", "tabby", "tiger"), (1, 0, 2)),
    ],
)  # fmt: skip
def test_orders(model: tuple[str, ...], data: tuple[str, ...], order: tuple[int, ...] | None) -> None:
    assert align(model, data) == order


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (("bee", "ant", "tiger", "hound"), NAMES, "another order than the data's, and 2 of 4 names"),
        (("ant", "bee", "cat", "cow", "sow"), NAMES, "the model lacks 1: 'dog'"),
        (("ant", "bee"), NAMES, "the model lacks 2: 'cat', 'dog'"),
        (("0", "1", "2", "3", "4"), NAMES, "has 5 output classes; the suite needs 4, and they have no name in common"),
    ],
)
def test_what_the_names_leave_open_is_refused(model: tuple[str, ...], data: tuple[str, ...], message: str) -> None:
    with pytest.raises(RobenchError, match=message) as caught:
        align(model, data)
    assert caught.value.hint


def test_imagenets_names_and_ids() -> None:
    wnids, names = imagenet_wnids(), imagenet_names()
    swapped = list(range(1000))
    swapped[3], swapped[7] = 7, 3
    assert align(names, wnids) is None
    assert align(wnids, names) is None
    assert align([names[i] for i in swapped], wnids) == tuple(swapped)
    assert align(["background", *wnids], wnids) == tuple(range(1, 1001))
    assert align(["background", *names], wnids) == tuple(range(1, 1001))
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet50_Weights

    assert align(ResNet50_Weights.IMAGENET1K_V1.meta["categories"], wnids) is None
    # ImageNet-21k lacks one of the 1,000, the teddy bear; Microsoft's list has it.
    with pytest.raises(RobenchError, match="the model lacks 1: 'n04399382'") as caught:
        align(ImageNetInfo("imagenet-22k").label_names(), wnids)
    assert "ImageNet-21k" in str(caught.value.hint)
    large = ImageNetInfo("imagenet-22k-ms").label_names()
    assert [large[position] for position in align(large, wnids) or ()] == list(wnids)


@pytest.mark.parametrize("kind", ["module", "function"])
def test_logits_come_out_in_the_order_of_the_data(kind: str) -> None:
    model = identity_model(("dog", "cat", "bee", "ant"))
    if kind == "function":
        model = replace(model, module=lambda x: x.flatten(1))
    ordered = in_order_of(model, NAMES, 4)
    images = torch.arange(8.0).view(2, 1, 2, 2)
    assert ordered.module(images).tolist() == [[3, 2, 1, 0], [7, 6, 5, 4]]
    assert isinstance(ordered.module, nn.Module) == (kind == "module")
    assert (ordered.classes, ordered.num_classes) == (NAMES, 4)
    assert ordered.hash != model.hash
    assert ordered.card["class_order"] == "by name: 4 of 4 logits, 4 moved"
    again = in_order_of(ordered, NAMES, 4)
    assert again is ordered
    fewer = in_order_of(identity_model(("background", *NAMES)), NAMES, 4)
    assert fewer.module(torch.arange(5.0).view(1, 1, 1, 5)).tolist() == [[1, 2, 3, 4]]
    assert fewer.hash not in (model.hash, ordered.hash)


@pytest.mark.parametrize("kind", [nn.Identity, lambda: lambda x: x])
def test_positions_are_taken_of_as_many_logits_as_were_said(kind: Any) -> None:
    """Of 12 outputs, of which one is a background class, the first 10 are other classes than the names say."""
    model = wrap(kind(), num_classes=10, classes=[*"abcdefghij"])
    reordered = in_order_of(model, [*"jihgfedcba"], 10)
    assert reordered.module(torch.arange(10.0)[None])[0].tolist() == [*range(9, -1, -1)]
    for found in (reordered, keep(model, 0, 5)):
        with pytest.raises(RobenchError, match=r"said to have 10 classes; its logits have the shape \(1, 12\)"):
            found.module(torch.arange(12.0)[None])


def test_a_model_in_order_stays_itself() -> None:
    for classes in (NAMES, None):
        model = identity_model(classes, 4)
        assert in_order_of(model, NAMES, 4) is model
        assert in_order_of(model, None, 4) is model
        assert in_order_of(model, NAMES[:2], 4) is model  # not the names of the logits


@pytest.mark.parametrize(
    ("count", "needed", "hint"),
    [(1001, 1000, "outputs=1:1001"), (1001, 1000, "outputs=0:1000"), (1001, 200, "outputs=1:1001"),
     (21841, 1000, "ImageNet-21k"), (21843, 1000, "ImageNet-21k"), (7, 10, "outputs="), (1, 2, "a sigmoid")],
)  # fmt: skip
def test_other_numbers_without_names_are_refused_with_a_hint(count: int, needed: int, hint: str) -> None:
    with pytest.raises(RobenchError, match=f"has {count:,} output classes; the suite needs {needed:,}") as caught:
        in_order_of(identity_model(None, count), None, needed)
    assert hint in str(caught.value.hint)


def test_outputs_of_a_spec(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import torch\ndef make():\n    return torch.nn.Flatten()\n")
    spec = f"python:{tmp_path / 'mine.py'}:make"
    model = load_model(f"{spec}?outputs=1:4", num_classes=5)
    assert model.num_classes == 3
    assert model.module(torch.arange(5.0).view(1, 1, 1, 5)).tolist() == [[1, 2, 3]]
    assert model.hash != load_model(spec, num_classes=5).hash
    with pytest.raises(RobenchError, match="there is no logit 5"):
        load_model(f"{spec}?outputs=1:6", num_classes=5)
    for wrong in ("4:1", "a:b", ":", "1:", "-1:3"):
        with pytest.raises(RobenchError, match="outputs=FIRST:END"):
            load_model(f"{spec}?outputs={wrong}", num_classes=5)


def test_members_of_an_ensemble_are_brought_to_one_order() -> None:
    first, second = (
        replace(identity_model(names), module=lambda x: x[:, 0].flatten(1))
        for names in (NAMES, ("dog", "cat", "bee", "ant"))
    )
    joined = ensemble([first, second], how="mean-logit")
    assert joined.classes == NAMES
    logits = joined.module(torch.tensor([0.0, 1.0, 2.0, 3.0]).view(1, 1, 2, 2))
    assert logits.tolist() == [[1.5, 1.5, 1.5, 1.5]]
    assert ensemble([first, identity_model(None, 4)]).classes is None


def test_models_of_known_data_know_their_classes() -> None:
    assert load_model("reference:digits/standard").classes == CLASSES


def test_torchvisions_and_timms_models_know_their_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    from robench.models import networks, published

    original = networks.build
    monkeypatch.setattr(networks, "build", lambda arch, classes, **_: original(arch, classes))
    classes = load_model("torchvision:resnet18").classes
    assert classes is not None
    assert classes[:2] == ("tench", "goldfish")
    made = timm.create_model("resnet10t.c3_in1k", pretrained=False)
    assert published.timm_classes(made) == imagenet_wnids()
    assert published.timm_classes(timm.create_model("resnet10t", num_classes=7)) is None


def test_names_of_a_wrapped_model() -> None:
    model = wrap(nn.Flatten(), classes=["ant", "bee"])
    assert (model.num_classes, model.classes) == (2, ("ant", "bee"))
    with pytest.raises(RobenchError, match="has 3 classes, but 2 names"):
        wrap(nn.Flatten(), num_classes=3, classes=["ant", "bee"])


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (NAMES, NAMES, None),
        (("ant", "wasp", "tiger", "dog"), NAMES, "by position: 2 of 4 names match"),
        (("Ameise", "Biene", "Katze", "Hund"), NAMES, "by position: the model's first is 'Ameise', the data's 'ant'"),
        (NAMES, ("0", "1", "2", "3"), "by position: the model's first is 'ant', the data's '0'"),
        (("0", "1", "2", "3"), NAMES, "by position: the model's first is '0', the data's 'ant'"),
    ],
)
def test_the_card_says_what_names_leave_open(model: tuple[str, ...], data: tuple[str, ...], said: str | None) -> None:
    found = in_order_of(identity_model(model), data, 4)
    assert found.card.get("class_order") == said
    assert found.hash == identity_model(model).hash


def test_names_of_imagenet_leave_nothing_open() -> None:
    model = identity_model(imagenet_names())
    assert "class_order" not in in_order_of(model, imagenet_wnids(), 1000).card


def test_labels_that_count_from_one_have_their_own_hint() -> None:
    with pytest.raises(RobenchError, match=r"has 4 output classes; the suite needs 5\.\nLabels must count from 0"):
        in_order_of(identity_model(None, 4), None, 5)
    with pytest.raises(RobenchError) as caught:
        in_order_of(identity_model(None, 4), None, 7)
    assert "count from" not in str(caught.value)
