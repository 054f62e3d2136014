"""Batches of any form, with padding, weights and masks, against nested tapes without padding."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learners import as_keras_now, in_float64

from deepchem_meta.metalearning import MAML, KerasLearner
from deepchem_meta.tasks import pad_tasks

RATE, TASKS = 0.1, 2
LOSSES = ("mse", "mae", "binary_crossentropy", "sparse_categorical_crossentropy")


@st.composite
def problems(draw):
    """Draw what a model and its batches look like."""
    outputs = draw(st.integers(1, 2))
    return {
        "inputs": draw(st.sampled_from(["one", "dict", "tuple"])),
        "steps": draw(st.sampled_from([0, 1, 3])),  # of a sequence; 0 stands for none
        "mask": draw(st.booleans()),
        "outputs": draw(st.sampled_from(["list", "dict"])) if outputs == 2 else "one",
        "losses": [draw(st.sampled_from(LOSSES)) for _ in range(outputs)],
        "by_name": draw(st.booleans()),  # targets as a dict for a list of outputs
        "last_axis": draw(st.booleans()),
        "weights": draw(st.sampled_from(["none", "ones", "any"])),
        "sizes": [draw(st.integers(1, 4)) for _ in range(2 * TASKS)],
        "padding": draw(st.integers(0, 3)),
        "y_dtype": draw(st.sampled_from(["float32", "float64", "int32"])),
        "inner": draw(st.integers(0, 2)),
        "seed": draw(st.integers(0, 2**16)),
    }


def make_model(problem):
    """Return a float64 model, every output of which depends on every input."""
    keras.utils.set_random_seed(problem["seed"])
    shape = (problem["steps"], 2) if problem["steps"] else (2,)
    names = ["a", "b"] if problem["inputs"] != "one" else ["a"]
    inputs = {name: keras.Input(shape, name=name, dtype="float64") for name in names}
    hidden = [
        keras.layers.Masking(dtype="float64")(x) if problem["mask"] and problem["steps"] else x
        for x in inputs.values()
    ]
    hidden = [keras.layers.Dense(3, "tanh", dtype="float64")(x) for x in hidden]
    hidden = keras.layers.Add(dtype="float64")(hidden) if len(hidden) > 1 else hidden[0]
    outputs = {}
    for name, loss in zip(("zeta", "alpha"), problem["losses"], strict=False):
        size, activation = {
            "binary_crossentropy": (1, "sigmoid"),
            "sparse_categorical_crossentropy": (3, "softmax"),
        }.get(loss, (1, None))
        outputs[name] = keras.layers.Dense(size, activation, name=name, dtype="float64")(hidden)
    structure = {
        "one": outputs["zeta"],
        "list": list(outputs.values()),
        "dict": outputs,
    }[problem["outputs"]]
    given = {"one": inputs["a"], "dict": inputs, "tuple": list(inputs.values())}
    return keras.Model(given[problem["inputs"]], structure)


def make_batch(problem, size, rng):
    """Return (x by name, y by output's name, weights or None) of one task, without padding."""
    shape = (size, problem["steps"], 2) if problem["steps"] else (size, 2)
    names = ["a", "b"] if problem["inputs"] != "one" else ["a"]
    x = {name: rng.normal(size=shape) for name in names}
    if problem["mask"] and problem["steps"]:
        masked = rng.random(shape[:-1]) < 0.4
        masked[..., 0] = False
        for array in x.values():
            array[masked] = 0.0
    y = {}
    for name, loss in zip(("zeta", "alpha"), problem["losses"], strict=False):
        lead = shape[:-1]
        if loss == "sparse_categorical_crossentropy":
            y[name] = rng.integers(3, size=lead).astype(problem["y_dtype"])
        elif loss == "binary_crossentropy":
            y[name] = rng.integers(2, size=lead).astype(problem["y_dtype"])
        else:
            y[name] = rng.normal(size=lead)
        if problem["last_axis"]:
            y[name] = y[name][..., None]
    weights = {
        "none": None,
        "ones": np.ones(size),
        "any": rng.uniform(0.5, 2.0, size),
    }[problem["weights"]]
    return x, y, weights


def packed(problem, x, y):
    """Return x and y in the structure that the problem has."""
    x = {"one": x["a"], "dict": x, "tuple": tuple(x.values())}[problem["inputs"]]
    if problem["outputs"] == "one":
        return x, y["zeta"]
    if problem["outputs"] == "dict" or problem["by_name"]:
        return x, y
    return x, list(y.values())


def plain_loss(problem, outputs, x, y, weights):
    """Return the loss of one task, written out: the weighted mean over examples or steps."""
    outputs = outputs if problem["outputs"] == "dict" else dict(
        zip(("zeta", "alpha"), tf.nest.flatten(outputs), strict=False)
    )  # fmt: skip
    total = tf.constant(0.0, tf.float64)
    for name, loss in zip(("zeta", "alpha"), problem["losses"], strict=False):
        output = outputs[name]
        target = np.reshape(y[name], output.shape[:-1])
        if loss == "sparse_categorical_crossentropy":
            losses = -tf.math.log(tf.gather(output, target.astype(int), batch_dims=target.ndim))
        else:
            single, target = output[..., 0], target.astype("float64")
            losses = {
                "mse": lambda s=single, t=target: (s - t) ** 2,
                "mae": lambda s=single, t=target: tf.abs(s - t),
                "binary_crossentropy": lambda s=single, t=target: (
                    -(t * tf.math.log(s) + (1 - t) * tf.math.log(1 - s))
                ),
            }[loss]()
        w = np.ones(len(target)) if weights is None else weights
        w = np.reshape(w, (-1, *[1] * (target.ndim - 1))) * np.ones(target.shape)
        counted = np.ones(target.shape)
        if problem["mask"] and problem["steps"]:
            counted = np.any([np.any(array != 0, axis=-1) for array in x.values()], axis=0)
        total += tf.reduce_sum(losses * w * counted) / counted.sum()
    return total


def plain_meta_gradient(problem, model, episodes):
    """Return loss and meta-gradient, means over tasks, by nested tapes in a loop over tasks."""
    weights = [v.value for v in model.trainable_variables]
    total = [np.zeros(w.shape) for w in weights]
    mean = 0.0
    for support, query in episodes:

        def loss(values, batch):
            x, y, w = batch
            inputs, _ = packed(problem, x, y)
            outputs, _ = model.stateless_call(values, [], inputs)
            return plain_loss(problem, outputs, x, y, w)

        with tf.GradientTape() as outer:
            values = [tf.convert_to_tensor(w) for w in weights]
            for _ in range(problem["inner"]):
                with tf.GradientTape() as inner:
                    inner.watch(values)
                    support_loss = loss(values, support)
                gradients = inner.gradient(support_loss, values)
                values = [v - RATE * g for v, g in zip(values, gradients, strict=True)]
            query_loss = loss(values, query)
        mean += float(query_loss) / len(episodes)
        for part, gradient in zip(total, outer.gradient(query_loss, weights), strict=True):
            part += tf.convert_to_tensor(gradient).numpy() / len(episodes)
    return mean, total


def check(problem):
    rng = np.random.default_rng(problem["seed"])
    model = make_model(problem)
    single = [make_batch(problem, size, rng) for size in problem["sizes"]]
    episodes = list(zip(single[::2], single[1::2], strict=True))
    stacked = []
    for place in (0, 1):
        batches = [episode[place] for episode in episodes]
        whole = [(*packed(problem, x, y), *([] if w is None else [w])) for x, y, w in batches]
        sizes = {len(tf.nest.flatten(batch)[0]) for batch in whole}
        x, y, w = pad_tasks(whole, size=max(sizes) + problem["padding"])
        needs = len(sizes) > 1 or problem["padding"] or problem["weights"] != "none"
        stacked.append((x, y, w) if needs else (x, y))

    class Source:
        def sample(self, n, rng):
            return tuple(tf.nest.map_structure(lambda a: a[:n], part) for part in stacked)

    losses = [keras.losses.get(loss) for loss in problem["losses"]]
    losses = [
        in_float64(type(one)()) if isinstance(one, keras.losses.Loss) else one for one in losses
    ]
    if problem["outputs"] == "dict":
        losses = dict(zip(("zeta", "alpha"), losses, strict=True))
    learner = KerasLearner(model, losses[0] if problem["outputs"] == "one" else losses, Source())
    options = {"task_execution": "looped", "jit_compile": False, "reduction": "mean"}
    maml = MAML(learner, RATE, problem["inner"], TASKS, **options)
    found = maml.meta_gradient(*stacked)
    loss, gradients = plain_meta_gradient(problem, model, episodes)
    assert found.loss == pytest.approx(loss, rel=1e-6, abs=1e-9)
    for mine, plain in zip(found.gradients, gradients, strict=True):
        mine = np.zeros(plain.shape) if mine is None else mine
        np.testing.assert_allclose(mine, plain, rtol=1e-5, atol=1e-8)
    evaluated = maml.evaluate(Source(), n_tasks=1, optimization_steps=(problem["inner"],))
    first, _ = plain_meta_gradient(problem, model, episodes[:1])
    assert float(evaluated.loss[0, 0]) == pytest.approx(first, rel=1e-6, abs=1e-9)


QUIET = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@as_keras_now
@settings(max_examples=8, **QUIET)
@given(problems())
def test_a_few_batches_of_any_form(problem):
    check(problem)


@pytest.mark.slow
@as_keras_now
@settings(max_examples=60, **QUIET)
@given(problems())
def test_many_batches_of_any_form(problem):
    check(problem)
