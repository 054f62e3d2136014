import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Sine

from deepchem_meta.engine.learner_model import LearnerModel, as_variable


def test_variables_of_either_kind():
    keras_variable = keras.Variable([1.0])
    assert as_variable(keras_variable) is keras_variable.value
    plain = tf.Variable(1.0)
    assert as_variable(plain) is plain
    assert as_variable(1.0) is None


def test_a_loss_of_several_values_is_summed_as_its_gradient_is():
    v = tf.Variable([1.0, 2.0])
    model = LearnerModel(Function([v], lambda inputs, p: p[0] ** 2))
    model.reader.read([1.0])
    assert float(model.predict(model.values(), [tf.constant(1.0)])[0]) == 5.0


@pytest.mark.skipif(not hasattr(Exception, "add_note"), reason="notes came with Python 3.11")
def test_a_wrong_dtype_is_pointed_out():
    model = LearnerModel(Sine())
    batch = model.reader.read([np.ones((2, 1)), np.ones((2, 1))])
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        model.try_eagerly(lambda *given: model.predict(*given)[0], batch, model.variables)
    assert "arrays of float64" in caught.value.__notes__[0]
