"""A full disk while a checkpoint is written: the one before stays, and the message says what is wrong."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import torch

from robench import files
from robench.errors import RobenchError
from robench.training.engine import checkpoints


class _Small:
    """A file on a disk that is full after some bytes."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 100, 20_000])
def test_a_full_disk_keeps_the_checkpoint_before(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, document = tmp_path / checkpoints.FILE, {"recipe": "r", "module": torch.arange(10_000.0)}
    checkpoints.save(path, document)
    before = path.read_bytes()

    @contextmanager
    def small(target: Path, *, own: bool) -> Iterator[Any]:
        with files.atomic_write(target, own=own) as file:
            yield _Small(file, room)

    monkeypatch.setattr(checkpoints, "atomic_write", small)
    with pytest.raises(RobenchError, match=r"Cannot write .*checkpoint\.pt: No space left on device") as caught:
        checkpoints.save(path, document | {"module": torch.zeros(10_000)})
    assert "Free some space" in str(caught.value)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [checkpoints.FILE]
    found = checkpoints.load(path, "r")
    assert found is not None
    assert torch.equal(found["module"], document["module"])
