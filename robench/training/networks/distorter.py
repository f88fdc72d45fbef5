"""DeepAugment's image-to-image networks with their weights and signals distorted at random (Hendrycks et al. 2021).

A network's weights are distorted anew with probability 0.05 per image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from robench.errors import RobenchError
from robench.training.networks import distort_cae, distort_edsr
from robench.training.networks.cae import CAE, FACTOR
from robench.training.networks.edsr import EDSR
from robench.training.ops.pixels import check_sides

RENEWAL = 0.05


def load_network(path: str | Path) -> EDSR | CAE:
    """Return an EDSR or CAE from a folder that ``robench train`` wrote, or from a weights file.

    Args:
        path: folder with ``weights.safetensors``; or a ``.safetensors``, ``.pt`` or ``.state`` file with the
            published parameter names (read without running code from it).

    Raises:
        RobenchError: no such file, or neither network's weights.
    """
    path = Path(path)
    file = path / "weights.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise RobenchError(
            f"No network weights at {file}.",
            hint="Train them, `robench.train('edsr-digits')` (or cae-digits), and give their folder.",
        )
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        weights = load_file(file)
    else:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    weights = {name: value.float() for name, value in weights.items() if "_mean." not in name}
    # Its first weights are random and replaced at once; PyTorch's global generator, whose state a checkpoint keeps,
    # must not advance.
    with torch.random.fork_rng(devices=[]):
        network = _network_for(weights, file)
    network.load_state_dict(weights, strict=True)
    return network.eval()


def _network_for(weights: dict[str, torch.Tensor], file: Path) -> EDSR | CAE:
    if "head.0.weight" in weights:
        blocks = sum(name.endswith(".body.0.weight") for name in weights)
        scale = 2 ** sum(name.startswith("tail.0.") and name.endswith("weight") for name in weights)
        return EDSR(blocks, len(weights["head.0.weight"]), scale)
    if "e_conv_2.1.weight" in weights:
        return CAE(len(weights["e_conv_2.1.weight"]), len(weights["e_conv_3.0.weight"]))
    raise RobenchError(f"{file} contains neither EDSR nor autoencoder weights.")


class Distorter:
    """An image-to-image network whose distortions are redrawn from time to time.

    Args:
        network: with its trained weights; ``weights`` stay as they are here.
        autocast: type of mixed precision, which takes half the time; None: float32.
    """

    def __init__(self, network: EDSR | CAE, autocast: torch.dtype | None = None) -> None:
        self.network = network.to(memory_format=torch.channels_last)
        self.autocast = autocast
        self.weights = {name: value.detach().clone() for name, value in network.named_parameters()}

    def renew(self, random: np.random.Generator) -> None:
        """Distort the trained weights anew."""
        if isinstance(self.network, EDSR):
            blocks = len(self.network.body) - 1
            weights = distort_edsr.WeightDistortion(self.weights, blocks, random).draw()
        else:
            weights = distort_cae.distort_weights(self.weights, random)
        self.network.load_state_dict(weights, strict=True)

    @torch.no_grad()
    def __call__(self, pixels: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
        """Return images through the network with one signal distortion: float in [0, 1], same size.

        Raises:
            RobenchError: the network is the autoencoder, and a side is not a multiple of 4.
        """
        with torch.autocast(pixels.device.type, self.autocast, enabled=self.autocast is not None):
            if isinstance(self.network, CAE):
                check_sides(pixels, FACTOR, "The autoencoder")
                return distort_cae.distorted_forward(self.network, pixels, random).float()
            large = distort_edsr.distorted_forward(self.network, pixels, random)
        return functional.interpolate(large.float(), pixels.shape[-2:], mode="area")

    def run(self, pixels: torch.Tensor, renewals: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        """Pass images through, with new weights wherever ``renewals`` says so (and for the first one).

        Args:
            pixels: float (n, 3, H, W) in [0, 1].
            renewals: bool (n,).
            seeds: int64 (n,): a run of images between two renewals takes its first one's.

        Returns:
            float (n, 3, H, W) in [0, 1].
        """
        starts = [0, *(np.flatnonzero(renewals.cpu().numpy()[1:]) + 1).tolist(), len(pixels)]
        seed = seeds.tolist()
        parts = []
        for start, stop in itertools.pairwise(starts):
            random = np.random.default_rng(seed[start])
            self.renew(random)
            parts.append(self(pixels[start:stop], random))
        return torch.cat(parts) if parts else pixels


def distorted_groups(
    distorter: Distorter, images: torch.Tensor, random: np.random.Generator, group: int = 64, done: int = 0
) -> Iterator[torch.Tensor]:
    """Yield every image once through the distorted network: uint8 (n, 3, H, W), ``group`` images at a time.

    Args:
        distorter: on the images' device.
        images: uint8 (N, 3, H, W).
        random: of the distortions.
        group: images at a time; fewer where the weights change.
        done: images that are there already: their numbers are drawn, and their groups are left out.
    """
    for start in range(0, len(images), group):
        few = images[start : start + group]
        renewals = torch.from_numpy(random.random(len(few)) < RENEWAL)
        seeds = torch.from_numpy(random.integers(0, 2**31 - 1, len(few)))
        if start >= done:
            yield (distorter.run(few.float() / 255.0, renewals, seeds) * 255.0).to(torch.uint8)
