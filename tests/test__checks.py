import math

import numpy as np
import pytest

from deepchem_meta._checks import check_count, check_option, check_seconds


def test_good_values_come_back():
    assert check_count("n", np.int64(3)) == 3
    assert check_seconds("t", 0) == 0.0 and check_seconds("t", math.inf) == math.inf
    assert check_option("o", "a", ("a", 1)) == "a"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: check_count("n", 0, minimum=1), ValueError),
        (lambda: check_count("n", True), TypeError),
        (lambda: check_count("n", 1.0), TypeError),
        (lambda: check_seconds("n", -1), ValueError),
        (lambda: check_seconds("n", math.nan), ValueError),
        (lambda: check_seconds("n", "1"), TypeError),
        (lambda: check_option("n", True, (1, 2)), ValueError),
    ],
)
def test_bad_values_are_named(call, error):
    with pytest.raises(error, match=r"`n` must be .*Received: n="):
        call()
