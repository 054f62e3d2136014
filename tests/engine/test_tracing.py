import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.tracing import TracedOrEager


def test_two_traces_serve_all_shapes():
    traces = []

    def double(x):
        traces.append(x.shape)
        return 2 * x

    function = TracedOrEager(double)
    for rows in (3, 3, 4, 5, 3, 6):
        np.testing.assert_array_equal(function(np.ones((rows, 2))), 2 * np.ones((rows, 2)))
    assert [shape.as_list() for shape in traces] == [[3, 2], [None, 2]]


def test_what_cannot_be_traced_runs_eagerly():
    function = TracedOrEager(lambda x: float(x.numpy().sum()))
    assert function(np.ones(3)) == 3.0
    assert function(np.ones(4)) == 4.0


def test_exception_arrives_as_raised_and_spoils_nothing():
    class Own(Exception):
        pass

    def picky(x):
        if x.shape[0] == 2:
            raise Own("two")
        return x + 1

    function = TracedOrEager(picky)
    with pytest.raises(Own, match="^two$") as caught:
        function(np.ones(2))
    assert caught.value.__context__ is None
    assert isinstance(function(np.ones(3)), tf.Tensor)


def test_the_rank_of_an_array_is_never_left_open():
    """What a function does may depend on it; before, the order of the calls decided."""

    def columns(x):
        return x if x.shape.rank == 2 else x[:, None]

    shapes = [(3, 1), (4, 1), (5,), (6,), (3, 1), (7,)]
    for order in (shapes, shapes[::-1]):
        function = TracedOrEager(columns)
        assert [tuple(function(np.ones(shape)).shape) for shape in order] == [
            (shape[0], 1) for shape in order
        ]
