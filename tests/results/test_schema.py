"""The schema of results refuses what it does not know."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from robench.results.schema import Result, Value


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        Value(value=1.0, median=0.5)  # type: ignore[call-arg]


def test_every_field_is_described_by_the_json_schema() -> None:
    schema = Result.model_json_schema()
    assert schema["properties"]["kind"]["const"] == "robench-result"
    assert {"suite", "model", "run", "statistics", "summary", "cells"} <= set(schema["required"])
