"""The sample of ``models.yaml`` in the guide is read as it stands, and the guide names every key."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from robench.api.grid import rows_of
from robench.api.options import ModelOptions

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "programs.md"


def test_the_sample_is_a_list_of_models(tmp_path: Path) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    (sample,) = re.findall(r"```yaml[^\n]*\n(.*?)```", text, re.S)
    (tmp_path / "models.yaml").write_text(sample, encoding="utf-8")
    rows = rows_of(tmp_path / "models.yaml", ModelOptions())
    assert len(rows) == 6
    assert rows[2].options.arch == "wrn-40-2"
    assert rows[3].options.mean == (0.5071, 0.4865, 0.4409)
    assert rows[4].options.ensemble == "mean-logit"
    assert len(rows[4].model) == 2


def test_every_key_is_explained() -> None:
    told = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", GUIDE.read_text(), re.M))))
    assert {one.name for one in fields(ModelOptions)} | {"model"} <= told
