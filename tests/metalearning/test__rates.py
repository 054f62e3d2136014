"""The rates of an inner loop: what they may be, and one for each variable."""

import numpy as np
import pytest
import tensorflow as tf
from learners import Sine

from deepchem_meta.metalearning._rates import check_rate, learned_rate, rates_of_variables


@pytest.mark.parametrize("rate", [0, 0.1, np.float32(0.1), np.array(0.1), tf.constant(0.1)])
def test_rates(rate):
    check_rate(rate)
    assert learned_rate(rate, None) is None


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf"), np.array([0.1])])
def test_numbers_that_are_no_rate(wrong):
    with pytest.raises(ValueError, match="a finite number of at least 0. Received"):
        check_rate(wrong)


@pytest.mark.parametrize("wrong", [True, "0.1", None, [0.1]])
def test_what_is_no_number(wrong):
    with pytest.raises(TypeError, match="a number or a scalar tf.Variable. Received"):
        learned_rate(wrong, None)


def test_a_learned_one_is_a_trainable_scalar():
    rate = tf.Variable(0.1)
    assert learned_rate(rate, None) is rate
    with pytest.raises(TypeError, match="must be a number: it is fixed. Received"):
        learned_rate(rate, "it is fixed")
    for wrong in (tf.Variable([0.1]), tf.Variable(1), tf.Variable(0.1, trainable=False)):
        with pytest.raises(ValueError, match="trainable floating-point variable that is a scalar"):
            learned_rate(wrong, None)


def test_one_for_each_variable_that_adapts():
    learner = Sine(dtype="float64")
    made = rates_of_variables(
        learner, learner.variables[1:3], 0.25, lambda place, variable, start: (variable, start)
    )
    assert list(made) == [1, 2]
    for place, (variable, start) in made.items():
        assert variable is learner.variables[place]
        assert start.dtype == tf.float64 and float(start) == 0.25
    left = rates_of_variables(learner, None, 0.25, lambda *all_of_it: all_of_it, without=[0])
    assert list(left) == list(range(1, len(learner.variables)))
