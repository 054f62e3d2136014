"""Columns of text and of data frames, of which pandas is the oracle."""

import numpy as np
import pytest

from deepchem_meta.tasks._columns import FrameColumns, TextColumns, why_no_name

pd = pytest.importorskip("pandas")

TABLE = "group,value,label\n007,1.5,none\n7,,3\n ,n.d.,\n8,inf,x\n"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE, encoding="utf-8")
    return TextColumns(path, "value", ["n.d."], None, None)


def test_numbers_of_text(text):
    found = text.results(text.names.index("value"))
    np.testing.assert_array_equal(found.values, [1.5, np.nan, np.nan, np.nan])
    assert found.words.tolist() == [False, False, False, True]  # "inf" is no number
    assert text.rows == [2, 3, 4, 5] and text.row_word == "line"
    assert text.cell(1, 2) == "'n.d.'"


def test_groups_are_text_and_labels_numbers_where_all_are(text):
    groups, blank = text.group_labels(0)
    assert groups.tolist() == ["007", "7", "", "8"] and blank.tolist() == [
        False,
        False,
        True,
        False,
    ]
    numbers, missing = text.labels(0)
    np.testing.assert_array_equal(numbers, [7, 7, np.nan, 8])
    assert missing.tolist() == [False, False, True, False]
    words, missing = text.labels(2)
    assert words.tolist() == ["none", "3", "", "x"] and missing.tolist() == [
        False,
        False,
        True,
        False,
    ]


def test_a_frame():
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="Int64"),
            "o": [2.5, "word", None],
            "c": pd.Categorical(["a", None, "b"]),
            "f": [1.0, np.inf, np.nan],
        },
        index=["p", "q", "r"],
    )
    columns = FrameColumns(frame)
    assert columns.rows == ["p", "q", "r"] and columns.row_word == "row"
    for place, (values, words) in enumerate(
        [
            ([1, np.nan, 3], [False, False, False]),
            ([2.5, np.nan, np.nan], [False, True, False]),
            ([np.nan] * 3, [True, False, True]),
            ([1, np.nan, np.nan], [False, True, False]),
        ]
    ):
        found = columns.results(place)
        np.testing.assert_array_equal(found.values, values)
        assert found.words.tolist() == words
        np.testing.assert_array_equal(columns.labels(place)[1], frame.iloc[:, place].isna())
    assert columns.cell(3, 0) == "1.0"


def test_what_is_no_frame_and_names_that_are_twice():
    with pytest.raises(TypeError, match="must be a pandas DataFrame. Received: list"):
        FrameColumns([[1]])
    with pytest.raises(ValueError, match="more than one column named 'a'"):
        FrameColumns(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "has no name"), ("Unnamed: 3", "pandas gives"), ("a", None), (3, None), (None, None)],
)
def test_columns_without_a_name(name, why):
    found = why_no_name(name)
    assert found is None if why is None else why in found
