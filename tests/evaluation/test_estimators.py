"""Adapted models as scikit-learn's estimators."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import deepchem_meta as dc
from deepchem_meta.evaluation import FewShotClassifier, FewShotRegressor
from deepchem_meta.metalearning import MAML, KerasLearner, ProtoNet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4)).astype("float32")
LABELS = np.where(X[:, 0] > 0.3, "hawk", np.where(X[:, 0] < -0.3, "crane", "finch"))


def maml(outputs=3, loss=None, steps=20):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(outputs)])
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return MAML(KerasLearner(model, loss), 0.5, steps)


def test_it_is_adapt_and_the_algorithm_stays():
    algorithm = maml()
    before = [variable.numpy() for variable in algorithm.learner.variables]
    found = FewShotClassifier(algorithm).fit(X, LABELS)
    adapted = algorithm.adapt((X, LABELS))
    np.testing.assert_array_equal(found.predict(X), adapted.predict_classes(X))
    np.testing.assert_allclose(found.predict_proba(X), adapted.predict_proba(X), rtol=1e-6)
    assert found.classes_.tolist() == ["crane", "finch", "hawk"] and found.n_features_in_ == 4
    assert found.score(X, LABELS) > 0.7
    for old, variable in zip(before, algorithm.learner.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    copy = clone(found)
    assert copy.algorithm is algorithm and not hasattr(copy, "adapted_")


def test_fewer_classes_than_the_model_and_numbers_as_labels():
    labels = np.where(X[:, 0] > 0, 7, 3)
    found = FewShotClassifier(maml(), base_rate=[0.9, 0.1]).fit(pd.DataFrame(X), labels)
    assert set(found.predict(pd.DataFrame(X))) == {3, 7}
    found.set_params(base_rate=None)
    even = found.predict_proba(pd.DataFrame(X))
    rare = found.set_params(base_rate=0.1).predict_proba(pd.DataFrame(X))
    np.testing.assert_allclose(rare[:, 1] / rare[:, 0], even[:, 1] / even[:, 0] / 9, rtol=1e-6)
    np.testing.assert_allclose(rare.sum(1), 1)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    single = FewShotClassifier(maml(1, binary)).fit(X, labels)
    assert single.predict_proba(X).shape == (30, 2) and single.score(X, labels) > 0.8


def test_in_a_pipeline_cross_validation_and_a_search():
    estimator = make_pipeline(StandardScaler(), FewShotClassifier(maml()))
    assert cross_val_score(estimator, X, LABELS, cv=3).mean() > 0.5
    grid = {"optimization_steps": [0, 20]}
    search = GridSearchCV(FewShotClassifier(maml()), grid, cv=3).fit(X, LABELS)
    assert search.best_params_ == {"optimization_steps": 20}


def test_regression_and_weights():
    y = X[:, 0] - 2 * X[:, 1]
    algorithm = maml(1, "mse", steps=100)
    algorithm.learning_rate = 0.1
    found = FewShotRegressor(algorithm).fit(X, y)
    assert found.predict(X).shape == (30,) and found.score(X, y) > 0.9
    assert FewShotRegressor(algorithm).fit(X, y[:, np.newaxis]).predict(X).shape == (30, 1)
    wrong = np.append(y, [50.0, 50.0]), np.append(np.ones(30), [0, 0])
    weighted = FewShotRegressor(algorithm).fit(np.append(X, X[:2], axis=0), *wrong)
    np.testing.assert_allclose(weighted.predict(X), found.predict(X), rtol=1e-3, atol=1e-3)
    assert cross_val_score(FewShotRegressor(algorithm), X, y, cv=3).mean() > 0.5


def test_bad_input_is_told():
    with pytest.raises(TypeError, match="`algorithm` must be a metalearning algorithm"):
        FewShotClassifier(3).fit(X, LABELS)
    with pytest.raises(ValueError, match="y must have at least two classes"):
        FewShotClassifier(maml()).fit(X, np.zeros(30))
    with pytest.raises(ValueError, match="Expected 2D array"):
        FewShotClassifier(maml()).fit(X[:, 0], LABELS)
    with pytest.raises(ValueError, match="same number of examples"):
        FewShotClassifier(maml()).fit(X[:5], LABELS)
    with pytest.raises(ValueError, match="from 0 to 2"):
        FewShotClassifier(maml()).fit(X, np.arange(30))
    with pytest.raises(ValueError, match="X has 3 features, but FewShotClassifier is expecting 4"):
        FewShotClassifier(maml()).fit(X, LABELS).predict(X[:, :3])
    with pytest.raises(TypeError, match="needs outputs of classes"):
        FewShotClassifier(maml(1, "mse")).fit(X, X[:, 0] > 0).predict(X)


def test_names_come_from_the_package_and_others_do_not():
    assert dc.evaluation.FewShotClassifier is FewShotClassifier
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        dc.evaluation.nonsense  # noqa: B018


def test_scikit_learns_own_checks_that_fit_any_model():
    """The others feed data of other widths, which a trained model does not take."""
    keras.utils.set_random_seed(0)
    estimator = FewShotClassifier(ProtoNet(maml().learner, ways=3))
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    passed = {one["check_name"] for one in results if one["status"] == "passed"}
    assert passed >= {
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimators_unfitted",
    }
