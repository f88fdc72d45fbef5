"""A page per corruption, with a photograph at the five severities."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from scripts.docs.markdown import Pages, first_paragraph, summary, table


def corruptions() -> Pages:
    """One page per corruption, with a photograph at the five severities."""
    import numpy as np
    import torch
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from robench.corruptions import ALL, BENCHMARK, corrupt, corruption
    from robench.corruptions.severities_bar import BAR

    photograph = load_sample_image("flower.jpg")[40:424, 128:512]
    small = np.asarray(Image.fromarray(photograph).resize((224, 224), Image.Resampling.BILINEAR))
    image = torch.from_numpy(small.copy()).permute(2, 0, 1)[None]
    found: Pages = {}
    rows = []
    for name in (*ALL, *sorted(BAR)):
        kind = "benchmark" if name in BENCHMARK else "C-bar" if name in BAR else "held out"
        strip = [small]
        for severity in range(1, 6):
            made = corrupt(image, name, severity, index=torch.tensor([0]))
            strip.append(made[0].permute(1, 2, 0).numpy())
        found[f"corruptions/{name}.jpg"] = _jpeg(np.concatenate(strip, axis=1))
        rows_of = [np.concatenate(strip[:3], axis=1), np.concatenate(strip[3:], axis=1)]
        found[f"corruptions/{name}-narrow.jpg"] = _jpeg(np.concatenate(rows_of))
        found[f"corruptions/{name}.md"] = _corruption(name, corruption(name), kind)
        rows.append((f"[{name}]({name}.md)", kind, f"![{name}]({name}.jpg)"))
    head = (
        "# Corruptions\n\nThe fifteen corruptions of the benchmark, the four held-out ones, and the fifteen of"
        " ImageNet-C-bar and CIFAR-10-C-bar, on a photograph of 224 pixels (scikit-learn's sample image): clean, then"
        " severities 1 to 5.\n\n"
    )
    found["corruptions/index.md"] = head + table(("corruption", "", "clean, severities 1 to 5"), rows)
    return found | summary("corruptions", (*ALL, *sorted(BAR)))


def _jpeg(image: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


_STRENGTHS = (
    "The parameters of the published function, in its order, at each severity. They go with the size of the image: 32"
    " pixels as in CIFAR-10-C, 64 as in Tiny-ImageNet-C, 224 as in ImageNet-C, 299 as in its version for Inception."
    " Sizes between take those of the nearest."
)
_KINDS = {
    "benchmark": "One of the 15 corruptions of the benchmark.",
    "held out": "Held out: in no headline value.",
    "C-bar": "One of the corruptions of ImageNet-C-bar or CIFAR-10-C-bar; no other suite measures it.",
}


def _corruption(name: str, row: Any, kind: str) -> str:
    function = row.load()
    doc = first_paragraph(function.__doc__)
    sizes = (32, 64, 224, 299)
    strengths = [
        (str(severity), *(_numbers(row.parameters(severity, size)) for size in sizes)) for severity in range(1, 6)
    ]
    images = [f"![Clean, then {name} at severities 1 to 5]({name}{kind}.jpg){{ .{kind[1:] or 'wide'} loading=lazy }}"
              for kind in ("", "-narrow")]  # fmt: skip
    lines = [f"# {name}", "", *images, "", doc, ""]
    lines += [_KINDS[kind], ""]
    drawn = "Random: the same for the same seed, severity and index."
    lines += ["Depends on no random numbers." if row.deterministic else drawn, ""]
    if suites := _measured_by(name):
        lines += ["Measured by " + ", ".join(f"[{one}](../suites/{one}.md)" for one in suites) + ".", ""]
    lines += [
        "## Strengths",
        "",
        _STRENGTHS,
        "",
        table(("severity", *(f"{size} pixels" for size in sizes)), strengths),
        "",
    ]
    lines += ["## From Python", "", "```python", "from robench.corruptions import corrupt", ""]
    lines += [f'corrupt(images, "{name}", 3)  # uint8 tensor (N, 3, H, W)', "```", ""]
    lines += ["How near it is to the published generator: [Fidelity](../fidelity.md).", ""]
    return "\n".join(lines)


def _measured_by(name: str) -> list[str]:
    from robench.suites.definitions import SUITES

    return [suite for suite in SUITES if any(cell.condition == name for cell in SUITES.get(suite).cells)]


def _numbers(values: Iterable[Any]) -> str:
    return ", ".join(f"{one:.4g}" if isinstance(one, (int, float)) else str(one) for one in values)
