"""Chains of operations on a batch: compiled loops on a processor, Triton's kernels or tensor operations elsewhere."""

from __future__ import annotations

import torch

from robench.corruptions import _gpu


def apply(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
    """Apply to every image its own chain of operations, or several chains each to the image as it is.

    Args:
        images: uint8 (n, 3, H, W).
        ops: int64 (K n, D) of operation numbers, an image's K chains in a row; ``operations.NONE`` skips a step. On the
            CPU or the images' device; a GPU need not be waited for where they are on the CPU.
        values: float64 (K n, D), where ``ops`` is.
        fill: grey value outside the image.

    Returns:
        uint8 (K n, 3, H, W).
    """
    if images.device.type != "cpu":
        return _on_device("apply", images, ops, values, fill)
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
        return _on_device("mix", images, ops, values, weights, m, fill)
    from robench.training.ops import kernels_cpu

    return torch.from_numpy(
        kernels_cpu.mix(images.contiguous().numpy(), ops.numpy(), values.numpy(), weights.numpy(), m.numpy(), fill)
    )


def chains(images: torch.Tensor, ops: torch.Tensor, values: torch.Tensor, fill: int = 0) -> torch.Tensor:
    """Return the K augmented chains of every image, un-mixed: uint8 (n, K, 3, H, W) from ops (n, K, D)."""
    n, width, depth = ops.shape
    flat = apply(images, ops.reshape(-1, depth), values.reshape(-1, depth), fill)
    return flat.view(n, width, *flat.shape[1:])


def _on_device(function: str, images: torch.Tensor, *arguments: torch.Tensor | int) -> torch.Tensor:
    """Return what Triton's kernels make; where they cannot, tensor operations do."""
    made = _gpu.attempt(images.device, f"robench.training.ops.kernels_gpu.{function}", images, *arguments)
    if made is not None:
        return made
    from robench.training.ops import kernels_torch

    return getattr(kernels_torch, function)(images, *arguments)
