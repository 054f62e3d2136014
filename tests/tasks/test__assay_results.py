"""The long table of results, against the dense one."""

import numpy as np
import pytest

from deepchem_meta.tasks._assay_results import AssayResults

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, (30, 4)).astype(np.float32)
Y[RNG.random(Y.shape) < 0.4] = np.nan
W = np.where(np.isnan(Y), 0, RNG.uniform(1, 2, Y.shape)).astype(np.float32)


@pytest.mark.parametrize("weights", [None, W])
def test_there_and_back(weights):
    results = AssayResults.of_table(Y, weights)
    np.testing.assert_array_equal(results.table("value", Y.shape, np.nan), Y)
    order = RNG.permutation(len(results.assay))
    shuffled = AssayResults.sorted(*(None if c is None else c[order] for c in results))
    for one, other in zip(results, shuffled, strict=True):
        np.testing.assert_array_equal(one, other)
    if weights is not None:
        np.testing.assert_array_equal(results.table("weight", Y.shape, 0.0), W)


def test_some_assays_and_some_compounds():
    results = AssayResults.of_table(Y, W)
    some = results.of_assays(np.array([2, 0]), 4)
    np.testing.assert_array_equal(some.table("value", (30, 2), np.nan), Y[:, [2, 0]])
    rows = RNG.permutation(30)[:12]
    number = np.full(30, -1)
    number[rows] = np.arange(12)
    taken = results.of_compounds(number)
    np.testing.assert_array_equal(taken.table("value", (12, 4), np.nan), Y[rows])
    np.testing.assert_array_equal(taken.table("weight", (12, 4), 0.0), W[rows])


def test_assays_whose_results_do_not_differ():
    y = np.array([[0, 1, np.nan, 1], [0, 0, np.nan, np.nan]], np.float32)
    found = AssayResults.of_table(y, None).constant(4)
    assert found.tolist() == [True, False, True, True]
