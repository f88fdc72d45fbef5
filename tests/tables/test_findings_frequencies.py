"""What Fourier maps say of a set's models: bands of frequencies, and their relation to groups of corruptions."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata

import robench
from robench.errors import RobenchError
from robench.tables.findings_frequencies import added_by_groups, band_means, frequencies, frequencies_table, relation
from robench.tables.findings_kept import Frequencies, Numbers, read_numbers
from robench.tables.locations import leaderboards
from robench.tables.measured import find_results


@pytest.mark.parametrize("side", [8, 9, 32])
def test_bands_are_thirds_of_the_highest_frequency_along_an_axis(side: int) -> None:
    error = np.random.default_rng(side).uniform(size=(side, side))
    bands: dict[str, list[float]] = {"low": [], "middle": [], "high": []}
    for y in range(side):
        for x in range(side):
            radius = math.hypot(y - side // 2, x - side // 2)  # in cycles per image
            name = "low" if 3 * radius <= side / 2 else "middle" if 3 * radius <= side else "high"
            bands[name].append(float(error[y, x]))
    assert band_means(error.tolist()) == pytest.approx({name: np.mean(values) for name, values in bands.items()})


def test_maps_and_curves_are_read_where_a_set_has_them(tmp_path: Path) -> None:
    few = {"limit": 30, "device": "cpu", "quiet": True}
    found = robench.fourier("reference:digits/augmix", out=tmp_path / "analyses" / "fourier" / "augmix.json", **few)
    robench.fourier("reference:digits/augmix", out=tmp_path / "analyses" / "fourier" / "part.json", window=3, **few)
    curve = robench.fourier(
        "reference:digits/augmix", lowpass="8,16", out=tmp_path / "analyses" / "lowpass" / "augmix.json", **few
    )
    read = frequencies(tmp_path)
    assert list(read) == ["augmix"]  # not the map of low frequencies alone
    document = json.loads((tmp_path / "analyses" / "fourier" / "augmix.json").read_text())
    assert read["augmix"].clean == document["clean_error"] == found.clean_error
    assert read["augmix"].bands == band_means(document["error"])
    assert read["augmix"].lowpass == {"8": curve.error[0], "16": curve.error[1]}
    (tmp_path / "analyses" / "fourier" / "stopped.state.json").write_text('{"kind": "robench-fourier-state"}')
    assert list(frequencies(tmp_path)) == ["augmix"]
    numbers = Numbers(frequencies=read)
    (tmp_path / "page.json").write_text(json.dumps(numbers.document()))
    assert read_numbers(tmp_path / "page.json") == numbers
    other = Numbers(frequencies={"standard": Frequencies(0.1, {"low": 0.1, "middle": 0.2, "high": 0.3})})
    assert set(other.over(numbers).frequencies) == {"augmix", "standard"}


@pytest.mark.parametrize("document", ['{"kind": "robench-fourier"}', '{"kind": "robench-fourier", "options": 3}'])
def test_a_damaged_map_is_named(document: str, tmp_path: Path) -> None:
    (tmp_path / "analyses" / "fourier").mkdir(parents=True)
    (tmp_path / "analyses" / "fourier" / "ours.json").write_text(document)
    with pytest.raises(RobenchError, match=r"ours\.json"):
        frequencies(tmp_path)


def test_the_table_shows_points_added_the_least_sensitive_to_high_frequencies_first() -> None:
    models = {
        "standard": Frequencies(0.10, {"low": 0.15, "middle": 0.30, "high": 0.50}, {"8": 0.6, "16": 0.2}),
        "augmix": Frequencies(0.12, {"low": 0.16, "middle": 0.20, "high": 0.22}),
    }
    lines = frequencies_table(models).splitlines()
    assert lines[2] == "| augmix | 12.00 | +4.00 | +8.00 | +10.00 | – | – |"
    assert lines[3] == "| standard | 10.00 | +5.00 | +20.00 | +40.00 | 60.00 | 20.00 |"


def test_the_relation_is_the_rank_correlation_of_points_added() -> None:
    random = np.random.default_rng(0)
    groups = ("noise", "blur", "weather", "digital")

    def drawn(names: tuple[str, ...]) -> dict[str, float]:
        return dict(zip(names, random.uniform(size=len(names)).tolist(), strict=True))

    models = {f"m{i}": Frequencies(0.1, drawn(("low", "middle", "high"))) for i in range(9)}
    added = {name: drawn(groups) for name in models}
    added |= {"m0-seed2": added["m0"]}
    text = relation(models | {"m0-seed2": models["m0"], "unmeasured": models["m1"]}, added)
    assert text.endswith("9 models.")
    lines = [line for line in text.splitlines() if " frequencies |" in line]
    for band, line in zip(("low", "middle", "high"), lines, strict=True):
        own = rankdata([one.bands[band] - one.clean for one in models.values()])
        for group, cell in zip(groups, line.split(" | ")[1:], strict=True):
            expected = pearsonr(own, rankdata([added[name][group] for name in models])).statistic
            assert cell.startswith(f"{expected:+.2f} (p = ")
    assert relation(dict(list(models.items())[:4]), added) == ""


def test_groups_add_what_their_means_are_above_the_clean_error() -> None:
    results = list(find_results(leaderboards() / "measured" / "cifar10-jpeg").values())
    found = added_by_groups(results)["augmix"]
    (result,) = (one for one in results if (one.suite.name, one.model.name) == ("cifar10-c", "augmix"))
    errors = {cell.name: cell.metrics["error"].value or 0.0 for cell in result.cells}
    noise = [errors[f"{kind}_noise/{severity}"] for kind in ("gaussian", "shot", "impulse") for severity in range(1, 6)]
    assert found["noise"] == pytest.approx(np.mean(noise) - errors["clean"])
    assert list(found) == ["noise", "blur", "weather", "digital"]
