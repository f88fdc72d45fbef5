"""Gates in a project's own tests: the fixture, the marker, what is kept between sessions, and a quick start."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

# The plugin comes through its entry point where robench was installed with it, else by name.
INSTALLED = any(one.name == "robench" for one in entry_points(group="pytest11"))
PLUGIN = [] if INSTALLED else ["-p", "robench.pytest_plugin"]
TESTS = """
import pytest

pytestmark = pytest.mark.robench_gate(
    suite="digits-c", corruption="fog,contrast,pixelate", severity="3,5", device="cpu", max_loss=2.0,
    baseline="reference:digits/augmix",
)

def test_equal(robench_gate):
    assert robench_gate("reference:digits/augmix").passed

def test_worse(robench_gate):
    robench_gate("reference:digits/standard")

@pytest.mark.robench_gate(max_loss=0.01, budget=500, undecided="skip")
def test_skipped(robench_gate):
    robench_gate("reference:digits/augmix")

def test_undecided(robench_gate):
    robench_gate("reference:digits/augmix", max_loss=0.01, budget=500)

def test_let_through(robench_gate):
    found = robench_gate("reference:digits/augmix", "digits-c", max_loss=0.01, budget=500, undecided="pass")
    assert found.verdict == "undecided"

def test_nonsense(robench_gate):
    robench_gate("reference:digits/augmix", undecided="maybe")
"""


def test_the_fixture_and_the_marker_fail_and_pass_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(*PLUGIN, "--strict-markers", "-rs")
    result.assert_outcomes(passed=2, failed=3, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*standard loses against augmix on digits-c*",
            "*undecided must be one of fail, skip, pass*",
            "*robench gates*",
            "*test_equal: augmix loses no more than allowed against augmix on digits-c (* passes, * images per cell*",
            "SKIPPED*Undecided whether augmix loses*",
        ]
    )


@pytest.mark.slow
def test_a_second_session_measures_nothing_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=2, failed=3, skipped=1)
    runs = pytester.path / ".pytest_cache" / "d" / "robench-runs" / "digits-c"
    assert len(list(runs.iterdir())) == 2
    logs = {path: path.read_bytes() for path in runs.glob("*/log.jsonl")}
    pytester.runpytest_subprocess(*PLUGIN, "-k", "equal or worse").assert_outcomes(passed=1, failed=1, deselected=4)
    assert logs == {path: path.read_bytes() for path in runs.glob("*/log.jsonl")}  # nothing was measured again


@pytest.mark.slow
def test_without_pytests_cache_runs_go_to_a_temporary_folder(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", "-k", "equal")
    result.assert_outcomes(passed=1, deselected=5)


def test_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, robench.pytest_plugin; "
        "print([m for m in ('torch', 'numpy', 'scipy', 'pandas', 'robench.api') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_package_says_where_the_plugin_is() -> None:
    from configparser import ConfigParser
    from pathlib import Path

    parser = ConfigParser()
    parser.read(Path(__file__).parents[2] / "setup.cfg")
    assert parser["options.entry_points"]["pytest11"].strip() == "robench = robench.pytest_plugin"
