"""Which plan suits a task: a rule over its graph, and the comparison that confirms it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import tensorflow as tf

# Which ops are stateful is not to be had from the public API for the functions inside a graph.
from tensorflow.python.framework import op_def_registry

from deepchem_meta.engine.execution import Plan

__all__ = ["agree", "choose_plan", "plain_plan"]

_READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VarHandleOp"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_CONTROL_FLOW = {"If", "StatelessIf", "Case", "StatelessCase", "While", "StatelessWhile"}


def choose_plan(
    function: tf.types.experimental.ConcreteFunction,
    *,
    task_execution: str,
    jit_compile: bool | str,
    ragged: bool,
) -> Plan:
    """Choose how the tasks of a meta-step run.

    Vectorised with XLA is fastest for all but convolutions: with each task's own weights, XLA's
    loops on the CPU are 8 times slower than TensorFlow's kernels, and `tf.vectorized_map` has no
    rule for a filter's gradient. Vectorised with XLA is wrong in silence where a shape depends on
    the data (a `tf.boolean_mask` gave a loss of 1.59 for 1.26), and stateful ops run twice for
    eight tasks instead of eight times.

    Parameters
    ----------
    function : ConcreteFunction
        The gradient of one task.
    task_execution : {"auto", "vectorized", "looped"}
    jit_compile : bool or "auto"
    ragged : bool
        Whether the shapes of the data differ from task to task.

    Returns
    -------
    Plan
    """
    obstacle = "batches whose shapes differ" if ragged else _obstacle(function.graph)
    asked = task_execution != "auto" or jit_compile != "auto"
    vectorized = obstacle is None if task_execution == "auto" else task_execution == "vectorized"
    jit = obstacle is None if jit_compile == "auto" else jit_compile
    if vectorized and ragged:
        raise ValueError(
            "`task_execution` must be 'auto' or 'looped' for batches whose shapes differ from "
            "task to task. Received: task_execution='vectorized'"
        )
    reason = f"the graph of a task has {obstacle or 'nothing against it'}"
    return Plan(vectorized, jit, f"as asked; {reason}" if asked else reason)


def plain_plan(*, task_execution: str, jit_compile: bool | str) -> Plan:
    """Return the plan to fall back on: a loop without XLA, but for what the user asked."""
    return Plan(task_execution == "vectorized", jit_compile is True, "the plain loop over tasks")


def agree(
    values: Sequence[tf.Tensor], reference: Sequence[tf.Tensor], dtypes: Collection[tf.DType]
) -> bool:
    """Whether two computations of the same meta-gradient differ by rounding at most.

    Parameters
    ----------
    values, reference : list of tf.Tensor
        The results to compare.
    dtypes : collection of tf.DType
        The dtypes in which they were computed.

    Returns
    -------
    bool
        True if the norm of their difference is at most the square root of the coarsest dtype's
        precision times the larger norm, or if both are not finite.
    """
    precision = max(2**-7 if d == tf.bfloat16 else np.finfo(d.as_numpy_dtype).eps for d in dtypes)
    a, b = (
        np.concatenate([np.ravel(value).astype(np.float64) for value in part])
        for part in (values, reference)
    )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return bool(np.isfinite(a).all() == np.isfinite(b).all())
    larger = max(np.linalg.norm(a), np.linalg.norm(b))
    return bool(np.linalg.norm(a - b) <= np.sqrt(precision) * larger)


def _obstacle(graph: tf.Graph) -> str | None:
    """Name what keeps the graph of a task from being vectorised with XLA, if anything does."""
    for operation in graph.get_operations():
        if operation.type not in _READS | _CALLS and operation.op_def.is_stateful:
            return f"the stateful op {operation.type}"
        if any(
            not output.shape.is_fully_defined()
            for output in operation.outputs
            if output.dtype != tf.resource
        ):
            return f"an unknown shape, from the op {operation.type}"
    for name in _op_types(graph):
        if name in _CONTROL_FLOW:
            return f"control flow, from the op {name}"
        if name.startswith(("Conv", "DepthwiseConv")) and not _has_gpu():
            return f"a convolution, from the op {name}"
        if name not in _READS | _CALLS and _is_stateful(name):
            return f"the stateful op {name}"
    return None


def _op_types(graph: tf.Graph) -> Iterator[str]:
    """Yield the types of a graph's ops and of those in the functions that it calls."""
    definition = graph.as_graph_def()
    for nodes in (definition.node, *(f.node_def for f in definition.library.function)):
        yield from (node.op for node in nodes)


def _is_stateful(name: str) -> bool:
    definition = op_def_registry.get(name)
    return definition is not None and definition.is_stateful


def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))
