"""Protocols on images that an attack on the model finds: the white-box evaluation of AutoLabel's Figure 3."""

from __future__ import annotations

from robench.data.base import Geometry
from robench.suites.base import Attack, Cell, Suite
from robench.suites.protocols import CLEAN
from robench.suites.rows_large import USUAL

_STEPS, _RESTARTS = 50, 3
_LINF = (0.02, 0.03, 0.04)
_PAPER = (
    "What are effective labels for augmented data? Improving robustness with AutoLabel (ICLR 2021 submission), Figure"
    " 3; the attack is that of Madry et al., ICLR 2018, arXiv:1706.06083"
)
_NOTES = (
    "Untargeted PGD on the cross-entropy: 50 steps of a quarter of epsilon from 3 random starts, through the model's"
    " preprocessing, images in [0, 1] and not rounded. Of the three results the worst counts: a misclassified one"
    " before a correct one, then the one of larger loss. The headline averages the paper's three radii; the L2 radii"
    " and AutoAttack are not the paper's and are measured on request; AutoAttack needs its package. An attack gives a"
    " lower bound of the error; the result says what the checks for masked gradients found."
)


def pgd(norm: str, epsilon: float) -> tuple[str, Attack]:
    """Return the condition of AutoLabel's attack at a radius, such as ``linf_0.02``, and the attack."""
    kind = "linf" if norm == "linf" else "l2"
    return f"{norm}_{epsilon:g}", Attack(kind, epsilon, _STEPS, _RESTARTS, epsilon / 4)  # type: ignore[arg-type]


def _suite(
    dataset: str,
    classes: int,
    *,
    l2: tuple[float, ...],
    auto: tuple[tuple[str, Attack], ...],
    images: int,
    side: int | None,
    geometry: Geometry | None = None,
) -> Suite:
    published = tuple(pgd("linf", epsilon) for epsilon in _LINF)
    ours = (*(pgd("l2", epsilon) for epsilon in l2), *auto)
    embedded = dataset == "digits"
    return Suite(
        name=f"{dataset}-pgd",
        title=f"Projected gradient descent on {dataset} images: three L-infinity radii",
        task="classification",
        dataset=dataset,
        num_classes=classes,
        cells=(CLEAN, *(Cell(name) for name, _ in (*published, *ours))),
        summary=("clean", "attacked"),
        headline="attacked_error",
        opener=f"robench.suites.attacked:open_{'digits' if embedded else 'clean_set'}",
        benchmark=tuple(name for name, _ in published),
        held_out=tuple(name for name, _ in ours),
        groups=(("linf", tuple(name for name, _ in published)), ("l2", tuple(pgd("l2", e)[0] for e in l2))),
        clean="clean",
        images=images,
        side=side,
        attacks=(*published, *ours),
        options=("seed",),
        geometry=geometry or Geometry(),
        sources=("generated",),
        embedded=embedded,
        paper=_PAPER,
        notes=_NOTES + (" Needs no download; for a first run and for tests, not for claims." if embedded else ""),
    )


def _auto(linf: float, l2: float) -> tuple[tuple[str, Attack], ...]:
    return (
        ("autoattack_linf", Attack("linf", linf, method="autoattack")),
        ("autoattack_l2", Attack("l2", l2, method="autoattack")),
    )


_SMALL_L2 = (0.25, 0.5, 1.0)
ATTACKS: tuple[Suite, ...] = (
    _suite("digits", 10, l2=_SMALL_L2, auto=_auto(8 / 255, 0.5), images=599, side=32),
    _suite("cifar10", 10, l2=_SMALL_L2, auto=_auto(8 / 255, 0.5), images=10_000, side=32),
    _suite("cifar100", 100, l2=_SMALL_L2, auto=_auto(8 / 255, 0.5), images=10_000, side=32),
    _suite("imagenet", 1000, l2=(1.0, 2.0, 3.0), auto=_auto(4 / 255, 3.0), images=50_000, side=None, geometry=USUAL),
)
