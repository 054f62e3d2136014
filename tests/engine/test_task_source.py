from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.task_source import KnownSource


class Plain:
    def sample(self, n, rng):
        x = rng.normal(size=(n, 3, 1))
        return (x, 2 * x), (x, 2 * x)


class Named(Plain):
    """Its tasks have names, and it calls the places what it likes."""

    names = ("a", "b", "c")

    def __init__(self):
        self.drawn = []

    def sample(self, n, rng, which=None):
        self.drawn += [] if which is None else list(which)
        return super().sample(n, rng)


class WithNamesOfItsOwn(Plain):
    """Has names for something else: it cannot draw by them."""

    names = ("x", "y")


def test_what_is_not_there_is_filled_in():
    known = KnownSource.of(Plain())
    assert (known.names, known.ways, known.scores) == (None, None, {})
    assert known.from_the_beginning() is known
    assert KnownSource.of(WithNamesOfItsOwn()).names is None


def test_tasks_with_names_are_drawn_in_turn_whatever_the_argument_is_called():
    source = Named()
    chunks = EpisodeChunks(KnownSource.of(source), 4, seed=0)
    assert sum(count for _, _, count in chunks) == 6  # full rounds
    assert chunks.names == ["a", "b", "c"] * 2
    assert source.drawn == [0, 1, 2, 0, 1, 2]
