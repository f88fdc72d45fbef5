"""What a report says in sentences: who is better, by how much, whether that is real, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robench.results.labels import label, model_names, sentence
from robench.results.schema import Result, Value

# The figure that a suite is about, and the one that says whether the model knows; the first that is there counts.
MAIN = ("mce", "mean_error", "mean_ood_error", "mfr", "mfp", "error", "worst_case_error",
        "mean_ood_weighted_pr_auc", "weighted_pr_auc", "clean_error")  # fmt: skip
CALIBRATION = (
    "mean_rms_calibration_error",
    "mean_ood_rms_calibration_error",
    "rms_calibration_error",
    "clean_rms_calibration_error",
)
CLEAN = ("clean_error", "iid_error")


def headline(results: Sequence[Result], comparison: Mapping[str, Any] | None) -> list[str]:
    """Return the sentences at the top; the first is the one to remember."""
    chosen = [first_of(names, results) for names in (MAIN, CALIBRATION, CLEAN)]
    names = list(dict.fromkeys(name for name in chosen if name is not None))
    if comparison is not None:
        usable = [name for name in names if _usable(name, comparison)]
        if usable:
            return [
                _short(usable[0], results, comparison),
                *(_difference(name, results, comparison) for name in usable),
            ]
    if len(results) == 1:
        return [_alone(name, results[0]) for name in names]
    if len(results) > 1 and not names:
        return ["These runs have no summary figure in common; see the table."]
    return _ranked(names, results)


def apart(differing: Sequence[str]) -> str:
    """Say that the figures of runs stand side by side without a comparison."""
    return (
        f"These runs differ in {', '.join(differing)}: their means are of different cells or images and do not say who "
        "is better. `robench compare RUN_A RUN_B` compares the cells that two runs on the same images both have."
    )


def first_of(names: Sequence[str], results: Sequence[Result]) -> str | None:
    """Return the first of these summary figures that every result has."""
    return next((name for name in names if all(_value(r, name) is not None for r in results)), None)


def next_commands(results: Sequence[Result], comparison: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return commands worth typing next, and what each is for."""
    suite = results[0].suite.name
    runs = "RUN" if len(results) == 1 else "RUN_A RUN_B"
    commands = []
    if any(result.status == "partial" for result in results):
        again = next(r.run.command for r in results if r.status == "partial") or f"robench evaluate --suite {suite} ..."
        commands.append((again, "the same command again measures what is missing, and only that"))
    if len(results) == 1:
        commands.append(
            (f"robench evaluate --suite {suite} --model OTHER", "measure a second model to set beside this one")
        )
    elif comparison is None:
        commands.append(("robench compare RUN_A RUN_B", "paired differences: which of them are real"))
    else:
        commands.append(("robench compare RUN_A RUN_B --cells", "which differences are real, cell by cell"))
    commands += [
        (f"robench metrics {runs.split()[0]} --metric adaptive_ece,aurc", "other metrics, without the model"),
        (f"robench plot severity {runs} --metric brier", "other pictures, for a paper: PNG, SVG, PDF"),
        ("robench suites list", "what else can be measured"),
    ]
    return commands


def _value(result: Result, name: str) -> float | None:
    figure = result.summary.get(name)
    return None if figure is None else figure.value


def _usable(name: str, comparison: Mapping[str, Any]) -> bool:
    found = comparison["differences"].get(name)
    return found is not None and all(found.get(key) is not None for key in ("value", "low", "high"))


