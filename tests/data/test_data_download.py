"""Downloads against a real server that misbehaves, and archives that would do harm."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robench.data.archive import unpack
from robench.data.catalogue import Entry, RemoteFile, catalogue, data_root, installed
from robench.data.download import download
from robench.data.install import install, verify
from robench.errors import RobenchError
from robench.files import require_space

BODY = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(BODY).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``behave`` may answer a request in its own way."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/set.bin": BODY}
        self.requests: list[tuple[str, str | None]] = []
        self.behave: Callable[[Handler], bool] = lambda handler: False

    def url(self, path: str = "/set.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Range")))
        if not self.server.behave(self):
            self.answer(ranges=True)

    def answer(self, *, ranges: bool, body: bytes | None = None, send: int | None = None) -> None:
        """Answer properly, except for what is asked: no ranges, another body, or only ``send`` bytes of it."""
        data = body if body is not None else self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        start = 0
        span = self.headers.get("Range")
        if ranges and span:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        stop = len(data) if send is None else min(len(data), start + send)
        self.wfile.write(data[start:stop])
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def fetch(server: Server, target: Path, path: str = "/set.bin", **options: object) -> Path:
    return download(server.url(path), target, **{"wait": 0.0, "md5": MD5, "size": len(BODY), **options})


def test_a_file_is_fetched_once_and_reported(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = fetch(server, tmp_path / "a" / "set.bin", report=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    fetch(server, target)
    assert len(server.requests) == 1
    assert [p.name for p in target.parent.iterdir()] == ["set.bin"]


def test_dropped_connections_are_taken_up_where_they_broke(server: Server, tmp_path: Path) -> None:
    server.behave = lambda handler: handler.answer(ranges=True, send=1_100_000) is None
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
    assert [span for _, span in server.requests] == [None, "bytes=1100000-", "bytes=2200000-"]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    def behave(handler: Handler) -> bool:
        handler.answer(ranges=False, send=500_000 if len(server.requests) == 1 else None)
        return True

    server.behave = behave
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
    assert len(server.requests) == 2


def test_an_interrupted_run_is_taken_up_by_the_next(server: Server, tmp_path: Path) -> None:
    server.behave = lambda handler: handler.answer(ranges=True, send=1000) is None
    with pytest.raises(RobenchError, match="broke off 3 times in a row") as caught:
        fetch(server, tmp_path / "set.bin", retries=2)
    assert "the same command goes on from there" in str(caught.value)
    assert not (tmp_path / "set.bin").exists()
    server.behave = lambda handler: False
    server.requests.clear()
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
    assert server.requests == [("/set.bin", "bytes=3000-")]


def test_wrong_bytes_are_fetched_once_more_and_then_refused(server: Server, tmp_path: Path) -> None:
    wrong = bytes(len(BODY))

    def behave(handler: Handler) -> bool:
        handler.answer(ranges=True, body=wrong if len(server.requests) == 1 else BODY)
        return True

    server.behave = behave
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
    server.behave = lambda handler: handler.answer(ranges=True, body=wrong) is None
    with pytest.raises(RobenchError, match=f"does not hold the expected bytes: MD5 .* instead of {MD5}"):
        fetch(server, tmp_path / "other.bin")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.bin"]


def test_a_damaged_beginning_is_not_built_upon(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.bin.part").write_bytes(b"x" * 1000)
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
    assert [span for _, span in server.requests] == ["bytes=1000-", None]


def test_a_beginning_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set.bin.part").write_bytes(bytes(len(BODY) + 10))
    assert fetch(server, tmp_path / "set.bin", size=None).read_bytes() == BODY


def test_a_truncated_file_on_the_server_is_refused(server: Server, tmp_path: Path) -> None:
    server.files["/set.bin"] = BODY[:1000]
    with pytest.raises(RobenchError, match=r"broke off|1,000 bytes instead of 3,000,000|MD5"):
        fetch(server, tmp_path / "set.bin", retries=1)
    assert not (tmp_path / "set.bin").exists()


def test_redirects_are_followed_but_not_to_files(server: Server, tmp_path: Path) -> None:
    def behave(handler: Handler) -> bool:
        places = {"/old": server.url(), "/evil": "file:///etc/passwd"}
        if handler.path not in places:
            return False
        handler.send_response(302)
        handler.send_header("Location", places[handler.path])
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    server.behave = behave
    assert fetch(server, tmp_path / "set.bin", "/old").read_bytes() == BODY
    with pytest.raises(RobenchError, match="302"):
        fetch(server, tmp_path / "passwd", "/evil", md5=None, size=None)
    with pytest.raises(RobenchError, match="not a web address"):
        download("file:///etc/passwd", tmp_path / "passwd")


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: Server, tmp_path: Path) -> None:
    def behave(handler: Handler) -> bool:
        if len(server.requests) > 2:
            return False
        handler.send_error(503)
        return True

    server.behave = behave
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
    server.requests.clear()
    server.behave = lambda handler: False
    with pytest.raises(RobenchError, match="answered 404"):
        fetch(server, tmp_path / "gone", "/gone")
    assert len(server.requests) == 1


def test_what_does_not_fit_the_disk_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(RobenchError, match=r"needs about 1,000,000 TB; .* too few"):
        require_space(tmp_path / "not" / "yet", 10**18)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder_is_said(server: Server, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RobenchError, match="Cannot write"):
        fetch(server, tmp_path / "set.bin")


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let no file grow beyond 100 kB: the write fails as on a full disk."""
    resource = pytest.importorskip("resource", reason="limits on files are Unix's")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_what_came_is_kept(server: Server, tmp_path: Path, small_disk: None) -> None:
    with pytest.raises(RobenchError, match=r"Cannot write .*set\.bin\.part"):
        fetch(server, tmp_path / "set.bin")
    assert not (tmp_path / "set.bin").exists()


