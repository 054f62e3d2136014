from collections import namedtuple

import numpy as np
import pytest

from deepchem_meta.tasks import pad_tasks


def batch(size, start=0):
    return np.arange(start, start + 2 * size).reshape(size, 2) * 1.0, np.arange(size) + start


def test_shorter_tasks_repeat_their_first_example():
    x, y, weight = pad_tasks([batch(1, 5), batch(3)])
    np.testing.assert_array_equal(x, [[[5, 6]] * 3, [[0, 1], [2, 3], [4, 5]]])
    np.testing.assert_array_equal(y, [[5, 5, 5], [0, 1, 2]])
    np.testing.assert_array_equal(weight, [[1, 0, 0], [1, 1, 1]])
    assert (x.dtype, y.dtype, weight.dtype) == (np.float64, np.int64, np.float32)


def test_weights_that_are_given_stay():
    tasks = [(*batch(2), [0.5, 2.0]), batch(1)]
    weight = pad_tasks(tasks, size=4)[2]
    np.testing.assert_array_equal(weight, [[0.5, 2, 0, 0], [1, 0, 0, 0]])
    assert tasks[0][2] == [0.5, 2.0]


def test_structures():
    Pair = namedtuple("Pair", ["a", "b"])

    def task(size):
        array = np.full((size, 2), size)
        return {"nodes": array, "pair": Pair(array[:, 0], [array, (array,)])}, array[:, :1]

    x, y, _ = pad_tasks([task(1), task(2)])
    assert isinstance(x["pair"], Pair) and isinstance(x["pair"].b, list)
    assert x["nodes"].shape == x["pair"].b[1][0].shape == (2, 2, 2)
    assert x["pair"].a.shape == (2, 2) and y.shape == (2, 2, 1)


@pytest.mark.parametrize(
    ("tasks", "options", "error", "message"),
    [
        ([], {}, ValueError, "at least one task"),
        ([np.zeros((2, 2))], {}, TypeError, r"\(x, y\) or .* Received: .*array of shape \(2, 2\)"),
        ([(1, 2, 3, 4)], {}, TypeError, "Received: batches"),
        ([({}, {})], {}, TypeError, "must hold arrays"),
        ([(np.zeros((2, 1)), np.zeros(3))], {}, ValueError, r"shapes \[\(2, 1\), \(3,\), \(2,\)\]"),
        ([(np.zeros((0, 1)), np.zeros(0))], {}, ValueError, "at least 1"),
        ([(1.0, 2.0)], {}, ValueError, "same number of examples"),
        ([(*batch(2), np.ones((2, 1)))], {}, ValueError, "sample weights one number each"),
        ([batch(2), ({"a": np.zeros((2, 2))}, np.zeros(2))], {}, TypeError, "structure"),
        ([batch(2), (np.zeros((2, 3)), np.zeros(2))], {}, ValueError, r"shapes \[\(2,\), \(3,\)\]"),
        ([batch(3)], {"size": 2}, ValueError, "`size` must be at least .* 3. Received: size=2"),
    ],
)
def test_bad_tasks(tasks, options, error, message):
    with pytest.raises(error, match=message):
        pad_tasks(tasks, **options)
