"""Downloads that survive broken connections and end with the right bytes or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from robench._version import __version__
from robench.errors import RobenchError

Report = Callable[[int, int | None], None]
_CHUNK = 1 << 20
_TIMEOUT = 30.0


class _TransientError(Exception):
    """Something that may be better next time: a dropped connection, a busy server."""


def download(
    url: str,
    target: Path,
    *,
    md5: str | None = None,
    size: int | None = None,
    retries: int = 8,
    wait: float = 1.0,
    report: Report | None = None,
) -> Path:
    """Download ``url`` to ``target``, going on where an earlier attempt stopped.

    What has come so far is kept in ``TARGET.part``; only when length and checksum are right does it become
    ``target``. A file with a wrong checksum is fetched once more from its start, then given up.

    Args:
        url: http or https; redirects are followed.
        target: where to put it; an existing file with the right checksum is left as it is.
        md5: expected checksum in hexadecimal; None: only the length that the server tells is checked.
        size: expected length in bytes.
        retries: how often a broken attempt is taken up again.
        wait: seconds before the first retry, doubled each time up to a minute.
        report: told the bytes so far and in all.

    Raises:
        RobenchError: no such address, retries used up, wrong length or checksum, no space, or not writable.
    """
    if not url.startswith(("http://", "https://")):
        raise RobenchError(f"{url} is no web address.", hint="Only http and https are fetched.")
    if target.is_file() and (md5 is None or file_md5(target) == md5):
        return target
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in ("first", "again"):
            _fetch_whole(url, part, size, retries, wait, report)
            found = _wrong(part, md5, size)
            if found is None:
                os.replace(part, target)
                return target
            part.unlink()  # bytes that were wrong once are not built upon
            if attempt == "again":
                raise RobenchError(
                    f"{url} does not hold the expected bytes: {found}.",
                    hint="The server's file or the way to it is broken; try later, or get the file elsewhere.",
                )
    except OSError as error:
        raise RobenchError(
            f"Cannot write {part}: {error.strerror or error}.",
            hint="Free space or choose another folder with ROBENCH_DATA; the same command goes on from here.",
        ) from error
    raise AssertionError("unreachable")


def require_space(folder: Path, needed: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Raises:
        RobenchError: fewer than ``needed`` bytes are free where ``folder`` is (or will be).
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise RobenchError(
            f"{folder} needs about {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free.",
            hint="Free space, or choose another folder with ROBENCH_DATA or --root.",
        )


def file_md5(path: Path) -> str:
    """Return the MD5 of a file in hexadecimal (what data records publish; not a defence against forgery)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _wrong(part: Path, md5: str | None, size: int | None) -> str | None:
    if size is not None and part.stat().st_size != size:
        return f"{part.stat().st_size:,} bytes instead of {size:,}"
    if md5 is not None and (found := file_md5(part)) != md5:
        return f"MD5 {found} instead of {md5}"
    return None


def _fetch_whole(url: str, part: Path, size: int | None, retries: int, wait: float, report: Report | None) -> None:
    """Call the server until everything has come; progress resets the count of failures."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if size is not None and before >= size:
            return
        try:
            _fetch_rest(url, part, report)
        except _TransientError as error:
            after = part.stat().st_size if part.exists() else 0
            failures = 0 if after > before + _CHUNK else failures + 1
            if failures > retries:
                raise RobenchError(
                    f"{url} broke off {failures} times in a row: {error}.",
                    hint=f"{after:,} bytes are kept; the same command goes on from there.",
                ) from error
            time.sleep(min(60.0, wait * 2 ** max(0, failures - 1)))
        else:
            return


def _fetch_rest(url: str, part: Path, report: Report | None) -> None:
    """Ask for what is missing and append it."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"robench/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            start = _start_of(response, have)
            length = response.headers.get("Content-Length")
            total = start + int(length) if length is not None and length.isdigit() else None
            require_space(part.parent, (total or 0) - start)
            _append(response, part, start, total, report)
    except urllib.error.HTTPError as error:
        _judge_status(error, url, part, have)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _TransientError(getattr(error, "reason", None) or repr(error)) from error


def _start_of(response: http.client.HTTPResponse, have: int) -> int:
    """Return where the answer's bytes begin: a server without ranges sends everything again."""
    if response.status != 206:
        return 0
    span = response.headers.get("Content-Range", "")
    first = span.removeprefix("bytes ").partition("-")[0]
    if first != str(have):
        raise _TransientError(f"the server answered with the wrong range '{span}'")
    return have


def _append(
    response: http.client.HTTPResponse, part: Path, start: int, total: int | None, report: Report | None
) -> None:
    with open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        done = start
        while True:
            try:
                chunk = response.read1(_CHUNK)
            except (http.client.HTTPException, OSError) as error:  # OSError: no route, a broken TLS record
                raise _TransientError(repr(error)) from error
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            if report is not None:
                report(done, total)
        file.truncate(done)
    if total is not None and done < total:
        raise _TransientError(f"{done:,} of {total:,} bytes came")


def _judge_status(error: urllib.error.HTTPError, url: str, part: Path, have: int) -> None:
    """Tell apart what may pass, what the user must change, and a file that is there already."""
    if error.code == 416 and have:
        total = error.headers.get("Content-Range", "").rpartition("/")[2]
        if total == str(have):
            return
        part.unlink()  # longer than the server's file: not the same file
        raise _TransientError("what was there before did not fit the server's file") from error
    if error.code in (408, 425, 429) or error.code >= 500:
        raise _TransientError(f"the server answered {error.code} {error.reason}") from error
    raise RobenchError(
        f"{url} answered {error.code} {error.reason}.", hint="Check the address in a browser; the set may have moved."
    ) from error
