"""Tables of papers beside results: a cell is filled where a result fits, and nowhere else."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from measured_results import by_path, trained

from robench.results.schema import Value
from robench.tables import identities
from robench.tables.board_readme import notes_text, readme_text
from robench.tables.covering import cover
from robench.tables.locations import leaderboards
from robench.tables.paper_tables import FORMS, render
from robench.tables.published import addresses, load_table


def test_images_that_are_generated_by_definition_are_not_marked() -> None:
    one = trained("augmix-200-cifar10-resnext29", "cifar10-sta")
    one.suite.source = "generated"
    one.summary = {"worst_loss_error": Value(value=0.4)}
    table = load_table("augmax/11")
    covered = cover(table, by_path(one)).filled
    assert covered[1, "cifar10-sta"].value == pytest.approx(60.0)
    assert "†" not in render(table, covered, "markdown")


def test_cifar10_1_is_set_beside_its_version() -> None:
    one = trained("augmix-200-cifar10-resnext29", "cifar10.1")
    one.summary = {"error": Value(value=0.3)}
    one.conditions = {"v6": {"error": Value(value=0.2)}, "v4": {"error": Value(value=0.4)}}
    assert cover(load_table("augmax/11"), by_path(one)).filled[1, "cifar10.1"].value == pytest.approx(60.0)


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
                if meaning.metric.startswith("affinity@"):  # a document of `robench affinity`, not a result
                    assert meaning.metric.partition("@")[2] in identities.recipes()
                    continue
                suite = get(meaning.suite)
                metrics = (*default_metrics(suite.task, variants=suite.name == "cifar10-sta"), "top5_error")
                arrays = CellArrays(suite.cells, {m: np.full(len(suite.cells), 0.5) for m in metrics}, suite)
                name, _, condition = meaning.metric.removeprefix("1-").partition("@")
                if condition:
                    assert condition in {cell.condition for cell in suite.cells}, (address, column)
                    assert {"ce": "error", "flip_rate": "flip_probability"}.get(name, name) in metrics
                else:
                    assert name in summarise(arrays), (address, column, name)


def test_accuracies_turn_their_interval() -> None:
    table = load_table("augmax/2")
    one = trained("augmax-cifar10-wrn40-2-code", "cifar10-c")
    one.summary["mean_error"] = Value(value=0.1, low=0.08, high=0.13)
    measured = cover(table, by_path(one)).filled[3, "augmax"]
    assert (measured.value, measured.low, measured.high) == pytest.approx((90.0, 87.0, 92.0))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_shows_every_number(form: str) -> None:
    table = load_table("augmix/2")
    text = render(table, None, form)
    assert all(cell in text for line in table.cells for cell in line)
    assert "12.00 [11.00, 13.00] (+0.80)" in render(
        load_table("augmix/1"),
        cover(load_table("augmix/1"), by_path(trained("augmix-cifar10-wrn40-2", "cifar10-c"))).filled,
        "markdown",
    )


def test_csv_with_results_has_a_field_for_each_number() -> None:
    table = load_table("augmix/1")
    text = render(table, cover(table, by_path(trained("augmix-cifar10-wrn40-2", "cifar10-c"))).filled, "csv")
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
