"""docs/papers.md is in step with the tables, and says of every numeric cell what fills it."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.tables.coverage import coverage_text, table_coverage
from robench.tables.published import addresses


def test_the_page_is_up_to_date() -> None:
    """Failing here: run `robench table coverage > docs/papers.md`."""
    page = Path(__file__).resolve().parents[2] / "docs" / "papers.md"
    if not page.is_file():
        pytest.skip("installed without docs")
    assert page.read_text(encoding="utf-8") == coverage_text()


def test_no_cell_is_without_a_way_or_a_reason() -> None:
    found = [table_coverage(address) for address in addresses()]
    assert sum(len(one.how) for one in found) == 1371
    assert all(why != "no reason is given" for one in found for why, _ in one.reasons())
    # Cells of recipes and public weights: their number is to rise, not to fall.
    assert sum(one.fillable for one in found) >= 1293
    assert sum(one.count("not") for one in found) == 48


def test_no_shipped_result_fills_a_cell() -> None:
    """They are of the embedded digits, of which no paper has a table."""
    assert all(table_coverage(address).filled == 0 for address in ("augmix/1", "split-bn/5"))
