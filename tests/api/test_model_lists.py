"""Lists of models that somebody wrote by hand, cut short or made up: one message each, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

import robench

LISTS = {
    "empty": b"", "a number": b"3", "a word": b"hello", "a mapping": b"{}", "an empty list": b"[]", "nothing": b"- ",
    "a number in it": b"- 3", "a date in it": b"- 2024-01-02", "true in it": b"- true", "an empty row": b"- []",
    "no model": b"- {arch: x}", "a number for a model": b"- {model: 3}", "no models": b"- {model: []}",
    "a number among models": b"- {model: [1]}", "null for a model": b"- {model: null}",
    "a mapping for a model": b"- {model: {a: b}}", "an unknown key": b"- {model: a, nope: 1}",
    "a number for a key": b"- {1: 2}", "a word for classes": b"- {model: a, num_classes: ten}",
    "classes below none": b"- {model: a, num_classes: -1}", "a fraction of classes": b"- {model: a, num_classes: 1.5}",
    "too many classes": b"- {model: a, num_classes: 99999999999}", "two means": b"- {model: a, mean: [1, 2]}",
    "NaN": b"- {model: a, mean: [.nan, 1, 1], std: [1, 1, 1]}", "a word for a mean": b"- {model: a, mean: x}",
    "a mapping for a mean": b"- {model: a, mean: {r: 1}}", "half a normalisation": b"- {model: a, mean: [0, 0, 0]}",
    "std of zero": b"- {model: a, std: [0, 0, 0], mean: [0, 0, 0]}", "a number for norm": b"- {model: a, norm: 3}",
    "an unknown norm": b"- {model: a, norm: nope}", "a number for ema": b"- {model: a, ema: 7}",
    "a word for ema": b"- {model: a, ema: 'yes'}", "an unknown ensemble": b"- {model: a, ensemble: vote}",
    "a number for a name": b"- {model: a, name: 3}", "a list for a name": b"- {model: a, name: [a]}",
    "a list for an architecture": b"- {model: a, arch: [x]}", "a number under models": b"models: 3",
    "a mapping under models": b"models: {a: b}", "a tag": b"- !!python/object:os.system x", "NUL": b"- a\x00b",
    "UTF-16": b"\xff\xfe", "a list in itself": b"- &a [*a]", "unclosed": b"- [1, 2", "deep": b"[" * 3000,
}  # fmt: skip


@pytest.mark.parametrize("content", LISTS)
def test_what_is_not_a_list_of_models_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_bytes(LISTS[content])
    with pytest.raises(robench.RobenchError) as caught:
        robench.grid(str(path), "digits-c", dry_run=True, quiet=True)
    assert caught.value.hint or "must be one of" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("preset", [b"3", b"nope"])
def test_a_row_with_an_unknown_preset_fails_alone(tmp_path: Path, preset: bytes) -> None:
    (tmp_path / "models.yaml").write_bytes(b"- {model: reference:digits/augmix, norm_preset: " + preset + b"}\n")
    jobs = robench.grid(str(tmp_path / "models.yaml"), "digits-c", dry_run=True, quiet=True)
    assert jobs is not None
    assert "Unknown normalisation preset" in str(jobs[0].problem)
