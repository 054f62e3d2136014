import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras_models import Activity

from deepchem_meta.metalearning._keras_function import KerasFunction, _seeds, build_model

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
KEY = (3, 1, 0, 2)


def function(*parts, mode="running", **options):
    """Return a Sequential model of some layers and a Dense(1) as a function."""
    model = keras.Sequential([*parts, layers.Dense(1, name="head")])
    build_model(model, X)
    return KerasFunction(model, tf.constant(X[:1]), batch_norm=mode, **options)


def other_values(made, seed=1):
    """Return values of the variables that they do not have."""
    rng = np.random.default_rng(seed)
    return [
        v + tf.constant(rng.uniform(0.1, 0.5, v.shape), v.dtype) if v.dtype == "float32" else v
        for v in made.present_values()
    ]


def assigned(made, values):
    """Return the model itself, with values assigned."""
    for variable, value in zip(made.variables, values, strict=True):
        variable.assign(value)
    return made.model


def key(numbers=KEY):
    return tf.constant(numbers, tf.int64)


@pytest.mark.parametrize("training", [False, True])
def test_a_call_is_that_of_the_model_with_these_values(training):
    made = function(layers.Dense(4, "tanh", kernel_regularizer="l2"), layers.BatchNormalization())
    before, values = made.present_values(), other_values(made)
    found = made.call(X, values, training=training)
    for a, b in zip(before, made.present_values(), strict=True):
        np.testing.assert_array_equal(a, b)
    model = assigned(made, values)
    np.testing.assert_allclose(found.outputs, model(X, training=training), rtol=1e-5)
    np.testing.assert_allclose(found.losses, model.losses, rtol=1e-5)
    for a, b in zip(found.values, made.present_values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    changed = [a is not b for a, b in zip(found.values, values, strict=True)]
    assert changed == [False] * 6 + [training] * 2  # the moving averages


def test_losses_are_those_of_this_call():
    made = function(Activity())
    for scale in (1.0, 2.0):
        (loss,) = made.call(scale * X, made.present_values()).losses
        np.testing.assert_allclose(loss, 0.1 * np.mean((scale * X) ** 2), rtol=1e-5)


def test_the_mode_of_a_pass():
    made = function(layers.BatchNormalization(), mode="transductive")
    values = made.present_values()
    passes = made.call(X, values), made.call(X, values, role="support", batch_norm="support")
    np.testing.assert_array_equal(passes[0].outputs, passes[1].outputs)
    mean = [v.path.endswith("moving_mean") for v in made.variables].index(True)
    np.testing.assert_allclose(passes[1].values[mean], X.mean(0), rtol=1e-5, atol=1e-6)
    weights = tf.constant([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    padded = made.call(X, values, weights=weights).outputs
    np.testing.assert_allclose(padded[:4], made.call(X[:4], values).outputs, rtol=1e-4, atol=1e-5)


def test_the_gradient_by_the_values_is_that_of_central_differences():
    parts = layers.Dense(4, "tanh", dtype="float64"), layers.BatchNormalization(dtype="float64")
    model = keras.Sequential([*parts, layers.Dense(1, dtype="float64")])
    x = X.astype("float64")
    build_model(model, x)
    made = KerasFunction(model, tf.constant(x[:1]), batch_norm="transductive")
    values = made.present_values()

    def loss(values):
        return tf.reduce_sum(made.call(x, values, training=True).outputs ** 2)

    with tf.GradientTape() as tape:
        tape.watch(values)
        value = loss(values)
    gradient, step = tape.gradient(value, values[0]), 1e-5
    for place in ((0, 0), (2, 3)):
        move = np.zeros(values[0].shape)
        move[place] = step
        above, below = (loss([values[0] + sign * move, *values[1:]]) for sign in (1, -1))
        np.testing.assert_allclose(gradient[place], (above - below) / (2 * step), rtol=1e-6)


def test_random_layers_draw_from_the_key():
    made = function(layers.Dropout(0.5), layers.GaussianNoise(1.0))
    values = made.present_values()

    def drawn(numbers):
        found = made.call(X, values, training=True, key=key(numbers))
        assert all(a is b for a, b in zip(found.values, values, strict=True))
        return found.outputs.numpy()

    first = drawn(KEY)
    np.testing.assert_array_equal(drawn(KEY), first)
    assert not np.allclose(drawn((3, 1, 0, 3)), first)


@pytest.mark.parametrize("drops", [False, True])
def test_random_layers_in_adaptation(drops):
    made = function(layers.Dropout(0.5), dropout_in_adaptation=drops)
    values = made.present_values()
    training, adapting = (
        made.call(X, values, training=True, key=key(), adapting=adapting).outputs
        for adapting in (False, True)
    )
    np.testing.assert_array_equal(adapting, training if drops else made.model(X))


def mask(numbers):
    """Return numbers that Dropout would draw in a pass through the model."""
    (seed,) = _seeds(key(numbers), 1)
    return tuple(tf.random.stateless_uniform((16,), tf.cast(seed, tf.int32)).numpy())


def test_draws_differ_between_passes_tasks_steps_and_seeds():
    keys = [(s, m, t, p) for s in (1, 2) for m in (0, 1) for t in (0, 1) for p in (0, 1, -1)]
    drawn = {mask(one) for one in keys}
    assert len(drawn) == len(keys)
    assert mask(keys[0]) in drawn


def test_the_embedding_is_the_output_of_a_layer():
    body = layers.Dense(4, "tanh", name="body")
    made = function(keras.Input((3,)), body, embedding="body")
    values = other_values(made)
    found = made.call(tf.constant(X), values, embedding=True).outputs
    np.testing.assert_allclose(found, np.tanh(X @ values[0] + values[1]), rtol=1e-5)
    whole = function(layers.Dense(4))
    values = whole.present_values()
    outputs = [whole.call(X, values, embedding=one).outputs for one in (False, True)]
    np.testing.assert_array_equal(*outputs)
    with pytest.raises(ValueError, match=r"must name a layer .* Received: embedding='absent'"):
        function(layers.Dense(4), embedding="absent")


class Centred(layers.Layer):
    """Takes the mean over the examples off."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=0)


@pytest.mark.parametrize(
    ("layer", "apart"),
    [
        (lambda: layers.Dense(4), True),
        (lambda: layers.Dropout(0.5), True),  # it draws, and keeps no state of a pass
        (layers.BatchNormalization, False),
        (lambda: layers.BatchNormalization(trainable=False), True),
        (Activity, False),
        (Centred, False),
    ],
)
def test_which_models_embed_each_example_by_itself(layer, apart):
    assert function(layer()).embeds_apart == apart


class Counter(layers.Layer):
    """Counts its calls, and does what it is told in each of them."""

    def __init__(self, then=lambda: None):
        super().__init__()
        self.then = then

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False)

    def call(self, x):
        self.count.assign_add(1)
        self.then()
        return x


def test_outputs_alone_leave_the_state():
    made = function(Counter())
    count = int(made.variables[-1].numpy())
    np.testing.assert_array_equal(made.compute_only(X).shape, (6, 1))
    assert int(made.variables[-1].numpy()) == count
    assert int(made.call(X, made.present_values()).values[-1]) == count + 1
    with pytest.raises(
        ValueError, match=r"cannot be computed on x. Received: x of shapes \(6, 2\)"
    ):
        made.compute_only(X[:, :2])


def test_one_thread_at_a_time():
    """While a model is called with layers replaced, a check in another thread waits."""
    waited = []

    def check_in_another_thread():
        counter.then = lambda: None
        thread = threading.Thread(target=made.compute_only, args=(X,))
        thread.start()
        thread.join(0.05)
        waited.append((thread, thread.is_alive()))

    counter = Counter()
    made = function(counter)
    counter.then = check_in_another_thread
    made.call(X, made.present_values())
    ((thread, alive),) = waited
    thread.join(10)
    assert alive and not thread.is_alive()
