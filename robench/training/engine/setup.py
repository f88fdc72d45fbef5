"""What a run needs before its first step: the network, and the images on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from robench.data import open_images
from robench.errors import RobenchError
from robench.models.architectures.norms import from_plain
from robench.processes import World
from robench.training.engine import artefacts, distribution
from robench.training.engine.batch import Batch
from robench.training.engine.disk import DiskSource, open_disk
from robench.training.engine.network import Network
from robench.training.engine.source import DeviceSource, Source, extra_folders, held_out, on_device, open_split
from robench.training.methods.base import Method
from robench.training.recipes.schema import DataPart, Recipe

_EVALUATION_BATCH = 500


@dataclass
class Material:
    """The images of a run.

    Args:
        source: where training batches come from.
        train_index: numbers of the images to train on.
        validation: the held-out images, or None.
        test: the test images, or None.
    """

    source: Source
    train_index: torch.Tensor
    validation: DeviceSource | None
    test: DeviceSource | None

    def held_out_batch(self, recipe: Recipe, epoch: int) -> Batch | None:
        """Return all held-out images as one batch, for methods that look at them after an epoch."""
        if self.validation is None:
            return None
        images, labels = self.validation.images, self.validation.labels
        index = torch.arange(len(labels), device=labels.device)
        return Batch(images, labels, index, recipe.data, recipe.seed, epoch)

    def accuracies(self, net: Network, route: str | None) -> dict[str, float]:
        """Return the clean accuracy on the held-out and on the test images, fractions; nothing without labels."""
        if self.test is None:
            return {}
        sets = {"validation_accuracy": self.validation, "test_accuracy": self.test}
        return {name: accuracy(net, images, route) for name, images in sets.items() if images is not None}


@torch.no_grad()
def accuracy(net: Network, source: DeviceSource, route: str | None) -> float:
    """Return the share of images classified correctly; the module must be in evaluation mode."""
    correct = 0
    for start in range(0, len(source.labels), _EVALUATION_BATCH):
        part = slice(start, start + _EVALUATION_BATCH)
        predicted = net(source.images[part], route).argmax(dim=1)
        correct += int((predicted == source.labels[part]).sum())
    return round(correct / len(source.labels), 6)


def prepare(recipe: Recipe, data: Path | None, device: torch.device) -> Material:
    """Read the recipe's images.

    Raises:
        RobenchError: unreadable data, no labels, fewer classes than they need, or held-out images that would be
            trained on or not looked at.
    """
    part = recipe.data
    _check_held_out(part)
    source = training_source(recipe, data, device)
    if recipe.num_classes and int(source.labels.max()) >= recipe.num_classes:
        raise RobenchError(
            f"The data has label {int(source.labels.max())}, the recipe {recipe.num_classes} classes.",
            hint="Choose the recipe of this data set or set num_classes.",
        )
    if recipe.num_classes and int(source.labels.min()) < 0:
        raise RobenchError(
            f"{int((source.labels < 0).sum()):,} of {len(source.labels):,} training images have no label.",
            hint="Give labelled images; EDSR and CAE alone (num_classes=0) are trained without.",
        )
    train_index, validation_index = held_out(len(source.labels), part.validation)
    validation = None
    if part.validation_split is not None:
        validation = on_device(open_split(part, data, part.validation_split), part, device, None, source.classes)
    elif len(validation_index):
        validation = _taken_out(source, validation_index, part, device)
    test = None
    if recipe.num_classes and part.definition is None:
        test = on_device(open_split(part, data, part.test_split), part, device, None, source.classes)
    return Material(source, train_index, validation, test)


def _check_held_out(part: DataPart) -> None:
    if part.validation and part.validation_split is not None:
        raise RobenchError(
            f"Use only one of data.validation and data.validation_split (here '{part.validation_split}').",
            hint="To hold out training images: `set='data.validation_split=null'`.",
        )
    if part.validation and part.extra:
        raise RobenchError(
            "Held-out images (data.validation) would be trained on: their copies are in the folders of data.extra.",
            hint="Use a split with other images, `set='data.validation_split=NAME'`, or omit data.extra.",
        )


def training_source(recipe: Recipe, data: Path | None, device: torch.device) -> DeviceSource | DiskSource:
    """Return the training images: in memory, or crops of images on disk."""
    part = recipe.data
    if part.definition is not None and data is None:
        raise RobenchError(
            f"This recipe trains on {part.dataset}, which does not come with robench.",
            hint="Give the folder with its manifest in `data`.",
        )
    if part.resized_crop is not None:
        if data is None and part.dataset == "digits":
            raise RobenchError(
                "data.resized_crop is for images in folders; the embedded digits are cropped by data.pad.",
                hint="Use `set='data.resized_crop=null'`.",
            )
        if data is not None:
            return open_disk(part, data, recipe.seed, device, labelled=bool(recipe.num_classes))
    source = on_device(open_split(part, data, part.train_split), part, device, part.limit)
    for folder in extra_folders(part, data):
        more = on_device(open_images(folder), part, device, None, source.classes)
        together = (torch.cat([source.images, more.images]), torch.cat([source.labels, more.labels]))
        source = DeviceSource(*together, source.stored or more.stored, source.classes)
    return source


def _taken_out(
    source: DeviceSource | DiskSource, index: torch.Tensor, part: DataPart, device: torch.device
) -> DeviceSource:
    """Return the held-out images in memory, photographs as test images are cropped."""
    where = index.to(device)
    if isinstance(source, DeviceSource):
        return DeviceSource(source.images[where], source.labels[where])
    chunks = list(source.test_views(list(index.split(_EVALUATION_BATCH))))
    return DeviceSource(torch.cat(chunks), source.labels[where])


def check_finished(out: Path, recipe: Recipe, data: str | Path | None) -> None:
    """Check that the finished run in ``out`` is the one asked for: of this recipe, and of these training images.

    Raises:
        RobenchError: it is not, or the images cannot be read.
    """
    artefacts.check_same(out, recipe)
    known = artefacts.images_digest(out)
    if known is None or (data is None and recipe.data.dataset != "digits"):
        return
    if training_source(recipe, None if data is None else Path(data), torch.device("cpu")).identity() != known:
        raise RobenchError(
            f"{out} holds a finished run on other training images.",
            hint="Give another `out`, or `fresh=True` to start again there.",
        )


def build_module(recipe: Recipe, method: Method, device: torch.device, world: World) -> nn.Module:
    """Build the architecture, with the same weights in every process.

    Raises:
        RobenchError: an unknown architecture, or a normalisation that the method cannot train.
    """
    if recipe.norm not in method.norms:
        raise RobenchError(
            f"Method {recipe.method} needs norm {' or '.join(method.norms)}, the recipe has {recipe.norm}.",
            hint=f"Use `set='norm={method.norms[0]}'`.",
        )
    held_out_count = recipe.data.validation_split or recipe.data.validation
    if method.NEEDS_VALIDATION and not held_out_count:
        raise RobenchError(
            f"Method {recipe.method} learns from held-out images, and the recipe holds out none.",
            hint="Use `set='data.validation=1000'`.",
        )
    module = method.build()
    if module is None:
        from robench.models import networks

        module = networks.build(recipe.architecture, recipe.num_classes, norm=recipe.norm)
    if recipe.init is not None:
        load_init(module, recipe.init)
    if recipe.sync_bn and world.size > 1:
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    module = module.to(device).to(memory_format=torch.channels_last)
    distribution.share_weights(module, world)
    return module


def load_init(module: nn.Module, origin: str) -> None:
    """Load weights to start from into the module.

    Args:
        module: the network; a first layer or head of another shape is left as it is drawn. Where it has dual or
            instance normalisation and the weights BatchNorm, both routes begin as these.
        origin: ``torchvision:NAME.WEIGHTS`` or ``timm:NAME.WEIGHTS`` (downloaded), or a file of weights, read without
            running code from it.

    Raises:
        RobenchError: no such file or weights, or hardly anything in it fits.
    """
    library = origin.partition(":")[0]
    weights = _published(origin) if library in ("torchvision", "timm") else _from_file(Path(origin))
    weights, own = from_plain(module, weights), module.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < len(own) // 2:
        raise RobenchError(
            f"Only {len(fitting)} of the network's {len(own)} tensors are in {origin}.",
            hint="The architecture and the weights to start from must belong together.",
        )
    module.load_state_dict(own | fitting)


def _published(origin: str) -> Mapping[str, torch.Tensor]:
    from robench.models.networks import torchvision_weights
    from robench.models.published import timm_state, torchvision_state

    library, _, name = origin.partition(":")
    if library == "timm":
        where = "Download them elsewhere, and name the file"
        read = timm_state
    else:
        url = torchvision_weights(name)[1].url
        kept = Path(torch.hub.get_dir()) / "checkpoints"
        where = f"Download {url} elsewhere and put the file into {kept}, or name it"
        read = torchvision_state
    try:
        return read(name)
    except RobenchError as error:
        if "Could not download" not in error.message:
            raise
        raise RobenchError(
            error.message, hint=f"{where}: `set='init=FILE.pth'` (or `set='init=null'` to start from random weights)."
        ) from error


def _from_file(path: Path) -> Mapping[str, torch.Tensor]:
    from robench.models.checkpoints import read_weights
    from robench.models.matching import strip_prefixes

    if not path.is_file():
        raise RobenchError(
            f"No weights at {path}.",
            hint="init takes torchvision:NAME.WEIGHTS, timm:NAME.WEIGHTS, or a .safetensors, .pth or .pt file.",
        )
    return strip_prefixes(read_weights(path).state)
