"""Makes the manifest of DeepFashion Remixed from DeepFashion2's annotation files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from robench.errors import RobenchError
from robench.files import atomic_write, read_document

COLUMNS = ("file", "split", "label", "scale", "occlusion", "viewpoint", "zoom")
_SPLITS = ("train", "validation")


def write_manifest(root: Path, out: Path | None = None) -> Path:
    """Write a manifest with a row for every annotated garment.

    Args:
        root: holds ``train`` and ``validation`` (or one of them), each with ``image/*.jpg`` and ``annos/*.json``.
        out: where to write it; None: ``manifest.csv`` in ``root``, which its file names are relative to.

    Returns:
        The manifest's path.

    Raises:
        RobenchError: no annotations, a damaged one, one without its image, or values out of range.
    """
    splits = [split for split in _SPLITS if (root / split / "annos").is_dir()]
    if not splits:
        raise RobenchError(f"{root} has no train/annos or validation/annos.", hint="Give DeepFashion2's folder.")
    out = out or root / "manifest.csv"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for split in splits:
        images = _images(root / split / "image")
        for annotation in sorted((root / split / "annos").glob("*.json")):
            writer.writerows(_garments(root, split, annotation, images.get(annotation.stem)))
    with atomic_write(out) as file:
        file.write(text.getvalue().encode())
    return out


def _images(folder: Path) -> dict[str, Path]:
    """Return the folder's files by their names without ending, listed once: there are 192,000."""
    return {path.stem: path for path in sorted(folder.iterdir(), reverse=True)} if folder.is_dir() else {}


def _garments(root: Path, split: str, annotation: Path, image: Path | None) -> list[list[str | int]]:
    if image is None:
        raise RobenchError(f"{annotation} has no image in {root / split / 'image'}.", hint="Unpack the set again.")
    try:
        document = read_document(annotation, "annotation", hint="Unpack the set again.")
        items = [document[key] for key in sorted(document) if key.startswith("item")]
        rows = [
            [int(item[key]) for key in ("category_id", "scale", "occlusion", "viewpoint", "zoom_in")] for item in items
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobenchError(
            f"{annotation} is not an annotation of DeepFashion2: {error}.", hint="Unpack it again."
        ) from error
    for category, *values in rows:
        if not 1 <= category <= 13 or not all(1 <= value <= 3 for value in values):
            raise RobenchError(
                f"{annotation}: expected a category from 1 to 13 and attributes from 1 to 3; found {category},"
                f" {values}.",
                hint="The file is of another data set.",
            )
    name = image.relative_to(root).as_posix()
    return [[name, split, *row] for row in rows]
