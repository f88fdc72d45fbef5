"""The documentation's table of metrics is the one of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.catalogue import METRICS
from robench.errors import RobenchError
from robench.metrics import document

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_has_the_table_of_the_list() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert document.table_part(text) == document.table_text(), "run python -m robench.metrics.document docs/metrics.md"


def test_every_metric_has_a_row_with_its_range_and_direction() -> None:
    head, rule, *rows = document.table_text().splitlines()
    assert head.count("|") == rule.count("|")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0].strip("`") for row in cells] == list(METRICS)
    assert {len(row) for row in cells} == {6}
    found = {row[0].strip("`"): row for row in cells}
    assert found["brier"][2:4] == ["lower", "0 to 2"]
    assert found["nll"][3] == "0 to unbounded"
    assert found["aurra"][2] == "higher"


def test_a_new_table_replaces_the_old_one_and_nothing_else() -> None:
    before = f"# Title\n{document.BEGIN}\nold\n{document.END}\nrest\n"
    after = document.with_table(before)
    assert after == before.replace("old\n", document.table_text())
    assert document.with_table(after) == after


@pytest.mark.parametrize("text", ["", document.BEGIN, document.END + document.BEGIN])
def test_a_page_without_markers_is_refused(text: str) -> None:
    with pytest.raises(RobenchError, match="markers"):
        document.with_table(text)
