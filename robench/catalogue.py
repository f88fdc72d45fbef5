"""Every metric and summary value as a typed row, read by scoring, tables, plots, pages and docs.

Values are stored as the row's ``unit`` says: a fraction is stored in [0, 1] and shown in percent. A row that an
installed package adds through the entry-point groups ``robench.metrics`` and ``robench.summaries`` is shown
everywhere like a built-in one. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from robench.catalogue_detection import named_by_score, rows_of_detection
from robench.catalogue_rows import UNITS, Metric, Row, Summary
from robench.registry import Registry

__all__ = ["METRICS", "SUMMARIES", "UNITS", "Metric", "Row", "Summary", "defaults", "headlines", "means_of", "metric",
           "metric_of", "names", "row", "show"]  # fmt: skip

_LABELS = ("predicted", "target")
_SURE = ("confidence", *_LABELS)
_CLIP = ("index", "frame")
_OPEN = (0.0, math.inf)

_METRICS = (
    Metric("error", "error", share=True, needs=_LABELS, family="error", default=True,
           source="Hendrycks and Dietterich 2019"),
    Metric("top5_error", "top-5 error", family="error", share=True, needs=("top5", "target"), source="ILSVRC"),
    Metric(
        "rms_calibration_error", "RMS calibration error", needs=_SURE, family="calibration", default=True,
        minimum_images=200, headline_images=5000, sampled_images=5000,
        source="hendrycks/imagenet-r, calib_err (as published)",
        notes="bins of 100 images; the published code omits the last, most confident bin from the sum",
    ),
    Metric(
        "rms_calibration_error_debiased", "RMS calibration error, debiased", needs=_SURE, family="calibration",
        default=True, range=(-1.0, 1.0), minimum_images=200, over_cells="root mean square",
        source="all of 15 equal-count bins, U-statistic within bins (Broecker 2012)",
        notes="below 0 where no miscalibration can be told from chance",
    ),
    Metric(
        "rms_calibration_error_all_bins", "RMS calibration error, all bins", needs=_SURE, family="calibration",
        default=True, detail=True, sampled_images=5000, source="AugMix 2020, appendix",
    ),
    Metric("ece", "expected calibration error", short="ECE", needs=_SURE, family="calibration", default=True,
           sampled_images=5000, source="Guo et al. 2017, 15 equal-width bins"),
    Metric("ece_debiased", "expected calibration error, debiased", short="ECE, debiased", needs=_SURE,
           family="calibration", default=True, range=(-1.0, 1.0), minimum_images=200, difference_spread=1.08,
           source="Guo et al. 2017, 15 equal-width bins, corrected for its bias",
           notes="below 0 where no miscalibration can be told from chance"),
    Metric("max_calibration_error", "maximum calibration error", needs=_SURE, family="calibration",
           sampled_images=5000, source="Guo et al. 2017, 15 equal-width bins",
           notes="called MCE there; mCE is the mean corruption error"),
    Metric("adaptive_ece", "adaptive calibration error", short="adaptive ECE", needs=_SURE, family="calibration",
           sampled_images=5000, source="Nixon et al. 2019, 15 equal-count bins"),
    Metric("debiased_ece", "debiased l2 calibration error", short="debiased l2 ECE", needs=_SURE, family="calibration",
           source="Kumar et al. 2019, 15 equal-count bins, l2"),
    Metric("sweep_ece", "sweep calibration error", short="sweep ECE", needs=_SURE, family="calibration",
           sampled_images=5000, source="Roelofs et al. 2022, equal mass"),
    Metric("classwise_ece", "class-wise calibration error", short="class-wise ECE", needs=("logits", "target"),
           family="calibration", sampled_images=5000, source="Kull et al. 2019, 15 equal-width bins per class"),
    Metric("brier", "Brier score", "squared probability", needs=("brier",), family="likelihood", default=True,
           decimals=3, range=(0.0, 2.0), source="Brier 1950, sum over classes"),
    Metric("brier_top_label", "Brier score of the top label", "squared probability", needs=_SURE, default=True,
           detail=True, family="likelihood", decimals=3, source="AugMix 2020, appendix (top label, 0 to 1)"),
    Metric("nll", "negative log-likelihood", "nats", short="NLL", needs=("nll",), family="likelihood", default=True,
           decimals=3, range=_OPEN, source="negative log-likelihood of the target"),
    Metric("overconfidence_gap", "overconfidence", needs=_SURE, family="calibration", default=True, detail=True,
           lower_is_better=None, range=(-1.0, 1.0), source="mean confidence minus accuracy"),
    Metric("entropy", "entropy", "nats", needs=("entropy",), family="likelihood", lower_is_better=None, decimals=3,
           range=_OPEN, source="Shannon entropy of the softmax"),
    Metric("aurc", "area under the risk-coverage curve", short="AURC", needs=_SURE, family="ranking",
           source="Geifman and El-Yaniv 2017"),
    Metric("aurra", "area under the response-rate accuracy curve", short="AURRA", needs=_SURE, family="ranking",
           lower_is_better=False, source="Hendrycks et al. 2021, calib_tools"),
    Metric("soft_f1", "soft F1 of detecting errors", short="soft F1", needs=_SURE, family="ranking",
           lower_is_better=False, source="hendrycks/outlier-exposure, soft_f1"),
    Metric(
        "weighted_pr_auc", "weighted area under the precision-recall curve", short="weighted PR AUC",
        needs=("logits", "targets"), family="error", tasks=("multilabel",), lower_is_better=False,
        default=True,
        source="DeepFashion Remixed, hendrycks/imagenet-r (area under the curve, weighted by class frequency)",
        notes="published as mAP; it is the trapezoid under the curve, not average precision",
    ),
    Metric("worst_loss_error", "error at the largest loss", share=True, needs=(*_CLIP, *_LABELS, "nll"),
           tasks=("variants",), family="error", default=True,
           source="CIFAR10-STA of AugMax: of k variants of an image, the one of largest loss"),
    Metric("worst_case_error", "worst-case error", share=True, needs=(*_CLIP, *_LABELS), tasks=("variants",),
           family="error", default=True, source="Engstrom et al. 2019: any of k variants wrong"),
    Metric("average_case_error", "average-case error", share=True, needs=(*_CLIP, *_LABELS), tasks=("variants",),
           family="error", default=True, source="Engstrom et al. 2019, random choice of k"),
    Metric("flip_probability", "flip probability", share=True, needs=(*_CLIP, "predicted"), tasks=("perturbation",),
           family="stability", default=True, source="Hendrycks and Dietterich 2019, 4.2"),
    Metric("top5_distance", "top-5 distance", "ranks", needs=(*_CLIP, "top5"), tasks=("perturbation",),
           family="stability", decimals=3, range=(0.0, 15.0), default=True,
           source="Hendrycks and Dietterich 2019, 4.2"),
)  # fmt: skip

_SETS = ("covered", "set_size")
_CONFORMAL = (
    Metric("conformal_coverage", "coverage of conformal sets", short="coverage", needs=_SETS[:1], share=True,
           lower_is_better=None, tasks=("conformal",), source="Vovk et al. 2005",
           notes="one minus alpha where images are like those of the calibration"),
    Metric("conformal_set_size", "size of conformal sets", "classes", short="set size", needs=_SETS[1:],
           range=_OPEN, decimals=3, tasks=("conformal",), source="Sadinle et al. 2019"),
    Metric("size_stratified_coverage", "coverage of conformal sets in the worst stratum of sizes",
           short="size-stratified coverage", needs=_SETS, lower_is_better=False, tasks=("conformal",),
           source="Angelopoulos et al. 2021",
           notes="strata of 0-1, 2-3, 4-10, 11-100 and more classes with at least 20 images"),
)  # fmt: skip

_SUMMARIES = (
    Summary("mce", "mean corruption error (mCE)", "ratio", short="mCE", range=_OPEN, of="error",
            source="Hendrycks and Dietterich 2019", notes="normalised by the suite's published baseline, which is 100"),
    Summary("relative_mce", "relative mean corruption error (relative mCE)", "ratio", short="relative mCE",
            range=(-math.inf, math.inf), of="error", main=False, source="Hendrycks and Dietterich 2019",
            notes="the rise above the clean error, normalised by the baseline's rise"),
    Summary("mean_error", "mean error under corruption", short="mean error", share=True, of="error", mean=True,
            source="AugMix 2020 (CIFAR-10-C); the uCE of some papers", notes="unnormalised mean over corruptions"),
    Summary("mean_error_19", "mean error over 19 corruptions", share=True, of="error",
            notes="with the four held-out corruptions"),
    Summary("mean_error_without_noise", "mean error under corruptions other than noise", share=True, of="error",
            main=False, source="Rusak et al. 2020; AugMax 2021, Table 6"),
    Summary("mce_without_noise", "mean corruption error (mCE) without noise", "ratio", short="mCE without noise",
            range=_OPEN, of="error", main=False, source="Rusak et al. 2020; AugMax 2021, Table 6"),
    Summary("robust_accuracy", "robust accuracy", lower_is_better=False, share=True, of="error", main=False,
            source="AugMax 2021", notes="one minus the mean error under corruption"),
    Summary("mfr", "mean flip rate (mFR)", "ratio", short="mFR", range=_OPEN, of="flip_probability",
            source="Hendrycks and Dietterich 2019", notes="normalised by AlexNet, which is 100"),
    Summary("mfp", "mean flip probability (mFP)", short="mFP", share=True, of="flip_probability", mean=True,
            source="Hendrycks and Dietterich 2019"),
    Summary("mt5d", "mean top-5 distance (mT5D)", "ranks", short="mT5D", decimals=3, range=(0.0, 15.0),
            of="top5_distance", mean=True, source="Hendrycks and Dietterich 2019"),
    Summary("gap_error", "gap in error to the matching clean images", "difference", short="gap in error",
            range=(-1.0, 1.0), of="error"),
)  # fmt: skip

# A built-in metric's kernel is its name in capitals.
METRICS: Registry[Metric] = Registry(
    "metric",
    {m.name: replace(m, kernel=f"robench.metrics.kernels:{m.name.upper()}") for m in _METRICS}
    | {m.name: replace(m, kernel=f"robench.metrics.detection:{m.name.upper()}") for m in rows_of_detection()}
    | {m.name: replace(m, kernel=f"robench.metrics.conformal:{m.name.upper()}") for m in _CONFORMAL},
    group="robench.metrics",
)
SUMMARIES: Registry[Summary] = Registry(
    "summary value", {entry.name: entry for entry in _SUMMARIES}, group="robench.summaries"
)

# prefix of a summary value -> its title and short title around those of the metric
_PREFIXES = {
    "clean_": ("clean {}", "clean {}"),
    "matching_": ("{} on the matching clean images", "{} on matching clean images"),
    "iid_": ("{} in distribution", "IID {}"),
    "mean_ood_": ("{} out of distribution", "mean OOD {}"),
    "gap_": ("gap in {}", "gap in {}"),
    "attacked_": ("{} under attack", "{} under attack"),
    "mean_": ("{} under corruption", "mean {}"),
}

_MEANS = ("mean_", "mean_ood_", "attacked_")

# The order in tables; the first that a result has is its main one.
_ORDER = (
    "mce", "mean_error", "mean_error_19", "mfr", "mfp", "mt5d", "mean_ood_error", "mean_ood_weighted_pr_auc",
    "ood_aupr_out", "attacked_error", "worst_loss_error", "worst_case_error", "error", "weighted_pr_auc", "clean_error",
    "iid_error", "matching_error", "gap_error", "iid_weighted_pr_auc", "gap_weighted_pr_auc", "average_case_error",
    "relative_mce",
    "robust_accuracy", "mean_rms_calibration_error_debiased", "mean_ood_rms_calibration_error_debiased",
    "attacked_rms_calibration_error_debiased", "rms_calibration_error_debiased", "clean_rms_calibration_error_debiased",
    "mean_rms_calibration_error", "mean_ood_rms_calibration_error", "attacked_rms_calibration_error",
    "rms_calibration_error", "clean_rms_calibration_error", "mean_ece_debiased", "mean_ood_ece_debiased",
    "attacked_ece_debiased", "ece_debiased", "clean_ece_debiased", "mean_ece", "mean_ood_ece", "attacked_ece", "ece",
    "clean_ece", "mean_brier", "mean_ood_brier", "attacked_brier", "brier", "clean_brier", "mean_nll", "mean_ood_nll",
    "attacked_nll", "nll",
)  # fmt: skip


def metric(name: str) -> Metric:
    """Return a metric's row.

    Raises:
        RobenchError: no such metric; the message suggests the nearest names.
    """
    return METRICS.get(name)


def row(name: str) -> Row:
    """Return the row of a metric, of a summary value, or of a name made of a prefix and a metric (``clean_ece``).

    A name that nothing defines (of a package that is not installed) is shown as it is stored.

    >>> row("mean_nll").axis, row("gap_ece").axis, row("mean_error_noise").title, row("unheard_of").shown_unit
    ('negative log-likelihood under corruption, nats', 'gap in expected calibration error, points', \
'mean error under noise corruptions', 'as stored')
    """
    if name in SUMMARIES:
        return SUMMARIES.get(name)
    if name in METRICS:
        return METRICS.get(name)
    for prefix in _PREFIXES:
        if name.startswith(prefix) and (rest := name.removeprefix(prefix)) in METRICS:
            return _derived(name, prefix, METRICS.get(rest))
    if name.startswith("mean_error_"):
        group = name.removeprefix("mean_error_")
        return replace(SUMMARIES.get("mean_error"), name=name, title=f"mean error under {group} corruptions",
                       short=f"mean error, {group}")  # fmt: skip
    if name.startswith("ce_"):
        corruption = name.removeprefix("ce_").replace("_", " ").replace("jpeg", "JPEG")
        return replace(SUMMARIES.get("mce"), name=name, title=f"corruption error (CE) under {corruption}",
                       short=f"CE, {corruption}")  # fmt: skip
    return Summary(name, name.replace("_", " "), "as stored", lower_is_better=None, decimals=4,
                   range=(-math.inf, math.inf))  # fmt: skip


def show(name: str, value: float) -> str:
    """Return a stored value as tables show it.

    >>> show("error", 0.23456), show("mean_brier", 0.23456)
    ('23.46', '0.235')
    """
    return row(name).show(value)


def names() -> tuple[str, ...]:
    """Return the names of all metrics and of all summary values with a row."""
    return (*METRICS, *(name for name in SUMMARIES if name not in METRICS))


def defaults(task: str) -> tuple[str, ...]:
    """Return the metrics that a result of this task carries without being asked.

    >>> defaults("perturbation")
    ('flip_probability', 'top5_distance')
    """
    return tuple(name for name in METRICS if (entry := METRICS.get(name)).default and task in entry.tasks)


def detection_rows(what: str) -> dict[str, dict[str, str]]:
    """Return score -> head -> metric of detecting something, for tables with a row for every score.

    Args:
        what: ``failure`` or ``ood``.

    >>> detection_rows("failure")["energy"]["AUROC"]
    'failure_auroc_energy'
    """
    return {by: {head: name for head, name in names if name in METRICS} for by, names in named_by_score(what)}


def metric_of(name: str) -> Metric | None:
    """Return the metric that a name is, or is a mean or a difference of; None where it is of none alone.

    >>> metric_of("mean_ood_ece").name, metric_of("mfp").name, metric_of("unheard_of")
    ('ece', 'flip_probability', None)
    """
    found = row(name)
    if isinstance(found, Metric):
        return found
    of = found.of if isinstance(found, Summary) else None
    return METRICS.get(of) if of is not None and of in METRICS else None


def means_of(metric: str) -> tuple[str, ...]:
    """Return the names that the mean of a metric over a suite's conditions may have, the most special first.

    >>> means_of("flip_probability"), means_of("ece")
    (('mfp', 'mean_flip_probability', 'mean_ood_flip_probability', 'attacked_flip_probability', 'flip_probability'), \
('mean_ece', 'mean_ood_ece', 'attacked_ece', 'ece'))
    """
    special = [name for name in SUMMARIES if (found := SUMMARIES.get(name)).of == metric and found.mean]
    return tuple(dict.fromkeys([*special, *(f"{prefix}{metric}" for prefix in _MEANS), metric]))


def headlines(present: Iterable[str], *, main: bool = False) -> list[str]:
    """Return which of these names tables show, in their order: the first is the one that a suite is about.

    Args:
        present: names of summary values.
        main: only those that sentences and leaderboards name; :attr:`Summary.main`.

    Metrics that are computed on request, and those of installed packages, follow the built-in ones; details are in no
    table.

    >>> headlines(["mean_nll", "mean_entropy", "clean_error", "mce", "clean_ece", "mean_overconfidence_gap"])
    ['mce', 'clean_error', 'clean_ece', 'mean_nll', 'mean_entropy']
    """
    given = list(dict.fromkeys(present))
    shown = [name for name in _ORDER if name in given]
    listed = {of.name for name in _ORDER if (of := metric_of(name)) is not None}
    shown += [name for name in given if (of := metric_of(name)) is not None and not of.detail and of.name not in listed]
    return [name for name in shown if not main or _is_main(row(name))]


def _is_main(found: Row) -> bool:
    return not isinstance(found, Summary) or found.main


def _derived(name: str, prefix: str, of: Metric) -> Summary:
    title, short = _PREFIXES[prefix]
    called, comma, kind = of.title.partition(",")  # ", debiased" stands at the end
    unit, ends, share = of.unit, of.range, of.share
    if prefix == "gap_":
        unit, share = "difference" if unit == "fraction" else unit, False
        ends = (ends[0] - ends[1], ends[1] - ends[0])
    return Summary(
        name, title.format(called) + comma + kind, unit, short=short.format(of.short or of.title), decimals=of.decimals,
        lower_is_better=of.lower_is_better, range=ends, share=share, of=of.name, source=of.source, notes=of.notes,
        mean=prefix in _MEANS, main=of.family == "error" or prefix in _MEANS,
    )  # fmt: skip
