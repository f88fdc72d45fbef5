"""Protocols on ImageNet-sized pictures, and the metadata splits."""

from __future__ import annotations

from robench.corruptions.perturbations import PERTURBATIONS
from robench.data.base import Geometry
from robench.suites.base import Cell, Suite, Task
from robench.suites.rows_small import CLEAN, CORRUPTED, HENDRYCKS_2019, MINTUN_2021, Row, severities

IMAGENET_C_BAR = (
    "blue_noise_sample",
    "brownish_noise",
    "caustic_refraction",
    "checkerboard_cutout",
    "cocentric_sine_waves",
    "inverse_sparkles",
    "perlin_noise",
    "plasma_noise",
    "single_frequency_greyscale",
    "sparkles",
)
HENDRYCKS_2021 = "Hendrycks et al., The Many Faces of Robustness, ICCV 2021, arXiv:2006.16241"
USUAL = Geometry(resize=256, crop=224)
BERKELEY = "https://people.eecs.berkeley.edu/~hendrycks/"


def _single(
    name: str,
    title: str,
    paper: str,
    url: str,
    *,
    cells: tuple[str, ...] = (),
    subset: str | None = None,
    clean: str = "clean",
    notes: str = "",
    licence: str = "",
) -> Row:
    suite = Suite(
        name=name,
        title=title,
        task="classification",
        dataset="imagenet",
        num_classes=1000,
        cells=tuple(Cell(cell) for cell in dict.fromkeys((clean, *(cells or (name,))))),
        summary=("gap",) if name != clean else ("plain",),
        subset=subset,
        geometry=USUAL,
        paper=paper,
        url=url,
        licence=licence,
        notes=notes + f" The cell '{clean}' is measured where ImageNet's validation set lies beside the set.",
    )
    return suite, "robench.suites.single:open_imagenet_set"


def _split(name: str, title: str, task: Task, classes: int, geometry: Geometry, cells: tuple[str, ...]) -> Row:
    suite = Suite(
        name=name,
        title=title,
        task=task,
        dataset=name,
        num_classes=classes,
        cells=tuple(Cell(cell) for cell in cells),
        summary=("shift",),
        geometry=geometry,
        paper=HENDRYCKS_2021,
        url="https://github.com/hendrycks/imagenet-r",
        notes="Read from a manifest (manifest.csv or .parquet: a row a picture, or a garment) beside the pictures."
        " --definition takes a YAML file of your own in place of these classes and sets.",
    )
    return suite, "robench.suites.splits:open_split_suite"


LARGE: tuple[Row, ...] = (
    (
        Suite(
            name="imagenet-c",
            title="ImageNet-C: 15 corruptions by 5 severities (and 4 held-out corruptions)",
            task="classification",
            dataset="imagenet",
            num_classes=1000,
            cells=CORRUPTED,
            summary=("clean", "corruption", "normalised"),
            normaliser="alexnet",
            sources=("published", "generated"),
            paper=HENDRYCKS_2019,
            url="https://zenodo.org/records/2235448",
            licence="CC BY 4.0",
            notes="The published pictures are 224x224 already and are read as they are: resizing them to 256 first, as"
            " some scripts do, changes the score. Folders or the five tars, packed or unpacked.",
        ),
        "robench.suites.trees:open_imagenet_c",
    ),
    (
        Suite(
            name="imagenet-c-bar",
            title="ImageNet-C-bar: ten corruptions unlike those of ImageNet-C",
            task="classification",
            dataset="imagenet",
            num_classes=1000,
            cells=(CLEAN, *severities(IMAGENET_C_BAR)),
            summary=("clean", "corruption"),
            paper=MINTUN_2021,
            url="https://github.com/facebookresearch/augmentation-corruption",
        ),
        "robench.suites.trees:open_imagenet_c",
    ),
    (
        Suite(
            name="imagenet-p",
            title="ImageNet-P: stability of predictions along ten kinds of clips",
            task="perturbation",
            dataset="imagenet",
            num_classes=1000,
            cells=tuple(Cell(name) for name in PERTURBATIONS),
            summary=("flips",),
            normaliser="alexnet",
            sources=("published", "generated"),
            paper=HENDRYCKS_2019,
            url="https://zenodo.org/records/3565846",
            licence="CC BY 4.0",
            notes="Frames of noise clips are compared with the clean first frame, all others with the one before."
            " Generated clips are not compressed as video.",
        ),
        "robench.suites.perturbed:open_imagenet_p",
    ),
    _single(
        "imagenet-r",
        "ImageNet-R: renditions (art, toys, sculptures) of 200 classes",
        HENDRYCKS_2021,
        BERKELEY + "imagenet-r.tar",
        subset="imagenet-r",
        clean="imagenet-200",
        notes="30,000 pictures; logits are cut to the 200 classes before argmax and softmax.",
    ),
    _single(
        "imagenet-200",
        "ImageNet-200: ImageNet's validation pictures of the 200 classes of ImageNet-R",
        HENDRYCKS_2021,
        "https://www.image-net.org",
        subset="imagenet-r",
        clean="imagenet-200",
        notes="10,000 pictures, the clean counterpart of ImageNet-R.",
    ),
    _single(
        "imagenet-a",
        "ImageNet-A: natural pictures of 200 classes that a ResNet-50 got wrong",
        "Hendrycks et al., Natural Adversarial Examples, CVPR 2021, arXiv:1907.07174",
        BERKELEY + "imagenet-a.tar",
        subset="imagenet-a",
        notes="7,500 pictures; logits are cut to the 200 classes before argmax and softmax.",
    ),
    _single(
        "imagenet-v2",
        "ImageNetV2: three new test sets of 10,000 pictures",
        "Recht et al., Do ImageNet Classifiers Generalize to ImageNet?, ICML 2019, arXiv:1902.10811",
        "https://huggingface.co/datasets/vaishaal/ImageNetV2",
        cells=("matched-frequency", "threshold0.7", "top-images"),
        licence="MIT",
        notes="Folders are class numbers, not WordNet ids. The sets that are there are measured.",
    ),
    _single(
        "imagenet-sketch",
        "ImageNet-Sketch: 50 black and white sketches of every class",
        "Wang et al., Learning Robust Global Representations by Penalizing Local Predictive Power, NeurIPS 2019,"
        " arXiv:1905.13549",
        "https://github.com/HaohanWang/ImageNet-Sketch",
        notes="50,889 pictures.",
    ),
    _single(
        "real-blurry",
        "Real Blurry Images: 1,000 photographs with real blur",
        HENDRYCKS_2021,
        BERKELEY + "blurry_images.tar",
        notes="Class folders are assumed (WordNet ids, class numbers or names): the published tree is described"
        " nowhere.",
    ),
    _split(
        "svsf",
        "StreetView StoreFronts: shifts of country, year and camera",
        "classification",
        20,
        USUAL,
        ("iid", "year-2018", "year-2017", "camera-old", "country-france"),
    ),
    _split(
        "dfr",
        "DeepFashion Remixed: shifts of size, occlusion, viewpoint and zoom (multi-label, mAP)",
        "multilabel",
        13,
        Geometry(resize=(256, 256)),
        (
            "iid",
            "scale-small",
            "scale-large",
            "occlusion-slight",
            "occlusion-heavy",
            "viewpoint-not-worn",
            "viewpoint-side-back",
            "zoom-medium",
            "zoom-large",
        ),
    ),
)
