"""Metrics of error, calibration and stability: pure functions of arrays, and one stateful class for custom loops.

>>> from robench.metrics import ece
>>> round(ece([0.9, 0.8, 0.6], [True, True, False]), 4)
0.3

Functions take numpy arrays, lists or torch tensors, and are loaded when first used.
"""

from __future__ import annotations

from robench.lazy import lazily

_HOMES = {
    "StreamingMetrics": "streaming",
    "adaptive_ece": "calibration",
    "affinity": "shift",
    "area_under_generalised_risk_coverage": "detection",
    "area_under_response_rate_accuracy": "selective",
    "area_under_risk_coverage": "selective",
    "bootstrap_cells": "statistics",
    "brier_decomposition": "scores",
    "brier_score": "scores",
    "classification_metrics": "streaming",
    "classwise_ece": "calibration",
    "compute": "cells",
    "corrupted_mean": "shift",
    "debiased_ece": "calibration",
    "detection_scores": "detection",
    "ece": "calibration",
    "ece_debiased": "debiased",
    "flips_per_clip": "perturbation",
    "frequency_weighted_map": "scores",
    "generalisation_gap": "shift",
    "holm": "comparison",
    "interval": "statistics",
    "mask_logits": "shift",
    "maximum_calibration_error": "calibration",
    "mcnemar": "comparison",
    "mean_corruption_error": "corruption",
    "overconfidence_gap": "calibration",
    "per_image": "streaming",
    "rank_intervals": "comparison",
    "relative_mean_corruption_error": "corruption",
    "reliability_diagram": "reliability",
    "rms_calibration_error": "calibration",
    "rms_calibration_error_all_bins": "calibration",
    "rms_calibration_error_debiased": "debiased",
    "rms_depends_on_order": "calibration",
    "selective_error": "detection",
    "soft_f1": "selective",
    "softmax": "probabilities",
    "sweep_ece": "calibration",
    "top5_distance_per_clip": "perturbation",
    "worst_of_k_error": "shift",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
