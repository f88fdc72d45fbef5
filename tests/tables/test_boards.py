"""Boards: what shares a table was measured by one protocol, and every suite has a board."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robench.results.schema import CellResult, ModelRecord, Result, RunRecord, StatisticsRecord, SuiteRecord, Value
from robench.tables.board_readme import readme_text
from robench.tables.boards import Board, make_boards
from robench.tables.site import build_site


def result(suite: str = "digits-c", name: str = "m", **said: Any) -> Result:
    """A result of two cells; ``said`` names what differs: summary, protocol, complete, source, card, identity."""
    summary = said.get("summary", {"mean_error": 0.2})
    values = {key: Value(value=value, low=value - 0.01, high=value + 0.01) for key, value in summary.items()}
    cells = said.get("cells", ("clean", "fog/1"))
    return Result(
        suite=SuiteRecord(
            name=suite,
            title=suite,
            version=1,
            dataset="digits",
            num_classes=10,
            source=said.get("source", "generated"),
            complete=said.get("complete", True),
            protocol=said.get("protocol", {"clean": "a"}),
        ),
        model=ModelRecord(name=name, hash="ab", num_classes=10, preprocessing={}, card=said.get("card", {})),
        run=RunRecord(robench="0", identity=said.get("identity")),
        statistics=StatisticsRecord(),
        summary=values,
        cells=[CellResult(name=c, condition=c, severity=None, images=9, metrics={}) for c in cells],
    )


def boards(*results: Result) -> list[Board]:
    return make_boards({Path(str(i)): one for i, one in enumerate(results)}, living=False)


def test_a_part_of_a_suite_does_not_rank_beside_the_whole() -> None:
    part = result(name="fog alone", complete=False, cells=("fog/1",), summary={"mean_error": 0.01})
    whole, other = boards(result(), part)
    assert [row.name for row in whole.rows] == ["m"]
    assert "partial: 1 cells" in other.protocol


def test_parts_of_other_cells_or_sizes_have_boards_of_their_own() -> None:
    parts = [
        result(complete=False, cells=("fog/1",)),
        result(complete=False, cells=("snow/1",)),
        result(complete=False, cells=("fog/1",), protocol={"clean": "a", "limit": 9}),
    ]
    assert len(boards(*parts)) == 3
    assert len(boards(parts[0], parts[0])) == 1


@pytest.mark.parametrize(
    ("suite", "mine", "yours"),
    [
        ("clean", {"checksum": "a", "split": "test"}, {"checksum": "b", "split": "test"}),
        ("svsf", {"sets": {"iid": "a"}}, {"sets": {"iid": "b"}}),
        ("imagenet-p", {"difficulty": 1}, {"difficulty": 3}),
    ],
)
def test_published_images_that_differ_do_not_share_a_board(
    suite: str, mine: dict[str, Any], yours: dict[str, Any]
) -> None:
    given = [result(suite, source="published", protocol=protocol) for protocol in (mine, yours)]
    assert len(boards(*given)) == 2
    assert len(boards(given[0], given[0])) == 1


def test_precision_makes_a_row_of_its_own() -> None:
    board = boards(result(identity="fp32"), result(identity="bf16"))[0]
    assert len({row.id for row in board.rows}) == 2


def test_rows_of_one_model_say_what_tells_them_apart() -> None:
    """Three branches of one network, and two seeds of one recipe, have cards of one name."""
    first, second, mean = (result(hash=str(i), identity=str(i)) for i in range(3))
    for one, seed in ((first, 1), (second, 2), (mean, 1)):
        one.model.card |= {"name": "net", "trained_with": {"seed": seed}}
    mean.model.card["bn"] = "mean"
    names = [row.name for row in boards(first, second, mean)[0].rows]
    assert sorted(names) == ["net (bn=mean, seed 1)", "net (seed 1)", "net (seed 2)"]
    assert [row.name for row in boards(mean)[0].rows] == ["net (bn=mean)"]
    mean.model.card["lambda"] = 0.3
    first.model.card["tta"] = "flip"
    names = [row.name for one in (first, mean) for row in boards(one)[0].rows]
    assert names == ["net (tta=flip)", "net (bn=mean, lambda=0.3)"]


def test_more_is_better_where_the_value_says_so(tmp_path: Path) -> None:
    given = [
        result("dfr", name, summary={"mean_ood_weighted_pr_auc": value})
        for name, value in (("worse", 0.5), ("best", 0.8), ("near", 0.79))
    ]
    board = boards(*given)[0]
    assert [(row.name, row.rank) for row in board.rows] == [("best", (1, 2)), ("near", (1, 2)), ("worse", (3, 3))]
    assert build_site(tmp_path, {Path(str(i)): one for i, one in enumerate(given)}).is_file()


def test_a_worst_case_suite_has_a_board() -> None:
    given = result("cifar10-sta", summary={"worst_case_error": 0.5, "average_case_error": 0.2, "worst_loss_error": 0.4})
    assert boards(given)[0].columns == ["worst_loss_error", "worst_case_error", "average_case_error"]


def test_other_metrics_than_boards_have_make_no_board() -> None:
    undefined = result()
    undefined.summary["mean_error"] = Value(value=None, note="undefined for this data")
    assert boards(result(summary={"mean_aurc": 0.1}), undefined) == []


def page_data(folder: Path) -> dict[str, Any]:
    """Return what the page's script reads."""
    text = (folder / "index.html").read_text(encoding="utf-8")
    _, _, data = text.partition('<script type="application/json" id="data">')
    found: dict[str, Any] = json.loads(data.partition("</script>")[0])
    return found


