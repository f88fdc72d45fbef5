"""Documents of ``robench fourier`` that a figure reads: found by what their model is, as results are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robench.files import read_document
from robench.results.schema import ModelRecord
from robench.tables.claims import claims_model, reasons_against_model
from robench.tables.figures import Chosen, Panel, at_branch, models_of


def choose_documents(panel: Panel, folder: Path) -> Chosen[Path]:
    """Return the documents below a folder that a panel reads, by its models and by what it expects of them.

    Raises:
        RobenchError: one of them could not be read.
    """
    found = {
        path: read_document(path, f"{panel.documents} document") for path in _of_kind(str(panel.documents), folder)
    }
    chosen: list[Path] = []
    missing: list[str] = []
    dropped: dict[Path, str] = {}
    for name, meaning in models_of(panel):
        before = len(chosen)
        for path, document in found.items():
            model = _model(document)
            if model is None:
                dropped[path] = "it does not say what its model is: an earlier robench wrote it"
                continue
            if not claims_model(model.card, meaning):
                continue
            wanted = at_branch(meaning, model.card) if name == panel.varied_branch else meaning
            against = [*reasons_against_model(model, wanted), *_against(panel, document)]
            if not against:
                chosen.append(path)
            elif len(why := "; ".join(against)) < len(dropped.get(path, why + " ")):  # of its branches the nearest
                dropped[path] = why
        if len(chosen) == before:
            missing.append(name)
    return Chosen(chosen, missing, {path: why for path, why in dropped.items() if path not in chosen})


def _of_kind(kind: str, folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*.json")) if folder.is_dir() else [folder]:
        if not file.is_file():  # a run's folder may be so called
            continue
        with open(file, "rb") as opened:
            if f'"{kind}"'.encode() in opened.read(4096):
                yield file


def _model(document: dict[str, Any]) -> ModelRecord | None:
    try:
        return ModelRecord.model_validate(document.get("model_record"))
    except ValidationError:
        return None


def _against(panel: Panel, document: dict[str, Any]) -> Iterator[str]:
    for name, wanted in panel.expects.items():
        if document.get(name) != wanted:
            yield f"its {name} is {document.get(name)}; expected {wanted:g}"
