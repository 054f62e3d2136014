import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Function, Quadratic, Sine, episodes
from oracles import central_differences

from deepchem_meta.metalearning import MAML, ImplicitMAML, KerasLearner
from deepchem_meta.metalearning.implicit_maml import conjugate_gradients
from deepchem_meta.tasks import FewShotClassificationTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}
EXACT = {"damping": 0.0, "inner_clipnorm": None, **PLAIN}


def test_conjugate_gradients_solve_in_as_many_steps_as_unknowns():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(5, 5))
    matrix, right = factor @ factor.T + np.eye(5), rng.normal(size=5)

    def product(parts):
        whole = tf.linalg.matvec(matrix, tf.concat(parts, 0))
        return [whole[:2], whole[2:]]

    parts = [tf.constant(right[:2]), tf.constant(right[2:])]
    found = np.concatenate(conjugate_gradients(product, parts, 5))
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-10)


@pytest.mark.parametrize(
    ("curvatures", "right", "expected"),
    [
        ([2.0, -1.0], [1.0, 2.0], [1.0, 2.0]),
        ([2.0, -1.0], [2.0, 1.0], [10 / 7, 5 / 7]),
        ([2.0, -1.0], [3.0, 0.0], [1.5, 0.0]),
        ([2.0, 0.4], [0.0, 3.0], [0.0, 3.0]),
        ([2.0, 0.6], [0.0, 3.0], [0.0, 5.0]),
    ],
)
def test_conjugate_gradients_end_at_too_little_curvature(curvatures, right, expected):
    """A first step ends at r |r|^2 / r'Ar, unless r'Ar is at most half of |r|^2."""
    curvatures = tf.constant(curvatures)
    (found,) = conjugate_gradients(lambda v: [curvatures * v[0]], [tf.constant(right)], 4)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_solution_of_nothing_is_nothing():
    (found,) = conjugate_gradients(lambda v: v, [tf.zeros(3)], 4)
    np.testing.assert_array_equal(found, np.zeros(3))


@pytest.mark.parametrize("regularization", [0.5, 2.0])
def test_exact_implicit_gradient_on_a_quadratic(regularization):
    """The minimum is (A + l I)^-1 (A c + l v), whose derivative by v is l (A + l I)^-1."""
    learner = Quadratic()
    algorithm = ImplicitMAML(learner, 0.2, 60, regularization=regularization, cg_steps=3, **EXACT)
    (a, c), (b, d) = support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    v = learner.v.numpy()
    gradient, loss = np.zeros(3), 0.0
    for A, C, B, D in zip(a, c, b, d, strict=True):
        pulled = A + regularization * np.eye(3)
        end = np.linalg.solve(pulled, A @ C + regularization * v)
        loss += (end - D) @ B @ (end - D) / 4
        gradient += regularization * np.linalg.solve(pulled, B @ (end - D)) / 2
    assert result.loss == pytest.approx(loss, rel=1e-7)
    np.testing.assert_allclose(result.gradients[0], gradient, rtol=1e-6)


@pytest.mark.parametrize("clipnorm", [None, 0.5])
def test_damped_gradient_on_a_quadratic(clipnorm):
    """As the authors' code: plain steps, one step back, and a damped system."""
    learner = Quadratic()
    rate, steps, pull, damping = 0.2, 7, 1.5, 0.6
    algorithm = ImplicitMAML(
        learner, rate, steps, regularization=pull, cg_steps=3, damping=damping,
        inner_clipnorm=clipnorm, **PLAIN,
    )  # fmt: skip
    (a, c), (b, d) = support, query = episodes(learner, 2)
    result = algorithm.meta_gradient(support, query)
    v = learner.v.numpy()
    gradient, loss, ends = np.zeros(3), 0.0, []
    for A, C, B, D in zip(a, c, b, d, strict=True):
        end = v.copy()
        for _ in range(steps):
            slope = A @ (end - C)
            scale = 1.0 if clipnorm is None else min(1.0, clipnorm / np.linalg.norm(slope))
            end = end - rate * scale * slope
        ends.append(end)
        end = end - rate * pull * (end - v)
        loss += (end - D) @ B @ (end - D) / 4
        system = (1 + damping) * np.eye(3) + A / (pull + 10 * damping)
        gradient += np.linalg.solve(system, B @ (end - D)) / 2
    assert result.loss == pytest.approx(loss, rel=1e-7)
    np.testing.assert_allclose(result.gradients[0], gradient, rtol=1e-6)
    adapted = algorithm.adapt([part[0] for part in support])  # at test there is no step back
    apart = ends[0] - d[0]
    found, _ = adapted.predict_on_batch([part[0] for part in query])
    assert float(found) == pytest.approx(apart @ b[0] @ apart / 2, rel=1e-6)


def test_a_step_back_ends_at_the_start():
    learner = Quadratic()
    algorithm = ImplicitMAML(learner, 0.2, 3, regularization=50.0, **PLAIN)
    support, query = episodes(learner, 1)
    expected = MAML(learner, 0.2, 0, **PLAIN).meta_gradient(support, query).loss
    assert algorithm.meta_gradient(support, query).loss == pytest.approx(expected)


def test_central_differences_of_a_net_where_the_inner_loop_has_converged():
    learner = Sine(hidden=3, dtype="float64", points=4)
    options = {"regularization": 15.0, "cg_steps": 30, **EXACT}
    algorithm = ImplicitMAML(learner, 0.02, 80, **options)
    support, query = episodes(learner, 2)
    found = algorithm.meta_gradient(support, query).gradients
    rng = np.random.default_rng(1)
    moves = [rng.normal(size=v.shape) for v in learner.variables]
    start = [v.numpy() for v in learner.variables]
    losses = []
    for sign in (1, -1):
        for variable, value, move in zip(learner.variables, start, moves, strict=True):
            variable.assign(value + sign * 1e-5 * move)
        losses.append(algorithm.meta_gradient(support, query).loss)
    along = sum(np.sum(g * m) for g, m in zip(found, moves, strict=True))
    assert along == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5)


