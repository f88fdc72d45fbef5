"""Resuming a run: whether a folder can be used, which parts of its record stay, and what differs if it cannot."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from robench.errors import RobenchError
from robench.predictions.records import Environment, RunRecord


def refuse_foreign(path: Path) -> None:
    """Refuse a path that holds something other than a run.

    Raises:
        RobenchError: it is a file, or a folder of other things.
    """
    if path.exists() and not path.is_dir():
        raise RobenchError(f"{path} is a file, not a folder.", hint="Choose another folder: `out`.")
    if path.is_dir() and not (path / "run.json").exists():
        strangers = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
        if strangers:
            raise RobenchError(
                f"{path} is not empty and is not a run folder (found {', '.join(sorted(strangers)[:3])}).",
                hint="Choose an empty or new folder: `out`.",
            )


def nothing_measured(path: Path) -> bool:
    """Return whether a run's folder holds no predictions, and no process is measuring some."""
    if any(file.is_file() for name in ("predictions", "parts") for file in (path / name).glob("*")):
        return False
    return all(_free(lock) for lock in (path / ".locks").glob("*.lock"))


def _free(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return True
    except (OSError, NotImplementedError, Timeout):
        return False


def taken_up(path: Path, there: RunRecord, wanted: RunRecord, finished: Set[str]) -> RunRecord:
    """Return the record of an existing run that is asked for more cells, or for the same ones again.

    The environment stays the one in which the cells were measured, while none is missing. A run keeps the format
    that it was started with.

    Args:
        path: the run's folder.
        there: its record.
        wanted: the record of the cells asked for.
        finished: names of the finished cells.

    Raises:
        RobenchError: the run is of another model or protocol.
    """
    _refuse_other(path, there, wanted)
    known = set(wanted.cells)
    cells = wanted.cells + tuple(cell for cell in there.cells if cell not in known)
    changed = {"cells": cells, "timings": there.timings, "format": there.format, **_remarks(there, wanted)}
    if finished >= known:
        changed |= {"environment": there.environment, "command": there.command, "earlier": there.earlier}
    else:
        changed["earlier"] = _earlier(there, wanted.environment, anything=bool(finished))
    return wanted.model_copy(update=changed)


def _remarks(there: RunRecord, wanted: RunRecord) -> dict[str, tuple[str, ...]]:
    """Return the remarks that hold now, and those that no longer do.

    Where all cells were opened now, what was said of files elsewhere that held the same images is outdated. Where
    fewer were, earlier remarks may be of the others, and stay.
    """
    kept = there.remarks if set(there.cells) - set(wanted.cells) else ()
    remarks = tuple(dict.fromkeys([*kept, *wanted.remarks]))
    gone = dict.fromkeys([*there.outdated, *there.remarks])
    return {"remarks": remarks, "outdated": tuple(remark for remark in gone if remark not in remarks)}


def _earlier(there: RunRecord, now: Environment, *, anything: bool) -> tuple[Environment, ...]:
    """Return earlier environments that differ from the present one; the last one only if it finished any cell."""
    found: dict[Any, Environment] = {}
    for environment in (*there.earlier, *([there.environment] if anything else [])):
        if environment.telling() != now.telling():
            found.setdefault(environment.telling(), environment)
    return tuple(found.values())


def _refuse_other(path: Path, there: RunRecord, wanted: RunRecord) -> None:
    old, new = there.identity.document(), wanted.identity.document()
    if differences := list(_differences(old, new)):
        raise RobenchError(
            f"{path} holds another run; it differs in "
            + "; ".join(f"{key}: there {_short(old)}, now {_short(new)}" for key, old, new in differences[:4])
            + ".",
            hint="Choose another folder: `out`. Without it robench picks one for this model and protocol.",
        )


def _differences(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted({*old, *new}):
            found += _differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key)
        return found
    return [] if old == new else [(prefix, old, new)]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:18]}…"
