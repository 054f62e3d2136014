"""Which rows each task has, and draws of them."""

import numpy as np

from deepchem_meta.tasks._strata_index import StrataIndex

# Two tasks of two classes: rows 10 to 12 and 20 to 23; rows 12 and 13, and 30 to 32.
ROWS = np.array([10, 11, 12, 20, 21, 22, 23, 12, 13, 30, 31, 32])
STARTS, COUNTS = np.array([[0, 3], [7, 9]]), np.array([[3, 4], [2, 3]])


def index(support=1, query=1):
    def sizes(size):
        return np.full((2, 2), size)

    return StrataIndex(ROWS, STARTS, COUNTS, sizes(support), sizes(query), ["inactive", "active"])


def test_sizes():
    made = index(query=2)
    assert (made.support_size, made.query_size, made.rest_size) == (2, 4, 5)
    assert made.needed.tolist() == [[3, 3], [3, 3]] and made.small.tolist() == [False, True]
    assert made.describe(1) == {"inactive": 2, "active": 3}
    assert made.all_rows(1).tolist() == [12, 13, 30, 31, 32]


def test_draws_of_each_class_share_no_row_and_are_uniform():
    rng = np.random.default_rng(0)
    support, query = index().draw(np.array([0, 1] * 2000), rng)
    assert support.shape == query.shape == (4000, 2)
    assert set(support[::2, 0]) == set(query[::2, 0]) == {10, 11, 12}
    assert set(support[::2, 1]) == set(query[::2, 1]) == {20, 21, 22, 23}
    assert set(support[1::2, 0]) == {12, 13}
    assert (support != query).all()
    counts = np.unique(support[::2, 1], return_counts=True)[1] / 2000
    np.testing.assert_allclose(counts, 1 / 4, atol=4 * np.sqrt(3 / 16 / 2000))


def test_the_rest_is_what_was_not_drawn():
    made = index(query=0)
    which = np.array([1, 0])
    support, query = made.draw(which, np.random.default_rng(0))
    assert query.shape == (2, 0)
    rest, there = made.rest(which, support)
    assert rest.shape == there.shape == (2, made.rest_size) == (2, 5)
    for place, task in enumerate(which):
        kept = rest[place][there[place]].tolist()
        assert sorted([*kept, *support[place]]) == sorted(made.all_rows(task))
    assert there.sum(axis=1).tolist() == [3, 5]
    assert (rest[0, 3:] == rest[0, 0]).all()  # padding
