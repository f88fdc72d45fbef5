"""Every form of a labelled set, built from the same images: what the tests of all readers run over.

A reader that is added to :data:`robench.data.find.READERS` needs a builder here, and then takes part in every test.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LABELS = (3, 0, 9, 3)


def pixels() -> np.ndarray:
    """Four images of which no two are equal, uint8 (4, 32, 32, 3)."""
    y, x = np.mgrid[:32, :32]
    planes = [np.stack([(x * (i + 1)) % 256, (y * 7 + 40 * i) % 256, (x + y + i) % 256], axis=2) for i in range(4)]
    return np.stack(planes).astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    """Return an image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Made:
    """What a set is built of; tests replace what they are about."""

    files: list[bytes] = field(default_factory=lambda: [png(image) for image in pixels()])
    labels: Sequence[Any] = LABELS
    names: tuple[str, ...] | None = NAMES
    split: str = "test"
    ending: str = "png"


def _features(names: tuple[str, ...] | None) -> dict[bytes, bytes]:
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    if names is not None:
        features["label"] = {"_type": "ClassLabel", "names": list(names)}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def table(made: Made) -> pa.Table:
    """Return the images and labels in the hub's layout."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": data, "path": None} for data in made.files], kind)
    labels = pa.array(list(made.labels))
    names = made.names if pa.types.is_integer(labels.type) else None
    return pa.table({"image": images, "label": labels}).replace_schema_metadata(_features(names))


def folders(root: Path, made: Made) -> Path:
    for i, (data, label) in enumerate(zip(made.files, made.labels, strict=True)):
        for name in NAMES if made.names is None else made.names:
            (root / made.split / name).mkdir(parents=True, exist_ok=True)
            if not any((root / made.split / name).iterdir()):  # every class has an image; the first is of the filler
                (root / made.split / name / f"{9:02d}.png").write_bytes(png(np.zeros((32, 32, 3), np.uint8)))
        place = root / made.split / (made.names or NAMES)[label]
        (place / f"{i:02d}.{made.ending}").write_bytes(data)
    return root


def packed(root: Path, made: Made) -> Path:
    folders(root / "unpacked", made)
    with tarfile.open(root / "set.tar", "w") as archive:
        archive.add(root / "unpacked", ".")
    return root / "set.tar"


def parquet(root: Path, made: Made) -> Path:
    (root / "data").mkdir(parents=True)
    pq.write_table(table(made), root / "data" / f"{made.split}-00000-of-00001.parquet")
    return root


def converted(root: Path, made: Made) -> Path:
    (root / "default" / made.split).mkdir(parents=True)
    pq.write_table(table(made), root / "default" / made.split / "0000.parquet")
    return root


def saved(root: Path, made: Made) -> Path:
    place = root / made.split
    place.mkdir(parents=True)
    (root / "dataset_dict.json").write_text(json.dumps({"splits": [made.split]}))
    (place / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
    whole = table(made)
    with pa.OSFile(str(place / "data-00000-of-00001.arrow"), "wb") as out, pa.ipc.new_stream(out, whole.schema) as to:
        to.write_table(whole)
    return root


def pair(root: Path, made: Made) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "images.npy", np.stack([np.asarray(Image.open(io.BytesIO(data))) for data in made.files]))
    np.save(root / "labels.npy", np.array(list(made.labels)))
    return root


def flat(root: Path, made: Made) -> Path:
    root.mkdir(parents=True)
    names = [f"ILSVRC2012_val_{i + 1:08d}.{made.ending}" for i in range(len(made.files))]
    for name, data in zip(names, made.files, strict=True):
        (root / name).write_bytes(data)
    (root / "val.txt").write_text("".join(f"{name} {label}\n" for name, label in zip(names, made.labels, strict=True)))
    return root


def shards(root: Path, made: Made) -> Path:
    root.mkdir(parents=True)
    with tarfile.open(root / f"set-{made.split}-000000.tar", "w") as archive:
        for i, (data, label) in enumerate(zip(made.files, made.labels, strict=True)):
            for name, body in {
                f"{i:06d}.{made.ending}": data,
                f"{i:06d}.json": json.dumps({"label": label}).encode(),
            }.items():
                info = tarfile.TarInfo(name)
                info.size = len(body)
                archive.addfile(info, io.BytesIO(body))
    return root


def cifar(root: Path, made: Made) -> Path:
    place = root / "cifar-10-batches-py"
    place.mkdir(parents=True)
    data = np.stack([np.asarray(Image.open(io.BytesIO(one))) for one in made.files])
    record = {b"labels": list(made.labels), b"data": data.transpose(0, 3, 1, 2).reshape(len(data), -1)}
    for name in ["test_batch"] if made.split == "test" else [f"data_batch_{i}" for i in range(1, 6)]:
        (place / name).write_bytes(pickle.dumps(record, protocol=2))
    names = [name.encode() for name in made.names or NAMES]
    (place / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}, protocol=2))
    return root


def tiny(root: Path, made: Made) -> Path:
    place = root / "tiny-imagenet-200"
    names = [f"n{i:08d}" for i in range(10)]
    place.mkdir(parents=True)
    (place / "wnids.txt").write_text("\n".join(names))
    lines = []
    for name in names:
        (place / "train" / name / "images").mkdir(parents=True, exist_ok=True)
    for i, (data, label) in enumerate(zip(made.files, made.labels, strict=True)):
        if made.split == "train":
            (place / "train" / names[label] / "images" / f"{i}.{made.ending}").write_bytes(data)
        else:
            (place / "val" / "images").mkdir(parents=True, exist_ok=True)
            (place / "val" / "images" / f"{i}.{made.ending}").write_bytes(data)
            lines.append(f"{i}.{made.ending}\t{names[label]}\t0\t0\t9\t9\n")
    if made.split != "train":
        (place / "val" / "val_annotations.txt").write_text("".join(lines))
    return root


def hub(root: Path, made: Made) -> str:
    parquet(root, made)
    return f"hf:{root}"


def embedded(root: Path, made: Made) -> str:
    return "digits"


@dataclass(frozen=True)
class Form:
    """How a form is built, by the reader that opens it, and what can vary in it."""

    reader: str
    build: Callable[[Path, Made], Path | str]
    encoded: bool = True
    """Images are files that are decoded."""
    splits: bool = True
    """The form says of which split its images are."""
    values: bool = False
    """Labels are values, which may be of any type."""
    named: bool = True
    """The form names its classes."""
    given: bool = True
    """The images are the user's (not those that robench carries)."""


FORMS = {
    "folders": Form("folders", folders),
    "tar": Form("folders", packed),
    "parquet": Form("parquet", parquet, values=True),
    "converted": Form("parquet", converted, values=True),
    "saved": Form("saved", saved, values=True),
    "hub": Form("hub", hub, values=True),
    "pair": Form("pair", pair, encoded=False, splits=False, values=True, named=False),
    "flat": Form("flat", flat, splits=False, named=False),
    "shards": Form("shards", shards, values=True, named=False),
    "cifar": Form("cifar", cifar, encoded=False),
    "tiny": Form("tiny", tiny, named=False),
    "digits": Form("digits", embedded, encoded=False, splits=False, given=False),
}
GIVEN = [name for name, form in FORMS.items() if form.given]


def some(**wanted: bool) -> list[str]:
    """Return the names of the forms with these properties."""
    return [name for name in GIVEN if all(getattr(FORMS[name], key) is value for key, value in wanted.items())]
