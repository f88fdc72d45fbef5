"""Every command and every example that the documentation runs, run here, in the order of the page."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from robench.catalogue import METRICS

ROOT = Path(__file__).resolve().parents[2]
RUN = re.compile(r"^```(sh|python) exec=\"1\"[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if RUN.search(path.read_text(encoding="utf-8")))


@pytest.fixture
def environment(tmp_path):
    """An environment in which `robench` and `python` are this one's, in an empty folder."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, words in (("robench", "-m robench"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths, "MPLBACKEND": "agg"}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_of_a_page_runs(page, environment, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    session = []
    for language, code in RUN.findall(page.read_text(encoding="utf-8")):
        if language == "python":  # the blocks of a page share their names
            session.append(code)
            command = [sys.executable, "-c", "\n".join(session)]
        else:
            command = ["bash", "-e", "-o", "pipefail", "-c", code]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{page.name}: {code}\n{done.stdout}\n{done.stderr}"


def test_there_are_pages_with_examples():
    assert {"checkpoint", "choosing", "method", "python", "plugins"} <= {page.stem for page in PAGES}


def test_every_suite_has_a_page_with_its_files_commands_and_licence(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from robench.suites import names
    from scripts.docs.suites import suites

    words = yaml.safe_load((ROOT / "scripts/docs/suites.yaml").read_text(encoding="utf-8"))
    assert set(words) == set(names())
    made = suites()
    for name in names():
        page = made[f"suites/{name}.md"]
        for part in (
            "| measures |",
            "| licence of the images |",
            "| size of the download |",
            "## Files",
            "## Commands",
        ):
            assert part in page, (name, part)
        assert f"--suite {name}" in page
    assert "`robench table augmix/2`" in made["suites/imagenet-c.md"]
    assert "timm's 1,5" in made["suites/imagenet-real.md"]


def test_every_metric_has_a_formula_and_says_when_it_misleads():
    yaml = pytest.importorskip("yaml")
    words = yaml.safe_load((ROOT / "scripts/docs/metrics.yaml").read_text(encoding="utf-8"))
    assert all(set(one) == {"formula", "misleads"} for one in words.values())
    families = {name: {one for one in words if f"{name}_".startswith(f"{one}_")} for name in METRICS}
    assert [name for name, found in families.items() if not found] == []
    assert set().union(*families.values()) == set(words)


def test_every_formula_becomes_mathml():
    """Browsers show and read it without a script; nothing of LaTeX is left over."""
    convert = pytest.importorskip("latex2mathml.converter", reason="the docs extra is not installed").convert
    told = yaml.safe_load((ROOT / "scripts" / "docs" / "metrics.yaml").read_text(encoding="utf-8"))
    for name, words in told.items():
        shown = convert(words["formula"], display="block")
        assert shown.startswith("<math")
        assert "\\" not in shown, name
