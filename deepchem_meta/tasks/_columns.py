"""Columns of a CSV file and of a data frame, read in the same way."""

from __future__ import annotations

import math
import numbers
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._labels import is_missing
from deepchem_meta.tasks._result_cells import Results, check_na_values, read_results
from deepchem_meta.tasks._text_tables import check_delimiter, check_encoding, read_cells

__all__ = ["Columns", "FrameColumns", "TextColumns", "why_no_name"]

_NO_NAME = re.compile(r"Unnamed: \d+(\.\d+)*")

# What may be the name of a class, such as "none", "-" or "?", is not among these.
_NO_LABEL = frozenset(("", "#n/a", "<na>", "n/a", "na", "n.a.", "nan"))


class Columns(Protocol):
    """The columns of a table.

    Attributes
    ----------
    source : str
        What the table is, for messages.
    names : list
        The columns' names; ``""`` where there is none.
    rows : list
        What each row is called: a line of a file, or a label.
    row_word : str
        What that is, for messages.
    """

    source: str
    names: list
    rows: list
    row_word: str

    def results(self, place: int) -> Results:
        """Return a column as numbers."""

    def labels(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column as labels, and which of them are missing."""

    def group_labels(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column as text, or as labels, and which cells are blank or missing."""

    def cell(self, place: int, row: int) -> str:
        """Return a cell as text for messages."""


class TextColumns:
    """The columns of a delimited text file.

    Parameters
    ----------
    path : str or path
    column : str
        One of the columns, which tells delimiters apart.
    na_values : list of str
        Cells that are missing besides the usual ones.
    encoding, delimiter : str or None
        As `read_cells` takes them.
    """

    row_word = "line"

    def __init__(
        self,
        path: Any,
        column: Any,
        na_values: Sequence[str],
        encoding: str | None,
        delimiter: str | None,
    ):
        path = Path(path)
        self._missing = check_na_values(na_values)
        self._no_label = _NO_LABEL | {text.strip().casefold() for text in na_values}
        cells = read_cells(path, column, check_encoding(encoding), check_delimiter(delimiter))
        self.source = str(path)
        self.names, self.rows, self._cells = cells.columns, cells.lines, cells.rows

    def results(self, place: int) -> Results:
        """Return a column as numbers; NaN is missing."""
        return read_results([row[place] for row in self._cells], self._missing)

    def labels(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column as floats, if all its cells are numbers, or as text."""
        texts, _ = self.group_labels(place)
        missing = np.array([text.casefold() in self._no_label for text in texts.tolist()], bool)
        results = read_results(texts.tolist(), self._no_label)
        words = (results.words | results.qualified).any()
        return texts if words else results.values, missing

    def group_labels(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column as text, also where it is numbers, so that 7 and 007 stay two groups."""
        texts = np.array([row[place].strip() for row in self._cells], str)
        return texts, texts == ""

    def cell(self, place: int, row: int) -> str:
        """Return a cell as text."""
        return repr(self._cells[row][place])


class FrameColumns:
    """The columns of a pandas DataFrame.

    Parameters
    ----------
    frame : pandas.DataFrame
    """

    row_word = "row"
    source = "`frame`"

    def __init__(self, frame: Any):
        if not all(hasattr(frame, name) for name in ("columns", "index", "loc", "iloc")):
            raise TypeError(f"`frame` must be a pandas DataFrame. Received: {type(frame).__name__}")
        self.names, self.rows = list(frame.columns), list(frame.index)
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise ValueError(
                "`frame` must not have two columns of the same name. "
                f"Received: more than one column named {listed(map(repr, twice))}"
            )
        self._frame = frame

    def results(self, place: int) -> Results:
        """Return a column as numbers; NaN is missing. Categories are words."""
        column = self._frame.iloc[:, place]
        nothing = np.zeros(len(self.rows), bool)
        kind = getattr(column.dtype, "kind", "O")
        if kind in "iufb":
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            infinite = np.isinf(values)
            return Results(np.where(infinite, np.nan, values), nothing, infinite)
        cells = [None if is_missing(cell) else cell for cell in column.to_numpy(dtype=object)]
        is_category = getattr(column.dtype, "name", "") == "category"
        values = np.array([math.nan if is_category else _number(cell) for cell in cells], float)
        there = np.array([cell is not None for cell in cells], bool)
        return Results(values, nothing, there & np.isnan(values))

    def labels(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column as an array of objects, text without surrounding blanks."""
        cells = self._frame.iloc[:, place].to_numpy(dtype=object)
        cells = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
        missing = np.array([is_missing(cell) for cell in cells], bool)
        labels = np.empty(len(cells), object)
        labels[:] = cells
        return labels, missing

    def group_labels(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column as `labels` does."""
        return self.labels(place)

    def cell(self, place: int, row: int) -> str:
        """Return a cell as text."""
        value = self._frame.iloc[row, place]
        return repr(value.item() if isinstance(value, np.generic) else value)


def why_no_name(name: Any) -> str | None:
    """Return why a column counts as one without a name, or None if it has one."""
    if not isinstance(name, str):
        return None
    if not name:
        return "has no name"
    if _NO_NAME.fullmatch(name):
        return "has the name that pandas gives to a column without one"
    return None


def _number(cell: Any) -> float:
    """Return a cell's number, or NaN if it is none."""
    if isinstance(cell, (numbers.Real, np.bool_)) and math.isfinite(cell):
        return float(cell)
    return math.nan
