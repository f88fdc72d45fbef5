"""The report: its sentences against the values, one file without the network, readable by machines too."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from robench import plots
from robench.catalogue import row
from robench.errors import RobenchError
from robench.results.comparing import Comparison, Difference
from robench.results.labels import model_names, shorten, show, unlike
from robench.results.schema import Result, Value
from robench.tables.report import render_html, render_markdown
from robench.tables.report_words import headline_names


def _digit_results() -> Any:
    """Load the maker of results that the tests of plots have beside them."""
    if "digit_results" not in sys.modules:
        path = Path(__file__).parents[1] / "plots" / "digit_results.py"
        spec = importlib.util.spec_from_file_location("digit_results", path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["digit_results"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["digit_results"])
    return sys.modules["digit_results"]


class Page(HTMLParser):
    """What a page holds: ids, links, addresses it would ask for, and whether its elements close in order."""

    VOID = frozenset({"meta", "link", "br", "img", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        for name in ("href", "xlink:href", "src"):
            value = found.get(name)
            if value is not None:
                (self.references if value.startswith("#") else self.addresses).append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results() -> list[Result]:
    maker = _digit_results()
    return [maker.make("neighbours"), maker.make("bayes")]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    found: Comparison = _digit_results().comparison("neighbours", "bayes")
    return found


@pytest.fixture(scope="module")
def page(results: list[Result], comparison: Comparison) -> str:
    plots_ = {
        "one": ("Error", "How to read it.", plots.to_bytes(plots.severity(results), "svg")),
        "two": ("Again", "The same.", plots.to_bytes(plots.severity(results), "svg")),
        "bits": ("Bitmap", "A bitmap.", plots.to_bytes(plots.corruptions(results), "png")),
    }
    return render_html(results, plots_, comparison)


def test_the_page_stands_alone(page: str) -> None:
    found = Page(page)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids)), "two plots share ids"
    assert {reference[1:] for reference in found.references} <= set(found.ids)
    assert all(address.startswith("data:") for address in found.addresses)
    assert "<script" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_the_page_can_be_read_out(page: str) -> None:
    assert '<html lang="en">' in page
    assert page.count('<svg role="img" aria-label="Error"') == 1
    assert 'alt="Bitmap"' in page
    assert page.count('<th scope="row">') > 10
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_first_sentence_says_who_by_how_much_and_whether_it_is_real(
    results: list[Result], comparison: Comparison
) -> None:
    text = render_markdown(results, None, comparison)
    values = [100 * (r.summary["mean_error"].value or 0) for r in results]
    lead = text.splitlines()[2]
    assert lead == (
        "**neighbours is significantly better than bayes under corruption: mean error "
        f"{values[0]:.2f} % against {values[1]:.2f} %.**"
    )
    found = comparison.differences["mean_error"]
    assert found.significant
    assert None not in (found.value, found.low, found.high)
    assert f"lower than bayes by {-100 * (found.value or 0):.2f} points" in text
    assert f"(95 % interval {-100 * (found.high or 0):.2f} to {-100 * (found.low or 0):.2f}, paired" in text


def test_a_difference_that_is_not_real_is_not_called_better(results: list[Result], comparison: Comparison) -> None:
    unsure = Difference(value=-0.001, low=-0.01, high=0.008)
    text = render_markdown(results, None, comparison.model_copy(update={"differences": {"mean_error": unsure}}))
    assert text.splitlines()[2] == "**No significant difference between neighbours and bayes under corruption.**"
    assert "better than" not in text
    assert "-0.10 points (95 % interval -1.00 to +0.80)" in text
    page = render_html(results, {}, comparison.model_copy(update={"differences": {"mean_error": unsure}}))
    said = html.unescape(re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)).replace("\u00a0", " ")
    assert "−0.10 points (95 % interval −1.00 to +0.80)" in said
    assert re.findall(r"(?<![\w.-])-\d[^ ]*", said) == []  # a page has minus signs


def test_the_order_of_the_two_does_not_change_who_is_better(results: list[Result]) -> None:
    swapped = _digit_results().comparison("bayes", "neighbours")
    comparison = _digit_results().comparison("neighbours", "bayes")
    for order, found, column in (
        (results[::-1], swapped, 3),
        (results[::-1], comparison, 3),
        (results, swapped, 2),
        (results, comparison, 2),
    ):
        text = render_markdown(order, None, found)
        assert "**neighbours is significantly better than bayes" in text
        found = next(line for line in text.splitlines() if line.startswith("| Mean error under corruption"))
        assert [i for i, cell in enumerate(found.split("|")) if "**" in cell] == [column]


def test_one_and_three_models_have_their_sentences(results: list[Result]) -> None:
    assert "**neighbours: mean error under corruption " in render_markdown(results[:1])
    three = [*results, _digit_results().make("logistic", "third")]
    lowest = min(three, key=lambda r: r.summary["mean_error"].value or 0)
    assert f"**Of 3 models, {lowest.model.name} has the lowest mean error under corruption" in render_markdown(three)


def test_tables_hold_every_summary_and_condition_with_intervals(results: list[Result]) -> None:
    text = render_markdown(results)
    for result in results:
        for name in ("clean_error", "mean_rms_calibration_error", "mean_brier"):
            assert show(result.summary[name], name, interval=True).replace("**", "") in text.replace("**", "")
        for values in result.conditions.values():
            assert show(values["error"], "error", interval=True) in text.replace("**", "")
    assert "| Noise: Gaussian noise |" in text


def test_what_was_not_measured_is_said_and_never_filled(results: list[Result]) -> None:
    lacking = results[1].model_copy(deep=True)
    del lacking.conditions["contrast"]
    lacking.summary["mean_brier"] = Value(value=None, note="undefined for this data")
    lacking.status = "partial"
    lacking.suite.complete = False
    lacking.failures = ["fog/3: logits are not finite"]
    text = render_markdown([results[0], lacking])
    found = next(line for line in text.splitlines() if line.startswith("| Digital: Contrast"))
    assert found.split("|")[3].strip() == "not measured"
    assert "undefined for this data" in text
    assert "partial: 31 of 76 cells" in text
    assert "bayes: fog/3: logits are not finite" in text
    assert "robench evaluate`: the same command again" in text


def test_names_from_outside_are_escaped(results: list[Result]) -> None:
    evil = results[0].model_copy(deep=True)
    evil.model.name = "<script>alert(1)</script>|x"
    evil.run.command = "robench evaluate --name '<img src=http://example.org>'"
    drawn = {"a": ('"><b>', "<i>caption</i>", plots.to_bytes(plots.severity([evil]), "svg"))}
    text = render_html([evil], drawn)
    assert "<script" not in text
    assert "<img src=http" not in text
    assert "<i>" not in text
    assert Page(text).open == []


def test_runs_of_different_protocols_are_refused(results: list[Result]) -> None:
    other = results[1].model_copy(deep=True)
    other.suite.source = "published"
    with pytest.raises(RobenchError, match="one protocol"):
        render_html([results[0], other], {})
    with pytest.raises(RobenchError, match="no result"):
        render_markdown([])


def test_names_are_told_apart_and_cut_in_the_middle(results: list[Result]) -> None:
    same = [results[0], results[0], results[1].model_copy(deep=True)]
    same[2].model.name = "neighbours"
    names = model_names(same)
    assert len(set(names)) == 3
    assert all(name.startswith("neighbours (") for name in names)
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("abc", 7) == "abc"


def test_labels_know_prefixes_and_units() -> None:
    assert row("clean_rms_calibration_error").axis == "clean RMS calibration error, %"
    assert row("mean_error_noise").title == "mean error under noise corruptions"
    assert row("mean_brier").axis == "Brier score under corruption (0 to 2)"
    assert row("robust_accuracy").lower_is_better is False
    assert show(Value(value=0.12345, low=0.1, high=0.2), "error", interval=True) == "12.35 (10.00 to 20.00)"


def test_only_what_stands_apart_is_marked_as_better(results: list[Result], comparison: Comparison) -> None:
    close = results[0].model_copy(deep=True)
    close.model.name = "close"
    for values in (close.summary, *close.conditions.values()):
        for value in values.values():
            value.value = (value.value or 0) * 1.0001
    assert "**" not in "\n".join(line for line in render_markdown([results[0], close]).splitlines() if line[:1] == "|")
    found = next(
        line for line in render_markdown(results).splitlines() if line.startswith("| Mean error under corruption")
    )
    assert found.split("|")[2].strip().startswith("**")
    unsure = Difference(value=-0.3, low=-0.9, high=0.1)
    text = render_markdown(results, None, comparison.model_copy(update={"differences": {"mean_error": unsure}}))
    found = next(line for line in text.splitlines() if line.startswith("| Mean error under corruption"))
    assert "**" not in found


def test_a_part_is_not_set_against_the_whole(results: list[Result], comparison: Comparison) -> None:
    """Its mean is of other cells, and the paired differences are of the cells that both have."""
    part = results[1].model_copy(deep=True)
    part.cells = part.cells[:6]
    part.suite.complete = False
    text = render_markdown([results[0], part], None, comparison)
    assert text.splitlines()[2].startswith("**These runs differ in cells: their means")
    assert "significant" not in text.split("## Runs")[0]
    assert "minus" not in text
    assert "**" not in text.split("## Results")[1].split("## Protocol")[0]


def test_other_images_are_not_set_against_each_other(results: list[Result]) -> None:
    fewer = results[1].model_copy(deep=True)
    fewer.suite.protocol["limit"] = 50
    assert "differ in limit" in render_markdown([results[0], fewer])
    geometry = results[1].model_copy(deep=True)
    geometry.suite.protocol["geometry"] = {"resize": 232}
    assert "differ in" not in render_markdown([results[0], geometry])


def test_held_out_cells_and_clean_images_do_not_part_whole_suites(results: list[Result]) -> None:
    more = results[1].model_copy(deep=True)
    more.cells = more.cells[1:]
    more.suite.protocol.pop("clean", None)
    assert unlike([results[0], more]) == []


@pytest.mark.parametrize(
    ("suite", "value", "said"),
    [
        ("cifar10-sta", "worst_loss_error", "Error at the largest loss, %"),
        ("dfr", "mean_ood_weighted_pr_auc", "Weighted area under the precision-recall curve out of distribution, %"),
    ],
)
def test_every_suite_has_its_value_in_the_table(suite: str, value: str, said: str, results: list[Result]) -> None:
    one = results[0].model_copy(deep=True)
    one.suite.name = suite
    one.summary = {value: Value(value=0.5, low=0.4, high=0.6)}
    text = render_markdown([one])
    assert f"| {said} | 50.00 (40.00 to 60.00) |" in text
    assert f"neighbours: {row(value).title} 50.00 %" in text


def test_mce_names_the_baseline_of_its_suite(results: list[Result]) -> None:
    """Tiny-ImageNet-C is normalised by a ResNet-18."""
    one = results[0].model_copy(deep=True)
    one.suite.normaliser = "tiny-imagenet-resnet18"
    one.summary["mce"] = Value(value=0.9, low=0.8, high=1.0)
    text = render_markdown([one])
    assert "AlexNet" not in text
    assert "Baseline of normalised values: tiny-imagenet-resnet18" in text


def test_names_stay_as_they_are_in_markdown(results: list[Result], comparison: Comparison) -> None:
    renamed = [one.model_copy(deep=True) for one in results]
    for one, name in zip(renamed, ("<script>a|b</script>", "_best*[x] of wrn_40_2"), strict=True):
        one.model.name = name
    named = comparison.model_copy(update={"a": renamed[0].model.name, "b": renamed[1].model.name})
    text = render_markdown(renamed, None, named)
    first, second = r"\<script\>a\|b\</script\>", r"\_best\*\[x\] of wrn_40_2"
    assert "<script>" not in text
    assert f"{first} is significantly better than {second} under corruption" in text
    assert f"| {first} | {second} | {first} minus {second} |" in text
    assert renamed[0].model.name == "<script>a|b</script>"


def test_the_published_rms_error_of_small_cells_is_not_put_first(results: list[Result]) -> None:
    """Its bins of 100 hold the noise of few images; the table has it under its name, sentences do not."""
    small, large = results[0].model_copy(deep=True), results[0].model_copy(deep=True)
    for cell in large.cells:
        cell.images = 10_000
    assert "mean_rms_calibration_error" not in headline_names([small])
    assert headline_names([large])[1] == "mean_rms_calibration_error"
    assert "| RMS calibration error under corruption, % |" in render_markdown([small])


def test_texts_of_a_document_are_no_markdown(results: list[Result]) -> None:
    evil = results[0].model_copy(deep=True)
    evil.suite.title = "t\n# heading | <b>"
    evil.suite.protocol["note"] = "[link](http://example.org)\n- item"
    evil.notes = ["![x](y)"]
    evil.run.command = "robench `x`\n# heading"
    text = render_markdown([evil])
    assert text.splitlines()[0].endswith(r"t # heading \| \<b\>")
    assert r"Note: \[link\](http://example.org) - item" in text
    assert r"!\[x\](y)" in text
    assert "robench 'x' # heading" in text
    assert not any(line.startswith(("# heading", "- item")) for line in text.splitlines())


def test_published_rows_stand_beside_the_models() -> None:
    from test_own import made

    mine, other = made("mine_1", 0.11), made("other", 0.2)
    page = render_html([mine], {})
    section = page[page.index('id="published"') : page.index('id="protocol"')]
    assert re.findall(r'<tr class="own"><th scope="row">(.*?)</th><td>(.*?)</td>', section)[0] == (
        "mine_1",
        "11.00 (10.00 to 12.00)",
    )
    names = re.findall(r'<th scope="row">(.*?)</th>', section[: section.index("<details>")])
    assert len(names) == 11  # five on either side
    assert names.index("mine_1") == 5
    assert "Hendrycks2020AugMix_WRN" in names
    text = render_markdown([mine, other], {})
    assert "| WideResNet, AugMix | 11.2 | 4.9 | AugMix, Tables 1, 4, 6 |" in text
    assert "| **other** | 20.00 (19.00 to 21.00)" in text
    part = made("part", 0.2, complete=False)
    generated = made("generated", 0.2, source="generated")
    for one in (part, generated):
        assert 'id="published"' not in render_html([one], {})


def test_a_row_without_the_leading_value_stands_last_where_higher_is_better() -> None:
    from measured_results import measured

    from robench.tables.own import Cell, Line
    from robench.tables.own_published import Published
    from robench.tables.report_rows import published_table

    def published(results: object, columns: object) -> Published:
        return Published((Line("theirs", "a paper", (Cell(Value(value=0.6)),), published=True),))

    first, second = (measured({}, "dfr", 0.1, model_hash=name) for name in "ab")
    first.summary, second.summary = {"mean_ood_weighted_pr_auc": Value(value=0.5)}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("robench.tables.own_published.published_lines", published)
        found = published_table([first, second])
    assert found is not None
    assert [texts[0] for _, _, texts, _ in found.rows] == ["60.00", "50.00", "–"]
