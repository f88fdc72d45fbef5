"""Results for others: Hugging Face's two formats by its own library, Every Eval Ever by its fields, CSV."""

import csv
import io
import json

import pytest
import yaml

import robench

WORDS = {"corruption": "fog", "limit": 40, "device": "cpu", "resamples": 20, "quiet": True}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return robench.evaluate("reference:digits/standard", "digits-c", out=tmp_path_factory.mktemp("run"), **WORDS)


def test_a_model_card_reads_back_in_hugging_faces_library(result):
    hub = pytest.importorskip("huggingface_hub")
    text = robench.export(result)
    card = hub.ModelCard(f"---\n{text}---\n# Model\n")
    found = {one.metric_type: one for one in card.data.eval_results}
    assert found["mean_error"].metric_value == pytest.approx(100 * result.summary["mean_error"].value, abs=0.005)
    assert found["mean_error"].dataset_type == "digits-c"
    assert found["mean_error"].task_type == "image-classification"
    assert found["mean_error"].metric_args["low"] == pytest.approx(100 * result.summary["mean_error"].low, abs=0.005)
    assert "sampled" in found["mean_error"].dataset_args


def test_eval_results_reads_back_in_hugging_faces_library(result, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    if not hasattr(hub, "parse_eval_result_entries"):
        pytest.skip("this huggingface_hub does not know .eval_results")
    file = tmp_path / "digits.yaml"
    robench.export(result, "eval-results", dataset="owner/digits-c", out=file)
    (entry,) = hub.parse_eval_result_entries(yaml.safe_load(file.read_text()))
    assert (entry.dataset_id, entry.task_id) == ("owner/digits-c", "digits-c")
    assert entry.value == pytest.approx(100 * result.summary["mean_error"].value, abs=0.005)
    assert "sampled" in entry.notes


def test_every_eval_ever_has_what_its_schema_requires(result):
    record = json.loads(robench.export(result, "every-eval-ever", organisation="A laboratory"))
    assert set(record) >= {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info"}
    assert record["model_info"]["id"] == "A-laboratory/standard"  # names the folder where the record is filed
    assert record["model_info"]["additional_details"]["hash"] == result.model.hash
    by_another = json.loads(robench.export(result, "every-eval-ever", organisation="A", developer="Ø & co"))
    assert by_another["model_info"]["id"] == "co/standard"
    assert by_another["model_info"]["developer"] == "Ø & co"
    assert record["eval_library"] == {"name": "robench", "version": robench.__version__}
    by_id = {one["metric_config"]["metric_id"]: one for one in record["evaluation_results"]}
    error = by_id["robench.mean_error"]
    assert error["score_details"]["score"] == result.summary["mean_error"].value
    interval = error["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"]) == (
        result.summary["mean_error"].low,
        result.summary["mean_error"].high,
    )
    assert error["metric_config"]["lower_is_better"] is True
    details = [error["score_details"]["details"], record["model_info"]["additional_details"]]
    assert all(isinstance(value, str) for one in details for value in one.values())


def test_csv_has_a_line_per_cell_and_metric(result):
    rows = list(csv.DictReader(io.StringIO(robench.export(result, "csv"))))
    assert len(rows) == sum(len(cell.metrics) for cell in result.cells)
    chosen = next(row for row in rows if (row["cell"], row["metric"]) == ("fog/3", "error"))
    stored = next(cell for cell in result.cells if cell.name == "fog/3").metrics["error"].value
    assert float(chosen["value"]) == stored


def test_every_format_says_what_part_is_measured_and_on_which_images(result):
    copy = result.model_copy(deep=True)
    copy.suite.dataset = "digits-jpeg"
    about = yaml.safe_load(robench.export(copy))["model-index"][0]["results"][0]["dataset"]["args"]
    assert (about["partial"], about["dataset"], about["source"]) == ("6 of 76 cells", "digits-jpeg", "generated")
    (entry,) = yaml.safe_load(robench.export(copy, "eval-results", dataset="owner/digits-c"))
    assert "generated images of digits-jpeg" in entry["notes"]
    assert "partial: 6 of 76 cells, sampled: 240 of" in entry["notes"]
    row = next(csv.DictReader(io.StringIO(robench.export(copy, "csv"))))
    assert (row["source"], row["dataset"], row["images"], row["of"]) == ("generated", "digits-jpeg", "40", "599")
    cell = copy.cells[0].metrics[row["metric"]]
    assert (float(row["full_run_low"]), float(row["full_run_high"])) == (cell.full_run_low, cell.full_run_high)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"format": "xml"}, "xml"),
        ({"format": "eval-results"}, "needs `dataset`"),
        ({"format": "eval-results", "dataset": "nothing"}, "OWNER/NAME"),
        ({"format": "every-eval-ever"}, "needs `organisation`"),
        ({"format": "csv", "developer": "A"}, "`developer` has no effect"),
        ({"format": "csv", "dataset": "a/b"}, "`dataset` has no effect"),
    ],
)
def test_formats_and_options_that_do_not_go_together_are_refused(result, words, said):
    with pytest.raises(robench.RobenchError, match=said):
        robench.export(result, **words)
