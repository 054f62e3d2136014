"""Which results each assay has, and draws of support and query sets from them."""

from __future__ import annotations

import numpy as np

from deepchem_meta.tasks._assay_results import AssayResults
from deepchem_meta.tasks._strata_index import StrataIndex

__all__ = ["AssayIndex"]


class AssayIndex(StrataIndex):
    """The results of each assay by stratum: its classes, or all results for regression.

    Parameters
    ----------
    results : AssayResults
        Whose places are drawn.
    assays : int
        How many assays there are.
    classes : bool
        Whether there are two strata, inactive (0) and active (1), or one.
    shots : int
        Results of a support set in each stratum.
    queries : int or None
        Results of a query set in each stratum, or None for all that are left.
    balanced : bool
        Whether strata have these sizes, or only their mean, at the assay's own rate.
    """

    def __init__(
        self,
        results: AssayResults,
        assays: int,
        classes: bool,
        shots: int,
        queries: int | None,
        balanced: bool,
    ):
        strata = 2 if classes else 1
        label = results.value.astype(np.int64) if classes else np.zeros_like(results.assay)
        stratum = results.assay * strata + label
        counts = np.bincount(stratum, minlength=assays * strata).reshape(assays, strata)
        at_rate = classes and not balanced
        super().__init__(
            np.argsort(stratum, kind="stable"),
            np.cumsum(counts).reshape(counts.shape) - counts,
            counts,
            _sizes(counts, shots, at_rate),
            _sizes(counts, queries or 0, at_rate),
            ("inactive", "active") if classes else ("compounds",),
        )


def _sizes(counts: np.ndarray, per_stratum: int, at_rate: bool) -> np.ndarray:
    """Return how many compounds of each assay and stratum make a set."""
    if not at_rate or per_stratum == 0:
        return np.full_like(counts, per_stratum)
    total = 2 * per_stratum
    rates = counts[:, 1] / np.maximum(counts.sum(axis=1), 1)
    active = np.clip(np.rint(total * rates).astype(int), 1, total - 1)
    return np.stack([total - active, active], axis=1)
