"""What a second process of quickstart measured was measured by this call."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

quickstart = import_module("robench.api.quickstart")  # robench.api.quickstart is the function of the same name


def test_a_model_measured_beside_has_no_note_that_nothing_was_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robench import suites
    from robench.suites.base import OpenOptions

    few, open_suite = OpenOptions(conditions=("contrast",), severities=(5,)), suites.open_suite
    monkeypatch.setattr(suites, "open_suite", lambda name, data, options: open_suite(name, data, few))
    name = quickstart.MODELS[1]
    quickstart.measure_backwards(name, str(quickstart.run_folder(tmp_path, name)))
    result = quickstart._evaluate(name, tmp_path, True, beside=True)
    assert result is not None
    assert not any("Nothing was run" in note for note in result.notes)
    again = quickstart._evaluate(name, tmp_path, True)
    assert again is not None
    assert any("Nothing was run" in note for note in again.notes)
