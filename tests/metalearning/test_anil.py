import keras
import numpy as np
import pytest
from learners import Sine, values

import deepchem_meta as dc
from deepchem_meta.metalearning import ANIL, BOIL, MAML, KerasLearner

PLAIN = {"task_execution": "looped", "jit_compile": False}


def keras_learner():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(1), keras.layers.ReLU()]
    return KerasLearner(keras.Sequential(layers), "mse", dc.tasks.SinusoidTasks(3, 3))


@pytest.mark.parametrize(("algorithm", "moves"), [(ANIL, [0, 0, 1, 1]), (BOIL, [1, 1, 0, 0])])
def test_the_last_layer_with_weights_is_the_head(algorithm, moves):
    learner = keras_learner()
    made = algorithm(learner, 0.1, **PLAIN)
    support, _ = learner.sample_tasks(1, np.random.default_rng(0))
    adapted = made.adapt(tuple(a[0] for a in support)).variables
    moved = [not np.array_equal(a, v) for a, v in zip(adapted, values(learner), strict=True)]
    assert moved == list(map(bool, moves))
    made.fit(2)  # all are meta-learned
    assert all(g is not None for g in made.meta_gradient(support, support).gradients)


@pytest.mark.parametrize("head", ["dense_1", "layer", "variables"])
def test_heads_by_name_layer_and_variables(head):
    learner = keras_learner()
    layer = learner.model.layers[1]
    given = {"dense_1": layer.name, "layer": layer, "variables": layer.trainable_weights}[head]
    support, query = learner.sample_tasks(2, np.random.default_rng(0))
    found = ANIL(learner, 0.1, head=given, **PLAIN).meta_gradient(support, query).gradients
    expected = MAML(learner, 0.1, adapt_variables=layer.name, **PLAIN)
    for a, b in zip(found, expected.meta_gradient(support, query).gradients, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_heads():
    with pytest.raises(ValueError, match="`head` must be given for a learner that is not a Keras"):
        ANIL(Sine())
    learner = Sine()
    with pytest.raises(ValueError, match="must leave trainable variables to the head and to the"):
        BOIL(learner, head=learner.variables)
    with pytest.raises(ValueError, match="must name floating-point variables"):
        ANIL(learner, head="nonsense")
