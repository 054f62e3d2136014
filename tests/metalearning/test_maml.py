"""Meta-gradients against three oracles: a closed form, central differences, a hand unroll."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Quadratic, Sine, episodes

from deepchem_meta.metalearning import MAML, KerasLearner
from deepchem_meta.tasks import SinusoidTasks

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
    total, losses = [0.0] * 5, []
    for task in range(3):
        loss, gradients = unroll(
            learner, rate, steps, [x[task] for x in support], [x[task] for x in query]
        )
        losses.append(loss)
        total = [a + b for a, b in zip(total, gradients, strict=True)]
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


def test_learned_rate_that_the_learner_does_not_list(tmp_path):
    learner, rate = Quadratic(), tf.Variable(0.1, dtype=tf.float64)
    maml = MAML(learner, learning_rate=rate, meta_batch_size=2, model_dir=tmp_path)
    maml.fit(3)
    learned = float(rate)
    assert learned != 0.1
    rate.assign(0.7)
    maml.restore()
    assert float(rate) == learned


def test_learned_rate_that_the_learner_lists():
    class Listed(Quadratic):
        rate = None

        @property
        def variables(self):
            return [self.v, self.rate]

        def compute_model(self, inputs, variables, training):
            return super().compute_model(inputs, variables[:1], training)

    learner, other = Listed(), Quadratic()
    learner.rate, rate = (tf.Variable(0.1, dtype=tf.float64) for _ in range(2))
    MAML(learner, learning_rate=learner.rate, optimization_steps=2).fit(3)
    MAML(other, learning_rate=rate, optimization_steps=2).fit(3)
    np.testing.assert_allclose(learner.v, other.v, rtol=1e-12)
    np.testing.assert_allclose(learner.rate, rate, rtol=1e-12)


def test_attributes_take_effect():
    learner = Quadratic()
    support, query = episodes(learner, 2)
    maml = MAML(learner, learning_rate=0.1)
    assert (maml.learner, maml.learning_rate, maml.optimization_steps) == (learner, 0.1, 1)
    for rate, steps in ((0.1, 1), (0.2, 1), (0.2, 3), (0.1, 1), (np.float32(0.25), 2)):
        maml.learning_rate, maml.optimization_steps = rate, steps
        expected, _ = closed_form(learner.v.numpy(), float(rate), steps, support, query)
        found = maml.meta_gradient(support, query).gradients[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    maml.meta_batch_size = 3
    maml.fit(1)


def test_reads_of_the_learners_own_variables_are_differentiated():
    """Weight decay and a rate that compute_model reads from the learner, as in DeepChem."""
    decay = tf.Variable(0.5, dtype=tf.float64)
    v = tf.Variable(2.0, dtype=tf.float64)
    learner = Function([v, decay], lambda i, p: p[0] ** 2 / 2 + decay * v**2)
    maml = MAML(learner, learning_rate=0.1, meta_batch_size=1)
    batch = [np.ones((1,), np.float32)]
    found = maml.meta_gradient(batch, batch)

    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = v**2 / 2 + decay * v**2
        gradients = inner.gradient(loss, [v, decay])
        adapted = v - 0.1 * gradients[0]
        query_loss = adapted**2 / 2 + decay * v**2
    expected = outer.gradient(query_loss, [v, decay])
    np.testing.assert_allclose(found.gradients, expected, rtol=1e-12)


def test_what_the_loss_does_not_reach_stays_as_it_is():
    v, unused = tf.Variable([1.0, 2.0]), tf.Variable([3.0])
    count = tf.Variable(5, dtype=tf.int32)
    fixed = tf.Variable(7.0, trainable=False)
    learner = Function(
        [v, unused, count, fixed],
        lambda i, p: tf.reduce_sum(p[0] * p[3]) * tf.cast(p[2], tf.float32),
    )
    maml = MAML(learner, meta_batch_size=2, optimizer=keras.optimizers.Adam(0.1))
    maml.fit(3)
    assert maml.meta_gradient([[1.0, 1.0]], [[1.0, 1.0]]).gradients[1] is None
    assert unused.numpy() == 3.0 and int(count) == 5 and float(fixed) == 7.0
    assert np.all(v.numpy() < [1.0, 2.0])
    maml.train_on_current_task()
    assert int(count) == 5 and float(fixed) == 7.0
    maml.restore()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("keras_variables", [False, True])
def test_dtypes(dtype, keras_variables):
    def make(value, dtype):
        if keras_variables:
            return keras.Variable(tf.cast(value, dtype), dtype=dtype)
        return tf.Variable(tf.cast(value, dtype))

    class Mixed(Sine):
        def __init__(self):
            super().__init__(dtype="float32")
            self.weights = [make(w, dtype) for w in self.weights] + [make(2, "int32")]

        def compute_model(self, inputs, variables, training):
            *weights, factor = variables
            weights = [tf.cast(w, tf.float32) for w in weights]
            loss, outputs = super().compute_model(inputs, weights, training)
            return loss * tf.cast(factor, tf.float32), outputs

    learner = Mixed()
    maml = MAML(learner, learning_rate=0.01, meta_batch_size=4)
    history = maml.fit(300)
    assert history.history["loss"][0] < history.history["query_loss_before"][0]
    assert maml.execution_plan[:2] == (True, True)
    first = maml.meta_gradient(*episodes(learner, 2))
    assert {gradient.dtype.name for gradient in first.gradients} <= {dtype, "float32"}
    learner.select_task()
    maml.adapt(learner.get_batch())
    maml.train_on_current_task(2)
    maml.restore()


def test_adapt_variables():
    learner = Sine(dtype="float64")
    support, query = episodes(learner, 1)
    batch = [x[0] for x in support]
    w1, b1, w2, b2 = learner.variables
    maml = MAML(learner, learning_rate=0.1, adapt_variables=[w2, b2])
    adapted = maml.adapt(batch).variables
    for variable, value, moves in zip((w1, b1, w2, b2), adapted, (0, 0, 1, 1), strict=True):
        assert np.array_equal(variable.numpy(), value) != bool(moves)
    gradients = maml.meta_gradient(support, query).gradients
    assert all(gradient is not None for gradient in gradients)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss, _ = learner.compute_model(batch, learner.variables, True)
        g2, g3 = inner.gradient(loss, [w2, b2])
        values = [w1, b1, w2 - 0.1 * g2, b2 - 0.1 * g3]
        loss, _ = learner.compute_model([x[0] for x in query], values, True)
    for found, expected in zip(gradients, outer.gradient(loss, learner.variables), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_adapted_only():
    """CAVIA's context: adapted in every task, never meta-learned."""
    v = tf.Variable(1.0, name="shared")
    context = tf.Variable(0.0, trainable=False, name="context")
    learner = Function([v, context], lambda i, p: (p[0] + p[1] - 3.0) ** 2)
    maml = MAML(learner, learning_rate=0.1, meta_batch_size=2, adapt_variables="^context")
    maml.fit(3)
    assert float(context) == 0.0 and float(v) != 1.0
    shared, adapted = maml.adapt([1.0]).variables
    assert float(shared) == float(v)
    assert float(adapted) == pytest.approx(-0.1 * 2 * (float(v) - 3), rel=1e-6)


