"""Downloads that survive broken connections and end with the right bytes or not at all."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from robench.data.transfer import CHUNK, HostError, Report, TransientError, fetch_rest, side_file
from robench.errors import RobenchError

__all__ = ["Notify", "Report", "download", "file_md5"]

Notify = Callable[[str], None]
_LONGEST_WAIT = 60.0
_LONGEST_ASKED = 120.0  # seconds; a server that asks for more is left
_UNREACHABLE_TRIES = 2


class _GaveUpError(Exception):
    """All tries with one host are used up."""

    def __init__(self, said: str, hint: str) -> None:
        super().__init__(said)
        self.hint = hint


def download(
    urls: str | Sequence[str],
    target: Path,
    *,
    md5: str | None = None,
    size: int | None = None,
    retries: int = 8,
    wait: float = 1.0,
    report: Report | None = None,
    notify: Notify | None = None,
) -> Path:
    """Download a file to ``target``, going on where an earlier attempt stopped.

    What has come so far is kept in ``TARGET.part``; only when length and checksum are right does it become
    ``target``. A file with a wrong checksum is fetched once more from its start, then the next host is asked.

    Args:
        urls: http or https addresses of the same file, tried in this order; redirects are followed.
        target: where to put it; an existing file with the right checksum is left as it is.
        md5: expected checksum in hexadecimal; None: only the length that the server tells is checked.
        size: expected length in bytes.
        retries: how often a broken attempt is taken up again, at each host. A host that cannot be reached at all is
            left after two more tries.
        wait: seconds before the first retry, doubled each time up to a minute; a server's own wish goes first.
        report: told the bytes so far and in all.
        notify: told, in a sentence, why there is a pause or another host.

    Raises:
        RobenchError: no such address, retries used up, wrong length or checksum, no space, or not writable.
    """
    hosts = [urls] if isinstance(urls, str) else list(urls)
    for url in hosts:
        if not url.startswith(("http://", "https://")):
            raise RobenchError(f"{url} is not a web address.", hint="Only http and https are fetched.")
    if target.is_file() and (md5 is None or file_md5(target) == md5):
        return target
    part = target.with_name(target.name + ".part")
    told = notify or (lambda text: None)
    problems: list[tuple[str, str, str]] = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for url in hosts:
            if problems:
                told(f"{problems[-1][0]}: {problems[-1][1]}. Trying {url}.")
            try:
                _from_host(url, part, md5, size, _Patience(retries, wait, told), report)
            except (HostError, _GaveUpError) as error:
                problems.append((url, str(error), error.hint))
                continue
            os.replace(part, target)
            side_file(part).unlink(missing_ok=True)
            return target
    except OSError as error:
        raise RobenchError(
            f"Cannot write {part}: {error.strerror or error}.",
            hint="Free space or choose another folder with ROBENCH_DATA; the same command goes on from here.",
        ) from error
    raise _in_words(problems)


def file_md5(path: Path) -> str:
    """Return the MD5 of a file in hexadecimal (what data records publish; not a defence against forgery)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _in_words(problems: list[tuple[str, str, str]]) -> RobenchError:
    url, said, hint = problems[-1]
    if len(problems) == 1:
        return RobenchError(f"{url}: {said}.", hint=hint)
    lines = "\n".join(f"  {one}: {reason}" for one, reason, _ in problems)
    return RobenchError(f"No host gave the file:\n{lines}", hint=hint)


def _from_host(
    url: str, part: Path, md5: str | None, size: int | None, patience: _Patience, report: Report | None
) -> None:
    """Bring the whole file from one host into ``part``."""
    for attempt in ("first", "again"):
        _fetch_whole(url, part, size, md5 is not None, patience, report)
        found = _wrong(part, md5, size)
        if found is None:
            return
        part.unlink()  # bytes that were wrong once are not built upon
        side_file(part).unlink(missing_ok=True)
        if attempt == "again":
            raise HostError(
                f"it does not hold the expected bytes: {found}",
                "The server's file or the way to it is broken; try later, or get the file elsewhere (`mirror`).",
            )


def _wrong(part: Path, md5: str | None, size: int | None) -> str | None:
    if size is not None and part.stat().st_size != size:
        return f"{part.stat().st_size:,} bytes instead of {size:,}"
    if md5 is not None and (found := file_md5(part)) != md5:
        return f"MD5 {found} instead of {md5}"
    return None


def _fetch_whole(
    url: str, part: Path, size: int | None, checked: bool, patience: _Patience, report: Report | None
) -> None:
    """Call the server until everything has come."""
    while True:
        before = part.stat().st_size if part.exists() else 0
        if size is not None and before >= size:
            return
        try:
            fetch_rest(url, part, report, checked=checked)
            return
        except TransientError as error:
            after = part.stat().st_size if part.exists() else 0
            patience.spend(error, progress=after > before + CHUNK, kept=after)


class _Patience:
    """Counts the failures in a row at one host, and waits between them; progress resets the count."""

    def __init__(self, retries: int, wait: float, told: Notify) -> None:
        self.retries, self.wait, self.told = retries, wait, told
        self.failures = 0

    def spend(self, error: TransientError, *, progress: bool, kept: int) -> None:
        """Wait before the next try.

        Raises:
            _GaveUpError: there is none.
        """
        self.failures = 0 if progress else self.failures + 1
        resumes = f"{kept:,} bytes are kept; the same command goes on from there." if kept else "Try again later."
        if error.after is not None and error.after > _LONGEST_ASKED:
            raise _GaveUpError(f"{error}, for {error.after / 60:.0f} minutes", resumes)
        if error.unreachable and self.failures > min(self.retries, _UNREACHABLE_TRIES):
            hint = "Check the network; behind a proxy set HTTPS_PROXY, and `mirror` gives another host."
            raise _GaveUpError(str(error), f"{hint} {resumes}" if kept else hint)
        if self.failures > self.retries:
            raise _GaveUpError(f"broke off {self.failures} times in a row, last because {error}", resumes)
        pause = min(_LONGEST_WAIT, self.wait * 2 ** max(0, self.failures - 1))
        pause = pause if error.after is None else max(pause, error.after)
        self.told(f"{str(error)[:1].upper()}{str(error)[1:]}. Trying again in {pause:.0f} s.")
        time.sleep(pause)
