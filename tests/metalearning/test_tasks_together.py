"""The tasks of a meta-step in one pass through the model, against one task after the other."""

import keras
import numpy as np
import pytest
from keras import layers
from learners import Classes, episodes

import deepchem_meta as dc
from deepchem_meta.engine import planning
from deepchem_meta.metalearning import KerasLearner, MatchingNet, ProtoMAML, ProtoNet
from deepchem_meta.metalearning import RidgeRegressionHead as Ridge
from deepchem_meta.tasks import FewShotClassificationTasks, SinusoidTasks

LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TOGETHER = {"task_execution": "auto", "jit_compile": False}
LOOPED = {"task_execution": "looped", "jit_compile": False}


class Weighted:
    """Draws tasks with sample weights, some of which are padding."""

    ways = 3

    def __init__(self, tasks):
        self._tasks = tasks

    def sample(self, n, rng):
        parts = []
        for x, y in self._tasks.sample(n, rng):
            weights = rng.uniform(0.5, 2, y.shape).astype("float32")
            weights[:, -1] = 0
            parts.append((x, y, weights))
        return tuple(parts)


def tasks(dtype="float64"):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(9), 8)
    x = rng.normal(size=(9, 4))[labels] + 0.2 * rng.normal(size=(72, 4))
    return FewShotClassificationTasks(x.astype(dtype), labels, ways=3, shots=2, queries=2)


def learner(*parts, source=None, out=3, loss=LOGITS, **options):
    keras.utils.set_random_seed(0)
    kinds = [layers.Dense(6, "tanh", dtype="float64"), *parts, layers.Dense(out, dtype="float64")]
    return KerasLearner(keras.Sequential(kinds), loss, source or tasks(), **options)


def trained(algorithm, learner, plan, steps=3, **options):
    """Return an algorithm after some meta-steps, and the learner's variables."""
    rate = keras.optimizers.SGD(0.1)
    made = algorithm(learner, meta_batch_size=4, optimizer=rate, seed=0, **plan, **options)
    made.fit(steps, verbose=0)
    return made, [variable.numpy() for variable in learner.variables]


@pytest.mark.parametrize(
    ("algorithm", "source", "options"),
    [
        (ProtoNet, None, {"task_batch_size": 3}),
        (MatchingNet, None, {"reduction": "sum"}),
        (Ridge, None, {}),
        (ProtoNet, Weighted(tasks()), {}),
        (MatchingNet, Weighted(tasks()), {}),
        (Ridge, Weighted(tasks()), {}),
    ],
)
def test_the_same_numbers(algorithm, source, options):
    (one, a), (other, b) = (
        trained(algorithm, learner(source=source), plan, **options) for plan in (TOGETHER, LOOPED)
    )
    assert one.execution_plan.together and not other.execution_plan.together
    for mine, its in zip(a, b, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("algorithm", [ProtoNet, MatchingNet, Ridge])
@pytest.mark.parametrize("source", [tasks(), Weighted(tasks())])
def test_the_same_evaluation(algorithm, source, monkeypatch):
    calls = []
    as_it_was = algorithm.evaluate_tasks

    def counted(*args):
        calls.append(args)
        return as_it_was(*args)

    monkeypatch.setattr(algorithm, "evaluate_tasks", counted)
    one, other = (
        algorithm(learner(source=source, metrics=["accuracy"]), **plan)
        for plan in (TOGETHER, LOOPED)
    )
    held_out = dc.evaluation.ScoredTasks(
        source, {"first": lambda y, outputs, weights: float(outputs[0, 0])}
    )
    a = one.evaluate(held_out, n_tasks=30)
    assert len(calls) == 1  # the trace
    b = other.evaluate(held_out, n_tasks=30)
    assert len(calls) == 1
    assert set(a.metrics) == {"accuracy", "first"}
    np.testing.assert_allclose(a.loss, b.loss, rtol=1e-10, atol=1e-12)
    for name, values in a.metrics.items():
        np.testing.assert_allclose(values, b.metrics[name], rtol=1e-10, atol=1e-12)


def test_regression():
    def sines():
        return learner(source=SinusoidTasks(shots=4, queries=3), out=1, loss="mse")

    (one, a), (_, b) = (trained(Ridge, sines(), plan) for plan in (TOGETHER, LOOPED))
    assert one.execution_plan.together
    for mine, its in zip(a, b, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)
    found = [
        Ridge(sines(), **plan).evaluate(SinusoidTasks(), n_tasks=20) for plan in (TOGETHER, LOOPED)
    ]
    np.testing.assert_allclose(*(each.loss for each in found), rtol=1e-4)


def test_the_meta_gradient():
    support, query = tasks().sample(4, np.random.default_rng(0))
    one, other = (ProtoNet(learner(), **plan) for plan in (TOGETHER, LOOPED))
    a, b = (each.meta_gradient(support, query) for each in (one, other))
    assert one.execution_plan.together and a.loss == pytest.approx(b.loss, rel=1e-12)
    for mine, its in zip(a.gradients, b.gradients, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-10, atol=1e-14)


def test_dropout_draws_for_every_example_and_does_not_depend_on_steps_a_call():
    def run(**options):
        made = ProtoNet(
            learner(layers.Dropout(0.5, dtype="float64")), meta_batch_size=4, seed=0, **TOGETHER
        )
        made.fit(6, verbose=0, **options)
        assert made.execution_plan.together
        return [variable.numpy() for variable in made.learner.model.trainable_variables]

    one, many = run(steps_per_execution=1), run(steps_per_execution=6)
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a, b)


