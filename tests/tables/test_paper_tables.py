"""Tables of papers beside results: a cell is filled where a result fits, and nowhere else."""

from __future__ import annotations

import csv
import io

import pytest

from robench.results.schema import Figure, ModelRecord, Result, RunRecord, StatisticsRecord, SuiteRecord
from robench.tables.board_readme import notes_text, readme_text
from robench.tables.locations import leaderboards
from robench.tables.measured import cover
from robench.tables.paper_tables import FORMS, render
from robench.tables.published import load_table


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
        summary={"mean_corruption_error": Figure(value=0.12, low=0.11, high=0.13)},
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


def test_a_model_may_be_mapped_to_a_recipe() -> None:
    covered = cover(load_table("augmix/1"), [result("cifar10-c", None)], {"m": "augmix-cifar10-allconv"})
    assert set(covered) == {(0, "augmix")}


def test_accuracies_turn_their_interval() -> None:
    table = load_table("augmax/2")
    one = result("cifar10-c", "augmax-cifar10-wrn40-2-paper")
    one.summary["mean_corruption_error"] = Figure(value=0.1, low=0.08, high=0.13)
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
