import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, episodes
from oracles import central_differences

from deepchem_meta.metalearning import ProtoMAML, ProtoNet

PLAIN = {"task_execution": "looped", "jit_compile": False}


def unroll(learner, rate, steps, support, query, first_order=False):
    """Return the mean query loss and its gradients, with the head written out by hand."""
    with tf.GradientTape() as tape:
        start = [tf.convert_to_tensor(v) for v in learner.variables[:2]]
        losses = []
        for x, y, qx, qy in zip(*support, *query, strict=True):
            (w, b), hot = start, tf.one_hot(y, 3, dtype=x.dtype)
            centers = tf.transpose(hot) @ tf.tanh(x @ w + b) / tf.reduce_sum(hot, 0)[:, None]
            values = [w, b, 2 * centers, -tf.reduce_sum(centers**2, 1)]

            def loss(values, x, y):
                w, b, weights, offsets = values
                logits = tf.tanh(x @ w + b) @ tf.transpose(weights) + offsets
                return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

            for _ in range(steps):
                with tf.GradientTape() as inner:
                    inner.watch(values)
                    value = loss(values, x, y)
                gradients = inner.gradient(value, values)
                if first_order:
                    gradients = [tf.stop_gradient(g) for g in gradients]
                values = [v - rate * g for v, g in zip(values, gradients, strict=True)]
            losses.append(loss(values, qx, qy))
        total = tf.reduce_mean(losses)
    return total, tape.gradient(total, learner.variables[:2])


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_hand_unroll(steps, first_order, recompute):
    learner = Classes(dtype="float64")
    options = {"first_order": first_order, "recompute": recompute, "ways": 3, **PLAIN}
    algorithm = ProtoMAML(learner, 0.3, steps, **options)
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    loss, expected = unroll(learner, 0.3, steps, support, query, first_order)
    assert result.loss == pytest.approx(float(loss), rel=1e-12)
    for found, other in zip(result.gradients, expected, strict=False):
        np.testing.assert_allclose(found, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("steps", [2, 12])
def test_central_differences(steps):
    learner = Classes(hidden=3, dtype="float64")
    algorithm = ProtoMAML(learner, 0.3, steps, ways=3, **PLAIN)
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    expected = central_differences(
        lambda: algorithm.meta_gradient(support, query).loss, learner.variables[:2]
    )
    for found, other in zip(result.gradients, expected, strict=False):
        np.testing.assert_allclose(found, other, rtol=1e-6, atol=1e-8)


def test_without_steps_it_is_a_prototypical_network():
    learner = Classes(dtype="float64")
    support, query = episodes(learner, 2)
    one = ProtoMAML(learner, 0.1, 0, ways=3, **PLAIN).meta_gradient(support, query)
    other = ProtoNet(learner, temperature=1.0, ways=3, **PLAIN).meta_gradient(support, query)
    assert one.loss == pytest.approx(other.loss, rel=1e-12)
    for a, b in zip(one.gradients[:2], other.gradients[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_head_adapts_and_adapted_variables_are_a_choice():
    learner = Classes()
    learner.select_task()
    support = learner.get_batch()
    algorithm = ProtoMAML(learner, 0.1, 3, ways=3, adapt_variables=learner.variables[:1])
    before, after = algorithm.adapt(support, 0), algorithm.adapt(support)
    assert not np.allclose(before.head[0], after.head[0])
    assert not np.allclose(before.variables[0], after.variables[0])
    np.testing.assert_array_equal(before.variables[1], after.variables[1])
