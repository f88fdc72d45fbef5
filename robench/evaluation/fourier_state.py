"""Finished frequencies of a map, kept in a file so that a stopped map can be resumed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from robench.errors import RobenchError
from robench.evaluation.fourier_sample import Tally
from robench.evaluation.probe import Logits, apart
from robench.files import read_document, write_json

_SAVE_EVERY = 10.0


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")

    kind: Literal["robench-fourier-state"]
    identity: str
    done: dict[str, tuple[tuple[int, int], tuple[int, int]]]
    probe: Logits | None = None


class MapState:
    """Errors by frequency, of one map.

    Args:
        path: the file; None: keep nothing.
        identity: digest of the model's hash, the options and the data.
        probe: what the model puts out for a few images, as two functions may have one hash; None: other logits each
            time.

    Attributes:
        done: frequency -> the images that it was measured on, and how many of them were answered wrongly.

    Raises:
        RobenchError: the file is damaged, or of another map or model.
    """

    def __init__(self, path: Path | None, identity: str, probe: Logits | None) -> None:
        self._path, self._identity, self._probe = path, identity, probe
        self._saved = time.monotonic()
        self.done: dict[str, Tally] = {}
        if path is not None and path.exists():
            self.done = self._read(path)

    def add(self, frequency: str, tally: Tally) -> None:
        """Add what is known of one frequency; the file is written every ten seconds."""
        self.done[frequency] = tally
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self.write()

    def write(self) -> None:
        """Write what is finished; an empty file would only be in the way of another map."""
        if self._path is not None and self.done:
            done = {frequency: (tally.images, tally.wrong) for frequency, tally in self.done.items()}
            document = _Document(kind="robench-fourier-state", identity=self._identity, done=done, probe=self._probe)
            write_json(self._path, document.model_dump(mode="json"), own=True)
        self._saved = time.monotonic()

    def _read(self, path: Path) -> dict[str, Tally]:
        hint = "Remove it, or choose another `out`."
        try:
            document = _Document.model_validate(read_document(path, "state of a map", hint=hint))
        except ValidationError as error:
            raise RobenchError(f"{path} is damaged: {error.errors()[0]['msg']}.", hint=hint) from error
        probes = (document.probe, self._probe)
        other_model = probes[0] is not None and probes[1] is not None and apart(probes[0], probes[1]) is not None
        if document.identity != self._identity or other_model:
            raise RobenchError(
                f"{path} belongs to another model, data set or set of options.",
                hint="Choose another `out`, or remove it.",
            )
        return {frequency: Tally(*counts) for frequency, counts in document.done.items()}
