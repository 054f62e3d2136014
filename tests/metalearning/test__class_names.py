import numpy as np
import pytest

from deepchem_meta.metalearning._class_names import with_class_numbers

X = np.zeros((3, 2))


@pytest.mark.parametrize(
    "y",
    [
        ["hawk", "crane", "hawk"],
        np.array(["hawk", "crane", "hawk"]),
        np.array(["hawk", "crane", "hawk"], object),
        np.array([["hawk"], ["crane"], ["hawk"]]),
    ],
)
def test_words_become_the_places_of_their_sorted_names(y):
    (x, numbers, weights), names = with_class_numbers((X, y, np.ones(3)))
    assert x is X and weights.shape == (3,)
    assert names.tolist() == ["crane", "hawk"] and numbers.dtype == np.int32
    assert numbers.shape == np.shape(y)
    np.testing.assert_array_equal(names[numbers], np.asarray(y, str))


@pytest.mark.parametrize(
    "batch",
    [
        (X, np.arange(3)),
        (X, ["crane", 1, "hawk"]),
        (X, {"a": ["crane"]}),
        (X, [[1], [2, 3]]),
        (X,),
        X,
        {"x": X},
        (X, np.zeros((0,), str)),
    ],
)
def test_anything_else_stays_as_it_is(batch):
    same, names = with_class_numbers(batch)
    assert same is batch and names is None


def test_targets_of_several_outputs_stay_as_they_are():
    batch = np.zeros((5, 2)), [np.zeros((5, 1)), np.zeros(5, int)]
    assert with_class_numbers(batch) == (batch, None)
