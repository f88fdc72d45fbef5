"""The papers' claims, tried on the models of a set; the set's own table beside printed rows."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

import robench
from robench.cli.main import main
from robench.data import digits
from robench.errors import RobenchError
from robench.results.judging import Difference
from robench.tables.findings import Claim, Finding, claims, find, findings_page, numbers_of, page_of
from robench.tables.findings_kept import Numbers, Ranked, read_numbers
from robench.tables.locations import leaderboards
from robench.tables.measured import find_results
from robench.tables.reference import reference_table
from robench.training import sets

STANDINS = {"standard": "standard", "augmix": "augmix", "augmix-nojsd": "augmix-nojsd", "standard-seed2": "cutout",
            "augmix-seed2": "augmix-2view"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs where a set has them, of digits models under the names of the set's, on digits called CIFAR-10."""
    place = tmp_path_factory.mktemp("set")
    test = digits.load("test")
    for number in range(60):
        home = place / "data" / "test" / f"{int(test.labels[number])}"
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(test.array[number]).save(home / f"{number}.png")
    for name, model in STANDINS.items():
        robench.evaluate(
            f"reference:digits/{model}", "cifar10-c", data=place / "data", name=name, corruption="gaussian_noise",
            severity=(3, 5), out=place / "results" / "cifar10-c" / name, resamples=0, device="cpu", quiet=True,
        )  # fmt: skip
    return place


def test_claims_are_about_models_of_the_set_and_printed_numbers() -> None:
    found = {claim.name: claim for claim in claims()}
    runs = sets.load("cifar10").runs
    known = {run.name for run in runs} | {f"{run.name}-{b.replace('=', '-')}" for run in runs for b in run.branches}
    for claim in found.values():
        assert {claim.of, claim.than} <= known, claim.name
        assert bool(claim.source) == (claim.printed is not None)
    assert found["augmix-error"].printed == pytest.approx((11.2 - 26.9) / 100)
    assert found["augmax-error"].printed == pytest.approx(-(90.67 - 89.01) / 100)  # printed as accuracies
    assert found["augmix-jsd"].printed == pytest.approx((11.2 - 13.1) / 100)
    for claim in found.values():  # the papers' own numbers agree with what they claim
        if claim.printed is not None:
            near = Difference(value=claim.printed, low=claim.printed, high=claim.printed, significant=True)
            assert claim.verdict(near) == "holds", claim.name


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(-0.03, -0.01, "holds"), (-0.01, 0.01, "undecided"), (0.01, 0.03, "does not hold")]
)
def test_verdicts_follow_the_interval(low: float, high: float, expected: str) -> None:
    given = Difference(value=(low + high) / 2, low=low, high=high, significant=low * high > 0)
    claim = Claim("one", "text", "cifar10-c", "mean_error", "a", "b")
    assert claim.verdict(given) == expected
    turned = {"holds": "does not hold", "does not hold": "holds"}.get(expected, expected)
    assert Claim("one", "text", "cifar10-c", "mean_error", "a", "b", more=True).verdict(given) == turned
    assert Finding(claim, given, seeds=(-given.value if given.value else 0.0,)).verdict == "undecided"
    equal = Claim("one", "text", "cifar10-c", "mean_error", "a", "b", equal=1.5)
    assert equal.verdict(given) == {"undecided": "holds"}.get(expected, "undecided")
    assert equal.verdict(Difference(value=0.03, low=0.02, high=0.04, significant=True)) == "does not hold"


def test_what_was_measured_is_compared_by_pairs(folder: Path) -> None:
    found = {finding.claim.name: finding for finding in find(folder, resamples=100)}
    assert sorted(found) == ["augmix-calibration", "augmix-error", "augmix-jsd"]
    runs = folder / "results" / "cifar10-c"
    pair = robench.compare(runs / "augmix", runs / "standard", resamples=100, figures="mean_error")
    assert found["augmix-error"].difference == pair.differences["mean_error"]
    second = robench.compare(runs / "augmix-seed2", runs / "standard-seed2", resamples=100, figures="mean_error")
    assert found["augmix-error"].seeds == (second.differences["mean_error"].value,)
    assert found["augmix-jsd"].seeds == ()


