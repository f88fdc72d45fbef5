"""A real Ray cluster on this machine; a worker is killed midway and the bytes stay those of one process."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from small_suite import SmallSuite, run_bytes, small_model

from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.progress import QuietProgress

pytest.importorskip("ray", reason="Ray is not installed (pip install 'robench[cluster]')")

CPU = EvaluationOptions("cpu", batch_size=40)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    import ray

    here = str(Path(__file__).parent)
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join([here, *sys.path])}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield ray
    ray.shutdown()


def slow_suite(marker: str) -> SmallSuite:
    """Return the suite, slow enough to be killed; the worker that opens it leaves its process number."""
    Path(f"{marker}.{os.getpid()}").touch()
    return SmallSuite(seconds_a_cell=0.2)


class _KillOneWorker(QuietProgress):
    """Kills one worker when the third piece has come back."""

    def __init__(self, marker: Path) -> None:
        self.marker, self.pieces, self.killed = marker, 0, 0

    def advance(self, images: int, cell: str) -> None:
        self.pieces += 1
        if self.pieces == 3:
            numbers = [int(path.suffix[1:]) for path in self.marker.parent.glob(f"{self.marker.name}.*")]
            workers = [number for number in numbers if number != os.getpid()]
            os.kill(workers[0], signal.SIGKILL)
            self.killed = workers[0]


def test_a_killed_worker_changes_nothing(tmp_path: Path, cluster: Any) -> None:
    from robench.evaluation.cluster import Job, evaluate_on_cluster

    marker = tmp_path / "opened"
    progress = _KillOneWorker(marker)
    job = Job(small_model, partial(slow_suite, str(marker)), CPU)
    outcome = evaluate_on_cluster(job, tmp_path / "cluster", progress=progress)
    assert progress.killed
    for _ in range(50):  # the killed process is gone, not merely asked to go
        if not Path(f"/proc/{progress.killed}").exists():
            break
        time.sleep(0.1)
    assert outcome.failures == {}
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "one", CPU)
    assert run_bytes(tmp_path / "cluster") == run_bytes(tmp_path / "one")


def test_unreadable_cells_fail_and_a_cluster_run_is_ended_alone(tmp_path: Path, cluster: Any) -> None:
    from robench.evaluation.cluster import Job, evaluate_on_cluster

    job = Job(small_model, partial(SmallSuite, broken=("fog/2",)), CPU)
    outcome = evaluate_on_cluster(job, tmp_path / "r")
    assert list(outcome.failures) == ["fog/2"]
    assert evaluate_suite(small_model(), SmallSuite(), tmp_path / "r", CPU).fresh == ["fog/2"]


def test_a_model_that_does_not_fit_is_the_users_mistake(tmp_path: Path, cluster: Any) -> None:
    from robench.errors import RobenchError
    from robench.evaluation.cluster import Job, evaluate_on_cluster

    with pytest.raises(RobenchError, match="has 7 output classes"):
        evaluate_on_cluster(Job(partial(small_model, classes=7), SmallSuite, CPU), tmp_path / "r")
