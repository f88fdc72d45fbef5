"""``result.plot.severity()``: the plots of one result, as methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robench.results.schema import Result


class ResultPlots:
    """Every plot that reads results, by its name on the command line; each call returns a matplotlib ``Figure``.

    Options are keywords: ``result.plot.severity(metric="brier")``; every plot takes ``title``, ``width`` (inches) and
    ``labels`` (names of the models), too. Several results go into one plot as ``result.plot.severity(other, another)``.

    Args:
        result: to be drawn.
    """

    def __init__(self, result: Result) -> None:
        self._result = result

    def __getattr__(self, name: str) -> Callable[..., Figure]:
        if name.startswith("_") or name not in _names():
            raise AttributeError(f"There is no plot '{name}' of a result; there are: {', '.join(_names())}.")
        from robench.plots.registry import PLOTS

        plot = PLOTS.get(name)

        def draw(*others: Result, **options: Any) -> Figure:
            for one in plot.options:  # metric="brier" for an option that takes several
                singular = one.name.removesuffix("s")
                if one.repeated and isinstance(options.get(singular), str):
                    options[one.name] = (options.pop(singular),)
            return plot.drawn([self._result, *others], **options)

        draw.__name__, draw.__doc__ = name, plot.help
        return draw

    def __dir__(self) -> list[str]:
        return _names()

    def __repr__(self) -> str:
        return f"<plots of a result: {', '.join(_names())}>"


def _names() -> list[str]:
    from robench.plots.registry import PLOTS

    return [name for name in PLOTS if PLOTS.get(name).read is None]
