"""Random learners and arguments of MAML, against meta-gradients by nested tapes.

    python tests/benchmarks/random_learners.py --minutes 10 --seed 0

Needs `pip install hypothesis`. Each case is a learner (a dense net, a convolution or functions of
single elements; of float32, float64 or both; with frozen variables, counters, variables that the
loss does not depend on; batches as lists, tuples and dicts, of sizes that differ between tasks)
and arguments of MAML. `meta_gradient`, two meta-steps of `fit` by gradient descent, and `adapt` are
compared with a second way to compute them, eagerly in float64, that shares no code with the
package. The smallest example of each failure is printed. The same seed gives the same cases, as
many as there is time for.
"""

import argparse
import collections
import dataclasses
import os
import sys
import time
import traceback

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML, inner_optimizers

try:
    import hypothesis
    from hypothesis import strategies as st
except ImportError:
    sys.exit("This script needs hypothesis: pip install hypothesis")

META_RATE = 2**-10  # exact in float32, in which Keras keeps it; a large one makes learners diverge
META_STEPS = 2
EXAMPLES_A_ROUND = 25
SHRINKING = 120  # seconds, of each failure


@dataclasses.dataclass(frozen=True)
class Case:
    """A learner, its batches and the arguments of MAML."""

    seed: int
    # The learner.
    kind: str  # "dense", "conv" or "elementwise"
    sizes: tuple  # of layers, or the number of variables
    dtype: str  # "float32", "float64" or "mixed"
    frozen: bool
    unused: bool
    counter: str  # "none", "constant" or "counts"
    # Its batches.
    structure: str  # "list", "tuple" or "dict"
    scalar: str  # "none", "array" or "number"
    ragged: bool
    examples: int
    # The arguments.
    steps: int
    first_order: bool
    recompute: bool
    tasks: int
    task_execution: str
    jit_compile: object
    task_batch_size: object
    reduction: str
    rate: str  # "number", "float32" or "float64": the dtype of a learned one
    rule: str  # "descent", "momentum" or "adam"
    clipnorm: object
    adapts: object  # places of variables, counted round, or None
    steps_per_execution: object


