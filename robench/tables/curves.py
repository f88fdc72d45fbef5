"""Curves of a model's page as inline SVG: colours are CSS variables, so that they follow the light or dark screen."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from robench.results.labels import words
from robench.results.schema import ReliabilityBin, Value

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 440, 260, 46, 36, 12
_BAR = 210  # of the longest bar; short, so that a phone's letters are large enough


def _y(value: float, top: float) -> float:
    return TOP + (HEIGHT - BOTTOM - TOP) * (1 - value / top)


def _frame(title: str, ticks: Sequence[float], top: float, xlabel: str, parts: Sequence[str]) -> str:
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{_y(t, top):.1f}" y2="{_y(t, top):.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{_y(t, top) + 4:.1f}" text-anchor="end">{t:g}</text>'
        for t in ticks
    ]
    axis = f'<text class="tick" x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(xlabel)}</text>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        + "".join([*lines, *parts, axis])
        + "</svg>"
    )


def _ticks(top: float) -> tuple[list[float], float]:
    """Return round ticks from 0 and the top of the axis."""
    for step in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 25):
        if top / step <= 5:
            break
    count = int(top / step) + 1
    return [round(step * i, 6) for i in range(count + 1)], step * count


def severity_curve(title: str, values: Sequence[Value | None], factor: float) -> str:
    """Return the curve of a metric over severities 0 to 5 with its interval as a band.

    Args:
        title: what it shows, read out by screen readers.
        values: of severity 0 (clean) to 5; None where there is none.
        factor: what values are multiplied by.
    """
    points = [(i, one) for i, one in enumerate(values) if one is not None and one.value is not None]
    if not points:
        return ""
    ticks, top = _ticks(max(factor * float(one.high or one.value or 0) for _, one in points) or 1.0)
    xs = {i: LEFT + 20 + i * (WIDTH - LEFT - 50) / 5 for i, _ in points}
    banded = [(xs[i], one) for i, one in points if one.low is not None and one.high is not None]
    upper = [f"{x:.1f},{_y(factor * float(one.high or 0), top):.1f}" for x, one in banded]
    lower = [f"{x:.1f},{_y(factor * float(one.low or 0), top):.1f}" for x, one in reversed(banded)]
    line = " ".join(f"{xs[i]:.1f},{_y(factor * float(one.value or 0), top):.1f}" for i, one in points)
    parts = [f'<polygon class="band" points="{" ".join(upper + lower)}"/>', f'<polyline class="line" points="{line}"/>']
    for i, one in points:
        y = _y(factor * float(one.value or 0), top)
        parts.append(f'<circle class="dot" cx="{xs[i]:.1f}" cy="{y:.1f}" r="3.5"/>')
        parts.append(f'<text class="tick" x="{xs[i]:.1f}" y="{HEIGHT - 20}" text-anchor="middle">{i or "clean"}</text>')
    return _frame(title, ticks, top, "severity", parts)


def reliability_diagram(title: str, bins: Sequence[ReliabilityBin]) -> str:
    """Return accuracy over confidence with intervals; the area of a dot grows with its share of images."""
    total = sum(one.count for one in bins) or 1

    def x(value: float) -> float:
        return LEFT + 8 + value * (WIDTH - LEFT - 24)

    parts = [f'<line class="ideal" x1="{x(0)}" y1="{_y(0, 1)}" x2="{x(1)}" y2="{_y(1, 1)}"/>']
    for one in bins:
        if one.confidence is None or one.accuracy is None:
            continue
        if one.low is not None and one.high is not None:
            parts.append(
                f'<line class="whisker" x1="{x(one.confidence):.1f}" x2="{x(one.confidence):.1f}"'
                f' y1="{_y(one.low, 1):.1f}" y2="{_y(one.high, 1):.1f}"/>'
            )
        radius = 2.5 + 9 * (one.count / total) ** 0.5
        parts.append(
            f'<circle class="dot" cx="{x(one.confidence):.1f}" cy="{_y(one.accuracy, 1):.1f}" r="{radius:.1f}"/>'
        )
    return _frame(title, [0, 0.25, 0.5, 0.75, 1], 1.0, "confidence (dots: share of images)", parts)


def bars(title: str, rows: Sequence[tuple[str, Value]], factor: float = 100.0) -> str:
    """Return horizontal bars, one per condition, with intervals and the number at the end."""
    height = 22 * len(rows) + 8
    top = max((factor * float(one.high or one.value or 0) for _, one in rows), default=1.0) or 1.0
    parts = []
    for i, (name, one) in enumerate(rows):
        y, width = 6 + 22 * i, _BAR * factor * float(one.value or 0) / top
        parts.append(f'<text class="label" x="142" y="{y + 12}" text-anchor="end">{escape(words(name))}</text>')
        parts.append(f'<rect class="bar" x="150" y="{y}" width="{width:.1f}" height="15"/>')
        if one.low is not None and one.high is not None:
            ends = [150 + _BAR * factor * end / top for end in (one.low, one.high)]
            parts.append(f'<line class="whisker" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y + 7.5}" y2="{y + 7.5}"/>')
            width = max(width, ends[1] - 150)
        text = f"{factor * float(one.value or 0):.1f}"
        parts.append(f'<text class="label" x="{156 + width:.1f}" y="{y + 12}">{text}</text>')
    box, said = f"0 0 {_BAR + 200} {height}", escape(title)
    return f'<svg viewBox="{box}" role="img" aria-label="{said}"><title>{said}</title>' + "".join(parts) + "</svg>"
