import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, Sine, episodes
from oracles import central_differences
from scipy.special import log_softmax
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct

from deepchem_meta.engine.learner_model import Embedding
from deepchem_meta.metalearning import GaussianProcessHead, KerasLearner, ProtoNet
from deepchem_meta.metalearning.gaussian_process import Posterior
from deepchem_meta.tasks import SinusoidTasks

PLAIN = {"task_execution": "looped", "jit_compile": False}
SIZE = 4


def sklearn_process(kernel, noise):
    """Return scikit-learn's process of the package's kernels, at amplitude and length 1."""
    parts = {
        "linear": ConstantKernel(1 / SIZE) * DotProduct(1e-8, "fixed"),
        "rbf": RBF(np.sqrt(SIZE)),
    }
    total = sum((parts[name] for name in kernel[1:]), parts[kernel[0]])
    return GaussianProcessRegressor(total, alpha=noise, optimizer=None)


def embedding(x, y, weights=None):
    return Embedding(tf.constant(x), tf.constant(y), weights, None, [])


@pytest.mark.parametrize("kernel", [["linear"], ["rbf"], ["rbf", "linear"]])
def test_mean_and_deviation_are_scikit_learns(kernel):
    rng = np.random.default_rng(0)
    x, y, new = (
        rng.normal(size=(9, SIZE)),
        40 + 5 * rng.normal(size=(9, 2)),
        rng.normal(size=(5, SIZE)),
    )
    algorithm = GaussianProcessHead(Sine(dtype="float64"), kernel=kernel, noise=0.2, **PLAIN)
    predicted = algorithm.apply_head(algorithm.solve_head(embedding(x, y)), tf.constant(new))
    mean, deviation = np.split(predicted.numpy(), 2, axis=1)
    center, spread = y.mean(0), y.std(0)
    process = sklearn_process(kernel, 0.2).fit(x, (y - center) / spread)
    expected, latent = process.predict(new, return_std=True)
    np.testing.assert_allclose(mean, center + spread * expected, rtol=1e-10)
    np.testing.assert_allclose(deviation, spread * np.sqrt(latent**2 + 0.2), rtol=1e-10)


def test_tanimoto_is_the_share_of_common_bits():
    """Against RDKit, whose process is solved by NumPy."""
    data_structs = pytest.importorskip("rdkit.DataStructs")
    rng = np.random.default_rng(0)
    bits = (rng.random((8, 30)) < 0.3).astype("float64")
    bits[-1] = 0
    vectors = [data_structs.CreateFromBitString("".join(map(str, row.astype(int)))) for row in bits]
    alike = np.array([data_structs.BulkTanimotoSimilarity(v, vectors) for v in vectors])
    alike[-1, -1] = 1.0
    y = rng.normal(size=(5, 1))
    head = GaussianProcessHead(Sine(dtype="float64"), kernel="tanimoto", noise=0.3, **PLAIN)
    predicted = head.apply_head(head.solve_head(embedding(bits[:5], y)), tf.constant(bits))
    dual = np.linalg.solve(alike[:5, :5] + 0.3 * np.eye(5), (y - y.mean()) / y.std())
    expected = y.mean() + y.std() * alike[:, :5] @ dual
    np.testing.assert_allclose(predicted[:, :1], expected, rtol=1e-10)


def test_weights_divide_the_noise_and_padding_does_not_count():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, SIZE)), rng.normal(size=(6, 1))
    weights = np.array([1.0, 1, 1, 1, 0, 0])
    head = GaussianProcessHead(Sine(dtype="float64"), kernel_steps=3, **PLAIN)
    new = tf.constant(rng.normal(size=(3, SIZE)))
    short = head.apply_head(head.solve_head(embedding(x[:4], y[:4])), new)
    padded = head.apply_head(head.solve_head(embedding(x, y, weights)), new)
    np.testing.assert_allclose(short, padded, rtol=1e-10)
    # Twice the same example is one of weight 2.
    twice = head.apply_head(
        GaussianProcessHead(Sine(dtype="float64"), **PLAIN).solve_head(
            embedding(x[[0, 0, 1, 2]], y[[0, 0, 1, 2]])
        ),
        new,
    )
    once = head.apply_head(
        GaussianProcessHead(Sine(dtype="float64"), **PLAIN).solve_head(
            embedding(x[:3], y[:3], np.array([2.0, 1, 1]))
        ),
        new,
    )
    np.testing.assert_allclose(twice, once, rtol=1e-9)


def features(learner, x):
    w, b = (v.numpy() for v in learner.variables[:2])
    return np.tanh(x @ w + b)


