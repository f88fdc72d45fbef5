"""What several verbs share: parsing of options, tables on the terminal, and how figures are written."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError

if TYPE_CHECKING:
    from rich.console import Console

    from robench.results.schema import Result, Value


class InterruptedWorkError(Exception):
    """Ctrl-C during long work, with what is kept and how to go on; the command line leaves with 130.

    Not a KeyboardInterrupt, which the command line's library would swallow with its message.
    """


TITLES = {
    "clean_error": "clean error, %",
    "clean_rms_calibration_error": "clean RMS calibration error, %",
    "clean_ece": "clean ECE, %",
    "clean_brier": "clean Brier score (0 to 2)",
    "mean_error": "mean corruption error, %",
    "mean_error_19": "mean error over 19 corruptions, %",
    "mce": "mCE (baseline = 100)",
    "relative_mce": "relative mCE",
    "robust_accuracy": "robust accuracy, %",
    "mean_rms_calibration_error": "RMS calibration error, %",
    "mean_ece": "ECE, %",
    "mean_brier": "Brier score (0 to 2)",
    "mean_nll": "NLL, nats",
    "mfp": "mean flip probability, %",
    "mfr": "mFR (AlexNet = 100)",
    "mt5d": "mean top-5 distance (0 to 15)",
    "gap_error": "gap to matching clean set, points",
    "iid_error": "IID error, %",
    "mean_ood_error": "mean OOD error, %",
    "error": "error, %",
    "rms_calibration_error": "RMS calibration error, %",
    "ece": "ECE, %",
    "brier": "Brier score (0 to 2)",
    "nll": "NLL, nats",
    "worst_case_error": "worst-case error, %",
    "average_case_error": "average-case error, %",
    "weighted_pr_auc": "mAP, %",
    "iid_weighted_pr_auc": "IID mAP, %",
    "mean_ood_weighted_pr_auc": "mean OOD mAP, %",
    "gap_weighted_pr_auc": "gap in mAP, points",
}
HEADLINES = tuple(TITLES)


def is_percentage(name: str) -> bool:
    """Return whether tables show a metric or a summary figure multiplied by 100: whether it is a fraction."""
    from robench.metrics.table import METRICS

    plain = ("mt5d", *(metric.name for metric in METRICS.values() if metric.unit != "fraction"))
    return not any(name == other or name.endswith(f"_{other}") for other in plain)


def show_figure(figure: Value | None, name: str, *, interval: bool = True) -> str:
    """Return a figure as tables show it: ``12.34 (11.80 to 12.91)``; a dash where there is none."""
    if figure is None or figure.value is None:
        return "-"
    factor, digits = (100.0, 2) if is_percentage(name) else (1.0, 4)
    text = f"{factor * figure.value:.{digits}f}"
    if interval and figure.low is not None and figure.high is not None:
        text += f" ({factor * figure.low:.{digits}f} to {factor * figure.high:.{digits}f})"
    return text


def parse_floats(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Parse ``0.49,0.48,0.45``; one number stands for all.

    Raises:
        RobenchError: not numbers, or the wrong count.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.replace(" ", "").split(","))
    except ValueError:
        values = ()
    if len(values) == 1:
        values *= 3
    if len(values) != 3:
        raise RobenchError(
            f"{option} takes 3 numbers with commas between them; found '{text}'.",
            hint=f"For example {option} 0.4914,0.4822,0.4465",
        )
    # Written so that NaN is refused too.
    if not all(abs(value) <= 1 and (value > 0 or option != "--std") for value in values):
        what = "above 0 and at most 1" if option == "--std" else "of images in [0, 1]"
        raise RobenchError(
            f"{option} takes numbers {what}; found '{text}'.",
            hint="Divide by 255 what is meant for pixels up to 255.",
        )
    return values[0], values[1], values[2]


def split_names(text: str | None) -> tuple[str, ...] | None:
    """Parse ``a,b,c``."""
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else None


def one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value of an option that is not one of the known ones.

    Raises:
        RobenchError: it is not.
    """
    if value not in known:
        raise RobenchError(f"{option} is one of {', '.join(known)}; found '{value}'.")


def print_json(document: Any) -> None:
    """Print a document to standard output, for machines."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def console(**options: Any) -> Console:
    """Return a console that prints names as they are: ``net[v2]`` is no markup, ``a:fire:b`` no picture."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **options)


def print_summary(results: list[Result], differences: dict[str, str] | None = None) -> None:
    """Print the headline figures of results as a table, with the paired difference where given, and their notes."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    first = results[0]
    title = f"{first.suite.name} ({first.suite.source}), below each figure its 95 % interval"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 1))
    table.add_column("")
    for result in results:
        table.add_column(escape(result.model.name), justify="right", overflow="fold")
    if differences:
        table.add_column("difference", justify="right")
    for name in HEADLINES:
        if any(name in result.summary for result in results):
            cells = [_two_lines(show_figure(result.summary.get(name), name)) for result in results]
            extra = [_two_lines(differences.get(name, "-"))] if differences else []
            table.add_row(TITLES[name], *cells, *extra)
    Console(emoji=False).print(table)
    notes: dict[str, list[str]] = {}
    for result in results:
        for note in result.notes:
            notes.setdefault(note, []).append(result.model.name)
    for note, names in notes.items():
        whose = "" if len(names) == len(results) else f"{', '.join(names)}: "
        print(f"note: {whose}{note}")


def _two_lines(text: str) -> str:
    """Put a figure's interval on a line of its own, so that three columns fit an ordinary terminal."""
    value, _, rest = text.partition(" (")
    interval, _, star = rest.partition(")")
    return f"{value}{star}\n[dim]{interval}[/dim]" if interval else value
