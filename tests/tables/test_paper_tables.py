"""Tables of papers beside results: a cell is filled where a result fits, and nowhere else."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from robench.results.schema import ModelRecord, Result, RunRecord, StatisticsRecord, SuiteRecord, Value
from robench.tables.board_readme import notes_text, readme_text
from robench.tables.locations import leaderboards
from robench.tables.measured import cover
from robench.tables.paper_tables import FORMS, render
from robench.tables.published import addresses, load_table


def result(suite: str, recipe: str | None, complete: bool = True) -> Result:
    return Result(
        suite=SuiteRecord(
            name=suite,
            title=suite,
            version=1,
            dataset="cifar10",
            num_classes=10,
            source="published",
            complete=complete,
            protocol={},
        ),
        model=ModelRecord(
            name="m", hash="0", num_classes=10, preprocessing={}, card={"recipe": recipe} if recipe else {}
        ),
        run=RunRecord(robench="0"),
        statistics=StatisticsRecord(),
        summary={"mean_error": Value(value=0.12, low=0.11, high=0.13)},
        cells=[],
    )


def test_only_the_matching_cell_is_covered() -> None:
    table = load_table("augmix/1")
    covered = cover(table, [result("cifar10-c", "augmix-cifar10-wrn40-2")])
    assert set(covered) == {(2, "augmix")}
    one = covered[2, "augmix"]
    assert (one.value, one.low, one.high) == pytest.approx((12.0, 11.0, 13.0))
    assert one.difference == pytest.approx(0.8)


@pytest.mark.parametrize(
    "other",
    [
        result("cifar100-c", "augmix-cifar10-wrn40-2"),
        result("cifar10-c", None),
        result("cifar10-c", "augmix-cifar10-wrn40-2", complete=False),
    ],
    ids=["other suite", "no recipe", "part of the suite"],
)
def test_nothing_else_is_filled(other: Result) -> None:
    assert cover(load_table("augmix/1"), [other]) == {}


def test_published_files_come_first_and_generated_ones_are_marked() -> None:
    """They are another protocol: our own images are some points away from the published ones."""
    table, recipe = load_table("augmix/1"), "augmix-cifar10-wrn40-2"
    generated = result("cifar10-c", recipe)
    generated.suite.source = "generated"
    generated.summary["mean_error"] = Value(value=0.2)
    covered = cover(table, [generated, result("cifar10-c", recipe)])
    assert covered[2, "augmix"].value == pytest.approx(12.0)
    assert "†" not in render(table, covered, "markdown")
    alone = cover(table, [generated])
    for form in ("markdown", "terminal", "html"):
        text = render(table, alone, form)
        assert "20.00†" in text
        assert "robench generated" in " ".join(text.split())
    assert "20.00$^\\dagger$" in render(table, alone, "latex")
    assert ",generated\n" in render(table, alone, "csv")


def test_images_that_are_generated_by_definition_are_not_marked() -> None:
    one = result("cifar10-sta", "augmix-cifar10-resnext29")
    one.suite.source = "generated"
    one.summary = {"worst_case_error": Value(value=0.4)}
    table = load_table("augmax/11")
    covered = cover(table, [one])
    assert covered[1, "cifar10-sta"].value == pytest.approx(60.0)
    assert "†" not in render(table, covered, "markdown")


def test_cifar10_1_is_set_beside_its_version() -> None:
    one = result("cifar10.1", "augmix-cifar10-resnext29")
    one.summary = {"error": Value(value=0.3)}
    one.conditions = {"v6": {"error": Value(value=0.2)}, "v4": {"error": Value(value=0.4)}}
    assert cover(load_table("augmax/11"), [one])[1, "cifar10.1"].value == pytest.approx(60.0)


def test_sequences_of_other_difficulties_fill_no_cell() -> None:
    one = result("cifar10-p", "augmix-cifar10-wrn40-2")
    one.summary = {"mfp": Value(value=0.02)}
    one.suite.protocol["difficulty"] = 1
    assert len(cover(load_table("augmix/6"), [one])) == 1
    one.suite.protocol["difficulty"] = 3
    assert cover(load_table("augmix/6"), [one]) == {}


def test_every_metric_of_a_table_is_one_that_its_suite_has() -> None:
    """A cell whose metric no result can have would never be filled."""
    from robench.results.scores import default_metrics
    from robench.results.summaries import CellArrays, summarise
    from robench.suites import get

    for address in addresses():
        table = load_table(address)
        for i in range(len(table.rows)):
            for column in table.columns:
                meaning = table.meaning(i, column)
                if meaning.suite is None or meaning.metric is None:
                    continue
                suite = get(meaning.suite)
                metrics = default_metrics(suite.task, variants=suite.name == "cifar10-sta")
                arrays = CellArrays(suite.cells, {m: np.full(len(suite.cells), 0.5) for m in metrics}, suite)
                name, _, condition = meaning.metric.removeprefix("1-").partition("@")
                if condition:
                    assert condition in {cell.condition for cell in suite.cells}, (address, column)
                    assert {"ce": "error", "flip_rate": "flip_probability"}.get(name, name) in metrics
                else:
                    assert name in summarise(arrays), (address, column, name)


def test_a_model_may_be_mapped_to_a_recipe() -> None:
    covered = cover(load_table("augmix/1"), [result("cifar10-c", None)], {"m": "augmix-cifar10-allconv"})
    assert set(covered) == {(0, "augmix")}


def test_accuracies_turn_their_interval() -> None:
    table = load_table("augmax/2")
    one = result("cifar10-c", "augmax-cifar10-wrn40-2-paper")
    one.summary["mean_error"] = Value(value=0.1, low=0.08, high=0.13)
    measured = cover(table, [one])[3, "augmax"]
    assert (measured.value, measured.low, measured.high) == pytest.approx((90.0, 87.0, 92.0))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_number(form: str) -> None:
    table = load_table("augmix/2")
    text = render(table, None, form)
    assert all(cell in text for line in table.cells for cell in line)
    assert "12.00 [11.00, 13.00] (+0.80)" in render(
        load_table("augmix/1"),
        cover(load_table("augmix/1"), [result("cifar10-c", "augmix-cifar10-wrn40-2")]),
        "markdown",
    )


def test_csv_with_results_has_a_field_for_each_number() -> None:
    table = load_table("augmix/1")
    text = render(table, cover(table, [result("cifar10-c", "augmix-cifar10-wrn40-2")]), "csv")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["measured"] for line in lines if line["measured"]] == ["12.0000"]
    assert len(lines) == len(table.rows) * len(table.columns)


def test_generated_pages_are_up_to_date() -> None:
    if not (leaderboards().parent / "docs").is_dir():
        pytest.skip("installed without docs")
    assert (leaderboards() / "README.md").read_text(encoding="utf-8") == readme_text()
    assert (leaderboards().parent / "docs" / "published_tables.md").read_text(encoding="utf-8") == notes_text()


def test_a_recipe_stands_in_the_row_of_its_own_setting() -> None:
    """AutoLabel's Table 3 has mixup twice; the recipe draws its weight from a uniform distribution."""
    table = load_table("autolabel/3")
    recipes = {row.title: table.meaning(i, "cifar10-acc").recipe for i, row in enumerate(table.rows)}
    assert recipes["mixup (beta = 1)"] == "mixup-cifar10-wrn28-10"
    assert recipes["mixup (beta = 0.2)"] == "mixup-0.2-cifar10-wrn28-10"
