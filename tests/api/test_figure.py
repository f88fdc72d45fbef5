"""The papers' figures: each says what draws it, and is drawn from results found by content."""

from __future__ import annotations

from pathlib import Path

import pytest
from measured_results import by_path, trained

from robench import api
from robench.errors import RobenchError
from robench.plots.registry import PLOTS
from robench.results.schema import Value
from robench.results.scoring import save
from robench.tables import identities
from robench.tables.documents import choose_documents
from robench.tables.figures import choose, figures
from robench.tables.hypotheses import ADDRESSES, MARGIN, printed, signs
from robench.tables.published import PAPERS, load_table

COUNTS = {"augmix": 12, "augmax": 3, "many-faces": 8, "autolabel": 3, "split-bn": 5}


def test_every_figure_of_the_five_papers_is_there() -> None:
    assert list(figures()) == [f"{paper}/{n}" for paper in PAPERS for n in range(1, COUNTS[paper] + 1)]


@pytest.mark.parametrize("address", figures())
def test_every_name_in_a_figure_exists(address: str) -> None:
    from robench.suites import get
    from robench.training import recipes

    figure = figures()[address]
    assert figure.panels or figure.why
    for panel in figure.panels:
        assert panel.plot in {*PLOTS, "augmentations", "corruptions-gallery", "operations"}
        known = {option.name for option in PLOTS.get(panel.plot).options} if panel.plot in PLOTS else set()
        assert set(panel.options) <= known
        assert set(panel.models) <= set(identities.recipes())
        assert set(panel.weights) <= set(identities.weights())
        assert {*panel.images, *({panel.varied} - {None})} <= set(recipes.names())
        assert all(recipes.load(name, list(panel.settings)) for name in panel.images)
        if panel.suite:
            assert get(panel.suite)


def test_a_figure_takes_only_what_counts(tmp_path: Path) -> None:
    right = trained("augmix-cifar10-resnext29", "cifar10-c")
    changed = trained("cutout-cifar10-resnext29", "cifar10-c")
    changed.model.card["recipe_digest"] = "0" * 64
    panel = figures()["augmix/5"].panels[0]
    chosen = choose(panel, by_path(right, changed))
    assert chosen.found == [right]
    assert "cutout-cifar10-resnext29" in chosen.missing
    assert len(chosen.dropped) == 1
    save(right, tmp_path / "a.json")
    drawn = api.figure("augmix/5", results=tmp_path)
    assert list(drawn.panels) == [1]
    assert any("lacks standard-cifar10-resnext29" in note for note in drawn.notes)


def test_an_ablation_takes_runs_that_differ_in_its_setting_alone(tmp_path: Path) -> None:
    for number, (alpha, epochs) in enumerate(((0.5, 90), (1.0, 90), (2.0, 90), (1.0, 10))):
        result = trained("augmix-imagenet-resnet50-paper", "imagenet-c", 0.4, seed=number, mce=Value(value=0.7))
        result.model.card |= {"recipe": "augmix-imagenet-resnet50-code", "recipe_digest": f"{number}" * 64}
        result.model.card["settings"] = {"options.alpha": alpha, "epochs": epochs, "options.width": 3}
        save(result, tmp_path / f"{number}.json")
    drawn = api.figure("augmix/8", results=tmp_path)
    assert list(drawn.panels) == [1]
    assert [one.get_text() for one in drawn.panels[1].axes[0].get_xticklabels()] == ["0.5", "1", "2"]


def test_what_cannot_be_drawn_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="a drawing"):
        api.figure("augmax/3")
    with pytest.raises(RobenchError, match="needs results"):
        api.figure("augmix/7")
    with pytest.raises(RobenchError, match="shows images only"):
        api.figure("augmix/1", results=tmp_path)
    with pytest.raises(RobenchError, match="shows no images"):
        api.figure("augmix/7", image="a.png")
    with pytest.raises(RobenchError, match="augmix/"):
        api.figure("augmix/99")


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_papers_signs_follow_from_its_own_numbers(address: str) -> None:
    table = load_table(address)
    expected = {
        (i, column): table.cells[i][j]
        for i in range(len(table.rows))
        for j, column in enumerate(table.columns)
        if table.cells[i][j]
    }
    assert signs(table, printed) == expected


