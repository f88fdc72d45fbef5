"""Protocols on small pictures: digits, CIFAR and Tiny ImageNet."""

from __future__ import annotations

from robench.corruptions.perturbations import CIFAR_P
from robench.corruptions.severities import BENCHMARK, EXTRA
from robench.suites.base import Cell, Suite

HENDRYCKS_2019 = "Hendrycks and Dietterich, Benchmarking Neural Network Robustness, ICLR 2019, arXiv:1903.12261"
MINTUN_2021 = "Mintun et al., On Interaction Between Augmentations and Corruptions, NeurIPS 2021, arXiv:2102.11273"
CLEAN = Cell("clean")
CIFAR_C_BAR = (
    "blue_noise_sample",
    "brownish_noise",
    "checkerboard_cutout",
    "inverse_sparkles",
    "pinch_and_twirl",
    "ripple",
    "circular_motion_blur",
    "lines",
    "sparkles",
    "transverse_chromatic_abberation",
)
Row = tuple[Suite, str]


def severities(conditions: tuple[str, ...]) -> tuple[Cell, ...]:
    """Return the cells of conditions at severities 1 to 5."""
    return tuple(Cell(condition, severity) for condition in conditions for severity in range(1, 6))


CORRUPTED = (CLEAN, *severities(tuple(BENCHMARK)), *severities(tuple(EXTRA)))
SEQUENCES = tuple(Cell(name) for name in CIFAR_P)


def _cifar_c(name: str, classes: int, record: str) -> Row:
    suite = Suite(
        name=f"{name}-c",
        title=f"CIFAR-{classes}-C: 15 corruptions by 5 severities (and 4 held-out corruptions)",
        task="classification",
        dataset=name,
        num_classes=classes,
        cells=CORRUPTED,
        summary=("clean", "corruption"),
        sources=("published", "generated"),
        paper=HENDRYCKS_2019,
        url=f"https://zenodo.org/records/{record}",
        licence="CC BY 4.0",
        notes="Headline figures average the 15 benchmark corruptions, unnormalised. Generated pictures differ from the"
        " published ones, whose random numbers are not recorded.",
    )
    return suite, "robench.suites.corrupted:open_cifar"


def _cifar_c_bar(name: str, classes: int) -> Row:
    suite = Suite(
        name=f"{name}-c-bar",
        title=f"CIFAR-{classes}-C-bar: ten corruptions unlike those of CIFAR-{classes}-C",
        task="classification",
        dataset=name,
        num_classes=classes,
        cells=(CLEAN, *severities(CIFAR_C_BAR)),
        summary=("clean", "corruption"),
        paper=MINTUN_2021,
        url="https://github.com/facebookresearch/augmentation-corruption",
        notes="Read from arrays in CIFAR-C's layout, one .npy file a corruption and labels.npy.",
    )
    return suite, "robench.suites.corrupted:open_cifar"


def _cifar_p(name: str, classes: int) -> Row:
    suite = Suite(
        name=f"{name}-p",
        title=f"CIFAR-{classes}-P: stability of predictions along ten kinds of sequences",
        task="perturbation",
        dataset=name,
        num_classes=classes,
        cells=SEQUENCES,
        summary=("flips",),
        sources=("published", "generated"),
        paper=HENDRYCKS_2019,
        url="https://zenodo.org/records/2535967",
        licence="CC BY 4.0",
        notes="The ten of the published evaluation script, with spatter where ImageNet-P has snow. The published files"
        " have no labels: predictions are compared with predictions.",
    )
    return suite, "robench.suites.perturbed:open_cifar_p"


