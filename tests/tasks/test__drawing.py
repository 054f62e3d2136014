import itertools

import numpy as np

from deepchem_meta.tasks._drawing import draw_distinct, draw_rounds


def test_distinct_and_in_range():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 30, 500)
    sizes = rng.integers(0, counts + 1)
    drawn = draw_distinct(counts, sizes, rng)
    assert drawn.shape == (500, sizes.max())
    for row, count, size in zip(drawn, counts, sizes, strict=True):
        assert len(set(row[:size])) == size
        assert (row[:size] >= 0).all() and (row[:size] < count).all()
        assert (row[size:] == -1).all()


def test_every_ordered_choice_is_equally_likely():
    n = 60_000
    drawn = draw_distinct(np.full(n, 5), 3, np.random.default_rng(0))
    choices, observed = np.unique(drawn, axis=0, return_counts=True)
    assert [tuple(row) for row in choices] == list(itertools.permutations(range(5), 3))
    expected = n / 60
    # Chi-square with 59 degrees of freedom: above 99 once in a thousand.
    assert ((observed - expected) ** 2 / expected).sum() < 99


def test_all_and_none():
    rng = np.random.default_rng(0)
    everything = draw_distinct(np.array([4, 4]), 4, rng)
    np.testing.assert_array_equal(np.sort(everything, axis=1), [[0, 1, 2, 3]] * 2)
    assert draw_distinct(np.array([4, 4]), 0, rng).shape == (2, 0)


def test_rounds():
    drawn = draw_rounds(4, 4 * 600 + 3, np.random.default_rng(0))
    rounds = drawn[:-3].reshape(600, 4)
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [range(4)] * 600)
    assert len(set(drawn[-3:])) == 3
    orders, observed = np.unique(rounds, axis=0, return_counts=True)
    # Chi-square with 23 degrees of freedom: above 50 once in a thousand.
    assert len(orders) == 24 and ((observed - 25) ** 2 / 25).sum() < 50
