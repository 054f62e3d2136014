import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.inner_loop import InnerLoop
from deepchem_meta.engine.inner_optimizers import Adam, GradientDescent, Momentum


def descend(loss, variables, **options):
    steps = options.pop("steps", 1)
    adapts = options.pop("adapts", [True] * len(variables))
    loop = InnerLoop(variables, adapts, lambda *_: tf.constant(0.1, tf.float64), **options)
    values = [tf.convert_to_tensor(v) for v in variables]
    return loop.run(lambda values, step: (loss(values), values), values, steps)


@pytest.mark.parametrize("steps", [0, 1, 3, 30])
def test_closed_form(steps):
    v = tf.Variable(2.0, dtype=tf.float64)
    (found,) = descend(lambda params: params[0] ** 2 / 2, [v], steps=steps)
    assert float(found) == pytest.approx(2 * 0.9**steps, rel=1e-14)
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


def test_clipping_has_a_derivative_where_the_gradient_is_0():
    """At the minimum of the support loss the derivative is that of a step without clipping."""
    v = tf.Variable(0.0, dtype=tf.float64)
    with tf.GradientTape() as tape:
        (end,) = descend(lambda p: p[0] ** 2 / 2, [v], clipnorm=2.0)
        loss = (end - 1) ** 2 / 2
    assert float(tape.gradient(loss, v)) == pytest.approx(-0.9)


def test_first_order_cuts_the_hessian():
    v = tf.Variable(1.0, dtype=tf.float64)
    for first_order, expected in ((True, 0.81), (False, 0.81 * 0.9**2)):
        with tf.GradientTape() as tape:
            (end,) = descend(lambda p: p[0] ** 2 / 2, [v], steps=2, first_order=first_order)
            loss = end**2 / 2
        assert float(tape.gradient(loss, v)) == pytest.approx(expected)


def quadratic(values, step):
    """Have the gradient a v, with a of 1 and 3."""
    return tf.reduce_sum(tf.constant([1.0, 3.0], tf.float64) * values[0] ** 2) / 2, values


def unrolled(optimizer, start, steps, rate, clipnorm=None):
    """Take the same steps in NumPy; `optimizer` gives a function of gradient and step."""
    v, direction = np.array(start), optimizer()
    for step in range(steps):
        gradient = np.array([1.0, 3.0]) * v
        if clipnorm is not None:
            gradient = gradient * min(1.0, clipnorm / np.linalg.norm(gradient))
        v = v - rate * direction(gradient, step)
    return v


def plain():
    return lambda gradient, step: gradient


def momentum():
    velocity = np.zeros(2)

    def direction(gradient, step):
        velocity[:] = 0.7 * velocity + gradient
        return velocity

    return direction


def adam():
    m, v = np.zeros(2), np.zeros(2)

    def direction(gradient, step):
        m[:] = 0.5 * m + 0.5 * gradient
        v[:] = 0.9 * v + 0.1 * gradient**2
        return m / (1 - 0.5 ** (step + 1)) / np.sqrt(v / (1 - 0.9 ** (step + 1)) + 1e-3)

    return direction


OPTIMIZERS = [
    (GradientDescent(), plain),
    (Momentum(0.7), momentum),
    (Adam(0.5, 0.9, 1e-3), adam),
]


@pytest.mark.parametrize("clipnorm", [None, 1.0])
@pytest.mark.parametrize(("optimizer", "oracle"), OPTIMIZERS)
@pytest.mark.parametrize("steps", [0, 1, 4, 15])
def test_rules_against_numpy(optimizer, oracle, clipnorm, steps):
    v = tf.Variable([2.0, -1.0], dtype=tf.float64)
    loop = InnerLoop(
        [v],
        [True],
        lambda step, index: tf.constant(0.1, tf.float64),
        optimizer=optimizer,
        clipnorm=clipnorm,
    )
    (value,) = loop.run(quadratic, [tf.convert_to_tensor(v)], steps)
    np.testing.assert_allclose(
        value, unrolled(oracle, [2.0, -1.0], steps, 0.1, clipnorm), rtol=1e-12
    )


