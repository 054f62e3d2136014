import numpy as np
import pytest

from deepchem_meta.metalearning._task_source import check_episodes, first_support


def test_weights_in_one_set_are_added_to_the_other():
    x, w = np.ones((2, 3, 1)), np.zeros((2, 3), "float32")
    support, query = check_episodes(((x, x), (x, x, w)))
    np.testing.assert_array_equal(support[2], np.ones((2, 3)))
    assert support[2].dtype == "float32"
    assert query[2] is w
    support, query = check_episodes(((x, x), (x, x)))
    assert len(support) == len(query) == 2


def test_structures():
    x = {"a": np.ones((2, 3)), "b": np.ones((2, 3, 4))}
    check_episodes(((x, np.ones((2, 3))), (x, [np.ones((2, 3))])))


@pytest.mark.parametrize(
    ("episodes", "error", "match"),
    [
        (None, TypeError, "Received: NoneType"),
        (((1, 2),), TypeError, "Received: tuple"),
        ((np.ones(3), np.ones(3)), TypeError, "ndarray as support"),
        (((np.ones((2, 3)),), (np.ones((2, 3)),)), TypeError, "tuple as support"),
        (((np.ones((2, 3)), np.ones((2, 4))),) * 2, ValueError, r"support of shapes \[\(2, 3\)"),
        (((np.ones(2), np.ones(2)),) * 2, ValueError, "support of shapes"),
    ],
)
def test_bad_episodes(episodes, error, match):
    with pytest.raises(error, match=match):
        check_episodes(episodes)


class Source:
    """Gives tasks of ones, and zeros to whoever only looks."""

    def sample(self, n, rng):
        x = np.ones((n, 3, 2))
        return (x, x[..., 0]), (x, x[..., 0], np.ones((n, 3)))


class Peeked(Source):
    def peek(self):
        return (np.zeros((3, 2)), np.zeros(3)), (np.zeros((3, 2)), np.zeros(3))


def test_the_first_support_batch():
    x, y, weights = first_support(Source())
    assert (x.shape, y.shape, weights.shape) == ((3, 2), (3,), (3,))
    assert np.all(x == 1) and np.all(weights == 1)
    x, y = first_support(Peeked())
    assert (x.shape, y.shape) == ((3, 2), (3,)) and not np.any(x)
