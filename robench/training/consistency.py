"""The Jensen-Shannon consistency loss of AugMix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional


def jensen_shannon(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the Jensen-Shannon divergence between the views' predictions, in nats, mean over the batch.

    Args:
        logits: V tensors (n, K), one a view.

    Returns:
        A scalar in [0, log(min(V, K))] up to the clamp: the mean over the views of KL(p_v || M), where M is
        the mean of the V softmaxes clamped to [1e-7, 1].

    Source: Hendrycks et al. 2020, equation 2; the clamp is the published code's.
    """
    probabilities = [functional.softmax(one, dim=1) for one in logits]
    mixture = torch.stack(probabilities).mean(dim=0).clamp(1e-7, 1.0).log()
    divergences = [functional.kl_div(mixture, one, reduction="batchmean") for one in probabilities]
    return torch.stack(divergences).mean()
