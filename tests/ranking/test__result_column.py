import numpy as np
import pytest

from deepchem_meta.ranking._result_column import Column, SeparatorError, read_result_column


def read(*cells, name="result", unit=None):
    column = Column("ten.csv", name, cells, range(2, 2 + len(cells)))
    return read_result_column(column, unit)


@pytest.mark.parametrize(
    "cells",
    [
        ("1", "0", "1"),
        ("1.0", "0.0", "1.0"),
        ("active", "Inactive", "ACTIVE"),
        ("yes", "no", "yes"),
        ("TRUE", "FALSE", "TRUE"),
        ("+", "-", "+"),
        ("1.00", "0.00", "1"),
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
        ("IC50 (nM)", ("0", "2"), None, "must be above 0. Received: '0' on line 2"),
        ("IC50", ("1", "2"), "kg", "`unit` must be one of"),
        (
            "result",
            ("high", "low"),
            None,
            "must hold labels .* or numbers; .* Received: 'high' on line 2, 'low' on line 3",
        ),
        ("result", ("", "-"), None, "must hold results. Received: none"),
    ],
)
def test_wrong_columns_are_named(name, cells, unit, message):
    with pytest.raises(ValueError, match=message):
        read(*cells, name=name, unit=unit)


@pytest.mark.parametrize(
    "name",
    [
        *("hERG IC50", "BRAF_IC50", "Mean IC50", "apparent Ki", "IC50 at 10 uM ATP", "topIC50"),
        *("IC50_2_nM", "conc. avg"),
    ],
)
def test_concentrations_under_any_name_need_a_unit(name):
    with pytest.raises(ValueError, match="the unit of the concentrations in .* must be known"):
        read("10", "1000", name=name)
    np.testing.assert_allclose(read("10", "1000", name=name, unit="nM").values, [8, 6])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *(("Potency (nm)", [8, 6]), ("Activity_nM_mean", [8, 6]), ("conc. [nM] avg", [8, 6])),
        ("Inhibitory concentration nanomolar", [8, 6]),
        *(("IC50 (\u00b5mol/L)", [5, 3]), ("IC50 (\u03bcmol/L)", [5, 3])),
    ],
)
def test_units_anywhere_in_the_name(name, values):
    np.testing.assert_allclose(read("10", "1000", name=name).values, values, rtol=1e-12)


@pytest.mark.parametrize("mu", ["\u00b5", "\u03bc", "u"])
def test_either_mu_in_cells(mu):
    np.testing.assert_allclose(read(f"10 {mu}mol/L", f"1{mu}mol/l", name="IC50").values, [5, 6])


@pytest.mark.parametrize("name", ["pIC50 (M)", "pIC50 (-log M)", "pKi [M]", "-log IC50 (M)"])
def test_negative_logarithms_are_left_as_they_are(name):
    found = read("5.5", "9", name=name)
    assert found.values.tolist() == [5.5, 9] and found.unit is None and found.logarithmic
    with pytest.raises(ValueError, match="must fit its name, which says negative logarithms"):
        read("5.5", "9", name=name, unit="nM")
    with pytest.raises(ValueError, match="must fit its name"):
        read("5.5 nM", "9 nM", name=name)


@pytest.mark.parametrize("name", ["% inhibition at 10 uM", "inhibition_10_uM", "% inh (1 µM)"])
def test_percentages_at_a_concentration(name):
    found = read("45", "90", name=name)
    assert found.values.tolist() == [45, 90] and found.unit is None and not found.logarithmic
    with pytest.raises(ValueError, match="must fit its name, which says percentages"):
        read("45 nM", "90 nM", name=name)


@pytest.mark.parametrize("name", ["logIC50", "pIC50 (nM)", "Inhibition (nM)", "emission (nm)"])
def test_names_that_leave_the_direction_in_doubt(name):
    with pytest.raises(ValueError, match="must say what it holds"):
        read("5.5", "9", name=name)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        *(("active", ("1", "2")), ("label", ("-1", "1")), ("class", ("0", "1", "2"))),
        *(("activity", ("1", "2", "1")), ("hit", ("5.5", "6.5"))),
    ],
)
def test_numbers_that_may_be_labels(name, cells):
    with pytest.raises(ValueError, match=f"labels in '{name}' must be 1 and 0"):
        read(*cells, name=name)


def test_the_odd_cell_among_labels_is_shown():
    with pytest.raises(ValueError, match="must be 1 and 0.* Received: '0.5' on line 5$"):
        read("1", "0", "1", "0.5", name="active")
    with pytest.raises(ValueError, match="Received: 'inconclusive' on line 4$"):
        read("yes", "no", "inconclusive", "yes")


def test_missing_cells_have_no_unit():
    found = read("12 nM", "n.d.", "n.a.", "", "120 nM", name="IC50")
    np.testing.assert_allclose(found.values, [7.920819, np.nan, np.nan, np.nan, 6.920819])


def test_percent_signs():
    assert read("45%", "9.5 %", name="inhibition").values.tolist() == [45, 9.5]
    with pytest.raises(ValueError, match="the same unit"):
        read("45%", "9.5", name="inhibition")
    with pytest.raises(ValueError, match="must fit its name, which says concentrations"):
        read("45%", "9.5%", name="IC50")


@pytest.mark.parametrize(
    ("name", "cell", "message"),
    [
        ("pIC50", "500", "between -1 and 16.* Received: '500' on line 3"),
        ("pIC50", "1e20", "between -1 and 16"),
        ("pIC50", "-3", "between -1 and 16"),
        ("IC50 (M)", "5", "at most 1 mol/L.* Received, in M: '5' on line 3"),
        ("IC50 (fM)", "0.01", "at least 1e-16 mol/L"),
        ("value", "1e39", "between -1e.15 and 1e.15. Received: '1e39' on line 3"),
    ],
)
def test_numbers_that_are_not_plausible(name, cell, message):
    with pytest.raises(ValueError, match=message):
        read("1e-2", cell, name=name)


@pytest.mark.parametrize("name", ["value", "result", "Standard Value", "mean activity"])
def test_numbers_that_may_be_concentrations(name):
    with pytest.raises(ValueError, match="must say what it holds.* Received: numbers from 10 to 9"):
        read("10", "9000", name=name)
    np.testing.assert_allclose(read("10", "1000", name=name, unit="nM").values, [8, 6])
    assert read("3", "99", name=name).values.tolist() == [3, 99]  # percentages
    assert read("5.5", "16", name=name).values.tolist() == [5.5, 16]
    assert read("10", "9000", name="signal").values.tolist() == [10, 9000]
