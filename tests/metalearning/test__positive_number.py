"""A number above 0 that is fixed or learned."""

import numpy as np
import pytest
import tensorflow as tf
from learners import Sine

from deepchem_meta.metalearning._positive_number import PositiveNumber


def test_a_fixed_one_has_no_variable():
    number = PositiveNumber("scale", 2.5, 1.0, Sine())
    assert number.variables == []
    assert float(number) == 2.5


def test_a_learned_one_starts_where_it_is_told_and_stays_above_0():
    number = PositiveNumber("scale", None, 10.0, Sine())
    (log,) = number.variables
    assert log.name.startswith("log_scale")
    np.testing.assert_allclose(float(number), 10.0, rtol=1e-6)
    log.assign(-50.0)
    assert float(number) > 0
    number.assign(0.25)
    np.testing.assert_allclose(float(number), 0.25, rtol=1e-6)


def test_its_gradient_is_that_of_the_exponential():
    number = PositiveNumber("scale", None, 3.0, Sine())
    with tf.GradientTape() as tape:
        value = number.tensor()
    np.testing.assert_allclose(tape.gradient(value, number.variables[0]), 3.0, rtol=1e-6)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_a_number_that_is_not_above_0(wrong):
    with pytest.raises(ValueError, match="`scale`"):
        PositiveNumber("scale", wrong, 1.0, Sine())
