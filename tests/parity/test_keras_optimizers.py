"""Every optimizer of Keras moves a model's weights as `keras.Model.train_on_batch` does."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Sine, episodes

import deepchem_meta as dc

STEPS = 3
NAMES = sorted(
    name
    for name, kind in vars(keras.optimizers).items()
    if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer)
)
NAMES.remove("Optimizer")


class Same:
    """Always the same task, whose query set is its support set."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.batch = tuple(rng.normal(size=(1, 6, n)).astype("float32") for n in (4, 1))

    def sample(self, n, rng):
        return tuple(tuple(np.repeat(a, n, 0) for a in self.batch) for _ in range(2))


def make_optimizer(name):
    kind = getattr(keras.optimizers, name)
    if name == "LossScaleOptimizer":
        return kind(keras.optimizers.Adam(0.05))
    if name == "MultiOptimizer":
        rules = {".*bias": keras.optimizers.Adam(0.05)}
        return kind(keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.05), rules))
    return kind(learning_rate=0.05)


def make_model(dtype=None):
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Dense(5, "tanh", kernel_constraint="non_neg", dtype=dtype),
        keras.layers.Dense(1, kernel_regularizer="l2", dtype=dtype),
    ]
    return keras.Sequential([keras.Input((4,)), *layers])


def make_maml(model, optimizer, steps=0, **options):
    learner = dc.metalearning.KerasLearner(model, "mse", Same())
    return dc.metalearning.MAML(learner, 0.5, steps, 1, optimizer, **options)


@pytest.mark.parametrize("name", NAMES)
def test_as_keras_trains(name):
    """Without steps of adaptation the meta-gradient is the gradient, regularisation included."""
    tasks, reference, model = Same(), make_model(), make_model()
    reference.compile(make_optimizer(name), "mse")
    reference.optimizer.build(reference.trainable_variables)
    maml = make_maml(model, make_optimizer(name), task_execution="looped", jit_compile=False)
    for _ in range(STEPS):
        reference.train_on_batch(*(array[0] for array in tasks.batch))
        maml.train_on_batch(tasks.batch, tasks.batch)
    for expected, found in zip(reference.weights, model.weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert model.layers[0].kernel.numpy().min() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_moves_plain_variables_too(name):
    learner = Sine()
    start = [v.numpy() for v in learner.variables]
    options = {"task_execution": "looped", "jit_compile": False}
    maml = dc.metalearning.MAML(learner, 0.01, 1, 2, make_optimizer(name), **options)
    for _ in range(2):
        maml.train_on_batch(*episodes(learner, 2))
    for before, after in zip(start, learner.variables, strict=True):
        assert np.isfinite(after).all() and not np.array_equal(before, after)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_constraints_hold_after_every_step(dtype):
    model = make_model(dtype)
    maml = make_maml(model, keras.optimizers.SGD(0.5), steps=2)
    maml.fit(5)
    kernel = tf.cast(model.layers[0].kernel.value, tf.float32).numpy()
    assert kernel.min() == 0  # some weights would have gone below


def test_constraints_hold_while_adapting():
    """A plain loop of Keras with a projection after each step is the oracle."""
    model = make_model()
    maml = make_maml(model, keras.optimizers.SGD(0.5))
    x, y = (array[0] for array in Same().batch)
    reference = keras.models.clone_model(model)
    reference.set_weights(model.get_weights())
    reference.layers[1].kernel_regularizer = None
    optimizer = keras.optimizers.SGD(0.5)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((reference(x) - y) ** 2)
            loss += 0.01 * tf.reduce_sum(reference.layers[1].kernel.value ** 2)
        variables = reference.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in variables]), variables)
    adapted = maml.adapt((x, y), 3)
    for expected, found in zip(reference.weights, adapted.variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert adapted.variables[0].numpy().min() == 0


def test_the_implicit_gradient_knows_no_constraints():
    learner = dc.metalearning.KerasLearner(make_model(), "mse", Same())
    with pytest.raises(ValueError, match="must have no constraint in ImplicitMAML.*kernel"):
        dc.metalearning.ImplicitMAML(learner)
    dc.metalearning.ImplicitMAML(learner, adapt_variables=learner.model.layers[1])


def test_weights_that_are_left_out_of_weight_decay():
    model = make_model()
    optimizer = keras.optimizers.AdamW(0.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[model.layers[0].bias], var_names=["kernel"])
    for bias in (layer.bias for layer in model.layers):
        bias.assign(tf.ones_like(bias))
    kernels = [layer.kernel.numpy() for layer in model.layers]
    optimizer.learning_rate = 0.1
    maml = make_maml(model, optimizer)
    adam = keras.optimizers.Adam(0.1)
    other = make_maml(reference := make_model(), adam)
    for weight, value in zip(reference.weights, model.get_weights(), strict=True):
        weight.assign(value)
    for one in (maml, other):
        one.train_on_batch(Same().batch, Same().batch)
    decayed = [not np.allclose(a, b, atol=1e-6) for a, b in
               zip(model.get_weights(), reference.get_weights(), strict=True)]  # fmt: skip
    assert decayed == [False, False, False, True] and len(kernels) == 2
