"""The workloads: tasks in NumPy, models written once for all frameworks, DeepChem-style learners.

Nothing here imports a framework before `Learner` is made, so that each contestant's process loads
its own framework only.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from frameworks import tensorflow_ops


class SineTasks:
    """Sine waves of random amplitude and phase; batches of 10 points."""

    def __init__(self, dtype, points=10, seed=0):
        self.dtype, self.points = dtype, points
        self.rng = np.random.default_rng(seed)
        self.select_task()

    def select_task(self):
        self.amplitude = self.rng.uniform(0.1, 5.0)
        self.phase = self.rng.uniform(0.0, np.pi)

    def get_batch(self):
        x = self.rng.uniform(-5.0, 5.0, (self.points, 1))
        return [x.astype(self.dtype), (self.amplitude * np.sin(x + self.phase)).astype(self.dtype)]

    def sample(self, n, rng):
        """Draw `n` tasks at once: (support, query), each stacked over the tasks."""
        amplitude = rng.uniform(0.1, 5.0, (n, 1, 1))
        phase = rng.uniform(0.0, np.pi, (n, 1, 1))
        x = rng.uniform(-5.0, 5.0, (2, n, self.points, 1))
        y = amplitude * np.sin(x + phase)
        x, y = x.astype(self.dtype), y.astype(self.dtype)
        return [x[0], y[0]], [x[1], y[1]]


class FingerprintTasks:
    """Made-up assays of 2,000 made-up fingerprints with 3% of the 2,048 bits set."""

    def __init__(self, dtype, examples=16, seed=0):
        data = np.random.default_rng(1)
        self.x = (data.random((2000, 2048)) < 0.03).astype(dtype)
        self.y = (self.x @ data.normal(size=(2048, 12)) > 0).astype(dtype)
        self.examples = examples
        self.rng = np.random.default_rng(seed)
        self.select_task()

    def select_task(self):
        self.assay = self.rng.integers(self.y.shape[1])

    def get_batch(self):
        chosen = self.rng.choice(len(self.x), self.examples, replace=False)
        return [self.x[chosen], self.y[chosen, self.assay, None]]

    def sample(self, n, rng):
        """Draw `n` tasks at once: (support, query), each stacked over the tasks."""
        assay = rng.integers(self.y.shape[1], size=(n, 1, 1))
        chosen = rng.integers(len(self.x), size=(2, n, self.examples, 1))
        x, y = self.x[chosen[..., 0]], self.y[chosen, assay]
        return [x[0], y[0]], [x[1], y[1]]


class ImageTasks:
    """Few-shot classification of made-up images, 300 classes with 20 images each.

    The first `get_batch` after `select_task` gives the support set, those that follow query sets.
    """

    def __init__(self, dtype, ways=5, shots=1, queries=5, seed=0):
        data = np.random.default_rng(1)
        classes = data.random((300, 1, 28, 28, 1))
        self.images = (0.5 * classes + 0.5 * data.random((300, 20, 28, 28, 1))).astype(dtype)
        self.ways, self.shots, self.queries = ways, shots, queries
        self.rng = np.random.default_rng(seed)
        self.select_task()

    def select_task(self):
        self.classes = self.rng.choice(len(self.images), self.ways, replace=False)
        self.drawings = self.rng.permutation(self.images.shape[1])
        self.next_is_support = True

    def get_batch(self):
        first, last = (0, self.shots) if self.next_is_support else (self.shots, None)
        self.next_is_support = False
        drawings = self.drawings[first:last][: self.queries if first else self.shots]
        return self._batch(self.classes, drawings)

    def sample(self, n, rng):
        """Draw `n` tasks at once: (support, query), each stacked over the tasks."""
        classes = rng.random((n, len(self.images))).argsort(1)[:, : self.ways]
        drawings = rng.random((n, self.images.shape[1])).argsort(1)
        query = drawings[:, self.shots : self.shots + self.queries]
        return self._batch(classes, drawings[:, : self.shots]), self._batch(classes, query)

    def _batch(self, classes, drawings):
        images = self.images[classes[..., :, None], drawings[..., None, :]]
        labels = np.repeat(np.arange(self.ways, dtype=np.int32), drawings.shape[-1])
        lead = classes.shape[:-1]
        x = images.reshape(*lead, len(labels), *images.shape[-3:])
        return [x, np.broadcast_to(labels, (*lead, len(labels))).copy()]


def dense_net(ops, x, variables):
    """Fully connected layers with ReLU between them."""
    *hidden, last = zip(variables[::2], variables[1::2], strict=True)
    for weight, bias in hidden:
        x = ops.relu(x @ weight + bias)
    return x @ last[0] + last[1]


def conv_net(ops, x, variables):
    """Strided convolutions with BatchNorm on batch statistics, the mean over space, dense."""
    *layers, weight, bias = variables
    for kernel, scale, offset in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
        x = ops.relu(ops.batch_norm(ops.conv(x, kernel), scale, offset))
    return ops.mean_over_space(x) @ weight + bias


def dense_values(rng, sizes):
    """Draw the weights of `dense_net`, biases 0."""
    layers = itertools.pairwise(sizes)
    pairs = [(rng.normal(size=(a, b), scale=np.sqrt(2 / (a + b))), np.zeros(b)) for a, b in layers]
    return [value for pair in pairs for value in pair]


def conv_values(rng, channels, classes):
    """Draw the weights of `conv_net`."""
    values = []
    for a, b in itertools.pairwise(channels):
        kernel = rng.normal(size=(3, 3, a, b), scale=np.sqrt(2 / (9 * a)))
        values += [kernel, np.ones(b), np.zeros(b)]
    return values + dense_values(rng, (channels[-1], classes))


@dataclass(frozen=True)
class Workload:
    """One row group of the table.

    `block` is the number of meta-steps whose batches contestants that sample beforehand hold, and
    that a scan runs in one call.
    """

    settings: str
    tasks: Callable
    net: Callable
    loss: str
    values: Callable
    inner_rate: float
    inner_steps: int
    tasks_per_step: int
    block: int
    dtype: str = "float32"

    def make_tasks(self):
        return self.tasks(self.dtype)

    def initial_values(self):
        """Return the same first weights in every process."""
        return [value.astype(self.dtype) for value in self.values(np.random.default_rng(7))]

    def model(self, ops, inputs, variables):
        """Return (loss, outputs) in the framework behind `ops`."""
        x, y = inputs
        outputs = self.net(ops, x, variables)
        return getattr(ops, self.loss)(outputs, y), [outputs]

    def stacked(self, tasks):
        """Draw one meta-step's batches through `select_task` and `get_batch`, and stack them."""
        support, query = [], []
        for _ in range(self.tasks_per_step):
            tasks.select_task()
            support.append(tasks.get_batch())
            query.append(tasks.get_batch())
        return tuple(
            [np.stack(part) for part in zip(*batches, strict=True)] for batches in (support, query)
        )

    def presampled(self):
        """Draw `block` meta-steps' batches at once; the first two axes are step and task."""
        n = self.block * self.tasks_per_step
        batches = self.make_tasks().sample(n, np.random.default_rng(3))
        lead = (self.block, self.tasks_per_step)
        return tuple([a.reshape(*lead, *a.shape[1:]) for a in batch] for batch in batches)


