"""Reads the cells of a column as results: numbers, missing ones, and numbers with a qualifier."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["NA_VALUES", "QUALIFIERS", "Results", "check_na_values", "read_results"]

#: What stands for a missing result, in small or capital letters.
NA_VALUES = (
    *("", "-", "?", "#N/A", "<NA>", "N/A", "NA", "n.a.", "NaN"),
    *("nd", "n.d.", "None", "null"),
)

#: What can be done with results such as ">10".
QUALIFIERS = ("raise", "drop", "bound")

# float() takes more: 2023_001, inf, nan and digits of any script.
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RESULT = re.compile(rf"(?P<qualifier>>>|<<|[<>]=?|[~≈≤≥])?\s*(?P<number>{_NUMBER})")


class Results(NamedTuple):
    """What the cells of a column are.

    Attributes
    ----------
    values : float64 array of shape (cells,)
        The numbers, also those with a qualifier; NaN for other cells.
    qualified : bool array of shape (cells,)
        Whether a cell has a qualifier before its number.
    words : bool array of shape (cells,)
        Whether a cell is neither a number nor missing.
    """

    values: np.ndarray
    qualified: np.ndarray
    words: np.ndarray


def read_results(cells: Sequence[str], missing: frozenset[str]) -> Results:
    """Read the cells of a column.

    A number has an optional sign, digits with an optional decimal point, and an optional
    exponent; it is finite. A qualifier is one of ``> < >= <= >> << ~ ≈ ≤ ≥``. Blanks round
    either do not count.

    Parameters
    ----------
    cells : list of str
    missing : set of str
        From `check_na_values`.

    Returns
    -------
    Results
    """
    read = {cell: _read(cell, missing) for cell in set(cells)}
    table = np.array([read[cell] for cell in cells], float).reshape(-1, 3)
    return Results(table[:, 0], table[:, 1] > 0, table[:, 2] > 0)


def check_na_values(na_values: Sequence[str]) -> frozenset[str]:
    """Return all texts that stand for a missing result: those given and `NA_VALUES`."""
    given = () if isinstance(na_values, str) else tuple(na_values)
    if isinstance(na_values, str) or not all(isinstance(text, str) for text in given):
        raise TypeError(
            '`na_values` must be a list of strings, such as ["n.t."]. '
            f"Received: na_values={na_values!r}"
        )
    return frozenset(text.strip().casefold() for text in (*NA_VALUES, *given))


def _read(cell: str, missing: frozenset[str]) -> tuple[float, bool, bool]:
    """Return the number of a cell, whether it has a qualifier, and whether it is words."""
    text = cell.strip()
    if text.casefold() in missing:
        return math.nan, False, False
    result = _RESULT.fullmatch(text)
    value = float(result["number"]) if result else math.inf
    if not math.isfinite(value):
        return math.nan, False, True
    return value, result["qualifier"] is not None, False
