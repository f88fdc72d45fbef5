"""Chains of operations on a batch: the compiled kernels on a processor, tensor kernels on an accelerator."""

from __future__ import annotations

import torch


def apply(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
    """Apply to every image its own chain of operations.

    Args:
        images: uint8 (n, 3, H, W).
        ops: int64 (n, D) of operation numbers; ``operations.NONE`` skips a step. On the CPU or the images' device; a
            GPU need not be waited for where they are on the CPU.
        values: float64 (n, D), where ``ops`` is.
        fill: grey value outside the image.

    Returns:
        uint8 (n, 3, H, W).
    """
    if images.device.type != "cpu":
        from robench.training.ops import kernels_torch

        return kernels_torch.apply(images, ops, values, fill)
    from robench.training.ops import kernels_cpu

    return torch.from_numpy(kernels_cpu.apply(images.contiguous().numpy(), ops.numpy(), values.numpy(), fill))


def mix(
    images: torch.Tensor,
    ops: torch.Tensor,
    values: torch.Tensor,
    weights: torch.Tensor,
    m: torch.Tensor,
    fill: int = 0,
) -> torch.Tensor:
    """Return ``(1 - m) image + m sum_k weights_k chain_k`` as float32 in [0, 1].

    Args:
        images: uint8 (n, 3, H, W).
        ops, values: (n, K, D).
        weights: (n, K), convex.
        m: (n,), the share of the mixed chains.
        fill: grey value outside the image.

    Returns:
        float32 (n, 3, H, W).
    """
    weights, m = weights.float(), m.float()
    if images.device.type != "cpu":
        from robench.training.ops import kernels_torch

        return kernels_torch.mix(images, ops, values, weights, m, fill)
    from robench.training.ops import kernels_cpu

    return torch.from_numpy(
        kernels_cpu.mix(images.contiguous().numpy(), ops.numpy(), values.numpy(), weights.numpy(), m.numpy(), fill)
    )


def chains(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
    """Return the K augmented chains of every image, un-mixed: uint8 (n, K, 3, H, W) from ops (n, K, D)."""
    n, width, depth = ops.shape
    if images.device.type != "cpu":  # the compiled kernels read an image as often as it has chains
        images = images.repeat_interleave(width, dim=0)
    flat = apply(images, ops.reshape(-1, depth), values.reshape(-1, depth), fill)
    return flat.view(n, width, *flat.shape[1:])
