"""Evaluation on the device: what the CPU finds, in every precision, compiled, and when memory runs out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import robench
from robench.evaluation import EvaluationOptions
from robench.evaluation.batching import batch_check
from robench.evaluation.collecting import ColumnBuilder
from robench.evaluation.forward import Forward
from robench.evaluation.measuring import measure
from robench.evaluation.progress import QuietProgress
from robench.models import load_model
from robench.results import Result
from robench.suites import OpenOptions, open_suite

CELLS = {"corruption": ["gaussian_noise", "fog", "pixelate"], "severity": 3, "limit": 200}


def _evaluate(out: Path, device: str, **words: object) -> Result:
    result = robench.evaluate(
        "reference:digits/augmix", "digits-c", out=out, device=device, resamples=0, quiet=True, **CELLS, **words
    )  # type: ignore[arg-type]
    assert result is not None
    return result


def _errors(result: Result) -> dict[str, float]:
    return {cell.name: cell.metrics["error"].value for cell in result.cells}  # type: ignore[misc]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Errors on the CPU."""
    return _errors(_evaluate(tmp_path_factory.mktemp("cpu"), "cpu"))


@pytest.mark.parametrize(("precision", "within"), [("fp32", 0.011), ("bf16", 0.03), ("fp16", 0.03)])
def test_errors_are_the_cpus(
    precision: str, within: float, device: str, expected: dict[str, float], tmp_path: Path
) -> None:
    if precision == "fp16" and device == "cpu":
        pytest.skip("half precision is for a card")
    assert _errors(_evaluate(tmp_path, device, precision=precision)) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize("batch_size", [7, 64])
def test_the_batch_size_changes_nothing(
    batch_size: int, device: str, expected: dict[str, float], tmp_path: Path
) -> None:
    assert _errors(_evaluate(tmp_path, device, batch_size=batch_size)) == pytest.approx(expected, abs=0.011)


def test_the_host_never_waits_for_the_device_while_a_cell_is_measured(device: str) -> None:
    """PyTorch raises an error wherever a value is read; at the end all is read at once, and is the CPU's."""
    if not device.startswith("cuda"):
        pytest.skip("only CUDA tells where it is waited for")
    model = load_model("reference:digits/augmix")
    suite = open_suite("clean", "digits", OpenOptions(limit=200))
    cell, silent = suite.suite.cells[0], QuietProgress()
    here, there = (EvaluationOptions(device=place, batch_size=64) for place in ("cpu", device))
    expected = measure(Forward(model, here), suite, cell, here, 64, silent).predictions
    forward = Forward(model, there)
    batches = list(suite.batches(cell, 64, device=device))
    builder = ColumnBuilder(cell.name, 10, keep_logits=True)
    measure(forward, suite, cell, there, 64, silent)  # what is made once is made
    torch.cuda.set_sync_debug_mode("error")
    try:
        checks = []
        for batch in batches:
            logits = forward(batch.images)
            builder.add(logits, batch)
            checks.append(batch_check(forward, batch.images, logits))
        collected = builder.close()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = collected.predictions()
    assert all((check := found_out()) is not None and check.changed == 0 for found_out in checks)
    assert (found.fingerprint == expected.fingerprint).all()
    assert (found.predicted != expected.predicted).mean() <= 0.01
    assert abs(found.nll - expected.nll).max() < 0.05


def test_compiled(device: str, expected: dict[str, float], tmp_path: Path) -> None:
    assert _errors(_evaluate(tmp_path, device, compile=True)) == pytest.approx(expected, abs=0.011)


def test_the_batch_is_halved_where_memory_runs_out(device: str, expected: dict[str, float], tmp_path: Path) -> None:
    if not device.startswith("cuda"):
        pytest.skip("memory can be limited on a card only")
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved(device) + (48 << 20)) / total))
    try:
        found = _errors(_evaluate(tmp_path, device, batch_size=200))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found == pytest.approx(expected, abs=0.011)


def test_a_fourier_map_is_the_cpus(device: str, tmp_path: Path) -> None:
    errors = []
    for place in ("cpu", device):
        found = robench.fourier(
            "reference:digits/augmix", data="digits", limit=100, window=3, device=place, quiet=True,
            out=tmp_path / f"{place.replace(':', '-')}.json",
        )  # fmt: skip
        errors.append(torch.tensor(found.error))
    assert errors[0].shape == (3, 3)
    assert float((errors[0] - errors[1]).abs().max()) <= 0.021
