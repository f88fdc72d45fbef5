"""DeepAugment's random distortions of the autoencoder: its weights, and its code.

The list is that of ``CAE_distort_imagenet.py`` and the network file in hendrycks/imagenet-r. A weight distortion is
one of eight (a ninth is written there but never drawn); on every pass one of nine acts on the code.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from robench.training.networks.cae import CAE

Weights = dict[str, torch.Tensor]
LAYERS = (
    "e_conv_1.1", "e_conv_2.1", "e_block_1.1", "e_block_1.4", "e_block_2.1", "e_block_2.4", "e_block_3.1",
    "e_block_3.4", "e_conv_3.0", "d_up_conv_1.0", "d_up_conv_1.3", "d_block_1.1", "d_block_1.4", "d_block_2.1",
    "d_block_2.4", "d_block_3.1", "d_block_3.4", "d_up_conv_2.0", "d_up_conv_2.3", "d_up_conv_3.0", "d_up_conv_3.3",
)  # fmt: skip
_RANGE = {0: range(11, 16), 3: range(10, 14)}
_OTHER = range(8, 14)
WEIGHT_OPTIONS, CODE_OPTIONS = 8, 9


def distort_weights(weights: Weights, random: np.random.Generator, option: int | None = None) -> Weights:
    """Return a copy of the weights with one distortion.

    Args:
        weights: the network's parameters.
        random: numpy generator.
        option: 0 flip the filters' order in two layers, 1 negate 12 filters, 2 zero 25, 3 minus GELU of 25,
            4 scale two layers at random, 5 random mask, 6 rotate, 7 negate a fifth of the filters; None: drawn.
    """
    option = int(random.integers(0, WEIGHT_OPTIONS)) if option is None else option
    weights = {name: value.clone() for name, value in weights.items()}
    layers = [LAYERS[int(random.choice(list(_RANGE.get(option, _OTHER))))] for _ in range(2)]
    weight, bias = (f"{layers[0]}.{kind}" for kind in ("weight", "bias"))
    if option == 0:
        weights[weight], weights[bias] = weights[weight].flip(0), weights[bias].flip(0)
        # The published code looks up the second layer's bias by its weight's name: flipped twice, no effect.
    elif option in (1, 2, 3):
        _change_filters(weights, weight, bias, option, random)
    elif option == 4:
        for layer in layers:
            u = float(random.random())
            name = f"{layer}.weight"
            weights[name] = weights[name] * (1.0 + 2.0 * u * 4.0 * _rand(weights[name], random))
    elif option == 5:
        mask = _rand(weights[weight], random).round()
        weights[weight] = weights[weight] * (mask if random.random() < 0.5 else mask * 2.0 - 1.0)
    elif option == 6:
        weights[weight] = torch.rot90(weights[weight], int(random.integers(1, 4)), (2, 3))
    else:
        count = len(weights[weight])
        filters = np.unique(random.integers(0, count, count // 5))
        weights[weight][torch.from_numpy(filters)] *= -1.0
    return weights


def _change_filters(weights: Weights, weight: str, bias: str, option: int, random: np.random.Generator) -> None:
    changes: dict[int, Callable[[torch.Tensor], torch.Tensor]] = {
        1: torch.neg,
        2: torch.zeros_like,
        3: lambda w: -functional.gelu(w),
    }
    # A transposed convolution has its output channels second; the bias counts them, the weight may have fewer.
    count = min(len(weights[weight]), len(weights[bias]))
    for _ in range(12 if option == 1 else 25):
        number = int(random.integers(0, count))
        weights[weight][number] = changes[option](weights[weight][number])
        weights[bias][number] = changes[option](weights[bias][number])


def distorted_forward(
    net: CAE, x: torch.Tensor, random: np.random.Generator, option: int | None = None
) -> torch.Tensor:
    """Run the autoencoder with one distortion of its code.

    Args:
        net: with distorted weights already.
        x: images in [0, 1].
        random: numpy generator.
        option: 0 scale the bits; on the tanh code: 1 zero a fifth of the positions, 2 negate a tenth, 3 permute
            ten channels, 4 flip five channels, 5 flip all, 6 noisy identity convolution, 7 identity with extra
            taps, 8 shifts; None: drawn.

    Returns:
        images of the same size, clamped to [0, 1].
    """
    option = int(random.integers(0, CODE_OPTIONS)) if option is None else option
    code = _distort_code(net.encode(x), option, random)
    bits = CAE.binarise(code, _rand(code, random))
    if option == 0:
        u = float(random.random())
        bits = bits * (3.0 + 2.0 * u * 2.0 * _rand(bits, random))
    return net.decode(bits).clamp(0.0, 1.0)


def _distort_code(code: torch.Tensor, option: int, random: np.random.Generator) -> torch.Tensor:
    channels, place = code.shape[1], code[0, 0]
    if option == 1:
        return code * (_rand(place, random) > 0.2)
    if option == 2:
        return code * ((_rand(place, random) > 0.1).float() * 2.0 - 1.0)
    if option == 3:
        first = min(10, channels)
        order = [*random.permutation(first).tolist(), *range(first, channels)]
        return code[:, order]
    if option in (4, 5):
        return _flip_channels(code, option, random)
    if option in (6, 7, 8):
        kernel = _code_kernel(channels, option, random).to(code.device)
        return functional.conv2d(code, kernel, padding=1)
    return code


def _flip_channels(code: torch.Tensor, option: int, random: np.random.Generator) -> torch.Tensor:
    """Mirror channels along height or width (the published third axis is the batch, of one image there)."""
    channels = code.shape[1]
    code = code.clone()
    chosen = random.integers(0, channels, 5).tolist() if option == 4 else list(range(channels))
    axes = random.permutation(3)[:2]
    for channel in chosen:
        spatial = [int(axis) for axis in axes if axis > 0]
        code[:, channel] = code[:, channel].flip(spatial)
    return code


def _code_kernel(channels: int, option: int, random: np.random.Generator) -> torch.Tensor:
    kernel = torch.zeros(channels, channels, 3, 3)
    shift = random.integers(0, 3, 2) if option == 8 else np.array([1, 1])
    for channel in range(channels):
        if option == 8 and random.random() < 0.2:
            shift = random.integers(0, 3, 2)
        kernel[channel, channel, int(shift[0]), int(shift[1])] = 1.0
        if option == 7 and random.random() < 0.5:
            y, x = random.integers(-1, 2, 2)
            kernel[channel, int(random.integers(0, channels)), int(y), int(x)] = 1.0
    if option == 6:
        kernel += (_rand(kernel, random) - 0.5) * 0.2
    return kernel


def _rand(like: torch.Tensor, random: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(random.random(tuple(like.shape), dtype=np.float32)).to(like.device)
