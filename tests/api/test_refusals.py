"""Options that contradict, are impossible or would be ignored: refused from Python and, in its words, on the screen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import robench
from robench import api
from robench.api.options import ModelOptions, ReportOptions
from robench.cli.main import main
from robench.models import load_model
from robench.suites import OpenOptions, open_suite

MODEL, SUITE = "reference:digits/standard", "digits-c"
GOOD = ["evaluate", "-m", MODEL, "-s", SUITE]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").write_bytes(b"not read before the options are checked")
    Path("models.yaml").write_text(f"- {{model: '{MODEL}', name: a}}\n")


# keywords of robench.evaluate, the same on the command line, what is said to Python users, and at the terminal
EVALUATE: list[tuple[dict[str, Any], list[str], str, str]] = [
    ({"limit": 0}, ["--limit", "0"], "`limit` must be a whole number of at least 1", "--limit must be a whole number"),
    ({"limit": -5}, ["--limit", "-5"], "found -5", "--limit 1"),
    ({"seed": -1}, ["--seed", "-1"], "`seed` must be a whole number of at least 0", "--seed must be"),
    ({"seed": 2**40}, ["--seed", str(2**40)], "`seed` must be a whole number", "--seed must be"),
    ({"workers": 0}, ["--workers", "0"], "`workers`", "--workers"),
    ({"batch_size": 0}, ["--batch-size", "0"], "`batch_size`", "--batch-size"),
    ({"num_classes": 0}, ["--num-classes", "0"], "`num_classes`", "--num-classes"),
    ({"num_classes": 77}, ["--num-classes", "77"], "10 output classes; `num_classes` says 77", "--num-classes says"),
    ({"resize": -1}, ["--resize", "-1"], "`resize`", "--resize"),
    ({"crop": 10**9}, ["--crop", str(10**9)], "from 1 to 8192", "--crop must be"),
    ({"resize": 24, "crop": 32}, ["--resize", "24", "--crop", "32"], "`crop` is larger than `resize`", "--crop is"),
    ({"interpolation": "cubic"}, ["--interpolation", "cubic"], "Did you mean 'bicubic'", "--interpolation must be"),
    ({"precision": "float16"}, ["--precision", "float16"], "`precision` must be one of fp32, bf16, fp16",
     "--precision must be one of"),
    ({"device": "gpu"}, ["--device", "gpu"], "Unknown device 'gpu'", "Known: auto, cpu"),
    ({"keep_logits": "maybe"}, ["--keep-logits", "maybe"], "`keep_logits` must be one of auto, yes, no",
     "--keep-logits must be"),
    ({"ensemble": "mean-prob"}, ["--ensemble", "mean-prob"], "`ensemble` has no effect on a single model",
     "--ensemble has no effect"),
    ({"ensemble": "sum"}, ["--ensemble", "sum"], "mean-prob, mean-logit", "--ensemble must be"),
    ({"norm": "nonsense"}, ["--norm", "nonsense"], "`norm` must be one of bn, ibn, dubn", "--norm must be one of"),
    ({"norm": "4"}, ["--norm", "4"], "`robench.fourier(strength=4)`", "`robench fourier --strength 4`"),
    ({"norm": "dubn"}, ["--norm", "dubn"], "`norm` has no effect on 'reference:digits/standard'", "--norm has no"),
    ({"arch": "wrn-10-1"}, ["--arch", "wrn-10-1"], "`arch` has no effect on", "--arch has no effect on"),
    ({"ema": True}, ["--ema"], "`ema` has no effect on", "--ema has no effect on"),
    ({"mean": "0.5"}, ["--mean", "0.5"], "`mean` was given without `std`", "--mean was given without --std"),
    ({"mean": "0.5,x", "std": "1"}, ["--mean", "0.5,x", "--std", "1"], "`mean` takes 3 numbers",
     "--mean 0.4914,0.4822,0.4465"),
    ({"mean": "0.5", "std": "63"}, ["--mean", "0.5", "--std", "63"], "Divide by 255", "--std takes numbers above 0"),
    ({"norm_preset": "half", "mean": 0.5, "std": 0.5}, ["--norm-preset", "half", "--mean", "0.5", "--std", "0.5"],
     "`norm_preset` and `mean` cannot be combined", "--norm-preset and --mean cannot be combined"),
    ({"norm_preset": "cifar"}, ["--norm-preset", "cifar"], "'cifar10'", "'cifar10'"),
    ({"corruption": ""}, ["--corruption", ""], "`corruption` names nothing", "--corruption names nothing"),
    ({"corruption": ",,,"}, ["--corruption", ",,,"], "`corruption` names nothing", "Omit --corruption"),
    ({"corruption": "fogg"}, ["--corruption", "fogg"], "no condition 'fogg'", "'fog'"),
    ({"severity": "6"}, ["--severity", "6"], "`severity` takes numbers from 1 to 5", "--severity takes numbers"),
    ({"severity": ","}, ["--severity", ","], "`severity` takes numbers", "--severity 3,5"),
    ({"split": "train"}, ["--split", "train"], "`split` has no effect on digits-c; it applies only to clean",
     "--split has no effect"),
    ({"difficulty": 2}, ["--difficulty", "2"], "`difficulty` has no effect", "--difficulty has no effect"),
    ({"difficulty": 4}, ["--difficulty", "4"], "from 1 to 3", "--difficulty must be"),
    ({"clean": "x"}, ["--clean", "x"], "`clean` has no effect", "--clean has no effect"),
    ({"definition": "x"}, ["--definition", "x"], "`definition` has no effect", "--definition has no effect"),
    ({"data": ""}, ["--data", ""], "`data` is not a path", "--data is not a path"),
    ({"out": ""}, ["--out", ""], "`out` is not a path", "--out is not a path"),
    ({"out": "x" * 5000}, ["--out", "x" * 5000], "`out` is too long", "--out is too long"),
    ({"name": "  "}, ["--name", "  "], "`name` must be a short text", "Omit --name"),
    ({"resamples": -1}, ["--resamples", "-1"], "`resamples`", "--resamples"),
    ({"resamples": 10**9}, ["--resamples", str(10**9)], "from 0 to 100000", "--resamples must be"),
    ({"within": "x"}, ["--within", "x"], "`within` takes a half-width", "--within mce=0.5,mean_error=0.3"),
    ({"within": 0.5, "limit": 5}, ["--within", "0.5", "--limit", "5"], "`limit` and `within` cannot be combined",
     "--limit and --within cannot be combined"),
    ({"cluster": "not an address"}, ["--cluster", "not an address"], "`cluster` must be auto", "--cluster must be"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "typed", "to_python", "on_screen"), EVALUATE, ids=lambda one: str(one)[:40])
def test_the_same_refusal_in_both_languages(
    words: dict[str, Any], typed: list[str], to_python: str, on_screen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(robench.RobenchError) as refused:
        robench.evaluate(MODEL, SUITE, quiet=True, **words)
    said = str(refused.value)
    assert to_python in said
    assert not re.search(r"(?<![\w-])--[a-z]", said)
    assert main([*GOOD, *typed]) == 2
    shown = capsys.readouterr().err
    assert on_screen in shown
    assert not re.search(r"`[a-z_]+(=[^`]*)?`", shown)
    assert "Traceback" not in shown
    assert not Path("runs").exists()


def loaded() -> Any:
    return load_model(MODEL)


def opened() -> Any:
    return open_suite(SUITE, None, OpenOptions(limit=3, conditions=("contrast",), severities=(1,)))


def net(images: torch.Tensor) -> torch.Tensor:
    return images.mean((2, 3)).repeat(1, 4)[:, :10]


PYTHON: list[tuple[Callable[[], Any], str]] = [
    (lambda: robench.evaluate(loaded(), opened(), data="/no/such/place", num_classes=77), "`data` has no effect"),
    (lambda: robench.evaluate(loaded(), opened(), num_classes=77), "`num_classes` has no effect on a model that is"),
    (lambda: robench.evaluate(loaded(), opened(), arch="nonsense"), "`arch` has no effect on a model that is"),
    (lambda: robench.evaluate(loaded(), opened(), mean=0.5, std=0.1), "`mean` has no effect on a model that is"),
    (lambda: robench.evaluate(loaded(), opened(), limit=7), "`limit` has no effect on a suite that is already open"),
    (lambda: robench.evaluate(loaded(), opened(), suite_options=OpenOptions(seed=7)), "`seed` has no effect on a sui"),
    (lambda: robench.evaluate(loaded(), opened(), resize=24), "`resize` has no effect on a suite"),
    (lambda: robench.evaluate(net, opened(), arch="wrn-10-1"), "`arch` has no effect on a module or function"),
    (lambda: robench.evaluate(net, opened(), ema=True), "`ema` has no effect on a module or function"),
    (lambda: robench.evaluate([], opened()), "No model given"),
    (lambda: robench.evaluate(MODEL, "digits-c,digits-p"), "robench.grid"),
    (lambda: robench.evaluate(loaded(), SUITE, cluster="auto"), "`cluster` needs a model that its workers can load"),
    (lambda: robench.evaluate(MODEL, opened(), cluster="auto"), "`cluster` needs the name of a suite"),
    (lambda: robench.evaluate(MODEL, SUITE, limit=3, suite_options=OpenOptions(limit=5)), "'limit' is given twice"),
    (lambda: robench.evaluate(MODEL, SUITE, suite_options=OpenOptions(split="train")), "`split` has no effect"),
    (lambda: robench.evaluate(MODEL, SUITE, suite_options=OpenOptions(limit=-5)), "`limit` must be"),
    (lambda: robench.evaluate(MODEL, SUITE, model_options=ModelOptions(norm="x")), "`norm` must be one of"),
    (lambda: robench.evaluate(MODEL, SUITE, report_options=ReportOptions(resamples=-1)), "`resamples` must be"),
    (lambda: robench.evaluate(MODEL, SUITE, corruption=[3]), "`corruption` takes names"),
    (lambda: robench.evaluate(MODEL, SUITE, severity=[0]), "`severity` takes numbers"),
    (lambda: robench.evaluate(MODEL, SUITE, limit="five"), "`limit` must be a whole number"),
    (lambda: robench.evaluate(MODEL, SUITE, limit=True), "`limit` must be a whole number"),
    (lambda: robench.evaluate(MODEL, SUITE, ema="yes"), "`ema` must be True or False"),
    (lambda: robench.grid("models.yaml", SUITE, name="b"), "its own options"),
    (lambda: robench.grid("gone.yaml", SUITE), "gone.yaml"),
    (lambda: robench.grid([{"model": MODEL, "arhc": "x"}], SUITE), "Did you mean 'arch'"),
    (lambda: robench.grid([{"arch": "x"}], SUITE), "is not a model"),
    (lambda: robench.grid([], SUITE), "lists no model"),
    (lambda: robench.grid([MODEL], SUITE, data={"cifar10-c": "x"}), "`data` names the suite 'cifar10-c'"),
    (lambda: robench.compare("a", "b", resamples=3), "`resamples` must be a whole number from 100"),
    (lambda: robench.compare("a", "b"), "a is not a run"),
    (lambda: robench.calibrate("a", method="platt"), "`method` must be one of temperature, vector"),
    (lambda: robench.fourier(MODEL, strength=0), "`strength` must be above 0"),
    (lambda: robench.fourier(MODEL, lowpass="4,x"), "`lowpass` takes whole numbers"),
    (lambda: robench.fourier(MODEL, window=0), "`window`"),
    (lambda: robench.fourier(MODEL, limit=0), "`limit`"),
    (lambda: robench.report("nowhere"), "nowhere"),
    (lambda: robench.report("nowhere", out="a.docx"), "Set `out` to a name"),
    (lambda: robench.train(), "`recipe='augmix-digits'`"),
    (lambda: robench.train("augmix-digits", all="digits"), "`recipe` and `all` cannot be combined"),
    (lambda: robench.train(all="digit"), "'digits'"),
    (lambda: robench.train("augmix-digits", precision="fp8"), "`precision` must be one of"),
    (lambda: api.metrics("a", corruption="fog"), "`corruption` has no effect without `baseline`"),
    (lambda: api.metrics("a", metric="ece", baseline="alexnet"), "cannot be combined"),
    (lambda: api.table("augmix/1", format="word"), "`format` must be one of"),
    (lambda: api.table("augmix/1", recipe={"a": "b"}), "`recipe` has no effect without `results`"),
    (lambda: api.gallery(size=3), "`size` must be"),
    (lambda: api.generate("digits-c", "digits", "x", seed=-1), "`seed` must be"),
]


@pytest.mark.parametrize(("call", "expected"), PYTHON, ids=[expected for _, expected in PYTHON])
def test_what_python_users_are_told(call: Callable[[], Any], expected: str) -> None:
    with pytest.raises(robench.RobenchError) as refused:
        call()
    assert expected in str(refused.value)
    assert not re.search(r"(?<![\w-])--[a-z]", str(refused.value))


def test_an_unknown_keyword_is_a_type_error_with_the_nearest_name() -> None:
    for call, near in (
        (lambda: robench.evaluate(MODEL, SUITE, limitt=5), "'limit'"),  # type: ignore[call-arg]
        (lambda: robench.compare("a", "b", resample=5), "'resamples'"),  # type: ignore[call-arg]
        (lambda: robench.fourier(MODEL, norm_presett="half"), "'norm_preset'"),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match=f"Did you mean {near}") as refused:
            call()
        assert isinstance(refused.value, robench.RobenchError)


def test_options_of_generated_images_are_refused_on_published_ones() -> None:
    import numpy as np

    Path("C").mkdir()
    np.save("C/fog.npy", np.zeros((50, 32, 32, 3), np.uint8))
    np.save("C/labels.npy", np.tile(np.arange(10), 5).astype(np.uint8))
    with pytest.raises(robench.RobenchError, match="`seed` has no effect on cifar10-c here"):
        robench.evaluate(MODEL, "cifar10-c", data="C", seed=3, corruption="fog", quiet=True)


def test_flat_keywords_and_objects_are_the_same(tmp_path: Path) -> None:
    few = {"limit": 20, "corruption": ["contrast"], "severity": (5,), "device": "cpu", "precision": "bf16"}
    flat = robench.evaluate(MODEL, SUITE, out="flat", resamples=0, quiet=True, **few)  # type: ignore[arg-type]
    objects = robench.evaluate(
        MODEL,
        SUITE,
        out="objects",
        suite_options=OpenOptions(limit=20, conditions=("contrast",), severities=(5,)),
        engine_options=api.EngineOptions(device="cpu", precision="bf16"),
        report_options=ReportOptions(resamples=0, quiet=True),
    )
    assert flat is not None
    assert objects is not None
    assert [cell.metrics for cell in flat.cells] == [cell.metrics for cell in objects.cells]
    assert flat.run.identity == objects.run.identity
