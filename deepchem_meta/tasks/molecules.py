"""Molecules from SMILES, their fingerprints, scaffolds and canonical names, by RDKit."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_flag, check_option
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks.tables import AssayTable, read_assays_csv

__all__ = [
    "AssayTable",
    "canonical_smiles",
    "identify",
    "morgan_fingerprints",
    "parse_smiles",
    "read_assays_csv",
    "read_molecules",
    "read_standard",
    "refuse_unreadable",
    "scaffolds",
]

_MOST_ATOMS = 150  # above about 180, RDKit's descriptors take half a minute a molecule and more
_ATOM_MAP = re.compile(r":[0-9]+(?=\])")  # the 1 of [CH3:1]
_BLANK = "has a blank inside, after which RDKit would take the rest for a name"


def morgan_fingerprints(
    smiles: Sequence[Any], radius: int = 2, size: int = 2048, counts: bool = True
) -> np.ndarray:
    """Count the substructures round each atom of each molecule, hashed to a vector.

    Parameters
    ----------
    smiles : list of str, or of rdkit.Chem.Mol
        The molecules. Atom map numbers do not count.
    radius : int, default 2
        The largest radius of a substructure, in bonds; 2 is also known as ECFP4.
    size : int, default 2048
        The length of a vector. Substructures that are hashed to the same place add up.
    counts : bool, default True
        Whether to give log(1 + count), which keeps frequent substructures from outweighing the
        others, or only 1 for those that are there.

    Returns
    -------
    float32 array of shape (len(smiles), size)

    Raises
    ------
    ValueError
        If a SMILES cannot be read, with the number of such and the first five.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> from deepchem_meta.tasks import morgan_fingerprints
    >>> x = morgan_fingerprints(["CCO", "c1ccccc1"], size=512)
    >>> x.shape, x.dtype
    ((2, 512), dtype('float32'))

    References
    ----------
    Rogers, D., and Hahn, M. (2010). Extended-connectivity fingerprints. Journal of Chemical
    Information and Modeling 50(5), 742-754.
    """
    radius, size = check_count("radius", radius), check_count("size", size, minimum=1)
    check_flag("counts", counts)
    generators = _rdkit("Chem.rdFingerprintGenerator")
    generator = generators.GetMorganGenerator(radius=radius, fpSize=size)
    fingerprint = (
        generator.GetCountFingerprintAsNumPy if counts else generator.GetFingerprintAsNumPy
    )
    molecules = parse_smiles(smiles)[0]
    x = np.empty((len(molecules), size), np.float32)
    for row, molecule in zip(x, molecules, strict=True):
        row[:] = fingerprint(molecule)
    return np.log1p(x, out=x) if counts else x


def scaffolds(smiles: Sequence[Any]) -> list[str]:
    """Return the Murcko scaffold of each molecule: its rings and what links them.

    Molecules of one scaffold resemble each other, so a test on scaffolds that training has not
    seen tells how well a model does on new chemistry.

    Parameters
    ----------
    smiles : list of str, or of rdkit.Chem.Mol
        The molecules. Atom map numbers do not count.

    Returns
    -------
    list of str
        Canonical SMILES without stereochemistry; ``""`` for a molecule without rings.

    Raises
    ------
    ValueError
        If a SMILES cannot be read, with the number of such and the first five.
    ImportError
        If RDKit is not installed.

    Examples
    --------
    >>> from deepchem_meta.tasks import scaffolds
    >>> scaffolds(["Cc1ccccc1", "Oc1ccccc1CC", "CCO"])
    ['c1ccccc1', 'c1ccccc1', '']

    References
    ----------
    Bemis, G. W., and Murcko, M. A. (1996). The properties of known drugs. 1. Molecular
    frameworks. Journal of Medicinal Chemistry 39(15), 2887-2893.
    """
    murcko = _rdkit("Chem.Scaffolds.MurckoScaffold")
    return [murcko.MurckoScaffoldSmiles(mol=molecule) for molecule in parse_smiles(smiles)[0]]


def canonical_smiles(molecules: Iterable[Any]) -> list[str]:
    """Return RDKit's canonical SMILES of molecules, with stereochemistry and isotopes.

    It is the same text for a molecule however its SMILES was written.
    """
    chem = _rdkit("Chem")
    return [chem.MolToSmiles(molecule) for molecule in molecules]


def identify(ids: Sequence[Any]) -> list[Any]:
    """Return what two ids of the same molecule have in common.

    Parameters
    ----------
    ids : list
        SMILES, or anything else.

    Returns
    -------
    list
        The canonical SMILES of ids that RDKit can read, and other ids as they are. Without RDKit
        all are as they are.
    """
    try:
        molecules = read_molecules(ids)[0]
    except ImportError:
        return list(ids)
    readable = iter(canonical_smiles(m for m in molecules if m is not None))
    return [k if m is None else next(readable) for k, m in zip(ids, molecules, strict=True)]


def parse_smiles(smiles: Sequence[Any], on_error: str = "raise") -> tuple[list[Any], np.ndarray]:
    """Read SMILES.

    Parameters
    ----------
    smiles : list of str, or of rdkit.Chem.Mol
        The molecules. Atom map numbers are removed, from copies of molecules that have some.
        Blanks round a SMILES do not count. The empty SMILES is taken for a missing one, and a
        blank inside makes a SMILES unreadable.
    on_error : {"raise", "drop"}, default "raise"
        What to do with a SMILES that cannot be read.

    Returns
    -------
    molecules : list of rdkit.Chem.Mol
    kept : int array of shape (len(molecules),)
        Where in `smiles` they are.

    Raises
    ------
    TypeError
        If `smiles` is one string, one molecule, or an array of several axes.
    ValueError
        If some cannot be read and are not to be dropped, with their number and the first five.
    """
    check_option("on_error", on_error, ("raise", "drop"))
    smiles = _as_list(smiles)
    molecules, reasons = read_molecules(smiles)
    if on_error == "raise" and reasons:
        refuse_unreadable(smiles, reasons)
    kept = np.array([i for i in range(len(molecules)) if i not in reasons], int)
    return [molecules[i] for i in kept], kept


def read_molecules(smiles: Iterable[Any]) -> tuple[list[Any], dict[int, str]]:
    """Read SMILES, and say of each that cannot be read why.

    Parameters
    ----------
    smiles : sequence of str, or of rdkit.Chem.Mol
        As in `parse_smiles`.

    Returns
    -------
    molecules : list of rdkit.Chem.Mol or None
        One for each SMILES; None for those that cannot be read.
    reasons : dict of int to str
        Why not, by their places.

    Raises
    ------
    TypeError
        If `smiles` is one string, one molecule, or an array of several axes.
    """
    chem, base = _rdkit("Chem"), _rdkit("rdBase")
    with base.BlockLogs():  # what RDKit writes of each SMILES that it cannot read
        read = [_read_molecule(chem, text) for text in _as_list(smiles)]
    reasons = {i: reason for i, (molecule, reason) in enumerate(read) if molecule is None}
    return [molecule for molecule, _ in read], reasons


def read_standard(
    smiles: Iterable[str], standardizer: Callable[[Any], Any]
) -> tuple[list[Any], dict[int, str]]:
    """Read SMILES and bring the molecules to their standard form.

    Parameters
    ----------
    smiles : list of str
    standardizer : Standardizer

    Returns
    -------
    molecules : list of rdkit.Chem.Mol or None
        One for each SMILES; None for those that cannot be read, are not standardised, or have more
        than 150 atoms without their hydrogens.
    reasons : dict of int to str
        Why not, by their places.
    """
    molecules, reasons = read_molecules(smiles)
    for place, molecule in enumerate(molecules):
        if place not in reasons:
            molecules[place], reason = _standard(molecule, standardizer)
            reasons |= {place: reason} if reason else {}
    return molecules, reasons


def refuse_unreadable(
    smiles: Sequence[Any], reasons: Mapping[int, str], lines: Sequence[int] | None = None
) -> None:
    """Raise ValueError that names the first SMILES that cannot be read.

    Parameters
    ----------
    smiles : list
    reasons : dict of int to str
        From `read_molecules`, at least one.
    lines : list of int, optional
        The line of a file on which each SMILES stands.
    """
    places = {i: "" if lines is None else f"line {lines[i]}: " for i in reasons}
    bad = (f"{places[i]}{smiles[i]!r} {reason}" for i, reason in reasons.items())
    drop = ' (on_error="drop" leaves others out, as long as some remain)'
    hint = "" if lines is None else drop
    if _BLANK in reasons.values():
        hint += "; `text.split()[0]` leaves off a name that follows"
    raise ValueError(
        f"Every SMILES must be readable{hint}. "
        f"Received: {len(reasons)} of {len(smiles)} that are not: {listed(bad)}"
    )


def _as_list(smiles: Any) -> list[Any]:
    """Return several SMILES or molecules as a list."""
    one = isinstance(smiles, (str, bytes)) or getattr(smiles, "ndim", 1) != 1
    if one or not isinstance(smiles, Iterable):
        raise TypeError(f"`smiles` must be a list of SMILES. Received: smiles={smiles!r}")
    return list(smiles)


def _read_molecule(chem: Any, text: Any) -> tuple[Any, str]:
    """Return the molecule of a SMILES, or None and the reason."""
    if isinstance(text, chem.Mol):
        return _without_atom_maps(chem, text), ""
    if not isinstance(text, str):
        return None, "is no text"
    text = text.strip()
    if not text:
        return None, "is missing"
    if len(text.split()) > 1:
        return None, _BLANK
    return chem.MolFromSmiles(_ATOM_MAP.sub("", text)), "cannot be read by RDKit"


def _standard(molecule: Any, standardizer: Callable[[Any], Any]) -> tuple[Any, str]:
    """Return the standard form of a molecule, or None and the reason."""
    atoms = molecule.GetNumAtoms()
    if atoms > _MOST_ATOMS:
        return None, f"has {atoms:,} atoms, more than {_MOST_ATOMS}"
    try:
        standard = standardizer(molecule)
    except Exception as error:  # of any kind: those of RDKit's C++ have no class in common
        return None, f"cannot be standardised by RDKit: {' '.join(str(error).split())}"
    return standard, "" if standard.GetNumAtoms() else "has no atom"


def _without_atom_maps(chem: Any, molecule: Any) -> Any:
    """Return a molecule without atom map numbers, itself if it has none."""
    if not any(atom.GetAtomMapNum() for atom in molecule.GetAtoms()):
        return molecule
    molecule = chem.Mol(molecule)
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    # Some centres were stereocentres only because map numbers told their neighbours apart.
    chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
    return molecule


def _rdkit(module: str) -> Any:
    try:
        return importlib.import_module(f"rdkit.{module}")
    except ImportError as error:
        raise ImportError(
            'Reading molecules needs RDKit: pip install "deepchem_meta[molecules]"'
        ) from error
