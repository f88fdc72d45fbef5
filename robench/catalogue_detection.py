"""The catalogue's rows of detecting errors and out-of-distribution images, and of selective prediction.

They repeat over the scores that an image has. Standard library only.
"""

from __future__ import annotations

from robench.catalogue_rows import Metric

_LABELS = ("predicted", "target")
_SURE = ("confidence", *_LABELS)

# score -> (in titles, columns that it is computed from)
_SCORES = {
    "confidence": ("maximum softmax probability", ("confidence",)),
    "max_logit": ("max logit", ("max_logit",)),
    "energy": ("energy", ("logsumexp",)),
    "entropy": ("entropy", ("entropy",)),
    "margin": ("margin", ("log_complement", "second_logit", "logsumexp")),
}
# metric -> (title, whether lower is better)
_FOUND = {
    "auroc": ("AUROC", False),
    "fpr95": ("FPR at 95 % TPR", True),
    "aupr": ("AUPR", False),
    "aupr_out": ("AUPR", False),
    "aupr_in": ("AUPR of in-distribution images", False),
}


def named_by_score(what: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return, for every score, its title and (head, name) of what may be a metric of detecting errors or outliers."""
    return [
        (by, [(title, f"{what}_{found}{_tail(score)}") for found, (title, _) in _FOUND.items()])
        for score, (by, _) in _SCORES.items()
    ]


def _tail(score: str) -> str:
    return "" if score == "confidence" else f"_{score}"


def rows_of_detection() -> tuple[Metric, ...]:
    """Return the rows of detecting errors and out-of-distribution images, by every score of an image."""
    rows = []
    for score, (by, columns) in _SCORES.items():
        tail = _tail(score)
        for name, (title, lower) in _FOUND.items():
            if name in ("auroc", "fpr95", "aupr"):
                rows.append(Metric(
                    f"failure_{name}{tail}", f"{title} of detecting errors by {by}", short=f"error {title}, {by}",
                    needs=(*columns, *_LABELS), family="ranking", lower_is_better=lower,
                    source="Hendrycks and Gimpel 2017", notes="errors are the positives",
                ))  # fmt: skip
            if name != "aupr":
                rows.append(Metric(
                    f"ood_{name}{tail}", f"{title} of detecting out-of-distribution images by {by}",
                    short=f"OOD {title}, {by}", needs=("outlier", *columns), family="ranking", lower_is_better=lower,
                    tasks=("ood",), default=True, detail=name == "aupr_in" or score in ("entropy", "margin"),
                    source="Hendrycks and Gimpel 2017; as pytorch-ood", notes="out-of-distribution is the positive",
                ))  # fmt: skip
        if tail:
            rows.append(Metric(
                f"aurc{tail}", f"area under the risk-coverage curve by {by}", short=f"AURC, {by}",
                needs=(*columns, *_LABELS), family="ranking", source="Geifman and El-Yaniv 2017",
            ))  # fmt: skip
    rows.append(Metric("augrc", "area under the generalised risk-coverage curve", short="AUGRC", needs=_SURE,
                       family="ranking", range=(0.0, 0.5), source="Traub et al. 2024"))  # fmt: skip
    rows += [
        Metric(f"selective_error_{share}", f"error on the {share} % most confident images",
               short=f"error at {share} % coverage", needs=_SURE, family="ranking",
               source="Geifman and El-Yaniv 2017")
        for share in (80, 90, 95)
    ]  # fmt: skip
    return tuple(rows)
