"""The list of training methods: one line a method, one file each."""

from __future__ import annotations

from robench.registry import Registry

METHODS = Registry(
    "training method",
    {
        "standard": "robench.training.standard:Standard",
        "augmix": "robench.training.augmix:AugMix",
    },
)
