"""Hosts that fail in every way: each is told in its own words, in time, and another host is asked."""

from __future__ import annotations

import email.utils
import hashlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robench.data import transfer
from robench.data.catalogue import Entry, RemoteFile, mirrors
from robench.data.download import download
from robench.data.install import install
from robench.errors import RobenchError

BODY = np.random.default_rng(1).bytes(2_500_000)
MD5 = hashlib.md5(BODY).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Answers by ``behave``; else serves ``body`` with ranges and an ETag that follows it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.validator: str | None = None
        self.requests: list[dict[str, str]] = []
        self.behave: Callable[[Handler], bool] = lambda handler: False

    def url(self, path: str = "/set.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append({"path": self.path, **dict(self.headers)})
        if not self.server.behave(self):
            self.answer()

    def answer(self, send: int | None = None) -> None:
        body, tag, span = self.server.body, self.server.validator, self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, tag)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and same else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if tag:
            self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : None if send is None else start + send])

    def refuse(self, code: int, **headers: str) -> bool:
        self.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        return True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def other() -> Iterator[Server]:
    running = Server()
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def nobody() -> str:
    """An address of this machine at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/set.bin"


# Several hosts


def test_the_next_host_is_asked_when_one_fails_and_the_pause_is_told(
    server: Server, other: Server, tmp_path: Path
) -> None:
    server.behave = lambda handler: handler.refuse(404)
    told: list[str] = []
    hosts = [server.url(), nobody(), other.url()]
    assert download(hosts, tmp_path / "set.bin", md5=MD5, wait=0, notify=told.append).read_bytes() == BODY
    assert f"{server.url()}: the server answered 404 Not Found. Trying {hosts[1]}." in told
    assert any("cannot be reached (Connection refused)" in text for text in told)


def test_a_beginning_of_one_host_is_ended_by_another_where_a_checksum_shows_the_whole(
    server: Server, other: Server, tmp_path: Path
) -> None:
    server.behave = lambda handler: (
        handler.answer(1_200_000) is None if len(server.requests) == 1 else handler.refuse(404)
    )
    download([server.url(), other.url()], tmp_path / "set.bin", md5=MD5, wait=0)
    assert other.requests[0]["Range"] == "bytes=1200000-"
    assert "If-Range" not in other.requests[0]


def test_all_hosts_are_named_where_none_gives_the_file(server: Server, other: Server, tmp_path: Path) -> None:
    server.behave = lambda handler: handler.refuse(404)
    other.body = b"another file"
    with pytest.raises(RobenchError, match=r"(?s)No host gave the file:.*answered 404.*expected bytes: MD5") as caught:
        download([server.url(), other.url()], tmp_path / "set.bin", md5=MD5, wait=0)
    assert server.url() in str(caught.value)
    assert other.url() in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_mirrors_of_the_user_and_of_the_catalogue(
    server: Server, other: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry(
        name="small", title="", licence="", source="", packed=True,
        files=[RemoteFile(url=nobody(), md5=MD5, mirrors=[other.url("/spare/set.bin")])],
    )  # fmt: skip
    install(entry, tmp_path / "a", mirror=[server.url("/mirror/")], wait=0)
    assert [one["path"] for one in server.requests] == ["/mirror/small/set.bin"]
    monkeypatch.setenv("ROBENCH_MIRROR", f" {server.url('/of-env')} ,,")
    assert mirrors() == [server.url("/of-env")]
    install(entry, tmp_path / "b", wait=0)
    assert server.requests[-1]["path"] == "/of-env/small/set.bin"
    monkeypatch.delenv("ROBENCH_MIRROR")
    install(entry, tmp_path / "c", wait=0)
    assert [one["path"] for one in other.requests] == ["/spare/set.bin"]


# No network


def test_without_a_network_the_message_comes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_names(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_names)
    began = time.monotonic()
    with pytest.raises(RobenchError, match=r"no address is known for zenodo\.org") as caught:
        download("https://zenodo.org/set.bin", tmp_path / "set.bin")
    assert time.monotonic() - began < 10
    assert "Check the network" in str(caught.value)
    assert "`mirror`" in str(caught.value)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match="cannot be reached"):
        download(nobody(), tmp_path / "set.bin", wait=0)


# What a status means


@pytest.mark.parametrize(
    ("code", "said", "hint"),
    [
        (429, "the server asks for fewer requests", "Try again later"),
        (503, "busy or down for the moment", "Try again later"),
        (500, "an internal error .500", "Try again later"),
        (502, "an internal error .502", "Try again later"),
        (404, "answered 404", "may have moved"),
        (410, "answered 410", "may have moved"),
        (403, "answered 403", "`data`"),
        (401, "answered 401", "needs a login"),
    ],
)
def test_each_status_has_its_words(code: int, said: str, hint: str, server: Server, tmp_path: Path) -> None:
    server.behave = lambda handler: handler.refuse(code)
    with pytest.raises(RobenchError, match=said) as caught:
        download(server.url(), tmp_path / "set.bin", wait=0, retries=1)
    assert hint in str(caught.value)
    assert len(server.requests) == (2 if code in (429, 500, 502, 503) else 1)


def test_the_pause_that_a_server_asks_for_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("robench.data.download.time.sleep", pauses.append)
    asked = ["7", email.utils.formatdate(time.time() + 90, usegmt=True), "nonsense"]
    server.behave = lambda handler: (
        handler.refuse(429, Retry_After=asked[len(server.requests) - 1]) if len(server.requests) <= 3 else False
    )
    told: list[str] = []
    download(server.url(), tmp_path / "set.bin", md5=MD5, notify=told.append)
    assert pauses[0] == 7
    assert 80 < pauses[1] <= 90
    assert pauses[2] == 4
    assert told[0] == "The server asks for fewer requests (429). Trying again in 7 s."
    server.requests.clear()
    server.behave = lambda handler: handler.refuse(503, Retry_After="3600")
    with pytest.raises(RobenchError, match=r"busy or down for the moment \(503\), for 60 minutes"):
        download(server.url(), tmp_path / "other.bin", md5=MD5)
    assert len(server.requests) == 1


# Slow and changing files


def test_a_file_that_only_drips_is_given_up(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_SLOW_WINDOW", 0.2)

    def drip(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        for start in range(40):
            handler.wfile.write(BODY[start : start + 1])
            handler.wfile.flush()
            time.sleep(0.05)
        return True

    server.behave = drip
    with pytest.raises(RobenchError, match=r"broke off 2 times in a row, last because only \d bytes came in 0 seconds"):
        download(server.url(), tmp_path / "set.bin", wait=0, retries=1)


def test_a_file_that_changes_between_two_ranges_is_begun_again(server: Server, tmp_path: Path) -> None:
    new = BODY[::-1]
    server.validator = '"one"'

    def change(handler: Handler) -> bool:
        if len(server.requests) == 1:
            handler.answer(1_000_000)
            server.body, server.validator = new, '"two"'
            return True
        return False

    server.behave = change
    assert download(server.url(), tmp_path / "set.bin", wait=0).read_bytes() == new
    assert server.requests[1]["If-Range"] == '"one"'
    assert [p.name for p in tmp_path.iterdir()] == ["set.bin"]


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_without_checksum_and_validator_nothing_is_put_together(
    tag: str | None, server: Server, tmp_path: Path
) -> None:
    server.validator = tag
    server.behave = lambda handler: handler.answer(1_000_000) is None if len(server.requests) == 1 else False
    assert download(server.url(), tmp_path / "set.bin", wait=0).read_bytes() == BODY
    assert "Range" not in server.requests[1]


def test_a_made_up_record_of_the_origin_does_no_harm(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "set.bin.part"
    for text in ("{", "[]", json.dumps({"url": server.url(), "validator": "a\r\nX: y"}), '{"validator": 5}'):
        part.write_bytes(BODY[:100])
        (tmp_path / "set.bin.part.origin").write_text(text)
        assert download(server.url(), tmp_path / "set.bin", wait=0).read_bytes() == BODY
        (tmp_path / "set.bin").unlink()
        assert "X" not in server.requests[-1]


@pytest.mark.parametrize(
    "location", ["http://[bad", "http://127.0.0.1:port/", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/"]
)
def test_a_redirect_to_nowhere_is_said(location: str, server: Server, tmp_path: Path) -> None:
    server.behave = lambda handler: handler.refuse(302, Location=location)
    with pytest.raises(RobenchError) as caught:
        download(server.url(), tmp_path / "set.bin", wait=0, retries=1)
    assert "redirect" in str(caught.value) or "302" in str(caught.value) or "reached" in str(caught.value)


def test_redirects_in_a_circle_end(server: Server, tmp_path: Path) -> None:
    server.behave = lambda handler: handler.refuse(302, Location=server.url())
    with pytest.raises(RobenchError, match="302"):
        download(server.url(), tmp_path / "set.bin", wait=0, retries=1)


# The folder of all sets


def small(server: Server) -> Entry:
    file = RemoteFile(url=server.url(), md5=MD5, size=len(BODY), exact=True)
    return Entry(name="small", title="", licence="", source="", packed=True, files=[file])


def test_a_lock_that_cannot_be_taken_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".small.lock").mkdir()
    with pytest.raises(RobenchError, match=r"Cannot lock .*\.small\.lock"):
        install(small(server), tmp_path, wait=0)
    (tmp_path / ".small.lock").rmdir()
    folder = install(small(server), tmp_path, wait=0)
    (tmp_path / ".small.lock").unlink(missing_ok=True)
    (tmp_path / ".small.lock").mkdir()
    assert install(small(server), tmp_path, wait=0) == folder  # nothing to do needs no lock


def test_who_waits_for_another_process_says_so(server: Server, tmp_path: Path) -> None:
    from filelock import FileLock

    held = FileLock(str(tmp_path / ".small.lock"), thread_local=False)
    held.acquire()
    told: list[str] = []

    def note(text: str) -> None:
        told.append(text)
        held.release()

    install(small(server), tmp_path, wait=0, notify=note)
    assert told == ["Another process is downloading small; waiting for it."]


def test_what_a_killed_unpacking_left_is_removed(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".small.abc.part" / "small").mkdir(parents=True)
    (tmp_path / ".smaller.abc.part").mkdir()
    install(small(server), tmp_path, wait=0)
    assert not (tmp_path / ".small.abc.part").exists()
    assert (tmp_path / ".smaller.abc.part").exists()
