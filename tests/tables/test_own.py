"""Tables of the user's models: columns, marks, published rows, and every form."""

import csv
import io
import re
import statistics

import pytest
from measured_results import measured

import robench
from robench.results.comparing_many import ManyComparison, Pair, Ranked, ValueComparison
from robench.results.schema import CellResult, Value
from robench.suites import get
from robench.tables.living import robustbench, timm
from robench.tables.own import own_table, with_rows
from robench.tables.own_forms import FORMS, render
from robench.tables.own_published import published_lines


def values(**given):
    return {name: Value(value=v, low=v - w, high=v + w) for name, (v, w) in given.items()}


def made(model_name, error, width=0.01, *, card=None, images=10_000, **changes):
    result = measured(card or {}, "cifar10-c", error)
    summary = values(mean_error=(error, width), clean_error=(error / 2, width))
    model = result.model.model_copy(update={"name": model_name, "hash": f"sha256:{model_name}"})
    suite = result.suite.model_copy(update={"name": "cifar10-c", "source": "published", "complete": True} | changes)
    severities = {str(s): values(error=(error + s / 100, width)) for s in range(6)}
    conditions = {name: values(error=(error + k / 100, width)) for k, name in enumerate(("clean", "fog", "snow"))}
    cells = [CellResult(name="clean", condition="clean", severity=0, images=images, metrics={})]
    update = {"summary": summary, "model": model, "suite": suite, "severities": severities, "conditions": conditions}
    update["cells"] = cells
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
        ("severity", ["Clean", *(f"Severity {s}" for s in range(1, 6)), "Mean"]),
        ("corruption", ["Clean", "Snow", "Fog", "Mean"]),
        ("group", ["Clean", "Weather", "Mean"]),
    ],
)
def test_columns_by(two, by, heads):
    table = own_table(two, by=by)
    assert [column.head for column in table.columns] == heads
    if by == "group":
        assert table.lines[0].cells[1].value.value == pytest.approx(0.215)  # fog .21, snow .22
        assert table.lines[0].cells[1].value.low is None


def test_the_mean_of_a_group_has_the_interval_of_the_summary(two):
    known = [one.model_copy(update={"summary": one.summary | values(mean_error_weather=(0.21, 0.02))}) for one in two]
    assert own_table(known, by="group").lines[0].cells[1].value.low == pytest.approx(0.19)


def test_the_mean_of_a_group_is_the_one_of_its_metric(two):
    """Of debiased RMS errors squares are averaged, with their signs, as in the column of the mean."""
    name = "rms_calibration_error_debiased"
    known = {"fog": 0.12, "snow": -0.02}
    conditions = {key: values(**{name: (value, 0.01)}) for key, value in known.items()}
    result = two[0].model_copy(update={"conditions": conditions})
    column = next(c for c in own_table([result], by="group", figures=[name]).columns if c.head == "Weather")
    found = own_table([result], by="group", figures=[name])
    cell = found.lines[0].cells[found.columns.index(column)]
    assert cell.value.value == pytest.approx(((0.12**2 - 0.02**2) / 2) ** 0.5)


def test_intervals_of_a_sample_are_not_called_a_bootstrap(two):
    from robench.results.exports import every_eval_ever
    from robench.results.schema import SampledRecord
    from robench.tables.report_rows import protocol_table

    suite = two[0].suite.model_copy(update={"sampled": SampledRecord(passes=10, of=100), "complete": False})
    sampled = two[0].model_copy(update={"suite": suite})
    assert "1,000 resamples" in dict(protocol_table(two))["Intervals"]
    said = dict(protocol_table([sampled]))["Intervals"]
    assert said.startswith("95 %, standard errors of the sample")
    assert "resamples" not in said
    for one, bootstrap in ((two[0], True), (sampled, False)):
        record = every_eval_ever(one, "laboratory")["evaluation_results"][0]["score_details"]["uncertainty"]
        assert ("bootstrap" in record["confidence_interval"]["method"]) is bootstrap
        assert ("num_bootstrap_samples" in record) is bootstrap


