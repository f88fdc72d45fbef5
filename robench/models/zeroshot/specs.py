"""Which model specs are of zero-shot models, told without loading them."""

from __future__ import annotations

from pathlib import Path

from robench.documents import read_document
from robench.models.snapshots import is_two_tower
from robench.models.zeroshot.towers import Towers


def towers_of(spec: str) -> Towers | None:
    """Return the towers of a zero-shot model's spec; None for any other.

    Raises:
        RobenchError: they cannot be loaded.
    """
    scheme, _, rest = spec.partition(":")
    if scheme == "open_clip":
        from robench.models.zeroshot import openclip

        return openclip.load_towers(rest)
    folder = Path(rest).expanduser()
    if scheme != "hf" or not folder.is_dir():
        return None
    if not (folder / "config.json").exists() and (folder / "open_clip_config.json").exists():
        from robench.models.zeroshot import openclip

        return openclip.load_towers(rest)
    if not is_two_tower(read_document(folder / "config.json", "model configuration")):
        return None
    from robench.models.zeroshot.transformers import load_towers

    return load_towers(folder)
