"""What a user names as output is replaced by its like only; all in temporary folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.cli.main import main
from robench.errors import RobenchError
from robench.files import atomic_write, write_json

PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
MEASURED = Path(__file__).parents[1] / "leaderboards" / "measured" / "digits-c"
PNG, PDF = b"\x89PNG\r\n\x1a\n....", b"%PDF-1.7 ..."


def write(path: Path, content: bytes, *, own: bool = False) -> None:
    with atomic_write(path, own=own) as file:
        file.write(content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PASSWD.encode(), b'{"temperature": 1}\n'),
        (PASSWD.encode(), b"| model | error |\n"),
        (PASSWD.encode(), PNG),
        (PASSWD.encode(), b"<!doctype html>"),
        (b'{"name": "my-package"}', b'{"temperature": 1}\n'),
        (b"[1, 2]", b'{"temperature": 1}\n'),
        (b"{ broken", b'{"temperature": 1}\n'),
        (b"import torch\n", b"model,error\n"),
        (b"\\documentclass{article}\n", b"\\begin{tabular}{lr}\n"),
        (PNG, PDF),
        (PNG, b'{"temperature": 1}\n'),
    ],
)
def test_another_file_is_not_replaced(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "there"
    path.write_bytes(old)
    with pytest.raises(RobenchError, match="holds something else") as caught:
        write(path, new)
    assert "Choose another name, or remove it first" in str(caught.value)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]  # no unfinished file is left


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b"anything"),
        (b"\n \n", b"anything"),
        (b'{"temperature": 1, "cell": "clean"}', b'{\n  "temperature": 2\n}\n'),
        (b"model,error\na,1\n", b"model,error,brier\n"),
        (b"| model | error |\n", b"| model | brier |\n"),
        (PNG, PNG + b"more"),
        (b"<!doctype html><p>1", b"\n<!doctype html><p>2"),
    ],
)
def test_its_like_is_replaced(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "there"
    path.write_bytes(old)
    write(path, new)
    assert path.read_bytes() == new


def test_what_robench_named_is_made_again_whatever_became_of_it(tmp_path: Path) -> None:
    path = tmp_path / "cell.parquet"
    path.write_bytes(b"damaged")
    write(path, b"PAR1...", own=True)
    write_json(path, {"a": 1}, own=True)
    assert path.read_bytes() == b'{\n  "a": 1\n}\n'


def test_a_link_leads_to_the_same_question(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "out.json").symlink_to(tmp_path / "passwd")
    with pytest.raises(RobenchError, match="holds something else"):
        write_json(tmp_path / "out.json", {"a": 1})
    assert (tmp_path / "passwd").read_text() == PASSWD


def test_a_command_does_not_replace_a_users_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passwd").write_text(PASSWD)
    assert main(["leaderboard", "readme", "--out", "passwd"]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert (tmp_path / "passwd").read_text() == PASSWD
    plot = ["plot", "severity", str(MEASURED / "augmix.json"), "--out", "curves.png"]
    assert main(plot) == 0
    (tmp_path / "curves.png").write_text(PASSWD)
    assert main(plot) == 2
    assert (tmp_path / "curves.png").read_text() == PASSWD