def test_corruption_errors_are_normalised_as_mce_is(imagenet):
    table = own_table(imagenet, by="corruption", figures=["ce"])
    assert [column.head for column in table.columns[:4]] == [
        "Clean error",
        "Gaussian noise",
        "Shot noise",
        "Impulse noise",
    ]
    assert table.columns[-1].head == "mCE"
    fog = [column.head for column in table.columns].index("Fog")
    value = table.lines[0].cells[fog].value
    assert value.value == pytest.approx(0.4 / 0.819324, rel=1e-6)  # AlexNet's mean error under fog
    assert (value.low, value.high) == pytest.approx((0.39 / 0.819324, 0.41 / 0.819324))
    rows = published_lines(imagenet, table.columns)
    printed = robench.tables.published.load_table("augmix/2")
    augmix = next(line for line in rows.lines if line.label == "AugMix")
    row = printed.labels().index("AugMix")
    assert augmix.cells[fog].value.value == pytest.approx(printed.number(row, "fog") / 100)
    assert augmix.cells[-1].value.value == pytest.approx(printed.number(row, "mce") / 100)
    assert all(line.group != "RobustBench" for line in rows.lines)
    assert any("5,000 images" in note for note in rows.notes)
    with pytest.raises(robench.RobenchError, match="single corruptions"):
        own_table(imagenet, by="severity", figures=["ce"])


def test_rows_of_one_architecture_or_method_stand_together():
    def trained(name, arch, recipe):
        return made(name, 0.2, card={"architecture": arch, "recipe": recipe})

    models = [
        trained("a", "wrn-40-2", "augmix-cifar10-wrn40-2"),
        trained("b", "resnet18", "cutout-cifar10-resnet18"),
        trained("c", "wrn-40-2", "cutout-cifar10-wrn40-2"),
        made("d", 0.4),
    ]
    table = own_table(models, group_rows="architecture")
    assert [(line.group, line.label) for line in table.lines] == [
        ("wrn-40-2", "a"),
        ("wrn-40-2", "c"),
        ("resnet18", "b"),
        ("architecture not known", "d"),
    ]
    assert [line.group for line in own_table(models, group_rows="method").lines][:3] == ["augmix", "cutout", "cutout"]
    lines = render(table, "markdown").splitlines()
    assert lines.index("| *resnet18* | | |") == lines.index(next(one for one in lines if one.startswith("| b"))) - 1


def test_seeds_are_one_row_with_their_standard_deviation():
    def seed(k, error, digest="x"):
        card = {"recipe": "augmix-cifar10-wrn40-2", "recipe_digest": digest, "trained_with": {"seed": k}}
        return made(f"s{k}", error, card=card)

    table = own_table([seed(1, 0.1), seed(2, 0.12), seed(3, 0.17), seed(1, 0.3, "y")], seeds=True)
    first, other = (line.cells[0] for line in table.lines)
    numbers = [0.1, 0.12, 0.17]
    assert first.value.value == pytest.approx(statistics.mean(numbers))
    assert first.sd == pytest.approx(statistics.stdev(numbers))
    assert (other.value.value, other.sd) == (0.3, None)
    assert table.lines[0].label == "augmix-cifar10-wrn40-2, 3 seeds"
    assert "13.00 ± 3.61" in render(table, "markdown")
    with pytest.raises(robench.RobenchError, match="of one training"):
        own_table([seed(1, 0.1), seed(1, 0.2)], seeds=True)


@pytest.mark.parametrize(
    ("mine", "yours", "names"),
    [
        ({}, {"tta": "flip"}, ["r, 2 seeds", "r (tta=flip), 2 seeds"]),
        ({}, {"bn": "mean", "lambda": 0.5}, ["r, 2 seeds", "r (bn=mean), 2 seeds"]),
        (
            {"bn": "mean", "lambda": 0.3},
            {"bn": "mean", "lambda": 0.5},
            ["r (bn=mean, lambda=0.3), 2 seeds", "r (bn=mean), 2 seeds"],
        ),
        (
            {"bn": "batch", "adapted": {"batch_size": 64}},
            {"bn": "batch", "adapted": {"batch_size": 128}},
            ["r (bn=batch, batch=64), 2 seeds", "r (bn=batch, batch=128), 2 seeds"],
        ),
    ],
)
def test_models_that_answer_in_other_ways_are_not_seeds_of_each_other(mine, yours, names):
    def seed(k, error, how):
        card = {"recipe": "r", "recipe_digest": "x", "trained_with": {"seed": k}} | how
        return made(f"s{k}{how}", error, card=card)

    given = [seed(1, 0.1, mine), seed(2, 0.2, mine), seed(1, 0.3, yours), seed(2, 0.4, yours)]
    table = own_table(given, seeds=True)
    assert [line.label for line in table.lines] == names
    assert [line.cells[0].value.value for line in table.lines] == pytest.approx([0.15, 0.35])
    assert len(own_table([given[0], given[3]], seeds=True).lines) == 2


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
    assert "partial run: cells or images are missing" in text


