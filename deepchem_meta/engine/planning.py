"""Which plan suits a task: a rule over its graph, and the comparison that confirms it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf

# Which ops are stateful is not to be had from the public API for the functions inside a graph.
from tensorflow.python.framework import op_def_registry

from deepchem_meta.engine.sum_over_tasks import TASKS_AT_ONCE, Plan

__all__ = ["agree", "choose_plan", "draws_random_numbers"]

# With many variables a loop is faster on a CPU: each task has its own copy of them, and those of
# one task at a time stay in the cache. 8 tasks of 25 + 25 examples, 3 inner steps of MAML, two
# cores, ms vectorised and looped, both with XLA: 1.3 and 1.7 with 9 KiB of variables, 5.5 and 6.4
# with 131, 12 and 13 with 388, 24 and 26 with 1,004, 49 and 35 with 2,060, 257 and 224 with 9,226.
# Implicit MAML, which holds more copies, is slower vectorised from 388 KiB on (46 and 40).
_MOST_BYTES_VECTORIZED = 2**19

# XLA's loop takes one task at a time, TensorFlow's one a core. On two cores XLA's is the faster (26
# and 29 ms in the example above with 1,004 KiB). More cores speed up TensorFlow's, by how much was
# not measured: there the limit is lower, and what lies above it is not compiled.
_FEW_CORES = 2
_MOST_BYTES_ON_MORE_CORES = 2**16

_RANDOM = "StatelessRandom"
_READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VarHandleOp"}
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_SHAPES = {"Shape", "ShapeN", "Size", "Rank"}
_CONTROL_FLOW = {"If", "StatelessIf", "Case", "StatelessCase", "While", "StatelessWhile"}


def choose_plan(
    function: tf.types.experimental.ConcreteFunction,
    *,
    task_execution: str,
    jit_compile: bool | str,
    nbytes: int,
    ragged: bool,
    shares_cpu: bool = False,
) -> Plan:
    """Choose how the tasks of a meta-step run.

    Vectorised with XLA is fastest for small models. On a CPU it is not for large ones, whose tasks
    run in a loop, compiled on few cores; nor for convolutions: with each task's own weights, XLA's
    loops are 8 times slower than TensorFlow's kernels, and `tf.vectorized_map` has no rule for a
    filter's gradient. It is wrong in silence where a shape depends on the data (a
    `tf.boolean_mask` gave a loss of 1.59 for 1.26), and stateful ops run twice for eight tasks
    instead of eight times.

    Parameters
    ----------
    function : ConcreteFunction
        The gradient of one task.
    task_execution : {"auto", "vectorized", "looped"}
    jit_compile : bool or "auto"
    nbytes : int
        Bytes of the learner's variables.
    ragged : bool
        Whether the shapes of the data differ from task to task.
    shares_cpu : bool, default False
        Whether several replicas run on one CPU. With more of them than cores, compiled functions
        wait for each other for ever.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If what is asked for is not to be had for ragged batches.
    """
    nodes, called = _nodes(function.graph)
    types = [node.op for node in (*nodes, *called)]
    ordered = any(_is_stateful(name) for name in types)
    reached = [function.graph.get_operation_by_name(node.name) for node in nodes]
    obstacle = _obstacle(reached, types, ragged)
    if shares_cpu:
        obstacle = "to share the CPU with those of other replicas"
    few = TASKS_AT_ONCE <= _FEW_CORES
    most = _MOST_BYTES_VECTORIZED if few else _MOST_BYTES_ON_MORE_CORES
    large = nbytes > most and not tf.config.list_logical_devices("GPU")
    asked = task_execution != "auto" or jit_compile != "auto"
    vectorized = task_execution == "vectorized"
    if task_execution == "auto":
        vectorized = obstacle is None and not large
    jit = jit_compile
    if jit_compile == "auto":
        jit = obstacle is None and (vectorized or few or not large)
    if obstacle is None and large:
        obstacle = f"{nbytes // 1024} KiB of variables"
    if vectorized and ragged:
        raise ValueError(
            "`task_execution` must be 'auto' or 'looped' for batches whose shapes differ from "
            "task to task. Received: task_execution='vectorized'"
        )
    if jit and ragged:
        raise ValueError(
            "`jit_compile` must be 'auto' or False for batches whose shapes differ from task to "
            "task, which XLA cannot compile. Received: jit_compile=True"
        )
    reason = f"a task has {obstacle or 'nothing against it'}"
    return Plan(vectorized, jit, ordered, f"as asked; {reason}" if asked else reason)


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


def draws_random_numbers(function: tf.types.experimental.ConcreteFunction) -> bool:
    """Whether a traced function draws random numbers from keys, as Dropout does."""
    nodes, called = _nodes(function.graph)
    return any(node.op.startswith(_RANDOM) for node in (*nodes, *called))


def _obstacle(operations: Sequence[tf.Operation], types: Sequence[str], ragged: bool) -> str | None:
    """Name what speaks against compiling a task with XLA, if anything does."""
    if ragged:
        return "batches whose shapes differ"
    unshaped = [operation for operation in operations if not _has_shapes(operation)]
    if unshaped:
        decided = _decided_by_shapes(unshaped[0].graph)
        for operation in unshaped:
            if operation.name not in decided:
                return f"an unknown shape, from the op {operation.type}"
    on_cpu = not tf.config.list_logical_devices("GPU")
    for name in types:
        if _is_stateful(name):
            return f"the stateful op {name}"
        if name.startswith(_RANDOM):
            return f"random numbers, of which XLA draws others, from the op {name}"
        if name in _CONTROL_FLOW:
            return f"control flow, from the op {name}"
        if on_cpu and name.startswith(("Conv", "DepthwiseConv")):
            return f"a convolution, from the op {name}"
    return None


def _has_shapes(operation: tf.Operation) -> bool:
    """Whether all outputs of an operation have a known shape, those that are resources aside."""
    tensors = [output for output in operation.outputs if output.dtype != tf.resource]
    return all(tensor.shape.is_fully_defined() for tensor in tensors)


def _decided_by_shapes(graph: tf.Graph) -> set[str]:
    """Return the names of the operations that compute with nothing but constants and shapes.

    XLA computes them while it compiles. The gradient of a broadcast works so with the axes to sum
    over.
    """
    found: set[str] = set()
    for operation in graph.get_operations():  # each after its inputs
        inputs = operation.inputs
        if operation.type in _SHAPES and all(i.shape.is_fully_defined() for i in inputs):
            decided = True
        elif inputs:
            known = all(tensor.op.name in found for tensor in inputs)
            decided = known and not _is_stateful(operation.type)
        else:
            decided = operation.type == "Const"
        if decided:
            found.add(operation.name)
    return found


def _nodes(graph: tf.Graph) -> tuple[list, list]:
    """Return the nodes that a graph's outputs depend on, and those of the functions they call.

    The rest never runs: a recurrent layer of Keras draws seeds whether it has Dropout or not.
    """
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    reached: dict[str, tf.Operation] = {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in reached:
            reached[operation.name] = operation
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    nodes = [operation.node_def for operation in reached.values()]
    library = graph.as_graph_def().library.function
    functions = {function.signature.name: function for function in library}
    called: list = []
    seen: set[str] = set()
    pending = _called(nodes)
    while pending:
        name = pending.pop()
        if name not in seen and name in functions:
            seen.add(name)
            called += functions[name].node_def
            pending += _called(functions[name].node_def)
    return nodes, called


def _called(nodes: Sequence) -> list[str]:
    """Return the names of the functions in some nodes' attributes."""
    values = [value for node in nodes for value in node.attr.values()]
    functions = [v.func for v in values] + [f for v in values for f in v.list.func]
    return [function.name for function in functions if function.name]


def _is_stateful(name: str) -> bool:
    """Whether an op does more than read, for which the order and number of its runs matter."""
    definition = op_def_registry.get(name)
    harmless = name in _READS | _CALLS | _CONTROL_FLOW
    return definition is not None and definition.is_stateful and not harmless
