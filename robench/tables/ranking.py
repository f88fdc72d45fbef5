"""Where a result would stand among the published rows of its own protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from robench.catalogue import row
from robench.errors import RobenchError, did_you_mean
from robench.results.labels import image_words
from robench.results.protocols import protocol_of
from robench.results.schema import Result, Value
from robench.tables.boards import Board, Row, make_boards, measured_row

_SETS_OF_TIMM = {"imagenet-v2": "matched-frequency"}
"""Suite of several sets -> the one whose accuracies timm publishes."""


@dataclass(frozen=True)
class Place:
    """One row of a ranking.

    Args:
        name, architecture: of the model.
        source: who measured it, ``robench`` for the result that is ranked.
        value: as stored.
        link: address of the paper; "" where there is none.
        own: whether it is the result that is ranked.
    """

    name: str
    architecture: str
    source: str
    value: float
    link: str = ""
    own: bool = False


@dataclass(frozen=True)
class Standing:
    """Where a result stands among published rows by one summary value.

    Args:
        suite, protocol: what was measured, on which images.
        metric: name of the summary value.
        value: of the result, with its interval.
        first, last: the best and the worst rank that the interval allows.
        places: all rows, the best first.
        notes: what to know before the rank is quoted.
    """

    suite: str
    protocol: str
    metric: str
    value: Value
    first: int
    last: int
    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """The rank of the value itself."""
        return 1 + next(i for i, place in enumerate(self.places) if place.own)

    @property
    def sentence(self) -> str:
        """In words: ``rank 5 of 24 (3 to 7)``."""
        return f"rank {self.rank} of {len(self.places)} ({self.first} to {self.last} within its 95 % interval)"


def standing_of(result: Result, metric: str | None = None) -> Standing:
    """Return where a result stands among published rows on the same images.

    Args:
        result: the result.
        metric: name of a summary value that both have; None: the one that the board ranks by.

    Raises:
        RobenchError: nobody publishes rows of this protocol, or none with this value.
    """
    board, own, published = _shared(result)
    common = [n for n in board.columns if n in own.values and any(n in entry.values for entry in published)]
    if metric is not None and metric not in common:
        raise RobenchError(
            f"The published rows of {board.title} are not comparable by '{metric}'.",
            hint=f"They can be ranked by: {', '.join(common)}. {did_you_mean(metric, common)}".strip(),
        )
    name = metric or common[0]
    value = own.values[name]
    assert value.value is not None  # rows hold none that are undefined
    sign = -1.0 if row(name).lower_is_better is False else 1.0
    ends = sorted(sign * (value.value if end is None else end) for end in (value.low, value.high))
    theirs = [sign * found for entry in published if (found := _value(entry, name)) is not None]
    places = [_place(entry, name) for entry in (own, *published) if _value(entry, name) is not None]
    places.sort(key=lambda place: (sign * place.value, not place.own))
    return Standing(
        suite=result.suite.name,
        protocol=board.protocol,
        metric=name,
        value=value,
        first=1 + sum(one < ends[0] for one in theirs),
        last=1 + sum(one <= ends[1] for one in theirs),
        places=tuple(places),
        notes=tuple(_notes(result)),
    )


def _shared(result: Result) -> tuple[Board, Row, list[Row]]:
    """Return the board that a result shares with published rows, its own row and theirs.

    Raises:
        RobenchError: there is none; the message says how the protocols differ.
    """
    from pathlib import Path

    boards = make_boards({Path("result.json"): result})
    measured = [(board, entry) for board in boards for entry in board.rows if entry.kind == "measured"]
    for board, entry in measured:
        published = [other for other in board.rows if other.kind == "published"]
        if published:
            return board, entry, published
    others = [b for b in boards if b.title == result.suite.name and any(r.kind == "published" for r in b.rows)]
    timm = next((b for b in others if b.id.endswith("-timm")), None)
    if timm is not None and result.suite.source == "published":
        if measured and _whole(result, timm):
            return timm, measured[0][1], timm.rows
        if (own := _of_one_set(result, timm)) is not None:
            return timm, own, timm.rows
    raise _unlike(result, others)


def _of_one_set(result: Result, board: Board) -> Row | None:
    """Return the row of the one set that timm measures where a suite has several; None where it is not whole."""
    condition = _SETS_OF_TIMM.get(board.title)
    cell = next((cell for cell in result.cells if cell.name == condition), None)
    if condition is None or cell is None or cell.failed or "error" not in cell.metrics:
        return None
    if cell.images != protocol_of(result).published_images(condition):
        return None
    return replace(measured_row(result, board.id), values={"error": cell.metrics["error"]})


def _whole(result: Result, board: Board) -> bool:
    """Whether timm's value is that of this result: of its one shifted set, whole."""
    shifted = [name for name in result.conditions if name not in ("clean", "imagenet-200")]
    return result.suite.complete and shifted == [board.title]


def _unlike(result: Result, others: Iterable[Board]) -> RobenchError:
    suite = result.suite
    others = list(others)
    if not others:
        known = "imagenet-c, cifar10-c, cifar100-c (RobustBench); imagenet-a, -r, -real, -sketch and -v2 (timm)"
        return RobenchError(
            f"robench has no published rows of {suite.name}.", hint=f"There are published rows of {known}."
        )
    images = max((cell.images for cell in result.cells), default=0)
    what = f"{image_words(result)}, {images:,} per cell, {'the whole suite' if suite.complete else 'a part of it'}"
    hint = "Evaluate the whole suite on its published files."
    if (one := _SETS_OF_TIMM.get(suite.name)) is not None:
        hint = f"Evaluate all {one} images, from the published files."
    if protocol_of(result).takes("images"):
        hint = "Evaluate RobustBench's list of images: `robench.evaluate(images='robustbench')`."
    return RobenchError(
        f"This result is of {what}; the published rows of {suite.name} are of: {others[0].protocol}.", hint=hint
    )


def _value(entry: Row, name: str) -> float | None:
    found = entry.values.get(name)
    return None if found is None else found.value


def _place(entry: Row, name: str) -> Place:
    value = _value(entry, name)
    assert value is not None
    return Place(entry.name, entry.architecture, entry.source, value, entry.link, own=entry.kind == "measured")


def _notes(result: Result) -> list[str]:
    notes = ["Published values have no interval; theirs would be about as wide, so that neighbours may change places."]
    card: Mapping[str, object] = result.model.card
    if "adapted" in card:
        notes.append("This model adapts to its batches; the published rows do not (RobustBench excludes such models).")
    return notes
