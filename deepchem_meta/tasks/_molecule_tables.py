"""Molecules of a table: their features, what identifies them, and the rows that are dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.tasks._assay_checks import check_features
from deepchem_meta.tasks.molecules import (
    canonical_smiles,
    morgan_fingerprints,
    read_molecules,
    refuse_unreadable,
)
from deepchem_meta.tasks.tables import AssayTable

__all__ = ["DroppedRow", "MoleculeRows", "check_reading", "featurize"]


class DroppedRow(NamedTuple):
    """A row of a file that was left out.

    Attributes
    ----------
    line : int
        The line of the file on which it begins; the first line, of names, is 1.
    smiles : str
    reason : str
        Why its SMILES cannot be read.
    """

    line: int
    smiles: str
    reason: str


class MoleculeRows(NamedTuple):
    """The rows of a table whose SMILES can be read.

    Attributes
    ----------
    x : float32 array of shape (rows, features)
    y : float64 array of shape (rows, assays)
    smiles : list of str
        As they are in the table.
    canonical : list of str
        The same for all rows of a molecule.
    lines : int64 array of shape (rows,)
        The line of the file on which each begins.
    dropped : list of DroppedRow
        The other rows.
    """

    x: np.ndarray
    y: np.ndarray
    smiles: list[str]
    canonical: list[str]
    lines: np.ndarray
    dropped: list[DroppedRow]


def check_reading(featurizer: Any, on_error: str) -> None:
    """Raise if one of these arguments of `featurize` is wrong."""
    check_option("on_error", on_error, ("raise", "drop"))
    if featurizer is not None and not callable(featurizer):
        raise TypeError(
            "`featurizer` must be a function of a list of SMILES. "
            f"Received: featurizer={featurizer!r}"
        )


def featurize(
    table: AssayTable, featurizer: Callable[[list[str]], Any] | None, on_error: str
) -> MoleculeRows:
    """Read the molecules of a table, and compute their features.

    Parameters
    ----------
    table : AssayTable
    featurizer : callable or None
        Makes of a list of SMILES an array of shape (molecules, features). With None,
        `morgan_fingerprints` does.
    on_error : {"raise", "drop"}
        What to do with rows whose SMILES cannot be read.

    Returns
    -------
    MoleculeRows

    Raises
    ------
    TypeError, ValueError
        If a SMILES cannot be read and is not to be dropped, none can be read, or features have a
        wrong shape or are not finite.
    ImportError
        If RDKit is not installed.
    """
    molecules, reasons = read_molecules(table.smiles)
    if reasons and (on_error == "raise" or len(reasons) == len(molecules)):
        refuse_unreadable(table.smiles, reasons, table.lines)
    kept = np.array([i for i in range(len(molecules)) if i not in reasons], int)
    smiles = [table.smiles[i] for i in kept]
    molecules = [molecules[i] for i in kept]
    x = check_features(morgan_fingerprints(molecules) if featurizer is None else featurizer(smiles))
    if len(x) != len(smiles):
        raise ValueError(
            f"`featurizer` must give an array of shape (molecules, features), for {len(smiles)} "
            f"molecules. Received: shape {x.shape}"
        )
    dropped = [DroppedRow(table.lines[i], table.smiles[i], why) for i, why in reasons.items()]
    lines = np.array(table.lines, int)[kept]
    return MoleculeRows(x, table.y[kept], smiles, canonical_smiles(molecules), lines, dropped)
