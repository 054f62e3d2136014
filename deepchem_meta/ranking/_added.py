"""The cells that are added to those of a candidate."""

from __future__ import annotations

from collections.abc import Sequence

from deepchem_meta.ranking.measured import Measured
from deepchem_meta.ranking.predictor import Predictions

__all__ = ["DISSIMILAR", "AddedCells", "added_names"]

#: Below this Tanimoto similarity to all measured compounds, a candidate gets a warning.
DISSIMILAR = 0.25
_SAME = 1 - 1e-9  # rounding of a similarity of 1


def added_names(task_type: str) -> list[str]:
    """Return what the cells are called where the library has no such column."""
    scores = ["probability"] if task_type == "classification" else ["value", "lower", "upper"]
    return [*scores, "nearest", "nearest_name", "similarity", "measured", "warning"]


class AddedCells:
    """Writes what is predicted as cells.

    Parameters
    ----------
    measured : Measured
    taken : list of str
        The library's columns.

    Attributes
    ----------
    width : int
        How many columns the library has.
    columns : list of str
        The names of the cells. "predicted_" stands before a name until it is unique.
    rank : str
        The name of the column of ranks, made unique in the same way.
    """

    def __init__(self, measured: Measured, taken: Sequence[str]):
        names = [_unique(name, taken) for name in (*added_names(measured.task_type), "rank")]
        self.width = len(taken)
        self.columns, self.rank = names[:-1], names[-1]
        self._measured, self._undecided = measured, frozenset(measured.undecided)
        self._places = {text: n for n, text in enumerate(measured.canonical)}

    def of(self, canonical: str, predicted: Predictions, place: int) -> list[str]:
        """Return the cells of a candidate.

        Parameters
        ----------
        canonical : str
            The canonical SMILES of the candidate's standard form.
        predicted : Predictions
        place : int
            The place of the candidate in `predicted`.
        """
        scores = (predicted.score, predicted.lower, predicted.upper)
        twin = self._places.get(canonical)
        nearest = int(predicted.nearest[place]) if twin is None else twin
        similarity = predicted.similarity[place]
        return [
            *(f"{score[place]:.4f}" for score in scores if score is not None),
            self._measured.smiles[nearest],
            self._measured.names[nearest],
            f"{similarity:.3f}",
            "" if twin is None else self._measured.shown(twin, "g"),
            self._warning(canonical, similarity),
        ]

    def without_scores(self, warning: str) -> list[str]:
        """Return the cells of a row that cannot be read."""
        return [*[""] * (len(self.columns) - 1), warning]

    def _warning(self, canonical: str, similarity: float) -> str:
        if canonical in self._places:
            return ""
        if canonical in self._undecided:
            return "measured, and left out: as many labels of either class"
        if similarity < DISSIMILAR:
            return "nothing similar was measured"
        if similarity > _SAME:
            return "not told apart from the nearest compound: a stereoisomer, for instance"
        return ""


def _unique(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = f"predicted_{name}"
    return name
