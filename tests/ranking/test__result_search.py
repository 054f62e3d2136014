"""Which column holds the results."""

import pytest

from deepchem_meta.ranking._result_search import find_result
from deepchem_meta.tasks._text_tables import Cells

MOLECULES = ["CCOC(=O)C", "c1ccccc1O", "CC(C)CCN"]


def find(columns, rows, name=None, unit=None):
    """Return the place of the results and what they are; SMILES are first, and line 1 the names."""
    table = Cells(columns, rows, list(range(2, 2 + len(rows))))
    return find_result("f.csv", table, 0, name, unit)


def table(**columns):
    """Return the names of columns after that of SMILES, and their rows."""
    rows = [list(row) for row in zip(MOLECULES, *columns.values(), strict=True)]
    return ["smiles", *columns], rows


ROWS = [[m, v, n] for m, v, n in zip(MOLECULES, ("5.1", "6.2", "7.0"), "120", strict=True)]


def test_the_only_column_or_the_one_that_is_called_a_result():
    assert find(["smiles", "y"], [row[:2] for row in ROWS])[0] == 1
    assert find(["smiles", "pIC50", "n"], ROWS)[0] == 1
    assert find(["smiles", "pIC50", "n"], ROWS, "n")[0] == 2


def test_several_or_none():
    with pytest.raises(ValueError, match="name it .* Received: 'y', 'n' of the columns"):
        find(["smiles", "y", "n"], ROWS)
    with pytest.raises(ValueError, match="Received: none of the columns"):
        find(["smiles"], [[m] for m in MOLECULES])
    with pytest.raises(ValueError, match="the column of results must be one of"):
        find(["smiles", "y", "n"], ROWS, "z")


def test_a_column_called_a_result_that_is_none_is_told():
    words = [[m, "good" * n, "1"] for n, m in enumerate(MOLECULES, 1)]
    with pytest.raises(ValueError, match="activity"):
        find(["smiles", "activity", "n"], words)


def test_numbers_with_commas_are_told_of_where_nothing_else_is_a_result():
    rows = [[m, v, "x"] for m, v in zip(MOLECULES, ("5,1", "6,2", "7,0"), strict=True)]
    with pytest.raises(ValueError, match="numbers in 'y' must be written with a point"):
        find(["smiles", "y", "note"], rows)
    rows = [[*row[:2], str(n)] for n, row in enumerate(rows)]
    with pytest.raises(ValueError, match="numbers in 'y' must be written with a point"):
        find(["smiles", "y", "n"], rows)
    rows = [[*row, str(4.5 + n)] for n, row in enumerate(rows)]
    assert find(["smiles", "y", "n", "pKi"], rows)[0] == 3


@pytest.mark.parametrize("name", ["id", "MW", "comment", "MeanKi", "docking score", "p-value"])
def test_numbers_under_another_name_are_not_taken_in_silence(name):
    columns, rows = ["smiles", name], [row[:2] for row in ROWS]
    with pytest.raises(ValueError, match="one column must hold labels or values; name it"):
        find(columns, rows)
    assert find(columns, rows, name)[0] == 1


def test_refused_columns_are_told_with_the_reason():
    columns, rows = table(id="123", comment=["active", "dead", "active"])
    with pytest.raises(ValueError, match="'id' of the columns.*'comment' must.*'dead' on line 3"):
        find(columns, rows)
    # The column of results is bad, and the other one is no way out.
    columns, rows = table(salt="101", **{"Assay outcome": ["1", "bad", "0"]})
    with pytest.raises(ValueError, match="'Assay outcome' must hold labels.*'bad' on line 3"):
        find(columns, rows)


def test_labels_under_any_name_are_taken_if_they_are_the_only_ones():
    columns, rows = table(mass=["1.5", "2.5", "3.5"], blocks_channel=["yes", "no", "no"])
    place, found = find(columns, rows)
    assert place == 2 and found.values.tolist() == [1, 0, 0]


def test_a_word_for_results_anywhere_in_the_name():
    columns, rows = table(MW=["301", "302", "303"], **{"KDR pIC50": ["5.1", "6.2", "7.0"]})
    assert find(columns, rows)[0] == 2
    columns, rows = table(id="123", inhibition=["45%", "9 %", "<5%"])
    place, found = find(columns, rows)
    assert place == 2 and found.values.tolist() == [45, 9, 5] and found.signs == ["", "", "<"]
    assert found.unit is None


@pytest.mark.parametrize("name", ["6.5", "<5", "1", "inactive", "No"])
def test_a_first_line_that_is_a_row(name):
    cells = ["1", "0", "1"] if name in ("1", "inactive", "No") else ["5.1", "6.2", "7.0"]
    columns, rows = table(**{name: cells})
    with pytest.raises(ValueError, match=r"first line must name the columns|one column must hold"):
        find(columns, rows)
    assert find(columns, rows, name)[0] == 1


def test_a_column_of_units_beside_the_values():
    columns, rows = table(**{"Standard Value": ["10", "1000", "10"], "Standard Units": ["nM"] * 3})
    assert find(columns, rows)[1].values.tolist() == pytest.approx([8, 6, 8])
    columns, rows = table(value=["10", "", "10"], unit=["nM", "", "uM"])
    with pytest.raises(ValueError, match="same unit. Received: 1 cell of nM, 1 cell of uM"):
        find(columns, rows)
    columns, rows = table(value=["10", "5", "10"], unit=["%"] * 3)
    assert find(columns, rows)[1].values.tolist() == [10, 5, 10]
    columns, rows = table(value=["10", "5", "10"], unit=["ug.mL-1"] * 3)
    with pytest.raises(ValueError, match="'10 ug.mL-1' on line 2"):
        find(columns, rows)
