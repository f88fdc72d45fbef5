"""The rows of plots: what they say of their options is what their functions take; a file from outside adds one."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from digit_results import make

from robench import plots
from robench.catalogue import defaults
from robench.plots import PLOTS, Plot
from robench.plots.registry import Option
from robench.results import save


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Inputs of plots: two results, a Fourier map and a low-pass curve."""
    folder = tmp_path_factory.mktemp("inputs")
    results = [str(save(make(name), folder / f"{name}.json")) for name in ("logistic", "bayes")]
    fourier = {"kind": "robench-fourier", "model": "m", "size": 4, "norm": 4.0, "error": np.full((4, 4), 0.5).tolist()}
    curve = {"kind": "robench-lowpass", "model": "m", "bandwidths": [2, 4], "error": [0.5, 0.25]}
    known = {"conformal_coverage": {"value": 0.9, "low": 0.8, "high": 0.95}}
    sets = {"kind": "robench-conformal", "model": "m", "method": "lac", "alpha": 0.1, "fitted_on": {"cell": "clean"},
            "values": {"clean": known, "severity/3": known}}  # fmt: skip
    auroc = {name: {"value": 0.9} for name in defaults("ood")}
    foreign = {"kind": "robench-ood", "model": "m", "cell": "clean", "images": 9, "groups": {"far": auroc},
               "sets": {"noise": {"group": "far", "values": auroc}}}  # fmt: skip
    for name, document in (("fourier", fourier), ("lowpass", curve), ("coverage", sets), ("ood", foreign)):
        (folder / f"{name}.json").write_text(json.dumps(document))
    return {
        "RUN": results,
        "fourier": [str(folder / "fourier.json")],
        "lowpass": [str(folder / "lowpass.json")],
        "coverage": [str(folder / "coverage.json")],
        "ood": [str(folder / "ood.json")],
    }


@pytest.mark.parametrize("name", PLOTS)
def test_options_are_those_of_the_function(name: str) -> None:
    plot = PLOTS.get(name)
    assert plot.name == name
    assert plot.help.endswith(".")
    taken = dict(list(inspect.signature(plot.draw).parameters.items())[1:])
    for option in plot.options:
        assert taken[option.name].default == option.default
        assert all(flag.startswith("-") for flag in option.flags)
        assert option.repeated is isinstance(option.default, tuple)


@pytest.mark.parametrize(
    "name", ["severity", "trio", "reliability", "corruptions", "scatter", "fourier", "lowpass", "coverage", "ood"]
)
def test_a_row_reads_and_draws(name: str, files: dict[str, list[str]]) -> None:
    drawn = PLOTS.get(name).figure(files.get(name, files["RUN"]))
    assert plots.to_bytes(drawn, "png").startswith(b"\x89PNG")


def test_a_file_from_outside_adds_a_plot(
    tmp_path: Path, files: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mean_bars.py").write_text(
        "from matplotlib.figure import Figure\n"
        "from robench.plots import Option, Plot\n"
        "def bars(results, name='mean_error'):\n"
        "    figure = Figure()\n"
        "    values = [result.summary[name].value for result in results]\n"
        "    figure.subplots().bar([result.model.name for result in results], values)\n"
        "    return figure\n"
        "PLOT = Plot('mean-bars', 'One bar per model.', bars,\n"
        "            options=(Option('name', 'The summary figure.', 'mean_error', ('--name',)),))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(PLOTS, "_entries", dict(PLOTS._entries))
    PLOTS.register("mean-bars", "mean_bars:PLOT")
    plot = PLOTS.get("mean-bars")
    assert isinstance(plot, Plot)
    assert plot.options == (Option("name", "The summary figure.", "mean_error", ("--name",)),)
    drawn = plot.figure(files["RUN"], name="clean_error")
    expected = [make(name).summary["clean_error"].value for name in ("logistic", "bayes")]
    assert [bar.get_height() for bar in drawn.axes[0].patches] == pytest.approx(expected)
    assert "mean-bars" in list(PLOTS)
    sys.modules.pop("mean_bars")


def test_public_names_are_listed_for_notebooks() -> None:
    assert {"severity", "save", "PLOTS"} <= set(dir(plots))