def test_results_on_other_images_are_said_to_differ_though_nothing_is_marked(two):
    frost = made("b", 0.3, protocol={"frost": "original"})
    for by in (None, "severity", "corruption"):
        table = own_table([two[0], frost], by=by)
        assert not any(cell.best for line in table.lines for cell in line.cells)
        assert "The results differ in frost: their values are not to be compared" in render(table, "latex")


def test_corruptions_of_the_same_cells_are_marked_where_others_are_missing(two):
    def part(result, *names, complete=False):
        cells = [CellResult(name=n, condition=n.split("/")[0], severity=n[-1], images=9, metrics={}) for n in names]
        return result.model_copy(
            update={"cells": cells, "suite": result.suite.model_copy(update={"complete": complete})}
        )

    runs = [part(two[0], "fog/1", "fog/2", "snow/1", complete=True), part(two[1], "fog/1", "fog/2", "snow/2")]
    table = own_table(runs, by="corruption")
    best = {column.head: table.lines[0].cells[i].best for i, column in enumerate(table.columns)}
    assert best == {"Clean": True, "Snow": False, "Fog": True, "Mean": False}
    assert not any(cell.best for line in own_table(runs, by="severity").lines for cell in line.cells)
    assert any("means over them are not to be compared" in note for note in table.notes)


def test_seeds_of_other_cells_or_images_have_no_mean():
    card = {"recipe": "r", "recipe_digest": "x"}
    first, *others = (
        made(f"s{k}", 0.1 * k, card=card | {"trained_with": {"seed": k}}, **changes)
        for k, changes in enumerate([{}, {"complete": False}, {"protocol": {"seed": 3}}], 1)
    )
    for other, word in zip(others, ("cells", "seed"), strict=True):
        with pytest.raises(robench.RobenchError, match=f"s1, {other.model.name}.* differ in {word}"):
            own_table([first, other], seeds=True)


def test_a_form_says_of_intervals_what_it_shows(two):
    ends = Value(value=0.2, low=0.19, high=0.21, full_run_low=0.195, full_run_high=0.205)
    sampled = two[0].model_copy(update={"summary": {"mean_error": ends, "clean_error": ends}})
    table = own_table([sampled])
    assert "two intervals" in render(table, "markdown")
    text = render(table, "latex")
    assert "[19.00, 21.00]" in text
    assert "two intervals" not in text
    assert "Intervals of a sample are for new images" in text
    line = next(csv.DictReader(io.StringIO(render(table, "csv"))))
    assert (line["full_run_low"], line["full_run_high"]) == ("0.195", "0.205")
    names = ("clean", *get("cifar10-c").benchmark)
    many = [
        made(f"m{k}", 0.2).model_copy(update={"conditions": {n: values(error=(0.2, 0.01)) for n in names}})
        for k in range(6)
    ]
    wide = own_table(many, by="corruption")
    assert "with 95 % confidence intervals" in render(wide, "markdown")
    text = render(wide, "latex")
    assert "[" not in text.partition("\\midrule")[2]
    assert "interval" not in text
    bare = two[0].model_copy(update={"summary": {"mean_error": Value(value=0.2)}})
    assert "interval" not in own_table([bare]).caption


@pytest.mark.parametrize(("field", "other"), [("source", "generated"), ("dataset", "cifar10-jpeg"), ("version", "2")])
def test_one_table_is_of_one_protocol(two, field, other):
    last = two[0].model_copy(deep=True)
    setattr(last.suite, field, other)
    with pytest.raises(robench.RobenchError, match=other):
        own_table([two[0], last])


def test_one_table_is_of_sequences_of_one_difficulty(two):
    last = two[0].model_copy(deep=True)
    last.suite.protocol = {**last.suite.protocol, "difficulty": 2}
    with pytest.raises(robench.RobenchError, match="difficulty 2"):
        own_table([two[0], last])


def test_the_caption_names_a_copy_of_the_data(two):
    copy = two[0].model_copy(deep=True)
    copy.suite.dataset = "cifar10-jpeg"
    assert "published images of cifar10-jpeg" in own_table([copy]).caption
    assert " of cifar10" not in own_table([two[0]]).caption


