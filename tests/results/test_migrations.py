"""Results of schema 1 are read under the present names, with the same numbers."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from robench.catalogue import names
from robench.errors import RobenchError
from robench.results.loading import parse
from robench.results.migrations import migrate, renamed
from robench.results.schema import SCHEMA_VERSION
from robench.tables.locations import leaderboards

OLD = {"mean_error": "mean_corruption_error", "max_calibration_error": "mce_calibration"}


def metric_groups(document: dict[str, Any]) -> list[dict[str, Any]]:
    cells = [cell["metrics"] for cell in document["cells"]]
    return [*document["conditions"].values(), *document["severities"].values(), *cells]


def old_document() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a shipped result as it was in schema 1, with a value of each old name everywhere, and as it is now."""
    new = json.loads((leaderboards() / "measured" / "digits-c" / "standard.json").read_text())
    value = {"value": 0.25, "low": 0.2, "high": 0.3, "note": None}
    new["summary"]["clean_max_calibration_error"] = value
    for group in (
        *new["conditions"].values(),
        *new["severities"].values(),
        *(cell["metrics"] for cell in new["cells"]),
    ):
        group["max_calibration_error"] = value
    old = copy.deepcopy(new) | {"schema_version": 1}
    old["summary"] = {
        {"mean_error": OLD["mean_error"]}.get(name, name.replace("max_calibration_error", "mce_calibration")): found
        for name, found in old["summary"].items()
    }
    for group in (
        *old["conditions"].values(),
        *old["severities"].values(),
        *(cell["metrics"] for cell in old["cells"]),
    ):
        group["mce_calibration"] = group.pop("max_calibration_error")
    return old, new


def test_a_document_of_schema_1_is_read_with_equal_values() -> None:
    old, new = old_document()
    before = copy.deepcopy(old)
    assert migrate(old) == new | {"schema_version": SCHEMA_VERSION}
    assert old == before  # the document given stays as it was
    result = parse(old)
    assert result.summary["mean_error"].value == new["summary"]["mean_error"]["value"]
    assert "mean_corruption_error" not in result.summary
    assert result.cells[0].metrics["max_calibration_error"].value == 0.25


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mean_corruption_error_19", "mean_error_19"),
        ("mean_ood_mean_average_precision", "mean_ood_weighted_pr_auc"),
        ("mean_average_precision", "weighted_pr_auc"),
        ("mean_mce_calibration", "mean_max_calibration_error"),
        ("mce", "mce"),
        ("relative_mce", "relative_mce"),
        ("mean_error_noise", "mean_error_noise"),
    ],
)
def test_names_that_meant_two_things_have_new_ones(old: str, new: str) -> None:
    assert renamed(old) == new


def test_no_present_name_is_renamed() -> None:
    assert [name for name in names() if renamed(name) != name] == []


def test_a_damaged_document_is_refused_in_words() -> None:
    old, _ = old_document()
    for key, damage in (("cells", {}), ("summary", []), ("conditions", 3), ("cells", [1])):
        with pytest.raises(RobenchError, match="does not fit the schema"):
            parse(old | {key: damage})
