import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from awkward import CLASSES, NUMBERS, REFUSED, Source

import deepchem_meta as dc
from deepchem_meta.engine.map_over_tasks import EpisodeChunks
from deepchem_meta.engine.task_source import KnownSource
from deepchem_meta.evaluation import EstimatorBaseline

pytest.importorskip("sklearn")

from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    log_loss,
    mean_squared_error,
    roc_auc_score,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

EPS = np.finfo(np.float64).eps


def make_assays(weighted=False, **options):
    """Return four assays of 60 compounds, of which 6 features tell something, with gaps."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6))
    y = (x[:, :4] + rng.normal(size=(60, 4)) > 0).astype(float)
    y[rng.random(y.shape) < 0.1] = np.nan
    w = rng.uniform(0.5, 2.0, size=y.shape) if weighted else None
    options = {"shots": 4, "queries": "rest", **options}
    return dc.tasks.AssayTasks(x, y, w, **options)


def make_classes(**options):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(8), 12)
    x = rng.normal(size=(8, 2, 3))[labels] + rng.normal(size=(96, 2, 3))
    options = {"ways": 3, "shots": 2, "queries": 4, **options}
    return dc.tasks.FewShotClassificationTasks(x, labels, **options)


class Pairs:
    """Draws x as a dict of two arrays, in float64 and large enough for several calls."""

    def __init__(self, size):
        self.size = size

    def sample(self, n, rng):
        x = {"a": rng.normal(size=(n, 4, self.size)), "b": rng.normal(size=(n, 4, 1))}
        return (x, x["b"]), (x, x["b"])


def make_dataset():
    x = np.random.default_rng(0).normal(size=(7, 5, 1)).astype("float32")
    return dc.tasks.DatasetTasks(tf.data.Dataset.from_tensor_slices(((x, x), (x, x))))


class TestEpisodes:
    def test_names_are_those_of_algorithms(self):
        found = EstimatorBaseline(DummyClassifier()).evaluate(make_assays(), n_tasks=6)
        assert found.task_names == EpisodeChunks(KnownSource.of(make_assays()), 6, 0).names
        assert (found.n_tasks, found.unit, found.seed) == (8, "draws", 0)

    def test_an_algorithm_that_knows_the_answer_agrees(self):
        """The loss of a model that gives 0 is the mean square of y, whoever computes it."""
        tasks = dc.tasks.SinusoidTasks(shots=3, queries=5)
        model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")])
        learner = dc.metalearning.KerasLearner(model, "mse", tasks)
        maml = dc.metalearning.MAML(learner)
        expected = maml.evaluate(tasks, n_tasks=9, optimization_steps=(0,), seed=3)
        zero = EstimatorBaseline(Ridge(alpha=1e15, fit_intercept=False))
        found = zero.evaluate(tasks, n_tasks=9, seed=3)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)


class TestEvaluate:
    def test_regression_is_scikit_learns(self):
        tasks = dc.tasks.SinusoidTasks(shots=6, queries=9)
        found = EstimatorBaseline(KNeighborsRegressor(2)).evaluate(tasks, n_tasks=5, seed=1)
        (x, y), (query_x, query_y) = tasks.sample(5, np.random.default_rng(1))
        for i in range(5):
            by_hand = KNeighborsRegressor(2).fit(x[i], y[i]).predict(query_x[i])
            expected = mean_squared_error(query_y[i], by_hand)
            np.testing.assert_allclose(found.loss[i], [expected], rtol=1e-5)
        assert found.metrics == {}
        assert found.optimization_steps == (0,)
        assert found.settings == {"algorithm": "KNeighborsRegressor"}

    def test_classification_is_scikit_learns(self):
        tasks = make_classes()
        found = EstimatorBaseline(LogisticRegression()).evaluate(tasks, n_tasks=6, seed=2)
        (x, y), (query_x, query_y) = tasks.sample(6, np.random.default_rng(2))
        for i in range(6):
            by_hand = LogisticRegression().fit(x[i].reshape(6, -1), y[i])
            inputs = query_x[i].reshape(12, -1)
            expected = log_loss(query_y[i], by_hand.predict_proba(inputs))
            np.testing.assert_allclose(found.loss[i], [expected], rtol=1e-6)
            expected = accuracy_score(query_y[i], by_hand.predict(inputs))
            np.testing.assert_allclose(found.metrics["accuracy"][i], [expected])

    @pytest.mark.parametrize("weighted", [False, True])
    def test_assays_are_scored_without_padding(self, weighted):
        tasks = make_assays(weighted)
        found = EstimatorBaseline(LogisticRegression()).evaluate(tasks, n_tasks=8, seed=4)
        assert list(found.metrics) == ["accuracy", "roc_auc", "average_precision"]
        support, query = tasks.sample(8, np.random.default_rng(4), np.arange(8) % 4)
        assert np.any(query[2] == 0)
        for i in range(8):
            x, y, w = (part[i] for part in support)
            by_hand = LogisticRegression().fit(x, y.ravel(), sample_weight=w)
            x, y, w = (part[i][query[2][i] > 0] for part in query)
            probability = by_hand.predict_proba(x)
            picked = np.where(y.ravel() == 1, probability[:, 1], probability[:, 0])
            expected = {
                "accuracy": accuracy_score(y, by_hand.predict(x), sample_weight=w),
                "roc_auc": roc_auc_score(y, probability[:, 1]),
                "average_precision": average_precision_score(y, probability[:, 1]),
            }
            np.testing.assert_allclose(found.loss[i], [np.mean(-w * np.log(picked))], rtol=1e-5)
            for name, value in expected.items():
                np.testing.assert_allclose(found.metrics[name][i], [value], rtol=1e-5)

    def test_assays_of_numbers_have_their_scores(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(50, 3)).astype("float32")
        tasks = dc.tasks.AssayTasks(x, x @ rng.normal(size=(3, 2)), task_type="regression")
        found = EstimatorBaseline(Ridge(0.1)).evaluate(tasks, n_tasks=4)
        assert list(found.metrics) == ["r2", "rmse"]
        np.testing.assert_allclose(found.metrics["rmse"] ** 2, found.loss, rtol=1e-4)

    def test_a_dataset_and_several_inputs(self):
        tasks = Pairs(2)
        support, query = tasks.sample(6, np.random.default_rng(0))
        dataset = tf.data.Dataset.from_tensor_slices((support, query))
        baseline = EstimatorBaseline(Ridge(1e-8), features=lambda x: np.hstack([x["a"], x["b"]]))
        found = baseline.evaluate(dataset, n_tasks=6)
        np.testing.assert_allclose(found.loss, np.zeros((6, 1)), atol=1e-9)  # y is one of them

    def test_the_estimator_stays_unfitted(self):
        estimator = Ridge()
        EstimatorBaseline(estimator).evaluate(dc.tasks.SinusoidTasks(), n_tasks=2)
        assert not hasattr(estimator, "coef_")


class TestAdapt:
    def test_logarithms_of_probabilities_by_class_number(self):
        x = np.random.default_rng(0).normal(size=(8, 2))
        y = np.array([0, 0, 1, 1, 3, 3, 3, 3])
        adapted = EstimatorBaseline(LogisticRegression()).adapt((x, y), ways=5)
        found = adapted.predict(x)
        probability = LogisticRegression().fit(x, y).predict_proba(x)
        assert found.shape == (8, 5)
        np.testing.assert_allclose(found[:, [0, 1, 3]], np.log(probability), rtol=1e-7)
        np.testing.assert_allclose(found[:, [2, 4]], np.log(EPS))

    def test_no_probability_is_0(self):
        x = np.array([[0.0], [1.0]])
        adapted = EstimatorBaseline(KNeighborsClassifier(1)).adapt((x, np.array([0, 1])))
        expected = np.log([[1.0, EPS], [EPS, 1.0]])
        np.testing.assert_allclose(adapted.predict(x), expected)

    @pytest.mark.parametrize("classes", [2, 3])
    def test_a_decision_function_stands_for_logits(self, classes):
        x = np.random.default_rng(0).normal(size=(12, 2))
        y = np.arange(12) % classes
        by_hand = RidgeClassifier().fit(x, y)
        scores = by_hand.decision_function(x)
        logits = np.transpose([0 * scores, scores]) if classes == 2 else scores
        expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        found = EstimatorBaseline(RidgeClassifier()).adapt((x, y)).predict(x)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_array_equal(found.argmax(axis=1), by_hand.predict(x))

    @pytest.mark.parametrize("only", [0, 1])
    def test_of_one_class_that_class_is_predicted(self, only):
        x = np.random.default_rng(0).normal(size=(4, 2))
        y = np.full((4, 1), only, "float32")
        found = EstimatorBaseline(LogisticRegression()).adapt((x, y)).predict(x[:3])
        expected = np.log([[EPS, EPS]] * 3)
        expected[:, only] = 0.0
        np.testing.assert_allclose(found, expected)

    def test_padding_is_left_out_and_weights_are_passed_on(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(8, 2)), rng.normal(size=(8, 1))
        w = np.array([1, 2, 0.5, 1, 1, 3, 0, 0])
        y[6:] = 1e6
        found = EstimatorBaseline(Ridge()).adapt((x, y, w)).predict(x)
        expected = Ridge().fit(x[:6], y[:6, 0], sample_weight=w[:6]).predict(x)
        np.testing.assert_allclose(found, expected[:, np.newaxis])
        found = EstimatorBaseline(KNeighborsRegressor(6)).adapt((x, y, w)).predict(x)
        np.testing.assert_allclose(found, np.full((8, 1), y[:6].mean()))  # takes no weights

    @pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
    def test_values_have_the_shape_of_the_targets(self, shape):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(6, 4, 2)), rng.normal(size=shape)
        found = EstimatorBaseline(Ridge()).adapt((x, y)).predict(x[:5])
        assert found.shape == (5, *shape[1:])
        expected = Ridge().fit(x.reshape(6, 8), y).predict(x[:5].reshape(5, 8))
        np.testing.assert_allclose(found, expected.reshape(found.shape))

    def test_features_take_the_place_of_x(self):
        x, y = np.random.default_rng(0).normal(size=(2, 9, 3))
        classes = (y[:, 0] > 0).astype(int)
        baseline = EstimatorBaseline(LogisticRegression(), features=lambda x: x**2)
        found = baseline.adapt((x, classes)).predict(x)
        expected = LogisticRegression().fit(x**2, classes).predict_log_proba(x**2)
        np.testing.assert_allclose(found, expected)

    def test_the_embedding_of_a_learner_as_features(self):
        model = keras.Sequential([keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)])
        learner = dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks())
        x = np.random.default_rng(0).normal(size=(6, 1)).astype("float32")
        found = EstimatorBaseline(Ridge(), features=learner.embed).adapt((x, x)).predict(x)
        inputs = model(x).numpy()
        expected = Ridge().fit(inputs, x).predict(inputs)
        np.testing.assert_allclose(found, expected.reshape(6, 1), rtol=1e-4)

    def test_a_pipeline_is_an_estimator(self):
        x = np.random.default_rng(0).normal(size=(6, 2))
        y, w = np.arange(6) % 2, np.ones(6)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression())
        found = EstimatorBaseline(pipeline).adapt((x, y, w)).predict(x)
        np.testing.assert_allclose(found, pipeline.fit(x, y).predict_log_proba(x))

    def test_it_stands_in_for_an_algorithm_in_a_figure(self):
        pytest.importorskip("matplotlib")
        from matplotlib.figure import Figure

        x = np.linspace(0, 1, 5)[:, np.newaxis]
        ax = Figure().subplots()
        baseline = EstimatorBaseline(KNeighborsRegressor(1))
        dc.plotting.plot_regression(baseline, (x, x), optimization_steps=(0,), ax=ax)
        assert ax.lines[0].get_ydata().max() == 1.0


class TestMistakes:
    X = np.zeros((4, 2))

    @pytest.mark.parametrize("wrong", [StandardScaler(), Ridge, None, "ridge"])
    def test_no_estimator(self, wrong):
        with pytest.raises(TypeError, match="`estimator` must be a scikit-learn.*Received"):
            EstimatorBaseline(wrong)

    def test_features_that_are_no_function(self):
        with pytest.raises(TypeError, match="`features` must be a function.*Received: features=3"):
            EstimatorBaseline(Ridge(), features=3)

    @pytest.mark.parametrize(
        ("batch", "kind", "message"),
        [
            (X, TypeError, r"A batch must be \(x, y\)"),
            ((X, ["a"] * 4), TypeError, "y must be one array of numbers.*<U1"),
            ((X, np.zeros(4), np.zeros(4)), ValueError, "an example of weight above 0.*4 examples"),
            ((X, np.full(4, 0.5)), ValueError, r"number of each example's class.*\[0.5\]"),
            ((X, np.full(4, -1)), ValueError, r"number of each example's class.*\[-1\]"),
            ((X, np.eye(4)), ValueError, r"number of each example's class.*\(4, 4\)"),
            ((X, np.arange(4)), ValueError, "from 0 to ways - 1 = 1. Received: 3"),
            (({"a": X}, np.zeros(4)), TypeError, "`features` must be given.*a dict"),
        ],
    )
    def test_batches(self, batch, kind, message):
        with pytest.raises(kind, match=message):
            EstimatorBaseline(LogisticRegression()).adapt(batch, ways=2)

    def test_features_of_a_wrong_shape(self):
        baseline = EstimatorBaseline(Ridge(), features=lambda x: x[:2])
        with pytest.raises(ValueError, match=r"shape \(4, features\). Received: shape \(2, 2\)"):
            baseline.adapt((self.X, np.zeros(4)))

    def test_no_source(self):
        with pytest.raises(TypeError, match="`tasks` must be an object with `sample"):
            EstimatorBaseline(Ridge()).evaluate(3)

    @pytest.mark.parametrize(("name", "value"), [("n_tasks", 0), ("seed", -1)])
    def test_counts(self, name, value):
        with pytest.raises(ValueError, match=f"`{name}` must be at least"):
            EstimatorBaseline(Ridge()).evaluate(dc.tasks.SinusoidTasks(), **{name: value})


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    estimator = Ridge()
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ImportError, match=r'pip install "deepchem_meta\[molecules\]"'):
        EstimatorBaseline(estimator)


# What the algorithms refuse, a baseline does too.

NOT_OF_A_BASELINE = (
    "x of another size",  # an estimator is fitted anew
    "more classes than ways",  # it counts the classes itself
    "classes from 1 on",
    "original class numbers",
)


@pytest.mark.parametrize("kind", [CLASSES, NUMBERS])
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.what)
def test_awkward_inputs(case, kind):
    if kind not in case.kinds or case.what in NOT_OF_A_BASELINE:
        pytest.skip("means something to an estimator")
    if kind == NUMBERS and case.what == "y of shape (n, n)":
        pytest.skip("a ridge regression predicts n numbers at once")
    baseline = EstimatorBaseline(LogisticRegression() if kind == CLASSES else Ridge())
    source = Source(kind)
    bad = case.change(*source.batch())
    with pytest.raises((TypeError, ValueError), match="Received"):
        baseline.adapt(bad)
    if case.stackable:
        source.given = (source.batch(), bad)
        with pytest.raises((TypeError, ValueError), match="Received"):
            baseline.evaluate(source, n_tasks=1)
