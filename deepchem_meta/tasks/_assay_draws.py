"""Draws of tasks from assays, with support sets of one size or of several."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from deepchem_meta.tasks._assay_index import AssayIndex
from deepchem_meta.tasks._assay_results import AssayResults
from deepchem_meta.tasks.padding import pad_rows

__all__ = ["AssayDraws", "Draw"]


class Draw(NamedTuple):
    """Places of results, and which of them are no padding.

    Attributes
    ----------
    support, query : int64 arrays of shape (n, examples)
    in_support, in_query : bool arrays of the same shapes
    """

    support: np.ndarray
    in_support: np.ndarray
    query: np.ndarray
    in_query: np.ndarray


class AssayDraws:
    """Draws support and query sets of assays.

    Parameters
    ----------
    results : AssayResults
    assays : int
        How many assays there are.
    classes : bool
        Whether results are of two classes.
    shots : tuple of int
        Sizes of a support set, ascending, of which each draw has one that its assay has enough
        results for.
    queries, balanced
        As in `AssayIndex`.

    Attributes
    ----------
    index : AssayIndex
        That of the smallest size, which each assay must have enough results for.
    """

    def __init__(
        self,
        results: AssayResults,
        assays: int,
        classes: bool,
        shots: tuple[int, ...],
        queries: int | None,
        balanced: bool,
    ):
        self._indexes = [
            AssayIndex(results, assays, classes, size, queries, balanced) for size in shots
        ]
        self.index = self._indexes[0]
        self._rest = queries is None
        # How many of the sizes each assay can have.
        self._levels = np.maximum(1, sum((~index.small).astype(int) for index in self._indexes))

    @property
    def padded(self) -> bool:
        """Whether sets of one draw may differ in size."""
        return len(self._indexes) > 1 or (
            self._rest and len(np.unique(self.index.counts.sum(axis=1))) > 1
        )

    def draw(self, which: np.ndarray, rng: np.random.Generator) -> Draw:
        """Draw a support and a query set of each of the assays `which`."""
        if len(self._indexes) == 1:
            return self._of_size(0, which, rng)
        level = rng.integers(0, self._levels[which])
        rows = {size: np.flatnonzero(level == size) for size in np.unique(level)}
        draws = {size: self._of_size(size, which[rows[size]], rng) for size in rows}
        support = {size: (draw.support, draw.in_support) for size, draw in draws.items()}
        query = {size: (draw.query, draw.in_query) for size, draw in draws.items()}
        return Draw(
            *_joined(support, rows, len(which), self._indexes[-1].support_size),
            *_joined(query, rows, len(which), self._query_size),
        )

    @property
    def _query_size(self) -> int:
        return self.index.rest_size if self._rest else self.index.query_size

    def _of_size(self, size: int, which: np.ndarray, rng: np.random.Generator) -> Draw:
        index = self._indexes[size]
        support, query = index.draw(which, rng)
        there = np.ones(query.shape, bool)
        if self._rest:
            query, there = index.rest(which, support)
        return Draw(support, np.ones(support.shape, bool), query, there)


def _joined(
    parts: dict[int, tuple[np.ndarray, np.ndarray]], rows: dict[int, np.ndarray], n: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (places, there) of `n` sets, padded to `width`, from those of each size."""
    places, there = np.zeros((n, width), np.int64), np.zeros((n, width), bool)
    for size, (drawn, in_set) in parts.items():
        places[rows[size]] = pad_rows(list(drawn), width)
        there[rows[size], : drawn.shape[1]] = in_set
    return places, there
