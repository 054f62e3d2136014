"""The contestants: deepchem_meta, and others running the same meta-steps.

Each is a class over a workload. `load` imports its framework and is not timed; `run` takes meta-
steps and returns when they are done; `meta_gradient` is of the first meta-step's tasks and weights.
"""

import os
import tempfile
import time
from types import MappingProxyType

import numpy as np
from frameworks import (
    batch_to_torch,
    jax_ops,
    torch_ops,
    variables_from_torch,
    variables_to_torch,
)
from workloads import Learner, LearnerOfManyTasks

META_RATE = 1e-3
TASK_BY_TASK = "timed, task by task"
BEFOREHAND = "beforehand"


class _ThroughFit:
    """What the contestants with DeepChem's interface share."""

    sampling = TASK_BY_TASK
    learner_class = Learner
    fit_options = MappingProxyType({})

    def __init__(self, workload):
        self.workload = workload
        self.learner, self.maml = self._build("Adam", META_RATE)

    def _build(self, optimizer, rate):
        learner = self.learner_class(self.workload)
        maml = self.package.metalearning.MAML(
            learner,
            learning_rate=self.workload.inner_rate,
            optimization_steps=self.workload.inner_steps,
            meta_batch_size=self.workload.tasks_per_step,
            optimizer=getattr(self.package.models.optimizers, optimizer)(rate),
        )
        return learner, maml

    def run(self, steps):
        self.maml.fit(steps, **self.fit_options)
        return steps

    def meta_gradient(self):
        """Read the gradient off one step of plain gradient descent with rate 1."""
        learner, maml = self._build("GradientDescent", 1.0)
        before = [v.numpy() for v in learner.variables]
        maml.fit(1, **self.fit_options)
        return [a - v.numpy() for a, v in zip(before, learner.variables, strict=True)]

    def calls(self):
        """Return the single calls to time, by name."""
        self.learner.select_task()
        batch = self.learner.get_batch()
        maml = self.maml
        return {
            "train_on_current_task()": maml.train_on_current_task,
            "train_on_current_task(restore=False)": lambda: maml.train_on_current_task(
                restore=False
            ),
            "predict_on_batch(batch)": lambda: maml.predict_on_batch(batch),
            "fit(1)": lambda: self.run(1),
            # DeepChem has no `adapt`: to start from the meta-learned weights it reads the file.
            "adapt(batch)": lambda: maml.train_on_current_task(self.workload.inner_steps),
        }


class Ours(_ThroughFit):
    label = "deepchem_meta"
    fit_options = MappingProxyType({"verbose": 0})

    @classmethod
    def load(cls):
        try:
            import deepchem_meta.metalearning  # with what it needs, so that no import is timed
        except ImportError as error:
            raise RuntimeError("deepchem_meta must be installed: pip install -e .") from error
        cls.package = deepchem_meta

    def calls(self):
        batch = self.learner.get_batch()
        return super().calls() | {"adapt(batch)": lambda: self.maml.adapt(batch)}


class OursCallAStep(Ours):
    label = "deepchem_meta, a call a step"
    fit_options = MappingProxyType({"verbose": 0, "steps_per_execution": 1})


class OursAtOnce(Ours):
    label = "deepchem_meta"
    sampling = "timed, many at once"
    learner_class = LearnerOfManyTasks

    def meta_gradient(self):
        """Of the tasks that the others draw one by one."""
        support, query = self.workload.stacked(self.learner.tasks)
        return self.maml.meta_gradient(support, query).gradients


class OursKeras(OursAtOnce):
    label = "deepchem_meta, KerasLearner"

    def _build(self, optimizer, rate):
        learner = self.package.metalearning.KerasLearner(
            keras_model(self.workload), keras_loss(self.workload.loss), self.workload.make_tasks()
        )
        maml = self.package.metalearning.MAML(
            learner,
            learning_rate=self.workload.inner_rate,
            optimization_steps=self.workload.inner_steps,
            meta_batch_size=self.workload.tasks_per_step,
            optimizer=getattr(self.package.models.optimizers, optimizer)(rate),
        )
        return learner, maml


class DeepChem(_ThroughFit):
    label = "DeepChem (does one inner step at most)"

    @classmethod
    def load(cls):
        # DeepChem's optimizers are those of Keras 2; TensorFlow reads this when it is imported.
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import deepchem
        import tensorflow as tf

        if not hasattr(tf.keras.optimizers, "legacy"):
            raise ImportError("DeepChem needs tf_keras, which is not installed")
        cls.package = deepchem

    def meta_gradient(self):
        if self.workload.inner_steps > 1:
            raise NotImplementedError("DeepChem does one inner step where more are asked")
        return super().meta_gradient()