class Mixed(Function):
    """Support loss |M v - c|^2 / 2 of one vector v of several variables, and a query loss of some.

    Which of the variables adapt, and which are meta-learned, is up to the test.
    """

    def __init__(self, dtypes=("float64",) * 3):
        rng = np.random.default_rng(3)
        factor = rng.normal(size=(5, 5))
        self.matrix = factor @ factor.T / 5 + np.eye(5)
        self.center, self.aim = rng.normal(size=(2, 5))
        variables = [
            tf.Variable(rng.normal(size=size), dtype=dtype)
            for size, dtype in zip((2, 2, 1), dtypes, strict=True)
        ]
        super().__init__(variables, None)

    def whole(self, variables):
        return tf.concat([tf.cast(v, tf.float64) for v in variables], 0)

    def compute_model(self, inputs, variables, training):
        (part,) = inputs
        v = self.whole(variables)
        support = tf.tensordot(v, tf.linalg.matvec(self.matrix, v), 1) / 2 - tf.tensordot(
            v, self.center, 1
        )
        query = tf.reduce_sum((v[:4] - self.aim[:4]) ** 2)  # without the last variable
        return tf.where(part[0] > 0, query, support), [v]


@pytest.mark.parametrize("adapting", [(0, 1, 2), (0, 2), (1,)])
def test_exact_gradient_where_some_variables_do_not_adapt(adapting):
    """Those that do not shift the minimum; the last one counts in the support loss alone."""
    learner, regularization = Mixed(), 0.7
    options = {"regularization": regularization, "cg_steps": 5, **EXACT}
    chosen = [learner.variables[index] for index in adapting]
    algorithm = ImplicitMAML(learner, 0.3, 200, adapt_variables=chosen, **options)
    sizes = np.repeat([0, 1, 2], [2, 2, 1])
    moves = np.isin(sizes, adapting)

    def loss():
        v = np.concatenate([value.numpy() for value in learner.variables])
        m, c = learner.matrix, learner.center
        pulled = m[np.ix_(moves, moves)] + regularization * np.eye(moves.sum())
        right = c[moves] - m[np.ix_(moves, ~moves)] @ v[~moves] + regularization * v[moves]
        v[moves] = np.linalg.solve(pulled, right)
        return np.sum((v[:4] - learner.aim[:4]) ** 2)

    batches = [np.zeros((1, 1))], [np.ones((1, 1))]
    result = algorithm.meta_gradient(*batches)
    assert result.loss == pytest.approx(loss(), rel=1e-8)
    for found, expected in zip(
        result.gradients, central_differences(loss, learner.variables), strict=True
    ):
        found = np.zeros_like(expected) if found is None else found
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_variables_of_two_dtypes():
    gradients = []
    for dtypes in (("float64",) * 3, ("float64", "float32", "float64")):
        algorithm = ImplicitMAML(Mixed(dtypes), 0.3, 40, regularization=0.7, **EXACT)
        gradients.append(algorithm.meta_gradient([np.zeros((1, 1))], [np.ones((1, 1))]).gradients)
    for a, b in zip(*gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def implicit_and_maml(model, x, y, batch_norm):
    """Return the meta-gradients of both without a step, and so strong a pull that H is lost."""
    tasks = FewShotClassificationTasks(x, y, ways=2, shots=2, queries=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = KerasLearner(model, loss, tasks, batch_norm=batch_norm)
    support, query = tasks.sample(2, np.random.default_rng(0))
    options = {"optimization_steps": 0, "reduction": "mean"}
    implicit = ImplicitMAML(learner, regularization=1e9, **EXACT, **options)
    return [
        algorithm.meta_gradient(support, query).gradients
        for algorithm in (implicit, MAML(learner, **options, **PLAIN))
    ]


@pytest.mark.parametrize("batch_norm", ["transductive", "support", "running"])
def test_the_gradient_goes_through_the_statistics_of_batch_normalization(batch_norm):
    x, y = np.random.default_rng(0).normal(size=(16, 3)), np.arange(16) % 4
    dense = [keras.layers.Dense(size, dtype="float64") for size in (4, 2)]
    norm = keras.layers.BatchNormalization(dtype="float64")
    model = keras.Sequential([dense[0], norm, dense[1]])
    for a, b in zip(*implicit_and_maml(model, x, y, batch_norm), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def test_a_model_with_an_embedding_layer():
    x, y = np.random.default_rng(0).integers(0, 9, size=(16, 3)), np.arange(16) % 4
    layers = [keras.layers.Embedding(9, 4), keras.layers.Flatten(), keras.layers.Dense(2)]
    for a, b in zip(*implicit_and_maml(keras.Sequential(layers), x, y, "running"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"regularization": 0}, ValueError, "`regularization` must be a finite number above 0"),
        ({"cg_steps": 0}, ValueError, "`cg_steps` must be at least 1"),
        ({"damping": -0.1}, ValueError, "`damping` must be a finite number of at least 0"),
        ({"learning_rate": tf.Variable(0.1)}, TypeError, "does not depend on it"),
    ],
)
def test_bad_arguments(options, error, match):
    with pytest.raises(error, match=match):
        ImplicitMAML(Quadratic(), **options)
