"""Prompt templates and class names: the published sets, or a user's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from robench.data.classes import WORDNET_ID, class_list, imagenet_wnids
from robench.documents import read_document, require_regular
from robench.errors import RobenchError
from robench.files import digest

PROMPTS = ("imagenet", "cifar", "simple")
NAME_LISTS = ("imagenet", "cifar10", "cifar100")
SLOT = "{}"
# The prompts of a data set whose authors' prompts are published; others get `simple`.
_PROMPTS_OF = {"imagenet": "imagenet", "cifar10": "cifar", "cifar100": "cifar"}
_LONGEST, _MOST = 500, 100_000
_MAX_BYTES = 8 << 20


@dataclass(frozen=True)
class Prompts:
    """Templates that a class name is put into.

    Args:
        name: of a published set, or the file's name.
        templates: each with one ``{}``.
    """

    name: str
    templates: tuple[str, ...]

    def of(self, name: str) -> list[str]:
        """Return the texts of one class.

        >>> Prompts("simple", ("a photo of a {}.",)).of("dog")
        ['a photo of a dog.']
        """
        return [template.replace(SLOT, name) for template in self.templates]


@dataclass(frozen=True)
class ClassNames:
    """What the classes are called in prompts.

    Args:
        origin: of a published list, the file's name, or ``data``: the data's own class names.
        names: by label.
        classes: the identifiers of these classes that the data's are compared with; None: not known.
    """

    origin: str
    names: tuple[str, ...]
    classes: tuple[str, ...] | None

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names that several classes have: the model cannot tell these apart."""
        return tuple(sorted({name for name in self.names if self.names.count(name) > 1}))


def load_prompts(given: str | None, dataset: str | None = None) -> Prompts:
    """Return a published set of templates, or those of a file.

    Args:
        given: ``imagenet`` (80), ``cifar`` (18), ``simple`` (one), or a file with one template a line (or a YAML or
            JSON list); ``#`` begins a comment. None: the published set of ``dataset``, else ``simple``.
        dataset: what is evaluated.

    Raises:
        RobenchError: no such file, or a template without exactly one ``{}``.

    >>> len(load_prompts("imagenet").templates), load_prompts(None, "digits").templates
    (80, ('a photo of a {}.',))
    """
    name = given or _PROMPTS_OF.get(dataset or "", "simple")
    if name in PROMPTS:
        return Prompts(name, _published(f"{name}_prompts.txt"))
    path = _existing(name, "prompts", PROMPTS)
    templates = _entries(path, "prompt templates")
    if not isinstance(templates, list):
        raise _unusable(path, "prompt templates", "a mapping, not a list", "Write one template a line.")
    for template in templates:
        if template.count(SLOT) != 1:
            raise RobenchError(
                f"{path}: the template '{template[:60]}' has {template.count(SLOT)} places for the class name.",
                hint="Write {} once in every template: a photo of a {}.",
            )
    if len(set(templates)) < len(templates):
        raise RobenchError(f"{path} lists a template twice.", hint="List every template once.")
    return Prompts(path.name, tuple(templates))


def load_class_names(
    given: str | None, classes: Sequence[str] | None, dataset: str | None = None, count: int | None = None
) -> ClassNames:
    """Return what the classes are called in prompts.

    Args:
        given: ``imagenet``, ``cifar10`` or ``cifar100`` (the published names), or a file: one name a line by label, or
            a YAML or JSON list or mapping from the data's class to its name. None: the published names of ``dataset``,
            else the data's own class names in words.
        classes: the data's class names by label, or None.
        dataset: what is evaluated.
        count: number of the data's classes, or None.

    Raises:
        RobenchError: no names are known, no such file, or a file that lacks classes.

    >>> load_class_names(None, ("maple_tree", "n02123045")).names
    ('maple tree', 'tabby cat')
    """
    if given in NAME_LISTS:
        return ClassNames(given, _list(given), _identifiers(given))
    if given is not None:
        return _from_file(_existing(given, "class_names", NAME_LISTS), classes, count)
    if dataset in NAME_LISTS and len(_list(dataset)) == (count or len(_list(dataset))):
        return ClassNames(dataset, _list(dataset), tuple(classes) if classes is not None else _identifiers(dataset))
    if classes is None or all(name.isdecimal() for name in classes):
        what = "The class names of the data are not known" if classes is None else "The data's classes are numbers"
        raise RobenchError(
            f"{what}, and a zero-shot model needs them.",
            hint="Give a file with one name a line, by label: `class_names='names.txt'`",
        )
    return ClassNames("data", _in_words(classes), tuple(classes))


