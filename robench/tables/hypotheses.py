"""Many Faces, Tables 4 and 6: which hypotheses hold on which data sets, derived from the numbers of its other tables.

The paper gives no rule. This one gives all of its signs from its own printed numbers: there is evidence where one of
the hypothesis's models is at least two points better than the ResNet-50: in the gap between shifted and unshifted
images where the data set has both (ImageNet-R, DeepFashion Remixed, StreetView StoreFronts), in the error else (mCE on
ImageNet-C).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from robench.results.schema import Result
from robench.tables.covering import cover
from robench.tables.measured import MARKS, Coverage, marks
from robench.tables.published import PaperTable, load_table

ADDRESSES = ("many-faces/4", "many-faces/6")
BASE = "ResNet-50"
MARGIN = 2.0
"""Points by which a model must be better."""

Number = Callable[[str, str, str], float | None]
"""From a table's address, a row's title and a column to the number there, in the table's unit."""

_C, _BLURRY, _R, _A, _DFR, _SVSF = (
    "many-faces/8", "many-faces/5", "many-faces/1", "many-faces/9", "many-faces/3", "many-faces/2",
)  # fmt: skip
_DIVERSE = ("+ Style transfer", "+ AugMix", "+ DeepAugment", "+ DeepAugment + AugMix")
_PRETRAINED = "+ ImageNet-21K pretraining"
# Rows of each table that test a hypothesis; a title is enough where it begins a row's.
MODELS: dict[str, tuple[str, ...]] = {
    "Larger models": ("ResNet-152 (larger model)",),
    "Self-attention": ("+ CBAM (self-attention)", "+ SE (self-attention)"),
    "Diverse data augmentation": _DIVERSE,
    "Pretraining": (_PRETRAINED,),
}


def _mce(number: Number, row: str) -> float | None:
    return number(_C, row, "mce")


def _blurry(number: Number, row: str) -> float | None:
    return number(_BLURRY, row, "real")


def _renditions(number: Number, row: str) -> float | None:
    return number(_R, row, "gap")


def _adversarial(number: Number, row: str) -> float | None:
    accuracy = number(_A, row, "imagenet-a")
    return None if accuracy is None else 100 - accuracy


def _fashion(number: Number, row: str) -> float | None:
    inside, outside = number(_DFR, row, "iid"), number(_DFR, row, "ood")
    return None if inside is None or outside is None else inside - outside


def _storefronts(number: Number, row: str) -> float | None:
    inside = number(_SVSF, row, "iid")
    outside = [number(_SVSF, row, column) for column in ("old", "2017", "2018", "france")]
    known = [one for one in outside if one is not None]
    return None if inside is None or len(known) < len(outside) else sum(known) / len(known) - inside


# column of Tables 4 and 6 -> the table that has its numbers, and what is compared: lower is better
SETS: dict[str, tuple[str, Callable[[Number, str], float | None]]] = {
    "imagenet-c": (_C, _mce),
    "blurry": (_BLURRY, _blurry),
    "imagenet-a": (_A, _adversarial),
    "imagenet-r": (_R, _renditions),
    "dfr": (_DFR, _fashion),
    "svsf": (_SVSF, _storefronts),
}


def printed(address: str, row: str, column: str) -> float | None:
    """Return the number that the paper prints."""
    table = load_table(address)
    titles = [one.title for one in table.rows]
    return table.number(titles.index(row), column) if row in titles else None


class MeasuredNumbers:
    """The numbers that results measured, by the rules of :func:`covering.cover`, and the marks of those asked for."""

    def __init__(self, results: Mapping[Path, Result], words: Mapping[str, str], *, generated: bool = False) -> None:
        self._given, self._generated = (results, words), generated
        self._covered: dict[str, Coverage] = {}
        self.marks = ""

    def __call__(self, address: str, row: str, column: str) -> float | None:
        """Return a number of a table; None where no result measured it."""
        table = load_table(address)
        if address not in self._covered:
            self._covered[address] = cover(table, *self._given, generated=self._generated)
        titles = [one.title for one in table.rows]
        found = self._covered[address].filled.get((titles.index(row), column)) if row in titles else None
        if found is None:
            return None
        self.marks += marks(found)
        return found.value


def signs(table: PaperTable, number: Number) -> dict[tuple[int, str], str]:
    """Return the signs that follow from numbers, for the cells whose models and ResNet-50 have them.

    Signs of measured numbers are marked as these are, where one of them is of generated images or of a sample.

    Args:
        table: Many Faces, Table 4 or 6.
        number: gives the numbers of the other tables, printed or measured.

    >>> signs(load_table("many-faces/4"), printed)[2, "imagenet-r"]
    '+'
    """
    found = {}
    for i, row in enumerate(table.rows):
        for j, column in enumerate(table.columns):
            address, of = SETS[column]
            if isinstance(number, MeasuredNumbers):
                number.marks = ""
            base = of(number, BASE)
            values = [of(number, title) for title in _rows(address, row.title)]
            known = [value for value in values if value is not None]
            if table.cells[i][j] and base is not None and known:
                found[i, column] = "+" if base - min(known) >= MARGIN else "\u2212"
                if isinstance(number, MeasuredNumbers):
                    found[i, column] += "".join(mark for mark in MARKS if mark in number.marks)
    return found


def _rows(address: str, hypothesis: str) -> list[str]:
    """Return the titles of a table's rows that test a hypothesis."""
    titles = [row.title for row in load_table(address).rows]
    if hypothesis == "Self-attention" and address == _A:
        return ["+ Squeeze-and-excitation", "+ CBAM (self-attention)"]
    return [title for title in titles if any(_same(title, wanted) for wanted in MODELS[hypothesis])]


def _same(title: str, wanted: str) -> bool:
    return title.startswith(wanted) if wanted == _PRETRAINED else title == wanted
