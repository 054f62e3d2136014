"""The cells that are added to a candidate's."""

import numpy as np
import pytest
from molecules_small import write

pytest.importorskip("rdkit")

from deepchem_meta.ranking import Predictions, read_measured
from deepchem_meta.ranking._added import AddedCells

ROWS = [("A", "C[C@H](N)O", ">10000"), ("B", "C[C@@H](N)O", 10), ("C", "CCF", 10), ("D", "CCl", 1)]


@pytest.fixture
def measured(tmp_path):
    return read_measured(write(tmp_path / "ten.csv", "name,smiles,IC50 (nM)", ROWS))


def predictions(similarity, nearest=0):
    one = np.array([6.0])
    return Predictions(one, one - 1, one + 1, np.array([nearest]), np.array([similarity]))


def test_names_are_prefixed_until_they_are_unique(measured):
    columns = AddedCells(measured, ["smiles"]).columns
    assert columns == [
        *("value", "lower", "upper", "nearest", "nearest_name", "similarity", "measured"),
        "warning",
    ]
    added = AddedCells(measured, ["smiles", "rank", "value", "predicted_value"])
    assert added.rank == "predicted_rank" and added.columns[0] == "predicted_predicted_value"
    assert added.columns[1:] == columns[1:]


def test_a_measured_candidate_is_its_own_nearest_with_its_sign(measured):
    added = AddedCells(measured, ["smiles"])
    # Fingerprints give the first of the two stereoisomers for either.
    assert added.of(measured.canonical[1], predictions(1.0), 0) == [
        *("6.0000", "5.0000", "7.0000", "C[C@@H](N)O", "B", "1.000", "8", ""),
    ]
    assert added.of(measured.canonical[0], predictions(1.0), 0)[-2:] == ["<5", ""]


def test_a_candidate_that_a_tie_has_left_out(tmp_path):
    rows = [("CCO", 1), ("CCCO", 1), ("CCN", 0), ("CCCN", 0), ("CCS", 0), ("SCC", 1)]
    added = AddedCells(read_measured(write(tmp_path / "a.csv", "smiles,active", rows)), ["smiles"])
    cells = added.of("CCS", predictions(0.5), 0)
    assert cells[-2:] == ["", "measured, and left out: as many labels of either class"]


@pytest.mark.parametrize(
    ("similarity", "warning"),
    [
        (1.0, "not told apart from the nearest compound: a stereoisomer, for instance"),
        (1 - 1e-15, "not told apart from the nearest compound: a stereoisomer, for instance"),
        (0.9996, ""),
        (0.25, ""),
        (0.2499, "nothing similar was measured"),
    ],
)
def test_warnings(similarity, warning, measured):
    cells = AddedCells(measured, ["smiles"]).of("CC(N)O", predictions(similarity), 0)
    assert cells[-2:] == ["", warning] and cells[4] == "A"
