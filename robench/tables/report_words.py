"""What a report says in sentences: which model is better, by how much, whether significantly, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from robench.catalogue import headlines, metric_of, row
from robench.results.comparing import Comparison
from robench.results.judging import Difference
from robench.results.labels import interval_text, model_names, sentence
from robench.results.schema import Result, Value


def headline(results: Sequence[Result], comparison: Comparison | None) -> list[str]:
    """Return the sentences at the top; the first is the one to remember."""
    names = headline_names(results)
    if comparison is not None:
        found = {name: difference for name in names if (difference := comparison.differences.get(name)) is not None}
        usable = [name for name, difference in found.items() if _usable(difference)]
        if usable:
            return [
                _short(usable[0], results, comparison),
                *(_difference(name, results, comparison) for name in usable),
            ]
    if len(results) == 1:
        return [_alone(name, results[0]) for name in names]
    if len(results) > 1 and not names:
        return ["These runs have no summary value in common; see the table."]
    return _ranked(names, results)


def headline_names(results: Sequence[Result]) -> list[str]:
    """Return the summary values that sentences name, of those that every result has: main, calibration, clean."""
    common = [name for name in headlines(results[0].summary) if all(_value(r, name) is not None for r in results)]
    fewest = min((cell.images for result in results for cell in result.cells), default=0)
    metrics = {name: of for name in common if (of := metric_of(name)) is not None}
    calibration = [n for n, of in metrics.items() if of.family == "calibration" and of.headline_images <= fewest]
    clean = [name for name in common if name in ("clean_error", "iid_error")]
    return list(dict.fromkeys([*common[:1], *calibration[:1], *clean[:1]]))


def apart(differing: Sequence[str]) -> str:
    """Say why runs are shown side by side without a comparison."""
    return (
        f"These runs differ in {', '.join(differing)}: their means are of different cells or images and do not say "
        "which model is better. `robench compare RUN_A RUN_B` compares the cells that two runs on the same images "
        "both have."
    )


def next_commands(results: Sequence[Result], comparison: Comparison | None) -> list[tuple[str, str]]:
    """Return commands worth typing next, and what each is for."""
    suite = results[0].suite.name
    runs = "RUN" if len(results) == 1 else "RUN_A RUN_B"
    data = "" if results[0].suite.dataset == "digits" else " --data PATH"
    commands = []
    if any(result.status == "partial" for result in results):
        again = next(r.run.command for r in results if r.status == "partial") or f"robench evaluate --suite {suite} ..."
        commands.append((again, "the same command again measures what is missing, and only that"))
    if len(results) == 1:
        commands.append(
            (f"robench evaluate --suite {suite} --model OTHER{data}", "measure a second model to compare with this one")
        )
    elif comparison is None:
        commands.append(("robench compare RUN_A RUN_B", "paired differences: which of them are significant"))
    else:
        commands.append(("robench compare RUN_A RUN_B --cells", "which differences are significant, cell by cell"))
    commands += [
        (f"robench metrics {runs.split()[0]} --metric adaptive_ece,aurc", "other metrics, without the model"),
        (f"robench plot severity {runs} --metric brier", "other plots, for a paper: PNG, SVG, PDF"),
        ("robench suites list", "what else can be measured"),
    ]
    return commands


def _value(result: Result, name: str) -> float | None:
    value = result.summary.get(name)
    return None if value is None else value.value


def _usable(difference: Difference) -> bool:
    return None not in (difference.value, difference.low, difference.high)


def _difference(name: str, results: Sequence[Result], comparison: Comparison) -> str:
    """Say one paired difference, the better model first."""
    about, found, a, b = row(name), comparison.differences[name], comparison.a, comparison.b
    unit = f" {about.difference_unit}".rstrip()
    value, low, high = found.value or 0.0, found.low or 0.0, found.high or 0.0
    if not found.significant:
        return (
            f"No significant difference between {a} and {b} in {about.title}{_of(name, a, b, results)}: "
            f"{a} minus {b} is {about.show(value, sign=True)}{unit} "
            f"(95 % interval {about.show(low, sign=True)} to {about.show(high, sign=True)})."
        )
    better, worse = _better(name, comparison)
    way = "higher" if about.lower_is_better is False else "lower"
    near, far = sorted((abs(low), abs(high)))
    return (
        f"{sentence(about.title)}: {better} is {way} than {worse} by {about.show(abs(value))}{unit}"
        f"{_of(name, better, worse, results)}; statistically significant "
        f"(95 % interval {about.show(near)} to {about.show(far)}, paired over the same images)."
    )


def _short(name: str, results: Sequence[Result], comparison: Comparison) -> str:
    """Say the main difference as the one sentence to remember."""
    about, found = row(name), comparison.differences[name]
    where = "under corruption" if name in ("mce", "mean_error") else f"in {about.title}"
    if not found.significant:
        return f"No significant difference between {comparison.a} and {comparison.b} {where}."
    better, worse = _better(name, comparison)
    numbers = _of(name, better, worse, results).strip(" ()")
    called = "mean error" if name == "mean_error" else about.title  # "under corruption" is said before
    said = f": {called} {numbers}" if numbers else ""
    return f"{better} is significantly better than {worse} {where}{said}."


def _better(name: str, comparison: Comparison) -> tuple[str, str]:
    """Return the two models' names, the better one first; where neither end is good, the lower one."""
    a_lower = (comparison.differences[name].value or 0.0) < 0
    a_better = a_lower == (row(name).lower_is_better is not False)
    return (comparison.a, comparison.b) if a_better else (comparison.b, comparison.a)


def _of(name: str, better: str, worse: str, results: Sequence[Result]) -> str:
    """Return `` (21.40 % against 28.10 %)`` where the two results are there by name."""
    by_name = dict(zip(model_names(results), results, strict=True))
    if better not in by_name or worse not in by_name:
        return ""
    values = [_value(by_name[one], name) for one in (better, worse)]
    shown = [row(name).show(value, unit=True) for value in values if value is not None]
    return f" ({shown[0]} against {shown[1]})" if len(shown) == 2 else ""


def _alone(name: str, result: Result) -> str:
    """Say one value of one model."""
    value, about = result.summary[name], row(name)
    return f"{result.model.name}: {about.title} {_with_interval(value, name)}."


def _ranked(names: Sequence[str], results: Sequence[Result]) -> list[str]:
    """Say which model leads in each metric, and whether the intervals of the first two overlap."""
    said = []
    for i, name in enumerate(names):
        about = row(name)
        named = [(one, r.summary[name]) for one, r in zip(model_names(results), results, strict=True)]
        order = sorted(named, key=lambda pair: pair[1].value or 0.0, reverse=about.lower_is_better is False)
        (first, best), (second, next_best) = order[0], order[1]
        way = "highest" if about.lower_is_better is False else "lowest"
        if i == 0:
            values = [about.show(value.value or 0.0, unit=True) for value in (best, next_best)]
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
    True: "their intervals overlap: only a paired comparison tells whether the difference is significant",
    False: "their intervals do not overlap",
    None: "without intervals this does not say whether the difference is significant",
}


def _with_interval(value: Value, name: str) -> str:
    text = row(name).show(value.value or 0.0, unit=True)
    ends = interval_text(value, name)
    return f"{text} (95 % interval {ends})" if ends else text


def _overlap(a: Value, b: Value) -> bool | None:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return None
    return a.low <= b.high and b.low <= a.high
