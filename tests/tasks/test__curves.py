"""What the sources of random curves share."""

import math

import numpy as np
import pytest

from deepchem_meta.tasks import DoseResponseTasks, HarmonicTasks, SinusoidTasks

SOURCES = (SinusoidTasks, HarmonicTasks, DoseResponseTasks)


@pytest.mark.parametrize("source", SOURCES)
def test_shapes_and_dtypes(source):
    tasks = source(3, 4)
    support, query = tasks.sample(6, np.random.default_rng(0))
    assert [array.shape for array in support] == [(6, 3, 1)] * 2
    assert [array.shape for array in query] == [(6, 4, 1)] * 2
    assert all(array.dtype == np.float32 for array in (*support, *query))


@pytest.mark.parametrize("source", SOURCES)
def test_tasks_depend_on_nothing_but_the_generator(source):
    tasks = source()
    first = tasks.sample(5, np.random.default_rng(1))
    tasks.sample(2, np.random.default_rng(2))
    again = tasks.sample(5, np.random.default_rng(1))
    other = tasks.sample(5, np.random.default_rng(3))
    np.testing.assert_array_equal(np.stack(first[0]), np.stack(again[0]))
    np.testing.assert_array_equal(np.stack(first[1]), np.stack(again[1]))
    assert not np.array_equal(first[0][1], other[0][1])


@pytest.mark.parametrize("source", SOURCES)
def test_support_and_query_lie_on_one_curve(source):
    tasks = source(**({} if source is SinusoidTasks else {"noise": 0.0}))
    curves = tasks.draw(7, np.random.default_rng(4))
    for x, y in tasks.sample(7, np.random.default_rng(4)):
        np.testing.assert_array_equal(tasks.evaluate(curves, x), y)


@pytest.mark.parametrize("source", [HarmonicTasks, DoseResponseTasks])
def test_noise_of_queries(source):
    for noise_free in (False, True):
        tasks = source(50, 50, noise=0.3, noise_free_queries=noise_free)
        curves = tasks.draw(200, np.random.default_rng(5))
        support, query = tasks.sample(200, np.random.default_rng(5))
        noise = [y - tasks.evaluate(curves, x) for x, y in (support, query)]
        assert noise[0].std() == pytest.approx(0.3, rel=0.03)
        assert abs(noise[0].mean()) < 0.01
        assert noise[1].std() == pytest.approx(0.0 if noise_free else 0.3, rel=0.03)


@pytest.mark.parametrize("source", SOURCES)
def test_repr_makes_the_same_source(source):
    tasks = source(2, queries=3)
    assert repr(tasks).startswith(f"{source.__name__}(shots=2, queries=3, ")
    assert repr(eval(repr(tasks))) == repr(tasks)


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: SinusoidTasks(0), ValueError, "shots"),
        (lambda: SinusoidTasks(queries=1.0), TypeError, "queries"),
        (lambda: SinusoidTasks(amplitude=(5, 1)), ValueError, "amplitude"),
        (lambda: SinusoidTasks(phase=(0, math.inf)), ValueError, "phase"),
        (lambda: SinusoidTasks(x=5.0), TypeError, "x"),
        (lambda: HarmonicTasks(amplitude=(0, 1)), TypeError, "amplitude"),
        (lambda: HarmonicTasks(spread=-1.0), ValueError, "spread"),
        (lambda: HarmonicTasks(noise=math.nan), ValueError, "noise"),
        (lambda: DoseResponseTasks(noise_free_queries=0), TypeError, "noise_free_queries"),
        (lambda: DoseResponseTasks(hill=(2, 1)), ValueError, "hill"),
        (lambda: SinusoidTasks().sample(0, np.random.default_rng(0)), ValueError, "n"),
        (lambda: SinusoidTasks().sample(1, 0), TypeError, "rng"),
        (lambda: SinusoidTasks().draw(1, None), TypeError, "rng"),
    ],
)
def test_bad_arguments_are_named(make, error, name):
    with pytest.raises(error, match=rf"`{name}` must be .*Received: {name}="):
        make()