def loss_by_scikit_learn(learner, support, query, classes):
    """Return the mean negative log density, or the cross-entropy of averaged logits."""
    losses = []
    for x, y, qx, qy in zip(*support, *query, strict=True):
        if classes:
            hot = np.eye(3)[y]
            prior = np.log((hot.sum(0) + 1) / (len(y) + 3))
            y, center, spread = 2 * hot - 1, 2 * hot.mean(0) - 1, 1.0
        else:
            center, spread = y.mean(0), y.std(0)
        process = sklearn_process(["rbf"], 0.1).fit(features(learner, x), (y - center) / spread)
        mean, latent = process.predict(features(learner, qx), return_std=True)
        mean, latent = mean.reshape(len(qx), -1), latent.reshape(len(qx), -1)
        if classes:
            logits = mean / np.sqrt(1 + np.pi / 8 * latent**2) + prior
            losses.append(-np.mean(log_softmax(logits, axis=1)[np.arange(len(qy)), qy]))
        else:
            deviation = spread * np.sqrt(latent**2 + 0.1)
            losses.append(-np.mean(norm.logpdf(qy, center + spread * mean, deviation)))
    return np.mean(losses)


@pytest.mark.parametrize("kind", [Sine, Classes])
def test_loss_and_meta_gradient_through_the_process(kind):
    learner = kind(hidden=SIZE, dtype="float64")
    head = GaussianProcessHead(learner, ways=3 if kind is Classes else None, **PLAIN)
    support, query = episodes(learner, 2)
    result = head.meta_gradient(support, query)

    def oracle():
        return loss_by_scikit_learn(learner, support, query, kind is Classes)

    assert result.loss == pytest.approx(oracle(), rel=1e-9)
    expected = central_differences(oracle, learner.variables[:2])
    for found, other in zip(result.gradients[:2], expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-7)
    own = result.variables[len(learner.variables) :]
    assert len(own) == (4 if kind is Classes else 3)  # noise, amplitude, length, and a scale
    expected = central_differences(lambda: head.meta_gradient(support, query).loss, own)
    for found, other in zip(result.gradients[-len(own) :], expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-6, atol=1e-8)


def test_kernel_steps_climb_scikit_learns_marginal_likelihood():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, SIZE)), rng.normal(size=(9, 1))
    standard = (y - y.mean()) / y.std()

    def likelihood(logs):
        noise, amplitude, length = np.exp(logs)
        kernel = ConstantKernel(amplitude) * RBF(length * np.sqrt(SIZE))
        process = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)
        return process.fit(x, standard).log_marginal_likelihood_value_

    start = np.log([0.1, 1.0, 1.0])
    slope = [
        (likelihood(start + step) - likelihood(start - step)) / 2e-5 for step in 1e-5 * np.eye(3)
    ]
    head = GaussianProcessHead(Sine(dtype="float64"), kernel_steps=1, kernel_rate=0.3, **PLAIN)
    found = Posterior(*head.solve_head(embedding(x, y))).logs
    np.testing.assert_allclose(found, start + 0.3 * np.array(slope) / 9, rtol=1e-6, atol=1e-8)
    many = GaussianProcessHead(Sine(dtype="float64"), kernel_steps=30, kernel_rate=0.3, **PLAIN)
    logs = Posterior(*many.solve_head(embedding(x, y))).logs
    assert likelihood(logs.numpy()) > likelihood(found.numpy()) > likelihood(start)


def test_a_task_can_be_predicted_again_with_its_kernel():
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-2, 2, (12, 1)).astype("float32"), rng.normal(size=(12, 1))
    head = GaussianProcessHead(keras_learner(), kernel=["rbf", "linear"], kernel_steps=20, **PLAIN)
    adapted = head.adapt((x, y.astype("float32")))
    found = head.hyperparameters_of(adapted)
    assert set(found) == set(head.hyperparameters) and found != head.hyperparameters
    again = GaussianProcessHead(keras_learner(), kernel=["rbf", "linear"], **PLAIN)
    again.hyperparameters = found
    other = again.adapt((x, y.astype("float32")))
    np.testing.assert_allclose(adapted.predict(x), other.predict(x), rtol=1e-4, atol=1e-5)


def test_meta_gradient_goes_through_the_kernel_steps():
    learner = Sine(hidden=SIZE, dtype="float64")
    head = GaussianProcessHead(learner, kernel=["rbf", "linear"], kernel_steps=2, **PLAIN)
    support, query = episodes(learner, 2)
    result = head.meta_gradient(support, query)
    moved = [*learner.variables[:2], *result.variables[len(learner.variables) :]]
    expected = central_differences(lambda: head.meta_gradient(support, query).loss, moved)
    own = len(moved) - 2
    for found, other in zip(
        [*result.gradients[:2], *result.gradients[-own:]], expected, strict=True
    ):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-7)


