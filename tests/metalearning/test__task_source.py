import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.metalearning._task_source import as_source, check_episodes
from deepchem_meta.tasks import DatasetTasks, SinusoidTasks


def arrays(*shapes):
    return tuple(np.zeros(shape, "float32") for shape in shapes)


BATCH = arrays((2, 5, 1), (2, 5, 1))
WEIGHTED = arrays((2, 3, 1), (2, 3, 1), (2, 3))


def test_an_object_with_sample_is_a_source():
    source = SinusoidTasks()
    assert as_source(source) is source


def test_a_dataset_becomes_one():
    dataset = tf.data.Dataset.from_tensor_slices((BATCH, BATCH))
    source = as_source(dataset)
    assert isinstance(source, DatasetTasks) and source.dataset is dataset


class NotCallable:
    sample = 3


@pytest.mark.parametrize("tasks", [None, 3, [BATCH], SinusoidTasks, NotCallable(), lambda n: n])
def test_what_is_no_source(tasks):
    with pytest.raises(TypeError, match=r"`tasks` must be an object with `sample\(n, rng\)`.*Rec"):
        as_source(tasks)


def test_episodes_come_back_as_they_are():
    for episodes in ((BATCH, BATCH), (WEIGHTED, WEIGHTED)):
        found = check_episodes(episodes)
        for part, expected in zip(found, episodes, strict=True):
            assert all(a is b for a, b in zip(part, expected, strict=True))


def test_lists_become_tuples():
    support, query = check_episodes([list(BATCH), list(BATCH)])
    assert type(support) is type(query) is tuple


@pytest.mark.parametrize("first", [True, False])
def test_weights_in_one_set_are_ones_in_the_other(first):
    episodes = (WEIGHTED, BATCH) if first else (BATCH, WEIGHTED)
    support, query = check_episodes(episodes)
    given, made = (support, query) if first else (query, support)
    assert given[2] is WEIGHTED[2]
    assert made[2].dtype == "float32"
    np.testing.assert_array_equal(made[2], np.ones((2, 5)))


def test_support_and_query_may_differ_in_size():
    check_episodes((arrays((2, 5, 1), (2, 5)), arrays((2, 9, 1), (2, 9))))


def test_structures_of_inputs_and_targets():
    x = {"a": np.zeros((2, 5, 3)), "b": [np.zeros((2, 5)), np.zeros((2, 5, 1))]}
    y = [np.zeros((2, 5, 1)), np.zeros((2, 5, 2))]
    support, query = check_episodes(((x, y), (x, y, np.ones((2, 5)))))
    assert support[0] is x and query[1] is y
    np.testing.assert_array_equal(support[2], np.ones((2, 5)))


def test_tensors_will_do():
    batch = tuple(tf.constant(array) for array in BATCH)
    support, _ = check_episodes((batch, WEIGHTED))
    np.testing.assert_array_equal(support[2], np.ones((2, 5)))


@pytest.mark.parametrize(
    ("episodes", "error", "received"),
    [
        (BATCH[0], TypeError, "Received: ndarray"),
        ((BATCH,), TypeError, "Received: tuple"),
        ((BATCH, BATCH, BATCH), TypeError, "Received: tuple"),
        ({"support": BATCH, "query": BATCH}, TypeError, "Received: dict"),
        ((BATCH[:1], BATCH), TypeError, "Received: tuple as support"),
        ((BATCH, BATCH[0]), TypeError, "Received: ndarray as query"),
        ((BATCH, (*WEIGHTED, 0)), TypeError, "Received: tuple as query"),
        ((arrays((2, 5), (2, 4)), BATCH), ValueError, r"support of shapes \[\(2, 5\), \(2, 4\)\]"),
        ((BATCH, arrays((2, 5), (3, 5))), ValueError, "query of shapes"),
        ((arrays((2,), (2,)), BATCH), ValueError, r"support of shapes \[\(2,\), \(2,\)\]"),
        ((BATCH, (1.0, 2.0)), ValueError, r"query of shapes \[\(\), \(\)\]"),
        ((BATCH, arrays((2, 5), (2, 5), (2, 4))), ValueError, "query of shapes"),
    ],
)
def test_what_are_no_episodes(episodes, error, received):
    with pytest.raises(error, match=rf"must give \(support, query\), each \(x, y\) or.*{received}"):
        check_episodes(episodes)
