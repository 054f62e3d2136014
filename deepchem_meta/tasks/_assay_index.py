"""Which compounds each assay has, and draws of support and query sets from them."""

from __future__ import annotations

import numpy as np

from deepchem_meta.tasks._strata_index import StrataIndex

__all__ = ["AssayIndex"]


class AssayIndex(StrataIndex):
    """The compounds of each assay by stratum: its classes, or all compounds for regression.

    Parameters
    ----------
    y : float32 array of shape (compounds, assays)
        Results; NaN is missing.
    classes : bool
        Whether there are two strata, inactive (0) and active (1), or one.
    shots : int
        Compounds of a support set in each stratum.
    queries : int or None
        Compounds of a query set in each stratum, or None for all that are left.
    balanced : bool
        Whether strata have these sizes, or only their mean, at the assay's own rate.
    """

    def __init__(
        self, y: np.ndarray, classes: bool, shots: int, queries: int | None, balanced: bool
    ):
        values = y.T[:, None, :]  # assays, strata, compounds
        members = values == np.float32([[0], [1]]) if classes else ~np.isnan(values)
        counts = members.sum(axis=2)
        at_rate = classes and not balanced
        super().__init__(
            np.nonzero(members)[2],
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
