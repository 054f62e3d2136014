"""Scores of rankings, against RDKit, SciPy and counting."""

import copy
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from rdkit.ML.Scoring.Scoring import CalcEnrichment
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

import deepchem_meta as dc
from deepchem_meta.evaluation import ScoredTasks, enrichment, hits_in_top, spearman

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.33, 0.9])
def test_enrichment_is_rdkits(fraction):
    active, predicted = RNG.random(57) < 0.3, RNG.permutation(57)
    order = np.argsort(-predicted)
    ranked = [[predicted[i], bool(active[i])] for i in order]
    (wanted,) = CalcEnrichment(ranked, 1, [fraction])
    assert enrichment(fraction)(active, predicted) == pytest.approx(wanted, rel=1e-12)
    assert enrichment(1.0)(active, predicted) == pytest.approx(1.0, rel=1e-12)


def test_hits_in_the_top_are_counted():
    active = np.array([1, 0, 1, 1, 0, 0])
    predicted = np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.3])
    assert [hits_in_top(k)(active, predicted) for k in (1, 2, 3, 5, 6, 60)] == [1, 1, 2, 2, 3, 3]
    one_column = hits_in_top(3)(active[:, np.newaxis], predicted[:, np.newaxis])
    two_logits = hits_in_top(3)(active, np.stack([-predicted, predicted], axis=1))
    assert one_column == two_logits == 2


def test_equal_predictions_count_by_what_is_expected():
    active, predicted = np.array([1, 0, 1, 0, 0]), np.array([3, 2, 2, 2, 1])
    for k in range(1, 6):
        orders = [
            order
            for order in itertools.permutations(range(5))
            if all(predicted[a] >= predicted[b] for a, b in itertools.pairwise(order))
        ]
        expected = np.mean([active[list(order[:k])].sum() for order in orders])
        assert hits_in_top(k)(active, predicted) == pytest.approx(expected, rel=1e-12)


def test_spearman_is_scipys():
    a, b = RNG.normal(size=(2, 20)).round(1)
    assert spearman(a, b[:, np.newaxis]) == pytest.approx(spearmanr(a, b).statistic, rel=1e-12)
    y, predicted = np.stack([a, b], axis=1), np.stack([b, -b], axis=1)
    mean = (spearmanr(a, b).statistic - 1) / 2
    assert spearman(y, predicted) == pytest.approx(mean, rel=1e-12)


def test_spearman_of_what_is_constant():
    a = RNG.normal(size=20)
    assert spearman(a, np.ones(20)) == 0 and np.isnan(spearman(np.ones(20), a))


def test_a_tenth_of_thirty_are_three():
    active = np.arange(30) < 15
    assert enrichment(0.1)(active, -np.arange(30.0)) == 2.0
    predicted = np.where(np.arange(30) == 3, -10.0, -np.arange(30.0))  # the fourth is not counted
    assert enrichment(0.1)(active, predicted) == 2.0


@pytest.mark.parametrize("score", [hits_in_top(3), enrichment(0.5), spearman])
def test_predictions_that_are_not_finite_have_no_score(score):
    y = np.array([1, 0, 1, 0])
    assert np.isnan(score(y, np.array([0.2, np.nan, 0.9, 0.1])))
    assert np.isnan(score(y, np.array([0.2, np.inf, 0.9, 0.1])))


@pytest.mark.parametrize("score", [hits_in_top(3), enrichment(0.5), spearman])
def test_padding_does_not_count(score):
    y, predicted = np.array([1, 0, 1, 0]), np.array([0.2, 0.4, 0.9, 0.1])
    padded = np.append(y, [1, 1]), np.append(predicted, [5, 6]), np.array([1, 1, 2, 1, 0, 0])
    assert score(*padded) == pytest.approx(score(y, predicted), rel=1e-12)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`k` must be at least 1"):
        hits_in_top(0)
    for fraction in (0, 1.1, "a"):
        with pytest.raises(ValueError, match="`fraction` must be above 0 and at most 1"):
            enrichment(fraction)
    with pytest.raises(ValueError, match="active and inactive"):
        hits_in_top(1)(np.ones(3), np.ones(3))
    for scores in ([spearman], {"a": 1}, {1: spearman}):
        with pytest.raises(TypeError, match="`scores` must be a dict of functions"):
            ScoredTasks(dc.tasks.SinusoidTasks(), scores)
    with pytest.raises(TypeError, match="`tasks` must be an object with `sample"):
        ScoredTasks(3, {})


def test_they_are_reported_by_evaluate_fit_and_compare():
    x = RNG.normal(size=(60, 3)).astype("float32")
    y = (x @ RNG.normal(size=(3, 4)) > 0).astype("float32")
    assays = dc.tasks.AssayTasks(x, y, names=list("abcd"), shots=4, queries="rest")
    tasks = ScoredTasks(assays, {"hits_in_top_5": hits_in_top(5), "half": enrichment(0.5)})
    assert tasks.names == assays.names
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    maml = dc.metalearning.MAML(dc.metalearning.KerasLearner(model, loss, assays), 0.5, 3)
    found = maml.evaluate(tasks, n_tasks=8, optimization_steps=3)
    assert found.optimization_steps == (3,) and found.task_names is not None
    assert list(found.metrics) == ["roc_auc", "average_precision", "hits_in_top_5", "half"]
    assert 2.5 < found.mean["hits_in_top_5"][0] <= 5
    history = maml.fit(1, validation=tasks, validation_tasks=4, save_best="val_half")
    assert history.history["val_half"][0] > 1
    ridge = dc.metalearning.RidgeRegressionHead(maml.learner, ways=2)
    compared = dc.evaluation.compare(
        {"ridge": ridge, "MAML": maml}, tasks, n_tasks=8, metric="hits_in_top_5"
    )
    assert compared.metric == "hits_in_top_5" and "lowest to highest" in str(compared)


def test_a_copy_has_a_place_of_its_own_in_a_dataset():
    x = RNG.normal(size=(7, 5, 1)).astype("float32")
    tasks = dc.tasks.DatasetTasks(tf.data.Dataset.from_tensor_slices(((x, x), (x, x))))
    scored = ScoredTasks(tasks, {"spearman": spearman})
    scored.sample(3, RNG)
    other = copy.copy(scored)
    other.set_state(other.initial_state)
    np.testing.assert_array_equal(other.sample(1, RNG)[0][0], x[:1])
    np.testing.assert_array_equal(scored.sample(1, RNG)[0][0], x[3:4])
    assert list(other.scores) == ["spearman"]


def test_a_score_does_not_take_the_place_of_a_metric():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    tasks = dc.tasks.SinusoidTasks(shots=3)
    learner = dc.metalearning.KerasLearner(model, "mse", tasks, metrics=["mae"])
    maml = dc.metalearning.MAML(learner)
    ridge = dc.evaluation.EstimatorBaseline(Ridge())
    for one, name in ((maml, "mae"), (maml, "loss"), (ridge, "loss")):
        scored = ScoredTasks(tasks, {name: spearman})
        with pytest.raises(ValueError, match=f"must have other names.*{name} twice"):
            one.evaluate(scored, n_tasks=2, optimization_steps=(0,))
