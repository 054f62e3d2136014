"""Which columns hold the SMILES and the names."""

import pytest

from deepchem_meta.ranking._columns import find_names, find_smiles

MOLECULES = ["CCOC(=O)C", "c1ccccc1O", "CC(C)CCN"]


@pytest.mark.parametrize(
    ("columns", "rows", "place"),
    [
        (["id", "SMILES"], [["A1", m] for m in MOLECULES], 1),
        (["my_smiles_here", "n"], [[m, "1"] for m in MOLECULES], 0),
        (["compound", "x"], [["A1", m] for m in MOLECULES], 1),  # named so, but no SMILES
        (["a", "b", "c"], [["C", "12", m] for m in MOLECULES], 2),  # "C" may be chance
    ],
)
def test_smiles_by_name_or_content(columns, rows, place):
    pytest.importorskip("rdkit")
    assert find_smiles("f.csv", columns, rows, None) == place


def test_smiles_that_are_not_there():
    pytest.importorskip("rdkit")
    rows = [["x1", "y1"], ["x2", "y2"]]
    with pytest.raises(ValueError, match="a column must hold SMILES. Received: the columns"):
        find_smiles("f.csv", ["a", "b"], rows, None)
    with pytest.raises(ValueError, match="the column 'smiles' must hold SMILES. Received: 'x1'"):
        find_smiles("f.csv", ["smiles", "b"], rows, None)
    with pytest.raises(ValueError, match="must be one of 'a', 'b'. Received: 'c'"):
        find_smiles("f.csv", ["a", "b"], rows, "c")
    with pytest.raises(ValueError, match="no cell that is not blank"):
        find_smiles("f.csv", ["a", "b"], [["", "x"]], "a")


def test_a_first_line_that_is_a_row():
    pytest.importorskip("rdkit")
    for name in ("CCO", "c1ccccc1O"):  # "CN" may be a name
        with pytest.raises(ValueError, match="first line must name the columns.*which is a molec"):
            find_smiles("f.csv", [name, "1"], [[m, "1"] for m in MOLECULES], None)
    rows = [[m, "1"] for m in MOLECULES]
    assert find_smiles("f.csv", ["CN", "1"], rows, None) == 0
    assert find_smiles("f.csv", ["CCO", "1"], rows, "CCO") == 0


@pytest.mark.parametrize(
    ("columns", "cells", "names"),
    [
        (["lot", "Compound Name"], [["x", "a"], ["y", "b"], ["z", ""]], ["a", "b", ""]),
        (["name", "compoundId"], [["a", "7"], ["b", "8"], ["c", "9"]], ["7", "8", "9"]),
        (["name", "lot"], [["acid", "x"], ["acid", "y"], ["acid", "z"]], ["x", "y", "z"]),
        (["mass", "lot"], [["1.5", "x"], ["2.5", "y"], ["3.5", "z"]], ["x", "y", "z"]),
        (["mass", "lot"], [["1.5", "x"], ["2.5", "x"], ["3.5", "z"]], ["", "", ""]),
        (["kingdom", "lot"], [["k", ""], ["l", "y"], ["l", "z"]], ["", "", ""]),
    ],
)
def test_names_by_the_name_of_the_column_or_its_cells(columns, cells, names):
    rows = [[smiles, *row] for smiles, row in zip(MOLECULES, cells, strict=True)]
    assert find_names(["smiles", *columns], rows, {0}) == names
