"""What is made of a molecule before it is identified and its features are computed, by RDKit."""

from __future__ import annotations

import importlib
from typing import Any

from deepchem_meta._checks import check_flag

__all__ = ["Standardizer"]


class Standardizer:
    """Brings the forms in which one compound is registered to one.

    Tautomers are left alone: which one binds is not known, and canonical ones are often odd.

    Parameters
    ----------
    strip_salts : bool, default True
        Whether to keep the largest organic fragment alone: the drug without its counter ion.
    neutralize : bool, default True
        Whether to neutralise charges where an atom can give or take a hydrogen.
    keep_isotopes : bool, default True
        Whether molecules with other isotopes are other molecules.
    keep_stereo : bool, default True
        Whether stereoisomers are other molecules.

    Examples
    --------
    >>> from rdkit import Chem
    >>> from deepchem_meta.tasks import Standardizer
    >>> Chem.MolToSmiles(Standardizer()(Chem.MolFromSmiles("CC(=O)[O-].[Na+]")))
    'CC(=O)O'

    Notes
    -----
    The work is that of RDKit's ``rdMolStandardize``. Atom map numbers never count.
    """

    def __init__(
        self,
        *,
        strip_salts: bool = True,
        neutralize: bool = True,
        keep_isotopes: bool = True,
        keep_stereo: bool = True,
    ):
        self.strip_salts = check_flag("strip_salts", strip_salts)
        self.neutralize = check_flag("neutralize", neutralize)
        self.keep_isotopes = check_flag("keep_isotopes", keep_isotopes)
        self.keep_stereo = check_flag("keep_stereo", keep_stereo)

    def settings(self) -> dict[str, bool]:
        """Return what the result depends on."""
        return dict(vars(self))

    def __call__(self, molecule: Any) -> Any:
        """Return the molecule in its standard form, a copy.

        Parameters
        ----------
        molecule : rdkit.Chem.Mol
        """
        chem = importlib.import_module("rdkit.Chem")
        standardize = importlib.import_module("rdkit.Chem.MolStandardize.rdMolStandardize")
        molecule = chem.Mol(molecule)
        with importlib.import_module("rdkit.rdBase").BlockLogs():
            if self.strip_salts:
                molecule = standardize.LargestFragmentChooser(preferOrganic=True).choose(molecule)
            if self.neutralize:
                molecule = standardize.Uncharger().uncharge(molecule)
        if not self.keep_isotopes:
            for atom in molecule.GetAtoms():
                atom.SetIsotope(0)
        if not self.keep_stereo:
            chem.RemoveStereochemistry(molecule)
        return molecule

    def __repr__(self) -> str:
        return f"Standardizer({', '.join(f'{name}={value}' for name, value in vars(self).items())})"
