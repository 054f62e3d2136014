import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.state import ModelState


def test_floats_become_the_mean_and_integers_grow_by_the_sum():
    mean = tf.Variable([1.0, 2.0])
    half = tf.Variable([0.0], dtype=tf.bfloat16)
    count = tf.Variable(10, dtype=tf.int64)
    state = ModelState([mean, half, count])
    total = state.zeros()
    assert [zero.dtype for zero in total] == [tf.float32, tf.float32, tf.int64]
    for task in range(4):
        values = [
            tf.constant([task, 2.0 * task]),
            tf.constant([task], tf.bfloat16),
            tf.constant(10 + task, tf.int64),
        ]
        total = [a + b for a, b in zip(total, state.summands(values), strict=True)]
    state.assign(total, 4)
    np.testing.assert_allclose(mean, [1.5, 3.0])
    assert float(half[0]) == 1.5
    assert int(count) == 10 + 0 + 1 + 2 + 3


def test_booleans_have_no_mean():
    with pytest.raises(TypeError, match="must be floating-point or integer"):
        ModelState([tf.Variable(True)])
