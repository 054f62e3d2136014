import keras
import numpy as np
import pytest
from keras import layers

from deepchem_meta.metalearning._keras_inputs import example_inputs, tensor_specs


def test_zeros_in_the_structure_of_the_inputs():
    a = keras.Input((3,), name="a")
    b = keras.Input((None, 2), name="b", dtype="int32")
    model = keras.Model({"b": b, "a": a}, layers.Dense(1)(a))
    x = example_inputs(model)
    assert {name: (one.shape, one.dtype.name) for name, one in x.items()} == {
        "a": ((1, 3), "float32"),
        "b": ((1, 64, 2), "int32"),
    }
    listed = example_inputs(keras.Model([b, a], layers.Dense(1)(a)))
    assert [one.shape for one in listed] == [(1, 64, 2), (1, 3)]
    assert example_inputs(keras.Sequential([keras.Input((4,)), layers.Dense(1)])).shape == (1, 4)


def test_a_model_that_does_not_know_its_inputs():
    class Own(keras.Model):
        def call(self, x):
            return x

    for model in (keras.Sequential([layers.Dense(1)]), Own()):
        with pytest.raises(ValueError, match="must know the shapes of its inputs.*Received"):
            example_inputs(model)


def test_specifications_are_open_where_the_model_or_the_examples_are():
    model = keras.Model(x := keras.Input((None, 2)), layers.Dense(1)(x))
    array = np.zeros((4, 7, 2), "float32")
    (of_model,) = tensor_specs([array], model)
    assert (of_model.shape, of_model.dtype) == ((None, None, 2), "float32")
    assert tensor_specs({"y": array})["y"].shape == (None, 7, 2)
