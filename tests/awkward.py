"""Inputs that are a little wrong, and the ways by which they reach an algorithm.

`docs/checks.md` has a row for each of them. Every exported algorithm is taken through all of them.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import deepchem_meta as dc
from deepchem_meta import metalearning

EXAMPLES, TASKS = 6, 2
BASES = (metalearning.MetaAlgorithm, metalearning.EmbeddingAlgorithm)
ALGORITHMS = {
    name: getattr(metalearning, name)
    for name in metalearning.__all__
    if inspect.isclass(getattr(metalearning, name))
    and issubclass(getattr(metalearning, name), metalearning.MetaAlgorithm)
    and getattr(metalearning, name) not in BASES
}
CLASSES, NUMBERS = "classes", "numbers"


@dataclass(frozen=True)
class Awkward:
    """A batch that must be refused, and in what words.

    ``change`` makes it from x and y of one task; ``stacked`` from those of several, whose last
    task is the wrong one.
    """

    what: str
    message: str
    change: Callable
    kinds: tuple = (CLASSES, NUMBERS)
    stackable: bool = True


def targets(function):
    """Change y alone."""
    return lambda x, y: (x, function(y))


REFUSED = [
    Awkward("y of shape (1, n)", "same number of examples", targets(lambda y: y.reshape(1, -1))),
    Awkward(
        "y of shape (n, n)",
        "must fit the loss|must have the shape|number of examples",
        targets(lambda y: np.tile(y.reshape(-1, 1), (1, len(y)))),
        # A head for regression may have as many outputs as there are.
    ),
    Awkward("y without an axis", "same number of examples", targets(lambda y: y.ravel()[0])),
    Awkward(
        "y of shape (1, 1)", "same number of examples", targets(lambda y: y.reshape(-1, 1)[:1])
    ),
    Awkward("fewer targets than examples", "same number of examples", targets(lambda y: y[:-1])),
    Awkward("more targets than examples", "same number of examples", lambda x, y: (x[:-1], y)),
    Awkward("x of another size", "cannot be computed on x", lambda x, y: (x[:, :1], y)),
    Awkward(
        "x of another structure", "must have the structure", lambda x, y: ({"a": x, "b": x}, y)
    ),
    Awkward("no targets", r"must have \d arrays|must be \(x, y\)|structure", lambda x, y: (x,)),
    Awkward("one part too many", r"must be|must have", lambda x, y: (x, y, y, y)),
    Awkward("words as targets", "must be numeric.*np.unique", targets(lambda y: y.astype(str))),
    Awkward("objects as targets", "must be numeric", targets(lambda y: np.full(y.shape, None))),
    Awkward(
        "masked arrays",
        "must not be masked",
        targets(lambda y: np.ma.masked_array(y, np.zeros(y.shape, bool))),
    ),
    Awkward(
        "a sparse tensor",
        "must be dense",
        lambda x, y: (tf.sparse.from_dense(x), y),
        stackable=False,
    ),
    Awkward("complex numbers", "must be real", lambda x, y: (x * (1 + 1j), y)),
    Awkward("no examples", "must not be empty", lambda x, y: (x[:0], y[:0])),
    Awkward(
        "too few sample weights",
        "same number of examples",
        lambda x, y: (x, y, np.ones(len(x) - 1, "float32")),
    ),
    Awkward(
        "a sample weight for each output",
        "one weight for each example",
        lambda x, y: (x, y, np.ones((len(x), 7), "float32")),
    ),
    Awkward(
        "sample weights of 0 alone",
        "weight is not 0",
        lambda x, y: (x, y, np.zeros(len(x), "float32")),
    ),
    Awkward(
        "a sample weight that is NaN",
        "sample_weight must be finite",
        lambda x, y: (x, y, np.full(len(x), np.nan, "float32")),
    ),
    Awkward(
        "targets that are NaN",
        "must be finite",
        targets(lambda y: np.full(y.shape, np.nan, "float32")),
        (NUMBERS,),
    ),
    Awkward("classes from 1 on", "from 0 to 2.*np.unique", targets(lambda y: y + 1), (CLASSES,)),
    Awkward("classes -1 and 1", "from 0 to 2", targets(lambda y: 2 * (y > 0) - 1), (CLASSES,)),
    Awkward("original class numbers", "from 0 to 2", targets(lambda y: 7 * y + 90), (CLASSES,)),
    Awkward(
        "measured values where classes are meant",
        "from 0 to 2",
        targets(lambda y: y + np.float32(0.3)),
        (CLASSES,),
    ),
    Awkward(
        "more classes than ways", "from 0 to 2", targets(lambda y: np.arange(len(y))), (CLASSES,)
    ),
    Awkward(
        "one-hot targets where class numbers are meant",
        "argmax",
        targets(lambda y: np.eye(3, dtype="float32")[y.ravel()]),
        (CLASSES,),
    ),
]

UNDERSTOOD = {
    "y of shape (n,) and (n, 1)": lambda x, y: (x, y.reshape(-1)),
    "y as floats": lambda x, y: (x, y.astype("float32")),
    "a pandas DataFrame": lambda x, y: (pd.DataFrame(x), pd.Series(y.ravel())),
    "tensors": lambda x, y: (tf.constant(x), tf.constant(y)),
    "lists": lambda x, y: (x.tolist(), y.tolist()),
    "sample weights of 1": lambda x, y: (x, y, np.ones(len(x), "float32")),
}


class Source:
    """Gives the same tasks for ever, or those that are set as `given`."""

    def __init__(self, kind):
        self.kind = kind
        self.given = None
        rng = np.random.default_rng(0)
        shape = (2, EXAMPLES, 2)
        self.x = rng.normal(size=shape).astype("float32")
        if kind == CLASSES:
            self.ways = 3
            self.y = np.tile(np.arange(EXAMPLES, dtype="int32") % 3, (2, 1))[..., None]
        else:
            self.y = rng.normal(size=(2, EXAMPLES, 1)).astype("float32")

    def batch(self, index=0):
        return self.x[index], self.y[index]

    def sample(self, n, rng):
        support, query = self.given or (self.batch(0), self.batch(1))
        return stack([support] * n), stack([query] * n)


def stack(batches):
    """Stack the batches of several tasks."""
    return tuple(
        {key: np.stack([one[key] for one in part]) for key in part[0]}
        if isinstance(part[0], dict)
        else (np.ma if isinstance(part[-1], np.ma.MaskedArray) else np).stack(part)
        for part in zip(*batches, strict=True)
    )


def make(name, kind, **options):
    """Return an algorithm over a small Keras model, or None if it is not for such tasks."""
    keras.utils.set_random_seed(0)
    outputs, loss = (3, "sparse_categorical_crossentropy") if kind == CLASSES else (1, "mse")
    activation = "softmax" if kind == CLASSES else None
    layers = [keras.layers.Dense(4, "tanh", name="hidden"), keras.layers.Dense(outputs, activation)]
    learner = metalearning.KerasLearner(
        keras.Sequential(layers), loss, Source(kind), embedding="hidden"
    )
    algorithm = ALGORITHMS[name]
    options = {"task_execution": "looped", "jit_compile": False, "seed": 0, **options}
    if kind == NUMBERS and name in ("ProtoNet", "MatchingNet", "ProtoMAML"):
        return None
    return algorithm(
        learner, meta_batch_size=TASKS, optimizer=keras.optimizers.SGD(0.01), **options
    )


def stacked(source, bad):
    """Return a meta-batch whose last task is the bad one."""
    good = source.batch()
    if len(bad) == len(good) and all(
        np.shape(a) == np.shape(b) for a, b in zip(bad, good, strict=True)
    ):
        return stack([good, bad])
    return stack([bad] * TASKS)


def from_source(call):
    """Return an entry point that gets a bad batch from the learner's or another source."""

    def enter(algorithm, bad, place):
        source = Source(algorithm.learner.tasks.kind)
        good = source.batch()
        source.given = (bad, good) if place == "support" else (good, bad)
        return call(algorithm, source)

    return enter


