"""Features of many molecules, each stored once and small, and kept on disk."""

from __future__ import annotations

import functools
import hashlib
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deepchem_meta.tasks._array_cache import kept, mapped
from deepchem_meta.tasks.featurizers import Featurizer
from deepchem_meta.tasks.molecules import read_molecules
from deepchem_meta.tasks.standardizing import Standardizer

__all__ = ["MoleculeFeatures", "Molecules", "in_parallel"]

_CHUNK = 500  # molecules that a process takes at once
_IN_PARALLEL = 5000  # from so many on, more than one process and a progress bar


class Molecules(NamedTuple):
    """Different molecules among many SMILES.

    Attributes
    ----------
    smiles : list of str
        The canonical SMILES of each molecule, in the order in which they first occur.
    number : int64 array of shape (SMILES,)
        The molecule of each SMILES that was given; -1 if it cannot be read.
    reasons : dict of str to str
        Why SMILES cannot be read.
    """

    smiles: list[str]
    number: np.ndarray
    reasons: dict[str, str]

    @classmethod
    def of(
        cls, smiles: Sequence[str], standardizer: Standardizer | None, cache: Path | None
    ) -> Molecules:
        """Read SMILES, each different one once.

        Parameters
        ----------
        smiles : list of str
        standardizer : Standardizer or None
            What is made of each molecule first.
        cache : Path or None
            A folder that keeps what was read.
        """
        texts = list(dict.fromkeys(smiles))

        def make() -> np.ndarray:
            read = functools.partial(_canonical, standardizer=standardizer)
            found = _for_all(read, texts, "Reading molecules")
            lines = "\n".join(line for chunk in found for line in chunk)
            return np.frombuffer(lines.encode(), np.uint8)

        settings = None if standardizer is None else standardizer.settings()
        key = ["canonical SMILES", _digest(texts), settings, _version()]
        stored = make() if cache is None else kept(cache, "smiles", key, make)
        lines = stored.tobytes().decode().split("\n") if texts else []
        numbers: dict[str, int] = {}
        reasons = {t: line[1:] for t, line in zip(texts, lines, strict=True) if line[:1] == "!"}
        of_text = {
            t: -1 if line[:1] == "!" else numbers.setdefault(line, len(numbers))
            for t, line in zip(texts, lines, strict=True)
        }
        number = np.array([of_text[text] for text in smiles], np.int64)
        return cls(list(numbers), number, reasons)


class MoleculeFeatures:
    """Features of different molecules, decoded row by row where they are used.

    It stands in the place of an array of shape (molecules, features): ``features[rows]`` is a
    float32 array.

    Parameters
    ----------
    stored : list of arrays of shape (molecules, size of a part)
        What the parts of the featurizer have computed; memory maps of a cache, for instance.
    featurizer : Featurizer
        Which decodes it, fitted if it needs to be.
    rows : int array of shape (molecules,), optional
        Which rows of the arrays; by default all of them.

    Attributes
    ----------
    shape : tuple of int
        (molecules, features).
    dtype : numpy.dtype
        float32.
    """

    dtype = np.dtype("float32")

    def __init__(self, stored: Sequence[np.ndarray], featurizer: Featurizer, rows: Any = None):
        self._stored = list(stored)
        self.featurizer = featurizer
        self._rows = rows
        molecules = len(self._stored[0]) if rows is None else len(rows)
        self.shape = (molecules, featurizer.size)
        self.ndim = 2

    @classmethod
    def of(
        cls,
        smiles: Sequence[str],
        featurizer: Featurizer,
        cache: Path | None,
    ) -> MoleculeFeatures:
        """Compute the features of different molecules, or find them in a cache.

        Parameters
        ----------
        smiles : list of str
            Canonical SMILES.
        featurizer : Featurizer
            Parts that are to be fitted are fitted to these molecules.
        cache : Path or None
            A folder that keeps the features; None keeps them in memory.
        """
        stored = []
        for part in featurizer.parts:

            def fill(out: np.ndarray, part: Featurizer = part) -> None:
                start = 0
                compute = functools.partial(_compute, part=part)
                for rows in _for_all(compute, smiles, "Featurizing"):
                    out[start : start + len(rows)] = rows
                    start += len(rows)

            shape = (len(smiles), part.size)
            if cache is None:
                array = np.empty(shape, part.storage)
                fill(array)
            else:
                key = ["features", _digest(smiles), part.settings(), _version()]
                array = mapped(cache, "features", key, shape, fill, part.storage)
            stored.append(array)
        return cls(stored, featurizer.fitted(stored))

    def take(self, rows: np.ndarray) -> MoleculeFeatures:
        """Return the features of some molecules, over the same storage."""
        own = rows if self._rows is None else self._rows[rows]
        return MoleculeFeatures(self._stored, self.featurizer, own)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        places = rows if self._rows is None else self._rows[rows]
        pairs = zip(self.featurizer.parts, self._stored, strict=True)
        return np.concatenate([part.decode(array[places]) for part, array in pairs], axis=-1)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[np.arange(len(self))], dtype)

    def __repr__(self) -> str:
        return f"MoleculeFeatures({len(self)} molecules, {self.featurizer!r})"


def _canonical(smiles: Sequence[str], standardizer: Standardizer | None) -> list[str]:
    """Return canonical SMILES, or the reason after a "!" of those that cannot be read."""
    chem = importlib.import_module("rdkit.Chem")
    molecules, reasons = read_molecules(smiles)
    found = []
    for place, molecule in enumerate(molecules):
        if place in reasons:
            found.append("!" + reasons[place])
        else:
            molecule = molecule if standardizer is None else standardizer(molecule)
            found.append(chem.MolToSmiles(molecule) or "!has no atom")
    return found


def _compute(smiles: Sequence[str], part: Featurizer) -> np.ndarray:
    """Return the stored features of canonical SMILES."""
    return part.compute(read_molecules(smiles)[0])


def in_parallel(function: Callable, chunks: Iterable[Any]) -> Iterator[Any]:
    """Yield ``function(chunk)`` in order, in several processes.

    Chunks are taken when they are needed. The processes are joblib's, which comes with
    scikit-learn: they are started afresh, so that neither TensorFlow's threads nor a script without
    ``if __name__ == "__main__"`` is in the way.
    """
    joblib = _joblib()
    jobs = (joblib.delayed(function)(chunk) for chunk in chunks)
    return joblib.Parallel(-1, return_as="generator")(jobs)


def _for_all(function: Callable, smiles: Sequence[str], what: str) -> Iterator[Any]:
    """Yield what a function gives for chunks of SMILES, with a progress bar where it takes long."""
    chunks = [smiles[start : start + _CHUNK] for start in range(0, len(smiles), _CHUNK)]
    if len(smiles) < _IN_PARALLEL:
        yield from map(function, chunks)
        return
    bar = None
    if sys.stdout.isatty():
        import keras  # which the processes need not wait for

        bar = keras.utils.Progbar(len(smiles), unit_name="molecule")
        sys.stdout.write(f"{what}:\n")
    for chunk, result in zip(chunks, in_parallel(function, chunks), strict=True):
        if bar:
            bar.add(len(chunk))
        yield result


def _digest(smiles: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(smiles).encode()).hexdigest()


def _version() -> str:
    return importlib.import_module("rdkit").__version__


def _joblib() -> Any:
    try:
        return importlib.import_module("joblib")
    except ImportError as error:
        raise ImportError(
            "Features of many molecules are computed in several processes by joblib, which comes "
            'with scikit-learn: pip install "deepchem_meta[molecules]"'
        ) from error