class Lacking:
    variables = ()


def returning(result):
    class Returning(Quadratic):
        def compute_model(self, inputs, variables, training):
            return result(variables[0])

    return Returning()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"learner": Lacking()}, TypeError, "lacks compute_model, select_task, get_batch"),
        ({"learner": Quadratic}, TypeError, "must be an object with the methods of MetaLearner"),
        ({"learner": Function([], None)}, ValueError, "There must be something to learn"),
        ({"learner": Function([1.0], None)}, TypeError, "list of tf.Variable. Received: float"),
        ({"learning_rate": -0.1}, ValueError, "at least 0. Received: learning_rate=-0.1"),
        ({"learning_rate": float("nan")}, ValueError, "finite"),
        ({"learning_rate": "fast"}, TypeError, "must be a number or a scalar tf.Variable"),
        ({"learning_rate": True}, TypeError, "must be a number"),
        ({"learning_rate": [0.1, 0.2]}, TypeError, "must be a number"),
        ({"learning_rate": tf.Variable([0.1])}, ValueError, "that is a scalar"),
        ({"optimization_steps": -1}, ValueError, "`optimization_steps` must be at least 0"),
        ({"optimization_steps": 1.5}, TypeError, "`optimization_steps` must be an int"),
        ({"meta_batch_size": 0}, ValueError, "`meta_batch_size` must be at least 1"),
        ({"optimizer": 3}, TypeError, "optimizer"),
        ({"first_order": 1}, TypeError, "`first_order` must be True or False"),
        ({"adapt_variables": "nothing"}, ValueError, "`adapt_variables` must name"),
        ({"adapt_variables": [tf.Variable(0.0)]}, ValueError, "`adapt_variables` must name"),
        ({"jit_compile": "yes"}, ValueError, "`jit_compile` must be one of"),
        ({"task_execution": "fast"}, ValueError, "`task_execution` must be one of"),
        ({"reduction": "max"}, ValueError, "`reduction` must be one of"),
    ],
)
def test_bad_arguments(options, error, message, tmp_path):
    options = {"learner": Quadratic(), **options}
    with pytest.raises(error, match=message):
        MAML(**options, model_dir=tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    ("learner", "error", "message"),
    [
        (returning(lambda v: tf.reduce_sum(v)), TypeError, r"must return \(loss, outputs\)"),
        (returning(lambda v: (v, v, v)), TypeError, r"must return \(loss, outputs\).*length 3"),
        (returning(lambda v: (1.0, [v])), TypeError, "floating-point tensor"),
        (returning(lambda v: (tf.constant(1), [v])), TypeError, "floating-point tensor"),
        (returning(lambda v: (tf.constant(1.0), [v])), ValueError, "depend on at least one"),
    ],
)
def test_bad_models(learner, error, message):
    before = learner.v.numpy()
    with pytest.raises(error, match=message):
        MAML(learner).fit(3)
    with pytest.raises(error, match=message):
        MAML(learner).meta_gradient(*episodes(learner, 2))
    np.testing.assert_array_equal(learner.v, before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"steps": -1}, ValueError, "`steps` must be at least 0"),
        ({"steps": 2.5}, TypeError, "`steps` must be an int"),
        ({"max_checkpoints_to_keep": 0}, ValueError, "`max_checkpoints_to_keep`"),
        ({"checkpoint_interval": -1}, ValueError, "must be at least 0 seconds"),
        ({"checkpoint_interval": "1h"}, TypeError, "number of seconds"),
        ({"steps_per_execution": 0}, ValueError, "`steps_per_execution` must be at least 1"),
        ({"verbose": 7}, ValueError, "`verbose` must be one of"),
        ({"restore": True}, ValueError, "No checkpoint found"),
    ],
)
def test_bad_arguments_of_fit(arguments, error, message):
    learner = Quadratic()
    learner.select_task = None  # nothing may be drawn
    with pytest.raises(error, match=message):
        learner.select_task = lambda: pytest.fail("drew a task")
        MAML(learner).fit(**{"steps": 1, **arguments})


