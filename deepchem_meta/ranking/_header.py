"""Recognises files whose first line is a row, and does not name the columns."""

from __future__ import annotations

import re

from deepchem_meta.tasks.molecules import read_molecules

__all__ = ["check_result_name", "check_smiles_name"]

_FEWEST = 3  # atoms of a name that is taken for a molecule
_NUMBER = re.compile(r"[<>=~]*\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*%?")
_LABELS = ("inactive", "yes", "no", "true", "false", "negative", "neg", "+", "-")


def check_smiles_name(path: str, name: str) -> None:
    """Raise ValueError if the name of the column of SMILES is itself a molecule."""
    (molecule,), _ = read_molecules([name])
    if molecule is not None and molecule.GetNumAtoms() >= _FEWEST:
        raise _no_names(path, name, "a molecule")


def check_result_name(path: str, name: str) -> None:
    """Raise ValueError if the name of the column of results is itself a result."""
    if _NUMBER.fullmatch(name) or name.casefold() in _LABELS:
        raise _no_names(path, name, "a result")


def _no_names(path: str, name: str, what: str) -> ValueError:
    return ValueError(
        f'{path}: the first line must name the columns, such as "smiles,active". '
        f"Received: {name!r}, which is {what}; a column that is called so can be named (--smiles, "
        "--candidate-smiles, --result)"
    )
