"""Probabilities of classes against Bayes' rule in closed form."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import norm

from deepchem_meta.metalearning._probabilities import class_log_probabilities, with_base_rate


def test_logits_are_normalised_as_scipy_does():
    logits = np.random.default_rng(0).normal(0, 9, (4, 3)).astype("float32")
    known = class_log_probabilities(logits, "logits")
    np.testing.assert_allclose(known, log_softmax(logits.astype("float64"), axis=-1), atol=1e-12)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_a_single_output_is_about_class_1(shape):
    odds = np.linspace(-3, 3, 5).reshape(shape)
    one = 1 / (1 + np.exp(-odds.ravel()))
    for kind, outputs in (("logits", odds), ("probabilities", one.reshape(shape))):
        known = np.exp(class_log_probabilities(outputs, kind))
        np.testing.assert_allclose(known, np.stack([1 - one, one], 1), rtol=1e-12)


def test_a_sequence_has_classes_for_each_step():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4))
    known = class_log_probabilities(logits, "logits")
    np.testing.assert_allclose(np.exp(known).sum(-1), np.ones((2, 3)))


def test_the_base_rate_of_two_normal_distributions():
    """From balanced classes N(0, 1) and N(2, 1) the log-odds of class 1 are 2 x - 2."""
    x = np.linspace(-1, 3, 9)
    known = class_log_probabilities(2 * x - 2, "logits")
    rate = 0.06
    joint = np.stack([(1 - rate) * norm.pdf(x), rate * norm.pdf(x - 2)], axis=1)
    posterior = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(with_base_rate(known, rate)), posterior, rtol=1e-12)
    np.testing.assert_allclose(
        np.exp(with_base_rate(known, [1 - rate, rate])), posterior, rtol=1e-12
    )
    np.testing.assert_allclose(with_base_rate(known, 0.5), known, atol=1e-12)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 2.0, np.nan, [0.5], [0.5, 0.6], [1.0, 0.0]])
def test_rates_that_are_none(rate):
    known = class_log_probabilities(np.zeros((3, 2)), "logits")
    with pytest.raises(ValueError, match="`base_rate` must be a number between 0 and 1"):
        with_base_rate(known, rate)


def test_one_rate_for_many_classes_and_words():
    known = class_log_probabilities(np.zeros((3, 4)), "logits")
    with pytest.raises(ValueError, match="must be the rates of 4 classes"):
        with_base_rate(known, 0.1)
    with pytest.raises(TypeError, match="`base_rate` must be the rate"):
        with_base_rate(known, "often")
