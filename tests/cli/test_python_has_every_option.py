"""A notebook can do all that a terminal can: every option of every command is a keyword of a Python function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest

import robench
from robench import api
from robench.api.options import AmountWords, EngineWords, EvaluateWords, ModelWords, SizeWords
from robench.cli.app import COMMANDS, build
from robench.plots import PLOTS, save
from robench.tables.board_readme import readme_text
from robench.tables.findings import findings_page
from robench.tables.site import build_site
from robench.tables.submission import check_submission

# The functions behind a command; an option must be a keyword of one of them.
FUNCTIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "quickstart": (robench.quickstart,),
    "evaluate": (robench.evaluate, robench.grid, robench.decide),
    "gate": (robench.gate, api.write_gate),
    "metrics": (api.metrics,),
    "compare": (robench.compare, api.failing, api.comparison_table),
    "calibrate": (robench.calibrate,),
    "conformal": (robench.conformal,),
    "ood": (robench.ood,),
    "affinity": (robench.affinity,),
    "rank": (robench.rank,),
    "fourier": (robench.fourier,),
    "table": (api.table,),
    "figure": (api.figure, save),
    "report": (robench.report,),
    "export": (robench.export,),
    "leaderboard check": (check_submission,),
    "leaderboard build": (build_site,),
    "leaderboard list": (),
    "leaderboard readme": (readme_text,),
    "leaderboard findings": (findings_page,),
    "train": (robench.train, api.train_set, api.describe_recipe, api.list_recipes),
    "data generate": (api.generate,),
    "data deepaugment": (api.deepaugment,),
    "data list": (api.list_data,),
    "data info": (api.describe_data,),
    "data download": (api.download_data,),
    "data verify": (api.verify_data,),
    "data manifest-dfr": (api.dfr_manifest,),
    "suites list": (api.list_suites,),
    "suites show": (api.describe_suite,),
    "models list": (api.list_models,),
    "models show": (api.describe_model,),
    "plot corruptions-gallery": (api.gallery, save),
    "plot augmentations": (api.augmentations, save),
    "plot operations": (api.operations, save),
}
# What a command prints, not what it computes; Python users have the values themselves.
SCREEN = {"help", "help_all", "json", "cells", "list", "install_completion", "show_completion"}
# Words that the functions have another name for.
OTHERWISE = {
    ("evaluate", "until_decided"): None,  # robench.decide
    ("train", "show"): "name",  # describe_recipe(name)
    ("evaluate", "with"): "with_run",  # `with` is a word of Python itself
    ("data download", "quiet"): "report",
    ("models show", "name"): "spec",
    ("plot corruptions-gallery", "out"): "path",
    ("plot augmentations", "out"): "path",
    ("plot operations", "out"): "path",
    ("figure", "out"): "path",
    ("leaderboard findings", "out"): None,  # likewise
    ("leaderboard readme", "out"): None,  # the text itself is returned
}


def commands() -> Iterator[tuple[str, Any]]:
    """Yield the full name and the command of everything that can be typed, but for the registry's plots."""
    for name in COMMANDS:
        command = build(name)
        parts = getattr(command, "commands", None)
        several = {f"{name} {part}": one for part, one in (parts or {}).items() if name != "plot" or part not in PLOTS}
        yield from several.items() if parts is not None else [(name, command)]


def word_of(parameter: Any) -> str:
    """Return an option's keyword: its longest name, or an argument's own name."""
    named = [one for one in parameter.opts if one.startswith("-")]
    return max(named, key=len).lstrip("-").replace("-", "_") if named else parameter.name


@pytest.mark.parametrize("name", dict(commands()))
def test_every_option_is_a_keyword(name: str) -> None:
    keywords = {keyword for function in FUNCTIONS[name] for keyword in inspect.signature(function).parameters}
    missing = []
    for parameter in dict(commands())[name].params:
        word = word_of(parameter)
        meant = OTHERWISE.get((name, word), word)
        if word not in SCREEN and meant is not None and meant not in keywords:
            missing.append(word)
    assert missing == []


@pytest.mark.parametrize("name", PLOTS)
def test_every_option_of_a_plot_is_a_keyword(name: str) -> None:
    plot = PLOTS.get(name)
    command = build("plot").get_command(None, name)
    shared = {"title", "width", "labels"}
    own = {one.name for one in plot.options}
    assert {parameter.name for parameter in command.params} == {"inputs", "out", "json_"} | shared | own
    assert shared <= set(inspect.signature(plot.figure).parameters) & set(inspect.signature(plot.drawn).parameters)
    assert {one.name for one in plot.options} <= set(inspect.signature(plot.draw).parameters)


def test_words_and_options_hold_the_same_fields() -> None:
    sized = {"geometry", "interpolation", "num_classes"}  # which other keywords set
    assert {one.name for one in fields(api.ModelOptions)} == set(ModelWords.__annotations__)
    assert {one.name for one in fields(api.EngineOptions)} == set(EngineWords.__annotations__)
    named = {"conditions": "corruption", "severities": "severity", "frost_dir": "frost"}
    suite = {named.get(one.name, one.name) for one in fields(api.SuiteOptions)} - sized
    report = {one.name for one in fields(api.ReportOptions)}
    sizes = set(SizeWords.__annotations__) | set(AmountWords.__annotations__)
    words = set(EvaluateWords.__annotations__) - set(ModelWords.__annotations__) - set(EngineWords.__annotations__)
    assert words == suite | report | sizes


def test_the_keywords_stand_in_the_signature() -> None:
    for function in (robench.evaluate, robench.grid, robench.plan):
        assert {"limit", "device", "arch", "corruption", "precision"} <= set(inspect.signature(function).parameters)
