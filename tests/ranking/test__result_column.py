import numpy as np
import pytest

from deepchem_meta.ranking._result_column import SeparatorError, read_result_column


def read(*cells, name="result", unit=None):
    return read_result_column("ten.csv", name, cells, unit)


@pytest.mark.parametrize(
    "cells",
    [
        ("1", "0", "1"),
        ("1.0", "0.0", "1.0"),
        ("active", "Inactive", "ACTIVE"),
        ("yes", "no", "yes"),
        ("TRUE", "FALSE", "TRUE"),
        ("+", "-", "+"),
    ],
)
def test_labels(cells):
    found = read(*cells, "", "n.d.")
    assert found.task_type == "classification" and found.unit is None
    np.testing.assert_array_equal(found.values, [1, 0, 1, np.nan, np.nan])


def test_values_and_bounds():
    found = read("6.5", " 7 ", "<4.5", "-", "5e0", name="pIC50")
    assert found.task_type == "regression" and found.unit is None
    np.testing.assert_array_equal(found.values, [6.5, 7, 4.5, np.nan, 5])
    assert found.signs == ["", "", "<", "", ""]


@pytest.mark.parametrize(
    ("name", "cells", "unit"),
    [
        ("IC50 (nM)", ("10", "1000"), None),
        ("ic50_nM", ("10", "1000"), None),
        ("Ki [nM]", ("10", "1000"), None),
        ("IC50, nmol/L", ("10", "1000"), None),
        ("IC50", ("10", "1000"), "nM"),
        ("IC50", ("10 nM", "1000nM"), None),
        ("IC50 (uM)", ("0.01", "1"), None),
        ("IC50", ("0.01 µM", "1 μM"), None),
        ("IC50", ("1e-8 M", "1e-6 M"), None),
        ("IC50 (mM)", ("1e-5", "1e-3 mM"), None),
    ],
)
def test_concentrations_become_negative_logarithms(name, cells, unit):
    cells = cells if "1e-3 mM" not in cells else ("1e-5 mM", "1e-3 mM")
    found = read(*cells, name=name, unit=unit)
    assert found.task_type == "regression" and found.unit is not None
    np.testing.assert_allclose(found.values, [8.0, 6.0], rtol=1e-12)


def test_a_bound_of_a_concentration():
    # More than 10 uM is less than 5, and less than 1 uM is more than 6.
    found = read("5 uM", ">10 uM", "≤ 1 uM", "~1 uM", "<NA>", name="IC50")
    np.testing.assert_allclose(found.values, [5.30103, 5, 6, 6, np.nan], rtol=1e-6)
    assert found.signs == ["", "<", ">", "~", ""]


def test_a_blank_after_the_sign():
    found = read("> 10000 nM", "<  1.5 nM", "12nM", name="IC50")
    np.testing.assert_allclose(found.values, [5, 8.823909, 7.920819], rtol=1e-6)
    assert found.signs == ["<", ">", ""]
    assert read("> 10", "< 5", name="pIC50").signs == [">", "<"]


@pytest.mark.parametrize("cell", ["> 10,000", "1,4", "10 000", "1,234.5", "10'000", "> 10,000 nM"])
def test_commas_and_thousands_separators_are_refused_with_the_reason(cell):
    with pytest.raises(SeparatorError, match="with a point, and without thousands separators"):
        read(cell, "12.5", name="IC50 (nM)")


@pytest.mark.parametrize("cell", ["2,4-dinitrophenol", "high", "1,", "5-6"])
def test_words_are_no_numbers_with_separators(cell):
    with pytest.raises(ValueError, match="must hold labels") as caught:
        read(cell, "12.5")
    assert not isinstance(caught.value, SeparatorError)


@pytest.mark.parametrize(
    ("name", "cells", "unit", "message"),
    [
        ("IC50", ("10 nM", "10 uM"), None, "the same unit. Received: 1 cell of nM, 1 cell of uM"),
        ("IC50", ("10 nM", "10"), None, "the same unit"),
        ("IC50 (nM)", ("10 uM", "2 uM"), None, "the same in its cells, its name and `unit`"),
        ("IC50 (nM)", ("10", "2"), "uM", "the same in its cells, its name and `unit`"),
        ("IC50", ("10", "2"), None, "the unit of the concentrations in 'IC50' must be known"),
        ("Ki", ("10", "2"), None, "must be known"),
        ("IC50", ("10 mg", "2 mg"), None, "must be one of M, mM, uM, nM, pM, fM. Received: 'mg'"),
        ("IC50 (nM)", ("0", "2"), None, "must be above 0"),
        ("IC50", ("1", "2"), "kg", "`unit` must be one of"),
        (
            "result",
            ("high", "low"),
            None,
            "must hold labels .* or numbers. Received: 'high', 'low'",
        ),
        ("result", ("", "-"), None, "must hold results. Received: none"),
    ],
)
def test_wrong_columns_are_named(name, cells, unit, message):
    with pytest.raises(ValueError, match=message):
        read(*cells, name=name, unit=unit)