def keras_learner(tasks=None, outputs=1):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "tanh", name="hidden"), keras.layers.Dense(outputs)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    return KerasLearner(model, "mse", tasks, embedding="hidden")


def test_learns_curves_with_honest_intervals():
    tasks = SinusoidTasks(shots=10, queries=10)
    head = GaussianProcessHead(keras_learner(tasks), 8, keras.optimizers.Adam(3e-3), seed=0)
    before = head.evaluate(tasks, n_tasks=50).mean["loss"][-1]
    head.fit(300, verbose=0)
    assert head.evaluate(tasks, n_tasks=50).mean["loss"][-1] < before - 0.5
    (x, y), (qx, qy) = tasks.sample(100, np.random.default_rng(1))
    within = []
    for task in range(100):
        adapted = head.adapt((x[task], y[task]))
        error = np.abs(adapted.predict(qx[task]) - qy[task])
        within.append(error < 1.645 * adapted.predict_std(qx[task]))
    assert 0.8 < np.mean(within) < 0.96  # of a normal distribution 0.90


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, NumPy 2
@pytest.mark.parametrize("kernel", ["linear", "rbf", "tanimoto", ["rbf", "linear"]])
@pytest.mark.parametrize("ways", [None, 2, 3])
def test_to_model_gives_what_predict_gives(kernel, ways, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 1)).astype("float32")
    y = rng.normal(size=(9, 1)).astype("float32") if ways is None else np.arange(9) % ways
    learner = keras_learner(outputs=3)
    if ways is not None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        learner = KerasLearner(learner.model, loss, embedding="hidden")
    adapted = GaussianProcessHead(learner, kernel=kernel, ways=ways).adapt((x, y))
    path = tmp_path / "model.keras"
    adapted.to_model().save(path)
    found = keras.models.load_model(path).predict(x, verbose=0)
    np.testing.assert_allclose(found, adapted.predict(x), rtol=2e-3, atol=2e-4)


def test_equal_targets_are_predicted():
    x, y = np.arange(4.0)[:, None], np.full((4, 1), 7.0)
    adapted = GaussianProcessHead(keras_learner()).adapt((x, y))
    np.testing.assert_allclose(adapted.predict(x), y, rtol=1e-6)


def test_only_a_process_for_numbers_has_a_spread():
    x, y = np.arange(4.0)[:, None], np.array([0, 1, 0, 1])
    for algorithm in (GaussianProcessHead, ProtoNet):
        adapted = algorithm(keras_learner(), ways=2).adapt((x, y))
        with pytest.raises(TypeError, match="`predict_std` needs an algorithm whose"):
            adapted.predict_std(x)
    adapted = GaussianProcessHead(Sine(dtype="float64")).adapt([x, x])
    with pytest.raises(TypeError, match="`predict_std` needs a KerasLearner"):
        adapted.predict_std([x, x])


@pytest.mark.parametrize("kernel", ["cubic", [], ["rbf", "rbf"], 3, None])
def test_wrong_kernels_are_named(kernel):
    with pytest.raises(ValueError, match="`kernel` must be one of 'linear', 'rbf', 'tanimoto'"):
        GaussianProcessHead(Sine(), kernel=kernel)


def test_hyperparameters_are_read_and_set():
    head = GaussianProcessHead(Sine(), kernel=["rbf", "linear"], ways=2, noise=0.5)
    names = ["rbf_amplitude", "linear_amplitude", "length_scale", "scale"]
    assert head.hyperparameters == pytest.approx(dict.fromkeys(names, 1.0))
    wanted = {"rbf_amplitude": 3.0, "linear_amplitude": 0.5, "length_scale": 2.0, "scale": 4.0}
    head.hyperparameters = wanted
    assert head.hyperparameters == pytest.approx(wanted)
    assert head.amplitudes == pytest.approx({"rbf": 3.0, "linear": 0.5})
    assert head.length_scale == pytest.approx(2.0) and head.noise == 0.5
    for wrong in ({}, wanted | {"noise": 0.1}):
        with pytest.raises(ValueError, match="must be rbf_amplitude, linear_amplitude"):
            head.hyperparameters = wrong
    with pytest.raises(ValueError, match="scale"):
        head.hyperparameters = wanted | {"scale": -1.0}
    assert head.hyperparameters == pytest.approx(wanted)


def test_far_from_all_examples_a_class_has_its_share():
    x, y = np.arange(6.0)[:, None], np.array([0, 0, 0, 0, 1, 1])
    head = GaussianProcessHead(Sine(dtype="float64"), ways=2, **PLAIN)
    far = head.apply_head(head.solve_head(embedding(x, y)), tf.constant([[1e3]], tf.float64))
    np.testing.assert_allclose(np.exp(far), [[5 / 8, 3 / 8]], rtol=1e-9)