def fit(algorithm, source):
    tasks = algorithm.learner.tasks
    tasks.given = source.given
    try:
        return algorithm.fit(1)
    finally:
        tasks.given = None


def current_task(algorithm, source):
    learner = algorithm.learner
    learner.tasks.given = source.given
    try:
        learner.select_task()
        return algorithm.train_on_current_task(1, restore=False)
    finally:
        learner.tasks.given = None
        learner.select_task()


def both(name):
    """Return an entry point that takes a meta-batch of support and query sets."""

    def enter(algorithm, bad, place):
        source = algorithm.learner.tasks
        good = stack([source.batch()] * TASKS)
        bad = stacked(source, bad)
        return getattr(algorithm, name)(*((bad, good) if place == "support" else (good, bad)))

    return enter


def predict_on_batch(algorithm, bad, place):
    algorithm.train_on_current_task(1, restore=False)
    return algorithm.predict_on_batch(bad)


# How a batch reaches an algorithm, as its support or its query set.
ENTRIES: dict[tuple[str, str], Callable[[Any, Any, str], Any]] = {
    ("adapt", "support"): lambda algorithm, bad, place: algorithm.adapt(bad),
    ("adapt(...).predict_on_batch", "query"): lambda algorithm, bad, place: algorithm.adapt(
        algorithm.learner.tasks.batch()
    ).predict_on_batch(bad),
    ("predict_on_batch", "query"): predict_on_batch,
    ("train_on_current_task", "support"): from_source(current_task),
}
for where in ("support", "query"):
    ENTRIES |= {
        ("meta_gradient", where): both("meta_gradient"),
        ("train_on_batch", where): both("train_on_batch"),
        ("fit", where): from_source(fit),
        ("fit(validation=...)", where): from_source(
            lambda algorithm, source: algorithm.fit(1, validation=source, validation_tasks=1)
        ),
        ("evaluate", where): from_source(
            lambda algorithm, source: algorithm.evaluate(source, n_tasks=1)
        ),
        ("compare", where): from_source(
            lambda algorithm, source: dc.evaluation.compare([algorithm], source, n_tasks=1)
        ),
    }
STACKED = (
    "meta_gradient",
    "train_on_batch",
    "fit",
    "fit(validation=...)",
    "evaluate",
    "compare",
    "train_on_current_task",
)
# What a source of tasks gives is looked at as a whole first.
FROM_SOURCE = STACKED[2:]
OF_SOURCES = "A source of tasks must give|Sample weights must have the shape"
