"""What the papers say of their methods, tried on models trained under one budget (``robench train --all cifar10``).

The claims, and where their numbers are printed, are data: ``leaderboards/published/claims.yaml``. Differences are
paired over images, with the interval of ``robench compare``; where a model has further seeds, theirs stand beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robench.catalogue import row
from robench.errors import RobenchError
from robench.files import read_document
from robench.predictions import RunFolder
from robench.results.comparing import compare_runs, difference_text
from robench.results.comparing_many import compare_many
from robench.results.judging import Difference
from robench.tables.findings_frequencies import ABOUT as ABOUT_FREQUENCIES
from robench.tables.findings_frequencies import added_by_groups, frequencies, frequencies_table, relation
from robench.tables.findings_kept import Compared, Numbers, Ranked, read_numbers
from robench.tables.findings_scaled import ABOUT, scaled_models, scaled_table
from robench.tables.locations import leaderboards
from robench.tables.measured import find_results
from robench.tables.own import Line, OwnTable
from robench.tables.own_forms import render
from robench.tables.published import PaperTable, load_table
from robench.tables.reference import reference_table

_ABOUT = (
    "The models of `robench train --all cifar10` share network, schedule, images and number of epochs; more passes"
    " than one per image and epoch are a method's own. AutoLabel sets its labels by a tenth of the images and trains"
    " on the others; DeepAugment's two networks saw the same images without their labels, and neither their training"
    " nor the one pass in which they distort every image is counted. Network, budget and images are not those of the"
    " papers: printed differences are there to compare signs and sizes with. A claim holds where the paired"
    " difference's interval lies on its side, and is undecided where it holds 0, or where another seed turns the sign."
)
_ADDED = (
    "Mean error under corruption minus clean error. Where a model is often wrong on clean images, its mean error says"
    " little of what a method gains; this difference can be set beside the papers' own."
)
_RANKED = ("cifar10-c", "mean_error")
_SEEDS = ("", *(f"-seed{number}" for number in range(2, 10)))


@dataclass(frozen=True)
class Claim:
    """One claim: the value of ``of`` is lower than that of ``than``.

    Args:
        name: of the claim.
        text: the claim, as a sentence without its full stop.
        suite, value: what is measured, and its summary value.
        of, than: names of models of the set.
        more: the claim is that it is higher.
        equal: the claim is that they differ by at most so many points; None: it is not.
        printed: the difference that the paper prints, as stored; None: none.
        source: address of the printed numbers' table; "": none.
    """

    name: str
    text: str
    suite: str
    value: str
    of: str
    than: str
    more: bool = False
    equal: float | None = None
    printed: float | None = None
    source: str = ""

    def verdict(self, difference: Difference) -> str:
        """Return ``holds``, ``does not hold`` or ``undecided``, by the difference's interval.

        A claim of equality holds where the whole interval lies within its margin, and does not where all of it lies
        beyond.
        """
        if difference.low is None or difference.high is None:
            return "undecided"
        low, high = (row(self.value).factor * end for end in (difference.low, difference.high))
        if self.equal is not None:
            inside = -self.equal <= low and high <= self.equal
            return "holds" if inside else "does not hold" if low > self.equal or high < -self.equal else "undecided"
        if low <= 0 <= high:
            return "undecided"
        return "holds" if (low > 0) == self.more else "does not hold"


@dataclass(frozen=True)
class Finding:
    """A claim with what was measured.

    Args:
        claim: the claim.
        difference: of the first seeds, paired.
        seeds: differences of the further seeds that both models have, as stored.
    """

    claim: Claim
    difference: Difference
    seeds: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """The claim's verdict; undecided where another seed's difference has the other sign."""
        found = self.claim.verdict(self.difference)
        turned = any(one * (self.difference.value or 0.0) < 0 for one in self.seeds)
        return "undecided" if turned and self.claim.equal is None else found


def claims() -> list[Claim]:
    """Return all claims.

    >>> first = claims()[0]
    >>> first.of, first.than, round(first.printed, 4), first.source
    ('augmix', 'standard', -0.157, 'augmix/1')
    """
    document = read_document(leaderboards() / "published" / "claims.yaml", "claims")
    return [_claim(name, dict(fields)) for name, fields in document.items()]


def _claim(name: str, fields: dict[str, Any]) -> Claim:
    printed = fields.pop("printed", None)
    if printed is None:
        return Claim(name, **fields)
    table = load_table(printed["table"])
    of, than = (_cell(table, printed, printed[side]) for side in ("of", "than"))
    sign = -1 if printed.get("accuracy") else 1
    return Claim(name, **fields, printed=sign * (of - than) / row(fields["value"]).factor, source=printed["table"])


def _cell(table: PaperTable, printed: Mapping[str, Any], side: str) -> float:
    label, column = (printed["row"], side) if "row" in printed else (side, printed["column"])
    number = table.number(table.labels().index(label), column)
    if number is None:
        raise RobenchError(f"{table.address} has no number for {label}, {column}.", hint="Mend claims.yaml.")
    return number


def find(folder: Path, *, resamples: int = 1000) -> list[Finding]:
    """Compare the runs that claims are about.

    Args:
        folder: of ``robench train --all``, with ``results/SUITE/MODEL``.
        resamples: of the bootstrap.

    Returns:
        A finding for every claim whose two models were measured.

    Raises:
        RobenchError: two runs that cannot be compared.
    """
    found = []
    for claim in claims():
        runs = folder / "results" / claim.suite
        pairs = [(runs / f"{claim.of}{seed}", runs / f"{claim.than}{seed}") for seed in _SEEDS]
        there = [pair for pair in pairs if all((run / "result.json").is_file() for run in pair)]
        if not there or there[0] != pairs[0]:
            continue
        differences = [_difference(claim, *pair, resamples=resamples) for pair in there]
        more = [one.value for one in differences[1:] if one.value is not None]
        found.append(Finding(claim, differences[0], tuple(more)))
    return found


def _difference(claim: Claim, of: Path, than: Path, *, resamples: int) -> Difference:
    opened = RunFolder.open(of), RunFolder.open(than)
    return compare_runs(*opened, resamples=resamples, figures=(claim.value,)).differences[claim.value]


def numbers_of(folder: Path, *, resamples: int = 1000, earlier: Path | None = None) -> Numbers:
    """Return the numbers of a page of findings: of the claims, of temperature scaling, and the ranks.

    Args:
        folder: of ``robench train --all``; its runs need their predictions.
        resamples: of the bootstrap.
        earlier: the numbers of an earlier page, of which those are kept whose runs are not in ``folder``.

    Raises:
        RobenchError: no run that a claim is about, two that cannot be compared, or a damaged ``earlier``.
    """
    kept = None if earlier is None else read_numbers(earlier)
    compared = {one.claim.name: Compared(one.difference, one.seeds) for one in find(folder, resamples=resamples)}
    if not compared:
        raise RobenchError(
            f"{folder} has no two measured models that a claim is about.",
            hint="Give the folder in which the set cifar10 was trained and measured.",
        )
    found = Numbers(compared, scaled_models(folder), _ranks(folder, resamples), frequencies(folder))
    return found if kept is None else found.over(kept)


def findings_page(
    folder: Path, *, resamples: int = 1000, earlier: Path | None = None, results: Path | None = None
) -> str:
    """Return the page of a set's findings as Markdown: what the papers claim, the models, and their ranks.

    Args:
        folder: of ``robench train --all``.
        resamples: of the bootstrap.
        earlier: see :func:`numbers_of`.
        results: the models' results; None: those in ``folder``.

    Raises:
        RobenchError: as :func:`numbers_of`, or no results there.
    """
    return page_of(numbers_of(folder, resamples=resamples, earlier=earlier), results or folder)


def page_of(numbers: Numbers, results: Path) -> str:
    """Return the page of numbers and of the models' results, as Markdown.

    Raises:
        RobenchError: no results there.
    """
    models = reference_table(results)
    named = {claim.name: claim for claim in claims()}
    found = [
        Finding(claim, one.difference, one.seeds) for name, claim in named.items() if (one := numbers.claims.get(name))
    ]
    parts = [
        "# Findings",
        f"Generated by `robench leaderboard findings`; do not edit. {_ABOUT}",
        "## What the papers claim",
        _claims_table(found),
        "## The models",
        render(models, "markdown"),
        "## Errors that corruption adds",
        _ADDED,
        _added_table(models),
    ]
    if numbers.scaled:
        parts += ["## After temperature scaling", ABOUT, scaled_table(numbers.scaled)]
    if numbers.frequencies:
        added = added_by_groups(find_results(results).values())
        parts += ["## Frequencies", ABOUT_FREQUENCIES, frequencies_table(numbers.frequencies)]
        parts += [relation(numbers.frequencies, added)]
    if numbers.ranks:
        parts += ["## Ranks", _ranks_table(numbers.ranks), _not_ranked(numbers, models)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _claims_table(findings: Sequence[Finding]) -> str:
    lines = ["| claim | value | printed | measured, with 95 % interval | |", "| --- | --- | ---: | ---: | --- |"]
    for one in findings:
        claim, about = one.claim, row(one.claim.value)
        printed = "" if claim.printed is None else f"{about.show(claim.printed, sign=True)} ({claim.source})"
        measured = difference_text(claim.value, one.difference).removesuffix(" *")
        if one.seeds:
            measured += "; other seeds " + ", ".join(about.show(seed, sign=True) for seed in one.seeds)
        of = f"`{claim.of}` minus `{claim.than}`"
        lines.append(f"| {claim.text} | {about.head}, {of} | {printed} | {measured} | **{one.verdict}** |")
    return "\n".join(lines)


def _added_table(models: OwnTable) -> str:
    """Return for every model how many points corruption adds, also relative to the standard model of its group."""
    names = [column.name for column in models.columns]
    clean, corrupted = names.index("clean_error"), names.index("mean_error")
    lines = ["| model | | added, points | of the standard model's |", "| --- | --- | ---: | ---: |"]
    standard: dict[str, float] = {}
    rows: list[tuple[Line, float]] = []
    for line in models.lines:
        low, high = line.cells[clean].value, line.cells[corrupted].value
        if low is None or high is None or low.value is None or high.value is None:
            continue
        rows.append((line, high.value - low.value))
        if line.label.partition(" (")[0].lower() == "standard":
            standard[line.group] = high.value - low.value
    for line, added in rows:
        share = f"{100 * added / standard[line.group]:.0f} %" if standard.get(line.group, 0.0) > 0 else ""
        lines.append(f"| {line.label} | {line.group} | {row('mean_error').show(added)} | {share} |")
    return "\n".join(lines)


def _ranks(folder: Path, resamples: int) -> dict[str, Ranked]:
    """Return the ranks of all runs on cifar10-c; nothing of fewer than two."""
    runs = [run.parent for run in sorted((folder / "results" / _RANKED[0]).glob("*/result.json"))]
    if len(runs) < 2:
        return {}
    opened = [RunFolder.open(run) for run in runs]
    found = compare_many(opened, resamples=resamples, figures=(_RANKED[1],)).values[_RANKED[1]].runs
    return {name: Ranked(one.value, one.best_rank, one.worst_rank) for name, one in found.items()}


def _ranks_table(ranks: Mapping[str, Ranked]) -> str:
    about = row(_RANKED[1])
    lines = [f"| model | {about.head} | rank, simultaneous 95 % |", "| --- | ---: | ---: |"]
    for name, one in sorted(ranks.items(), key=lambda item: item[1].value):
        lines.append(f"| `{name}` | {about.show(one.value)} | {one.best} to {one.worst} |")
    return "\n".join(lines)


def _not_ranked(numbers: Numbers, models: OwnTable) -> str:
    """Return a sentence that names the measured models without a rank; "" where all have one."""
    measured = {line.label.partition(" (")[0] for line in models.lines if not line.published}
    missing = sorted(measured - {name.partition("-seed")[0] for name in numbers.ranks})
    return f"Measured later, and not ranked: {', '.join(f'`{name}`' for name in missing)}." if missing else ""
