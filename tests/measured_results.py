"""Results as they would be of a model that fills a published cell, to be changed by a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robench.results.schema import ModelRecord, Result, RunRecord, StatisticsRecord, SuiteRecord, Value
from robench.tables import identities


def trained(recipe: str, suite: str, value: float = 0.12, *, seed: int = 1, **summary: Value) -> Result:
    """Return the result of a model that was trained by a recipe."""
    known = identities.recipes()[recipe]
    card: dict[str, Any] = {
        "recipe": recipe,
        "recipe_digest": known.digest,
        "dataset": known.dataset,
        "command": f"robench train --recipe {recipe}",
        "trained_with": {"seed": seed, "images": known.images or 1000},
    }
    return measured(card, suite, value, model_hash=f"{recipe}-{seed}", **summary)


def public(spec: str, suite: str, value: float = 0.3, **summary: Value) -> Result:
    """Return the result of a model that was loaded by its spec."""
    return measured({"spec": spec, "architecture": "ResNet"}, suite, value, model_hash=spec, **summary)


def measured(card: Mapping[str, Any], suite: str, value: float, *, model_hash: str = "0", **summary: Value) -> Result:
    """Return a complete result on published files with a mean error and its like."""
    stated = Value(value=value, low=value - 0.01, high=value + 0.01)
    return Result(
        suite=SuiteRecord(
            name=suite,
            title=suite,
            version=identities.suite_versions().get(suite, 1),
            dataset="any",
            num_classes=10,
            source="published",
            complete=True,
            protocol={},
        ),
        model=ModelRecord(name="m", hash=model_hash, num_classes=10, preprocessing={"origin": "card"}, card=dict(card)),
        run=RunRecord(robench="0"),
        statistics=StatisticsRecord(),
        summary={"mean_error": stated, "clean_error": stated, **summary},
        cells=[],
    )


def by_path(*results: Result) -> dict[Path, Result]:
    """Return results as :func:`robench.tables.measured.find_results` does."""
    return {Path(f"runs/{i}/result.json"): result for i, result in enumerate(results)}