@st.composite
def cases(draw):
    """Draw a case; what comes first in a list is what a failing example shrinks to."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    kind = pick("elementwise", "dense", "conv")
    ragged = kind != "elementwise" and draw(st.booleans())
    can_vectorize = kind != "conv" and not ragged  # TensorFlow has no rule for each task's filter
    return Case(
        seed=draw(st.integers(0, 2**16)),
        kind=kind,
        sizes=tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))),
        dtype=pick("float64", "float32", "mixed"),
        frozen=draw(st.booleans()),
        unused=draw(st.booleans()),
        counter=pick("none", "constant", "counts"),
        structure=pick("list", "tuple", "dict"),
        scalar=pick("none", "array", "number"),
        ragged=ragged,
        examples=draw(st.integers(1, 4)),
        steps=draw(st.integers(0, 4)),
        first_order=draw(st.booleans()),
        recompute=draw(st.booleans()),
        tasks=draw(st.integers(1, 5)),
        task_execution=pick("looped", "auto", *(("vectorized",) if can_vectorize else ())),
        # XLA takes long to compile, and is refused where shapes differ.
        jit_compile=pick(False, False, False, "auto", *(() if ragged else (True,))),
        task_batch_size=pick(None, 1, 2, 3),
        reduction=pick("sum", "mean"),
        rate=pick("number", "float64", "float32"),
        rule=pick("descent", "momentum", "adam"),
        clipnorm=pick(None, 0.1, 10.0),
        adapts=pick(None, None, (0,), (1,), (2, 4), (0, 1, 3), (5, 6)),
        steps_per_execution=pick(1, "auto", 2),
    )


class Random(dc.metalearning.MetaLearner):
    """The learner of a case. `loss` takes the values in any one dtype."""

    def __init__(self, case):
        self.case = case
        self.rng = np.random.default_rng([case.seed, 1])
        self.given = []
        shapes = {"dense": dense_shapes, "conv": conv_shapes, "elementwise": element_shapes}
        rng = np.random.default_rng([case.seed, 0])
        dtypes = ("float32", "float64") if case.dtype == "mixed" else (case.dtype,)
        self.named = {}
        for index, shape in enumerate(shapes[case.kind](case.sizes)):
            dtype = dtypes[index % len(dtypes)]
            self._add(f"w{index}", rng.normal(size=shape, scale=0.7).astype(dtype))
        if case.frozen:
            value = np.asarray(rng.normal(), dtypes[-1])
            self._add("frozen", value, trainable=False)
        if case.unused:
            self._add("unused", rng.normal(size=2).astype(dtypes[0]))
        if case.counter != "none":
            self._add("counter", np.int32(3))
        if case.counter == "counts":
            self.compute_model_and_state = self._compute_and_count
        self.dtype = "float32" if case.dtype == "float32" else "float64"

    def _add(self, name, value, trainable=True):
        self.named[name] = tf.Variable(value, name=name, trainable=trainable)

    @property
    def variables(self):
        return list(self.named.values())

    def loss(self, inputs, values, dtype):
        """Return the loss and the outputs, computed in a dtype."""
        case = self.case
        parts = list(inputs.values()) if isinstance(inputs, dict) else list(inputs)
        x, y, *scalar = [tf.cast(part, dtype) for part in parts]
        named = {name: tf.cast(v, dtype) for name, v in zip(self.named, values, strict=True)}
        weights = [value for name, value in named.items() if name.startswith("w")]
        outputs = MODELS[case.kind](x, weights)
        if case.frozen:
            outputs = outputs * (1 + 0.3 * tf.tanh(named["frozen"]))
        loss = tf.reduce_mean((outputs - tf.reshape(y, (-1, 1))) ** 2)
        if scalar:
            loss = loss * (1 + 0.1 * scalar[0])
        if case.counter == "constant":
            loss = loss + 0.01 * named["counter"] * tf.reduce_sum(weights[0] ** 2)
        return loss, [outputs]

    def compute_model(self, inputs, variables, training):
        return self.loss(inputs, variables, self.dtype)

    def _compute_and_count(self, inputs, variables, training, *, role="query", key=None):
        loss, outputs = self.compute_model(inputs, variables, training)
        values = list(variables)
        if training:
            values[list(self.named).index("counter")] += 1
        return loss, outputs, values

    def select_task(self):
        self.amplitude = self.rng.uniform(0.5, 2.0)

    def get_batch(self):
        case, rng = self.case, self.rng
        examples = int(rng.integers(1, 5)) if case.ragged else case.examples
        shape = (examples, 5, 2) if case.kind == "conv" else (examples, 2)
        x = rng.normal(size=shape)
        y = self.amplitude * np.sin(x.reshape(examples, -1).sum(axis=1))
        parts = [x.astype(self.dtype), y.astype(self.dtype)]
        if case.scalar != "none":
            number = float(np.float32(rng.normal()))
            parts.append(np.asarray(number, self.dtype) if case.scalar == "array" else number)
        self.given.append(parts)
        if case.structure == "dict":
            return dict(zip(("a", "b", "c"), parts, strict=False))
        return tuple(parts) if case.structure == "tuple" else list(parts)


def dense_shapes(sizes):
    shapes = []
    for below, above in zip((2, *sizes), (*sizes, 1), strict=True):
        shapes += [(below, above), (above,)]
    return shapes


def conv_shapes(sizes):
    return [(min(sizes[0], 3), 2, sizes[-1]), (sizes[-1],), (sizes[-1], 1)]


def element_shapes(sizes):
    return [((), (2,), (1, 2), (2, 1, 2))[(index + size) % 4] for index, size in enumerate(sizes)]


def dense(x, weights):
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    for kernel, bias in layers[:-1]:
        x = tf.tanh(x @ kernel + bias)
    kernel, bias = layers[-1]
    return x @ kernel + bias


def conv(x, weights):
    filters, bias, kernel = weights
    hidden = tf.tanh(tf.nn.conv1d(x, filters, stride=1, padding="SAME") + bias)
    return tf.reduce_mean(hidden, axis=1) @ kernel


def elementwise(x, weights):
    outputs = tf.reduce_mean(x, axis=1, keepdims=True)
    for index, weight in enumerate(weights):
        inner = tf.reduce_sum(tf.sin(weight) * (index + 1))
        outputs = tf.math.softplus(outputs * inner) + tf.reduce_mean(tf.exp(-(weight**2)))
    return outputs


MODELS = {"dense": dense, "conv": conv, "elementwise": elementwise}


class Plain:
    """MAML written out: one task after the other, eagerly, in a dtype of its own.

    It starts from the learner's values, all that is learned `off` of them by such a part.
    """

    def __init__(self, case, learner, dtype, rate, off=0.0):
        self.case, self.learner, self.dtype = case, learner, tf.as_dtype(dtype)
        self.values = [
            tf.Variable(v if v.dtype.is_integer else tf.cast(v, dtype)) for v in learner.variables
        ]
        trainable = [v.trainable and v.dtype.is_floating for v in learner.variables]
        self.learned = [v for v, learn in zip(self.values, trainable, strict=True) if learn]
        self.adapting = trainable
        if case.adapts is not None:
            self.adapting = [
                place in chosen_places(case, learner) for place in range(len(trainable))
            ]
        self.rate = tf.Variable(np.asarray(rate, self.dtype.as_numpy_dtype))
        if case.rate != "number":
            self.learned.append(self.rate)
        for value in self.learned:
            value.assign(value * (1 + off))
        self.moves = moves_of([*self.values, *([] if case.rate == "number" else [self.rate])])

    def loss(self, batch, values):
        return self.learner.loss(batch, values, self.dtype)[0]

    def adapted(self, support):
        """Return the values after the steps of adaptation to a support batch."""
        case = self.case
        values = [tf.identity(value) for value in self.values]
        places = [place for place, adapts in enumerate(self.adapting) if adapts]
        first = [tf.zeros_like(values[place]) for place in places]
        second = list(first)
        for step in range(1, case.steps + 1):
            moved = [values[place] for place in places]
            with tf.GradientTape() as tape:
                tape.watch(moved)
                loss = self.loss(support, values)
            found = tape.gradient(loss, moved, unconnected_gradients="zero")
            if case.first_order:
                found = [tf.stop_gradient(gradient) for gradient in found]
            if case.clipnorm is not None:
                squared = sum(tf.reduce_sum(gradient**2) for gradient in found)
                if squared > case.clipnorm**2:
                    found = [g * (case.clipnorm / tf.sqrt(squared)) for g in found]
            if case.rule == "momentum":
                first = [0.8 * m + g for m, g in zip(first, found, strict=True)]
                found = first
            elif case.rule == "adam":
                first = [0.7 * m + 0.3 * g for m, g in zip(first, found, strict=True)]
                second = [0.9 * v + 0.1 * g * g for v, g in zip(second, found, strict=True)]
                found = [
                    (m / (1 - 0.7**step)) / tf.sqrt(v / (1 - 0.9**step) + 1e-3)
                    for m, v in zip(first, second, strict=True)
                ]
            for place, value, direction in zip(places, moved, found, strict=True):
                values[place] = value - self.rate * direction
        self.count(values, case.steps)
        return values

    def count(self, values, passes):
        """Let a counter grow by one a pass through the model."""
        if self.case.counter == "counts":
            values[list(self.learner.named).index("counter")] += passes

    def meta_gradient(self, episodes):
        """Return the mean loss and the gradients over some tasks."""
        losses, total = [], [tf.zeros_like(value) for value in self.learned]
        for support, query in episodes:
            with tf.GradientTape() as tape:
                loss = self.loss(query, self.adapted(support))
            found = tape.gradient(loss, self.learned, unconnected_gradients="zero")
            losses.append(float(loss))
            total = [a + b for a, b in zip(total, found, strict=True)]
        if self.case.reduction == "mean":
            total = [gradient / len(episodes) for gradient in total]
        return float(np.mean(losses)), total

    def train(self, episodes):
        """Take one meta-step of gradient descent, and count."""
        _, gradients = self.meta_gradient(episodes)
        for value, gradient in zip(self.learned, gradients, strict=True):
            value.assign_sub(META_RATE * gradient)
        counted = [tf.identity(value) for value in self.values]
        self.count(counted, len(episodes) * (self.case.steps + 1))
        for variable, value in zip(self.values, counted, strict=True):
            variable.assign(value)


def moves_of(variables):
    """Return what gives how far variables have moved since now, over the rate of meta-learning."""
    start = [np.array(v.numpy(), np.float64) for v in variables]
    return lambda: [
        (np.array(v.numpy(), np.float64) - old) / META_RATE
        for v, old in zip(variables, start, strict=True)
    ]


def chosen_places(case, learner):
    """Return the places of the variables that a case lets adapt, floating-point ones."""
    floats = [place for place, v in enumerate(learner.variables) if v.dtype.is_floating]
    return sorted({floats[place % len(floats)] for place in case.adapts})


def make(case):
    """Return MAML over the learner of a case, and its learning rate."""
    learner = Random(case)
    rate = 0.1 if case.rate == "number" else tf.Variable(0.1, dtype=case.rate)
    chosen = case.adapts and [learner.variables[p] for p in chosen_places(case, learner)]
    rules = {
        "descent": None,
        "momentum": inner_optimizers.Momentum(0.8),
        "adam": inner_optimizers.Adam(0.7, 0.9, 1e-3),
    }
    maml = MAML(
        learner,
        rate,
        case.steps,
        case.tasks,
        keras.optimizers.SGD(META_RATE),
        first_order=case.first_order,
        recompute=case.recompute,
        adapt_variables=chosen,
        inner_optimizer=rules[case.rule],
        inner_clipnorm=case.clipnorm,
        reduction=case.reduction,
        task_execution=case.task_execution,
        jit_compile=case.jit_compile,
        task_batch_size=case.task_batch_size,
    )
    return maml, rate


def draw_episodes(learner, tasks):
    """Return (support, query) of some tasks, as they come."""
    episodes = []
    for _ in range(tasks):
        learner.select_task()
        episodes.append((learner.get_batch(), learner.get_batch()))
    return episodes


def stacked(batches):
    return tf.nest.map_structure(lambda *parts: np.stack(parts), *batches)


def compare(what, found, exact, rough, coarse):
    """Raise AssertionError unless `found` is `exact` up to rounding.

    `rough` is the plain computation in the learner's own dtype, from values that are a rounding
    off: its error shows what rounding does. `coarse` is whether there is any float32.
    """
    for place, parts in enumerate(zip(found, exact, rough, strict=True)):
        mine, plain, same = [np.asarray(part, np.float64) for part in parts]
        assert mine.shape == plain.shape, f"{what} {place}: {mine.shape} for {plain.shape}"
        size = max([1.0 if coarse else 1e-3, *np.abs(plain).ravel()])
        allowed = (1e-4 if coarse else 1e-9) * size + 100 * np.abs(same - plain).max(initial=0)
        error = np.abs(mine - plain).max(initial=0)
        assert error <= allowed, f"{what} {place}: {mine} for {plain}, {error} > {allowed}"


def check(case):
    """Compare what the package computes for a case with the plain computation."""
    keras.utils.set_random_seed(0)
    maml, rate = make(case)
    learner = maml.learner
    coarse = case.dtype != "float64" or case.rate == "float32"
    exact = Plain(case, learner, "float64", rate)
    rough = Plain(case, learner, learner.dtype, rate, off=2.0 ** (-23 if coarse else -50))
    episodes = draw_episodes(learner, case.tasks)
    if not case.ragged:
        found = maml.meta_gradient(*(stacked(part) for part in zip(*episodes, strict=True)))
        (loss, gradients), (near, others) = (p.meta_gradient(episodes) for p in (exact, rough))
        compare("loss", [found.loss], [loss], [near], coarse)
        mine = [
            np.zeros(plain.shape) if gradient is None else gradient
            for gradient, plain in zip(found.gradients, gradients, strict=True)
        ]
        compare("gradient", mine, gradients, others, coarse)
    support = episodes[0][0]
    compare_adapted(maml, support, exact, rough, coarse)
    learner.given.clear()
    learned = [*learner.variables, *([] if case.rate == "number" else [rate])]
    mine = moves_of(learned)
    maml.fit(META_STEPS, steps_per_execution=case.steps_per_execution, verbose=0)
    size = 2 * case.tasks
    for step in range(META_STEPS):
        given = learner.given[step * size : (step + 1) * size]
        for plain in (exact, rough):
            plain.train(list(zip(given[::2], given[1::2], strict=True)))
    compare("moved", *(moves() for moves in (mine, exact.moves, rough.moves)), coarse)
    compare_adapted(maml, support, exact, rough, coarse)


def compare_adapted(maml, support, exact, rough, coarse):
    adapted = maml.adapt(support).variables
    compare("adapted", adapted, exact.adapted(support), rough.adapted(support), coarse)


class Tally:
    """Runs rounds of cases until the time is over, and counts."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.cases = self.failed = 0
        self.kinds = collections.Counter()
        self.found = {}

    def round(self, seed):
        """Run the cases of a seed; note the smallest example of a failure."""
        errors, failed_at = {}, []

        def tried(case):
            """Return what a case raised, None without; all is known once the time is over."""
            over = time.monotonic() > (failed_at[0] + SHRINKING if failed_at else self.end)
            if case not in errors and not over:
                if not failed_at:
                    self.cases += 1
                    self.kinds[case.kind] += 1
                try:
                    errors[case] = check(case)
                except Exception as error:  # whatever a case raises is what is looked for
                    errors[case] = error
                    failed_at.append(time.monotonic())
                keras.backend.clear_session()
            return errors.setdefault(case)

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=EXAMPLES_A_ROUND,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(cases())
        def one(case):
            error = tried(case)
            smallest[:] = [case]
            if error is not None:
                raise error

        smallest = []
        try:
            one()
        except Exception as error:
            self.failed += 1
            place = traceback.extract_tb(error.__traceback__)[-1].name
            what = f"{type(error).__name__} in {place}: {str(error)[:500]}"
            self.found.setdefault(what.partition(" for ")[0], (what, smallest[0]))


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    tally, number = Tally(60 * arguments.minutes), 0
    while time.monotonic() < tally.end:
        tally.round(1000 * arguments.seed + number)
        number += 1
        print(f"{tally.cases} cases, {tally.failed} rounds with a failure", flush=True)
    print(f"\n{tally.cases} cases in {number} rounds: {dict(tally.kinds)}")
    print(f"{tally.failed} rounds failed, in {len(tally.found)} ways")
    for what, case in tally.found.values():
        print(f"\n{what}\n{case}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
