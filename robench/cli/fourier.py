"""``robench fourier``: which frequencies a model is sensitive to, as a heat map or under low-pass filters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from robench.errors import RobenchError

HELP = """\
Measure a model's error under every vector of the Fourier basis (Yin et al. 2019), or under low-pass filters.

**Examples**

    robench fourier --model reference:digits/augmix --norm 2

    robench fourier --model wrn.pth --arch wrn-40-2 --data cifar-10-batches-py --limit 1000 --out wrn.json

    robench fourier --model timm:resnet50 --data ImageNet/val --norm 15.7 --window 63 --device cuda --bf16

    robench fourier --model wrn.pth --arch wrn-28-2 --data cifar-10-batches-py --lowpass 4,8,12,16,24,32

Stop at any moment and run it again to go on. `robench plot fourier FILE` and `robench plot lowpass FILE` draw it.
"""


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("fourier", help=HELP)(fourier)


def fourier(
    model: str = typer.Option(..., "--model", "-m", help="Path, timm:NAME, torchvision:NAME, reference:NAME, ..."),
    data: Path | None = typer.Option(None, help="Clean images with labels; without it the embedded digits."),
    out: Path | None = typer.Option(None, "--out", "-o", help="The document to write; else fourier-MODEL.json."),
    arch: str | None = typer.Option(None, help="Architecture of a state dict."),
    num_classes: int | None = typer.Option(None, min=1, help="Classes the model puts out; else the data's."),
    norm_preset: str | None = typer.Option(None, help="Normalisation: cifar10, cifar100, imagenet, half or none."),
    resize: int | None = typer.Option(None, min=1, help="Resize the shorter side to this; else the model's own."),
    crop: int | None = typer.Option(None, min=1, help="Centre crop of this side; else the model's own."),
    interpolation: str | None = typer.Option(None, help="nearest, bilinear, bicubic or lanczos."),
    limit: int | None = typer.Option(1000, min=1, help="Only so many images, chosen as evaluate does."),
    norm: float = typer.Option(4.0, help="L2 norm of the perturbation per channel, images in [0, 1]."),
    window: int | None = typer.Option(None, min=1, help="Only the centred square of this many lowest frequencies."),
    signs: bool = typer.Option(True, help="Draw the sign at random for every image and channel."),
    seed: int = typer.Option(0, help="Seed of the signs."),
    lowpass: str | None = typer.Option(None, help="Bandwidths, e.g. 4,8,16: the low-pass curve instead of the map."),
    device: str = typer.Option("auto", help="auto, cpu, cuda, mps."),
    bf16: bool = typer.Option(False, help="bfloat16: faster where the processor has it; figures move a little."),
    fold: bool = typer.Option(True, help="Fold batch norms into convolutions."),
    compile_: bool = typer.Option(False, "--compile", help="Use torch.compile."),
    batch_size: int | None = typer.Option(
        None, min=1, help="Images at a time; else 50 on a CPU, 100 with --bf16, 500 elsewhere."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No progress and no figures, only the path."),
) -> int:
    """Measure and write; see HELP."""
    from robench.evaluation.fourier import FourierOptions, fourier_map
    from robench.evaluation.lowpass import low_pass_curve
    from robench.evaluation.progress import make_progress
    from robench.files import write_json
    from robench.processes import resolve_device

    options = FourierOptions(
        norm=norm,
        window=window,
        signs=signs,
        seed=seed,
        device=resolve_device(device),
        precision="bf16" if bf16 else "fp32",
        fold=fold,
        compile=compile_,
        batch_size=batch_size,
    )
    bandwidths = _bandwidths(lowpass)
    opened = _open(data, limit, resize, crop, interpolation)
    loaded = _model(model, arch, num_classes or opened.suite.num_classes, norm_preset)
    images, target, protocol = _images(opened, loaded)
    path = out or Path(f"{'lowpass' if bandwidths else 'fourier'}-{loaded.name.replace('/', '-')}.json")
    if path.is_dir():
        raise RobenchError(f"{path} is a folder.", hint="Give --out a file's name, such as map.json.")
    if bandwidths:
        document = low_pass_curve(loaded, images, target, bandwidths, options)
    else:
        state = path.with_suffix(".state.json")
        with_progress = make_progress(loaded.name, quiet=quiet)
        document = fourier_map(loaded, images, target, options, state=state, progress=with_progress)
    write_json(path, document | {"data": {"path": str(data or "digits"), "protocol": protocol}})
    if not bandwidths:
        path.with_suffix(".state.json").unlink(missing_ok=True)
    if not quiet:
        typer.echo(_in_words(document), err=True)
    print(path)
    return 0


def _in_words(document: dict[str, Any]) -> str:
    """Return the figures that sum the document up; errors in percent."""
    head = f"{document['model']}, {document['images']:,} images: error"
    if "bandwidths" in document:
        pairs = zip(document["bandwidths"], document["error"], strict=True)
        return f"{head} " + ", ".join(f"{100 * error:.2f} % at bandwidth {side}" for side, error in pairs)
    cells = [error for row in document["error"] for error in row]
    mean, low, high = (100 * value for value in (sum(cells) / len(cells), min(cells), max(cells)))
    return f"{head} {100 * document['clean_error']:.2f} % clean, {mean:.2f} % over the map ({low:.2f} to {high:.2f})"


def _bandwidths(text: str | None) -> list[int]:
    from robench.cli.common import split_names

    names = split_names(text) or ()
    if not all(name.isdigit() and int(name) > 0 for name in names):
        raise RobenchError(f"--lowpass takes whole numbers; found '{text}'.", hint="E.g. --lowpass 4,8,16,32")
    return [int(name) for name in names]


def _open(data: Path | None, limit: int | None, resize: int | None, crop: int | None, interpolation: Any) -> Any:
    from robench.cli.common import one_of
    from robench.data.base import Geometry
    from robench.suites import OpenOptions, open_suite

    if interpolation:
        one_of("--interpolation", interpolation, ("nearest", "bilinear", "bicubic", "lanczos"))
    chosen = resize or crop or interpolation
    geometry = Geometry(resize, crop, interpolation or "bilinear") if chosen else None
    return open_suite("clean", data, OpenOptions(limit=limit, geometry=geometry))


def _images(opened: Any, model: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return uint8 images (n, 3, H, W) as the model takes them, labels (n,), and the record of where they came from."""
    import numpy as np
    import torch

    from robench.suites import fit_to_model

    opened = fit_to_model(opened, model.preprocessing.geometry)
    batches = list(opened.batches(opened.suite.cells[0], 500))
    return torch.cat([batch.images for batch in batches]), np.concatenate([b.target for b in batches]), opened.protocol


def _model(spec: str, arch: str | None, classes: int, norm_preset: str | None) -> Any:
    from robench.models import load_model, preset

    mean, std = preset(norm_preset) if norm_preset else (None, None)
    return load_model(spec, arch=arch, num_classes=classes, mean=mean, std=std)
