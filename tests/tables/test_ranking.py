"""Where a result stands among published rows: by hand, at the ends, and where the protocols differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import robench
from robench.cli.main import main
from robench.errors import RobenchError
from robench.results import load, save
from robench.results.schema import Result, Value
from robench.tables.living import robustbench, timm
from robench.tables.locations import leaderboards


def _result(suite: str, images: int, summary: dict[str, Value], **changed: object) -> Result:
    """A measured result, said to be of another suite and of other values."""
    own = load(leaderboards() / "measured" / "digits-c" / "standard.json")
    about = {"name": suite, "title": suite, "source": "published", "complete": True, "protocol": {}, "normaliser": None}
    cells = [cell.model_copy(update={"images": images}) for cell in own.cells]
    return own.model_copy(
        update={"suite": own.suite.model_copy(update=about | changed), "summary": summary, "cells": cells}
    )


@pytest.mark.parametrize("error", [0.05, 0.2, 0.9])
def test_the_rank_and_its_interval_are_counted_among_the_published_values(error: float) -> None:
    published = robustbench("cifar10-c")
    theirs = np.array([published.mean_error(model) for model in published.about["models"]])
    value = Value(value=error, low=error - 0.02, high=error + 0.02)
    found = robench.rank(_result("cifar10-c", 10_000, {"mean_error": value}), suite="cifar10-c")
    assert found.rank == 1 + (theirs < error).sum()
    assert (found.first, found.last) == (1 + (theirs < error - 0.02).sum(), 1 + (theirs <= error + 0.02).sum())
    assert [place.own for place in found.places].count(True) == 1
    assert len(found.places) == len(theirs) + 1
    assert sorted(place.value for place in found.places) == [place.value for place in found.places]


def test_another_value_can_rank() -> None:
    result = _result("cifar10-c", 10_000, {"mean_error": Value(value=0.2), "clean_error": Value(value=0.0)})
    assert robench.rank(result, metric="clean_error").rank == 1
    with pytest.raises(RobenchError, match="clean_error"):
        robench.rank(result, metric="mean_nll")


def test_imagenet_c_is_ranked_on_robustbenchs_images_only() -> None:
    value = {"mce": Value(value=0.7), "mean_error": Value(value=0.5)}
    assert len(robench.rank(_result("imagenet-c", 5_000, value)).places) == 13
    with pytest.raises(RobenchError, match=r"50,000 per cell.*\n.*images='robustbench'"):
        robench.rank(_result("imagenet-c", 50_000, value))


def test_timms_rows_are_for_whole_sets() -> None:
    own = _result("imagenet-r", 30_000, {"error": Value(value=0.5)})
    condition = {"imagenet-200": {"error": Value(value=0.2)}, "imagenet-r": {"error": Value(value=0.5)}}
    found = robench.rank(own.model_copy(update={"conditions": condition}))
    assert found.rank == 1 + sum(1 - line["imagenet-r"] < 0.5 for line in timm()[1] if line["imagenet-r"] is not None)


def test_imagenet_v2_is_ranked_by_the_set_that_timm_measures() -> None:
    own = _result("imagenet-v2", 10_000, {"error": Value(value=0.9)}, complete=False)
    cell = own.cells[0].model_copy(update={
        "name": "matched-frequency", "condition": "matched-frequency", "severity": None,
        "metrics": {"error": Value(value=0.3, low=0.29, high=0.31)},
    })  # fmt: skip
    top_images = cell.model_copy(update={"name": "top-images", "condition": "top-images"})
    found = robench.rank(own.model_copy(update={"cells": [top_images, cell]}))
    theirs = np.array([1 - line["imagenet-v2"] for line in timm()[1] if line["imagenet-v2"] is not None])
    assert (found.metric, found.value.value) == ("error", 0.3)
    assert found.rank == 1 + (theirs < 0.3).sum()
    assert (found.first, found.last) == (1 + (theirs < 0.29).sum(), 1 + (theirs <= 0.31).sum())
    few = cell.model_copy(update={"images": 5_000})
    with pytest.raises(RobenchError, match="all matched-frequency images"):
        robench.rank(own.model_copy(update={"cells": [top_images, few]}))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({"source": "generated"}, "generated images"), ({"complete": False}, "a part of it")],
)
def test_other_protocols_have_no_rank(changed: dict[str, object], expected: str) -> None:
    with pytest.raises(RobenchError, match=expected):
        robench.rank(_result("cifar10-c", 10_000, {"mean_error": Value(value=0.2)}, **changed))


def test_adapted_models_are_told_apart() -> None:
    own = _result("cifar10-c", 10_000, {"mean_error": Value(value=0.2)})
    model = own.model.model_copy(update={"card": {"adapted": {"batch_size": 200}}})
    assert any("adapts" in note for note in robench.rank(own.model_copy(update={"model": model})).notes)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = Value(value=0.2, low=0.19, high=0.21)
    path = save(_result("cifar10-c", 10_000, {"mean_error": value}), tmp_path / "result.json")
    assert main(["rank", "--suite", "cifar10-c", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "RobustBench" in shown
    assert main(["rank", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["of"] == len(found["places"]) == 24
    lines = [line.split() for line in shown.splitlines()]
    for place, one in enumerate(found["places"], start=1):  # the screen has the nearest rows, with the same figures
        listed = [line for line in lines if line[:2] == [str(place), one["name"]]]
        assert (len(listed) == 1) == (abs(place - found["rank"]) <= 5), one
        assert all(f"{100 * one['value']:.2f}" in line for line in listed)
    assert f"{100 * found['value']['value']:.2f} (19.00 to 21.00), rank {found['rank']} of 24" in shown
    assert main(["rank", "--suite", "imagenet-c", str(path)]) == 2
    assert "is of cifar10-c, not of imagenet-c" in capsys.readouterr().err
    assert main(["rank", str(leaderboards() / "measured" / "digits-c" / "augmix.json")]) == 2
    assert "digits-c" in capsys.readouterr().err
