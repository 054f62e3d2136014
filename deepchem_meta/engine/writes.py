"""Finds models that write values of the inner loop into variables and read them back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

__all__ = ["WritesVariablesError", "check_graph", "unwritten"]

_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd")
_WRITES = ("Assign", "ResourceScatter", "ResourceApply")
_READ_ONLY = "_read_only_resource_inputs"  # of a call, the places of what it does not write


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
    yield
    changed = []
    for variable, value in zip(learned, before, strict=True):
        if not bool(tf.reduce_all((variable == value) | (value != value))):
            variable.assign(value)
            changed.append(variable.name)
    if changed:
        raise WritesVariablesError(changed)


def check_graph(
    function: tf.types.experimental.ConcreteFunction, learned: Sequence[tf.Variable]
) -> None:
    """Raise if a traced function writes what depends on learned variables, and reads it back.

    Counters, and moving averages that no output depends on, may be written.

    Parameters
    ----------
    function : ConcreteFunction
        What happens in one task.
    learned : list of tf.Variable
        The variables whose values the model is given.

    Raises
    ------
    WritesVariablesError
    """
    graph = function.graph
    definition = graph.as_graph_def()
    if not any(_writes(node) for node in _all_nodes(definition)):
        return
    library = {one.signature.name: one for one in definition.library.function}
    captured = {placeholder.op.name: outer for outer, placeholder in graph.captures}
    names = {
        placeholder: _variable_name(function, outer)
        for placeholder, outer in captured.items()
        if outer.dtype == tf.resource
    }
    handles = {id(variable.handle) for variable in learned}
    body = _Body(
        nodes=list(definition.node),
        resources={placeholder: placeholder for placeholder in names},
        learned={name for name, outer in captured.items() if id(outer) in handles},
        given=set(),
        outputs=[tensor.op.name for tensor in graph.outputs],
    )
    found = _read_back(body, library)
    if found:
        raise WritesVariablesError(names[placeholder] for placeholder in found)


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


def _read_back(body: _Body, library: dict[str, Any]) -> set[str]:
    """Return the placeholders of variables that are written and then read for an output."""
    data = {node.name: [_source(i) for i in node.input if i[0] != "^"] for node in body.nodes}
    order = {node.name: [_source(i) for i in node.input] for node in body.nodes}
    readers = {n.name for n in body.nodes if n.op in _READS and data[n.name][0] in body.learned}
    # A call that gets a learned variable's handle may read it.
    readers |= {n.name for n in body.nodes if _called(n) and body.learned & set(data[n.name])}
    dependent = _descendants(readers | body.given, data)
    needed = _ancestors(body.outputs, data)
    found: set[str] = set()
    for node in body.nodes:
        for place in _writes(node):
            handle = data[node.name][place]
            tainted = node.name in dependent or dependent & set(data[node.name])
            if handle not in body.resources or not tainted:
                continue
            later = _descendants({node.name}, order) - {node.name}
            reads = {n.name for n in body.nodes if n.name in later and handle in data[n.name]}
            if any(read in needed for read in reads):
                found.add(body.resources[handle])
        for name in _called(node):
            if name in library:
                found |= _read_back(_inside(node, library[name], body, data, dependent), library)
    return found


def _inside(node, function, body, data, dependent) -> _Body:
    """Return a function that `node` calls, with what it knows of its arguments."""
    arguments = [argument.name for argument in function.signature.input_arg]
    # The condition of an If stands before the arguments of its branches.
    sources = data[node.name][-len(arguments) :] if arguments else []
    pairs = list(zip(arguments, sources, strict=True))
    return _Body(
        nodes=list(function.node_def),
        resources={a: body.resources[s] for a, s in pairs if s in body.resources},
        learned={a for a, s in pairs if s in body.learned},
        given={a for a, s in pairs if s in dependent},
        outputs=[_source(value) for value in function.ret.values()],
    )


def _writes(node) -> list[int]:
    """Return the places of the inputs of a node that are handles of variables it writes."""
    if node.op.startswith(_WRITES):
        return [0]
    if _called(node) and _READ_ONLY in node.attr:
        # Every input of a call that is a handle and is not listed; others are told apart later.
        read_only = set(node.attr[_READ_ONLY].list.i)
        return [i for i in range(len(node.input)) if i not in read_only and node.input[i][0] != "^"]
    return []


def _called(node) -> list[str]:
    """Return the names of the functions that a node calls."""
    values = list(node.attr.values())
    functions = [v.func for v in values] + [f for v in values for f in v.list.func]
    return [function.name for function in functions if function.name]


def _all_nodes(definition) -> Iterator[Any]:
    """Yield the nodes that assign, or may: those of a graph and of the functions it knows."""
    for nodes in (definition.node, *(one.node_def for one in definition.library.function)):
        for node in nodes:
            if node.op.startswith(_WRITES):
                yield node


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
