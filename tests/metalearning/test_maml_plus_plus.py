import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Quadratic, Sine, episodes
from oracles import central_differences

from deepchem_meta.metalearning import MAML, KerasLearner, MAMLPlusPlus
from deepchem_meta.tasks import SinusoidTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}
PARTS = (
    "learn_rates", "multi_step_loss", "derivative_annealing", "step_batch_norm", "cosine_annealing"
)  # fmt: skip
OFF = dict.fromkeys(PARTS, False)


def make(learner, steps=3, rate=0.1, optimizer=None, **options):
    """Return the algorithm with the parts asked for, and an optimizer that moves nothing."""
    optimizer = optimizer or keras.optimizers.SGD(0.0)
    return MAMLPlusPlus(learner, rate, steps, 2, optimizer, **{**OFF, **PLAIN, **options})


def losses_along(v, rates, support, query):
    """Return the query loss of a `Quadratic` after each step, means over tasks."""
    found = np.zeros(len(rates))
    for A, C, B, D in zip(*support, *query, strict=True):
        w = np.array(v)
        for step, rate in enumerate(rates):
            w = w - rate * (A @ (w - C))
            found[step] += (w - D) @ B @ (w - D) / 2 / len(A)
    return found * len(A) / len(support[0])


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("first_order", [False, True])
def test_without_its_parts_it_is_maml(first_order, recompute):
    learner = Sine(dtype="float64")
    support, query = episodes(learner, 2)
    options = {"first_order": first_order, "recompute": recompute, "reduction": "mean", **PLAIN}
    expected = MAML(learner, 0.1, 3, **options).meta_gradient(support, query)
    found = make(learner, **options).meta_gradient(support, query)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    for a, b in zip(found.gradients, expected.gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("recompute", [False, True])
def test_learned_rates_of_each_step(recompute):
    learner = Quadratic()
    algorithm = make(learner, learn_rates=True, recompute=recompute)
    (rates,) = algorithm.rates
    rates.assign([0.1, 0.3, 0.05])
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    moved = [learner.v, rates]
    expected = central_differences(
        lambda: losses_along(learner.v.numpy(), rates.numpy(), support, query)[-1], moved
    )
    for found, other in zip(result.gradients, expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-6, atol=1e-8)


def test_steps_beyond_the_last_take_its_rate():
    learner = Quadratic()
    algorithm = make(learner, 2, learn_rates=True)
    algorithm.rates[0].assign([0.1, 0.3])
    support, query = episodes(learner, 1)
    adapted = algorithm.adapt([array[0] for array in support], 4)
    loss, _ = adapted.predict_on_batch([array[0] for array in query])
    expected = losses_along(learner.v.numpy(), [0.1, 0.3, 0.3, 0.3], support, query)[-1]
    assert float(loss) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("meta_steps", "weight"), [(0, 1 / 3), (5, 1 / 6), (10, 0), (30, 0)])
def test_losses_after_all_steps_count_less_and_less(meta_steps, weight):
    """With 100 steps in all the weights of the earlier ones fall from 1/3 to 0 in 10."""
    learner = Quadratic()
    algorithm = make(learner, multi_step_loss=True, total_steps=100)
    algorithm.fit(meta_steps)
    support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    weights = np.array([weight, weight, 1 - 2 * weight])

    def losses():
        return losses_along(learner.v.numpy(), [0.1] * 3, support, query)

    assert result.loss == pytest.approx(losses()[-1], rel=1e-12)
    (expected,) = central_differences(lambda: weights @ losses(), [learner.v])
    np.testing.assert_allclose(result.gradients[0], expected, rtol=1e-6)


def test_second_derivatives_come_after_a_third():
    learner = Sine(dtype="float64")
    support, query = episodes(learner, 2)
    algorithm = make(learner, derivative_annealing=True, total_steps=30)
    for meta_steps, first_order in ((9, True), (1, False)):
        algorithm.fit(meta_steps)  # 9 meta-steps taken, then 10
        options = {"first_order": first_order, "reduction": "mean", **PLAIN}
        expected = MAML(learner, 0.1, 3, **options).meta_gradient(support, query)
        found = algorithm.meta_gradient(support, query)
        for a, b in zip(found.gradients, expected.gradients, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)


def normed(batch_norm="running"):
    """Return a learner whose BatchNormalization sees x itself, in float64."""
    norm = keras.layers.BatchNormalization(momentum=0.8, dtype="float64")
    model = keras.Sequential([norm, keras.layers.Dense(1, dtype="float64")])
    return KerasLearner(model, "mse", SinusoidTasks(shots=4, queries=3), batch_norm=batch_norm)


def test_a_call_that_goes_through_all_phases():
    """Twelve meta-steps with the losses of all steps until the second, of first order until the
    fourth."""
    ends = []
    for steps_per_execution in (1, 12):
        learner = Sine(dtype="float64")
        parts = {"multi_step_loss": True, "derivative_annealing": True, "total_steps": 12}
        algorithm = make(learner, optimizer=keras.optimizers.SGD(0.01), seed=0, **parts)
        algorithm.fit(12, steps_per_execution=steps_per_execution)
        assert algorithm.phases == (2, 4)
        ends.append(np.concatenate([np.ravel(v) for v in learner.variables]))
    np.testing.assert_array_equal(*ends)


