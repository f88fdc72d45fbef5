"""A pytest plugin: gates of models in a project's own tests.

``robench_gate(model, suite, baseline=..., max_loss=...)`` is :func:`robench.gate` as a fixture: the test fails where
the model loses, and where the gate is undecided. The marker ``robench_gate(...)`` gives the same keywords once for a
test, a class or a module. Runs are kept in pytest's cache, so that a repeated session goes on where the last stopped.

pytest loads this file in every project where robench is installed; robench itself is imported with the first gate.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from robench.api import GateOutcome

MARKER = "robench_gate"
UNDECIDED = ("fail", "skip", "pass")
_OUTCOMES = pytest.StashKey[list[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(suite, baseline, max_loss, ...): keywords of robench.gate for the fixture robench_gate; "
        "undecided='fail', 'skip' or 'pass' says what an undecided gate does",
    )


@pytest.fixture
def robench_gate(request: pytest.FixtureRequest) -> Callable[..., GateOutcome]:
    """Return a function that gates a model and fails the test where it loses.

    It takes the arguments of :func:`robench.gate`, of which a marker ``robench_gate`` may give some, and ``undecided``:
    what an undecided gate does, ``fail`` (the default), ``skip`` or ``pass``.
    """

    def gated(*args: Any, **words: Any) -> GateOutcome:
        import robench
        from robench.errors import RobenchError

        given = _marked(request) | words
        undecided = given.pop("undecided", "fail")
        if undecided not in UNDECIDED:
            raise RobenchError(
                f"undecided must be one of {', '.join(UNDECIDED)}; found {undecided!r}.", hint="Omit it to fail."
            )
        for name, value in zip(("model", "suite"), args, strict=False):
            given[name] = value
        usual: dict[str, Any] = {"quiet": True, "out": _folder(request)}
        found = robench.gate(**(usual | given))
        _noted(request, found)
        _judge(found, undecided)
        return found

    return gated


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the keywords of the test's markers; the nearest one counts."""
    found: dict[str, Any] = {}
    for marker in request.node.iter_markers(MARKER):
        found = dict(marker.kwargs) | found
    return found


def _folder(request: pytest.FixtureRequest) -> Path:
    """Return where runs are kept between sessions, or for this session where pytest has no cache."""
    cache = getattr(request.config, "cache", None)
    if cache is not None:
        return Path(cache.mkdir("robench-runs"))
    factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return factory.mktemp("robench-runs")


def _noted(request: pytest.FixtureRequest, found: GateOutcome) -> None:
    from robench.tables.gates import headline

    request.config.stash.setdefault(_OUTCOMES, []).append((request.node.nodeid, headline(found)))


def _judge(found: GateOutcome, undecided: str) -> None:
    from robench.tables.gates import headline, sentence_of

    if found.passed or (found.verdict == "undecided" and undecided == "pass"):
        return
    text = "\n".join([headline(found), *(sentence_of(one) for one in found.values)])
    if found.verdict == "undecided" and undecided == "skip":
        pytest.skip(text)
    pytest.fail(text, pytrace=False)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how each gate ended."""
    found = config.stash.get(_OUTCOMES, [])
    if found:
        terminalreporter.section("robench gates")
        for test, text in found:
            terminalreporter.line(f"{test}: {text}")
