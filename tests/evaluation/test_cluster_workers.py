"""What a worker of a cluster does with a piece, called here without a cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_suite import CELLS, SmallSuite, small_model

from robench.errors import RobenchError
from robench.evaluation import EvaluationOptions
from robench.evaluation.cluster import Job, _measure_remotely
from robench.evaluation.measuring import Measured
from robench.evaluation.pieces import Piece
from robench.evaluation.plan import make_record
from robench.models import Model, load_model

CPU = EvaluationOptions("cpu", batch_size=40)
PIECE = Piece(CELLS[0], 0, 20)


def job_of(make_model: Any, make_suite: Any = SmallSuite) -> Job:
    return Job(make_model, make_suite, CPU, identity=make_record(make_model(), make_suite(), CPU).identity)


def test_what_the_workers_paths_hold_must_be_the_runs(tmp_path: Path) -> None:
    good = job_of(small_model)
    assert isinstance(_measure_remotely(good, PIECE), Measured)
    other_model = Job(partial(small_model, 1), SmallSuite, CPU, identity=good.identity)
    with pytest.raises(RobenchError, match=r"A worker on .* has another model than this run"):
        _measure_remotely(other_model, PIECE)
    other_data = Job(small_model, partial(SmallSuite, images=60), CPU, identity=good.identity)
    with pytest.raises(RobenchError, match="has another protocol than this run"):
        _measure_remotely(other_data, PIECE)


def test_a_file_that_was_replaced_is_loaded_again(tmp_path: Path) -> None:
    """A worker keeps its model from piece to piece, and workers outlive an evaluation."""
    file = tmp_path / "net.py"
    spec = f"python:{file}:make"
    logits = []
    for sign in ("", "-"):
        file.write_text(f"def make():\n    return lambda x: {sign}x.flatten(1)[:, :10]\n")
        measured = _measure_remotely(job_of(partial(_load, spec)), PIECE)
        assert isinstance(measured, Measured)
        logits.append(np.asarray(measured.predictions.logits))
    assert np.array_equal(logits[0], -logits[1])
    assert logits[0].any()


def _load(spec: str) -> Model:
    return load_model(spec, num_classes=10)
