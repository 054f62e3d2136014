import datetime

import numpy as np
import pytest

from deepchem_meta.tasks._labels import check_labels, is_missing, label_names


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([3, -1], ["3", "-1"]),
        (np.array([3, 200], np.uint8), ["3", "200"]),
        ([2.0, -0.0], ["2", "0"]),
        ([True, False], ["True", "False"]),
        (["a", " b"], ["a", " b"]),
        (np.array(["a", "b"], object), ["a", "b"]),
        (np.array([np.int64(3), 4], object), ["3", "4"]),
        (np.array([np.float32(3), 4], object), ["3", "4"]),
        ((np.bool_(True), False), ["True", "False"]),
        ([2**53 + 1, 1], ["9007199254740993", "1"]),
    ],
)
def test_labels(labels, names):
    checked = check_labels("y", labels)
    assert checked.dtype.kind in "biuU" and label_names(checked) == names


@pytest.mark.parametrize("labels", [[1.0, 2.0], [True, False], np.array([1.0, 2.0], object)])
def test_without_floats(labels):
    with pytest.raises(TypeError, match="`labels` must be a one-dimensional array of integers or"):
        check_labels("labels", labels, floats=False)
    assert check_labels("labels", [1, 2], floats=False).dtype == np.int64


def test_columns_of_pandas():
    pandas = pytest.importorskip("pandas")
    words = pandas.Series(["b", "a", "b"])
    for column in (words, words.astype("category"), words.astype("string")):
        assert check_labels("y", column).tolist() == ["b", "a", "b"]
    numbers = pandas.Series([3, 4, 3])
    for column in (numbers, numbers.astype("Int64"), numbers.astype("category")):
        assert check_labels("y", column).tolist() == [3, 4, 3]
    for missing in (pandas.NA, pandas.NaT, None, np.nan, "", "  "):
        assert is_missing(missing)
        with pytest.raises(ValueError, match="1 of 3 None, NaN or blank, at rows 1$"):
            check_labels("y", ["a", missing, "b"])
    with pytest.raises(ValueError, match="1 of 3 None"):
        check_labels("y", pandas.Series([1, None, 2], dtype="Int64"))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([1.5, 2.0], ValueError, "whole numbers or strings.* 1 of 2 others, such as 1.5 at row 0"),
        ([1.0, np.inf], ValueError, "such as inf at row 1"),
        ([2.0**60, 1.0], ValueError, "such as 1.15"),
        ([1.0, np.nan], ValueError, "1 of 2 None, NaN or blank, at rows 1$"),
        (["a", np.nan], ValueError, "1 of 2 None, NaN or blank"),
        (["a", 3], TypeError, "integers or strings. Received: dtype object"),
        (["a", True], TypeError, "integers or strings"),
        ([b"a", b"b"], TypeError, "integers or strings"),
        ([datetime.date(2020, 1, 1)] * 2, TypeError, "integers or strings"),
        (np.array(["2020-01-01"], "datetime64[D]"), TypeError, "dtype datetime64"),
        ([[1], [2]], TypeError, r"one-dimensional .*shape \(2, 1\)"),
        ("ab", TypeError, "one-dimensional"),
        (np.ma.masked_array([1, 2], [0, 1]), TypeError, "without a mask"),
    ],
)
def test_bad_labels(labels, error, message):
    with pytest.raises(error, match=message):
        check_labels("y", labels)
