import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.optimizer import MetaOptimizer, accumulation_dtype


def make(optimizer, *variables):
    return MetaOptimizer(optimizer, variables, tf.Variable(0, dtype=tf.int64))


def test_none_leaves_a_variable_and_its_slots():
    a, b = tf.Variable([1.0]), tf.Variable([1.0])
    meta = make(keras.optimizers.SGD(0.1, momentum=0.9), a, b)
    meta.apply([tf.constant([1.0]), None])
    np.testing.assert_allclose([a, b], [[0.9], [1.0]])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_small_steps_of_16_bit_variables_add_up(dtype):
    """In bfloat16 itself 1 - 1e-4 is 1, and Adam's beta_2 as well."""
    v = tf.Variable(tf.ones(2, dtype))
    meta = make(keras.optimizers.Adam(1e-4), v)
    assert accumulation_dtype(v) == tf.float32
    for _ in range(500):
        meta.apply([tf.ones(2)])
    np.testing.assert_allclose(tf.cast(v, tf.float32), 0.95, rtol=1 / 256)


def test_assigned_16_bit_variables_are_taken_up():
    v = tf.Variable(tf.ones(2, tf.bfloat16))
    meta = make(keras.optimizers.SGD(0.5), v)
    v.assign(tf.constant([2.0, 4.0], tf.bfloat16))
    meta.synchronize()
    meta.apply([tf.ones(2)])
    np.testing.assert_allclose(tf.cast(v, tf.float32), [1.5, 3.5])


def test_state_leaves_out_the_learning_rate():
    with_rate, with_schedule = (
        [slot.shape.as_list() for slot in make(keras.optimizers.Adam(rate), v).state]
        for rate, v in (
            (0.1, tf.Variable([1.0, 2.0])),
            (keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), tf.Variable([1.0, 2.0])),
        )
    )
    assert with_rate == with_schedule == [[], [2], [2]]


def test_schedule_advances_with_the_steps():
    v = tf.Variable(0.0)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [1.0, 0.1, 0.01])
    meta = make(keras.optimizers.SGD(schedule), v)
    for _ in range(4):
        meta.apply([tf.constant(1.0)])
    assert float(v) == pytest.approx(-2.11)


def test_loss_scale():
    v = tf.Variable(1.0)
    meta = make(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)), v)
    assert meta.skips_nonfinite and float(meta.loss_scale()) == 2**15
    meta.apply([tf.constant(2.0**15)])
    assert float(v) == pytest.approx(0.9)
    meta.apply([tf.constant(np.inf)])
    assert float(v) == pytest.approx(0.9) and float(meta.loss_scale()) == 2**14
    assert make(keras.optimizers.SGD(), tf.Variable(1.0)).loss_scale() == 1.0


def test_averages_are_taken_at_the_end():
    v = tf.Variable(0.0)
    meta = make(keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5), v)
    for _ in range(2):
        meta.apply([tf.constant(-1.0)])
    meta.finalize()
    assert float(v) == pytest.approx(0.5 * 1 + 0.5 * 2)  # Keras' average starts at the first


def test_an_optimizer_in_use_is_refused():
    optimizer = keras.optimizers.Adam()
    make(optimizer, tf.Variable(1.0))
    with pytest.raises(ValueError, match="must not be in use already.*Received:"):
        make(optimizer, tf.Variable(1.0))


def test_step_counts():
    step = tf.Variable(0, dtype=tf.int64)
    meta = MetaOptimizer(keras.optimizers.SGD(), [tf.Variable(1.0)], step)
    meta.apply([tf.constant(0.0)])
    assert int(step) == 1
