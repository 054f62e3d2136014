"""Which results make the strata of an assay."""

import numpy as np
import pytest

from deepchem_meta.tasks._assay_index import AssayIndex
from deepchem_meta.tasks._assay_results import AssayResults

NAN = np.nan
Y = np.array([[0, 1, NAN], [1, 1, NAN], [0, NAN, NAN], [0, 1, NAN], [1, 0, NAN]], np.float32)
RESULTS = AssayResults.of_table(Y, None)


def test_classes_are_strata():
    index = AssayIndex(RESULTS, 3, True, 1, 1, True)
    assert index.counts.tolist() == [[3, 2], [1, 3], [0, 0]]
    assert index.small.tolist() == [False, True, True]
    assert index.describe(0) == {"inactive": 3, "active": 2}
    rows = [RESULTS.compound[index.all_rows(assay)].tolist() for assay in (0, 1)]
    assert rows == [[0, 2, 3, 1, 4], [4, 0, 1, 3]]


def test_regression_has_one():
    index = AssayIndex(RESULTS, 3, False, 2, None, True)
    assert index.counts.tolist() == [[5], [4], [0]] and index.describe(1) == {"compounds": 4}
    assert (index.support_size, index.rest_size) == (2, 3)


@pytest.mark.parametrize(("shots", "wanted"), [(1, [1, 1]), (2, [2, 2]), (5, [6, 4])])
def test_sizes_at_the_assays_own_rate(shots, wanted):
    """Of an assay with 3 of 5 inactive, rounded, and at least one of each."""
    index = AssayIndex(RESULTS, 3, True, shots, 1, False)
    assert (index.needed[0] - 1).tolist() == wanted