def test_published_rows_of_the_same_protocol(two):
    found = published_lines(two, own_table(two).columns)
    groups = dict.fromkeys(line.group for line in found.lines)
    assert list(groups) == ["AugMix, Tables 1, 4, 6", "AugMax, Tables 2, 8, 9", "Split BatchNorms, Tables 2, 5", BENCH]
    augmix = next(line for line in found.lines if line.label == "WideResNet, Standard")
    errors = robench.tables.published.load_table("augmix/1").number(2, "standard")
    clean = robench.tables.published.load_table("augmix/6").number(2, "standard")
    assert [cell.value.value for cell in augmix.cells] == pytest.approx([errors / 100, clean / 100])
    assert augmix.published
    text = render(with_rows(own_table(two), found.lines, found.notes), "markdown")
    assert "| WideResNet, Standard | 26.9 | 5.2 |" in text  # with the decimals that the paper prints
    assert "AugMix: Hendrycks et al.: AugMix, ICLR 2020" in text


BENCH = "RobustBench (2025-03-31)"


def test_published_rows_by_severity_corruption_and_group(two):
    cells = robustbench("cifar10-c")
    name = "Hendrycks2020AugMix_WRN"
    wanted = {
        "severity": [1 - cells.clean[name], *(cells.error_at(name, s) for s in range(1, 6)), cells.mean_error(name)],
        "corruption": [1 - cells.clean[name], *(cells.mean_error(name, c) for c in ("snow", "fog", None))],
        "group": [
            1 - cells.clean[name],
            sum(cells.mean_error(name, c) for c in ("snow", "fog")) / 2,
            cells.mean_error(name),
        ],
    }  # fmt: skip
    for by, numbers in wanted.items():
        found = published_lines(two, own_table(two, by=by).columns, ["robustbench"])
        line = next(line for line in found.lines if line.label == name)
        assert [cell.value.value for cell in line.cells] == pytest.approx(numbers)


def test_every_published_row_is_a_model_and_every_value_possible(two, imagenet):
    for results in (two, imagenet):
        for figures in ((), ("clean_error",)):
            table = own_table(results, figures=figures)
            for line in published_lines(results, table.columns).lines:
                assert not any(word in line.label for word in ("Gain", "± SD", "Mean", "SA, ", "RA, ")), line.label
                for cell, column in zip(line.cells, table.columns, strict=True):
                    low, high = column.about.range
                    assert cell.value is None or low < cell.value.value < min(high, 1.5)
                    assert cell.value is None or column.key != "clean_error" or cell.value.value < 0.5


def test_timms_rows_are_those_of_the_architecture_and_the_best():
    summary = values(error=(0.6, 0.01), matching_error=(0.2, 0.01), gap_error=(0.4, 0.01))
    result = made("mine", 0.6, card={"architecture": "resnet50"}, images=30_000)
    suite = result.suite.model_copy(update={"name": "imagenet-r"})
    conditions = {"imagenet-200": values(error=(0.2, 0.01)), "imagenet-r": values(error=(0.6, 0.01))}
    result = result.model_copy(update={"suite": suite, "summary": summary, "conditions": conditions})
    found = published_lines([result], own_table([result]).columns)
    _, rows = timm()
    of_timm = [line for line in found.lines if line.group.startswith("timm")]
    same = [line for line in of_timm if line.label.startswith("resnet50.")]
    assert len(same) == 12
    assert len(of_timm) == 15
    line = same[0]
    model, _, size = line.label.rpartition(" at ")
    row = next(one for one in rows if one["model"] == model and one["image_size"] == size)
    shown = dict(zip([column.key for column in own_table([result]).columns], line.cells, strict=True))
    assert shown["error"].value.value == pytest.approx(1 - row["imagenet-r"])
    assert shown["matching_error"].value.value == pytest.approx(1 - row["imagenet-r-clean"])
    every = [one for one in rows if one["model"].startswith("resnet50.") and one["imagenet-r"] is not None]
    assert any(f"shown are the first 12, by name, of the {len(every)} of" in note for note in found.notes)
    papers = next(line for line in found.lines if line.group.startswith("Many Faces") and line.label == "ResNet-50")
    printed = robench.tables.published.load_table("many-faces/1")
    wanted = [printed.number(0, c) / 100 for c in ("imagenet-r", "imagenet-200", "gap")]
    assert [papers.cells[k].value.value for k in range(3)] == pytest.approx(wanted)
    only = published_lines([result], own_table([result]).columns, ["timm"])
    assert {line.group for line in only.lines} == {of_timm[0].group}


