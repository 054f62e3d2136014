import numpy as np
import pytest

from deepchem_meta.tasks._result_cells import check_na_values, read_results

MISSING = check_na_values(())


def read(cells, missing=MISSING):
    results = read_results(cells, missing)
    return results.values.tolist(), results.qualified.tolist(), results.words.tolist()


def test_numbers():
    written = {
        "1": 1.0,
        "-2": -2.0,
        "+3": 3.0,
        "0.5": 0.5,
        ".5": 0.5,
        "5.": 5.0,
        " 7\t": 7.0,
        "1e3": 1000.0,
        "1.5E-2": 0.015,
        "-.5e+1": -5.0,
        "007": 7.0,
        "-999": -999.0,
    }
    values, qualified, words = read(list(written))
    assert values == list(written.values())
    assert not any(qualified) and not any(words)


def test_numbers_as_pandas_writes_them():
    pandas = pytest.importorskip("pandas")
    numbers = np.random.default_rng(0).normal(size=500) * 10.0 ** np.arange(-250, 250)
    cells = pandas.Series(numbers).to_csv(index=False, header=False).split()
    assert read(cells)[0] == numbers.tolist()


@pytest.mark.parametrize(
    "cell",
    [
        *("2023_001", "1_0", "inf", "-inf", "Infinity", "1e999", "0x1", "1,5", "1 000", "1e", "e5"),
        *(".", "--1", "1-", "+", "1.2.3", "active", "True", "٣", "5%", "10 µM", "1.5e3.2"),
        *(">", ">>", "~", "> x", ">> >1", "=5", ">1_0", "<inf", "10>", "±1", "!5"),
    ],
)
def test_no_numbers(cell):
    values, qualified, words = read(["1", cell])
    assert np.isnan(values[1]) and not qualified[1] and words == [False, True]


@pytest.mark.parametrize(
    "cell",
    [
        *("", "  ", "NA", "na", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None"),
        *("none", "n.d.", "N.D.", "nd", "ND", "-", "?", " ? ", "n.a.", "<NA>"),
    ],
)
def test_missing_cells(cell):
    values, qualified, words = read([cell, "1"])
    assert np.isnan(values[0]) and values[1] == 1
    assert not any(qualified) and not any(words)


def test_missing_cells_of_ones_own():
    missing = check_na_values([" n.t. ", "-999"])
    values, _, words = read(["N.T.", "-999", "nd", "", "-999.0", "n.t"], missing)
    np.testing.assert_array_equal(values, [np.nan] * 4 + [-999, np.nan])
    assert words == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (">10", 10.0),
        ("<0.5", 0.5),
        (">=3", 3.0),
        ("<= 3e-1", 0.3),
        ("~5", 5.0),
        (" > -1.5 ", -1.5),
        (">>10", 10.0),
        ("<<1", 1.0),
        ("≥2", 2.0),
        ("≤ 2", 2.0),
        ("≈4", 4.0),
    ],
)
def test_qualifiers(cell, number):
    assert read([cell, "1"]) == ([number, 1.0], [True, False], [False, False])


def test_no_cells():
    assert read([]) == ([], [], [])


@pytest.mark.parametrize("na_values", ["n.t.", [1], [None]])
def test_bad_na_values(na_values):
    with pytest.raises(TypeError, match="`na_values` must be a list of strings"):
        check_na_values(na_values)
