"""Which columns hold the SMILES and the results."""

import pytest

from deepchem_meta.ranking._columns import find_names, find_result, find_smiles

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


ROWS = [[m, v, n] for m, v, n in zip(MOLECULES, ("5.1", "6.2", "7.0"), "120", strict=True)]


def test_the_only_column_or_the_one_that_is_called_a_result():
    assert find_result("f.csv", ["smiles", "y"], [row[:2] for row in ROWS], 0, None, None)[0] == 1
    assert find_result("f.csv", ["smiles", "pIC50", "n"], ROWS, 0, None, None)[0] == 1
    assert find_result("f.csv", ["smiles", "pIC50", "n"], ROWS, 0, "n", None)[0] == 2


def test_several_or_none():
    with pytest.raises(ValueError, match="name it .* Received: 'y', 'n' of the columns"):
        find_result("f.csv", ["smiles", "y", "n"], ROWS, 0, None, None)
    with pytest.raises(ValueError, match="Received: none of the columns"):
        find_result("f.csv", ["smiles"], [[m] for m in MOLECULES], 0, None, None)
    with pytest.raises(ValueError, match="the column of results must be one of"):
        find_result("f.csv", ["smiles", "y", "n"], ROWS, 0, "z", None)


def test_a_column_called_a_result_that_is_none_is_told():
    words = [[m, "good" * n, "1"] for n, m in enumerate(MOLECULES, 1)]
    with pytest.raises(ValueError, match="activity"):
        find_result("f.csv", ["smiles", "activity", "n"], words, 0, None, None)


def test_numbers_with_commas_are_told_of_where_nothing_else_is_a_result():
    rows = [[m, v, "x"] for m, v in zip(MOLECULES, ("5,1", "6,2", "7,0"), strict=True)]
    with pytest.raises(ValueError, match="numbers in 'y' must be written with a point"):
        find_result("f.csv", ["smiles", "y", "note"], rows, 0, None, None)
    rows = [[*row[:2], str(n)] for n, row in enumerate(rows)]
    assert find_result("f.csv", ["smiles", "y", "n"], rows, 0, None, None)[0] == 2


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
