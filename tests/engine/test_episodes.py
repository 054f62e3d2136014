import numpy as np
import pytest

from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.task_source import KnownSource


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
    chunks = EpisodeChunks(KnownSource.of(Rows()), 450, 0)
    parts = list(chunks)
    assert [count for *_, count in parts] == [150, 150, 150]
    chunks = EpisodeChunks(KnownSource.of(Rows()), 401, 0)
    parts = list(chunks)
    assert [count for *_, count in parts] == [134, 134, 133]
    assert all(len(support[0]) == 134 for support, *_ in parts)
    support, _, count = parts[-1]
    np.testing.assert_array_equal(support[0][count], support[0][0])


def test_large_tasks_come_in_small_chunks():
    parts = list(EpisodeChunks(KnownSource.of(Rows(size=700_000)), 3, 0))  # 22 MB a task
    assert [count for *_, count in parts] == [1, 1, 1]


def test_the_same_seed_gives_the_same_tasks():
    def draw(seed):
        parts = EpisodeChunks(KnownSource.of(Rows()), 300, seed)
        return np.concatenate([support[0][:count] for support, _, count in parts])

    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


def test_named_tasks_come_in_full_rounds():
    source = Rows(names=["a", "b", "c"])
    chunks = EpisodeChunks(KnownSource.of(source), 7, 0)
    assert chunks.n_tasks == 9
    assert chunks.names == ["a", "b", "c"] * 3
    list(chunks)
    n, assays = source.asked[-1]
    assert n == 9
    np.testing.assert_array_equal(assays, [0, 1, 2] * 3)


@pytest.mark.parametrize("shape", [(3, 5, 1), (9, 5, 1), ()])
def test_as_many_tasks_as_asked_for(shape):
    class Source:
        def sample(self, n, rng):
            return (np.ones(shape), np.ones(shape)), (np.ones((n, 5, 1)), np.ones((n, 5, 1)))

    with pytest.raises(ValueError, match=r"must give n tasks.*n=8|must give n tasks"):
        list(EpisodeChunks(KnownSource.of(Source()), 8, 0))
