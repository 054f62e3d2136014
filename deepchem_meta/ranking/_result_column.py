"""Reads a column of results: labels, values, or concentrations with a unit."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from deepchem_meta.ranking._words import counted
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._result_cells import check_na_values, read_results

__all__ = ["UNITS", "ResultColumn", "SeparatorError", "read_result_column"]

#: Concentrations in mol/L.
UNITS = {"M": 1.0, "mM": 1e-3, "uM": 1e-6, "nM": 1e-9, "pM": 1e-12, "fM": 1e-15}
_LABELS = {
    **dict.fromkeys(("1", "1.0", "active", "yes", "true", "positive", "pos", "hit", "+"), 1.0),
    **dict.fromkeys(("0", "0.0", "inactive", "no", "false", "negative", "neg", "-"), 0.0),
}
_SPELLINGS = {
    **{unit.casefold(): unit for unit in UNITS if unit not in ("M", "mM")},
    **{"µm": "uM", "μm": "uM", "mol/l": "M", "mmol/l": "mM", "umol/l": "uM", "µmol/l": "uM"},
    **{"nmol/l": "nM", "pmol/l": "pM"},
}
_CELL = re.compile(r"(?P<number>.*?[0-9.])\s*(?P<unit>[a-zA-Zµμ]+(?:/[lL])?)?\s*", re.DOTALL)
_IN_NAME = re.compile(r"(?:^|[\s_(\[,])([fpnuµμm]?M|[pnuµμm]?mol/[lL])[)\]\s]*$")
_CONCENTRATIONS = re.compile(r"(ic|ec|gi|ac|cc|ld)_?50|k_?[id]|mic", re.IGNORECASE)
_SEPARATED = re.compile(r"[<>=~≈≤≥+-]*\s*[0-9]+(?:[,'\u2019\s][0-9]+)+(?:\.[0-9]*)?\s*[a-zA-Zµμ/]*")
_SIGNS = {">": ">", "≥": ">", "<": "<", "≤": "<", "~": "~", "≈": "~"}
_OF_LOGARITHMS = {"": "", ">": "<", "<": ">", "~": "~"}


class SeparatorError(ValueError):
    """Numbers have decimal commas or thousands separators."""


class ResultColumn(NamedTuple):
    """What a column of results holds.

    Attributes
    ----------
    values : float64 array of shape (cells,)
        1 for active and 0 for inactive, or values; NaN where there is none. Concentrations are
        -log10 of mol/L.
    signs : list of str
        What stood before each number that was taken for the value: ``">"`` or ``"<"`` of a bound,
        ``"~"``, or nothing. The sign belongs to `values`: ``>10000 nM`` is ``<`` 5.
    task_type : {"classification", "regression"}
    unit : str or None
        That of concentrations.
    """

    values: np.ndarray
    signs: list[str]
    task_type: str
    unit: str | None


def read_result_column(
    path: str, name: str, cells: Sequence[str], unit: str | None = None
) -> ResultColumn:
    """Read a column of results.

    Parameters
    ----------
    path, name : str
        Of the file, for messages, and of the column.
    cells : list of str
    unit : str or None
        A key of `UNITS`; by default that of the cells, or of the column's name.

    Raises
    ------
    ValueError
        If cells are neither labels nor numbers, are of different units or of none that is known,
        or a concentration is not above 0. `SeparatorError` if numbers have commas.
    """
    if unit is not None and unit not in UNITS:
        raise ValueError(f"`unit` must be one of {', '.join(UNITS)}. Received: unit={unit!r}")
    texts = [cell.strip() for cell in cells]
    missing = check_na_values(())
    words = {text.casefold() for text in texts}
    # A hyphen is inactive beside a plus, and else a missing cell.
    words -= missing - ({"-"} if "+" in words else set())
    if not words:
        raise ValueError(f"{path}: the column {name!r} must hold results. Received: none")
    if words <= set(_LABELS) and unit is None:
        values = [_LABELS[t.casefold()] if t.casefold() in words else math.nan for t in texts]
        return ResultColumn(np.array(values), [""] * len(texts), "classification", None)
    parts = [_CELL.fullmatch(text) for text in texts]
    numbers = [part["number"] if part else text for part, text in zip(parts, texts, strict=True)]
    results = read_results(numbers, missing)
    if results.words.any():
        raise _no_numbers(path, name, [texts[n] for n in np.flatnonzero(results.words)])
    found = _unit(path, name, parts, unit)
    values = results.values
    signs = [
        _SIGNS[text[0]] if qualified else ""
        for text, qualified in zip(numbers, results.qualified, strict=True)
    ]
    if found is not None:
        if (values <= 0).any():
            raise ValueError(
                f"{path}: concentrations in {name!r} must be above 0. "
                f"Received: {np.nanmin(values):g} {found}"
            )
        values = -np.log10(values * UNITS[found])
        signs = [_OF_LOGARITHMS[sign] for sign in signs]
    return ResultColumn(values, signs, "regression", found)


def _no_numbers(path: str, name: str, bad: Sequence[str]) -> ValueError:
    """Return the error of cells that are neither labels nor numbers."""
    separated = [text for text in bad if _SEPARATED.fullmatch(text)]
    if separated:
        return SeparatorError(
            f"{path}: numbers in {name!r} must be written with a point, and without thousands "
            f"separators. Received: {listed(map(repr, separated))}"
        )
    return ValueError(
        f"{path}: the column {name!r} must hold labels (1 and 0, active and inactive, yes and "
        f"no), or numbers. Received: {listed(map(repr, bad))}"
    )


def _unit(path: str, name: str, parts: Sequence[re.Match | None], given: str | None) -> str | None:
    """Return the unit of a column of numbers, or None if they have none."""
    of_cells = Counter(part["unit"] or "" for part in parts if part)
    spelled = {text: _spelled(text) for text in of_cells if text}
    unknown = [text for text, known in spelled.items() if known is None]
    if unknown:
        raise ValueError(
            f"{path}: the unit of a concentration in {name!r} must be one of {', '.join(UNITS)}. "
            f"Received: {listed(map(repr, unknown))}"
        )
    different = set(spelled.values()) | ({""} if of_cells[""] and spelled else set())
    if len(different) > 1:
        shown = listed(
            f"{counted(count, 'cell')} of {text or 'no unit'}" for text, count in of_cells.items()
        )
        raise ValueError(
            f"{path}: all results in {name!r} must have the same unit. Received: {shown}"
        )
    in_name = _IN_NAME.search(name)
    units = {*different, *([given] if given else []), *([_spelled(in_name[1])] if in_name else [])}
    if len(units) > 1:
        raise ValueError(
            f"{path}: the unit of {name!r} must be the same in its cells, its name and `unit`. "
            f"Received: {listed(sorted(units))}"
        )
    if units:
        return units.pop()
    if _CONCENTRATIONS.match(name):
        raise ValueError(
            f"{path}: the unit of the concentrations in {name!r} must be known: by the cells "
            '("12 nM"), the name of the column ("IC50 (nM)") or --unit nM (unit="nM"); their '
            'negative logarithms are called "pIC50". Received: numbers alone'
        )
    return None


def _spelled(text: str) -> str | None:
    return text if text in UNITS else _SPELLINGS.get(text.casefold())
