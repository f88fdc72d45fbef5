"""Files are written whole or not at all, never over a device; documents that anybody may have made are read safely."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from robench import files
from robench.errors import RobenchError
from robench.files import atomic_write, parse_document, read_document, remove_leftovers, write_json


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_swept", set())


def write(path: Path, data: bytes = b"new") -> None:
    with atomic_write(path, own=True) as file:  # what may be replaced is tested in test_replacing.py
        file.write(data)


# Writing


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write(path, b"old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(TypeError), atomic_write(path) as file:
        file.write("text, not bytes")
    assert path.read_bytes() == b"old"
    write(path)
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    target, link = tmp_path / "place" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    (tmp_path / "dangling").symlink_to(tmp_path / "place" / "made")
    write(tmp_path / "dangling")
    assert (tmp_path / "place" / "made").read_bytes() == b"new"


def test_a_device_is_written_to_and_never_replaced() -> None:
    before = os.stat("/dev/null")
    write(Path("/dev/null"))
    assert os.stat("/dev/null").st_rdev == before.st_rdev
    assert os.stat("/dev/null").st_mode == before.st_mode


def test_a_link_to_a_device_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert os.readlink(tmp_path / "link") == "/dev/null"


@pytest.mark.parametrize("sink", ["pipe", "file"])
def test_standard_output_gets_the_bytes(sink: str, tmp_path: Path) -> None:
    program = "from robench.files import *\nwrite_json('/dev/stdout', {'a': 1})\nwrite_json('/dev/stdout', {'b': 2})"
    arguments: list[Any] = [sys.executable, "-c", program]
    if sink == "pipe":
        text = subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout.decode()
    else:
        with open(tmp_path / "out", "wb") as out:
            subprocess.run(arguments, stdout=out, check=True)
        text = (tmp_path / "out").read_text()
    assert text == '{\n  "a": 1\n}\n{\n  "b": 2\n}\n'


def test_a_pipe_gets_the_bytes_where_somebody_reads_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(RobenchError, match=r"Cannot write .*pipe"):
        write(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    for _ in range(200):  # until the reader has opened it
        try:
            write(pipe)
            break
        except RobenchError:
            time.sleep(0.01)
    reader.join(5)
    assert found == [b"new"]
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda p: p.mkdir(), "it is a folder"),
        (lambda p: p.symlink_to(p), "[Ss]ymbolic link"),
    ],
)
def test_what_cannot_be_a_file_is_refused_in_words(make: Any, reason: str, tmp_path: Path) -> None:
    make(tmp_path / "target")
    with pytest.raises(RobenchError, match=f"Cannot write .*target: .*{reason}"):
        write(tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "file/below"])
def test_names_that_no_file_can_have_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RobenchError, match="Cannot write"):
        write(tmp_path / name)


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / ("ä" * 127))
    assert (tmp_path / ("ä" * 127)).read_bytes() == b"new"


def test_a_full_disk_is_told_as_one() -> None:
    with pytest.raises(RobenchError, match="No space left") as caught:
        write(Path("/dev/full"))
    assert "Free some space" in str(caught.value)


KILLED = """
import sys, time
from robench.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_the_next_writer_removes_what_a_killed_one_left_and_not_what_a_living_one_writes(tmp_path: Path) -> None:
    target = tmp_path / "cell.parquet"

    def begin() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(target)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    killed = begin()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    living = begin()  # sweeps the folder as it begins
    parts = list(tmp_path.glob("*.part"))
    assert len(parts) == 1
    try:
        write(tmp_path / "other")
        remove_leftovers(tmp_path)
        assert list(tmp_path.glob("*.part")) == parts
    finally:
        living.kill()
        living.wait()
    foreign = tmp_path / ".cell.parquet.ffffff.abcdefgh.part"
    foreign.write_bytes(b"of another machine")
    remove_leftovers(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([foreign.name, "other"])


# Reading


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("j"))
)
DAMAGED = {
    "empty.json": (b"", "not valid JSON"),
    "cut.json": (b'{"a": [1, 2', "not valid JSON"),
    "latin.json": ('{"a": "é"}'.encode("latin-1"), "expected UTF-8; found byte 0xe9"),
    "deep.json": (b'{"a": ' + deep(100_000) + b"}", "nested more than 100 deep"),
    "deeper.json": (b'{"a": ' + deep(200) + b"}", "nested more than 100 deep"),
    "list.json": (b"[1]", "expected a mapping.*found a list"),
    "null.json": (b"null", "expected a mapping.*found nothing"),
    "nan.json": (b'{"a": NaN}', "holds NaN"),
    "huge.json": (b'{"a": 1e999}', "holds 1e999"),
    "digits.json": (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "half.json": (rb'{"a": "\ud800"}', "not Unicode"),
    "halfkey.json": (rb'{"\ud800": 1}', "not Unicode"),
    "tag.yaml": (b"a: !!python/object/apply:os.system [true]", "not valid YAML"),
    "zero.yaml": (b"a: \0", "not valid YAML"),
    "date.yaml": (b"a: 2024-99-99", "not valid YAML"),
    "number.yaml": (b'a: !!int ""', "not valid YAML"),
    "deep.yaml": (b"a: " + deep(1_500), "nested more than 100 deep"),
    "self.yaml": (b"a: &a [*a]", "nested more than 100 deep"),
    "laughs.yaml": (LAUGHS, "more than 1,000,000 values"),
    "twice.yaml": (b"a: 1\nb: {c: 1, d: 2, c: 3}", "'c' is there twice.*line 2"),
    "keys.yaml": (b"1: a", "found a mapping with the key 1"),
    "text.yaml": (b"just words", "expected a mapping.*found a text"),
    "half.yaml": (rb'a: "\ud800"', "not Unicode"),
    "latin.yaml": ("a: é".encode("latin-1"), "expected UTF-8"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_document_is_refused_naming_file_reason_and_next_step(name: str, tmp_path: Path) -> None:
    data, reason = DAMAGED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RobenchError, match=f"(?s)Could not read the model card .*{name}.*{reason}") as caught:
        read_document(tmp_path / name, "model card", hint="Train it again.")
    assert caught.value.hint == "Train it again."


def test_a_missing_file_a_folder_a_pipe_and_a_giant_are_refused_before_they_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with open(tmp_path / "giant.json", "wb") as file:
        file.truncate(1 << 40)
    for name, reason in {
        "missing.json": "it does not exist",
        "": "it is a folder",
        "pipe.json": "not a regular file",
        "giant.json": "1,099,511,627,776 bytes",
        "x" * 5000: "name too long",
        "a\0b": "null byte",
        "pipe.json/below": "[Nn]ot a directory",
    }.items():
        with pytest.raises(RobenchError, match=f"Could not read the result .*{reason}"):
            read_document(tmp_path / name, "result")


def test_a_sound_document_is_read(tmp_path: Path) -> None:
    document = {"a": [1, 2.5e-300, None, "é😀"], "b": {"c": True}}
    write_json(tmp_path / "a.json", document)
    (tmp_path / "a.yaml").write_text(json.dumps(document, ensure_ascii=True))
    assert read_document(tmp_path / "a.json", "result") == document
    (tmp_path / "b.yml").write_text("- 1\n- &x {a: .nan}\n- *x\n")
    found = read_document(tmp_path / "b.yml", "list", top=list)
    assert found[0] == 1
    assert found[1] is found[2]
    assert parse_document(b"null", "x", "anything", top=None) is None
    assert parse_document(rb'{"a": "\ud83d\ude00"}', "x", "result") == {"a": "😀"}


def test_what_a_yaml_mapping_takes_from_another_may_be_overridden(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {c: 1, d: 2}\nb: {<<: *a, c: 3}\ne: [{<<: *a, d: 4}, *a]\n")
    expected = {"a": {"c": 1, "d": 2}, "b": {"c": 3, "d": 2}, "e": [{"c": 1, "d": 4}, {"c": 1, "d": 2}]}
    assert read_document(tmp_path / "a.yaml", "recipe") == expected
