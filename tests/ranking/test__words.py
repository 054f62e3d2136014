"""Counts and rows in words."""

import pytest

from deepchem_meta.ranking._words import counted, enumerated, unreadable
from deepchem_meta.tasks._molecule_tables import DroppedRow


def test_counts():
    assert [counted(n, "row") for n in (0, 1, 2, 1200)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "1,200 rows",
    ]
    assert [counted(n, "row has", "rows have") for n in (1, 2)] == ["1 row has", "2 rows have"]


@pytest.mark.parametrize(
    ("parts", "text"), [([], ""), ([2], "2"), ([2, 8], "2 and 8"), ([2, 8, 9], "2, 8 and 9")]
)
def test_lists(parts, text):
    assert enumerated(parts) == text


def test_rows_that_cannot_be_read():
    said = [
        unreadable(DroppedRow(19, " ", "is missing")),
        unreadable(DroppedRow(7, "C(", "cannot be read by RDKit")),
        unreadable(DroppedRow(3, "CC", "the row has 2 cells instead of 3")),
    ]
    assert said == [
        "line 19: the SMILES is missing",
        "line 7: 'C(' cannot be read by RDKit",
        "line 3: the row has 2 cells instead of 3",
    ]
