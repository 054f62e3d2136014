import os

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from learners import Function

import deepchem_meta as dc
from deepchem_meta.metalearning._weights import load_weights, save_weights

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, NumPy 2
NAME = "a.weights.h5"


def plain(*values, dtype="float32"):
    """Return a learner that is no KerasLearner, and its variables."""
    variables = [tf.Variable(tf.constant(value, dtype)) for value in values]
    return Function(variables, loss=None), variables


def of_keras(hidden=4):
    model = keras.Sequential([keras.Input((1,)), layers.Dense(hidden), layers.Dense(1)])
    learner = dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks(3, 3))
    return learner, [variable.value for variable in learner.variables]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
def test_variables_are_data_sets_by_their_places(dtype, tmp_path):
    path = tmp_path / "new" / NAME
    save_weights(path, *plain([1, 2], 3, dtype=dtype))
    with h5py.File(path) as file:
        assert {name: (file[name].dtype.name, file[name][()].tolist()) for name in file} == {
            "0": (dtype, [1, 2]),
            "1": (dtype, 3),
        }
    learner, variables = plain([0, 0], 0, dtype=dtype)
    load_weights(str(path), learner, variables)
    assert [v.numpy().tolist() for v in variables] == [[1, 2], 3]


def test_bfloat16_is_written_as_float32(tmp_path):
    save_weights(tmp_path / NAME, *plain([1.5, -2.0], dtype="bfloat16"))
    with h5py.File(tmp_path / NAME) as file:
        assert file["0"].dtype == "float32"
    learner, variables = plain([0.0, 0.0], dtype="bfloat16")
    load_weights(tmp_path / NAME, learner, variables)
    assert variables[0].dtype == "bfloat16"
    np.testing.assert_array_equal(tf.cast(variables[0], "float32"), [1.5, -2.0])


@pytest.mark.parametrize(
    "other",
    [
        lambda: plain([0.0, 0.0]),
        lambda: plain([0.0, 0.0], [0.0]),
        lambda: plain([0.0, 0.0], 0.0, 0.0),
        lambda: plain([0.0, 0.0], 0.0, dtype="float64"),
    ],
)
def test_all_variables_are_loaded_or_none(other, tmp_path):
    save_weights(tmp_path / NAME, *plain([1.0, 2.0], 3.0))
    learner, variables = other()
    with pytest.raises(ValueError, match="must hold the learner's variables; nothing was loaded"):
        load_weights(tmp_path / NAME, learner, variables)
    assert not any(np.any(v.numpy()) for v in variables)


def test_keras_reads_what_is_written_and_the_other_way_round(tmp_path):
    (one, variables), (other, others) = of_keras(), of_keras()
    save_weights(tmp_path / NAME, one, variables)
    other.model.load_weights(tmp_path / NAME)
    for a, b in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    third, its = of_keras()
    third.model.save_weights(tmp_path / "b.weights.h5")
    load_weights(tmp_path / "b.weights.h5", other, others)
    for a, b in zip(its, others, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_cannot_take_the_weights_stays(tmp_path):
    save_weights(tmp_path / NAME, *of_keras(5))
    learner, variables = of_keras(4)
    before = learner.model.get_weights()
    with pytest.raises(
        ValueError, match="must hold the model's weights; nothing was loaded"
    ) as told:
        load_weights(tmp_path / NAME, learner, variables)
    assert "\n" not in str(told.value) and told.value.__cause__ is not None
    for a, b in zip(before, learner.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Broken:
    """A variable that cannot be read."""

    def numpy(self):
        raise OSError("gone")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    learner, variables = plain([1.0])
    save_weights(tmp_path / NAME, learner, variables)
    with pytest.raises(OSError, match="gone"):
        save_weights(tmp_path / NAME, learner, [*variables, Broken()])
    variables[0].assign([0.0])
    load_weights(tmp_path / NAME, learner, variables)
    assert variables[0].numpy() == [1.0]
    save_weights(tmp_path / NAME, *plain([2.0]))
    load_weights(tmp_path / NAME, learner, variables)
    assert variables[0].numpy() == [2.0]
    assert os.listdir(tmp_path) == [NAME]


def test_bad_paths(tmp_path):
    for call in (save_weights, load_weights):
        with pytest.raises(TypeError, match="`path` must be a path. Received: path=3"):
            call(3, *plain(1.0))
        with pytest.raises(ValueError, match=r"must end with '.weights.h5'. Received: path='a.h5'"):
            call("a.h5", *plain(1.0))
    with pytest.raises(ValueError, match="must be a file that `save_weights` wrote"):
        load_weights(tmp_path / NAME, *plain(1.0))
