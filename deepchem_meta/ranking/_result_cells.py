"""Splits the cells of a column of results into signs, numbers and units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._result_cells import check_na_values, read_results

__all__ = ["MISSING", "Column", "Numbers", "SeparatorError", "split_numbers"]

_CELL = re.compile(
    r"(?P<number>.*?[0-9.])\s*(?P<unit>%|[a-zA-Z\u00b5\u03bc]+(?:/[lL])?)?\s*", re.DOTALL
)
_SEPARATED = re.compile(
    r"[<>=~≈≤≥+-]*\s*[0-9]+(?:[,'\u2019\s][0-9]+)+(?:\.[0-9]*)?\s*[a-zA-Z\u00b5\u03bc/%]*"
)
_SIGNS = {">": ">", "≥": ">", "<": "<", "≤": "<", "~": "~", "≈": "~"}
#: What stands for a missing result, in small letters.
MISSING = check_na_values(())


class SeparatorError(ValueError):
    """Numbers have decimal commas or thousands separators."""


class Column(NamedTuple):
    """A column of a file.

    Attributes
    ----------
    path, name : str
        Of the file, for messages, and of the column.
    cells : list of str
    lines : list of int
        The line of the file on which each stands.
    """

    path: str
    name: str
    cells: Sequence[str]
    lines: Sequence[int]

    def shown(self, places: Iterable[int]) -> str:
        """Return cells with their lines, the first five of them."""
        return listed(f"{self.cells[n].strip()!r} on line {self.lines[n]}" for n in places)


class Numbers(NamedTuple):
    """What the cells of a column of numbers are.

    Attributes
    ----------
    values : float64 array of shape (cells,)
        NaN where there is none.
    signs : list of str
        ``">"`` or ``"<"`` of a bound, ``"~"``, or nothing.
    units : list of str or None
        What stands after each number, as it is written; None where there is no number.
    """

    values: np.ndarray
    signs: list[str]
    units: list[str | None]


def split_numbers(column: Column, labels: Sequence[int]) -> Numbers:
    """Return the numbers of a column.

    Parameters
    ----------
    column : Column
    labels : list of int
        The places of cells that are labels. Where most are, a message shows the others.

    Raises
    ------
    ValueError
        If cells are neither numbers nor missing. `SeparatorError` if numbers have commas.
    """
    texts = [cell.strip() for cell in column.cells]
    parts = [None if text.casefold() in MISSING else _CELL.fullmatch(text) for text in texts]
    numbers = [part["number"] if part else text for part, text in zip(parts, texts, strict=True)]
    results = read_results(numbers, MISSING)
    bad = np.flatnonzero(results.words)
    if bad.size:
        others = [n for n in bad if n not in set(labels)]
        raise _no_numbers(column, others if 0 < len(others) < len(labels) else bad)
    signs = [
        _SIGNS[text[0]] if qualified else ""
        for text, qualified in zip(numbers, results.qualified, strict=True)
    ]
    units = [None if part is None else part["unit"] or "" for part in parts]
    return Numbers(results.values, signs, units)


def _no_numbers(column: Column, bad: Sequence[int]) -> ValueError:
    """Return the error of cells that are neither labels nor numbers."""
    separated = [n for n in bad if _SEPARATED.fullmatch(column.cells[n].strip())]
    if separated:
        return SeparatorError(
            f"{column.path}: numbers in {column.name!r} must be written with a point, and without "
            f"thousands separators. Received: {column.shown(separated)}"
        )
    return ValueError(
        f"{column.path}: the column {column.name!r} must hold labels (1 and 0, active and "
        "inactive, yes and no), or numbers; a result that is missing has a blank cell. "
        f"Received: {column.shown(bad)}"
    )