def test_unpacking_onto_a_full_disk_leaves_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    archive = make_tar(tmp_path / "set.tar", [("a/b", BODY[:300_000])])
    request.getfixturevalue("small_disk")
    with pytest.raises(RobenchError, match="Cannot unpack"):
        unpack([archive], tmp_path / "set")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.tar"]


def test_a_place_that_is_no_folder_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RobenchError, match="Cannot write"):
        fetch(server, tmp_path / "file" / "set.bin")


def make_tar(path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HARM = {
    "up": [("../evil", b"x")],
    "deep up": [("a/../../evil", b"x")],
    "absolute": [("/tmp/evil", b"x")],
    "drive": [("C:/evil", b"x")],
    "backslash": [("..\\evil", b"x")],
    "link": [link("a", "/etc")],
    "write through a link": [link("a", ".."), ("a/evil", b"x")],
    "hard link": [link("a", "/etc/passwd", tarfile.LNKTYPE)],
    "pipe": [link("a", "", tarfile.FIFOTYPE)],
    "twice": [("a", b"x"), ("./a", b"y")],
}


@pytest.mark.parametrize("members", HARM.values(), ids=HARM.keys())
def test_a_harmful_archive_leaves_nothing(members: list, tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "evil.tar", [("good", b"g"), *members])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RobenchError, match=r"evil\.tar holds"):
        unpack([archive], tmp_path / "inner" / "set")
    assert sorted(p for p in tmp_path.iterdir() if p.name != "inner") == before
    assert list((tmp_path / "inner").iterdir()) == []


def test_bombs_are_refused(tmp_path: Path) -> None:
    packed = make_tar(tmp_path / "bomb.tar.gz", [("zeros", bytes(40_000_000))])
    assert packed.stat().st_size < 100_000
    with pytest.raises(RobenchError, match="100 times its size"):
        unpack([packed], tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(40_000_000))
    with pytest.raises(RobenchError, match="100 times its size"):
        unpack([tmp_path / "bomb.zip"], tmp_path / "set")


def test_a_zip_with_a_link_or_a_way_out_is_refused(tmp_path: Path) -> None:
    for name, mode in (("../evil", stat.S_IFREG), ("a", stat.S_IFLNK)):
        info = zipfile.ZipInfo(name)
        info.external_attr = (mode | 0o644) << 16
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr(info, "/etc/passwd")
        with pytest.raises(RobenchError, match=r"evil\.zip holds"):
            unpack([tmp_path / "evil.zip"], tmp_path / "set")


@pytest.mark.parametrize("keep", [100, 5000])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, keep: int) -> None:
    archive = make_tar(tmp_path / "set.tar", [("a/b", BODY[:20_000])])
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(RobenchError, match="damaged"):
        unpack([archive], tmp_path / "set")
    assert not (tmp_path / "set").exists()


def entry(server: Server, tmp_path: Path, **more: object) -> Entry:
    packed = make_tar(tmp_path / "small.tar", [("small/labels.npy", b"labels"), ("small/fog.npy", BODY[:9000])])
    server.files["/small.tar"] = packed.read_bytes()
    md5 = hashlib.md5(packed.read_bytes()).hexdigest()
    file = RemoteFile(url=server.url("/small.tar"), size=packed.stat().st_size, exact=True, md5=md5)
    return Entry(name="small", title="", licence="", source="", folder="small", files=[file], **more)