class PlainLoop(_ThroughFit):
    """DeepChem's algorithm: a `tf.function` call a task, sums and Adam in eager mode."""

    label = "plain loop (TensorFlow, Keras Adam)"

    @classmethod
    def load(cls):
        import tensorflow  # noqa: F401, imported here so that it is not timed

    def __init__(self, workload):
        import keras
        import tensorflow as tf

        self.workload = workload
        self.learner = Learner(workload)
        self.maml = self
        self.optimizer = keras.optimizers.Adam(META_RATE)
        self.optimizer.build(self.learner.variables)
        self.compute_meta_loss = tf.function(self._compute_meta_loss)
        self.checkpoint = tf.train.Checkpoint()
        self.checkpoint.listed = self.learner.variables
        self.folder = tempfile.TemporaryDirectory()

    def fit(self, steps, checkpoint_interval=600):
        import tensorflow as tf

        manager = tf.train.CheckpointManager(self.checkpoint, self.folder.name, 5)
        saved = time.time()
        for step in range(steps):
            gradients = self._summed_gradients()
            self.optimizer.apply_gradients(zip(gradients, self.learner.variables, strict=True))
            if step == steps - 1 or time.time() >= saved + checkpoint_interval:
                manager.save()
                saved = time.time()

    def train_on_current_task(self, optimization_steps=1, restore=True):
        import tensorflow as tf

        if restore:
            self.checkpoint.restore(tf.train.latest_checkpoint(self.folder.name))
        variables = self.learner.variables
        for _ in range(optimization_steps):
            batch = self.learner.get_batch()
            with tf.GradientTape() as tape:
                loss, _ = self.learner.compute_model(batch, variables, True)
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
                variable.assign_sub(self.workload.inner_rate * gradient)

    def predict_on_batch(self, batch):
        return self.learner.compute_model(batch, self.learner.variables, False)

    def meta_gradient(self):
        return [gradient.numpy() for gradient in self._summed_gradients()]

    def _summed_gradients(self):
        learner = self.learner
        for task in range(self.workload.tasks_per_step):
            learner.select_task()
            _, gradients = self.compute_meta_loss(learner.get_batch(), learner.get_batch())
            if task == 0:
                summed = gradients
            else:
                summed = [s + g for s, g in zip(summed, gradients, strict=True)]
        return summed

    def _compute_meta_loss(self, support, query):
        import tensorflow as tf

        variables = self.learner.variables
        with tf.GradientTape() as meta_tape:
            updated = [tf.convert_to_tensor(v) for v in variables]
            for _ in range(self.workload.inner_steps):
                with tf.GradientTape() as tape:
                    tape.watch(updated)
                    loss, _ = self.learner.compute_model(support, updated, True)
                gradients = tape.gradient(loss, updated)
                rate = self.workload.inner_rate
                updated = [v - rate * g for v, g in zip(updated, gradients, strict=True)]
            loss, _ = self.learner.compute_model(query, updated, True)
        return loss, meta_tape.gradient(loss, variables)


class JaxCallAStep:
    """`jit` round one meta-step, tasks by `vmap`."""

    label = "JAX vmap + jit, a call a step"
    sampling = TASK_BY_TASK
    unrolled = False

    @classmethod
    def load(cls):
        import jax  # noqa: F401, imported here so that it is not timed

    def __init__(self, workload):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", workload.dtype == "float64")
        self.workload = workload
        self.ops = jax_ops()
        self.tasks = workload.make_tasks()
        params = [jnp.asarray(value) for value in workload.initial_values()]
        zeros = [jnp.zeros_like(p) for p in params]
        self.state = params, zeros, zeros, jnp.zeros((), workload.dtype)
        self.step = jax.jit(self._step)

    def run(self, steps):
        import jax

        for _ in range(steps):
            self.state = self.step(self.state, self.workload.stacked(self.tasks))
        jax.block_until_ready(self.state)
        return steps

    def meta_gradient(self):
        import jax

        gradients = jax.jit(self._summed_gradients)(self.state[0], *self._first_batches())
        return [np.asarray(g) for g in gradients]

    def _first_batches(self):
        return self.workload.stacked(self.workload.make_tasks())

    def _loss(self, params, batch):
        return self.workload.model(self.ops, batch, params)[0]

    def _meta_loss(self, params, support, query):
        import jax

        for _ in range(self.workload.inner_steps):
            gradients = jax.grad(self._loss)(params, support)
            rate = self.workload.inner_rate
            params = [p - rate * g for p, g in zip(params, gradients, strict=True)]
        return self._loss(params, query)

    def _summed_gradients(self, params, support, query):
        import jax

        def total(params):
            if not self.unrolled:
                return jax.vmap(self._meta_loss, (None, 0, 0))(params, support, query).sum()
            tasks = range(self.workload.tasks_per_step)
            batches = [([a[i] for a in support], [a[i] for a in query]) for i in tasks]
            return sum(self._meta_loss(params, *batch) for batch in batches)

        return jax.grad(total)(params)

    def _step(self, state, batches):
        """Take one step of Adam."""
        import jax.numpy as jnp

        params, means, squares, count = state
        gradients = self._summed_gradients(params, *batches)
        count = count + 1
        rate = META_RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, gradients, strict=True)]
        params = [
            p - rate * m / (jnp.sqrt(s) + 1e-8)
            for p, m, s in zip(params, means, squares, strict=True)
        ]
        return params, means, squares, count


