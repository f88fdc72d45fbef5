"""A cell's file appears whole or not at all; a damaged one is found; a folder holds one run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robench.errors import RobenchError
from robench.predictions import Predictions, RunFolder, RunRecord, parquet

RECORD = RunRecord({"model": "a", "protocol": {"suite": "s", "seed": 0}}, ("clean", "fog/1"), {"note": "x"})


def make_predictions(n: int = 7, classes: int = 3, seed: int = 0, *, extras: bool = False) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions(
        index=np.arange(n),
        target=rng.integers(0, classes, n).astype(np.int32),
        predicted=rng.integers(0, classes, n).astype(np.int32),
        confidence=rng.random(n, dtype=np.float32),
        target_probability=rng.random(n, dtype=np.float32),
        nll=rng.random(n, dtype=np.float32),
        brier=rng.random(n, dtype=np.float32),
        entropy=rng.random(n, dtype=np.float32),
        top5=rng.integers(0, classes, (n, 5)).astype(np.int32),
        frame=np.zeros(n, np.int32) if extras else None,
        logits=rng.random((n, classes), dtype=np.float32) if extras else None,
        targets=rng.integers(0, 2, (n, classes)).astype(np.uint8) if extras else None,
    )


def assert_equal(a: Predictions, b: Predictions) -> None:
    assert a.columns().keys() == b.columns().keys()
    for name, column in a.columns().items():
        np.testing.assert_array_equal(column, b.columns()[name], strict=True)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 40), classes=st.integers(1, 12), seed=st.integers(0, 99), extras=st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, n: int, classes: int, seed: int, extras: bool
) -> None:
    run = RunFolder.create(tmp_path_factory.mktemp("run") / "r", RECORD)
    written = make_predictions(n, classes, seed, extras=extras)
    run.write("fog/1", written)
    assert_equal(run.read("fog/1"), written)


def test_equal_predictions_give_equal_bytes(tmp_path: Path) -> None:
    a, b = (RunFolder.create(tmp_path / name, RECORD) for name in "ab")
    assert a.write("clean", make_predictions()) == b.write("clean", make_predictions())
    assert a.cell_path("clean").read_bytes() == b.cell_path("clean").read_bytes()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "no checksum"])
def test_a_damaged_file_is_found(tmp_path: Path, damage: str) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    run.write("clean", make_predictions(100))
    path = run.cell_path("clean")
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "cut":
        del data[-10:]
    elif damage == "empty":
        data.clear()
    path.write_bytes(data)
    if damage == "no checksum":
        path.with_name(path.name + ".sha256").unlink()
    assert not run.is_done("clean")
    assert run.is_damaged("clean") == (damage != "no checksum")
    with pytest.raises(RobenchError, match="damaged"):
        run.read("clean")


def test_a_folder_is_taken_up_again(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "r", RECORD).write("fog/1", make_predictions())
    assert RunFolder.create(tmp_path / "r", RECORD).done() == ["fog/1"]
    more = RunRecord(RECORD.identity, ("snow/1",), {})
    assert set(RunFolder.create(tmp_path / "r", more).record.cells) == {"clean", "fog/1", "snow/1"}


def test_another_run_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "r", RECORD)
    other = RunRecord({"model": "a", "protocol": {"suite": "s", "seed": 1}}, RECORD.cells, {})
    with pytest.raises(RobenchError, match=r"protocol\.seed: there 0, now 1"):
        RunFolder.create(tmp_path / "r", other)


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RobenchError, match=r"thesis\.tex"):
        RunFolder.create(tmp_path, RECORD)
    with pytest.raises(RobenchError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.tex", RECORD)


def test_opening_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="is not a run"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text('{"identity": 3')
    with pytest.raises(RobenchError, match="cannot be read"):
        RunFolder.open(tmp_path)


def test_a_log_line_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    run.log({"cell": "clean", "seconds": 1.0})
    with open(run.path / "log.jsonl", "a") as file:
        file.write('{"cell": "fo')
    assert run.read_log() == [{"cell": "clean", "seconds": 1.0}]


def test_a_foreign_parquet_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from robench.predictions import parquet

    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(RobenchError, match="lacks the columns index"):
        parquet.read(tmp_path / "x.parquet")


def test_parts_that_another_process_has_joined_are_not_missed(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "r", RECORD)
    bounds = [(0, 3), (3, 6)]
    with pytest.raises(RobenchError, match="missing or damaged"):
        run.join_parts("clean", bounds)
    checksum = run.write("clean", make_predictions())
    parquet.write(run.part_path("clean", 0, 3), make_predictions(3))
    assert run.join_parts("clean", bounds) == checksum
    assert not list((run.path / "parts").glob("*.parquet*"))
