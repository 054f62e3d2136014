"""Mistakes of an algorithm that a user writes, which would train in silence."""

import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, Sine, episodes

from deepchem_meta.metalearning import MAML, EmbeddingAlgorithm, MetaAlgorithm, load


class Shrinks(MetaAlgorithm):
    """Changes values that do not adapt."""

    def adapt_task(self, params, support, numbers, steps):
        return [0.9 * value for value in params]


class Stays(MetaAlgorithm):
    """Adapts nothing."""

    def adapt_task(self, params, support, numbers, steps):
        return params


class Cosine(EmbeddingAlgorithm):
    """Class means, and a scale that may be learned."""

    def __init__(self, learner, scale, **options):
        super().__init__(learner, **options)
        self.scale = scale

    def solve_head(self, support):
        hot = tf.one_hot(tf.reshape(tf.cast(support.targets, tf.int32), (-1,)), self.ways)
        return [tf.matmul(hot, support.features, transpose_a=True)]

    def apply_head(self, head, features):
        return self.scale * tf.matmul(features, head[0], transpose_b=True)


def test_values_that_do_not_adapt_come_back_as_they_are():
    with pytest.raises(ValueError, match="must return the values .* as they are"):
        Shrinks(Sine(), optimization_steps=1).meta_gradient(*episodes(Sine(), 2))


def test_steps_that_adapt_nothing():
    algorithm = Stays(Sine(), optimization_steps=1)
    with pytest.warns(UserWarning, match="no variable adapts"):
        algorithm.meta_gradient(*episodes(Sine(), 2))
    Stays(Sine(), optimization_steps=0).meta_gradient(*episodes(Sine(), 2))


def test_a_variable_that_nothing_learns():
    scale = tf.Variable(2.0, name="scale")
    learner = Classes()
    batches = episodes(learner, 2)
    with pytest.warns(UserWarning, match=r"not learned: .* Received: \['scale:0'\]"):
        Cosine(learner, scale, ways=3).meta_gradient(*batches)
    found = Cosine(learner, scale, ways=3, own_variables=[scale]).meta_gradient(*batches)
    assert found.variables[-1] is scale
    Cosine(learner, tf.Variable(2.0, trainable=False), ways=3).meta_gradient(*batches)


def test_a_head_of_ones_own_has_no_steps():
    learner = Classes()
    cosine = Cosine(learner, 2.0, ways=3)
    assert not cosine.adapts_in_steps


class Rated(MAML):
    """Has an argument that is an attribute of the same name."""

    def __init__(self, learner, factor=1.0, **options):
        super().__init__(learner, **options)
        self.factor = factor


def test_an_attribute_is_saved_as_it_is_now(tmp_path):
    algorithm = Rated(Sine())
    algorithm.factor = 0.25
    algorithm.save(tmp_path / "saved")
    assert load(tmp_path / "saved", Sine()).factor == 0.25


def test_own_variables_are_variables():
    with pytest.raises(TypeError, match="`own_variables` must be a list of tf.Variable"):
        Stays(Sine(), own_variables=[np.float32(1.0)])