class Centre(layers.Layer):
    """Takes the mean over the batch away."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=0)


@pytest.mark.parametrize(
    ("part", "apart"),
    [
        (layers.LayerNormalization, True),
        (lambda **options: layers.Dropout(0.5, **options), True),
        (layers.BatchNormalization, False),
        (lambda **options: layers.BatchNormalization(trainable=False, **options), True),
        (lambda **options: layers.ActivityRegularization(0.1, **options), False),
        (lambda **options: layers.Dense(3, kernel_regularizer="l2", **options), False),
        (Centre, False),
    ],
)
def test_only_where_each_example_is_embedded_by_itself(part, apart):
    made = learner(part(dtype="float64"), batch_norm="running")
    assert made.embeds_apart is apart
    one, _ = trained(ProtoNet, made, TOGETHER, steps=1)
    assert one.execution_plan.together is apart


def test_only_where_the_algorithm_has_the_usual_steps():
    class Own(ProtoNet):
        def query_loss(self, adapted, query):
            loss, final = super().query_loss(adapted, query)
            return 2 * loss, final

    assert ProtoNet(learner()).learns_together
    assert not Own(learner()).learns_together
    assert not ProtoMAML(learner()).learns_together
    plain = Classes()
    assert not ProtoNet(plain, ways=3).learns_together
    ProtoNet(plain, ways=3, **TOGETHER).meta_gradient(*episodes(plain, 2))


def test_batches_of_different_length_run_one_after_the_other():
    class Ragged:
        ways = 3
        count = 0

        def sample(self, n, rng):
            self.count += 1
            return tasks().sample(n, rng)

    made = ProtoNet(learner(source=Ragged()), **TOGETHER)
    (x, y), query = tasks().sample(2, np.random.default_rng(0))
    made.meta_gradient((x, y), (*query, np.ones(query[1].shape, "float32")))
    assert not made.execution_plan.together


@pytest.mark.parametrize(
    ("parts", "options", "together", "compiled"),
    [
        ((), {}, True, False),
        ((), {"jit_compile": True}, False, True),
        ((layers.BatchNormalization(dtype="float64"),), {}, False, True),
    ],
)
def test_one_pass_goes_before_the_loop_of_xla(monkeypatch, parts, options, together, compiled):
    """Of a model that is too large to be vectorised, on few cores."""
    monkeypatch.setattr(planning, "_MOST_BYTES_VECTORIZED", 0)
    monkeypatch.setattr(planning, "TASKS_AT_ONCE", 2)
    made, _ = trained(ProtoNet, learner(*parts), options, steps=1)
    plan = made.execution_plan
    assert (plan.vectorized, plan.jit_compile, plan.together) == (False, compiled, together)
