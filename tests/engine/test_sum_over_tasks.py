"""Sums over tasks: any number of tasks, in any number of parts, by any plan."""

import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine.batches import ArrayLayout, Layout
from deepchem_meta.engine.sum_over_tasks import Plan, SumOverTasks, task_keys

LAYOUT = Layout((ArrayLayout(np.dtype("float64"), (3,)),), (ArrayLayout(np.dtype("float64"), ()),))


def summed(tasks, parts, plan, at_once, arrays, step):
    """Return the sums of all parts, traced."""
    over_tasks = SumOverTasks(LAYOUT, tasks, plan, at_once, parts)
    zeros = tf.zeros((3,), tf.float64), tf.zeros((), tf.int64)

    def one(support, query, key):
        return support[0] * query[0], key[2]

    @tf.function(autograph=False)
    def run(data, step, part):
        keys = task_keys(tf.constant(7, tf.int64), tf.constant(1, tf.int64), tasks)
        return over_tasks(one, zeros, data, step, keys, part)

    return [run(arrays, tf.constant(step), tf.constant(part)) for part in range(parts)]


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("at_once", [None, 2])
@pytest.mark.parametrize(("tasks", "parts"), [(6, 1), (6, 3), (5, 2), (7, 4), (2, 3)])
def test_parts_add_up(tasks, parts, vectorized, at_once):
    """NumPy's sum of the step's tasks is the oracle, and no part has more than its share."""
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(2 * tasks, 3)), rng.normal(size=2 * tasks)
    plan = Plan(vectorized, False, False, "a test")
    found = summed(tasks, parts, plan, at_once, (((support,),), ((query,),)), 1)
    values, numbers = zip(*found, strict=True)
    expected = (support[tasks:] * query[tasks:, None]).sum(axis=0)
    np.testing.assert_allclose(np.sum(values, axis=0), expected, rtol=1e-12)
    shares = [range(part * tasks // parts, (part + 1) * tasks // parts) for part in range(parts)]
    assert [int(number) for number in numbers] == [sum(share) for share in shares]


def test_keys_are_the_seed_the_step_and_the_task():
    found = task_keys(tf.constant(3, tf.int64), tf.constant(5, tf.int64), 2, first=4)
    np.testing.assert_array_equal(found, [[3, 5, 4], [3, 5, 5]])
