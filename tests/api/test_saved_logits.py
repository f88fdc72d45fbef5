"""Logits and labels that another framework saved: every form read alike, and what does not fit is refused by name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import robench
from robench import api
from robench.cli.main import main
from robench.errors import RobenchError
from robench.predictions import RunFolder

NAMES = ["cat", "dog", "eel"]
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(60, 3)).astype(np.float32) * 3
LABELS = np.where(RNG.random(60) < 0.7, LOGITS.argmax(1), RNG.integers(0, 3, 60))


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits.astype(np.float64))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def saved(folder: Path, values: Any, name: str) -> str:
    np.save(folder / name, values)
    return str(folder / name)


def values_of(found: api.LogitMetrics) -> dict[str, tuple[float | None, ...]]:
    return {name: (one.value, one.low, one.high) for name, one in found.metrics.items()}


@cache
def expected_values() -> dict[str, tuple[float | None, ...]]:
    return values_of(api.metrics(logits=LOGITS, labels=LABELS, resamples=50))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("run") / "run"
    robench.evaluate("reference:digits/standard", "digits-c", out=folder, corruption="contrast", severity=5,
                     device="cpu", resamples=0, quiet=True, keep_logits="yes")  # fmt: skip
    return RunFolder.open(folder)


@pytest.mark.parametrize("cell", ["clean", "contrast/5"])
def test_the_numbers_and_intervals_are_those_of_a_run(run: RunFolder, cell: str) -> None:
    """Of a run with these predictions alone, as a run's bootstrap draws images over all of its cells."""
    stored = run.read(cell)
    assert stored.logits is not None
    expected = api.metrics(
        run.path, metric="error,ece,ece_debiased,brier,nll,aurc,top5_error,classwise_ece", resamples=80
    )
    found = api.metrics(
        logits=stored.logits, labels=stored.target, resamples=80, metric=tuple(expected.cells[0].metrics)
    )
    theirs = next(one.metrics for one in expected.cells if one.name == cell)
    assert set(found.metrics) == set(theirs)
    for name, value in theirs.items():
        ours = found.metrics[name]
        assert (ours.value, ours.low, ours.high) == pytest.approx((value.value, value.low, value.high), abs=2e-6), name


def test_a_run_and_its_logits_are_calibrated_alike(run: RunFolder) -> None:
    stored = run.read("clean")
    expected = robench.calibrate(run.path, resamples=0)
    assert stored.logits is not None
    found = robench.calibrate(logits=stored.logits, labels=stored.target, resamples=0)
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-5)
    assert found.path is None
    assert found.images == {"logits": expected.images["clean"]}
    for name, value in expected.after["clean"].items():
        assert found.after["logits"][name].value == pytest.approx(value.value, abs=2e-6), name


def test_error_and_likelihood_are_what_scikit_learn_computes() -> None:
    from sklearn.metrics import log_loss

    assert expected_values()["error"][0] == pytest.approx((LOGITS.argmax(1) != LABELS).mean())
    assert expected_values()["nll"][0] == pytest.approx(log_loss(LABELS, softmax(LOGITS)))


def write_forms(folder: Path) -> dict[str, tuple[str, str, list[str]]]:
    """Return logits, labels and further options, by what is tried."""
    plain, labels = saved(folder, LOGITS, "logits.npy"), saved(folder, LABELS, "labels.npy")
    np.savez(folder / "both.npz", logits=LOGITS, labels=LABELS)
    both = str(folder / "both.npz")
    np.savetxt(folder / "plain.csv", LOGITS, delimiter=",", fmt="%.9g")
    rows = [",".join([str(i), *(f"{v:.9g}" for v in row), NAMES[label]]) for i, (row, label) in
            enumerate(zip(LOGITS, LABELS, strict=True))]  # fmt: skip
    (folder / "table.csv").write_text("\n".join([",".join(["", *NAMES, "label"]), *rows]))
    table = str(folder / "table.csv")
    (folder / "names.txt").write_text("\n".join(NAMES) + "\n")
    parquet.write_table(pa.table({"logits": LOGITS.tolist(), "label": LABELS}), folder / "lists.parquet")
    lists = str(folder / "lists.parquet")
    words = pa.array([NAMES[label] for label in LABELS]).dictionary_encode()
    parquet.write_table(pa.table({"target": words}), folder / "words.parquet")
    named = ["--class-names", str(folder / "names.txt")]
    return {
        "npy": (plain, labels, []),
        "npz": (both, both, []),
        "csv without a header": (str(folder / "plain.csv"), labels, []),
        "one csv with an index, class names and labels": (table, table, []),
        "lists in Parquet": (lists, lists, []),
        "dictionary-encoded names": (plain, str(folder / "words.parquet"), named),
        "names": (plain, saved(folder, np.array(NAMES)[LABELS], "text.npy"), named),
        "digits as text": (plain, saved(folder, LABELS.astype(str), "digits.npy"), []),
        "(n, 1)": (plain, saved(folder, LABELS[:, None], "column.npy"), []),
        "one-hot": (plain, saved(folder, np.eye(3)[LABELS], "onehot.npy"), []),
        "floats": (plain, saved(folder, LABELS.astype(np.float32), "floats.npy"), []),
        "probabilities": (saved(folder, softmax(LOGITS), "probs.npy"), labels, ["--probabilities"]),
    }


