"""A record and predictions that tests of the run's folder write and read."""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.predictions import CellNotes, ModelInfo, Predictions, RunIdentity, RunRecord, SuiteInfo


def make_record(cells: tuple[str, ...] = ("clean", "fog/1"), *, model: str = "a", **protocol: Any) -> RunRecord:
    """Return the record of a run on three classes."""
    protocol = {"suite": "s", "seed": 0} | protocol
    return RunRecord(
        identity=RunIdentity(model=model, protocol=protocol),
        cells=cells,
        suite=SuiteInfo(name="s", title="S", task="classification", version=1, dataset="d", num_classes=3,
                        source="generated", protocol=protocol, cells=cells),
        model=ModelInfo(name=model, hash=model, num_classes=3),
    )  # fmt: skip


def make_predictions(n: int = 7, classes: int = 3, seed: int = 0, *, extras: bool = False) -> Predictions:
    """Return columns of random numbers; ``extras``: with those that not every suite has."""
    rng = np.random.default_rng(seed)

    def numbers() -> np.ndarray:
        return rng.random(n, dtype=np.float32)

    return Predictions(
        index=np.arange(n),
        target=rng.integers(0, classes, n).astype(np.int32),
        predicted=rng.integers(0, classes, n).astype(np.int32),
        confidence=numbers(),
        target_probability=numbers(),
        nll=numbers(),
        brier=numbers(),
        entropy=numbers(),
        top5=rng.integers(0, classes, (n, 5)).astype(np.int32),
        log_complement=-numbers(),
        logsumexp=numbers(),
        max_logit=numbers(),
        second_logit=numbers(),
        target_rank=rng.integers(0, classes, n).astype(np.int32),
        target_tail=numbers(),
        fingerprint=rng.integers(-(2**62), 2**62, n),
        frame=np.zeros(n, np.int32) if extras else None,
        logits=rng.random((n, classes), dtype=np.float32) if extras else None,
        targets=rng.integers(0, 2, (n, classes)).astype(np.uint8) if extras else None,
        notes=CellNotes(),
    )