def test_signs_follow_from_measured_numbers_and_need_both_models(tmp_path: Path) -> None:
    from measured_results import public

    base = public("torchvision:resnet50.IMAGENET1K_V1", "imagenet-c", mce=Value(value=0.767))
    larger = public("torchvision:resnet152.IMAGENET1K_V1", "imagenet-c", mce=Value(value=0.767 - MARGIN / 100 - 0.001))
    for name, result in (("base", base), ("larger", larger)):
        save(result, tmp_path / f"{name}.json")
    text = api.table("many-faces/4", results=tmp_path, format="csv")
    assert "Larger models,imagenet-c,,,,+,+" in text
    larger.suite.source = "generated"
    save(larger, tmp_path / "larger.json")
    assert ",+,+" not in api.table("many-faces/4", results=tmp_path, format="csv")
    text = api.table("many-faces/4", results=tmp_path, format="csv", generated=True)
    assert 'Larger models,imagenet-c,,,,+,+,,,,,,"derived, generated"' in text
    text = api.table("many-faces/4", results=tmp_path, format="markdown", generated=True)
    assert "+; +†" in text
    assert "†: on images that robench generated" in text
    (tmp_path / "base.json").unlink()
    assert ",+,+" not in api.table("many-faces/4", results=tmp_path, format="csv")


def _map(folder: Path, recipe: str, **changes: object) -> Path:
    """Write a Fourier map of a recipe's model: ``card`` and fields of the document as changed."""
    import json

    result = trained(recipe, "cifar10-c")
    card = changes.pop("card", {})
    assert isinstance(card, dict)
    result.model.card |= card
    document = {
        "kind": "robench-fourier", "model": recipe, "size": 2, "norm": 8.0, "error": [[0.1, 0.2], [0.3, 0.4]],
        "images": 10_000, "model_record": result.model.model_dump(mode="json"),
    } | changes  # fmt: skip
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(document))
    return path


def test_fourier_panels_take_the_models_and_branches_of_the_figure_alone(tmp_path: Path) -> None:
    recipe = "weak-augment-cifar10-wrn28-2"
    right = [_map(tmp_path, recipe, card=card) for card in ({}, {"bn": "auxiliary"}, {"bn": "mean", "lambda": 0.5})]
    wrong = {
        _map(tmp_path, recipe, card={"recipe_digest": "0" * 64}): "its recipe is not",
        _map(tmp_path, recipe, card={"dataset": "cifar100"}): "trained on cifar100",
        _map(tmp_path, recipe, norm=4.0): "norm is 4.0; expected 8",
        _map(tmp_path, recipe, card={"bn": "mean", "lambda": 0.25}): "lambda is 0.25",
        _map(tmp_path, recipe, model_record=None): "does not say what its model is",
    }
    other = _map(tmp_path, "randaugment-cifar10-wrn28-2")
    (panel,) = figures()["split-bn/4"].panels
    chosen = choose_documents(panel, tmp_path)
    assert chosen.found == right
    assert chosen.missing == []
    assert set(chosen.dropped) == set(wrong)
    for path, said in wrong.items():
        assert said in chosen.dropped[path]
    assert other not in chosen.dropped
    drawn = api.figure("split-bn/4", results=tmp_path)
    assert len(drawn.panels[1].axes) == 4  # three maps and their scale
    assert sum("does not count" in note for note in drawn.notes) == len(wrong)
    with pytest.raises(RobenchError, match="standard-cifar10-wrn40-2"):
        api.figure("augmix/9", results=tmp_path)


def test_a_written_map_says_what_its_model_is(tmp_path: Path) -> None:
    import robench

    found = robench.fourier(
        "reference:digits/standard", lowpass="4", limit=20, device="cpu", quiet=True, out=tmp_path / "curve.json"
    )
    assert found.document["model_record"]["card"]["recipe_digest"]
    (panel,) = figures()["split-bn/5"].panels
    assert choose_documents(panel, tmp_path).found == []
