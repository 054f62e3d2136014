import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.engine import planning
from deepchem_meta.engine.planning import agree, choose_plan

AUTO = {"task_execution": "auto", "jit_compile": "auto", "nbytes": 1000, "ragged": False}
counter = tf.Variable(0.0)
kernel = tf.Variable(tf.ones((2, 2, 1, 1)))
dense = tf.Variable(tf.ones((4, 4)))


@tf.function
def counted(x):
    counter.assign_add(1.0)
    return x


def branch(x):
    return tf.cond(tf.reduce_sum(x) > 0, lambda: x, lambda: -x)


def axes_of_a_broadcast(x):
    a, b = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(x), s1=tf.shape(x[0]))
    return tf.reduce_sum(x, axis=tf.ensure_shape(tf.concat([a, b], 0), (1,)))


def axes_from_data(x):
    return tf.raw_ops.BroadcastGradientArgs(s0=tf.cast(x[0], tf.int32), s1=tf.shape(x))[0]


@pytest.mark.parametrize(
    ("function", "obstacle"),
    [
        (lambda x: tf.reduce_sum(x @ dense), None),
        (lambda x: tf.reduce_sum(tf.function(lambda y: y @ dense)(x)), None),
        (lambda x: tf.nn.embedding_lookup(dense, tf.cast(x[0], tf.int32)), None),
        (lambda x: tf.random.stateless_uniform((4,), (1, 2)) * x, "random numbers"),
        (lambda x: tf.boolean_mask(x, x > 0), "unknown shape"),
        (lambda x: tf.where(x > 0), "unknown shape"),
        (lambda x: tf.unique(x[0])[0], "unknown shape"),
        (axes_of_a_broadcast, None),
        (axes_from_data, "unknown shape"),
        (lambda x: x * tf.random.uniform((4,)), "the stateful op RandomUniform"),
        (lambda x: counted(x), "the stateful op AssignAddVariableOp"),
        (branch, "control flow"),
        (lambda x: tf.while_loop(lambda y: y[0, 0] < 9, lambda y: [y + 1], [x]), "control flow"),
        (lambda x: tf.nn.conv2d(x[None, :, :, None], kernel, 1, "SAME"), "a convolution"),
    ],
)
def test_rule(function, obstacle):
    concrete = tf.function(function).get_concrete_function(tf.TensorSpec((4, 4)))
    plan = choose_plan(concrete, **AUTO)
    assert (plan.vectorized, plan.jit_compile) == (obstacle is None,) * 2
    assert (obstacle or "nothing against it") in plan.reason


def test_rule_gives_way_to_what_is_asked():
    concrete = tf.function(branch).get_concrete_function(tf.TensorSpec((4, 4)))
    asked = {**AUTO, "task_execution": "vectorized", "jit_compile": False}
    plan = choose_plan(concrete, **asked)
    assert plan[:2] == (True, False) and "as asked" in plan.reason


@pytest.mark.parametrize(
    ("cores", "kibibytes", "plan"),
    [
        (1, 976, (False, True)),
        (2, 976, (False, True)),
        (2, 500, (True, True)),
        (16, 976, (False, False)),
        (16, 100, (False, False)),
        (16, 50, (True, True)),
    ],
)
def test_large_models_are_looped(monkeypatch, cores, kibibytes, plan):
    monkeypatch.setattr(planning, "TASKS_AT_ONCE", cores)
    concrete = tf.function(lambda x: x @ dense).get_concrete_function(tf.TensorSpec((4, 4)))
    found = choose_plan(concrete, **{**AUTO, "nbytes": kibibytes * 1024})
    assert found[:2] == plan
    assert found.vectorized or f"{kibibytes} KiB of variables" in found.reason


def test_large_models_with_convolutions_are_not_compiled():
    def convolution(x):
        return tf.nn.conv2d(x[None, :, :, None], kernel, 1, "SAME")

    concrete = tf.function(convolution).get_concrete_function(tf.TensorSpec((4, 4)))
    plan = choose_plan(concrete, **{**AUTO, "nbytes": 10**6})
    assert plan[:2] == (False, False) and "a convolution" in plan.reason


def test_unknown_shape_after_a_long_way():
    def long(x):
        for _ in range(1500):
            x = x + x
        return tf.boolean_mask(x, x > 0)

    concrete = tf.function(long, autograph=False).get_concrete_function(tf.TensorSpec((4, 4)))
    assert "unknown shape" in choose_plan(concrete, **AUTO).reason


def test_only_tasks_that_change_state_are_strictly_in_turn():
    for function, ordered in ((counted, True), (lambda x: x @ dense, False), (branch, False)):
        concrete = tf.function(function).get_concrete_function(tf.TensorSpec((4, 4)))
        assert choose_plan(concrete, **AUTO).ordered is ordered


def test_ragged_batches_are_looped():
    concrete = tf.function(lambda x: x).get_concrete_function(tf.TensorSpec((4, 4)))
    assert choose_plan(concrete, **{**AUTO, "ragged": True})[:2] == (False, False)
    with pytest.raises(ValueError, match="must be 'auto' or 'looped'.*'vectorized'"):
        choose_plan(concrete, **{**AUTO, "task_execution": "vectorized", "ragged": True})
    with pytest.raises(ValueError, match="`jit_compile` must be 'auto' or False.*True"):
        choose_plan(concrete, **{**AUTO, "jit_compile": True, "ragged": True})


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-6], True),
        ([1.0, 2.0], [1.0, 2.01], False),
        ([0.0, 1e-9], [0.0, 0.0], False),
        ([5.0, 1e-9], [5.0, 0.0], True),
        ([np.nan, 1.0], [np.nan, 1.0], True),
        ([np.nan, 1.0], [1.0, 1.0], False),
    ],
)
def test_agree(found, expected, same):
    as_tensors = [[tf.constant(value) for value in part] for part in (found, expected)]
    assert agree(*as_tensors, [tf.float32]) is same


def test_agree_allows_for_the_coarsest_dtype():
    values, others = [tf.constant([1.0], tf.float64)], [tf.constant([1.00001], tf.float64)]
    assert not agree(values, others, [tf.float64])
    for coarse in (tf.float32, tf.bfloat16, tf.float16):
        assert agree(values, others, [tf.float64, coarse])


def test_replicas_that_share_the_cpu_run_without_xla():
    @tf.function
    def gradient(x):
        return 2.0 * x

    graph = gradient.get_concrete_function(tf.TensorSpec((3,)))
    asked = {"task_execution": "auto", "jit_compile": "auto", "nbytes": 12, "ragged": False}
    assert choose_plan(graph, **asked)[:2] == (True, True)
    plan = choose_plan(graph, **asked, shares_cpu=True)
    assert plan[:2] == (False, False) and "other replicas" in plan.reason