def test_statistics_of_each_step():
    """One meta-step moves the first step's averages by the support set, the last also by query."""
    learner = normed()
    algorithm = make(learner, 2, step_batch_norm=True)
    algorithm.meta_batch_size = 1
    support, query = learner.tasks.sample(1, np.random.default_rng(3))
    algorithm.train_on_batch(support, query)
    means, variances = (v.numpy()[:, 0] for v in algorithm._norm.statistics)
    first = 0.8 * np.array([0.0, 1.0]) + 0.2 * np.array([support[0].mean(), support[0].var()])
    last = 0.8 * first + 0.2 * np.array([query[0].mean(), query[0].var()])
    np.testing.assert_allclose([means[0], variances[0]], first, rtol=1e-6)
    np.testing.assert_allclose([means[1], variances[1]], last, rtol=1e-6)
    # The model's own are those of no step, and stay.
    assert float(learner.model.layers[0].moving_mean[0]) == 0.0
    # Prediction takes those of the last step that was taken.
    x, y = (array[0] for array in support)
    for steps, row in ((1, 0), (2, 1), (5, 1)):
        adapted = algorithm.adapt((x, y), steps)
        names = [v.path.split("/")[-1] for v in learner.variables]
        named = dict(zip(names, adapted.variables, strict=True))
        # The inner loop itself passes the support set through each of its steps.
        expected = 0.8 * means[row] + 0.2 * x.mean()
        if steps == 5:
            expected = means[1]
            for _ in range(4):
                expected = 0.8 * expected + 0.2 * x.mean()
        np.testing.assert_allclose(named["moving_mean"], [expected], rtol=1e-6)


def test_scales_and_offsets_of_each_step_are_learned_and_do_not_adapt():
    learner = normed("transductive")
    algorithm = make(learner, 2, step_batch_norm=True)
    support, query = learner.tasks.sample(2, np.random.default_rng(3))
    learned = algorithm._norm.learned
    learned[0].assign([[1.2], [0.7]])
    result = algorithm.meta_gradient(support, query)
    found = dict(zip([id(v) for v in result.variables], result.gradients, strict=True))
    expected = central_differences(
        lambda: algorithm.meta_gradient(support, query).loss, learned, size=1e-4
    )
    for variable, other in zip(learned, expected, strict=True):
        np.testing.assert_allclose(found[id(variable)], other, rtol=1e-4, atol=1e-6)
    own = [v.value for v in learner.variables if "batch_normalization" in v.path and v.trainable]
    assert all(found[id(v)] is None for v in own)
    adapted = algorithm.adapt(tuple(array[0] for array in support))
    assert float(adapted.variables[0][0]) == pytest.approx(0.7)  # gamma of the last step


def test_the_meta_rate_falls_by_a_cosine():
    algorithm = MAMLPlusPlus(Quadratic(), total_steps=40)
    rate = algorithm.optimizer.learning_rate
    assert float(rate) == pytest.approx(1e-3)
    algorithm.fit(20)
    assert float(algorithm.optimizer.learning_rate.numpy()) == pytest.approx(5.05e-4, rel=1e-3)
    algorithm.fit(20)
    assert float(algorithm.optimizer.learning_rate.numpy()) == pytest.approx(1e-5, rel=1e-3)
    constant = MAMLPlusPlus(Quadratic(), cosine_annealing=False)
    assert float(constant.optimizer.learning_rate.numpy()) == pytest.approx(1e-3)


def test_a_variable_as_rate():
    with pytest.raises(TypeError, match="the rate of each variable and step starts"):
        MAMLPlusPlus(Quadratic(), tf.Variable(0.1))


def test_cosine_annealing_is_of_the_default_optimizer():
    with pytest.raises(ValueError, match="is for the default optimizer.*Received"):
        MAMLPlusPlus(Quadratic(), optimizer=keras.optimizers.SGD(), cosine_annealing=True)
    MAMLPlusPlus(Quadratic(), optimizer=keras.optimizers.SGD(), cosine_annealing=False)
    for optimizer in (None, keras.optimizers.SGD()):
        with pytest.raises(TypeError, match="must be True or False"):
            MAMLPlusPlus(Quadratic(), optimizer=optimizer, cosine_annealing="yes")


def test_an_adapt_task_of_a_subclass_counts_in_evaluate():
    class Still(MAMLPlusPlus):
        def adapt_task(self, params, support, numbers, steps):
            return params

    tasks = SinusoidTasks(shots=5)
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    algorithm = Still(KerasLearner(model, "mse", tasks), 0.1, 2, **PLAIN)
    found = algorithm.evaluate(tasks, n_tasks=3, optimization_steps=(0, 2)).mean["loss"]
    assert found[0] == found[1]
