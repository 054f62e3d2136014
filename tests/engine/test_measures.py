"""Means over tasks of what is measured: of any layout, and traced once for each."""

import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.measures import Measures
from deepchem_meta.engine.sampling import Episodes
from deepchem_meta.engine.sum_over_tasks import Plan

TASKS = 5
PLAN = Plan(True, True, False, "a test")


def episodes(sizes):
    """Return a meta-step of tasks with so many numbers each, and a factor to multiply them by."""
    rng = np.random.default_rng(0)
    support = [rng.normal(size=size) for size in sizes]
    query = [rng.normal(size=()) for _ in sizes]
    return Episodes(1, len(sizes), (support,), (query,))


@pytest.mark.parametrize("at_once", [None, 1])
@pytest.mark.parametrize("sizes", [[3] * TASKS, [1, 4, 2, 3, 5]])
def test_means_over_tasks(sizes, at_once):
    """NumPy's mean over the tasks is the oracle, and the keys are those of the step."""
    traces = []

    def function(support, query, numbers, key):
        traces.append(support[0].shape)
        total = tf.reduce_sum(support[0]) * query[0] * numbers["factor"]
        return {"total": total, "key": tf.cast(tf.reduce_sum(key), tf.float64)}

    seed = tf.Variable(7, dtype=tf.int64)
    measures = Measures(tf.function(function, autograph=False), seed, at_once)
    drawn = episodes(sizes)
    layout = drawn.layouts()[0]
    for factor, step in ((1.0, 0), (2.0, 30)):
        found = measures(drawn, layout, PLAN, {"factor": factor}, step)
        totals = [s.sum() * q for s, q in zip(drawn.support[0], drawn.query[0], strict=True)]
        assert found["total"] == pytest.approx(factor * np.mean(totals), rel=1e-12)
        assert found["key"] == 7 + step + np.mean(range(TASKS))
    assert len(traces) == 1
