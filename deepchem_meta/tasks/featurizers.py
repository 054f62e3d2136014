"""Features of molecules that are stored small and decoded where they are used, by RDKit."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepchem_meta._checks import check_count, check_flag
from deepchem_meta.tasks.molecules import parse_smiles

__all__ = ["Descriptors", "Featurizer", "MorganCounts", "SideBySide", "featurizer_from_config"]


class Featurizer:
    """Base of the featurizers: what `AssayTasks` and `compounds_from_csv` take as `featurizer`.

    A subclass implements `compute` and `decode`. Called with SMILES, it gives features at once.

    Attributes
    ----------
    size : int
        How many features a molecule has.
    storage : numpy.dtype
        Of the array that `compute` returns.
    """

    size: int
    storage: np.dtype

    @property
    def parts(self) -> list[Featurizer]:
        """The featurizers whose features stand side by side."""
        return [self]

    def settings(self) -> dict[str, Any]:
        """Return what the stored features depend on, as strings and numbers."""
        raise NotImplementedError("Subclasses of Featurizer must implement settings.")

    def get_config(self) -> dict[str, Any]:
        """Return what makes the featurizer again: strings, numbers, lists and dicts."""
        raise NotImplementedError("Subclasses of Featurizer must implement get_config.")

    def compute(self, molecules: Sequence[Any]) -> np.ndarray:
        """Return the features as they are stored, of shape (molecules, size).

        Parameters
        ----------
        molecules : list of rdkit.Chem.Mol
        """
        raise NotImplementedError("Subclasses of Featurizer must implement compute.")

    def fitted(self, stored: Sequence[np.ndarray]) -> Featurizer:
        """Return a featurizer that knows the distribution of its features, by default itself.

        Parameters
        ----------
        stored : list of arrays of shape (molecules, size)
            What each of `parts` computed for the molecules to train on.
        """
        return self

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Return the features that a model takes, float32 of the shape of `stored`."""
        raise NotImplementedError("Subclasses of Featurizer must implement decode.")

    def __call__(self, smiles: Sequence[Any]) -> np.ndarray:
        """Return the features of molecules.

        Parameters
        ----------
        smiles : list of str, or of rdkit.Chem.Mol

        Returns
        -------
        float32 array of shape (len(smiles), size)

        Raises
        ------
        ValueError
            If a SMILES cannot be read.
        """
        return self.decode(self.compute(parse_smiles(smiles)[0]))


