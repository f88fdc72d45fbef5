"""Metrics as torchmetrics', and callbacks, each with the installed library."""

from __future__ import annotations

import pickle
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robench.errors import RobenchError
from robench.metrics.streaming import StreamingMetrics

EXAMPLES = Path(__file__).parents[2] / "examples"
torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
from robench.integrations import ConfidenceMetric, confidence_metrics  # noqa: E402
from robench.integrations.torchmetrics import NAMES  # noqa: E402

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(300, 7, generator=GENERATOR)
TARGET = torch.randint(0, 7, (300,), generator=GENERATOR)


def reference(logits: bool = True) -> dict[str, float]:
    metrics = StreamingMetrics(logits=logits)
    metrics.update(LOGITS if logits else LOGITS.double().softmax(1), TARGET)
    return metrics.compute()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("logits", [True, False])
def test_a_stream_of_batches_is_robenchs_own(name: str, logits: bool) -> None:
    metric = ConfidenceMetric(name, logits=logits)
    for rows, target in zip(LOGITS.split(64), TARGET.split(64), strict=True):
        metric.update(rows if logits else rows.double().softmax(1), target)
    assert float(metric.compute()) == pytest.approx(reference(logits)[name], abs=1e-6)
    assert isinstance(metric, torchmetrics.Metric)


def test_they_are_torchmetrics_own() -> None:
    functions = torchmetrics.functional
    p = LOGITS.softmax(1)
    wanted = float(functions.calibration_error(p, TARGET, "multiclass", num_classes=7, n_bins=15))
    assert float(ConfidenceMetric("ece")(LOGITS, TARGET)) == pytest.approx(wanted, abs=1e-5)
    accuracy = functions.accuracy(p, TARGET, "multiclass", num_classes=7, average="micro")
    assert float(ConfidenceMetric("accuracy")(LOGITS, TARGET)) == pytest.approx(float(accuracy))


def test_forward_reset_collections_copies_and_devices() -> None:
    metric = ConfidenceMetric("nll")
    first = metric(LOGITS[:50], TARGET[:50])
    second = metric(LOGITS[50:], TARGET[50:])
    assert float(first) != float(second)
    whole = float(metric.compute())
    assert whole == pytest.approx(reference()["nll"], abs=1e-6)
    again = pickle.loads(pickle.dumps(metric))
    assert float(again.compute()) == whole
    moved = metric.to("meta")
    assert moved.sums.device.type == "meta"
    assert metric.half().sums.dtype == torch.float64  # sums stay exact
    metric = ConfidenceMetric("nll")
    metric.update(LOGITS, TARGET)
    metric.reset()
    assert int(metric.images) == 0
    metrics = confidence_metrics(prefix="val/")
    metrics.update(LOGITS[:200], TARGET[:200])
    metrics.update(LOGITS[200:], TARGET[200:])
    found = {name: float(value) for name, value in metrics.compute().items()}
    assert found == pytest.approx({f"val/{name}": reference()[name] for name in NAMES})
    assert len(metrics.compute_groups) == 1  # the state is kept once


def _rank(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    metric = ConfidenceMetric("ece")
    metric.update(LOGITS[rank::2], TARGET[rank::2])
    Path(folder, f"{rank}.txt").write_text(repr(float(metric.compute())))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ranks_are_added_up(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        assert float((tmp_path / f"{rank}.txt").read_text()) == pytest.approx(reference()["ece"], abs=1e-6)


@pytest.mark.parametrize(
    ("values", "target", "words", "said"),
    [
        (LOGITS, TARGET[:3], {}, "Expected values"),
        (LOGITS, TARGET + 3, {}, "outside the 7 classes"),
        (LOGITS, TARGET, {"logits": False}, "does not hold probabilities"),
        (torch.full((2, 3), np.nan), TARGET[:2] % 3, {}, "NaN"),
    ],
)
def test_bad_batches(values: Any, target: Any, words: dict[str, Any], said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        ConfidenceMetric("ece", **words).update(values, target)
    with pytest.raises(RobenchError, match="Did you mean 'ece'"):
        ConfidenceMetric("ecee")


def run(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run an example as a script and return what it prints."""
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def test_the_example_of_corruptions(capsys: pytest.CaptureFixture[str]) -> None:
    said = run("corrupt_a_data_set.py", capsys)
    assert "fog: (64, 64, 3) uint8" in said
    assert "test batch: (4, 3, 32, 32) [0, 1, 2, 3]" in said


@pytest.mark.filterwarnings("ignore")
def test_lightning(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightning", reason="Lightning is not installed (pip install lightning)")
    said = run("lightning_suite_callback.py", capsys)
    assert "'digits-c/mean_error'" in said
    assert "'ece'" in said
    first, second = eval(said.rpartition("mean error by epoch: ")[2])
    assert 0 < second < first <= 1


@pytest.mark.filterwarnings("ignore")
def test_transformers_trainer(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed (pip install accelerate)")
    said = run("trainer_suite_callback.py", capsys)
    assert "epoch 1: mean error 0." in said
    assert "epoch 2: mean error 0." in said


def test_a_measurement_leaves_the_network_as_it_was() -> None:
    from torch import nn

    from robench.integrations.measuring import Measurement

    network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.BatchNorm1d(192), nn.Dropout(), nn.Linear(192, 10))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    network[2].eval()  # frozen, as in a fine-tuning
    state = torch.get_rng_state()
    few = {"corruption": "fog", "severity": 3, "limit": 30}
    measurement = Measurement("digits-c", every=2, mean=0.5, std=0.5, words=few)
    result = measurement.measure(network, lambda images: network(images), 1, "cpu")
    assert [part.training for part in network] == [True, True, False, True, True]
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert set(measurement.values(result)) >= {"digits-c/mean_error", "digits-c/clean_error"}
    assert [measurement.due(epoch) for epoch in range(4)] == [False, True, False, True]
    assert result.model.card["epoch"] == 1


def test_a_training_that_begins_again_measures_into_folders_of_its_own(tmp_path: Path) -> None:
    from torch import nn

    from robench.integrations.measuring import Measurement

    few = {"corruption": "fog", "severity": 3, "limit": 30}
    measurement = Measurement("digits-c", out=tmp_path, words=few)
    torch.manual_seed(0)
    first, again = (nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10)) for _ in range(2))
    errors = []
    for network in (first, again, first):
        found = measurement.measure(network, lambda images, network=network: network(images), 0, "cpu")
        errors.append(found.summary["mean_error"].value)
    assert errors[0] == errors[2] != errors[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0000", "epoch-0000-2"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"suite": "digits-d"}, "Unknown suite 'digits-d'"),
        ({"suite": "digits-c", "every": 0}, "`every` must be a whole number"),
        ({"suite": "digits-c", "mean": 0.5}, "belong together"),
        ({"suite": "digits-c", "words": {"limit": 3, "within": 1}}, "cannot be combined"),
    ],
)
def test_impossible_measurements_are_refused_before_the_training(words: dict[str, Any], said: str) -> None:
    from robench.integrations.measuring import Measurement

    with pytest.raises(RobenchError, match=said):
        Measurement(**words)


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    monkeypatch.delitem(sys.modules, "robench.integrations.lightning", raising=False)
    with pytest.raises(RobenchError, match=r"needs Lightning\.\npip install lightning"):
        from robench.integrations.lightning import SuiteCallback  # noqa: F401
