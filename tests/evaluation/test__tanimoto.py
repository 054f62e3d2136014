import numpy as np
import pytest

from deepchem_meta.evaluation._tanimoto import tanimoto

RNG = np.random.default_rng(0)
BITS = (RNG.random((150, 40)) < 0.2).astype("float64")


def test_tanimoto_is_rdkits():
    data_structs = pytest.importorskip("rdkit.DataStructs")
    vectors = []
    counts = RNG.integers(0, 4, (9, 30))
    for row in counts:
        vector = data_structs.UIntSparseIntVect(30)
        for place, count in enumerate(row):
            vector[place] = int(count)
        vectors.append(vector)
    expected = [data_structs.BulkTanimotoSimilarity(v, vectors) for v in vectors]
    np.testing.assert_allclose(tanimoto(counts, counts), expected, rtol=1e-12)
    assert tanimoto(np.zeros((1, 3)), np.array([[0, 0, 0], [1, 0, 0]])).tolist() == [[1, 0]]


def test_many_rows_are_compared_in_parts():
    a, b = BITS[:5], BITS
    union = np.maximum(a[:, None], b[None]).sum(-1)
    expected = np.minimum(a[:, None], b[None]).sum(-1) / union
    np.testing.assert_allclose(tanimoto(a, b), expected, rtol=1e-12)


def test_nothing_is_like_nothing():
    assert tanimoto(np.zeros((0, 3)), np.ones((2, 3))).shape == (0, 2)