def _identifiers(name: str) -> tuple[str, ...]:
    return class_list(name) or _list(name)


@cache
def _list(name: str) -> tuple[str, ...]:
    own = class_list(name) if name in ("cifar10", "cifar100") else None
    return _published(f"{name}_names.txt") if own is None else _in_words(own)


@cache
def _published(name: str) -> tuple[str, ...]:
    return tuple(_lines((files("robench.models.zeroshot") / "published" / name).read_text(encoding="utf-8")))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _in_words(classes: Sequence[str]) -> tuple[str, ...]:
    """Return class names as words: WordNet ids by their published or first name, ``maple_tree`` as ``maple tree``."""
    known = _by_wordnet_id(classes) if any(WORDNET_ID.fullmatch(name) for name in classes) else {}
    return tuple(known.get(name) or name.replace("_", " ").strip() for name in classes)


def _by_wordnet_id(classes: Sequence[str]) -> dict[str, str]:
    found = dict(zip(imagenet_wnids(), _list("imagenet"), strict=True))
    rest = [name for name in classes if WORDNET_ID.fullmatch(name) and name not in found]
    if rest:
        from timm.data import ImageNetInfo

        info = ImageNetInfo("imagenet21k")
        lemmas = {name: info.label_name_to_description(name) for name in info.label_names() if name in set(rest)}
        found |= {name: lemma.partition(",")[0].strip() for name, lemma in lemmas.items()}
        unknown = [name for name in rest if name not in found]
        if unknown:
            raise RobenchError(
                f"{len(unknown)} WordNet ids have no name that is known: {', '.join(unknown[:5])}.",
                hint="Give names by label in a file: `class_names='names.txt'`",
            )
    return found


def _from_file(path: Path, classes: Sequence[str] | None, count: int | None) -> ClassNames:
    entries = _entries(path, "class names")
    if isinstance(entries, Mapping):
        lacking = [name for name in classes or () if name not in entries]
        if classes is None or lacking:
            said = f"it lacks {len(lacking)}: {', '.join(lacking[:5])}" if lacking else "the data's classes are unknown"
            raise _unusable(path, "class names", said, "Map every class of the data to its name, or list the names.")
        return ClassNames(path.name, tuple(entries[name] for name in classes), tuple(classes))
    if count is not None and len(entries) != count:
        raise RobenchError(
            f"{path} has {len(entries):,} class names; the data has {count:,} classes.",
            hint="Write one name a line for every class, by label.",
        )
    own = classes is not None and len(classes) == len(entries)
    return ClassNames(path.name, tuple(entries), tuple(classes) if own and classes is not None else None)


def _existing(given: str, option: str, known: Sequence[str]) -> Path:
    path = Path(given).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise RobenchError(
            f"`{option}` is one of {', '.join(known)}, or a file; '{given}' {what}.", hint="Check the path."
        )
    return path


def _entries(path: Path, kind: str) -> list[str] | dict[str, str]:
    """Return the lines of a text file, or the list or mapping of a YAML or JSON file."""
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        found: Any = read_document(path, kind, top=None)
    else:
        found = _lines(_text(path, kind))
    if isinstance(found, Mapping):
        found = {str(key): value for key, value in found.items()}
    values = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(values, list) or not values or len(values) > _MOST:
        size = f"{len(values):,} entries" if isinstance(values, list) else f"a {type(found).__name__}"
        raise _unusable(path, kind, size, f"Write one a line, at most {_MOST:,}.")
    for value in values:
        if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST or not value.isprintable():
            raise _unusable(path, kind, f"the entry {str(value)[:60]!r}", "Every entry is a short text on a line.")
    return (
        {key: value.strip() for key, value in found.items()} if isinstance(found, dict) else [v.strip() for v in values]
    )


def _text(path: Path, kind: str) -> str:
    try:
        size = require_regular(path).st_size
        if size > _MAX_BYTES:
            raise _unusable(path, kind, f"{size:,} bytes", "Give a text file with one entry a line.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unusable(path, kind, "bytes that are not UTF-8", "Save it as UTF-8 text.") from error
    except OSError as error:
        raise RobenchError(f"Could not read {path}: {error.strerror or error}.", hint="Check the path.") from error


def _unusable(path: Path, kind: str, found: str, hint: str) -> RobenchError:
    return RobenchError(f"{path} is not a file of {kind}: found {found}.", hint=hint)


def texts_digest(prompts: Prompts, names: ClassNames) -> str:
    """Return the SHA-256 of templates and names, in their order."""
    return digest({"templates": list(prompts.templates), "names": list(names.names)})