class MorganCounts(Featurizer):
    r"""Counts of the substructures round each atom, hashed to a vector.

    They are stored as integers of 8 bits, in which 255 stands for more, and are decoded to
    :math:`\log(1 + n)`, as `morgan_fingerprints` gives them.

    Parameters
    ----------
    size : int, default 2048
        The length of a vector.
    radius : int, default 2
        The largest radius of a substructure, in bonds; 2 is also known as ECFP4.
    pharmacophores : bool, default False
        Whether atoms are told apart by their role (donor, acceptor, aromatic, ...) rather than by
        their element; with a radius of 2 known as FCFP4.

    Examples
    --------
    >>> import numpy as np
    >>> from deepchem_meta.tasks import MorganCounts, morgan_fingerprints
    >>> smiles = ["CCO", "c1ccccc1"]
    >>> np.allclose(MorganCounts(512)(smiles), morgan_fingerprints(smiles, size=512))
    True

    References
    ----------
    Rogers, D., and Hahn, M. (2010). Extended-connectivity fingerprints. Journal of Chemical
    Information and Modeling 50(5), 742-754.
    """

    storage = np.dtype("uint8")

    def __init__(self, size: int = 2048, radius: int = 2, *, pharmacophores: bool = False):
        self.size = check_count("size", size, minimum=1)
        self.radius = check_count("radius", radius)
        self.pharmacophores = check_flag("pharmacophores", pharmacophores)

    def settings(self) -> dict[str, Any]:
        """Return what the stored features depend on."""
        return {
            "features": "Morgan counts",
            "size": self.size,
            "radius": self.radius,
            "pharmacophores": self.pharmacophores,
        }

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the class's name."""
        config = self.settings()
        return config | {"features": type(self).__name__}

    def compute(self, molecules: Sequence[Any]) -> np.ndarray:
        """Return the counts, uint8 of shape (molecules, size)."""
        generators = _rdkit("Chem.rdFingerprintGenerator")
        options = (
            {"atomInvariantsGenerator": generators.GetMorganFeatureAtomInvGen()}
            if self.pharmacophores
            else {}
        )
        generator = generators.GetMorganGenerator(radius=self.radius, fpSize=self.size, **options)
        counts = np.empty((len(molecules), self.size), np.uint8)
        for row, molecule in zip(counts, molecules, strict=True):
            row[:] = np.minimum(generator.GetCountFingerprintAsNumPy(molecule), 255)
        return counts

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Return the logarithms of 1 + count, float32."""
        return _LOGARITHMS[stored]

    def __repr__(self) -> str:
        more = ", pharmacophores=True" if self.pharmacophores else ""
        return f"MorganCounts({self.size}, radius={self.radius}{more})"


class Descriptors(Featurizer):
    """RDKit's descriptors of whole molecules: weight, polar surface, charges, rings and so on.

    A descriptor is replaced by its place in the distribution over the molecules that the featurizer
    was fitted to, from -1 to 1, so that scales, outliers and infinities do not matter. A missing
    value (NaN) becomes 0, the median. `AssayTasks` fits it to its own molecules.

    Parameters
    ----------
    names : list of str, optional
        Some of ``rdkit.Chem.Descriptors.descList``, by default all that RDKit lists.
    quantiles : float array of shape (names, levels), optional
        Of an earlier fit.

    Attributes
    ----------
    names : list of str
    quantiles : float64 array or None

    Raises
    ------
    ValueError
        If a name is not known.
    """

    storage = np.dtype("float32")

    def __init__(self, names: Sequence[str] | None = None, *, quantiles: Any = None):
        known = dict(_rdkit("Chem.Descriptors").descList)
        self.names = list(known) if names is None else list(names)
        wrong = [name for name in self.names if name not in known]
        if wrong:
            version = importlib.import_module("rdkit").__version__
            raise ValueError(
                f"`names` must be descriptors that RDKit lists. Received: {wrong}, which "
                f"RDKit {version} does not have"
            )
        self.size = len(self.names)
        self.quantiles = None if quantiles is None else np.asarray(quantiles, np.float64)

    def settings(self) -> dict[str, Any]:
        """Return what the stored features depend on."""
        return {"features": "descriptors", "names": self.names}

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, with the class's name."""
        quantiles = self.quantiles
        if quantiles is not None:  # of stored values, which are float32
            quantiles = [[float(f"{value:.8g}") for value in row] for row in quantiles]
        return {"features": type(self).__name__, "names": self.names, "quantiles": quantiles}

    def compute(self, molecules: Sequence[Any]) -> np.ndarray:
        """Return the descriptors, float32 of shape (molecules, size); NaN where there is none."""
        known = dict(_rdkit("Chem.Descriptors").descList)
        functions = [known[name] for name in self.names]
        values = np.array([[_value(f, m) for f in functions] for m in molecules], np.float64)
        with np.errstate(over="ignore"):
            return values.reshape(len(molecules), self.size).astype(np.float32)

    def fitted(self, stored: Sequence[np.ndarray]) -> Descriptors:
        """Return one whose quantiles are those of the given molecules; a fitted one stays."""
        if self.quantiles is not None:
            return self
        levels = np.linspace(0.0, 1.0, 101)
        columns = (column[np.isfinite(column)] for column in np.asarray(stored[0]).T)
        quantiles = [np.quantile(c, levels) if c.size else np.zeros(101) for c in columns]
        return Descriptors(self.names, quantiles=quantiles)

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Return each descriptor's place in its distribution, float32 from -1 to 1."""
        if self.quantiles is None:
            raise ValueError(
                "Descriptors must be fitted to molecules before they are scaled: `fitted`. "
                "Received: Descriptors without quantiles"
            )
        flat = np.asarray(stored, np.float64).reshape(-1, self.size)
        places = np.zeros(flat.shape, np.float32)
        for column, knots in enumerate(self.quantiles):
            values = flat[:, column]
            there = ~np.isnan(values)
            # The middle of equal knots: of a descriptor that is mostly 0, say.
            low = np.searchsorted(knots, values[there], "left")
            high = np.searchsorted(knots, values[there], "right")
            places[there, column] = (low + high) / len(knots) - 1.0
        return places.reshape(np.shape(stored))

    def __repr__(self) -> str:
        return f"Descriptors({self.size} names)"


