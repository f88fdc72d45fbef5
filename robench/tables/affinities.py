"""Documents of ``robench affinity`` as results, so that they fill cells by the same rules."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from robench.data.classes import class_list
from robench.errors import RobenchError
from robench.files import read_document
from robench.results.affinities import AffinityDocument, ImagesRecord
from robench.results.schema import Result, RunRecord, StatisticsRecord, SuiteRecord
from robench.suites import get
from robench.tables import identities

_TEST_IMAGES = {"cifar10": 10_000, "cifar100": 10_000}


def read_affinity(path: Path) -> Result:
    """Read a document of ``robench affinity`` as a result on the clean images.

    Its one value is ``affinity`` of a condition: the recipe whose view it is, named by content.

    Raises:
        RobenchError: the document is damaged.
    """
    try:
        document = AffinityDocument.model_validate(read_document(path, "affinity"))
    except ValidationError as error:
        raise RobenchError(
            f"{path} is damaged: {error.errors()[0]['msg']}.", hint="Write it again with `robench affinity`."
        ) from error
    suite, data = get("clean"), document.data
    protocol = dict(data.protocol) | ({} if data.complete else {"limit": data.images})
    return Result(
        suite=SuiteRecord(
            name=suite.name,
            title=suite.title,
            version=suite.version,
            dataset=_data_set(data),
            num_classes=document.model.num_classes,
            source="published",
            complete=data.complete,
            protocol=protocol,
        ),
        model=document.model,
        run=RunRecord(robench=document.robench),
        statistics=StatisticsRecord(),
        summary={},
        conditions={_view(document): {"affinity": document.affinity}},
        cells=[],
    )


def _view(document: AffinityDocument) -> str:
    """Return the name of the published recipe that the view's is by content; a changed one's says so."""
    digest = document.view.digest
    for name, known in identities.recipes().items():
        if known.digest == digest:
            return name
    return f"{document.view.recipe}, digest {digest[:8]}"


def _data_set(data: ImagesRecord) -> str:
    """Return the data set by its class names and the number of its test images, or where the images are."""
    for name, images in _TEST_IMAGES.items():
        names = class_list(name)
        if names is not None and data.classes == list(names) and (data.images == images or not data.complete):
            return name
    return data.path