def _difference(name: str, results: Sequence[Result], comparison: Mapping[str, Any]) -> str:
    """Say one paired difference, the better model first."""
    about, found = label(name), comparison["differences"][name]
    a, b = str(comparison["a"]), str(comparison["b"])
    low, high = sorted(about.factor * abs(found[key]) for key in ("low", "high"))
    unit = " points" if about.unit in ("%", "points") else ""
    if not found["significant"]:
        return (
            f"No real difference between {a} and {b} in {about.title}{_of(name, a, b, results)}: "
            f"{a} minus {b} is {about.show(found['value'], sign=True)}{unit} "
            f"(95 % interval {about.show(found['low'], sign=True)} to {about.show(found['high'], sign=True)})."
        )
    a_better = (found["value"] < 0) == (about.lower_is_better is not False)
    better, worse = (a, b) if a_better else (b, a)
    amount = f"{abs(about.factor * found['value']):.{about.digits}f}"
    way = "higher" if about.lower_is_better is False else "lower"
    return (
        f"{sentence(about.title)}: {better} is {way} than {worse} by {amount}{unit}"
        f"{_of(name, better, worse, results)}; the difference is real "
        f"(95 % interval {low:.{about.digits}f} to {high:.{about.digits}f}, paired over the same images)."
    )


def _short(name: str, results: Sequence[Result], comparison: Mapping[str, Any]) -> str:
    """Say the main difference as the one sentence to remember."""
    about, found = label(name), comparison["differences"][name]
    a, b = str(comparison["a"]), str(comparison["b"])
    where = "under corruption" if name in ("mce", "mean_error") else f"in {about.title}"
    if not found["significant"]:
        return f"{a} and {b} cannot be told apart {where}."
    a_better = (found["value"] < 0) == (about.lower_is_better is not False)
    better, worse = (a, b) if a_better else (b, a)
    numbers = _of(name, better, worse, results).strip(" ()")
    said = f": {about.title} {numbers}" if numbers else ""
    return f"{better} is better than {worse} {where}{said}. The difference is real."


def _of(name: str, better: str, worse: str, results: Sequence[Result]) -> str:
    """Return `` (21.40 % against 28.10 %)`` where the two results are there by name."""
    by_name = dict(zip(model_names(results), results, strict=True))
    if better not in by_name or worse not in by_name:
        return ""
    values = [_value(by_name[one], name) for one in (better, worse)]
    shown = [label(name).show(value, unit=True) for value in values if value is not None]
    return f" ({shown[0]} against {shown[1]})" if len(shown) == 2 else ""


def _alone(name: str, result: Result) -> str:
    """Say one figure of one model."""
    figure, about = result.summary[name], label(name)
    return f"{result.model.name}: {about.title} {_with_interval(figure, name)}."


def _ranked(names: Sequence[str], results: Sequence[Result]) -> list[str]:
    """Say who leads in each figure, and whether the intervals of the first two part."""
    said = []
    for i, name in enumerate(names):
        about = label(name)
        named = [(one, r.summary[name]) for one, r in zip(model_names(results), results, strict=True)]
        order = sorted(named, key=lambda pair: pair[1].value or 0.0, reverse=about.lower_is_better is False)
        (first, best), (second, next_best) = order[0], order[1]
        way = "highest" if about.lower_is_better is False else "lowest"
        if i == 0:
            values = [about.show(figure.value or 0.0, unit=True) for figure in (best, next_best)]
            said.append(
                f"Of {len(results)} models, {first} has the {way} {about.title}: {values[0]}, "
                f"before {second} with {values[1]}."
            )
        said.append(
            f"{sentence(about.title)}: {way} {first}, {_with_interval(best, name)}; next {second}, "
            f"{_with_interval(next_best, name)}; {_VERDICTS[_overlap(best, next_best)]}."
        )
    return said


_VERDICTS = {
    True: "their intervals overlap: only a paired comparison tells whether the difference is real",
    False: "their intervals do not overlap",
    None: "without intervals this does not say whether the difference is real",
}


def _with_interval(figure: Value, name: str) -> str:
    about = label(name)
    text = about.show(figure.value or 0.0, unit=True)
    if figure.low is None or figure.high is None:
        return text
    return f"{text} (95 % interval {about.show(figure.low)} to {about.show(figure.high)})"


def _overlap(a: Value, b: Value) -> bool | None:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return a.low <= b.high and b.low <= a.high
