import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras_models import WithTraining

from deepchem_meta.metalearning._keras_copies import copy_model, flat_encoder, model_up_to

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


def sequential():
    return keras.Sequential([layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(2)])


def functional():
    x = keras.Input((3,))
    return keras.Model(x, layers.Dense(2)(layers.BatchNormalization()(x)))


def built(make):
    model = make()
    model(X)
    return model


def copied(model, values=None):
    """Return a copy of a model; its variables are given in another order than it has them in."""
    variables = model.weights[::-1]
    values = variables if values is None else values[::-1]
    return copy_model(model, variables, list(map(tf.convert_to_tensor, values)), X[:1])


@pytest.mark.parametrize("make", [sequential, functional, WithTraining])
def test_a_copy_is_a_model_of_its_own_with_the_values_given(make):
    model = built(make)
    before, rng = model.get_weights(), np.random.default_rng(1)
    values = [rng.uniform(0.5, 1.5, value.shape).astype("float32") for value in before]
    copy = copied(model, values)
    assert type(copy) is type(model)
    for a, b in zip(copy.get_weights(), values, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    found = copy(X)
    model.set_weights(values)
    np.testing.assert_array_equal(found, model(X))


def test_as_keras_copies_it():
    model = built(functional)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    copy = copied(model)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in clone.layers]
    np.testing.assert_array_equal(copy(X), clone(X))


def test_what_a_normalization_layer_has_made_of_its_weights():
    layer = layers.Normalization()
    layer.adapt(X)
    model = built(lambda: keras.Sequential([layer, layers.Dense(2)]))
    np.testing.assert_allclose(copied(model)(X), model(X), rtol=1e-6)


def test_a_model_that_keras_cannot_copy():
    class Own(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, x):
            return self.layer(x)

    model = built(lambda: Own(layers.Dense(2)))
    with pytest.raises(TypeError, match="cannot be copied.*`get_config`.*Received: Own: "):
        copied(model)


def test_an_encoder_is_flat_and_has_inputs_of_its_own():
    parts = [keras.Input((4, 4, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten()]
    model = keras.Sequential([*parts, layers.Dense(3)])
    pictures = tf.random.stateless_normal((5, 4, 4, 1), (0, 1))
    encoder = flat_encoder(model, "conv", pictures[:1])
    assert encoder.inputs[0] is not model.inputs[0]
    np.testing.assert_allclose(
        encoder(pictures), np.reshape(model.layers[0](pictures), (5, 8)), rtol=1e-6
    )
    whole = flat_encoder(model, None, pictures[:1])
    np.testing.assert_allclose(whole(pictures), model(pictures), rtol=1e-6)


def test_an_encoder_of_a_model_that_does_not_know_its_inputs():
    model = built(WithTraining)
    encoder = flat_encoder(model, None, tf.constant(X[:1]))
    assert encoder.input_shape == (None, 3)
    np.testing.assert_allclose(encoder(X), model(X), rtol=1e-6)


def test_up_to_a_layer_that_several_models_share():
    shared = layers.Dense(2, "tanh")
    first, second = keras.Input((3,)), keras.Input((3,))
    one = keras.Model(first, layers.Dense(1)(shared(first)))
    other = keras.Model(second, layers.Dense(1)(shared(2 * second)))
    for model, factor in ((one, 1), (other, 2)):
        found = model_up_to(shared, model.inputs)(tf.constant(X))
        np.testing.assert_allclose(found, shared(factor * X), rtol=1e-6)