def test_timm_publishes_imagenet_real():
    """The column is theirs of any right label, not that of ImageNet's own labels; there is no clean set beside it."""
    suite = get("imagenet-real")
    result = made("mine", 0.2, card={"architecture": "resnet50"}, images=suite.images)
    record = result.suite.model_copy(update={"name": "imagenet-real"})
    alone = {"imagenet-real": values(error=(0.2, 0.01))}
    update = {"suite": record, "summary": values(error=(0.2, 0.01)), "conditions": alone, "severities": {}}
    result = result.model_copy(update=update)
    line = published_lines([result], own_table([result], figures=["error"]).columns).lines[0]
    model, _, size = line.label.rpartition(" at ")
    row = next(one for one in timm()[1] if (one["model"], one["image_size"]) == (model, size))
    assert line.cells[0].value.value == pytest.approx(1 - row["imagenet-real"])
    assert row["imagenet-real"] > row["imagenet"]  # more answers are right
    assert robench.rank(result).rank == 1 + sum(1 - (one["imagenet-real"] or 0) < 0.2 for one in timm()[1])


def test_a_published_accuracy_is_shown_as_the_error_that_it_is(two):
    printed = robench.tables.published.load_table("augmax/2")
    accuracies = {
        round(1 - printed.number(i, c) / 100, 9)
        for i in range(len(printed.rows))
        for c in ("normal", "augmix", "augmax")
        if printed.meaning(i, c).metric == "1-mean_error"
    }
    lines = published_lines(two, own_table(two, figures=["mean_error"]).columns).lines
    shown = {round(line.cells[0].value.value, 9) for line in lines if line.group.startswith("AugMax")}
    assert len(accuracies) == 9
    assert shown >= accuracies


def test_published_rows_are_refused_beside_generated_images():
    result = made("a", 0.2, source="generated")
    with pytest.raises(robench.RobenchError, match="published files"):
        published_lines([result], own_table([result]).columns)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"complete": False}, "a part of cifar10-c"),
        ({"version": 99}, "version 99"),
        ({"name": "cifar10.1"}, "No published row"),
    ],
)
def test_published_rows_are_refused_beside_another_protocol(change, said):
    result = made("a", 0.2, **change)
    with pytest.raises(robench.RobenchError, match=said):
        published_lines([result], own_table([result]).columns)


def test_files_of_another_size_have_no_published_rows():
    result = made("a", 0.2, images=20)
    with pytest.raises(robench.RobenchError, match="No published row"):
        published_lines([result], own_table([result]).columns)


@pytest.fixture
def imagenet():
    def one(name, error):
        conditions = {c: values(error=(error, 0.01)) for c in ("clean", *get("imagenet-c").benchmark)}
        result = made(name, error, name="imagenet-c", normaliser="alexnet", images=50_000)
        summary = values(mce=(error + 0.1, 0.01), clean_error=(0.23, 0.01))
        return result.model_copy(update={"conditions": conditions, "summary": summary})

    return [one("a_1", 0.4), one("b", 0.5)]


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


def test_in_a_pipe_a_star_stands_for_bold(two):
    text = render(own_table(two), "terminal")
    (line,) = (line for line in text.splitlines() if "20.00" in line)
    assert line.count(" to ") == 2
    assert " *" in line
    assert "\n*: " in text
    assert "Bold" not in text


def test_csv_has_stored_numbers_in_fields(two):
    rows = list(csv.DictReader(io.StringIO(render(own_table(two), "csv"))))
    assert len(rows) == 4
    assert float(rows[0]["value"]) == 0.2
    assert rows[0]["best"] == "true"
    of = two[0].suite
    assert {(one["suite"], one["images"]) for one in rows} == {(of.name, of.source)}
    assert of.source in ("published", "generated")


def test_html_escapes_names(two):
    text = render(own_table([made("<b>&", 0.2), two[1]]), "html")
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;" in text


def test_options_that_would_be_ignored_are_refused():
    with pytest.raises(robench.RobenchError, match="`by` has no effect"):
        robench.api.table("augmix/2", by="severity")
    for words in ({"seeds": True}, {"group_rows": "method"}, {"sources": "timm"}):
        with pytest.raises(robench.RobenchError, match="has no effect without `runs`"):
            robench.api.table("augmix/2", **words)
    with pytest.raises(robench.RobenchError, match="runs"):
        robench.api.table("augmix/2", runs=["x"])
    with pytest.raises(robench.RobenchError, match="without `with_published`"):
        robench.api.own_table([made("a", 0.2)], sources="timm")
    with pytest.raises(robench.RobenchError, match="tim'"):
        robench.api.own_table([made("a", 0.2)], sources="tim", with_published=True)
    with pytest.raises(robench.RobenchError, match="architecture"):
        robench.api.own_table([made("a", 0.2)], group_rows="net")
