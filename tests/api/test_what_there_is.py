"""What there is (suites, models, data sets, recipes) is listed and described as typed values."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench import api, suites
from robench.errors import RobenchError


def test_every_suite_is_described() -> None:
    found = api.list_suites()
    assert [one.suite.name for one in found] == list(suites.names())
    for one in found:
        assert set(one.record()["cells"]) == {cell.name for cell in one.suite.cells}
        assert (one.to_get == "embedded") == one.suite.embedded
    split = api.describe_suite("dfr")
    assert "file" in split.columns
    assert split.sets
    # 75 cells of 50,000 images, and the clean ones
    assert api.describe_suite("imagenet-c").passes == sum(
        api.describe_suite("imagenet-c").suite.published_images(cell.condition) or 0
        for cell in suites.get("imagenet-c").cells
    )


def test_models_are_described_by_name_and_by_spec() -> None:
    assert (
        api.describe_model("wrn-16-2", num_classes=7).parameters
        == api.describe_model("wrn-16-2", num_classes=7).facts["parameters"]
    )
    model = api.describe_model("reference:digits/standard")
    assert model.parameters == model.facts["parameters"]
    listed = {one.spec: one for one in api.list_models().reference}
    assert listed["reference:digits/standard"].dataset == "digits"
    assert 0.9 < (listed["reference:digits/standard"].accuracy or 0) <= 1
    with pytest.raises(RobenchError, match="num_classes"):
        api.describe_model("wrn-16-2", num_classes=0)


def test_data_sets_are_described_and_verified(tmp_path: Path) -> None:
    listed = {one.name: one for one in api.list_data(root=tmp_path)}
    assert listed["cifar10-c"] == api.describe_data("cifar10-c", root=tmp_path)
    assert listed["cifar10-c"].folder is None
    assert listed["cifar10-c"].place == tmp_path / "cifar10-c"
    with pytest.raises(RobenchError, match="not installed"):
        api.verify_data("cifar10-c", root=tmp_path)
    with pytest.raises(RobenchError, match="does not exist"):
        api.verify_data("cifar10-c", data=tmp_path / "no")
    with pytest.raises(RobenchError, match="Unknown data set 'cifar10c'"):
        api.download_data(("cifar10-p", "cifar10c"), root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_recipes_are_listed_and_resolved() -> None:
    listed = {one.name: one for one in api.list_recipes()}
    row = listed["augmix-digits"]
    assert row.data == "digits"
    assert row.architecture == api.describe_recipe("augmix-digits").architecture
    with pytest.raises(RobenchError):
        api.describe_recipe("augmix-digits", set={"epochs": -1})


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "needs its images"), ({"data": "d", "fresh": True}, "`fresh` has no effect on a set")],
)
def test_a_set_of_models_refuses_what_it_would_ignore(options: dict[str, object], said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        api.is_set("cifar10", **options)  # type: ignore[arg-type]


def test_options_of_sets_are_refused_without_one() -> None:
    assert not api.is_set("digits")
    assert api.is_set("cifar10", data="d", jobs=2)
    with pytest.raises(RobenchError, match="`jobs` is for sets"):
        api.is_set("digits", jobs=2)


def test_recipes_of_a_method_and_a_data_set() -> None:
    rows = api.list_recipes(method="augmix", data="cifar10")
    assert rows
    assert {(one.method, one.data) for one in rows} == {("augmix", "cifar10")}
    assert all(one.epochs > 0 for one in rows)
    with pytest.raises(RobenchError, match="has the method 'augmx'"):
        api.list_recipes(method="augmx")
