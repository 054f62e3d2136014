"""Features that are stored small, against RDKit and SciPy."""

import numpy as np
import pytest

pytest.importorskip("rdkit")
from rdkit import Chem
from rdkit.Chem import Descriptors as OfRDKit
from rdkit.Chem import rdFingerprintGenerator
from scipy.stats import rankdata

from deepchem_meta.tasks import Descriptors, MorganCounts, SideBySide, morgan_fingerprints

SMILES = ["CCO", "c1ccccc1C(=O)O", "C" * 300, "CC(N)C(=O)O", "Clc1ccncc1", "O=C([O-])C.[Na+]"]
MOLECULES = [Chem.MolFromSmiles(text) for text in SMILES]


def test_counts_are_rdkits_and_end_at_255():
    stored = MorganCounts(512).compute(MOLECULES)
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=512)
    wanted = np.stack([generator.GetCountFingerprintAsNumPy(m) for m in MOLECULES])
    assert stored.dtype == np.uint8 and wanted.max() > 255
    np.testing.assert_array_equal(stored, np.minimum(wanted, 255))
    short = [text for text in SMILES if len(text) < 100]
    np.testing.assert_allclose(MorganCounts()(short), morgan_fingerprints(short), rtol=1e-6)


def test_pharmacophores_are_other_features():
    generator = rdFingerprintGenerator.GetMorganGenerator(
        radius=1,
        fpSize=64,
        atomInvariantsGenerator=rdFingerprintGenerator.GetMorganFeatureAtomInvGen(),
    )
    wanted = np.log1p(generator.GetCountFingerprintAsNumPy(MOLECULES[1]))
    found = MorganCounts(64, radius=1, pharmacophores=True)([SMILES[1]])[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_descriptors_are_rdkits():
    names = ["MolWt", "TPSA", "NumRotatableBonds", "MaxPartialCharge"]
    stored = Descriptors(names).compute(MOLECULES)
    for column, name in enumerate(names):
        wanted = [getattr(OfRDKit, name)(molecule) for molecule in MOLECULES]
        np.testing.assert_allclose(stored[:, column], np.float32(wanted), rtol=1e-6)
    assert Descriptors().size == len(OfRDKit.descList)


def test_descriptors_become_places_in_their_distribution():
    rng = np.random.default_rng(0)
    stored = np.exp(rng.normal(size=(2000, 2))).astype(np.float32)
    stored[:, 1] = np.where(rng.random(2000) < 0.9, 0, stored[:, 1])  # mostly 0
    fitted = Descriptors(["MolWt", "TPSA"]).fitted([stored])
    found = fitted.decode(stored)
    wanted = 2 * rankdata(stored, axis=0) / 2000 - 1
    np.testing.assert_allclose(found, wanted, atol=0.02)
    odd = fitted.decode(np.array([[np.nan, np.inf], [-np.inf, np.nan]], np.float32))
    np.testing.assert_allclose(odd, [[0, 1], [-1, 0]])
    again = Descriptors(fitted.names, quantiles=fitted.quantiles)
    np.testing.assert_array_equal(again.decode(stored), found)
    assert again.fitted([stored[:5]]) is again  # a test source does not fit it anew


def test_all_of_rdkits_descriptors_are_finite_where_they_are_used():
    featurizer = Descriptors()
    fitted = featurizer.fitted([featurizer.compute(MOLECULES)])
    found = fitted(SMILES)
    assert np.isfinite(found).all() and abs(found).max() <= 1


def test_side_by_side():
    both = SideBySide(MorganCounts(32), SideBySide(Descriptors(["MolWt"]), MorganCounts(8)))
    assert [part.size for part in both.parts] == [32, 1, 8] and both.size == 41
    stored = [part.compute(MOLECULES) for part in both.parts]
    found = both.fitted(stored)(SMILES)
    np.testing.assert_array_equal(found[:, :32], MorganCounts(32)(SMILES))
    assert found.shape == (6, 41) and found[2, 32] > found[0, 32]


def test_bad_input_is_told():
    with pytest.raises(ValueError, match=r"descriptors that RDKit lists. Received: \['nonsense'\]"):
        Descriptors(["MolWt", "nonsense"])
    with pytest.raises(ValueError, match="must be fitted"):
        Descriptors(["MolWt"])(SMILES)
    with pytest.raises(TypeError, match="`parts` must be featurizers"):
        SideBySide(3)
    with pytest.raises(ValueError, match="Every SMILES must be readable"):
        MorganCounts()(["nonsense"])
