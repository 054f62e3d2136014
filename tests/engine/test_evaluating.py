import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.evaluating import EpisodeChunks, OverManyTasks


class Rows:
    """Tasks whose data say how many were drawn before and which assay was asked for."""

    def __init__(self, size=1, names=()):
        self.size = size
        self.names = list(names)
        self.asked = []

    def sample(self, n, rng, assays=None):
        self.asked.append((n, assays))
        x = rng.uniform(size=(n, self.size, 1))
        return (x, x), (x, x)


def test_chunks_have_one_size_and_repeat_to_fill_the_last():
    chunks = EpisodeChunks(Rows(), 450, 0)
    parts = list(chunks)
    assert [count for *_, count in parts] == [150, 150, 150]
    chunks = EpisodeChunks(Rows(), 401, 0)
    parts = list(chunks)
    assert [count for *_, count in parts] == [134, 134, 133]
    assert all(len(support[0]) == 134 for support, *_ in parts)
    support, _, count = parts[-1]
    np.testing.assert_array_equal(support[0][count], support[0][0])


def test_large_tasks_come_in_small_chunks():
    parts = list(EpisodeChunks(Rows(size=700_000), 3, 0))  # 22 MB a task
    assert [count for *_, count in parts] == [1, 1, 1]


def test_the_same_seed_gives_the_same_tasks():
    def draw(seed):
        parts = EpisodeChunks(Rows(), 300, seed)
        return np.concatenate([support[0][:count] for support, _, count in parts])

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_named_tasks_come_in_full_rounds():
    source = Rows(names=["a", "b", "c"])
    chunks = EpisodeChunks(source, 7, 0)
    assert chunks.n_tasks == 9
    assert chunks.names == ["a", "b", "c"] * 3
    list(chunks)
    n, assays = source.asked[-1]
    assert n == 9
    np.testing.assert_array_equal(assays, [0, 1, 2] * 3)


def normal(support, query, numbers, key):
    """Draw a random number, of which `tf.vectorized_map` has no rule."""
    seed = tf.cast(key[1:], tf.int32)
    return {"noise": tf.random.stateless_normal((), seed), "sum": tf.reduce_sum(support[0])}


def plain(support, query, numbers, key):
    return {"scaled": tf.reduce_sum(support[0] * query[0]) * tf.cast(numbers["a"], tf.float32)}


@pytest.mark.parametrize("task_execution", ["auto", "vectorized", "looped"])
def test_every_task_on_its_own(task_execution):
    rng = np.random.default_rng(0)
    support, query = ((rng.normal(size=(5, 3)).astype("float32"),) for _ in range(2))
    keys = np.arange(15).reshape(5, 3)
    over = OverManyTasks(plain, task_execution=task_execution, nbytes=10)
    for factor in (1.0, 2.0):
        found = over(support, query, {"a": factor}, keys)["scaled"]
        np.testing.assert_allclose(found, factor * (support[0] * query[0]).sum(1), rtol=1e-5)
    over = OverManyTasks(normal, task_execution=task_execution, nbytes=10)
    if task_execution == "vectorized":
        with pytest.raises(ValueError, match="No pfor vectorization"):
            over(support, query, {}, keys)
        return
    found = over(support, query, {}, keys)
    assert len(set(found["noise"].tolist())) == 5
    np.testing.assert_allclose(found["sum"], support[0].sum(1), rtol=1e-5)
