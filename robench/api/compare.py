"""``robench.compare(a, b, ...)``: paired differences between runs, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from robench.api.margins import Margin, margins_of
from robench.api.options import Names, Place
from robench.api.words import both_given, names, one_of, run_place, spelled_out, whole
from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from robench.results import Result
    from robench.results.comparing import Comparison
    from robench.results.comparing_many import ManyComparison

ANY = "any"
_FORMS = ("markdown", "latex", "csv")


@overload
def compare(
    a: Place | Result,
    b: Place | Result,
    /,
    *,
    margin: Margin | None = None,
    figures: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison: ...


@overload
def compare(
    a: Place | Result,
    b: Place | Result,
    /,
    *others: Place | Result,
    margin: Margin | None = None,
    figures: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison | ManyComparison: ...


@spelled_out()
def compare(
    *runs: Place | Result,
    margin: Margin | None = None,
    figures: Names | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison | ManyComparison:
    """Compare two or more runs of a suite on the same images.

    Args:
        runs: the runs' folders, or their results.
        margin: points within which runs count as equivalent; ``"0.5,mean_brier=0.01"`` or a mapping for values that are
            not percentages.
        figures: names of the summary values that are tested; None: the main ones.
        resamples: bootstrap resamples of the images, at least 100.
        seed: of the bootstrap.

    Returns:
        Of two runs, ``a`` and ``b``: differences (``a`` minus ``b``) of every summary with 95 % intervals, McNemar's
        test in every cell with Holm's correction, for each tested value whether ``a`` is better, worse, equivalent
        within the margin or undecided (two one-sided tests, adjusted for the number of values), and sentences.
        Of more: for each value the differences of all pairs with simultaneous intervals, and the runs' ranks.

    Raises:
        RobenchError: a folder is not a run, the runs are not of the same images, or a value or margin does not fit.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 100, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("augmix", "standard"):
    ...         _ = robench.evaluate(f"reference:digits/{name}", "digits-c", out=f"{folder}/{name}", **few)
    ...     found = robench.compare(f"{folder}/augmix", f"{folder}/standard", margin=0.5, resamples=100)
    >>> found.a, found.b, found.images, found.differences["mean_error"].verdict
    ('augmix', 'standard', 100, 'better')
    """
    from robench.predictions import RunFolder
    from robench.results.comparing import compare_runs
    from robench.results.comparing_many import compare_many

    if len(runs) < 2:
        raise RobenchError(f"Comparing needs at least two runs; found {len(runs)}.", hint="Name the runs' folders.")
    whole("resamples", resamples, least=100, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    margins = {} if margin is None else margins_of("margin", margin)
    chosen = None if figures is None else names("figures", figures)
    opened = [RunFolder.open(run_place("runs", folder)) for folder in runs]
    if len(opened) == 2:
        return compare_runs(*opened, resamples=resamples, seed=seed, margins=margins, figures=chosen)
    return compare_many(opened, resamples=resamples, seed=seed, margins=margins, figures=chosen)


def conditions_of(fail_if: Names, *, margin: object = None) -> tuple[tuple[str, str], ...]:
    """Return (value, verdict) of conditions such as ``"mean_error:worse"``; the value ``any`` is for all tested ones.

    Args:
        fail_if: the conditions, ``"mean_error:worse,clean_error:undecided"`` or a sequence.
        margin: that of the comparison, without which nothing is equivalent.

    Raises:
        RobenchError: not such a condition, or one that cannot come true.

    >>> conditions_of("mean_error:worse, any:undecided")
    (('mean_error', 'worse'), ('any', 'undecided'))
    """
    from robench.metrics.equivalence import VERDICTS

    found = []
    for text in names("fail_if", fail_if):
        value, colon, verdict = (part.strip() for part in text.rpartition(":"))
        if not colon or not value or verdict not in VERDICTS:
            raise RobenchError(
                f"`fail_if` takes VALUE:VERDICT, the verdict one of {', '.join(VERDICTS)}; found '{text}'.",
                hint="For example `fail_if='mean_error:worse'`, or `fail_if='any:worse'`.",
            )
        if verdict == "equivalent" and margin is None:
            raise RobenchError(f"`fail_if` says '{text}', but nothing is equivalent without `margin`.",
                               hint="Add `margin=0.5`.")  # fmt: skip
        found.append((value, verdict))
    return tuple(found)


def failing(comparison: Comparison | ManyComparison, fail_if: Names) -> tuple[str, ...]:
    """Return which conditions a comparison meets, as sentences: the first run against the second, or any other.

    Args:
        comparison: of :func:`compare`.
        fail_if: conditions such as ``"mean_error:worse"``; the value ``any`` is for all tested ones.

    Raises:
        RobenchError: not such a condition, or one of a value that was not tested.
    """
    verdicts = _verdicts(comparison)
    found: list[str] = []
    for value, verdict in conditions_of(fail_if, margin=True):
        if value not in (ANY, *(name for name, *_ in verdicts)):
            tested = list(dict.fromkeys(name for name, *_ in verdicts))
            raise RobenchError(f"`fail_if` names '{value}', which was not tested.", hint=did_you_mean(value, tested))
        found += [
            f"{name}: {first} against {second} is {said}"
            for name, first, second, said in verdicts
            if value in (ANY, name) and said == verdict
        ]
    return tuple(dict.fromkeys(found))


def _verdicts(comparison: Comparison | ManyComparison) -> Sequence[tuple[str, str, str, str]]:
    """Return (value, first run, other run, verdict) of everything that was tested."""
    from robench.results.comparing import Comparison

    if isinstance(comparison, Comparison):
        return [
            (name, comparison.a, comparison.b, one.verdict)
            for name, one in comparison.differences.items()
            if one.verdict is not None
        ]
    first = comparison.runs[0]
    return [
        (name, first, other, one.pair(first, other).verdict)
        for name, one in comparison.values.items()
        for other in comparison.runs[1:]
    ]


def check_shown(runs: int, form: str, *, as_json: bool, cells: bool) -> None:
    """Refuse ways of showing a comparison that exclude each other.

    Args:
        runs: how many are compared.
        form: ``terminal``, ``markdown``, ``latex`` or ``csv``.
        as_json: whether JSON is asked for.
        cells: whether every cell is asked for.

    Raises:
        RobenchError: an unknown form, or an option that would be ignored.
    """
    one_of("format", form, ("terminal", *_FORMS))
    both_given([("json", as_json, "format", form != "terminal"), ("cells", cells, "format", form != "terminal")])
    if cells and runs > 2:
        raise RobenchError("`cells` has no effect on more than two runs.", hint="Omit `cells`, or name two runs.")


def comparison_table(comparison: Comparison | ManyComparison, format: str = "markdown") -> str:
    """Return a comparison as text.

    Args:
        comparison: of :func:`compare`.
        format: ``markdown``, ``latex`` or ``csv``; CSV has every number in a column of its own, as it is stored.

    Raises:
        RobenchError: another format.
    """
    from robench.tables.comparisons import FORMS

    return FORMS[one_of("format", format, _FORMS)](comparison)
