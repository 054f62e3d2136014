import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.state import ModelState


def merge(variable, values):
    """Give a variable the state that tasks leave at some values."""
    state = ModelState([variable])
    sums = state.zeros()
    for value in values:
        (summand,) = state.summands([tf.constant(value, variable.dtype)])
        sums = [sums[0] + summand]
    state.assign(sums, len(values))
    return variable.numpy()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_floats_become_the_mean_over_tasks(dtype):
    variable = tf.Variable(tf.zeros(2, dtype))
    merged = merge(variable, [[1.0, 4.0], [2.0, 4.0], [6.0, 7.0]])
    np.testing.assert_allclose(merged.astype("float64"), [3.0, 5.0], rtol=2**-8)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_integers_grow_by_what_all_tasks_add(dtype):
    assert merge(tf.Variable(10, dtype=dtype), [11, 13, 10]) == 10 + 1 + 3 + 0


def test_signed_counters_may_go_down():
    assert merge(tf.Variable([5, -5]), [[4, -5], [2, -4]]).tolist() == [5 - 1 - 3, -5 + 0 + 1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_are_summed_in_32(dtype):
    """In 16 bits 3,000 ones add up to 2,048 or 256."""
    state = ModelState([tf.Variable(tf.zeros((), dtype))])
    assert state.zeros()[0].dtype == tf.float32
    one = state.summands([tf.ones((), dtype)])[0]
    assert one.dtype == tf.float32
    state.assign([3000 * one], 3000)
    variable = tf.Variable(tf.zeros((), dtype))
    assert merge(variable, [1.0] * 3000) == 1.0


def test_sums_over_no_tasks_have_the_shapes_of_the_variables():
    state = ModelState([tf.Variable(tf.ones((2, 3))), tf.Variable(7, dtype=tf.int64)])
    floats, integer = state.zeros()
    assert floats.shape == (2, 3) and floats.dtype == tf.float32
    assert integer.shape == () and integer.dtype == tf.int64
    assert not np.any(floats) and int(integer) == 0


def test_no_variables():
    state = ModelState([])
    assert state.zeros() == [] and state.summands([]) == []
    state.assign([], 4)


def test_values_and_variables_must_be_as_many():
    state = ModelState([tf.Variable(0.0)])
    with pytest.raises(ValueError, match="zip"):
        state.summands([])


def test_traced():
    """Integers count from the value the variable has when the function runs."""
    count, mean = tf.Variable(0), tf.Variable(0.0)
    state = ModelState([count, mean])

    @tf.function
    def step():
        tasks = [state.summands([count + task, tf.cast(task, tf.float32)]) for task in range(3)]
        state.assign([tf.add_n(parts) for parts in zip(*tasks, strict=True)], 3)

    for expected in (3, 6):
        step()
        assert (int(count), float(mean)) == (expected, 1.0)
