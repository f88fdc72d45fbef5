"""The catalogue's metrics with their kernels, for callers that still ask here; :mod:`robench.metrics.cells` is it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from robench import catalogue
from robench.metrics.cells import compute
from robench.metrics.weighted import Columns, correct

__all__ = ["METRICS", "SHARES", "Columns", "correct"]


@dataclass(frozen=True)
class Metric:
    """A row of the catalogue under the names of old."""

    name: str
    unit: str
    higher_is_better: bool | None
    range: tuple[float, float]
    needs: tuple[str, ...]
    source: str
    better: str

    def compute(self, columns: Columns) -> float:
        """Return the metric of a cell."""
        return compute(self.name, columns)


class _Metrics(Mapping[str, Metric]):
    def __getitem__(self, name: str) -> Metric:
        if name not in catalogue.METRICS:
            raise KeyError(name)
        row = catalogue.metric(name)
        higher = None if row.lower_is_better is None else not row.lower_is_better
        return Metric(name, row.unit, higher, row.range, row.needs, row.source, row.better)

    def __iter__(self) -> Iterator[str]:
        return iter(catalogue.METRICS)

    def __len__(self) -> int:
        return len(catalogue.METRICS)


METRICS: Mapping[str, Metric] = _Metrics()
SHARES = tuple(name for name in catalogue.METRICS if catalogue.metric(name).share)