def test_the_page_has_claims_models_and_ranks(folder: Path) -> None:
    page = findings_page(folder, resamples=100)
    assert "| AugMix makes fewer errors under corruption than standard training | mean error, %" in page
    assert "-15.70 (augmix/1)" in page
    assert "| `augmix` |" in page.partition("## Ranks")[2]
    with pytest.raises(RobenchError, match="no two measured models"):
        findings_page(folder / "data")


def test_the_page_says_what_corruption_adds_to_clean_errors(folder: Path) -> None:
    lines = findings_page(folder, resamples=100).splitlines()
    assert any(re.match(r"\| AugMix \| Printed in AugMix, .* \| 6.30 \| 29 % \|$", line) for line in lines)
    added = {}
    for name in ("standard", "augmix"):
        runs = [folder / "results" / "cifar10-c" / f"{name}{seed}" / "result.json" for seed in ("", "-seed2")]
        summaries = [json.loads(run.read_text())["summary"] for run in runs]
        added[name] = sum(one["mean_error"]["value"] - one["clean_error"]["value"] for one in summaries) / 2
    expected = f"| {100 * added['augmix']:.2f} | {100 * added['augmix'] / added['standard']:.0f} % |"
    assert any(line.startswith("| augmix (") and line.endswith(expected) for line in lines)


def test_the_page_has_what_temperature_scaling_leaves(folder: Path) -> None:
    assert "temperature scaling" not in findings_page(folder, resamples=20)
    run = folder / "results" / "cifar10-c" / "augmix"
    found = robench.calibrate(run, out=run / "temperature.json", resamples=20, quiet=True)
    try:
        page = findings_page(folder, resamples=20)
    finally:
        (run / "temperature.json").unlink()
    after = found.after["mean under shift"]["nll"].value
    assert f"| augmix | {found.temperature:.2f} |" in page
    assert f", then {after:.3f} (" in page.partition("## After temperature scaling")[2]


def test_a_model_is_added_without_the_runs_of_the_others(folder: Path, tmp_path: Path) -> None:
    assert main(["leaderboard", "findings", str(folder), "--resamples", "100", "-o", str(tmp_path / "all.md")]) == 0
    whole = read_numbers(tmp_path / "all.json")
    assert whole == numbers_of(folder, resamples=100)
    few = tmp_path / "few" / "results" / "cifar10-c"
    few.mkdir(parents=True)
    for name in ("augmix", "augmix-nojsd"):
        (few / name).symlink_to(folder / "results" / "cifar10-c" / name)
    more = ["--earlier", str(tmp_path / "all.json"), "--results", str(folder / "results")]
    again = tmp_path / "again.md"
    assert main(["leaderboard", "findings", str(tmp_path / "few"), "--resamples", "100", *more, "-o", str(again)]) == 0
    assert again.read_text() == (tmp_path / "all.md").read_text()
    without = Numbers(whole.claims, whole.scaled, {name: whole.ranks[name] for name in ("standard", "standard-seed2")})
    (tmp_path / "older.json").write_text(json.dumps(without.document()))
    kept = numbers_of(tmp_path / "few", resamples=100, earlier=tmp_path / "older.json")
    assert set(kept.ranks) == {"standard", "standard-seed2"}  # of two other models: neither says where these stand
    page = page_of(kept, folder / "results")
    assert page.rstrip().endswith("Measured later, and not ranked: `augmix`, `augmix-nojsd`.")


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"kind": "robench-findings"}', '{"kind": "robench-findings", "claims": 3}']
)
def test_other_documents_are_no_earlier_page(text: str, tmp_path: Path) -> None:
    (tmp_path / "earlier.json").write_text(text)
    with pytest.raises(RobenchError, match=r"earlier\.json"):
        read_numbers(tmp_path / "earlier.json")


