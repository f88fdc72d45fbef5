"""Heads of ImageNet-21k and of 1,001 classes: mapped by WordNet id and by name, or refused with a hint."""

from __future__ import annotations

from functools import cache

import pytest
from timm.data import ImageNetInfo

from robench.data.classes import imagenet_names, imagenet_wnids
from robench.errors import RobenchError
from robench.models.classes import align
from robench.models.synsets import wordnet_ids

LISTS = ("imagenet21k", "imagenet22k", "imagenet12k", "imagenet21kmiil")


@cache
def ids_and_names(name: str) -> tuple[list[str], list[str]]:
    info = ImageNetInfo(name)
    return info.label_names(), [info.index_to_description(label) for label in range(info.num_classes())]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("short", [False, True])
def test_a_large_head_on_data_whose_classes_it_has(name: str, short: bool) -> None:
    ids, names = ids_and_names(name)
    shared = sorted(set(ids) & set(imagenet_wnids()))
    assert "n02012849" in shared  # the crane that is a bird
    assert "n03126707" in shared  # the crane that lifts
    model = [one.partition(",")[0] for one in names] if short else names
    for given in (ids, model):
        order = align(given, shared)
        assert order is not None
        assert [ids[position] for position in order] == shared


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("data", [imagenet_wnids(), imagenet_names()])
def test_what_a_large_head_lacks_is_named(name: str, data: tuple[str, ...]) -> None:
    ids, names = ids_and_names(name)
    known = set(ids)
    lacking = [label for label, one in enumerate(imagenet_wnids()) if one not in known]
    assert 1 <= len(lacking) <= 9
    for given in (ids, names):
        with pytest.raises(RobenchError, match=rf"the model lacks {len(lacking)}: '{data[lacking[0]]}'") as caught:
            align(given, data)
        assert "linear-probe" in (caught.value.hint or "")


def test_microsofts_list_begins_with_imagenets() -> None:
    ids, names = ids_and_names("imagenet22kms")
    for given in (ids, names):
        for data in (imagenet_wnids(), imagenet_names()):
            order = align(given, data)
            assert order is not None
            assert [ids[position] for position in order] == list(imagenet_wnids())


@pytest.mark.parametrize("data", [imagenet_wnids(), imagenet_names()])
def test_a_background_class_is_left_out(data: tuple[str, ...]) -> None:
    for names in (imagenet_wnids(), imagenet_names(), [one.partition(",")[0] for one in imagenet_names()]):
        assert align(["background", *names], data) == tuple(range(1, 1001))


def test_other_lists_have_no_ids() -> None:
    assert wordnet_ids(["cat", "dog"]) is None
    assert wordnet_ids([f"class {number}" for number in range(21841)]) is None
    assert wordnet_ids(["n01440764", "n01443537"]) == ("n01440764", "n01443537")
