"""Finding and reading result documents, of this version of the schema and of earlier ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from robench.errors import RobenchError
from robench.files import read_document
from robench.results.migrations import migrate
from robench.results.schema import Result


def load(path: str | Path) -> Result:
    """Read a result: a JSON file, or a run folder that holds ``result.json``.

    Raises:
        RobenchError: no such file, not a result, or one of a newer schema.
    """
    path = Path(path)
    file = path / "result.json" if path.is_dir() else path
    if not file.exists():
        raise RobenchError(
            f"No result at {file}.", hint="Write one with `robench evaluate`, or `robench metrics RUN` from a run."
        )
    hint = "Write it again with `robench metrics RUN`."
    document = read_document(file, "result", top=None, hint=hint)
    found = parse(document, str(file))
    of_run = file.name == "result.json" and (file.parent / "run.json").is_file()
    return found.of_run(file.parent) if of_run else found


def parse(document: Any, name: str = "the document") -> Result:
    """Validate a document, after bringing it to the present schema.

    Raises:
        RobenchError: it is not a result; the message names the first fields that do not fit.
    """
    if not isinstance(document, dict) or document.get("kind") != "robench-result":
        raise RobenchError(f"{name} is not a robench result.", hint="Give a result.json or a run folder.")
    try:
        return Result.model_validate(migrate(document, name))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
        raise RobenchError(
            f"{name} does not fit the schema of results: " + "; ".join(problems) + ".",
            hint="Write it again with `robench metrics RUN`.",
        ) from error