@pytest.mark.parametrize(("optimizer", "oracle"), OPTIMIZERS)
@pytest.mark.parametrize("counts", [(0,), (4, 0, 1, 4), (3, 30, 32), (15, 2)])
def test_several_numbers_of_steps_on_one_path(optimizer, oracle, counts):
    v = tf.Variable([2.0, -1.0], dtype=tf.float64)
    seen = []

    def loss(values, step):
        seen.append(step)
        return quadratic(values, step)

    loop = InnerLoop([v], [True], lambda step, index: tf.constant(0.1, tf.float64), optimizer)
    found = tf.function(lambda: loop.after(loss, [tf.convert_to_tensor(v)], counts))()
    for count, (value,) in zip(counts, found, strict=True):
        expected = unrolled(oracle, [2.0, -1.0], count, 0.1)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert len(seen) <= 10  # each step is traced once, and those of a loop are one


@pytest.mark.parametrize("steps", [2, 15])
@pytest.mark.parametrize(("optimizer", "oracle"), OPTIMIZERS)
@pytest.mark.parametrize("recompute", [False, True])
def test_second_order_against_central_differences(optimizer, oracle, recompute, steps):
    """By the start and by two rates that take turns, which have a value for each weight."""
    v = tf.Variable([2.0, -1.0], dtype=tf.float64)
    rates = [tf.Variable([0.1, 0.2], dtype=tf.float64), tf.Variable([0.3, 0.05], dtype=tf.float64)]

    @tf.function
    def end(start, first, second):
        loop = InnerLoop(
            [v],
            [True],
            lambda step, index: tf.stack([first, second])[step % 2],
            optimizer=optimizer,
            recompute=recompute,
        )
        return loop.run(quadratic, [start], steps)[0]

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(end(*[tf.convert_to_tensor(x) for x in (v, *rates)]) ** 3)
        return tape.gradient(loss, [v, *rates])

    def numpy_loss(values):
        start, *turns = np.split(values, 3)
        direction, w = oracle(), start.copy()
        for step in range(steps):
            w = w - turns[step % 2] * direction(np.array([1.0, 3.0]) * w, step)
        return np.sum(w**3)

    at = np.concatenate([x.numpy() for x in (v, *rates)])
    moves = 1e-6 * np.eye(6)
    expected = [(numpy_loss(at + move) - numpy_loss(at - move)) / 2e-6 for move in moves]
    np.testing.assert_allclose(np.concatenate(gradients()), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("steps", "recompute"), [(3, False), (3, True), (15, False)])
def test_a_value_without_a_variable_and_reads_of_the_variable_itself(steps, recompute):
    """In v' = v - (v + 2 w) / 10 and u' = u - u / 10, w is the variable v, read by itself."""
    v = tf.Variable(1.0, dtype=tf.float64)

    @tf.function
    def end(u):
        with tf.GradientTape() as tape:
            tape.watch(u)
            loop = InnerLoop(
                [v, None],
                [True, True],
                lambda *_: tf.constant(0.1, tf.float64),
                recompute=recompute,
            )
            found = loop.run(
                lambda p, step: ((p[0] ** 2 + p[1] ** 2) / 2 + v**2, p),
                [tf.convert_to_tensor(v), u],
                steps,
            )
            total = found[0] + found[1]
        return found, tape.gradient(total, [v, u])

    found, gradients = end(tf.constant(2.0, tf.float64))
    left = 0.9**steps
    np.testing.assert_allclose(found, [left - 2 * (1 - left), 2 * left], rtol=1e-12)
    np.testing.assert_allclose(gradients, [left - 2 * (1 - left), left], rtol=1e-12)


def test_what_cannot_be_differentiated_twice_is_found_in_a_loop_too():
    @tf.function
    def end():
        image = tf.ones((1, 2, 2, 1))
        descend(
            lambda p: tf.reduce_sum(tf.image.resize(image * p[0], (4, 4)) ** 2),
            [tf.Variable(1.0)],
            steps=15,
        )

    with pytest.raises(NotImplementedError, match="ResizeBilinearGrad"):
        end()


def test_reads_of_the_variable_itself_cannot_be_computed_again_in_a_loop():
    v = tf.Variable(1.0, dtype=tf.float64)
    with pytest.raises(NotImplementedError, match="`recompute=True` with more than 10 steps"):
        tf.function(lambda: descend(lambda p: p[0] * v, [v], steps=11, recompute=True))()
