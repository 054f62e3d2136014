import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.inner_loop import gradient_descent


def descend(loss, variables, **options):
    options = {"adapts": [True] * len(variables), "steps": 1, **options}
    params = [tf.convert_to_tensor(v) for v in variables]
    rate = tf.constant(0.1, tf.float64)

    def with_state(values, step):
        return loss(values), values

    return gradient_descent(with_state, params, variables, rate=rate, **options)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_closed_form(steps):
    v = tf.Variable(2.0, dtype=tf.float64)
    (found,) = descend(lambda params: params[0] ** 2 / 2, [v], steps=steps)
    assert float(found) == pytest.approx(2 * 0.9**steps, rel=1e-15)
    assert float(v) == 2.0


def test_only_what_adapts_changes_and_what_is_not_reached_stays():
    variables = [tf.Variable(1.0), tf.Variable(1.0), tf.Variable(1.0)]
    found = descend(lambda p: p[0] * p[1], variables, adapts=[True, False, True])
    np.testing.assert_allclose(found, [0.9, 1.0, 1.0])


def test_reads_of_the_variable_itself_count_as_in_deepchem():
    """One step moves v by the gradient of both reads; later ones hold the captured one fixed."""
    v = tf.Variable(1.0, dtype=tf.float64)
    (one,) = descend(lambda p: p[0] ** 2 / 2 + v**2, [v], steps=1)
    assert float(one) == pytest.approx(1 - 0.1 * (1 + 2))
    (two,) = descend(lambda p: p[0] ** 2 / 2 + v**2, [v], steps=2)
    assert float(two) == pytest.approx(0.7 - 0.1 * (0.7 + 2))


def test_gathered_rows_give_dense_gradients():
    table = tf.Variable(tf.ones((3, 2)))
    (found,) = descend(lambda p: tf.reduce_sum(tf.gather(p[0], [1, 1])), [table])
    np.testing.assert_allclose(found, [[1, 1], [0.8, 0.8], [1, 1]])


def test_first_order_cuts_the_hessian():
    v = tf.Variable(1.0, dtype=tf.float64)
    for first_order, expected in ((True, 0.81), (False, 0.81 * 0.9**2)):
        with tf.GradientTape() as tape:
            (end,) = descend(lambda p: p[0] ** 2 / 2, [v], steps=2, first_order=first_order)
            loss = end**2 / 2
        assert float(tape.gradient(loss, v)) == pytest.approx(expected)