class Learner:
    """A learner as DeepChem's documentation has them written, over a workload."""

    def __init__(self, workload):
        import tensorflow as tf

        self.workload = workload
        self.ops = tensorflow_ops()
        self.tasks = workload.make_tasks()
        self._variables = [tf.Variable(value) for value in workload.initial_values()]

    @property
    def variables(self):
        return self._variables

    def compute_model(self, inputs, variables, training):
        return self.workload.model(self.ops, inputs, variables)

    def select_task(self):
        self.tasks.select_task()

    def get_batch(self):
        return self.tasks.get_batch()

    def parameters(self):
        return self._variables


class LearnerOfManyTasks(Learner):
    """The same learner, with the optional method that draws many tasks at once."""

    def sample_tasks(self, n, rng):
        return self.tasks.sample(n, rng)


def _sine(inner_steps, tasks_per_step, dtype="float32"):
    return Workload(
        settings=(
            f"sine, dense 1-40-40-1, {inner_steps} inner step{'s'[: inner_steps > 1]}, "
            f"{tasks_per_step} tasks, 10 + 10 points, {dtype}"
        ),
        tasks=SineTasks,
        net=dense_net,
        loss="squared_loss",
        values=lambda rng: dense_values(rng, (1, 40, 40, 1)),
        inner_rate=0.01,
        inner_steps=inner_steps,
        tasks_per_step=tasks_per_step,
        block=100,
        dtype=dtype,
    )


WORKLOADS = {
    "sine1": _sine(1, 4),
    "sine5": _sine(5, 25),
    "fingerprints": Workload(
        settings=(
            "fingerprints, dense 2048-256-64-1, 5 inner steps, 8 tasks, 16 + 16 examples, float32"
        ),
        tasks=FingerprintTasks,
        net=dense_net,
        loss="sigmoid_loss",
        values=lambda rng: dense_values(rng, (2048, 256, 64, 1)),
        inner_rate=0.1,
        inner_steps=5,
        tasks_per_step=8,
        block=10,
    ),
    "omniglot": Workload(
        settings=(
            "images 28x28x1, 4 conv layers (64 filters 3x3, stride 2, BatchNorm on batch "
            "statistics), 5-way 1-shot, 5 queries a class, 1 inner step, 8 tasks, float32"
        ),
        tasks=ImageTasks,
        net=conv_net,
        loss="softmax_loss",
        values=lambda rng: conv_values(rng, (1, 64, 64, 64, 64), 5),
        inner_rate=0.4,
        inner_steps=1,
        tasks_per_step=8,
        block=4,
    ),
    "sine64": _sine(1, 4, "float64"),
}
