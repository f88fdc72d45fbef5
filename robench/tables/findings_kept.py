"""The numbers of a page of findings, as they lie beside it: a later page keeps those whose runs are not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from robench.errors import RobenchError
from robench.files import read_document
from robench.results.judging import Difference

KIND = "robench-findings"


@dataclass(frozen=True)
class Compared:
    """What was measured for a claim.

    Args:
        difference: of the first seeds, paired over images.
        seeds: differences of the further seeds that both models have, as stored.
    """

    difference: Difference
    seeds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """A model's value and its ranks, those that the simultaneous 95 % intervals of all differences allow."""

    value: float
    best: int
    worst: int


@dataclass(frozen=True)
class Scaled:
    """A model's temperature, and values under shift before and after: metric -> value, low, high (None: undefined)."""

    temperature: float
    before: dict[str, list[float | None]]
    after: dict[str, list[float | None]]


@dataclass(frozen=True)
class Frequencies:
    """What a model's Fourier map and low-pass curve say, in fractions.

    Args:
        clean: its error on the map's images as they are.
        bands: band of frequencies -> its mean error under perturbations of one frequency each.
        lowpass: bandwidth in pixels, as text -> its error on images that are left with lower frequencies; empty: not
            measured.
    """

    clean: float
    bands: dict[str, float]
    lowpass: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Numbers:
    """What a page of findings says beside the models' own results.

    Args:
        claims: name of a claim -> what was measured for it.
        scaled: model -> what temperature scaling leaves.
        ranks: model -> its ranks among these models.
        frequencies: model -> what its Fourier map says.
    """

    claims: dict[str, Compared] = field(default_factory=dict)
    scaled: dict[str, Scaled] = field(default_factory=dict)
    ranks: dict[str, Ranked] = field(default_factory=dict)
    frequencies: dict[str, Frequencies] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return a JSON-able document, which :func:`read_numbers` reads."""
        return {
            "kind": KIND,
            "claims": {
                name: {"difference": one.difference.model_dump(exclude_none=True), "seeds": list(one.seeds)}
                for name, one in self.claims.items()
            },
            "scaled": {name: asdict(one) for name, one in self.scaled.items()},
            "ranks": {name: asdict(one) for name, one in self.ranks.items()},
            "frequencies": {name: asdict(one) for name, one in self.frequencies.items()},
        }

    def over(self, earlier: Numbers) -> Numbers:
        """Return these numbers, and of an earlier page those that are not among them.

        Ranks are those of more models: a rank among some says nothing of the others.
        """
        ranks = self.ranks if set(self.ranks) >= set(earlier.ranks) else earlier.ranks
        frequencies = earlier.frequencies | self.frequencies
        return Numbers(earlier.claims | self.claims, earlier.scaled | self.scaled, ranks, frequencies)


def read_numbers(path: Path) -> Numbers:
    """Return the numbers of an earlier page.

    Raises:
        RobenchError: no such file, or another kind of document.
    """
    document = read_document(path, "findings")
    try:
        if document.get("kind") != KIND:
            raise ValueError(f"its kind is {document.get('kind')!r}")
        claims = {name: _compared(one) for name, one in document["claims"].items()}
        scaled = {name: Scaled(**one) for name, one in document["scaled"].items()}
        ranks = {name: Ranked(**one) for name, one in document["ranks"].items()}
        frequencies = {name: Frequencies(**one) for name, one in document.get("frequencies", {}).items()}
        return Numbers(claims, scaled, ranks, frequencies)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RobenchError(
            f"{path} does not hold the numbers of a page of findings: {error}.",
            hint="Give the file that `robench leaderboard findings` wrote beside its page: PAGE.json of PAGE.md.",
        ) from error


def _compared(fields: Mapping[str, Any]) -> Compared:
    return Compared(Difference(**{"value": None, **fields["difference"]}), tuple(fields["seeds"]))