def test_the_page_prints_what_is_stored_rounded_once(tmp_path: Path) -> None:
    """0.030049... was 3.0050 in the page's data, and 3.01 or 3.00 in the browser, as it came."""
    given = result(summary={"mean_error": 0.0300499999, "clean_error": 0.2})
    given.summary["mean_error"].high = 0.03125
    given.conditions = {"fog": {"error": Value(value=0.0300499999)}}
    build_site(tmp_path, {Path("0"): given})
    board = next(board for board in page_data(tmp_path)["boards"] if board["tab"] == "digits-c")
    (row,) = board["rows"]
    assert row["values"]["mean_error"] == [3.005, 2.005, 3.125, "3.00", "2.00 to 3.12"]
    assert row["conditions"]["fog"][3:] == ["3.00", ""]
    page = (tmp_path / row["page"]).read_text()
    assert '<td class="n">3.00</td><td class="n">2.00 to 3.12</td>' in page


def test_page_and_readme_print_the_same_numbers(tmp_path: Path) -> None:
    build_site(tmp_path)
    readme = readme_text()
    printed = 0
    for board in page_data(tmp_path)["boards"]:
        for row in board["rows"][:25]:
            for name in board["columns"]:
                if name in row["values"]:
                    text, interval = row["values"][name][3:]
                    assert f"| {text} ({interval}) |" in readme if interval else f"| {text} |" in readme
                    printed += 1
    assert printed > 300


@pytest.mark.parametrize(
    ("recipe", "method"),
    [
        ("patch-uniform-digits", "patch-uniform"),
        ("deepaugment-augmix-tiny-imagenet-resnet18", "deepaugment-augmix"),
        ("augmax-cifar100-wrn40-2", "augmax"),
        ("mine", "mine"),
        (None, ""),
    ],
)
def test_the_method_is_the_whole_of_it(recipe: str | None, method: str) -> None:
    assert boards(result(card={"recipe": recipe}))[0].rows[0].method == method


def test_a_long_name_still_has_a_page(tmp_path: Path) -> None:
    given = result(name="name-" * 80)
    build_site(tmp_path, {Path("0"): given})
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_boards_of_one_suite_have_names_that_tell_them_apart() -> None:
    found = boards(
        result(),
        result(source="published"),
        result(complete=False, cells=("fog/1",)),
        result(complete=False, cells=("fog/1",), protocol={"clean": "b"}),
        result(suite="digits-p"),
    )
    tabs = [board.tab for board in found]
    assert len(set(tabs)) == 5
    assert tabs[4] == "digits-p"
    assert tabs[1].startswith("digits-c (published images")
    assert "partial" in tabs[2]
    assert "partial" not in tabs[0]
