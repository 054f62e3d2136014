"""Units of results in a column of their own."""

import pytest

from deepchem_meta.ranking._units_beside import with_units
from deepchem_meta.tasks._text_tables import Cells


def units(columns, *rows, unit=None):
    """Return the cells of the first column."""
    return with_units("f.csv", Cells(columns, [list(row) for row in rows], [2, 3]), 0, unit)


@pytest.mark.parametrize(
    ("name", "other"),
    [("value", "unit"), ("Standard Value", "Standard Units"), ("Ki", "Ki unit"), ("IC50", "UOM")],
)
def test_units_stand_beside_numbers(name, other):
    assert units([name, other], (">10", "nM"), ("n.d.", "nM")) == [">10 nM", "n.d."]
    assert units([name, other], ("10", "nM"), ("5", "")) == ["10 nM", "5"]


@pytest.mark.parametrize("name", ["pIC50", "IC50 (uM)", "% inhibition"])
def test_names_that_say_what_the_numbers_are_come_first(name):
    assert units([name, "unit"], ("1.5", "nM"), ("5", "nM")) == ["1.5", "5"]


def test_labels_have_no_unit():
    assert units(["active", "unit"], ("1", "nM"), ("0", "nM")) == ["1", "0"]


def test_units_of_something_else_are_in_doubt():
    rows = ("10", "nM"), ("5", "nM")
    with pytest.raises(ValueError, match="the unit of 'value' must be known.*'dose unit'"):
        units(["value", "dose unit"], *rows)
    assert units(["value", "dose unit"], *rows, unit="nM") == ["10", "5"]
    assert units(["value", "unit"], ("10", ""), ("5", "")) == ["10", "5"]
