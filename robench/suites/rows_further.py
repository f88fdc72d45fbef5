"""Protocols on ImageNet's classes whose labels, images or classes are counted in ways of their own."""

from __future__ import annotations

from robench.data.base import Geometry
from robench.suites.base import Cell, Suite
from robench.suites.protocols import CLEAN, DISTORTIONS_LAION_C, at_all_severities

_USUAL = Geometry(resize=256, crop=224)

FURTHER: tuple[Suite, ...] = (
    Suite(
        name="laion-c",
        title="LAION-C: six distortions unlike those of web images, by 5 levels, of 16 superclasses",
        task="classification",
        dataset="imagenet",
        num_classes=1000,
        cells=at_all_severities(DISTORTIONS_LAION_C),
        summary=("corruption",),
        headline="mean_error",
        opener="robench.suites.laion:open_laion_c",
        benchmark=DISTORTIONS_LAION_C,
        side=224,
        options=("severities",),
        superclasses="laion-c",
        paper="Li et al., LAION-C: An Out-of-Distribution Benchmark for Web-Scale Vision Models, ICML 2025,"
        " arXiv:2506.16950",
        url="https://zenodo.org/records/14051887",
        licence="see the source (mapping: MIT)",
        notes="Folders DISTORTION/intensity_level_LEVEL/SUPERCLASS/IMAGE. As in the published code, a model of"
        " ImageNet's 1,000 classes predicts the superclass whose classes have the largest mean probability (285 of the"
        " 1,000 are in one), and every image is scaled to 224 x 224 pixels. Calibration is that of the mean"
        " probabilities, scaled to sum to 1.",
    ),
    Suite(
        name="objectnet",
        title="ObjectNet: everyday objects from unusual views, of the 113 classes that ImageNet has too",
        task="classification",
        dataset="imagenet",
        num_classes=1000,
        cells=(Cell("objectnet"),),
        summary=("plain",),
        headline="error",
        opener="robench.suites.objectnet:open_objectnet",
        benchmark=("objectnet",),
        images=18_574,
        options=("definition",),
        geometry=_USUAL,
        paper="Barbu et al., ObjectNet: A large-scale bias-controlled dataset for pushing the limits of object"
        " recognition models, NeurIPS 2019",
        url="https://objectnet.dev",
        licence="see the source, which forbids training and tuning on the images",
        notes="The folder with images and mappings; the class map is that of the mappings. An answer of the model's"
        " 1,000 classes is right where it is any of those that the map gives the image's class. Two pixels are cut from"
        " each side before the resize, as the authors' loader does (the border is red). Calibration and likelihoods are"
        " of the most probable right class.",
    ),
    Suite(
        name="imagenet-w",
        title="ImageNet-W: ImageNet's validation images under the watermark that models take for a carton",
        task="classification",
        dataset="imagenet",
        num_classes=1000,
        cells=(CLEAN, Cell("imagenet-w")),
        summary=("gap",),
        headline="error",
        opener="robench.suites.watermark:open_watermarked",
        benchmark=("imagenet-w",),
        clean="clean",
        images=50_000,
        geometry=_USUAL,
        sources=("generated",),
        paper="Li et al., A Whac-A-Mole Dilemma, CVPR 2023, arXiv:2212.04825",
        url="https://github.com/facebookresearch/Whac-A-Mole",
        licence="CC BY-NC 4.0 (the package imagenet-w)",
        notes="Give ImageNet's validation folder. The authors' package draws the watermark over the scaled and cropped"
        " images: pip install imagenet-w. The carton gap, of the images of class 478 alone, is not computed.",
    ),
)
