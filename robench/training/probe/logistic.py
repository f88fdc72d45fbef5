"""Multinomial logistic regression with L2 regularisation: L-BFGS over all images, on any device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

_CHUNK = 1 << 16  # rows at a time: 64k x 1,000 logits are a quarter of a gigabyte


@dataclass(frozen=True)
class Linear:
    """A linear classifier.

    Args:
        weight: (K, d).
        bias: (K,).
        steps: of the solver.
        converged: whether it stopped by itself.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    steps: int = 0
    converged: bool = True

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of features (n, d), in their number format."""
        return features @ self.weight.to(features).T + self.bias.to(features)


def fit(
    features: torch.Tensor,
    labels: torch.Tensor,
    classes: int,
    l2: float,
    *,
    start: Linear | None = None,
    max_steps: int = 1000,
    tolerance: float = 1e-6,
) -> Linear:
    """Minimise mean cross-entropy + l2 / 2 * sum of squared weights; the bias is free.

    It is scikit-learn's LogisticRegression with C = 1 / (l2 * n).

    Args:
        features: (n, d) float32 or float64, on any device.
        labels: int64 (n,).
        classes: K.
        l2: strength of the regularisation.
        start: where to start; None: zeros.
        max_steps: of L-BFGS.
        tolerance: largest entry of the gradient at the end.

    >>> x = torch.tensor([[-1.0], [1.0]]).repeat(5, 1)
    >>> found = fit(x, torch.tensor([0, 1]).repeat(5), 2, 0.1)
    >>> found.logits(x[:2]).argmax(1).tolist(), found.converged
    ([0, 1], True)
    """
    from scipy.optimize import minimize

    width = features.shape[1]
    first = np.zeros(classes * (width + 1))
    if start is not None:
        first = torch.cat([start.weight.reshape(-1), start.bias]).double().cpu().numpy()

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = torch.from_numpy(flat[: classes * width].reshape(classes, width)).to(features)
        bias = torch.from_numpy(flat[classes * width :]).to(features)
        value, slope, offset = _value_and_gradient(features, labels, weight, bias)
        plain = torch.from_numpy(flat[: classes * width])
        total = value + 0.5 * l2 * float(plain @ plain)
        slope = slope.double().cpu().reshape(-1) + l2 * plain
        return total, torch.cat([slope, offset.double().cpu()]).numpy()

    found = minimize(
        objective,
        first,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_steps, "maxfun": 2 * max_steps, "gtol": tolerance, "ftol": 1e-12, "maxcor": 20},
    )
    solution = torch.from_numpy(found.x)
    weight = solution[: classes * width].reshape(classes, width)
    return Linear(weight, solution[classes * width :], int(found.nit), found.status == 0)


@torch.inference_mode()
def _value_and_gradient(
    features: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Return mean cross-entropy and its gradients (K, d) and (K,)."""
    total, slope, offset = 0.0, torch.zeros_like(weight), torch.zeros_like(bias)
    for rows, targets in zip(features.split(_CHUNK), labels.split(_CHUNK), strict=True):
        log_p = torch.log_softmax(rows @ weight.T + bias, dim=1)
        total -= float(log_p.gather(1, targets[:, None]).double().sum())
        residual = log_p.exp_()
        residual[torch.arange(len(rows), device=rows.device), targets] -= 1.0
        slope += residual.T @ rows
        offset += residual.sum(dim=0)
    return total / len(features), slope / len(features), offset / len(features)


@dataclass(frozen=True)
class Standardiser:
    """Mean and standard deviation of each feature, as training features have them."""

    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor) -> Standardiser:
        """Return the statistics of features (n, d); a constant feature is only centred."""
        std = features.std(dim=0, correction=0)
        return cls(features.mean(dim=0), torch.where(std > 1e-8, std, torch.ones_like(std)))

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return standardised features."""
        return (features - self.mean) / self.std

    def folded(self, model: Linear) -> Linear:
        """Return the same classifier on features as they are."""
        mean, std = self.mean.double().cpu(), self.std.double().cpu()
        weight = model.weight / std
        return Linear(weight, model.bias - weight @ mean, model.steps, model.converged)
