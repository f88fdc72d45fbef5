"""Records and tables of earlier versions are read; damaged and foreign ones are refused with a message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from example_run import make_predictions, make_record

from robench.errors import RobenchError
from robench.predictions import BatchCheck, CellNotes, OutputCheck, Predictions, RunFolder, RunRecord, parquet
from robench.results import score_run

VERSION_1 = Path(__file__).parent / "version_1_run"


def test_a_run_of_version_1_is_read_and_scored() -> None:
    run = RunFolder.open(VERSION_1)
    record = run.record
    assert record.format == 1
    assert record.hash == json.loads((VERSION_1 / "run.json").read_text())["hash"]
    assert (record.suite.name, record.suite.limit, record.model.name) == ("digits-c", 12, "standard")
    assert record.environment.precision == record.identity.precision == "fp32"
    rows = run.read("clean")
    assert rows.notes is None
    assert rows.log_complement is rows.logsumexp is rows.target_rank is rows.fingerprint is None
    assert rows.second_probability is rows.target_cumulative is None
    np.testing.assert_array_equal(rows.columns()["confidence"], rows.confidence.astype(float))
    result = score_run(run, resamples=20)
    values = {cell.name: {name: value.value for name, value in cell.metrics.items()} for cell in result.cells}
    assert values["clean"]["error"] == 0.0
    assert values["clean"]["nll"] == pytest.approx(0.020494963054564625, rel=1e-9)
    assert values["fog/3"]["error"] == pytest.approx(11 / 12)
    assert values["fog/3"]["brier"] == pytest.approx(1.8367388794819515, rel=1e-9)
    assert result.status == "partial"


def test_a_run_of_version_1_is_taken_up_and_keeps_its_identity(tmp_path: Path) -> None:
    shutil.copytree(VERSION_1, tmp_path / "r")
    there = RunFolder.open(tmp_path / "r").record
    wanted = there.model_copy(update={"format": 2, "cells": there.cells})
    assert wanted.hash != there.hash
    taken = RunFolder.create(tmp_path / "r", wanted)
    assert taken.record.hash == there.hash
    taken.write("fog/1", make_predictions(12, 10, extras=True))
    assert taken.done() == ["clean", "fog/1", "fog/3"]
    joined = Predictions.concatenate([taken.read("clean"), taken.read("fog/1")])
    assert joined.log_complement is None
    assert joined.notes is None
    assert len(joined) == 24


def test_a_record_is_read_as_it_was_written() -> None:
    record = make_record()
    document = json.loads(json.dumps(record.document()))
    assert RunRecord.parse(document, "run.json") == record
    assert RunRecord.parse(document, "run.json").hash == record.hash == document["hash"]


def test_what_a_newer_version_adds_to_the_identity_stays_part_of_it() -> None:
    document = make_record().document()
    document["identity"]["tiles"] = 4
    read = RunRecord.parse(document, "run.json")
    assert read.identity.document()["tiles"] == 4
    assert read.hash != make_record().hash


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"identity": 3', "not valid JSON"),
        (b"[]", "expected a mapping"),
        (b"\xff\xfe", "expected UTF-8"),
        (b"[" * 100_000, "nested"),
        (b'{"kind": "robench-run"}', "is not the record of a run"),
        (b'{"kind": "robench-run", "format": true}', "is not the record of a run"),
        (b'{"kind": "robench-run", "format": 99}', r"newer robench \(format 99"),
        (b'{"kind": "robench-run", "format": 1, "identity": 3, "cells": 4, "info": 5}', "identity"),
        (b'{"kind": "robench-run", "format": 1, "identity": {"model": [], "protocol": 1}}', r"identity\.protocol"),
    ],
)
def test_a_damaged_record_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(RobenchError, match=said) as caught:
        RunFolder.open(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("info.suite.task", "segmentation"),
        ("info.suite.num_classes", "ten"),
        ("info.suite.protocol", []),
        ("info.model", None),
        ("info.model.name", 3),
        ("info.environment", "here"),
        ("info.timings", {"clean": "long"}),
        ("cells", {"a": 1}),
        ("cells", [[]]),
        ("identity.model", None),
    ],
)
def test_a_record_with_a_field_of_another_type_is_said(tmp_path: Path, where: str, value: Any) -> None:
    document = make_record().document()
    *path, last = where.split(".")
    inner = document
    for name in path:
        inner = inner[name]
    inner[last] = value
    (tmp_path / "run.json").write_text(json.dumps(document))
    with pytest.raises(RobenchError, match=rf"run\.json is damaged: .*{last}"):
        RunFolder.open(tmp_path)


def test_opening_what_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / ("x" * 5000)):
        with pytest.raises(RobenchError, match="is not a run"):
            RunFolder.open(path)


def test_a_foreign_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(RobenchError, match="lacks the columns index"):
        parquet.read(tmp_path / "x.parquet")


def changed(tmp_path: Path, columns: dict[str, Any] | None = None, metadata: dict[str, str] | None = None) -> Path:
    """Write a file of predictions with other columns or metadata."""
    path = tmp_path / "x.parquet"
    parquet.write(path, make_predictions())
    table = pq.read_table(path, partitioning=None)
    for name, column in (columns or {}).items():
        table = table.set_column(table.column_names.index(name), name, pa.array(column))
    there = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(there | (metadata or {})), path)
    return path


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"robench_format": "two"}, "metadata .* is damaged: its version"),
        ({"robench_format": "-1"}, "metadata .* is damaged: its version"),
        ({"robench_format": "3"}, "written by a newer robench"),
        ({"robench_notes": "{"}, "metadata .* is damaged"),
        ({"robench_notes": "[]"}, "metadata .* is damaged"),
        ({"robench_notes": '{"unreadable": "many"}'}, "metadata .* is damaged"),
        ({"robench_notes": '{"outputs": 3}'}, "metadata .* is damaged"),
    ],
)
def test_damaged_metadata_is_said(tmp_path: Path, metadata: dict[str, str], said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        parquet.read(changed(tmp_path, metadata=metadata))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("target", ["a"] * 7),
        ("confidence", [0.5, None, *[0.5] * 5]),
        ("index", [0.5] * 7),
        ("nll", [1] * 7),
        ("top5", [1] * 7),
        ("fingerprint", [[1, 2]] * 7),
    ],
)
def test_a_column_of_another_type_is_said(tmp_path: Path, name: str, column: list[Any]) -> None:
    with pytest.raises(RobenchError, match=f"column {name} .* is of type"):
        parquet.read(changed(tmp_path, {name: column}))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_bytes_that_are_no_parquet_are_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(RobenchError, match=r"Could not read .* as predictions"):
        parquet.read(tmp_path / "x.parquet")


def test_notes_of_parts_are_joined_to_those_of_the_whole() -> None:
    messages = [f"{i}.png cannot be decoded" for i in range(30)]
    outputs = OutputCheck(images=30, in_unit_interval=True, sums_to_one=True)
    check = BatchCheck(images=4, batch=8, difference=0.5, changed=2)
    first = CellNotes.of(messages[:5], outputs.model_copy(update={"images": 10}), check)
    second = CellNotes.of(messages[5:], outputs.model_copy(update={"images": 20}))
    whole = CellNotes.of(messages, outputs, check)
    assert first.joined(second) == whole
    assert (whole.unreadable, len(whole.unreadable_first)) == (30, 20)
    assert CellNotes.parse(whole.text().encode(), "x") == whole
    logits = CellNotes.of([], OutputCheck(images=5))
    assert first.joined(logits).outputs == OutputCheck(images=15)
