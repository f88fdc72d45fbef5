"""The list of training methods: one line a method."""

from __future__ import annotations

from typing import Any

from robench.registry import Registry

METHODS: Registry[Any] = Registry(
    "training method",
    {
        "standard": "robench.training.standard:Standard",
        "cutout": "robench.training.cutout:Cutout",
        "mixup": "robench.training.mixup:Mixup",
        "cutmix": "robench.training.cutmix:CutMix",
        "autoaugment": "robench.training.autoaugment:AutoAugment",
        "random-autoaugment": "robench.training.random_autoaugment:RandomAutoAugment",
        "randaugment": "robench.training.randaugment:RandAugment",
        "patch": "robench.training.patch:Patch",
        "noise": "robench.training.noise:Noise",
        "adversarial": "robench.training.adversarial:Adversarial",
        "ccat": "robench.training.ccat:CCAT",
        "augmix": "robench.training.augmix:AugMix",
        "augmax": "robench.training.augmax:AugMax",
        "edsr": "robench.training.edsr:TrainEDSR",
        "cae": "robench.training.cae:TrainCAE",
        "deepaugment": "robench.training.deepaugment:DeepAugment",
        "noise2net": "robench.training.noise2net:Noise2Net",
        "deepaugment+augmix": "robench.training.combined:DeepAugmentAugMix",
        "deepaugment+augmax": "robench.training.combined:DeepAugmentAugMax",
        "deepaugment+noise2net": "robench.training.combined:DeepAugmentNoise2Net",
        "autolabel-augmix": "robench.training.autolabel:AutoLabelAugMix",
        "autolabel-mixup": "robench.training.autolabel:AutoLabelMixup",
        "autolabel-adversarial": "robench.training.autolabel:AutoLabelAdversarial",
        "weak-augment": "robench.training.weak_augment:WeakAugment",
    },
    group="robench.methods",
)