FORMS = ("npy", "npz", "csv without a header", "one csv with an index, class names and labels", "lists in Parquet",
         "dictionary-encoded names", "names", "digits as text", "(n, 1)", "one-hot", "floats",
         "probabilities")  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forms = write_forms(tmp_path)
    assert set(forms) == set(FORMS)
    logits, labels, more = forms[form]
    assert main(["metrics", "--logits", logits, "--labels", labels, *more, "--resamples", "50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["classes"], found["logits"]) == (60, 3, logits)
    for name, (value, low, high) in expected_values().items():
        one = found["metrics"][name]
        assert (one["value"], one.get("low"), one.get("high")) == pytest.approx((value, low, high), abs=1e-6), name


def test_tensors_and_lists_are_taken() -> None:
    import torch

    expected = pytest.approx([expected_values()["ece"][0]])
    for logits in (torch.from_numpy(LOGITS).requires_grad_(), LOGITS.tolist()):
        assert [api.metrics(logits=logits, labels=LABELS.tolist(), resamples=0).metrics["ece"].value] == expected


def test_calibrate_prints_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logits, labels = saved(tmp_path, LOGITS, "logits.npy"), saved(tmp_path, LABELS, "labels.npy")
    assert main(["calibrate", "--logits", logits, "--labels", labels, "--resamples", "0"]) == 0
    text = capsys.readouterr().out
    assert "Fitted on 30 images of 'logits'; evaluated on 30 others per cell." in text
    assert list(tmp_path.glob("*.json")) == []
    fit = [
        "--fit-logits",
        saved(tmp_path, LOGITS[::-1] + 0.1, "fit.npy"),
        "--fit-labels",
        saved(tmp_path, LABELS[::-1], "fl.npy"),
    ]
    out = tmp_path / "t.json"
    assert main(["calibrate", "--logits", logits, "--labels", labels, *fit, "--resamples", "0", "-o", str(out)]) == 0
    assert json.loads(out.read_text())["fit"] == {"run": fit[1], "cell": "fit_logits", "images": 60}


def test_vector_scaling_on_few_images_is_noted() -> None:
    few = robench.calibrate(logits=LOGITS[:40], labels=LABELS[:40], method="vector", resamples=0).notes
    assert any("Vector scaling fits 6 numbers, here to 20 images" in note for note in few)
    enough = robench.calibrate(logits=LOGITS, labels=LABELS, method="vector", resamples=0).notes
    assert not any("Vector scaling" in note for note in enough)


@pytest.mark.parametrize("images", [9_998, 10_000])  # half of them are measured
def test_binned_errors_of_few_images_are_noted(images: int) -> None:
    rng = np.random.default_rng(images)
    found = robench.calibrate(logits=rng.normal(size=(images, 3)), labels=rng.integers(0, 3, images), resamples=0)
    assert any("Binned calibration errors" in note for note in found.notes) == (images < 10_000)


def bad(**given: Any) -> Any:
    return {"logits": LOGITS, "labels": LABELS} | given


NAN = LOGITS.copy()
NAN[7, 1] = np.nan
REFUSED = [
    (bad(logits=softmax(LOGITS)), "every row lies between 0 and 1 and sums to 1: these are probabilities"),
    (bad(logits=softmax(LOGITS[:, :2]), labels=LABELS % 2), "these are probabilities, not logits"),
    (bad(logits=softmax(LOGITS).astype(np.float16)), "these are probabilities, not logits"),
    (bad(probabilities=True), "probabilities lie between 0 and 1 and sum to 1 over the classes; values from"),
    (bad(logits=softmax(LOGITS) * 0.8, probabilities=True), "row 0 sums to 0.8"),
    (bad(logits=LOGITS * 1e9), "the logit of the right class lies a million below the largest"),
    (bad(logits=NAN), "1 of 60 rows have NaN or infinite values, the first is row 7"),
    (bad(logits=np.where(NAN == NAN, LOGITS, -np.inf)), "1 of 60 rows have NaN or infinite values"),
    (bad(logits=LOGITS.argmax(1)), r"found predicted classes of shape \(60,\)"),
    (bad(logits=LOGITS[:, :1]), r"with 2 classes or more; found an array of shape \(60, 1\)"),
    (bad(logits=LOGITS[..., None]), r"found an array of shape \(60, 3, 1\)"),
    (bad(logits=LOGITS[:0], labels=LABELS[:0]), r"shape \(0, 3\)"),
    (bad(logits=LOGITS.T), "has 3 images of 60 classes; labels has 60 labels"),
    (bad(labels=LABELS[:59]), "has 60 images of 3 classes; labels has 59 labels"),
    (bad(labels=LABELS + 1), "labels from 1 to 3, but logits has 3 classes"),
    (bad(labels=np.where(np.arange(60) == 3, -1, LABELS)), "1 of 60 labels are missing"),
    (bad(labels=softmax(LOGITS)), "values besides 0 and 1"),
    (bad(labels=np.array(NAMES)[LABELS]), "the labels are names, such as '(cat|dog|eel)'"),
    (bad(labels=np.array(NAMES)[LABELS].astype("S")), "the labels are names"),
    (bad(labels=np.array(NAMES)[LABELS], class_names=["a", "b", "c"]), "not in the file's own list of classes"),
    (bad(class_names=["a", "b"]), "`class_names` has 2 names"),
    (bad(logits=np.array([["a", "b"]] * 60)), "expected numbers"),
    (bad(labels=None), "`logits` needs `labels`"),
    (bad(logits=100 * softmax(LOGITS)), "every row is positive and sums to 100: these are percentages"),
    (bad(run="x"), "`logits` and `run` cannot be combined"),
    (bad(baseline="alexnet"), "`logits` and `baseline` cannot be combined"),
    (bad(metric="flip_probability"), "needs frame, which logits and labels do not have"),
    (bad(logits="gone.npy"), "gone.npy is not a file"),
    ({"run": "x", "probabilities": True}, "`probabilities` has no effect without `logits`"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_does_not_fit_is_refused(given: Any, message: str) -> None:
    with pytest.raises(RobenchError, match=message) as caught:
        api.metrics(**given)
    assert caught.value.hint


def test_files_of_unknown_content_are_refused(tmp_path: Path) -> None:
    (tmp_path / "torch.pt").write_bytes(b"PK")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=LOGITS, b=LOGITS)
    (tmp_path / "text.csv").write_text("a,b\nx,y\n")
    (tmp_path / "ragged.csv").write_text("1,2\n1,2,3\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    (tmp_path / "short.npy").write_bytes(b"\x93NUMPY")
    messages = {"torch.pt": "is not in a form", "objects.npy": "pickled objects", "two.npz": "holds 2 arrays",
                "text.csv": "does not hold numbers", "ragged.csv": "Could not read", "broken.parquet": "Could not read",
                "short.npy": "Could not read"}  # fmt: skip
    for name, message in messages.items():
        with pytest.raises(RobenchError, match=message):
            api.metrics(logits=tmp_path / name, labels=LABELS)


def test_images_of_confidence_1_are_told_apart_as_those_of_a_run_are() -> None:
    gaps, labels = np.array([40.0, 50.0, 60.0, 70.0]), np.array([1, 0, 0, 0])
    logits = np.stack([gaps, np.zeros(4), np.zeros(4)], axis=1)
    names = "failure_auroc,failure_auroc_max_logit,failure_auroc_energy,failure_auroc_margin"
    found = api.metrics(logits=logits, labels=labels, metric=names, resamples=0).metrics
    assert {name: value.value for name, value in found.items()} == dict.fromkeys(names.split(","), 1.0)


def test_a_header_of_numbers_is_not_an_image(tmp_path: Path) -> None:
    """Columns that pandas names 0, 1, 2: read as a row of logits, and 0 as a label, they would be one more image."""
    lines = ["0,1,2", *(",".join(map(repr, row)) for row in LOGITS.astype(float).tolist())]
    (tmp_path / "logits.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "labels.csv").write_text("\n".join(["0", *map(str, LABELS)]) + "\n")
    with pytest.raises(RobenchError, match=r"60 images of 3 classes; .* 61 labels") as refused:
        api.metrics(logits=tmp_path / "logits.csv", labels=tmp_path / "labels.csv", resamples=0)
    assert "name the column 'label'" in str(refused.value.hint)
    (tmp_path / "labels.csv").write_text("\n".join(["label", *map(str, LABELS)]) + "\n")
    found = api.metrics(logits=tmp_path / "logits.csv", labels=tmp_path / "labels.csv", resamples=50)
    assert values_of(found) == expected_values()


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "logits.csv").write_text("cat,cat,dog\n1,2,3\n3,1,0\n")
    with pytest.raises(RobenchError, match="2 columns named 'cat'"):
        api.metrics(logits=tmp_path / "logits.csv", labels=[0, 1], resamples=0)


def test_labels_of_probability_zero_are_noted() -> None:
    found = api.metrics(logits=[[1.0, 0.0], [0.5, 0.5]], labels=[1, 0], probabilities=True, resamples=0)
    assert any("1 labels have probability 0" in note for note in found.notes)
    assert found.metrics["nll"].value == pytest.approx((-np.log(np.finfo(np.float32).tiny) + np.log(2)) / 2)


def test_the_same_logits_on_both_sides_of_a_fit_are_refused() -> None:
    with pytest.raises(RobenchError, match="are the same"):
        robench.calibrate(logits=LOGITS, labels=LABELS, fit_logits=LOGITS, fit_labels=LABELS)
    with pytest.raises(RobenchError, match="has 2 classes"):
        robench.calibrate(logits=LOGITS, labels=LABELS, fit_logits=LOGITS[:, :2], fit_labels=LABELS % 2)
