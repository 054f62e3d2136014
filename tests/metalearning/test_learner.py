import pytest
import tensorflow as tf
from learners import Quadratic

from deepchem_meta.metalearning import MAML, MetaLearner


def test_what_a_subclass_must_implement():
    learner = MetaLearner()
    for name, call in (
        ("compute_model", lambda: learner.compute_model([], [], True)),
        ("variables", lambda: learner.variables),
        ("select_task", learner.select_task),
        ("get_batch", learner.get_batch),
    ):
        with pytest.raises(NotImplementedError, match=name):
            call()


def test_parameters_are_the_variables():
    learner = Quadratic()
    assert next(learner.parameters()) is learner.v


def test_any_object_with_the_methods_will_do():
    class Duck:
        v = tf.Variable(1.0)
        variables = (v,)

        def compute_model(self, inputs, variables, training):
            return (variables[0] - inputs[0]) ** 2, [variables[0]]

        def select_task(self):
            pass

        def get_batch(self):
            return [3.0]

    duck = Duck()
    MAML(duck, meta_batch_size=2).fit(2)
    assert float(duck.v) > 1.0