def test_ranks_of_more_models_replace_those_of_fewer() -> None:
    few, more = {"a": Ranked(0.1, 1, 1)}, {"a": Ranked(0.1, 2, 2), "b": Ranked(0.05, 1, 1)}
    assert Numbers(ranks=more).over(Numbers(ranks=few)).ranks == more
    assert Numbers(ranks=few).over(Numbers(ranks=more)).ranks == more


def test_the_page_of_the_documentation_is_that_of_its_numbers_and_the_results_on_the_board() -> None:
    docs = Path(__file__).parents[2] / "docs"
    numbers, place = read_numbers(docs / "findings.json"), leaderboards() / "measured" / "cifar10-jpeg"
    assert page_of(numbers, place) == (docs / "findings.md").read_text()
    values = {(one.suite.name, one.model.name): one.summary for one in find_results(place).values()}
    sampled = {one.suite.name for one in find_results(place).values() if one.suite.sampled is not None}
    for claim in claims():
        if claim.name in numbers.claims:
            of, than = (values[claim.suite, name][claim.value].value for name in (claim.of, claim.than))
            # Pairs may be measured again on another processor, whose bfloat16 sums round otherwise; those of samples
            # are of the images that both have.
            near = 2e-3 if claim.suite in sampled else 2e-4
            assert numbers.claims[claim.name].difference.value == pytest.approx(of - than, abs=near), claim.name
    for name, one in numbers.ranks.items():
        assert one.value == pytest.approx(values["cifar10-c", name]["mean_error"].value, abs=6e-5)


def test_the_set_has_a_table_of_its_own_beside_printed_rows(folder: Path) -> None:
    text = robench.api.table("cifar10-reference", results=folder / "results", format="csv")
    measured = [line for line in csv.DictReader(io.StringIO(text)) if line["source"] == "measured"]
    assert {line["model"] for line in measured} == {"augmix (2 seeds)", "standard (2 seeds)", "augmix-nojsd"}
    results = [json.loads((folder / "results/cifar10-c" / name / "result.json").read_text()) for name in STANDINS]
    errors = {one["model"]["name"]: one["summary"]["mean_error"]["value"] for one in results}
    mean = (errors["augmix"] + errors["augmix-seed2"]) / 2
    shown = {(line["model"], line["value_name"]): line["value"] for line in measured}
    assert float(shown["augmix (2 seeds)", "mean_error"]) == pytest.approx(mean, abs=1e-12)
    page = robench.api.table("cifar10-reference", results=folder / "results", format="markdown")
    assert "| AugMix | 4.9 | 11.2 | 8.7 |" in page
    assert "| AugMax-DuBIN | 4.32 | 9.33 |" in page
    with pytest.raises(RobenchError, match="cannot be combined"):
        robench.api.table("cifar10-reference", results=folder / "results", why=True)


def test_seeds_measured_on_unlike_cells_have_no_mean(folder: Path, tmp_path: Path) -> None:
    for name in STANDINS:
        (tmp_path / name).mkdir()
        document = json.loads((folder / "results/cifar10-c" / name / "result.json").read_text())
        if name == "augmix-seed2":
            document["cells"] = document["cells"][:1]
        (tmp_path / name / "result.json").write_text(json.dumps(document))
    with pytest.raises(RobenchError, match=r"augmix, augmix-seed2 are seeds of one recipe, but .*cells"):
        reference_table(tmp_path)


def test_a_suite_that_lacks_a_seed_has_no_mean_over_seeds(tmp_path: Path) -> None:
    """Sequences were measured for one of two seeds: its value is not the mean that the row speaks of."""
    measured = leaderboards() / "measured" / "cifar10-jpeg"
    for suite, name in (("cifar10-c", "standard"), ("cifar10-c", "standard-seed2"), ("cifar10-p", "standard")):
        document = json.loads((measured / suite / "standard.json").read_text())
        document["model"]["name"] = name
        (tmp_path / suite / name).mkdir(parents=True)
        (tmp_path / suite / name / "result.json").write_text(json.dumps(document))
    line = reference_table(tmp_path).lines[0]
    assert line.label == "standard (1 pass, 2 seeds)"
    assert [cell.value is None for cell in line.cells] == [False] * 5 + [True]