def test_variables_must_stay():
    learner = Sine()
    maml = MAML(learner)
    learner.weights = learner.weights[:-1]
    with pytest.raises(ValueError, match="Received: 3 variables, after 4 variables"):
        maml.fit(1)
    learner.weights = [*learner.weights, tf.Variable([0.0])]
    with pytest.raises(ValueError, match="must stay the same variables"):
        maml.restore()


def test_bad_batches_reach_the_user():
    learner = Sine()
    maml = MAML(learner)
    draw = learner.get_batch
    learner.get_batch = lambda: draw()[:1] if maml.optimizer is None else []
    with pytest.raises(ValueError, match=r"get_batch\(\) must give at least one array"):
        maml.fit(1)
    learner.get_batch = draw
    maml.fit(1)
    learner.get_batch = lambda: draw()[:1]
    with pytest.raises(ValueError, match="must have 2 arrays.*Received: 1"):
        maml.fit(1)
    support, query = episodes(Sine(), 2)
    with pytest.raises(ValueError, match="same first axis, the task"):
        maml.meta_gradient(support, [query[0], query[1][:1]])


def test_a_learned_rate_must_be_there_from_the_start():
    maml = MAML(Quadratic(), learning_rate=0.1)
    with pytest.raises(ValueError, match="must be given to the constructor"):
        maml.learning_rate = tf.Variable(0.1)
    for name in ("learner", "optimizer", "model_dir"):
        with pytest.raises(AttributeError):
            setattr(maml, name, None)