class JaxPresampled(JaxCallAStep):
    """As `JaxCallAStep`, with all batches on the device beforehand."""

    sampling = BEFOREHAND

    def __init__(self, workload):
        import jax

        super().__init__(workload)
        stacked = workload.presampled()
        steps = range(workload.block)
        self.batches = [jax.tree.map(lambda a, i=i: jax.device_put(a[i]), stacked) for i in steps]

    def run(self, steps):
        import jax

        for step in range(steps):
            self.state = self.step(self.state, self.batches[step % self.workload.block])
        jax.block_until_ready(self.state)
        return steps


class JaxUnrolled(JaxPresampled):
    label = "JAX jit, tasks unrolled, a call a step"
    unrolled = True


class JaxScan(JaxCallAStep):
    """`block` meta-steps in a call, all batches on the device beforehand."""

    label = "JAX vmap + jit, scan over steps"
    sampling = BEFOREHAND

    def __init__(self, workload):
        import jax

        super().__init__(workload)
        self.batches = jax.device_put(workload.presampled())

        def steps(state, batches):
            return jax.lax.scan(lambda s, b: (self._step(s, b), None), state, batches)[0]

        self.steps = jax.jit(steps)

    def run(self, steps):
        import jax

        calls = -(-steps // self.workload.block)
        for _ in range(calls):
            self.state = self.steps(self.state, self.batches)
        jax.block_until_ready(self.state)
        return calls * self.workload.block


class TorchFunc:
    """`torch.func`: `vmap` of `grad` through `grad`."""

    label = "PyTorch torch.func vmap"
    sampling = TASK_BY_TASK

    @classmethod
    def load(cls):
        # By default OpenMP's threads spin while they wait, which on a machine with other work makes
        # PyTorch 5 to 50 times slower.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        import torch.func  # noqa: F401, imported here so that it is not timed

    def __init__(self, workload):
        import torch

        self.workload = workload
        self.ops = torch_ops()
        self.tasks = workload.make_tasks()
        self.params = variables_to_torch(workload.initial_values())
        self.optimizer = torch.optim.Adam(self.params, META_RATE, fused=True)
        meta_gradients = torch.func.grad(self._meta_loss)
        self.meta_gradients = torch.func.vmap(meta_gradients, (None, 0, 0))

    def run(self, steps):
        for _ in range(steps):
            gradients = self._summed_gradients(self.workload.stacked(self.tasks))
            for param, gradient in zip(self.params, gradients, strict=True):
                param.grad = gradient
            self.optimizer.step()
        return steps

    def meta_gradient(self):
        batches = self.workload.stacked(self.workload.make_tasks())
        return variables_from_torch(self._summed_gradients(batches))

    def _summed_gradients(self, batches):
        support, query = map(batch_to_torch, batches)
        return [g.sum(0) for g in self.meta_gradients(self.params, support, query)]

    def _loss(self, params, batch):
        return self.workload.model(self.ops, batch, params)[0]

    def _meta_loss(self, params, support, query):
        import torch

        for _ in range(self.workload.inner_steps):
            gradients = torch.func.grad(self._loss)(params, support)
            rate = self.workload.inner_rate
            params = [p - rate * g for p, g in zip(params, gradients, strict=True)]
        return self._loss(params, query)


def keras_model(workload):
    """Return a workload's net as a Keras model, with the first weights of all contestants."""
    import keras

    values = workload.initial_values()
    model = keras.Sequential()
    for index, value in enumerate(values):
        last = index == len(values) - 2
        options = {"dtype": workload.dtype}
        if value.ndim == 4:
            model.add(
                keras.layers.Conv2D(
                    value.shape[-1], 3, 2, padding="same", use_bias=False, **options
                )
            )
            model.add(keras.layers.BatchNormalization(epsilon=1e-3, **options))
            model.add(keras.layers.ReLU(**options))
        elif value.ndim == 2:
            if last and len(model.layers) and values[0].ndim == 4:
                model.add(keras.layers.GlobalAveragePooling2D(**options))
            model.add(keras.layers.Dense(value.shape[1], None if last else "relu", **options))
    model.build((None, *workload.make_tasks().get_batch()[0].shape[1:]))
    for variable, value in zip(model.trainable_variables, values, strict=True):
        variable.assign(value)
    return model


def keras_loss(name):
    """Return a workload's loss as a Keras loss."""
    import keras

    return {
        "squared_loss": "mse",
        "sigmoid_loss": keras.losses.BinaryCrossentropy(from_logits=True),
        "softmax_loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }[name]


CONTESTANTS = {
    "ours": Ours,
    "ours-call": OursCallAStep,
    "ours-at-once": OursAtOnce,
    "ours-keras": OursKeras,
    "plain": PlainLoop,
    "jax": JaxCallAStep,
    "jax-presampled": JaxPresampled,
    "jax-unrolled": JaxUnrolled,
    "jax-scan": JaxScan,
    "torch": TorchFunc,
    "deepchem": DeepChem,
}
