"""Which rows of a table each task has, by stratum, and draws of support and query sets of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepchem_meta.tasks._drawing import draw_distinct
from deepchem_meta.tasks.padding import pad_rows

__all__ = ["StrataIndex"]


class StrataIndex:
    """The rows of each task by stratum: its classes, or all rows for regression.

    Parameters
    ----------
    rows : int array
        Rows of the table. Those of a task's strata follow each other. A row may belong to several
        tasks.
    starts, counts : int arrays of shape (tasks, strata)
        Where in `rows` a stratum begins, and how many rows it has.
    support, query : int arrays of shape (tasks, strata)
        Rows of a support and a query set in each stratum. Their sums over strata are the same for
        all tasks. Queries of 0 are all rows that are left.
    names : list of str
        What the rows of each stratum are, for messages.

    Attributes
    ----------
    counts : int array of shape (tasks, strata)
        As given.
    needed : int array of shape (tasks, strata)
        The rows that a task needs.
    support_size, query_size, rest_size : int
        The rows of a support set, of a query set, and of the largest set of those that are left.
    """

    def __init__(
        self,
        rows: np.ndarray,
        starts: np.ndarray,
        counts: np.ndarray,
        support: np.ndarray,
        query: np.ndarray,
        names: Sequence[str],
    ):
        self.counts = counts
        self.needed = support + np.maximum(query, 1)
        self._rows, self._starts = rows, starts
        self._support, self._query = support, query
        self._names = names
        self.support_size = int(support[0].sum())
        self.query_size = int(query[0].sum())
        self.rest_size = int((counts - support).sum(axis=1).max())

    @property
    def small(self) -> np.ndarray:
        """Whether each task has fewer rows than it needs, shape (tasks,)."""
        return (self.counts < self.needed).any(axis=1)

    def describe(self, task: int) -> dict[str, int]:
        """Return a task's number of rows by stratum."""
        return dict(zip(self._names, self.counts[task].tolist(), strict=True))

    def draw(self, which: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw support and query sets that share no row.

        Parameters
        ----------
        which : int array of shape (n,)
            The tasks.
        rng : numpy.random.Generator

        Returns
        -------
        support, query : int arrays of shape (n, examples)
            Rows of the table, stratum after stratum. With queries of 0, query has none.
        """
        support, total = self._support[which], (self._support + self._query)[which]
        drawn = draw_distinct(self.counts[which].ravel(), total.ravel(), rng)
        drawn = drawn.reshape(*support.shape, -1)
        rows = self._rows[self._starts[which][..., None] + drawn]  # of no use where drawn is -1
        place = np.arange(drawn.shape[-1])
        in_support = place < support[..., None]
        in_query = ~in_support & (place < total[..., None])
        # The strata differ in size from task to task, but their sums do not.
        return rows[in_support].reshape(len(which), -1), rows[in_query].reshape(len(which), -1)

    def rest(self, which: np.ndarray, support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of tasks that are not in the support sets.

        Parameters
        ----------
        which : int array of shape (n,)
            The tasks.
        support : int array of shape (n, examples)
            From `draw`.

        Returns
        -------
        rows : int array of shape (n, those of the largest task)
            Padded with copies of the first.
        there : bool array of the same shape
            False in the padding.
        """
        rest = []
        for task, used in zip(which, support, strict=True):
            rows = self.all_rows(task)
            rest.append(rows[~np.isin(rows, used)])
        sizes = np.array([len(rows) for rows in rest])
        return pad_rows(rest, self.rest_size), np.arange(self.rest_size) < sizes[:, None]

    def all_rows(self, task: int) -> np.ndarray:
        """Return a task's rows, stratum after stratum."""
        start = self._starts[task, 0]
        return self._rows[start : start + self.counts[task].sum()]
