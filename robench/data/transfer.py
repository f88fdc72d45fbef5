"""One request for a file or the rest of it, and what its failure means: try again, another host, or the user's turn."""

from __future__ import annotations

import email.utils
import errno
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from robench._version import __version__
from robench.errors import RobenchError
from robench.files import parse_document, require_space

Report = Callable[[int, int | None], None]
CHUNK = 1 << 20
CONNECT_TIMEOUT = 15.0
_STALL_TIMEOUT = 30.0  # seconds without a byte
_SLOW_WINDOW = 60.0  # seconds in which fewer bytes than this are as good as none
_SLOW_BYTES = 60 << 10
_NO_NETWORK = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNREFUSED}
_OFTEN_PASSES = {408, 425, 429}


class TransientError(Exception):
    """Something that may be better next time: a dropped connection, a busy server.

    Attributes:
        unreachable: the host was not reached at all, which waiting seldom mends.
        after: seconds that the server asks to wait, or None.
    """

    def __init__(self, said: str, *, unreachable: bool = False, after: float | None = None) -> None:
        super().__init__(said)
        self.unreachable, self.after = unreachable, after


class HostError(Exception):
    """This host does not give the file; ``hint`` is the user's next step where no other does."""

    def __init__(self, said: str, hint: str) -> None:
        super().__init__(said)
        self.hint = hint


def fetch_rest(url: str, part: Path, report: Report | None, *, checked: bool) -> None:
    """Ask for what is missing of ``part`` and append it.

    A server that can say whether its file is still the one that was begun (ETag, Last-Modified) is asked for the rest
    only if it is. Where it cannot, and no checksum is known that would show the mixture of two files, all is fetched
    again.

    Args:
        url: http or https; redirects are followed.
        part: what has come so far.
        report: told the bytes so far and in all.
        checked: whether a checksum of the whole is known.

    Raises:
        TransientError: worth another try.
        HostError: not from this host.
        RobenchError: no room on the disk.
        OSError: ``part`` cannot be written.
    """
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"robench/{__version__}"})
    validator = _validator_of(part, url)
    if have and (validator or checked):
        request.add_header("Range", f"bytes={have}-")
        if validator:
            request.add_header("If-Range", validator)
    else:
        have = 0
    try:
        with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT) as response:
            _set_timeout(response)
            start = _start_of(response, have)
            length = response.headers.get("Content-Length")
            total = start + int(length) if length is not None and length.isdigit() else None
            require_space(part.parent, (total or 0) - start)
            _remember(part, url, response.headers)
            _append(response, part, start, total, report)
    except urllib.error.HTTPError as error:
        _judge_status(error, part, have)
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ValueError) as error:
        raise _judge_connection(error, url) from error


def side_file(part: Path) -> Path:
    """Return the file in which a part's origin is remembered."""
    return part.with_name(part.name + ".origin")


def _judge_connection(error: Exception, url: str) -> TransientError | HostError:
    """Tell apart an address that cannot be used, a host that is not reached, and a connection that broke."""
    host = urlsplit(url).hostname
    reason = getattr(error, "reason", None) or error
    if isinstance(error, http.client.InvalidURL | ValueError) and not isinstance(error, TimeoutError):
        return HostError(
            f"{host} redirects to an address that cannot be used ({reason})",
            "The set may have moved; look for it at its source ('robench data info NAME').",
        )
    if isinstance(reason, socket.gaierror):
        return TransientError(f"no address is known for {host} ({reason.strerror})", unreachable=True)
    if isinstance(reason, OSError) and (reason.errno in _NO_NETWORK or isinstance(reason, TimeoutError)):
        return TransientError(f"{host} cannot be reached ({reason.strerror or reason})", unreachable=True)
    return TransientError(str(getattr(reason, "strerror", None) or reason) or repr(reason))


def _judge_status(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    """Tell apart what may pass, what the user must change, and a file that is there already."""
    code, answer = error.code, f"the server answered {error.code} {error.reason}"
    if code == 416 and have:
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return
        part.unlink()  # longer than the server's file: not the same file
        raise TransientError("what was there before did not fit the server's file") from error
    if code in _OFTEN_PASSES or code >= 500:
        said = {
            429: "the server asks for fewer requests (429)",
            503: "the server is busy or down for the moment (503)",
        }.get(code, f"the server reports an internal error ({code} {error.reason})" if code >= 500 else answer)
        raise TransientError(said, after=_retry_after(error.headers.get("Retry-After"))) from error
    hint = "Check the address in a browser; the set may have moved. Another host can be given with `mirror`."
    if code in (401, 403, 451):
        hint = "It needs a login, or refuses this network: download it with a browser and give it in `data`."
    raise HostError(answer, hint) from error


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number, or a date."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    with suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _set_timeout(response: Any) -> None:
    """Wait longer for bytes than for a connection."""
    with suppress(AttributeError):
        response.fp.raw._sock.settimeout(_STALL_TIMEOUT)


def _start_of(response: http.client.HTTPResponse, have: int) -> int:
    """Return where the answer's bytes begin: a server without ranges, or with a new file, sends everything."""
    if response.status != 206:
        return 0
    span = response.headers.get("Content-Range", "")
    first = span.removeprefix("bytes ").partition("-")[0]
    if first != str(have):
        raise TransientError(f"the server answered with the wrong range '{span}'")
    return have


def _append(
    response: http.client.HTTPResponse, part: Path, start: int, total: int | None, report: Report | None
) -> None:
    with open(part, "r+b" if start else "wb") as file:
        file.seek(start)
        done = mark = start
        since = time.monotonic()
        while True:
            try:
                chunk = response.read1(CHUNK)
            except (http.client.HTTPException, OSError) as error:  # OSError: no route, a broken TLS record
                raise TransientError(str(getattr(error, "strerror", None) or repr(error))) from error
            if not chunk:
                break
            file.write(chunk)
            done += len(chunk)
            if report is not None:
                report(done, total)
            if (spent := time.monotonic() - since) > _SLOW_WINDOW:
                if done - mark < _SLOW_BYTES:
                    raise TransientError(f"only {done - mark:,} bytes came in {spent:.0f} seconds")
                mark, since = done, time.monotonic()
        file.truncate(done)
    if total is not None and done < total:
        raise TransientError(f"{done:,} of {total:,} bytes came")


def _remember(part: Path, url: str, headers: Any) -> None:
    """Keep what tells the server's file from a later one of the same address."""
    tag = headers.get("ETag")
    strong = tag if tag and not tag.startswith("W/") else None  # a weak one does not stand for equal bytes
    side_file(part).write_text(json.dumps({"url": url, "validator": strong or headers.get("Last-Modified")}))


def _validator_of(part: Path, url: str) -> str | None:
    """Return what the part's beginning was marked with, if it came from this address."""
    try:
        known = parse_document(side_file(part).read_bytes(), str(side_file(part)), "origin of a download")
    except (OSError, RobenchError):
        return None
    value = known.get("validator")
    return value if known.get("url") == url and isinstance(value, str) and "\n" not in value else None
