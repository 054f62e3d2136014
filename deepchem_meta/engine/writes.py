"""Finds models that write values of the inner loop into variables and read them back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

__all__ = ["WritesVariablesError", "check_graph", "note_loss", "unwritten"]

_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd")
_WRITES = ("Assign", "ResourceScatter", "ResourceApply", "ResourceStridedSliceAssign")
_LOOPS = ("While", "StatelessWhile")
_LOSSES = "losses_of_compute_model"


class WritesVariablesError(ValueError):
    """`compute_model` assigns the values it is given to variables, and computes from those."""

    def __init__(self, names: Iterable[str]):
        super().__init__(
            "`compute_model` must compute from the values in its argument `variables`, and not "
            "write them into variables that it then reads: an assignment has no gradient, so that "
            "adaptation would not count in the meta-gradient. Use "
            "`model.stateless_call(trainable, non_trainable, x)` for a Keras model "
            "(`KerasLearner` does it for any), or `tf.matmul(x, variables[0])` and the like. "
            f"Received: an assignment to {', '.join(sorted(set(names)))}"
        )


@contextlib.contextmanager
def unwritten(learned: Sequence[tf.Variable]) -> Iterator[None]:
    """Put learned variables back to where they were, and raise if any was assigned meanwhile.

    Parameters
    ----------
    learned : list of tf.Variable
        The variables whose values the model is given.

    Raises
    ------
    WritesVariablesError
        If one of them has another value than before.
    """
    before = [tf.convert_to_tensor(variable) for variable in learned]
    changed = []
    try:
        yield
    finally:
        for variable, value in zip(learned, before, strict=True):
            if not bool(tf.reduce_all((variable == value) | (value != value))):
                variable.assign(value)
                changed.append(variable.name)
    if changed:
        raise WritesVariablesError(changed)


def check_graph(
    function: tf.types.experimental.ConcreteFunction,
    learned: Sequence[tf.Variable],
    *,
    results: bool = True,
) -> None:
    """Raise if a traced function writes what depends on learned variables, and reads it back.

    Counters, and moving averages that no output depends on, may be written.

    Parameters
    ----------
    function : ConcreteFunction
        What happens in one task.
    learned : list of tf.Variable
        The variables whose values the model is given.
    results : bool, default True
        Whether the function's results must not depend on what was written. With False only the
        losses in training must not: prediction may read a moving average.

    Raises
    ------
    WritesVariablesError
    """
    graph = function.graph
    definition = graph.as_graph_def()
    if not _assigns(definition):
        return
    library = {one.signature.name: one for one in definition.library.function}
    captured = {placeholder.op.name: outer for outer, placeholder in graph.captures}
    names = {
        placeholder: _variable_name(function, outer)
        for placeholder, outer in captured.items()
        if outer.dtype == tf.resource
    }
    handles = {id(variable.handle) for variable in learned}
    outputs = [*(graph.outputs if results else ()), *graph.get_collection(_LOSSES)]
    body = _Body(
        nodes=list(definition.node),
        resources={placeholder: placeholder for placeholder in names},
        learned={name for name, outer in captured.items() if id(outer) in handles},
        given=set(),
        outputs=[tensor.op.name for tensor in outputs],
    )
    effects = _effects(body, library)
    while not effects.written <= body.learned:  # what is read of those depends on them too
        body = body._replace(learned=body.learned | effects.written)
        effects = _effects(body, library)
    if effects.read_back:
        raise WritesVariablesError(names[placeholder] for placeholder in effects.read_back)


def note_loss(loss: tf.Tensor) -> None:
    """Note in the graph that is traced that something depends on a loss.

    Adaptation returns values alone, and a part of the loss that has no gradient is not in them.
    """
    if tf.inside_function():
        tf.compat.v1.get_default_graph().add_to_collection(_LOSSES, loss)


class _Body(NamedTuple):
    """The nodes of a graph or of a function that it calls.

    Attributes
    ----------
    nodes : list of NodeDef
    resources : dict of str to str
        The placeholder in the outermost graph of each argument that is a variable's handle.
    learned : set of str
        The arguments that are handles of learned variables.
    given : set of str
        The other arguments that depend on learned variables.
    outputs : list of str
        The nodes whose values are returned.
    """

    nodes: list[Any]
    resources: dict[str, str]
    learned: set[str]
    given: set[str]
    outputs: list[str]


class _Effects(NamedTuple):
    """What a graph or function does to variables, by their placeholders in the outermost graph.

    Attributes
    ----------
    written : set of str
        Those it assigns something to that depends on learned variables.
    read : set of str
        Those that its outputs depend on.
    read_back : set of str
        Those that its outputs depend on after it has written them so.
    """

    written: set[str]
    read: set[str]
    read_back: set[str]


def _effects(body: _Body, library: dict[str, Any]) -> _Effects:
    data = {node.name: [_source(i) for i in node.input if i[0] != "^"] for node in body.nodes}
    order = {node.name: [_source(i) for i in node.input] for node in body.nodes}
    readers = {n.name for n in body.nodes if n.op in _READS and data[n.name][0] in body.learned}
    # A call that gets a learned variable's handle may read it.
    readers |= {n.name for n in body.nodes if _called(n) and body.learned & set(data[n.name])}
    dependent = _descendants(readers | body.given, data)
    needed = _ancestors(body.outputs, data)
    effects = {
        node.name: _effects_of_node(node, body, library, data, dependent) for node in body.nodes
    }
    written, read, read_back = set(), set(), set()
    for name, (writes, reads, back) in effects.items():
        written |= writes
        read |= reads if name in needed else set()
        read_back |= back if name in needed else set()
        if writes:
            for later in (_descendants({name}, order) - {name}) & needed:
                read_back |= writes & effects[later].read
    return _Effects(written, read, read_back)


def _effects_of_node(node, body, library, data, dependent) -> _Effects:
    """Return what one node does."""
    inputs = data[node.name]
    handle = {body.resources[name] for name in inputs[:1] if name in body.resources}
    if node.op in _READS:
        return _Effects(set(), handle, set())
    if node.op.startswith(_WRITES):
        tainted = any(name in dependent for name in inputs[1:])
        return _Effects(handle if tainted else set(), set(), set())
    found = _Effects(set(), set(), set())
    for name in _called(node):
        if name in library:
            inside = _effects(_inside(node, library[name], body, data, dependent), library)
            found = _Effects(*(a | b for a, b in zip(found, inside, strict=True)))
    return found


def _inside(node, function, body, data, dependent) -> _Body:
    """Return a function that `node` calls, with what it knows of its arguments."""
    arguments = [argument.name for argument in function.signature.input_arg]
    # The condition of an If stands before the arguments of its branches.
    sources = data[node.name][-len(arguments) :] if arguments else []
    pairs = list(zip(arguments, sources, strict=True))
    # What a loop carries from one round to the next may depend on anything that comes in.
    carried = node.op in _LOOPS and bool(dependent & set(data[node.name]))
    return _Body(
        nodes=list(function.node_def),
        resources={a: body.resources[s] for a, s in pairs if s in body.resources},
        learned={a for a, s in pairs if s in body.learned},
        given={a for a, s in pairs if s in dependent or (carried and s not in body.resources)},
        outputs=[_source(value) for value in function.ret.values()],
    )


def _called(node) -> list[str]:
    """Return the names of the functions that a node calls."""
    values = list(node.attr.values())
    functions = [v.func for v in values] + [f for v in values for f in v.list.func]
    return [function.name for function in functions if function.name]


def _assigns(definition) -> bool:
    """Whether a graph, or a function that it knows, assigns to a variable."""
    parts = (definition.node, *(one.node_def for one in definition.library.function))
    return any(node.op.startswith(_WRITES) for nodes in parts for node in nodes)


def _source(name: str) -> str:
    """Return the node that an input comes from."""
    return name.lstrip("^").partition(":")[0]


def _ancestors(names: Iterable[str], inputs: dict[str, list[str]]) -> set[str]:
    """Return the nodes that some depend on, these included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += inputs.get(name, ())
    return found


def _descendants(names: Iterable[str], inputs: dict[str, list[str]]) -> set[str]:
    """Return the nodes that depend on some, these included."""
    users: dict[str, list[str]] = {}
    for name, sources in inputs.items():
        for source in sources:
            users.setdefault(source, []).append(name)
    return _ancestors(names, users)


def _variable_name(function, handle) -> str:
    """Return the name of the variable behind a handle that a function captures."""
    for variable in function.graph.variables:
        if variable.handle is handle:
            return variable.name
    return "a variable"
