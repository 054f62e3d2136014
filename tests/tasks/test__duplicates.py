import types
import warnings

import numpy as np
import pytest

from deepchem_meta.tasks._duplicates import (
    find_repeated,
    merge_results,
    merge_rows,
    number_molecules,
)

NAN = np.nan


def table(rows=300, molecules=120, assays=4, classes=True, seed=0):
    """Give results with gaps, weights and each row's molecule."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 2, (rows, assays)) if classes else rng.normal(size=(rows, assays))
    y = np.where(rng.random((rows, assays)) < 0.3, NAN, numbers).astype(np.float32)
    w = rng.choice([0.5, 1.0, 2.0], (rows, assays)).astype(np.float32)
    return y, w, number_molecules(rng.integers(0, molecules, rows))


def merge(y, w, molecules, classes):
    return merge_results(y, w, find_repeated(molecules), classes)


def test_number_molecules():
    assert number_molecules(["b", "a", "b", "c", "a"]).tolist() == [0, 1, 0, 2, 1]
    assert number_molecules(np.array(["b", "a", "b"])).tolist() == [0, 1, 0]
    assert number_molecules([3, 1, 3.0, np.int64(1)]).tolist() == [0, 1, 0, 1]
    assert number_molecules([]).tolist() == []


def test_what_says_nothing_is_a_molecule_of_its_own():
    keys = ["", "a", None, NAN, np.float32("nan"), "  ", "", None, "a"]
    assert number_molecules(keys).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 1]
    pandas = pytest.importorskip("pandas")
    assert number_molecules([pandas.NA, pandas.NA, pandas.NaT, pandas.NaT]).tolist() == [0, 1, 2, 3]


def test_unhashable_keys():
    with pytest.raises(TypeError, match=r"must be hashable.* Received: \['a'\] in `ids`"):
        number_molecules([["a"]])


def test_find_repeated():
    assert find_repeated(np.arange(5)) == []
    rows = find_repeated(np.array([0, 1, 0, 2, 3, 1, 0]))
    assert [group.tolist() for group in rows] == [[0, 2, 6], [1, 5]]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [False, True])
def test_merging_is_pandas(classes, weighted):
    """Sums and counts of each molecule and assay, by the grouping of pandas."""
    pandas = pytest.importorskip("pandas")
    y, w, molecules = table(classes=classes)
    merged, weights, conflicts = merge(y, w if weighted else None, molecules, classes)
    w = w.astype(float) if weighted else np.ones(w.shape)
    frame = pandas.DataFrame(y.astype(float))
    weight = pandas.DataFrame(w).where(frame.notna())
    total = weight.groupby(molecules).sum()
    mean = (weight * frame).groupby(molecules).sum() / total
    count = frame.groupby(molecules).count()
    if classes:
        mean = mean.where(mean.isna() | (mean == 0.5), (mean > 0.5).astype(float))
        mean = mean.mask(mean == 0.5)
    first = np.unique(molecules, return_index=True)[1]
    np.testing.assert_allclose(merged[first], mean, rtol=1e-6)
    others = np.setdiff1d(np.arange(len(y)), first)
    assert len(others) and np.isnan(merged[others]).all()
    assert conflicts.tolist() == (frame.groupby(molecules).nunique() > 1).sum().tolist()
    assert merged.dtype == np.float32
    if weighted:
        there = (count > 0).to_numpy()
        np.testing.assert_allclose(weights[first][there], (total / count).to_numpy()[there], 1e-6)
    else:
        assert weights is None


@pytest.mark.parametrize("classes", [False, True])
def test_merging_again_changes_nothing(classes):
    y, w, molecules = table(classes=classes)
    before = y.copy(), w.copy()
    once = merge(y, w, molecules, classes)
    again = merge(*once[:2], molecules, classes)
    np.testing.assert_array_equal(once[0], again[0])
    np.testing.assert_array_equal(once[1][~np.isnan(once[0])], again[1][~np.isnan(once[0])])
    assert again[2].tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal((y, w), before)  # the arrays given are as they were


def test_by_hand():
    molecules = np.array([0, 1, 0, 0, 2])
    labels = np.float32([[1, 1], [0, 0], [1, 0], [0, NAN], [1, 1]])
    y, w, conflicts = merge(labels, None, molecules, True)
    np.testing.assert_array_equal(y, [[1, NAN], [0, 0], [NAN, NAN], [NAN, NAN], [1, 1]])
    assert conflicts.tolist() == [1, 1] and w is None
    weights = np.float32([[1, 1], [1, 1], [1, 3], [3, 1], [1, 1]])
    y, w, _ = merge(labels, weights, molecules, True)
    np.testing.assert_array_equal(y[0], [0, 0])
    np.testing.assert_allclose(w[0], [5 / 3, 2])
    y, _, _ = merge(labels, weights, molecules, False)
    np.testing.assert_allclose(y[0], [2 / 5, 1 / 4])
    # A tie is one whatever rounding says: 0.1 + 0.2 against 0.3.
    w = np.float32([[0.1], [0.2], [0.3]])
    assert np.isnan(merge(np.float32([[1], [1], [0]]), w, np.zeros(3, int), True)[0][0, 0])


def test_nothing_to_merge_copies_nothing():
    y, w, _ = table()
    merged = merge(y, w, np.arange(len(y)), True)
    assert merged[0] is y and merged[1] is w


def rows(y, molecules, **options):
    options = {"names": ["A", "B"], "ids": None, "classes": True, "duplicates": "merge"} | options
    return merge_rows(np.float32(y), None, np.array(molecules), **options)


def test_report_and_warning():
    y = [[1, 1], [0, 1], [0, 1], [0, 0]]
    message = r"^1 times .* \(A 1\); the majority was taken, and none in a tie"
    with pytest.warns(UserWarning, match=message) as caught:
        _, _, merged = rows(y, [0, 0, 1, 2])
    assert merged == (2, 1, {"A": 1}) and len(caught) == 1
    with pytest.warns(UserWarning, match=r"^2 times .* \(A 1, B 1\); their mean was taken"):
        assert rows(y, [0, 0, 1, 1], classes=False)[2] == (4, 2, {"A": 1, "B": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows(y, [0, 1, 2, 3])[2] == (0, 0, {})
        assert rows([[1, NAN], [1, 0], [NAN, NAN]], [0, 0, 0])[2] == (3, 1, {})


def test_the_warning_points_out_of_the_package():
    namespace = {"__name__": "deepchem_meta.tasks.other", "merge": rows}
    inner = types.FunctionType((lambda: merge([[1, 1], [0, 1]], [0, 0])).__code__, namespace)
    with pytest.warns(UserWarning) as caught:
        inner()
    assert caught[0].filename == __file__


def test_refusal():
    message = r"2 with several, in the rows 0, 2, 0?3, 1, 4$".replace("0?", "")
    with pytest.raises(ValueError, match=message):
        rows(np.ones((5, 2)), [0, 1, 0, 0, 1], duplicates="raise")
    with pytest.raises(ValueError, match=r"duplicates=\"merge\".* 1 with .* rows 0, 1 \('CCO'\)$"):
        rows([[1, 1], [1, 1]], [0, 0], ids=["CCO", "OCC"], duplicates="raise")
    assert rows([[1, 1], [1, 1]], [0, 1], duplicates="raise")[2].rows == 0
