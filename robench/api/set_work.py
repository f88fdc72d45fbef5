"""The commands by which ``robench.train_set`` trains and measures: robench's own, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from robench.cpu import cores
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.training.sets import Measurement, Run, TrainingSet


@dataclass(frozen=True)
class Work:
    """Where everything is, and what is the same for all models."""

    data: Path
    out: Path
    measurements: tuple[Measurement, ...]
    limit: int | None
    device: str | None
    precision: str | None
    jobs: int
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def check_budget(self, found: TrainingSet) -> None:
        """Refuse to resume in a folder whose models had other settings, and note those of this one."""
        from robench.files import read_document, unwritable, write_json

        path = self.out / "set.json"
        from robench.training.recipes.digest import digest

        runs, images = {run.name: digest(run.load()) for run in found.runs}, self._images(found)
        if path.is_file():
            before = read_document(path, "record of a training set")
            if before.get("images", images) != images:
                raise RobenchError(
                    f"{self.out} holds models that were trained on other images.",
                    hint="Give the `data` of before, or choose another `out` folder.",
                )
            other = [name for name in runs if before["runs"].get(name, runs[name]) != runs[name]]
            if (before["set"], before["limit"]) != (found.name, self.limit) or other:
                raise RobenchError(
                    f"{self.out} holds models of {before['set']} with other settings.",
                    hint="Repeat the earlier settings, or choose another `out` folder.",
                )
            runs = before["runs"] | runs
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            write_json(path, {"set": found.name, "limit": self.limit, "images": images, "runs": runs}, own=True)
        except OSError as error:
            raise unwritable(path, error) from error

    def _images(self, found: TrainingSet) -> str:
        """Return a digest of the training images' number and labels in their order: no pixel is read for it."""
        from robench.files import digest
        from robench.training.engine.source import open_split

        part = next(run for run in found.runs if run.measured).load().data
        images = open_split(part, self.data, part.train_split)
        return digest([len(images), [] if images.labels is None else images.labels.tolist()])

    def call(self, name: str, words: Sequence[str]) -> bool:
        """Run one robench command with its output in the model's log; False where it failed."""
        if self.stopped.is_set():
            return False
        log = self.out / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            file.write(("$ robench " + " ".join(words) + "\n").encode())
            file.flush()
            child = subprocess.Popen(
                [sys.executable, "-m", "robench", *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | self._share(),
            )
            self.children.append(child)
            return child.wait() == 0

    def _share(self) -> dict[str, str]:
        """Return how many threads a command may have beside the others, unless the user has said so.

        Threads of several jobs on one core would wait for each other in every layer.
        """
        if self.jobs == 1 or "OMP_NUM_THREADS" in os.environ:
            return {}
        return {"OMP_NUM_THREADS": str(max(1, cores() // self.jobs))}

    def stop(self) -> None:
        """End all commands; what they have finished is kept."""
        self.stopped.set()
        for child in self.children:
            with suppress(OSError):
                child.terminate()

    def common(self) -> list[str]:
        """Return the options of both commands."""
        return ["--quiet", *(["--device", self.device] if self.device is not None else [])]


def measure(run: Run, work: Work, measurement: Measurement, branch: str) -> Path | None:
    """Make what is not there yet and return its file; None where its command fails."""
    shown = run.name + (f"-{branch.replace('=', '-')}" if branch else "")
    folder = work.out / "models" / run.name
    words: list[str] = [measurement.command]
    if measurement.run:
        analysed = work.out / "results" / measurement.run / shown
        target = analysed / f"{measurement.name}.json"
        words += [str(analysed), "--out", str(target)]
    else:
        words += ["--model", f"{folder}?{branch}" if branch else str(folder), "--name", shown, "--data", str(work.data)]
        if measurement.command == "evaluate":
            target = work.out / "results" / measurement.name / shown / "result.json"
            words += ["--suite", measurement.name, "--out", str(target.parent)]
        else:
            target = work.out / "analyses" / measurement.name / f"{shown}.json"
            words += ["--out", str(target)]
        words += [*work.common(), *(["--precision", work.precision] if work.precision is not None else [])]
    given = dict(measurement.options)
    if work.limit is not None and not measurement.run:
        given["limit"] = str(min(work.limit, measurement.limit or work.limit))
        if measurement.command == "evaluate":
            given.pop("within", None)
    for option, value in given.items():
        words += [f"--{option}", value]
    return target if _finished(target) or work.call(run.name, words) else None


def _finished(target: Path) -> bool:
    """Return whether a measurement is there, and is no result whose run failed on some of its cells."""
    from robench.files import read_document

    return target.is_file() and not read_document(target, "result").get("failures")