def test_a_set_is_installed_whole_and_verified(server: Server, tmp_path: Path) -> None:
    known = entry(server, tmp_path)
    root = tmp_path / "root"
    folder = install(known, root, wait=0)
    assert (folder / "small" / "fog.npy").read_bytes() == BODY[:9000]
    assert installed("small", root) == folder
    assert list(verify(folder)) == []
    assert install(known, root, wait=0) == folder
    assert len(server.requests) == 1
    (folder / "small" / "fog.npy").write_bytes(b"?" + BODY[1:9000])
    (folder / "small" / "labels.npy").unlink()
    found = "\n".join(verify(folder))
    assert "labels.npy: missing" in found
    assert "fog.npy: wrong checksum" in found


def test_a_packed_set_stays_packed(server: Server, tmp_path: Path) -> None:
    folder = install(entry(server, tmp_path, packed=True), tmp_path / "root", wait=0)
    assert (folder / "small.tar").is_file()
    assert list(verify(folder)) == []
    (folder / "small.tar").write_bytes(b"short")
    assert "5 bytes instead of" in next(verify(folder))


def test_a_users_own_copy_is_verified_by_the_catalogue(server: Server, tmp_path: Path) -> None:
    contents = {"fog.npy": hashlib.md5(b"fog").hexdigest(), "snow.npy": hashlib.md5(b"snow").hexdigest()}
    known = entry(server, tmp_path, contents=contents)
    own = tmp_path / "own"
    own.mkdir()
    (own / "fog.npy").write_bytes(b"fog")
    assert list(verify(own, known)) == [f"{own / 'snow.npy'}: missing."]
    (own / "snow.npy").write_bytes(b"rain")
    assert list(verify(own, known)) == [f"{own / 'snow.npy'}: wrong checksum."]
    with pytest.raises(RobenchError, match="Nothing is known"):
        list(verify(own))


def test_a_damaged_list_is_said(server: Server, tmp_path: Path) -> None:
    folder = install(entry(server, tmp_path), tmp_path / "root", wait=0)
    (folder / ".robench-files.tsv.gz").write_bytes(gzip.compress(b"x")[:8])
    with pytest.raises(RobenchError, match="is damaged"):
        list(verify(folder))


def test_the_catalogue_is_sound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, known in catalogue().items():
        assert known.files, name
        for file in known.files:
            assert file.url.startswith(("https://", "http://")), name
            assert file.md5 is None or len(file.md5) == 32
            assert file.size is not None or not file.exact
    assert len(catalogue()["cifar10-c"].contents) == 20
    assert catalogue()["cifar10-c"].contents["fog.npy"] == "7b397314b5670f825465fbcd1f6e9ccd"
    monkeypatch.setenv("ROBENCH_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("ROBENCH_DATA")
    assert data_root().name == "data"


def test_a_compressed_archive_is_read_to_its_checksum(tmp_path: Path) -> None:
    plain = make_tar(tmp_path / "set.tar", [("set/a.bin", os.urandom(50_000))]).read_bytes()
    packed = bytearray(gzip.compress(plain, 0))
    packed[25_000] ^= 255  # within the file's bytes: the archive's structure stays whole
    broken = tmp_path / "broken.tar.gz"
    broken.write_bytes(packed)
    with pytest.raises(RobenchError, match="is damaged"):
        unpack([broken], tmp_path / "out")
    packed = bytearray(gzip.compress(b"text, which shrinks " * 10_000))
    packed[len(packed) // 2] ^= 255
    broken.write_bytes(packed)
    with pytest.raises(RobenchError, match="is damaged"):
        unpack([broken], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_archives_that_are_missing_and_files_unpacked_beside_them_are_verified(tmp_path: Path) -> None:
    checksum = hashlib.md5(b"tar", usedforsecurity=False).hexdigest()
    files = [RemoteFile(url=f"https://host/{name}.tar", md5=checksum) for name in ("noise", "blur")]
    known = Entry(name="set", title="", licence="", source="", files=files, contents={"a.npy": checksum})
    (tmp_path / "noise.tar").write_bytes(b"tar")
    assert list(verify(tmp_path, known)) == [f"{tmp_path / 'blur.tar'}: missing."]
    (tmp_path / "a.npy").write_bytes(b"changed")
    assert list(verify(tmp_path, known))[1:] == [f"{tmp_path / 'a.npy'}: wrong checksum."]


def test_a_network_that_goes_away_within_the_bytes_is_tried_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read1, calls = http.client.HTTPResponse.read1, []

    def flaky(response: http.client.HTTPResponse, amount: int = -1) -> bytes:
        calls.append(amount)
        if len(calls) == 1:
            raise OSError(113, "No route to host")
        return read1(response, amount)

    monkeypatch.setattr(http.client.HTTPResponse, "read1", flaky)
    assert fetch(server, tmp_path / "set.bin").read_bytes() == BODY