class SideBySide(Featurizer):
    """Several featurizers, whose features stand side by side. Those of each part are stored apart.

    Parameters
    ----------
    *parts : Featurizer
        In the order of their features.

    Examples
    --------
    >>> from deepchem_meta.tasks import MorganCounts, SideBySide
    >>> SideBySide(MorganCounts(64), MorganCounts(32, pharmacophores=True))(["CCO"]).shape
    (1, 96)
    """

    def __init__(self, *parts: Featurizer):
        wrong = [part for part in parts if not isinstance(part, Featurizer)]
        if wrong or not parts:
            raise TypeError(f"`parts` must be featurizers. Received: {wrong or parts!r}")
        self._parts = [one for part in parts for one in part.parts]
        self.size = sum(part.size for part in self._parts)

    @property
    def parts(self) -> list[Featurizer]:
        """The featurizers."""
        return self._parts

    def get_config(self) -> dict[str, Any]:
        """Return those of the parts, with the class's name."""
        return {
            "features": type(self).__name__,
            "parts": [part.get_config() for part in self._parts],
        }

    def fitted(self, stored: Sequence[np.ndarray]) -> SideBySide:
        """Return one whose parts are fitted."""
        pairs = zip(self._parts, stored, strict=True)
        return SideBySide(*(part.fitted([array]) for part, array in pairs))

    def __call__(self, smiles: Sequence[Any]) -> np.ndarray:
        """Return the features of molecules, float32 of shape (len(smiles), size)."""
        molecules = parse_smiles(smiles)[0]
        columns = [part.decode(part.compute(molecules)) for part in self._parts]
        return np.concatenate(columns, axis=1)

    def __repr__(self) -> str:
        return f"SideBySide({', '.join(map(repr, self._parts))})"


def featurizer_from_config(config: dict[str, Any]) -> Featurizer:
    """Return a featurizer of this module from what its `get_config` gave."""
    options = dict(config)
    kind = {one.__name__: one for one in (Descriptors, MorganCounts, SideBySide)}.get(
        options.pop("features", None)
    )
    if kind is None:
        raise ValueError(
            "Only the featurizers of this package can be made again from a file. "
            f"Received: {config.get('features')!r}"
        )
    if kind is SideBySide:
        return SideBySide(*(featurizer_from_config(part) for part in options["parts"]))
    return kind(**options)


_LOGARITHMS = np.log1p(np.arange(256)).astype(np.float32)


def _value(function: Any, molecule: Any) -> float:
    """Return a descriptor, or NaN where RDKit cannot compute it."""
    try:
        return float(function(molecule))
    except (ValueError, RuntimeError, ZeroDivisionError, OverflowError):
        return math.nan


def _rdkit(module: str) -> Any:
    try:
        return importlib.import_module(f"rdkit.{module}")
    except ImportError as error:
        raise ImportError(
            'Features of molecules need RDKit: pip install "deepchem_meta[molecules]"'
        ) from error
