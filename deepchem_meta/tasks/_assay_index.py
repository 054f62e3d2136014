"""Which compounds each assay has, and draws of support and query sets from them."""

from __future__ import annotations

import numpy as np

from deepchem_meta.tasks._drawing import draw_distinct
from deepchem_meta.tasks.padding import pad_rows

__all__ = ["AssayIndex"]


class AssayIndex:
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

    Attributes
    ----------
    counts, needed : int arrays of shape (assays, strata)
        The compounds that there are, and those that a task needs.
    """

    def __init__(
        self, y: np.ndarray, classes: bool, shots: int, queries: int | None, balanced: bool
    ):
        values = y.T[:, None, :]  # assays, strata, compounds
        members = values == np.float32([[0], [1]]) if classes else ~np.isnan(values)
        self.counts = members.sum(axis=2)
        # The compounds of a stratum are self._rows[start : start + count].
        self._rows = np.nonzero(members)[2]
        self._starts = np.cumsum(self.counts).reshape(self.counts.shape) - self.counts
        at_rate = classes and not balanced
        self._support = _sizes(self.counts, shots, at_rate)
        self._query = _sizes(self.counts, queries or 0, at_rate)
        self._rest_size = int((self.counts - self._support).sum(axis=1).max())
        self.needed = self._support + np.maximum(self._query, 1)

    @property
    def small(self) -> np.ndarray:
        """Whether each assay has fewer compounds than a task needs, shape (assays,)."""
        return (self.counts < self.needed).any(axis=1)

    def describe(self, assay: int) -> dict[str, int]:
        """Return an assay's number of compounds by stratum."""
        names = ("inactive", "active") if self.counts.shape[1] == 2 else ("compounds",)
        return dict(zip(names, self.counts[assay].tolist(), strict=True))

    def draw(self, which: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw support and query sets that share no compound.

        Parameters
        ----------
        which : int array of shape (tasks,)
            The assays.
        rng : numpy.random.Generator

        Returns
        -------
        support, query : int arrays of shape (tasks, examples)
            Rows of the table, stratum after stratum. With ``queries=None``, query has none.
        """
        support, total = self._support[which], (self._support + self._query)[which]
        drawn = draw_distinct(self.counts[which].ravel(), total.ravel(), rng)
        drawn = drawn.reshape(*support.shape, -1)
        rows = self._rows[self._starts[which][..., None] + drawn]  # of no use where drawn is -1
        place = np.arange(drawn.shape[-1])
        in_support = place < support[..., None]
        in_query = ~in_support & (place < total[..., None])
        # The strata differ in size from assay to assay, but their sums do not.
        return rows[in_support].reshape(len(which), -1), rows[in_query].reshape(len(which), -1)

    def rest(self, which: np.ndarray, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the compounds of assays that are not in the support sets.

        Parameters
        ----------
        which : int array of shape (tasks,)
            The assays.
        support : int array of shape (tasks, examples)
            From `draw`.

        Returns
        -------
        rows : int array of shape (tasks, those of the largest assay)
            Padded with copies of the first.
        there : bool array of the same shape
            False in the padding.
        """
        rest = []
        for assay, used in zip(which, support, strict=True):
            start, count = self._starts[assay, 0], self.counts[assay].sum()
            labelled = self._rows[start : start + count]
            rest.append(labelled[~np.isin(labelled, used)])
        sizes = np.array([len(rows) for rows in rest])
        return pad_rows(rest, self._rest_size), np.arange(self._rest_size) < sizes[:, None]


def _sizes(counts: np.ndarray, per_stratum: int, at_rate: bool) -> np.ndarray:
    """Return how many compounds of each assay and stratum make a set."""
    if not at_rate or per_stratum == 0:
        return np.full_like(counts, per_stratum)
    total = 2 * per_stratum
    rates = counts[:, 1] / np.maximum(counts.sum(axis=1), 1)
    active = np.clip(np.rint(total * rates).astype(int), 1, total - 1)
    return np.stack([total - active, active], axis=1)
