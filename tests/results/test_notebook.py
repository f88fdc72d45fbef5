"""What a notebook shows: one line, the terminal's table, data frames and plots of a result."""

import sys

import pytest

import robench
from robench.catalogue import row
from robench.results.labels import show


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    words = {"corruption": "fog", "limit": 40, "device": "cpu", "resamples": 20, "quiet": True}
    return [
        robench.evaluate(f"reference:digits/{name}", "digits-c", out=folder / name, **words) and folder / name
        for name in ("standard", "augmix")
    ]


@pytest.fixture(scope="module")
def result(runs):
    return robench.load(runs[0])


def test_a_result_is_one_short_line(result):
    text = repr(result)
    assert len(text) < 200
    assert "\n" not in text
    assert "'standard' on digits-c" in text
    assert "(generated images, 6 cells, partial: 6 of 76 cells, sampled: 240 of" in text
    assert show(result.summary["mean_error"], "mean_error") in text


def test_html_has_every_value_of_the_terminal_and_escapes_names(result):
    named = result.model_copy(update={"model": result.model.model_copy(update={"name": "<script>x</script>"})})
    text = named._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    for name in ("mean_error", "clean_error"):
        assert row(name).head in text
        assert show(result.summary[name], name, interval=True) in text
    assert all(note.split("'")[0] in text for note in result.notes)


def test_tables_name_a_copy_of_the_data(result, capsys):
    from robench.cli.common import print_summary

    copy = result.model_copy(deep=True)
    copy.suite.dataset = "digits-jpeg"
    print_summary([copy])
    for text in (repr(copy), copy._repr_html_(), capsys.readouterr().out):
        assert "generated images of digits-jpeg" in text


def test_cells_as_a_long_frame_and_summary_as_a_wide_one(result):
    pytest.importorskip("pandas")
    frame = result.to_frame()
    assert len(frame) == sum(len(cell.metrics) for cell in result.cells)
    chosen = frame[(frame.cell == "fog/3") & (frame.metric == "error")].iloc[0]
    assert (chosen.severity, chosen.images) == (3, 40)
    assert chosen.value == next(c for c in result.cells if c.name == "fog/3").metrics["error"].value
    wide = result.to_frame("summary")
    assert len(wide) == 1
    assert (wide.source[0], wide.dataset[0]) == ("generated", "digits")
    assert wide.mean_error[0] == result.summary["mean_error"].value
    assert wide.mean_error_low[0] < wide.mean_error[0] < wide.mean_error_high[0]
    with pytest.raises(robench.RobenchError, match="shape"):
        result.to_frame("wide")


def test_predictions_as_a_frame(runs):
    pytest.importorskip("pandas")
    from robench.predictions import RunFolder

    cell = RunFolder.open(runs[0]).read("fog/3")
    frame = cell.to_frame()
    assert len(frame) == 40
    assert list(frame["index"]) == list(cell.index)
    assert (frame.target != frame.predicted).mean() == 1 - cell.correct.mean()
    assert len(frame.top5[0]) == 5
    assert "40 images" in repr(cell)
    assert len(repr(cell)) < 400


def test_without_pandas_the_message_says_what_to_install(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(robench.RobenchError, match="pandas") as caught:
        result.to_frame()
    assert caught.value.hint == "pip install pandas"


def test_plots_are_methods_that_return_figures(result, runs):
    assert "severity" in dir(result.plot)
    assert "fourier" not in dir(result.plot)
    assert len(result.plot.severity().axes) == 1  # of so few images there is no RMS error
    one = result.plot.severity(metric="brier")
    two = result.plot.severity(robench.load(runs[1]), metrics=("brier",))
    assert len(one.axes) == len(two.axes) == 1
    with pytest.raises(AttributeError, match="There is no plot"):
        result.plot.severe()


def test_a_comparison_is_a_short_line_and_a_table(runs):
    found = robench.compare(runs[0], runs[1], resamples=100)
    assert "'standard' and 'augmix' on digits-c" in repr(found)
    assert len(repr(found)) < 200
    assert "<table>" in found._repr_html_()
    assert row("mean_error").head in found._repr_html_()


def test_a_result_stands_for_its_run(runs, result, tmp_path):
    other = robench.load(runs[1])
    found = robench.compare(result, other, resamples=100)
    assert found == robench.compare(runs[0], runs[1], resamples=100)
    assert robench.calibrate(result, resamples=0, out=tmp_path / "c.json").temperature > 0
    assert result.folder == runs[0]
    assert "folder" not in result.model_dump_json()
    robench.report([result, other], out=tmp_path / "page.html")
    assert "statistically significant" in (tmp_path / "page.html").read_text(encoding="utf-8")
    (tmp_path / "result.json").write_text(result.model_dump_json())
    alone = robench.load(tmp_path / "result.json")
    assert alone == result  # wherever it lies
    with pytest.raises(robench.RobenchError, match=r"`runs` is a result without its run"):
        robench.compare(alone, other)


def test_a_run_is_a_short_line(runs):
    from robench.predictions import RunFolder

    assert repr(RunFolder.open(runs[0])).endswith("'standard' on digits-c, 6 of 6 cells>")


def test_tables_and_figures_are_at_the_top(runs, result):
    assert "| standard" in robench.table(runs=[result], format="markdown", figures="mean_error")
    assert {"table", "figure", "rank", "export", "metrics"} <= set(dir(robench))
