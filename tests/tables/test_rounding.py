"""What is printed is the stored value rounded once: decimal arithmetic against every view, over the shipped results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

from robench import api
from robench.catalogue import headlines, row
from robench.cli.common import print_summary
from robench.results.schema import Result, Value
from robench.tables.boards import measured_row
from robench.tables.report import render_markdown
from robench.tables.site import build_site, measured_results


@pytest.fixture(scope="module")
def shipped() -> dict[Path, Result]:
    return measured_results()


def exact(value: float, name: str) -> str:
    """Round the binary number itself, without a product of floats before."""
    about = row(name)
    unit = Decimal(1).scaleb(-about.decimals)
    return str((Decimal(value) * Decimal(about.factor)).quantize(unit, rounding=ROUND_HALF_EVEN))


def ends(value: Value) -> list[float]:
    every = (value.value, value.low, value.high, value.full_run_low, value.full_run_high)
    return [one for one in every if one is not None]


def expected(result: Result, *, main: bool = False) -> set[str]:
    names = headlines(result.summary, main=main)
    return {exact(one, name) for name in names for one in ends(result.summary[name])}


def printed(text: str) -> set[str]:
    return set(re.findall(r"-?\d+\.\d+", text.replace("−", "-").replace("\\", "")))


def values(result: Result) -> Iterator[tuple[str, Value]]:
    """Every value of a result, with its metric's name."""
    yield from result.summary.items()
    for group in (result.conditions, result.severities):
        for named in group.values():
            yield from named.items()
    for cell in result.cells:
        yield from cell.metrics.items()


def test_every_stored_value_is_shown_as_exact_arithmetic_rounds_it(shipped: dict[Path, Result]) -> None:
    wrong, tried = [], 0
    for result in shipped.values():
        for name, value in values(result):
            for one in ends(value):
                tried += 1
                if (shown := row(name).show(one)) != exact(one, name):
                    wrong.append((name, one, shown))
    assert tried > 10_000
    assert wrong == []


def test_page(shipped: dict[Path, Result], tmp_path: Path) -> None:
    """That the README has the page's texts is held by test_boards.py."""
    build_site(tmp_path, shipped)
    _, _, data = (tmp_path / "index.html").read_text().partition('<script type="application/json" id="data">')
    boards = json.loads(data.partition("</script>")[0])["boards"]
    texts = {
        one["page"]: json.dumps([v[3:] for v in one["values"].values()])
        for b in boards
        for one in b["rows"]
        if "page" in one
    }
    for result in shipped.values():
        (page,) = {measured_row(result, b["id"]).page for b in boards} & set(texts)
        assert printed(texts[page]) == expected(result, main=True)


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html"])
def test_tables_of_own_models(form: str, shipped: dict[Path, Result]) -> None:
    runs = [result for result in shipped.values() if result.suite.name == "digits-c"][:6]
    said = printed(api.table(runs=runs, figures=["mean_error", "clean_error", "mean_brier"], format=form))
    for result in runs:
        for name in ("mean_error", "clean_error", "mean_brier"):
            assert {exact(one, name) for one in ends(result.summary[name])} <= said


def test_a_csv_file_has_what_is_stored(shipped: dict[Path, Result]) -> None:
    runs = [result for result in shipped.values() if result.suite.name == "digits-c"][:3]
    lines = api.table(runs=runs, figures=["mean_error"], format="csv")
    assert all(repr(one) in lines for result in runs for one in ends(result.summary["mean_error"]))


def test_terminal_and_report(shipped: dict[Path, Result], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for result in list(shipped.values())[:4]:
        print_summary([result])
        assert expected(result) <= printed(capsys.readouterr().out)
        assert expected(result) <= printed(render_markdown([result], {}))
