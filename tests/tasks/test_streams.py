import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.tasks import DatasetTasks, SinusoidTasks
from deepchem_meta.tasks.streams import as_source

RNG = np.random.default_rng(0)


def numbered(count, queries=2):
    """Give a dataset whose element i is made of the number i."""
    x = np.arange(count, dtype="float32")[:, None, None]
    support, query = np.tile(x, (1, 3, 1)), np.tile(x, (1, queries, 1))
    return tf.data.Dataset.from_tensor_slices(((support, support), (query, -query)))


def ragged(sizes, extra=()):
    def elements():
        for size in sizes:
            part = (np.full((size, 1), size, np.float32), np.arange(size, dtype=np.int32))
            yield part, (*part, *extra)

    x, y = tf.TensorSpec((None, 1)), tf.TensorSpec((None,), tf.int32)
    return tf.data.Dataset.from_generator(elements, output_signature=((x, y), (x, y)))


def drawn(tasks, n):
    return tasks.sample(n, RNG)[0][0][:, 0, 0].tolist()


def test_elements_in_order_and_again():
    tasks = DatasetTasks(numbered(5))
    (x, y), (query_x, query_y) = tasks.sample(2, RNG)
    assert x.shape == y.shape == (2, 3, 1) and query_x.shape == (2, 2, 1)
    np.testing.assert_array_equal(query_y[:, 0, 0], [0, -1])
    assert drawn(tasks, 7) == [2, 3, 4, 0, 1, 2, 3]
    assert tasks.get_state() == {"elements": 4}
    assert repr(tasks) == "DatasetTasks(5 tasks, 4 taken)"


def test_peek_takes_nothing():
    tasks = DatasetTasks(numbered(5))
    drawn(tasks, 2)
    (x, _), (_, y) = tasks.peek()
    assert x.shape == (3, 1) and y.shape == (2, 1) and x[0, 0] == 0
    assert drawn(tasks, 1) == [2]


@pytest.mark.parametrize("taken", [0, 3, 5, 8])
def test_state(taken):
    whole, resumed = DatasetTasks(numbered(5)), DatasetTasks(numbered(5))
    if taken:
        drawn(whole, taken)
    resumed.set_state(whole.get_state())
    assert drawn(resumed, 6) == drawn(whole, 6)
    assert resumed.get_state() == whole.get_state()


def test_tasks_of_different_size_are_padded():
    (x, y, weight), query = DatasetTasks(ragged([2, 3, 1])).sample(3, RNG)
    np.testing.assert_array_equal(weight, [[1, 1, 0], [1, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(y, [[0, 1, 0], [0, 1, 2], [0, 0, 0]])
    np.testing.assert_array_equal(x[..., 0], [[2, 2, 2], [3, 3, 3], [1, 1, 1]])
    assert y.dtype == np.int32 and len(query) == 3


def test_weights_do_not_depend_on_the_call():
    support, query = DatasetTasks(ragged([2, 2, 3])).sample(2, RNG)
    assert len(support) == len(query) == 3 and support[2].all()


def test_weights_and_structures_of_the_dataset():
    arrays = {"a": np.zeros((4, 2, 1)), "b": np.ones((4, 2, 3), np.int64)}
    support = (arrays, np.zeros((4, 2)), np.full((4, 2), 0.5, np.float32))
    query = (arrays, np.zeros((4, 2)))
    tasks = DatasetTasks(tf.data.Dataset.from_tensor_slices((support, query)))
    support, query = tasks.sample(3, RNG)
    assert support[0]["b"].shape == (3, 2, 3) and support[0]["b"].dtype == np.int64
    assert (support[2] == 0.5).all() and (query[2] == 1).all()


def test_infinite_dataset():
    assert drawn(DatasetTasks(numbered(3).repeat()), 5) == [0, 1, 2, 0, 1]


def test_empty_datasets():
    with pytest.raises(ValueError, match="at least one element"):
        DatasetTasks(numbered(3).take(0))
    tasks = DatasetTasks(ragged([]))  # cannot tell how many
    for call in (tasks.peek, lambda: tasks.sample(1, RNG)):
        with pytest.raises(ValueError, match="at least one element"):
            call()


X = np.zeros((2, 3, 1), np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: [1, 2], "`dataset` must be a tf.data.Dataset. Received: list"),
        (lambda: tf.data.Dataset.range(3), r"\(support, query\).*Received: .*TensorSpec"),
        (lambda: tf.data.Dataset.from_tensor_slices((X, X)), r"\(support, query\)"),
        (lambda: tf.data.Dataset.from_tensor_slices(((X,), (X, X))), r"\(support, query\)"),
        (
            lambda: tf.data.Dataset.from_tensor_slices(((X, np.zeros(2)), (X, X))),
            "Received: a scalar",
        ),
        (
            lambda: tf.data.Dataset.from_tensor_slices(
                ((tf.ragged.constant([[1], [2, 3]]), X), (X, X))
            ),
            "Received: RaggedTensorSpec",
        ),
    ],
)
def test_bad_datasets(make, message):
    with pytest.raises(TypeError, match=message):
        DatasetTasks(make())


def test_bad_state():
    tasks = DatasetTasks(numbered(3))
    for state, error in [({}, TypeError), (3, TypeError), ({"elements": -1}, ValueError)]:
        with pytest.raises(error, match="Received: "):
            tasks.set_state(state)


def test_sources_and_datasets():
    tasks = SinusoidTasks(3, 3)
    assert as_source(tasks) is tasks
    dataset = tf.data.Dataset.from_tensor_slices(tasks.sample(4, np.random.default_rng(0)))
    assert isinstance(as_source(dataset), DatasetTasks)
    for wrong in (None, 3, SinusoidTasks):
        with pytest.raises(TypeError, match="must be an object with `sample"):
            as_source(wrong)
