"""Tables of the user's models: columns, marks, published rows, and every form."""

import csv
import io
import re

import pytest
from measured_results import measured

import robench
from robench.results.comparing_many import ManyComparison, Pair, Ranked, ValueComparison
from robench.results.schema import Value
from robench.tables.own import own_table
from robench.tables.own_forms import FORMS, render
from robench.tables.own_published import published_lines


def values(**given):
    return {name: Value(value=v, low=v - w, high=v + w) for name, (v, w) in given.items()}


def made(name, error, width=0.01, **changes):
    result = measured({}, "cifar10-c", error)
    summary = values(mean_error=(error, width), clean_error=(error / 2, width))
    model = result.model.model_copy(update={"name": name, "hash": f"sha256:{name}"})
    suite = result.suite.model_copy(update={"name": "cifar10-c", "source": "published", "complete": True} | changes)
    severities = {str(s): values(error=(error + s / 100, width)) for s in range(6)}
    conditions = {name: values(error=(error + k / 100, width)) for k, name in enumerate(("clean", "fog", "snow"))}
    update = {"summary": summary, "model": model, "suite": suite, "severities": severities, "conditions": conditions}
    return result.model_copy(update=update)


@pytest.fixture
def two():
    return [made("a_1", 0.2), made("b", 0.3)]


def test_a_row_per_model_and_a_column_per_main_value(two):
    table = own_table(two)
    assert [line.label for line in table.lines] == ["a_1", "b"]
    assert [column.key for column in table.columns] == ["mean_error", "clean_error"]
    assert table.lines[0].cells[0].value == two[0].summary["mean_error"]


def test_chosen_columns_keep_their_order(two):
    assert [c.key for c in own_table(two, figures=["clean_error", "mean_error"]).columns] == [
        "clean_error",
        "mean_error",
    ]
    with pytest.raises(robench.RobenchError, match="mean_eror"):
        own_table(two, figures=["mean_eror"])


@pytest.mark.parametrize(
    ("by", "heads"),
    [
        ("severity", ["Clean", *(f"Severity {s}" for s in range(1, 6))]),
        ("corruption", ["Clean", "Fog", "Snow"]),
        ("group", ["Clean", "Weather"]),
    ],
)
def test_columns_by(two, by, heads):
    table = own_table(two, by=by)
    assert [column.head for column in table.columns] == heads
    if by == "group":
        assert table.lines[0].cells[1].value.value == pytest.approx(0.215)  # fog .21, snow .22
        assert table.lines[0].cells[1].value.low is None


def test_best_without_predictions_is_an_interval_apart_from_all(two):
    assert [line.cells[0].best for line in own_table(two).lines] == [True, False]
    near = [made("a", 0.2, 0.06), made("b", 0.3, 0.06)]
    assert not any(line.cells[0].best for line in own_table(near).lines)


def test_best_of_runs_is_by_paired_simultaneous_intervals():
    near = [made("a", 0.2, 0.06), made("b", 0.3, 0.06)]  # intervals overlap, the pair is apart
    ranked = {n: Ranked(value=v, best_rank=k, worst_rank=k) for k, (n, v) in enumerate([("a", 0.2), ("b", 0.3)], 1)}
    pair = Pair(a="b", b="a", difference=0.1, low=0.05, high=0.15, significant=True, verdict="worse")
    found = ValueComparison(runs=ranked, pairs=[pair], critical=2.0)
    many = ManyComparison(
        runs=["a", "b"], suite="cifar10-c", images=9, resamples=100, values={"mean_error": found}, sentences=[]
    )
    table = own_table(near, comparison=many)
    assert [line.cells[0].best for line in table.lines] == [True, False]
    assert not any(line.cells[1].best for line in table.lines)  # not compared, so not marked
    assert "simultaneous" in table.tested


def test_samples_and_parts_are_marked():
    part = made("b", 0.3, complete=False)
    text = render(own_table([made("a", 0.2), part]), "markdown")
    assert "b°" in text
    assert "only a part of the suite" in text


def test_one_table_is_of_one_suite_and_source(two):
    with pytest.raises(robench.RobenchError, match="generated"):
        own_table([two[0], made("c", 0.1, source="generated")])


def test_published_rows_of_the_same_protocol(two):
    columns = own_table(two).columns
    lines = published_lines(two[0], columns, None)
    groups = {line.group for line in lines}
    assert "RobustBench" in groups
    augmix = next(
        line for line in lines if "AugMix" in line.group and "WideResNet" in line.label and "Standard" in line.label
    )
    printed = robench.tables.published.load_table("augmix/1")
    row = next(
        i for i, label in enumerate(printed.labels()) if "WideResNet" in label and label.startswith("CIFAR-10-C")
    )
    standard = next(c for c, axis in printed.columns.items() if axis.title == "Standard")
    assert augmix.cells[0].value.value == pytest.approx(printed.number(row, standard) / 100)


def test_a_published_accuracy_is_shown_as_the_error_that_it_is(two):
    printed = robench.tables.published.load_table("augmax/2")
    accuracies = {
        round(1 - printed.number(i, c) / 100, 9)
        for i in range(len(printed.rows))
        for c in printed.columns
        if printed.meaning(i, c).metric == "1-mean_error"
        and printed.meaning(i, c).minus is None
        and printed.number(i, c) is not None
    }
    lines = published_lines(two[0], own_table(two, figures=["mean_error"]).columns, None)
    shown = {round(line.cells[0].value.value, 9) for line in lines if line.group == printed.source}
    assert shown
    assert shown == accuracies


def test_published_rows_are_refused_beside_generated_images():
    result = made("a", 0.2, source="generated")
    with pytest.raises(robench.RobenchError, match="published files"):
        published_lines(result, own_table([result]).columns, None)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_every_number(two, form):
    text = render(own_table(two), form)
    for wanted in ("20.00", "30.00", "10.00", "15.00") if form != "csv" else ("0.2", "0.3", "0.1", "0.15"):
        assert wanted in text
    assert ("a\\_1" if form == "latex" else "a_1") in text


def test_latex_is_balanced_and_escaped(two):
    text = render(own_table([made("50%_&{x}#~^\\", 0.2), two[1]]), "latex")
    body = text[text.index("\\toprule") : text.index("\\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {2}
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"(?<!\\)[%#]", body)
    assert "\\textbf{20.00}" in text


def test_csv_has_stored_numbers_in_fields(two):
    rows = list(csv.DictReader(io.StringIO(render(own_table(two), "csv"))))
    assert len(rows) == 4
    assert float(rows[0]["value"]) == 0.2
    assert rows[0]["best"] == "true"


def test_html_escapes_names(two):
    text = render(own_table([made("<b>&", 0.2), two[1]]), "html")
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text


def test_options_that_would_be_ignored_are_refused():
    with pytest.raises(robench.RobenchError, match="`by` has no effect"):
        robench.api.table("augmix/2", by="severity")
    with pytest.raises(robench.RobenchError, match="runs"):
        robench.api.table("augmix/2", runs=["x"])
