"""Meta-gradients against three oracles: a closed form, central differences, a hand unroll."""

import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Quadratic, Sine, episodes

from deepchem_meta.metalearning import MAML

STEPS = [0, 1, 2, 5]


def closed_form(v, rate, steps, support, query):
    """Return the gradients of the query loss by v and by the rate, for a `Quadratic`."""
    by_v, by_rate = np.zeros_like(v), 0.0
    identity = np.eye(len(v))
    for a, c, b, d in zip(*support, *query, strict=True):
        power = np.linalg.matrix_power(identity - rate * a, steps)
        by_query = b @ (c + power @ (v - c) - d)
        by_v += power.T @ by_query
        if steps:
            before = np.linalg.matrix_power(identity - rate * a, steps - 1)
            by_rate += by_query @ (-steps * a @ before @ (v - c))
    return by_v, by_rate


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("learn_rate", [False, True])
def test_closed_form(steps, learn_rate):
    learner = Quadratic()
    rate = tf.Variable(0.1, dtype=tf.float64) if learn_rate else 0.1
    maml = MAML(learner, learning_rate=rate, optimization_steps=steps)
    support, query = episodes(learner, 4)
    result = maml.meta_gradient(support, query)
    by_v, by_rate = closed_form(learner.v.numpy(), 0.1, steps, support, query)
    np.testing.assert_allclose(result.gradients[0], by_v, rtol=1e-12)
    if learn_rate and steps:
        np.testing.assert_allclose(result.gradients[1], by_rate, rtol=1e-12)


def unroll(learner, rate, steps, support, query):
    """Return the loss and meta-gradients of one task by plain nested tapes, eagerly."""
    with tf.GradientTape(persistent=True) as outer:
        weights = [tf.convert_to_tensor(v) for v in learner.variables]
        for _ in range(steps):
            with tf.GradientTape() as inner:
                inner.watch(weights)
                loss, _ = learner.compute_model(support, weights, True)
            gradients = inner.gradient(loss, weights)
            weights = [w - rate * g for w, g in zip(weights, gradients, strict=True)]
        loss, _ = learner.compute_model(query, weights, True)
    return loss, outer.gradient(loss, [*learner.variables, rate])


@pytest.mark.parametrize("steps", STEPS[1:])
@pytest.mark.parametrize("execution", ["vectorized", "looped"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-4), ("float64", 1e-12)])
def test_hand_unroll(steps, execution, dtype, tolerance):
    learner = Sine(dtype=dtype)
    rate = tf.Variable(0.05, dtype=dtype)
    maml = MAML(
        learner,
        learning_rate=rate,
        optimization_steps=steps,
        task_execution=execution,
        jit_compile=execution == "vectorized",
    )
    support, query = episodes(learner, 3)
    result = maml.meta_gradient(support, query)
    total, losses = None, []
    for task in range(3):
        loss, gradients = unroll(
            learner, rate, steps, [x[task] for x in support], [x[task] for x in query]
        )
        losses.append(loss)
        total = gradients if total is None else [a + b for a, b in zip(total, gradients, strict=True)]
    assert result.loss == pytest.approx(np.mean(losses), rel=tolerance)
    for found, expected in zip(result.gradients, total, strict=True):
        np.testing.assert_allclose(
            found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
        )


@pytest.mark.parametrize("steps", STEPS)
def test_central_differences(steps):
    learner = Sine(hidden=3, dtype="float64")
    rate = tf.Variable(0.05, dtype=tf.float64)
    maml = MAML(learner, learning_rate=rate, optimization_steps=steps)
    support, query = episodes(learner, 2)
    analytic = maml.meta_gradient(support, query)
    for variable, gradient in zip(analytic.variables, analytic.gradients, strict=True):
        if gradient is None:
            assert steps == 0 and variable is rate
            continue
        start, step = variable.numpy(), 1e-6
        for index in np.ndindex(start.shape):
            losses = []
            for sign in (1, -1):
                moved = np.array(start)
                moved[index] += sign * step
                variable.assign(moved)
                losses.append(2 * maml.meta_gradient(support, query).loss)
            variable.assign(start)
            difference = (losses[0] - losses[1]) / (2 * step)
            assert np.array(gradient)[index] == pytest.approx(difference, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("steps", STEPS)
def test_first_order_differs_by_the_hessian(steps):
    learner = Quadratic()
    support, query = episodes(learner, 1)
    first, second = (
        MAML(learner, learning_rate=0.1, optimization_steps=steps, first_order=first_order)
        .meta_gradient(support, query)
        .gradients[0]
        for first_order in (True, False)
    )
    jacobian = np.linalg.matrix_power(np.eye(3) - 0.1 * support[0][0], steps)
    np.testing.assert_allclose(second, jacobian.T @ np.array(first), rtol=1e-12)
    assert np.allclose(first, second) == (steps == 0)


@pytest.mark.parametrize(("steps", "loss"), [(1, 2.56), (2, 1.6384), (5, 4 * 0.8**10)])
def test_every_inner_step_counts(steps, loss):
    """DeepChem's loss stays at 2.56 however many steps are asked."""
    v = tf.Variable(1.0, dtype=tf.float64)
    learner = Function([v], lambda inputs, variables: (variables[0] - 3.0) ** 2)
    maml = MAML(learner, learning_rate=0.1, optimization_steps=steps, meta_batch_size=1)
    history = maml.fit(1).history
    assert history["loss"] == [pytest.approx(loss, rel=1e-12)]
    assert history["query_loss_before"] == [pytest.approx(4.0, rel=1e-12)]


@pytest.mark.parametrize(("reduction", "factor"), [("sum", 4.0), ("mean", 1.0)])
def test_reduction(reduction, factor):
    learner = Quadratic()
    support, query = episodes(learner, 1)
    four = [[np.repeat(x, 4, axis=0) for x in part] for part in (support, query)]
    single = MAML(learner).meta_gradient(support, query)
    result = MAML(learner, reduction=reduction).meta_gradient(*four)
    np.testing.assert_allclose(result.gradients[0], factor * single.gradients[0], rtol=1e-12)
    assert result.loss == pytest.approx(single.loss)
