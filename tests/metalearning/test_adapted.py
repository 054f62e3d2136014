import pytest
import tensorflow as tf
from learners import Sine

from deepchem_meta.metalearning import Adapted, MetaAlgorithm

VALUES = [tf.constant(1.0), tf.constant(2.0)]


def test_a_list_has_the_values_alone():
    assert Adapted.of(tuple(VALUES), 2) == Adapted(VALUES, [])
    assert Adapted.of(Adapted(VALUES, (VALUES[0],)), 2) == Adapted(VALUES, [VALUES[0]])


@pytest.mark.parametrize("given", [None, VALUES[0], VALUES[:1], [*VALUES, VALUES[0]], Adapted(3)])
def test_anything_else_is_refused(given):
    with pytest.raises(TypeError, match=r"`adapt_task` must return a list with a value for each"):
        Adapted.of(given, 2)


def test_what_an_algorithm_returns_is_checked():
    class Wrong(MetaAlgorithm):
        def adapt_task(self, params, support, numbers, steps):
            return [*params, tf.constant(0.0)]

    learner = Sine()
    wanted = rf"each of the learner's {len(learner.variables)} variables.*Received: list with"
    with pytest.raises(TypeError, match=wanted):
        Wrong(learner, meta_batch_size=1).fit(1)
