import numpy as np
import pytest

from deepchem_meta.tasks._molecule_tables import check_reading, featurize
from deepchem_meta.tasks.tables import AssayTable

pytest.importorskip("rdkit")

TABLE = AssayTable(
    smiles=["OCC", "C1CC(", "[CH3:1]CO", "C O"],
    names=["A"],
    y=np.float64([[1], [0], [np.nan], [1]]),
    lines=[2, 3, 7, 8],
    left_out={},
    qualified={},
)


def test_rows_that_can_be_read():
    rows = featurize(TABLE, None, "drop")
    assert rows.smiles == ["OCC", "[CH3:1]CO"] and rows.canonical == ["CCO", "CCO"]
    assert rows.x.shape == (2, 2048) and rows.lines.tolist() == [2, 7]
    np.testing.assert_array_equal(rows.x[0], rows.x[1])
    np.testing.assert_array_equal(rows.y, [[1], [np.nan]])
    assert [row[:2] for row in rows.dropped] == [(3, "C1CC("), (8, "C O")]
    assert [row.reason.split()[0] for row in rows.dropped] == ["cannot", "has"]


def test_rows_that_cannot():
    message = r"2 of 4 that are not: line 3: 'C1CC\(' cannot .*, line 8: 'C O' has a blank inside"
    with pytest.raises(ValueError, match=message):
        featurize(TABLE, None, "raise")
    nothing = TABLE._replace(smiles=["", "x", "C C", "%"])
    with pytest.raises(ValueError, match=r"as long as some remain\).* 4 of 4"):
        featurize(nothing, None, "drop")


def test_features_are_checked():
    with pytest.raises(ValueError, match=r"`featurizer` must give .* 2 molecules.* \(3, 5\)$"):
        featurize(TABLE, lambda smiles: np.ones((3, 5)), "drop")
    with pytest.raises(ValueError, match="NaN"):
        featurize(TABLE, lambda smiles: np.full((2, 5), np.nan), "drop")
    with pytest.raises(TypeError, match="`featurizer` must be a function"):
        check_reading(2048, "drop")
    with pytest.raises(ValueError, match="`on_error` must be one of"):
        check_reading(None, "ignore")
