"""Tar files of finished models, each small enough to be carried, and none packed twice."""

from __future__ import annotations

import tarfile
from pathlib import Path

LARGEST = 15 << 20
RECORD = "packed.txt"


def pack(out: Path, names: list[str], target: Path) -> list[Path]:
    """Write what belongs to the finished models, and the summary, into tar files.

    Args:
        out: folder of ``train_reference.py``.
        names: models and branches, as in its summary.
        target: where the tar files go.

    Returns:
        their paths; the record of what is packed is kept in ``out``.
    """
    record = out / RECORD
    packed = set(record.read_text().splitlines()) if record.is_file() else set()
    files = [path for name in names for path in _files(out, name)]
    new = [path for path in files if str(path.relative_to(out)) not in packed]
    volumes: list[list[Path]] = [[]]
    filled = 0
    for path in [*new, out / "summary.json"]:
        size = path.stat().st_size + 2048
        if volumes[-1] and filled + size > LARGEST:
            volumes.append([])
            filled = 0
        volumes[-1].append(path)
        filled += size
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for number, volume in enumerate(volumes, 1):
        written.append(target / f"reference-{len(packed)}-{number}.tar")
        with tarfile.open(written[-1], "w") as archive:
            for path in volume:
                archive.add(path, str(path.relative_to(out)))
    record.write_text("".join(f"{name}\n" for name in sorted(packed | {str(path.relative_to(out)) for path in new})))
    return written


def _files(out: Path, name: str) -> list[Path]:
    """Return a model's weights, card, recipe and log once it is trained, and its finished results."""
    folder = out / "models" / name
    found = []
    if (folder / "card.yaml").is_file() and not (folder / "checkpoint.pt").is_file():
        found = sorted(path for path in folder.iterdir() if path.is_file())
    found += sorted((out / "results").glob(f"*/{name}/result.json"))
    rest = (out / "results" / "fourier" / f"{name}.json", out / "logs" / f"{name}.log")
    return found + [path for path in rest if path.is_file()]
