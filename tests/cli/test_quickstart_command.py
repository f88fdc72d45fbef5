"""``robench quickstart`` writes what it says, and a second call takes it up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robench.cli.main import main


def test_quickstart_makes_its_report_and_takes_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The small sequences suite would have other values; one corruption of digits-c keeps the test short.
    from robench import suites
    from robench.suites.base import OpenOptions

    few, open_suite = OpenOptions(conditions=("contrast",)), suites.open_suite
    monkeypatch.setattr(suites, "open_suite", lambda name, data, options: open_suite(name, data, few))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert main(["quickstart", "--out", str(tmp_path / "q")]) == 0
    said = capsys.readouterr().out
    for words in ("mean error under corruption", "statistically significant", "report.html", "robench compare"):
        assert words in said
    page = (tmp_path / "q" / "report.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "q").rglob("*") if path.suffix in (".json", ".png")}
    del made[next(path for path in made if path.name == "run.json")]
    assert json.loads((tmp_path / "q" / "comparison.json").read_text())["a"] == "augmix"
    assert main(["quickstart", "--out", str(tmp_path / "q")]) == 0
    again = {path: path.stat().st_mtime_ns for path in made if path.name != "run.json"}
    assert again == {path: when for path, when in made.items() if path.name != "run.json"}