SMALL: tuple[Row, ...] = (
    (
        Suite(
            name="digits-c",
            title="Corrupted digits: 15 corruptions by 5 severities, generated from the embedded data",
            task="classification",
            dataset="digits",
            num_classes=10,
            cells=(CLEAN, *severities(tuple(BENCHMARK))),
            summary=("clean", "corruption"),
            sources=("generated",),
            paper=HENDRYCKS_2019 + " (the protocol, with the CIFAR severities)",
            licence="CC BY 4.0 (the scans)",
            notes="Needs no download; meant for a first run and for tests, not for claims.",
        ),
        "robench.suites.corrupted:open_digits",
    ),
    (
        Suite(
            name="digits-p",
            title="Perturbed digits: stability of predictions, generated from the embedded data",
            task="perturbation",
            dataset="digits",
            num_classes=10,
            cells=SEQUENCES,
            summary=("flips",),
            sources=("generated",),
            paper=HENDRYCKS_2019 + " (the protocol, with the CIFAR parameters)",
            licence="CC BY 4.0 (the scans)",
            notes="Needs no download; meant for a first run and for tests, not for claims.",
        ),
        "robench.suites.perturbed:open_digits_p",
    ),
    _cifar_c("cifar10", 10, "2535967"),
    _cifar_c("cifar100", 100, "3555552"),
    _cifar_c_bar("cifar10", 10),
    _cifar_c_bar("cifar100", 100),
    _cifar_p("cifar10", 10),
    _cifar_p("cifar100", 100),
    (
        Suite(
            name="cifar10.1",
            title="CIFAR-10.1: a new test set for CIFAR-10 (v6 balanced, v4)",
            task="classification",
            dataset="cifar10",
            num_classes=10,
            cells=(Cell("v6"), Cell("v4")),
            summary=("plain",),
            paper="Recht et al., Do CIFAR-10 Classifiers Generalize to CIFAR-10?, 2018, arXiv:1806.00451",
            url="https://github.com/modestyachts/CIFAR-10.1",
            licence="MIT",
            notes="v6 has 2,000 pictures, 200 a class; v4 has 2,021. The cells whose files are there are measured.",
        ),
        "robench.suites.single:open_cifar10_1",
    ),
    (
        Suite(
            name="cifar10-sta",
            title="CIFAR10-STA: the worst of ten random rotations and translations",
            task="classification",
            dataset="cifar10",
            num_classes=10,
            cells=(Cell("worst_of_10"),),
            summary=("plain",),
            sources=("generated",),
            paper="Engstrom et al., Exploring the Landscape of Spatial Robustness, ICML 2019, arXiv:1712.02779; as"
            " Wang et al., AugMax, NeurIPS 2021, arXiv:2110.13771, evaluate it",
            notes="Rotations up to 30 degrees and shifts up to 3 pixels, nearest neighbour, black outside; the ten"
            " draws of a picture come in a row, the worst is the one of largest loss. AugMax's script takes the first"
            " 1,000 pictures; here all are taken.",
        ),
        "robench.suites.spatial:open_sta",
    ),
    (
        Suite(
            name="tiny-imagenet-c",
            title="Tiny-ImageNet-C: 15 corruptions by 5 severities at 64x64 (and 4 held-out corruptions)",
            task="classification",
            dataset="tiny-imagenet",
            num_classes=200,
            cells=CORRUPTED,
            summary=("clean", "corruption", "normalised"),
            normaliser="tiny-imagenet-resnet18",
            sources=("published", "generated"),
            paper=HENDRYCKS_2019 + "; normalised as in Wang et al., AugMax, arXiv:2110.13771",
            url="https://zenodo.org/records/2536630",
            licence="CC BY 4.0",
            notes="The published pictures were cut anew from ImageNet and match no clean set one to one. The published"
            " frost folder has 1,000 classes; the 200 of the other corruptions are read.",
        ),
        "robench.suites.trees:open_tiny_imagenet_c",
    ),
    (
        Suite(
            name="clean",
            title="Error and calibration on any unchanged test set",
            task="classification",
            dataset="any",
            num_classes=0,
            cells=(CLEAN,),
            summary=("clean",),
            notes="The number of classes is that of the data; without --data the embedded digits.",
        ),
        "robench.suites.clean:open_clean",
    ),
)
