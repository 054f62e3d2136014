import keras
import pytest
import tensorflow as tf
from learners import Sine

import deepchem_meta as dc
from deepchem_meta.metalearning._variables import choose_variables


def learner():
    layers = [keras.layers.Dense(2, name="body"), keras.layers.Dense(1, name="head")]
    tasks = dc.tasks.SinusoidTasks(3, 3)
    return dc.metalearning.KerasLearner(keras.Sequential(layers), "mse", tasks)


def test_all_that_are_trainable_by_default():
    made = Sine()
    assert choose_variables(made, None) == [True] * 4
    made.weights[1] = tf.Variable(made.weights[1], trainable=False)
    assert choose_variables(made, None) == [True, False, True, True]


def test_by_name_layer_variable_and_list():
    made = learner()
    head = made.model.layers[1]
    expected = [False, False, True, True]
    for given in ("head", head, ["head/kernel", head.bias], list(head.weights)):
        assert choose_variables(made, given) == expected
    assert choose_variables(made, head.bias) == [False, False, False, True]
    assert choose_variables(made, "kernel$") == [True, False, True, False]


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (5, TypeError, "must be a str, a variable, a layer, or a list of them. Received"),
        ("(", ValueError, "must be a regular expression. Received"),
        ("nonsense", ValueError, "must name floating-point variables of the learner"),
        (tf.Variable(1.0), ValueError, "must name floating-point variables of the learner"),
        ([keras.layers.ReLU()], ValueError, "must name floating-point variables of the learner"),
    ],
)
def test_bad_choices(given, error, match):
    with pytest.raises(error, match=match):
        choose_variables(learner(), given)
