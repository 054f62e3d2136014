"""Features of different molecules, in memory and on disk."""

import numpy as np
import pytest

pytest.importorskip("rdkit")

from deepchem_meta.tasks import Descriptors, MorganCounts, SideBySide, Standardizer
from deepchem_meta.tasks import molecule_features as module
from deepchem_meta.tasks.molecule_features import MoleculeFeatures, Molecules

GIVEN = ["CCO", "OCC", "c1ccccc1", "nonsense", "CCO", "CC(=O)[O-].[Na+]", "CC(=O)O", ""]


@pytest.mark.parametrize("cached", [False, True])
def test_different_molecules(tmp_path, cached):
    for _ in range(2):
        found = Molecules.of(GIVEN, None, tmp_path if cached else None)
        assert found.smiles == ["CCO", "c1ccccc1", "CC(=O)[O-].[Na+]", "CC(=O)O"]
        assert found.number.tolist() == [0, 0, 1, -1, 0, 2, 3, -1]
        assert found.reasons == {"nonsense": "cannot be read by RDKit", "": "is missing"}
    assert len(list(tmp_path.iterdir())) == cached
    same = Molecules.of(GIVEN, Standardizer(), tmp_path if cached else None)
    assert same.number.tolist() == [0, 0, 1, -1, 0, 2, 2, -1]


@pytest.mark.parametrize("cached", [False, True])
def test_features_are_the_featurizers(tmp_path, cached):
    smiles = ["CCO", "c1ccccc1", "CC(=O)O"]
    featurizer = SideBySide(MorganCounts(64), Descriptors(["MolWt", "TPSA"]))
    found = MoleculeFeatures.of(smiles, featurizer, tmp_path if cached else None)
    assert found.shape == (3, 66) and len(found) == 3 and found.dtype == np.float32
    wanted = found.featurizer(smiles)
    np.testing.assert_array_equal(np.asarray(found), wanted)
    rows = np.array([[2, 0], [1, 1]])
    np.testing.assert_array_equal(found[rows], wanted[rows])
    part = found.take(np.array([2, 1])).take(np.array([1, 0, 0]))
    np.testing.assert_array_equal(part[np.arange(3)], wanted[[1, 2, 2]])
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == (
        ["features"] * 2 if cached else []
    )


def test_a_cache_is_used_by_its_content_and_settings(tmp_path, monkeypatch):
    computed = []
    whole = MorganCounts.compute
    monkeypatch.setattr(
        MorganCounts, "compute", lambda self, m: computed.append(len(m)) or whole(self, m)
    )
    for _ in range(2):
        MoleculeFeatures.of(["CCO", "CC"], MorganCounts(64), tmp_path)
    MoleculeFeatures.of(["CCO", "CCC"], MorganCounts(64), tmp_path)
    MoleculeFeatures.of(["CCO", "CC"], MorganCounts(64, radius=1), tmp_path)
    assert computed == [2, 2, 2]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-3])  # damaged
    found = MoleculeFeatures.of(["CCO", "CC"], MorganCounts(64), tmp_path)
    assert computed == [2, 2, 2, 2]
    np.testing.assert_array_equal(np.asarray(found), MorganCounts(64)(["CCO", "CC"]))


def test_a_featurizer_fitted_elsewhere():
    train = MoleculeFeatures.of(["CCO", "CC", "CCCC"], Descriptors(["MolWt"]), None)
    test = MoleculeFeatures.of(["CCC"], train.featurizer, None)
    assert test.featurizer is train.featurizer
    # 44.10 lies between 30.07 and 46.07, whose quantiles are the first and the 51st of 101.
    assert float(test[np.array([0])][0, 0]) == pytest.approx(2 * 44 / 101 - 1)


@pytest.mark.slow
def test_in_several_processes(monkeypatch):
    smiles = ["C" * n for n in range(1, 41)]
    wanted = np.asarray(MoleculeFeatures.of(smiles, MorganCounts(64), None))
    monkeypatch.setattr(module, "_IN_PARALLEL", 10)
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert Molecules.of(smiles, None, None).smiles == smiles
    found = MoleculeFeatures.of(smiles, MorganCounts(64), None)
    np.testing.assert_array_equal(np.asarray(found), wanted)
