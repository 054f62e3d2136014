"""The encoder that comes with the package."""

from __future__ import annotations

import functools
from pathlib import Path

from deepchem_meta.pretrained.encoder import AssayEncoder

__all__ = ["load"]


def load() -> AssayEncoder:
    """Return the encoder that comes with the package, trained on FS-Mol's 4,900 training assays.

    Nothing is downloaded. `AssayEncoder.about` has its card: what it was trained on, what it scores
    on assays that it has not seen, and the licence of the data, CC BY-SA 3.0.

    Returns
    -------
    AssayEncoder

    Examples
    --------
    >>> import deepchem_meta as dc
    >>> encoder = dc.pretrained.load()
    >>> aspirin, caffeine = "CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"
    >>> encoder.embed([aspirin, caffeine]).shape == (2, encoder.size)
    True

    References
    ----------
    Stanley, M., et al. (2021). FS-Mol: a few-shot learning dataset of molecules. NeurIPS Datasets
    and Benchmarks.
    """
    shipped = _load()
    return AssayEncoder(shipped.featurizer, shipped.nets, shipped.about, shipped.heads)


@functools.cache
def _load() -> AssayEncoder:
    return AssayEncoder.load(Path(__file__).with_name("fs_mol.npz"))
