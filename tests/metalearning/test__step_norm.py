import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Sine

from deepchem_meta.metalearning import KerasLearner
from deepchem_meta.metalearning._step_norm import StepNorm
from deepchem_meta.tasks import SinusoidTasks

STEPS = 3


@pytest.fixture
def norm():
    """Return three steps of a layer with one feature between two dense ones, and its learner."""
    layers = [
        keras.layers.Dense(1),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1),
    ]
    learner = KerasLearner(keras.Sequential(layers), "mse", SinusoidTasks(3, 3))
    return StepNorm(learner, STEPS), learner


def start(norm, learner):
    return [*(tf.convert_to_tensor(v) for v in learner.variables), *norm.values()]


def test_variables_of_each_step(norm):
    norm, learner = norm
    names = [learner.variables[index].name for index in norm.places]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [v.shape for v in norm.places.values()] == [(STEPS, 1)] * 4
    assert (len(norm.learned), len(norm.statistics)) == (2, 2)
    adapts = norm.without([True] * len(learner.variables))
    assert [index for index, adapt in enumerate(adapts) if not adapt] == list(norm.places)


@pytest.mark.parametrize(("step", "row"), [(-1, 0), (0, 0), (2, 2), (9, 2)])
def test_each_step_has_its_row_and_later_ones_the_last(norm, step, row):
    norm, learner = norm
    for offset, variable in enumerate(norm.places.values()):
        variable.assign([[10.0 * offset + r] for r in range(STEPS)])
    placed = norm.place(start(norm, learner), step)
    for offset, index in enumerate(norm.places):
        assert float(placed[index][0]) == 10 * offset + row
    for index, variable in enumerate(learner.variables):
        if index not in norm.places:
            np.testing.assert_array_equal(placed[index], variable)


def test_what_a_step_leaves_goes_to_its_row_alone(norm):
    norm, learner = norm
    values = start(norm, learner)
    count = len(learner.variables)
    after = [value + 5 for value in norm.place(values, 1)[:count]]
    collected = norm.collect(after, values, 1)
    assert len(collected) == count + 2
    for old, new in zip(values[count:], collected[count:], strict=True):
        np.testing.assert_array_equal(new - old, [[0.0], [5.0], [0.0]])


@pytest.mark.parametrize("learner", [None, Sine()])
def test_a_learner_without_such_layers(learner):
    norm = StepNorm(learner, STEPS)
    assert norm.places == {} and norm.values() == []
    assert norm.place([1, 2], 0) == [1, 2]
    assert norm.collect([1], [1], 0) == [1]
