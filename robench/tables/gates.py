"""How a gate ended, for people and code hosts: one line, Markdown, JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from xml.etree import ElementTree

from robench.catalogue import row
from robench.results.labels import markdown, sentence

Rows = list[list[str]]
_WORDS = {"pass": "no loss beyond the margin", "loss": "loss", "undecided": "undecided"}


class Value(Protocol):
    """One value of a gate: see :class:`robench.api.gate.GateValue`."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> float: ...
    @property
    def baseline(self) -> float: ...
    @property
    def loss(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def max_loss(self) -> float: ...
    @property
    def verdict(self) -> str: ...


class Outcome(Protocol):
    """How a gate ended: see :class:`robench.api.gate.GateOutcome`."""

    @property
    def verdict(self) -> str: ...
    @property
    def suite(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def baseline(self) -> str: ...
    @property
    def values(self) -> Sequence[Value]: ...
    @property
    def images(self) -> int: ...
    @property
    def passes(self) -> int: ...
    @property
    def of(self) -> int: ...
    @property
    def looks(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def method(self) -> str: ...


def headline(found: Outcome) -> str:
    """Return how the gate ended in one sentence."""
    said = {
        "pass": f"{found.model} loses no more than allowed against {found.baseline} on {found.suite}",
        "loss": f"{found.model} loses against {found.baseline} on {found.suite}",
        "undecided": f"Undecided whether {found.model} loses against {found.baseline} on {found.suite}",
    }[found.verdict]
    return f"{said} ({amount(found)})."


def amount(found: Outcome) -> str:
    """Return how much was measured: ``1,900 of 45,524 passes, 25 images per cell, 1 look``."""
    looks = f"{found.looks} look{'s' if found.looks != 1 else ''}"
    return f"{found.passes:,} of {found.of:,} passes, {found.images} images per cell, {looks}"


def table(found: Outcome) -> tuple[list[str], Rows]:
    """Return the head and a row per value: both models' values, the loss with its bounds, what is allowed, verdict."""
    head = ["", found.model, found.baseline, "loss", "95 % bounds", "allowed", "verdict"]
    rows = []
    for one in found.values:
        about = row(one.name)
        rows.append(
            [
                about.head,
                about.show(one.model),
                about.show(one.baseline),
                about.show(one.loss, sign=True),
                f"{about.show(one.low, sign=True)} to {about.show(one.high, sign=True)}",
                about.show(one.max_loss),
                why(one),
            ]
        )
    return head, rows


def why(one: Value) -> str:
    """Return a value's verdict in words; a loss that is not shown to be beyond what is allowed says so."""
    if one.verdict == "loss" and one.low <= one.max_loss:
        return "loss, not shown to be within the margin"
    return _WORDS[one.verdict]


def as_markdown(found: Outcome) -> str:
    """Return a summary in Markdown, for the summary page of a code host."""
    head, rows = table(found)
    lines = [[markdown(cell) for cell in line] for line in (head, *rows)]
    lines.insert(1, ["---", *["---:"] * (len(head) - 1)])
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    title = f"### robench gate: {_WORDS[found.verdict]}"
    notes = "".join(f"\n- {markdown(note)}" for note in (*found.notes, f"Bounds: {found.method}."))
    return f"{title}\n\n{markdown(headline(found))}\n\n{body}\n{notes}\n"


def as_junit(found: Outcome) -> str:
    """Return a JUnit XML report with one test case per value; a loss, and what is undecided, is a failure."""
    failed = sum(one.verdict != "pass" for one in found.values)
    counts = {"tests": str(len(found.values)), "failures": str(failed), "errors": "0", "time": f"{found.seconds:.1f}"}
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"robench gate on {_xml(found.suite)}", **counts})
    about = f"{_xml(found.model)} against {_xml(found.baseline)}"
    for one in found.values:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"robench.gate.{_xml(found.suite)}", "name": f"{one.name}: {about}"}
        )
        case.set("time", f"{found.seconds / max(len(found.values), 1):.1f}")
        text = sentence_of(one)
        if one.verdict == "pass":
            ElementTree.SubElement(case, "system-out").text = text
        else:
            failure = ElementTree.SubElement(case, "failure", {"type": one.verdict, "message": text})
            failure.text = f"{text}\n{_xml(headline(found))}"
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def sentence_of(one: Value) -> str:
    """Say a value's loss: ``Mean error under corruption: loss +0.40 (-0.20 to +0.90), 1.00 allowed: undecided.``"""
    about = row(one.name)
    ends = f"{about.show(one.low, sign=True)} to {about.show(one.high, sign=True)}"
    unit = f" {about.difference_unit}".rstrip()
    return (
        f"{sentence(about.title)}: loss {about.show(one.loss, sign=True)}{unit} ({ends}), "
        f"{about.show(one.max_loss)} allowed: {why(one)}."
    )


def _xml(text: str) -> str:
    """Return text without the characters that XML 1.0 does not allow."""
    return "".join(c if c in "\t\n" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?"
                   for c in text)  # fmt: skip
