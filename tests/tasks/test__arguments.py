import numpy as np
import pytest

from deepchem_meta._checks import check_flag, check_level
from deepchem_meta.tasks._arguments import (
    check_draw,
    check_finite,
    check_range,
    held_out,
    listed,
)


def test_good_values_come_back():
    assert check_draw(np.int64(3), np.random.default_rng(0)) == 3
    assert check_flag("f", False) is False
    assert check_level("s", np.float32(0.5)) == 0.5
    assert check_range("r", [1, np.float64(2.5)]) == (1.0, 2.5)
    assert check_range("r", (1, 1)) == (1.0, 1.0)
    check_finite(np.array([[1, 2]]))
    check_finite(np.array([[1.0, 2.0]], np.float16))
    assert listed(range(3)) == "0, 1, 2" and listed(range(7)) == "0, 1, 2, 3, 4 and 2 more"


@pytest.mark.parametrize(
    ("test", "total", "count"), [(0.25, 12, 3), (0.01, 5, 1), (3, 12, 3), (np.int64(1), 2, 1)]
)
def test_held_out(test, total, count):
    assert held_out(test, total, "things") == count


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: check_draw(0, np.random.default_rng(0)), ValueError),
        (lambda: check_draw(1, 0), TypeError),
        (lambda: check_draw(1, np.random.RandomState(0)), TypeError),
        (lambda: check_flag("f", 1), TypeError),
        (lambda: check_level("s", -1.0), ValueError),
        (lambda: check_level("s", "1"), TypeError),
        (lambda: check_level("s", np.inf), ValueError),
        (lambda: check_range("r", (2, 1)), ValueError),
        (lambda: check_range("r", (0, np.nan)), ValueError),
        (lambda: check_range("r", 1.0), TypeError),
        (lambda: check_range("r", (0, True)), TypeError),
        (lambda: check_range("r", (0, 1, 2)), TypeError),
        (lambda: held_out(0.0, 5, "things"), ValueError),
        (lambda: held_out(5, 5, "things"), ValueError),
        (lambda: held_out(1.5, 5, "things"), ValueError),
        (lambda: held_out(True, 5, "things"), TypeError),
        (lambda: held_out("a", 5, "things"), TypeError),
        (lambda: held_out(np.nan, 5, "things"), ValueError),
        (lambda: check_finite(np.array([[0.0], [np.inf]])), ValueError),
        (lambda: check_finite(np.array([[0.0], [np.nan]]), np.array([3, 8])), ValueError),
    ],
)
def test_bad_values_are_named(call, error):
    with pytest.raises(error, match=r"`\w+` must .*Received: "):
        call()


def test_rows_that_are_not_finite_are_named():
    x = np.zeros((9, 2, 2))
    x[[2, 5], 1, 0] = np.nan, -np.inf
    with pytest.raises(ValueError, match="2 of 9 examples with some, at rows 2, 5$"):
        check_finite(x)
    with pytest.raises(ValueError, match="at rows 22, 25$"):
        check_finite(x, np.arange(20, 29))
