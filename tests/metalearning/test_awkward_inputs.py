"""One awkward input after the other, through every entry point of every exported algorithm."""

import re

import numpy as np
import pytest
import tensorflow as tf
from awkward import (
    ALGORITHMS,
    CLASSES,
    ENTRIES,
    FROM_SOURCE,
    NUMBERS,
    OF_SOURCES,
    REFUSED,
    STACKED,
    UNDERSTOOD,
    make,
)
from learners import values

# What users must not see.
INTERNALS = re.compile(r"\{\{node|in user code|InvalidArgument|Op:|Graph execution|autograph")
_made = {}
# Whose regression has as many outputs as a target has numbers, whatever the model's outputs.
MANY = ("RidgeRegressionHead", "GaussianProcessHead")


def algorithm_of(name, kind):
    """Return an algorithm that has seen a good batch, the same one in each test."""
    if (name, kind) not in _made:
        _made[name, kind] = algorithm = make(name, kind)
        if algorithm is not None:
            algorithm.adapt(algorithm.learner.tasks.batch())
    return _made[name, kind]


@pytest.mark.parametrize("kind", [CLASSES, NUMBERS])
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("entry", "place"), ENTRIES)
def test_refused_in_words(name, kind, entry, place):
    algorithm = algorithm_of(name, kind)
    if algorithm is None:
        pytest.skip("is for classes alone")
    before = values(algorithm.learner)
    wrong = []
    for case in REFUSED:
        if kind not in case.kinds or (entry in STACKED and not case.stackable):
            continue
        if name in MANY and kind == NUMBERS and case.what == "y of shape (n, n)":
            continue  # n numbers to be predicted at once
        if (entry, kind, case.what) == ("adapt", CLASSES, "words as targets"):
            continue  # `adapt` makes class numbers of words
        bad = case.change(*algorithm.learner.tasks.batch())
        try:
            ENTRIES[entry, place](algorithm, bad, place)
        except (TypeError, ValueError) as error:
            text = str(error)
            rule = f"{case.message}|{OF_SOURCES}" if entry in FROM_SOURCE else case.message
            if not re.search(rule, text) or "Received" not in text:
                wrong.append(f"{case.what}: {text}")
            elif INTERNALS.search(text):
                wrong.append(f"{case.what} shows internals: {text}")
        else:
            wrong.append(f"{case.what}: taken")
    assert not wrong, "\n".join(wrong)
    if entry not in ("predict_on_batch", "train_on_current_task"):
        for old, new in zip(before, values(algorithm.learner), strict=True):
            np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("kind", [CLASSES, NUMBERS])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_x_to_predict_from(name, kind):
    algorithm = algorithm_of(name, kind)
    if algorithm is None:
        pytest.skip("is for classes alone")
    x, y = algorithm.learner.tasks.batch()
    adapted = algorithm.adapt((x, y))
    for bad in ((x, y), {"x": x}, x[:, :1], x.astype(str), np.ones(()), x[:0]):
        with pytest.raises((TypeError, ValueError), match="Received") as caught:
            adapted.predict(bad)
        assert not INTERNALS.search(str(caught.value)) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("kind", [CLASSES, NUMBERS])
@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("MAML", "RidgeRegressionHead", "ProtoNet")
        else pytest.param(name, marks=pytest.mark.slow)
        for name in ALGORITHMS
    ],
)
def test_understood_in_any_order(name, kind):
    """What a batch means does not depend on its form, nor on the batches before it."""
    results = []
    for order in (list(UNDERSTOOD), list(UNDERSTOOD)[::-1]):
        algorithm = make(name, kind)
        if algorithm is None:
            pytest.skip("is for classes alone")
        batch = algorithm.learner.tasks.batch()
        forms = {"plain": lambda x, y: (x, y), **{what: UNDERSTOOD[what] for what in order}}
        for what, form in forms.items():
            if what == "y as floats" and name in MANY and kind == CLASSES:
                assert algorithm.ways == 3
            adapted = algorithm.adapt(form(*batch))
            loss, outputs = adapted.predict_on_batch(form(*batch))
            results.append((what, float(loss), np.asarray(outputs)))
            predicted = adapted.predict(batch[0])
            assert tf.is_tensor(predicted) or isinstance(predicted, np.ndarray)
            np.testing.assert_allclose(predicted, outputs, rtol=1e-5, atol=1e-6)
    _, loss, outputs = results[0]
    for what, other, predicted in results[1:]:
        assert other == pytest.approx(loss, rel=1e-5), what
        assert predicted.shape == outputs.shape, what
        np.testing.assert_allclose(predicted, outputs, rtol=1e-5, atol=1e-6, err_msg=what)