def test_control_flow_in_python_works_as_in_deepchem():
    """`if tensor:` and `for i in tf.range` need autograph, which DeepChem applied."""

    class Branches(Quadratic):
        def compute_model(self, inputs, variables, training):
            loss, outputs = super().compute_model(inputs, variables, training)
            if loss > 1.0:
                loss = 2.0 * loss
            for _ in tf.range(2):
                loss = loss * 1.5
            return loss, outputs

    learner = Branches()
    maml = MAML(learner, learning_rate=0.1, optimization_steps=2)
    support, query = episodes(learner, 3)
    found = maml.meta_gradient(support, query)
    assert maml.execution_plan[:2] == (False, False)
    assert "control flow" in maml.execution_plan.reason
    total = 0.0
    for task in range(3):
        _, gradients = unroll(
            learner,
            tf.Variable(0.1, dtype=tf.float64),
            2,
            [x[task] for x in support],
            [x[task] for x in query],
        )
        total += gradients[0]
    np.testing.assert_allclose(found.gradients[0], total, rtol=1e-10)


def test_masks_are_right():
    """Vectorised with XLA, `tf.boolean_mask` gives wrong losses in silence."""

    class Masked(Sine):
        def compute_model(self, inputs, variables, training):
            x, y = inputs
            return super().compute_model(
                [tf.boolean_mask(x, x > 0)[:, None], tf.boolean_mask(y, x > 0)[:, None]],
                variables,
                training,
            )

    learner = Masked(points=20, dtype="float64")
    maml = MAML(learner, learning_rate=0.1)
    support, query = episodes(learner, 2)
    found = maml.meta_gradient(support, query)
    assert "unknown shape" in maml.execution_plan.reason
    losses = [
        unroll(learner, tf.Variable(0.1, dtype=tf.float64), 1, *pair)[0]
        for pair in (([x[task] for x in support], [x[task] for x in query]) for task in range(2))
    ]
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-12)


def test_faster_plans_that_are_wrong_or_fail_are_caught(monkeypatch):
    learner = Quadratic()
    support, query = episodes(learner, 2)
    expected = MAML(learner).meta_gradient(support, query)

    def twice_the_first(function, episodes, **_):
        first = function(tf.nest.map_structure(lambda x: x[0], episodes))
        return tf.nest.map_structure(lambda x: tf.stack([x, x]), first)

    for broken, reason in (
        (twice_the_first, "gave other numbers"),
        (lambda function, episodes, **_: 1 / 0, "raised ZeroDivisionError"),
    ):
        maml = MAML(learner, jit_compile=False)
        monkeypatch.setattr(tf, "vectorized_map", broken)
        found = maml.meta_gradient(support, query)
        assert reason in maml.execution_plan.reason
        np.testing.assert_allclose(found.gradients[0], expected.gradients[0], rtol=1e-12)


@pytest.mark.parametrize("steps", [3, 11])
@pytest.mark.parametrize("kind", ["head", "frozen", "dropout"])
def test_recomputed_steps_are_the_same(kind, steps):
    """Without `recompute` is the oracle: with variables that do not adapt, and random numbers."""

    def trained(recompute):
        keras.utils.set_random_seed(0)
        hidden = keras.layers.Dense(8, "tanh", dtype="float64", trainable=kind != "frozen")
        dropout = [keras.layers.Dropout(0.5, dtype="float64")] if kind == "dropout" else []
        head = keras.layers.Dense(1, dtype="float64", name="head")
        model = keras.Sequential([hidden, *dropout, head])
        learner = KerasLearner(
            model, "mse", SinusoidTasks(shots=5), dropout_in_adaptation=kind == "dropout"
        )
        maml = MAML(
            learner,
            0.01,
            optimization_steps=steps,
            recompute=recompute,
            adapt_variables="head" if kind == "head" else None,
            meta_batch_size=2,
            seed=0,
        )
        maml.fit(4, verbose=0)
        return [variable.numpy() for variable in model.trainable_variables]

    for mine, plain in zip(trained(True), trained(False), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-7, atol=1e-12)


def test_numbers_of_numpy_are_numbers():
    assert type(MAML(Quadratic(), meta_batch_size=np.uint8(13)).meta_batch_size) is int
