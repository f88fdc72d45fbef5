"""What the table of predictions costs: time from logits to columns and to the file, and the file's size.

    python benchmarks/predictions.py [--images 50000] [--classes 1000] [--size 224] [--threads 1] [--rounds 5]

Version 1 of the table had the columns up to ``top5``; version 2 adds those that do not saturate, those of conformal
sets and out-of-distribution scores, and fingerprints of the images. Logits are kept in neither, as with more than 32
classes unless they are asked for. Columns, fingerprints and files are timed apart, in turn; the best of the rounds
counts. Fingerprints are of random images of --size pixels, in batches of 256.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from robench.evaluation import columns
from robench.evaluation.fingerprints import fingerprints
from robench.predictions import CellNotes, Predictions, parquet

NEW = ("log_complement", "logsumexp", "max_logit", "second_logit", "target_rank", "target_tail", "fingerprint")
CHUNK = 2048  # rows at a time, as the engine makes columns of 1,000 classes


def make_logits(images: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits of a network that is right on about three images in four, and the labels."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(classes, (images,), generator=generator)
    logits = torch.randn(images, classes, generator=generator) * 2
    logits[torch.arange(images), target] += 4 + 4 * torch.randn(images, generator=generator)
    return logits, target


def old_columns(logits: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the columns of version 1."""
    beyond = columns._beyond_confidence
    try:
        columns._beyond_confidence = lambda *_: {}
        return columns.logits_to_columns(logits, target)
    finally:
        columns._beyond_confidence = beyond


def table_of(logits: torch.Tensor, target: torch.Tensor) -> Predictions:
    """Return the whole table of version 2."""
    parts = [columns.logits_to_columns(x, t) for x, t in zip(logits.split(CHUNK), target.split(CHUNK), strict=True)]
    found = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0] if name != "finite"}
    prints = np.random.default_rng(0).integers(-(2**62), 2**62, len(logits))
    return Predictions(
        index=np.arange(len(logits)), target=target.int().numpy(), fingerprint=prints, notes=CellNotes(), **found
    )


def best(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the shortest time of each candidate in seconds; they take turns."""
    found = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, work in candidates.items():
            began = time.perf_counter()
            work()
            found[name] = min(found[name], time.perf_counter() - began)
    return found


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logits, target = make_logits(given.images, given.classes)
    pieces = list(zip(logits.split(CHUNK), target.split(CHUNK), strict=True))
    new = table_of(logits, target)
    old = Predictions(**{name: getattr(new, name) for name in new.stored() if name not in NEW})
    batch = torch.randint(256, (256, given.size, given.size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    made = best(
        {
            "version 1": lambda: [old_columns(x, t) for x, t in pieces],
            "version 2": lambda: [columns.logits_to_columns(x, t) for x, t in pieces],
            "fingerprints": lambda: fingerprints(batch),
        },
        given.rounds,
    )
    prints = {"version 1": 0.0, "version 2": made["fingerprints"] / len(batch) * given.images}
    print(f"{given.images:,} images x {given.classes:,} classes, {given.threads} threads, best of {given.rounds}\n")
    print("| table | columns, s | fingerprints, s | file, s | MB |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.parquet" for name in prints}
        written = best(
            {
                "version 1": lambda: parquet.write(paths["version 1"], old),
                "version 2": lambda: parquet.write(paths["version 2"], new),
            },
            given.rounds,
        )
        for name, path in paths.items():
            size = path.stat().st_size / 1e6
            print(f"| {name} | {made[name]:.2f} | {prints[name]:.2f} | {written[name]:.3f} | {size:.2f} |")


if __name__ == "__main__":
    main()
