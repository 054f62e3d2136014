"""The results of assays as a long table: a row a result, however many compounds there are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["AssayResults"]


class AssayResults(NamedTuple):
    """Results in the order of assays and, within each, of compounds.

    Attributes
    ----------
    assay : int64 array of shape (results,)
        The place of each result's assay.
    compound : int64 array of shape (results,)
        The row of its compound. An assay has a compound at most once.
    value : float32 array of shape (results,)
    weight : float32 array of shape (results,), or None
        Above 0. With None all are 1.
    """

    assay: np.ndarray
    compound: np.ndarray
    value: np.ndarray
    weight: np.ndarray | None

    @classmethod
    def sorted(cls, assay, compound, value, weight=None) -> AssayResults:
        """Return results given in any order."""
        order = np.lexsort((compound, assay))
        parts = (np.asarray(assay, np.int64), np.asarray(compound, np.int64))
        values = np.asarray(value, np.float32)
        weights = None if weight is None else np.asarray(weight, np.float32)[order]
        return cls(*(part[order] for part in parts), values[order], weights)

    @classmethod
    def of_table(cls, y: np.ndarray, w: np.ndarray | None) -> AssayResults:
        """Return the results of a table.

        Parameters
        ----------
        y : float32 array of shape (compounds, assays)
            NaN is missing.
        w : float32 array of the same shape, or None
        """
        assay, compound = np.nonzero(~np.isnan(y.T))
        weight = None if w is None else w[compound, assay]
        return cls(assay, compound, y[compound, assay], weight)

    def table(self, column: str, shape: tuple[int, int], missing: float) -> np.ndarray:
        """Return the values or weights as a float32 array of shape (compounds, assays)."""
        dense = np.full(shape, missing, np.float32)
        dense[self.compound, self.assay] = getattr(self, column)
        return dense

    def constant(self, assays: int) -> np.ndarray:
        """Return which of the assays have no results, or only equal ones: bools."""
        low, high = np.full(assays, np.inf), np.full(assays, -np.inf)
        np.minimum.at(low, self.assay, self.value)
        np.maximum.at(high, self.assay, self.value)
        return ~(high > low)

    def of_assays(self, places: np.ndarray, total: int) -> AssayResults:
        """Return the results of some of `total` assays, which get the numbers 0, 1, ..."""
        number = np.full(total, -1)
        number[places] = np.arange(len(places))
        kept = number[self.assay] >= 0
        return self.sorted(number[self.assay[kept]], *self._columns(kept))

    def of_compounds(self, number: np.ndarray) -> AssayResults:
        """Return the results of some compounds.

        Parameters
        ----------
        number : int array of shape (compounds,)
            The new row of each compound; -1 leaves it out.
        """
        kept = number[self.compound] >= 0
        compound, *rest = self._columns(kept)
        return self.sorted(self.assay[kept], number[compound], *rest)

    def _columns(self, kept: np.ndarray) -> tuple:
        weight = None if self.weight is None else self.weight[kept]
        return self.compound[kept], self.value[kept], weight
