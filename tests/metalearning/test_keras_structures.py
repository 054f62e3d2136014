"""Models with several inputs and outputs: `keras.Model.evaluate` is the oracle.

The structures are those of the Keras guides to the functional API and to training: lists and dicts
of outputs, targets, losses, weights of losses, and metrics; masks and sample weights.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import as_keras_now, in_float64

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML, KerasLearner, ProtoNet, RidgeRegressionHead

EXAMPLES = 5


class Source:
    """Always the same task, as it is given."""

    def __init__(self, *batch):
        self.batch = batch

    def sample(self, n, rng):
        one = tf.nest.map_structure(lambda a: np.repeat(a[None], n, 0), self.batch)
        return one, one


def two_outputs(kind):
    """Return a model whose outputs are named neither in the order of the alphabet nor alike."""
    keras.utils.set_random_seed(0)
    x = keras.Input((3,), name="table")
    score = keras.layers.Dense(1, name="score")(x)
    group = keras.layers.Dense(4, "softmax", name="group")(x)
    outputs = {
        "list": [score, group],
        "tuple": (score, group),
        "dict": {"score": score, "group": group},
        "renamed": {"number": score, "class": group},
    }[kind]
    return keras.Model(x, outputs)


def data(weighted=False):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(EXAMPLES, 3)).astype("float32")
    score = rng.normal(size=(EXAMPLES, 1)).astype("float32")
    group = rng.integers(4, size=EXAMPLES).astype("int32")
    weights = rng.uniform(0.5, 2, EXAMPLES).astype("float32")
    return x, score, group, weights if weighted else None


def evaluated(model, x, y, weights, keras_y=None, **options):
    """Return what Keras reports (on `keras_y`, if given), and what the learner does."""
    keras_y = y if keras_y is None else keras_y
    compiled = {name: options[name] for name in ("loss", "loss_weights") if name in options}
    metrics = options.get("metrics")
    if metrics:
        compiled["metrics" if weights is None else "weighted_metrics"] = metrics
    model.compile(**compiled)
    expected = model.evaluate(
        x, keras_y, sample_weight=weights, batch_size=EXAMPLES, verbose=0, return_dict=True
    )
    source = Source(x, y) if weights is None else Source(x, y, weights)
    learner = KerasLearner(model, options.pop("loss"), source, **options)
    maml = MAML(learner, 0.01, task_execution="looped", jit_compile=False)
    found = maml.evaluate(source, n_tasks=1, optimization_steps=(0,)).mean
    return expected, {name: float(value[0]) for name, value in found.items()}


def by_name(score, group):
    return {"score": score, "group": group}


MSE, SPARSE = "mse", "sparse_categorical_crossentropy"
STRUCTURES = {
    "lists": ("list", lambda s, g: [s, g], {"loss": [MSE, SPARSE]}),
    "a tuple of targets": ("list", lambda s, g: (s, g), {"loss": [MSE, SPARSE]}),
    "tuples": ("tuple", lambda s, g: (s, g), {"loss": [MSE, SPARSE]}),
    "losses by name": ("list", lambda s, g: [s, g], {"loss": by_name(MSE, SPARSE)}),
    "targets by name": ("list", by_name, {"loss": [MSE, SPARSE]}),
    "both by name": ("list", by_name, {"loss": by_name(MSE, SPARSE)}),
    "dicts": ("dict", by_name, {"loss": by_name(MSE, SPARSE)}),
    "dicts under other names": (
        "renamed",
        lambda s, g: {"class": g, "number": s},
        {"loss": {"number": MSE, "class": SPARSE}},
    ),
    "no loss for an output": ("list", lambda s, g: [s, g], {"loss": [None, SPARSE]}),
    "no target for an output": ("list", lambda s, g: [g], {"loss": [None, SPARSE]}),
    "a loss for some": ("dict", by_name, {"loss": {"group": SPARSE}}),
    "a target for some": ("dict", lambda s, g: {"score": s}, {"loss": {"score": MSE}}),
    "weights of losses": (
        "dict",
        by_name,
        {"loss": by_name(MSE, SPARSE), "loss_weights": by_name(2.0, 0.5)},
    ),
    "a list of weights of losses": (
        "list",
        lambda s, g: [s, g],
        {"loss": [MSE, SPARSE], "loss_weights": [2.0, 0.5]},
    ),
    "lists of metrics": (
        "list",
        lambda s, g: [s, g],
        {"loss": [MSE, SPARSE], "metrics": [["mae", "mape"], ["accuracy"]]},
    ),
    "metrics by name": (
        "list",
        by_name,
        {"loss": [MSE, SPARSE], "metrics": {"group": ["accuracy"], "score": "mae"}},
    ),
    "metrics of a dict": (
        "dict",
        by_name,
        {"loss": by_name(MSE, SPARSE), "metrics": by_name("mae", ["accuracy", SPARSE])},
    ),
    "metrics for some": (
        "renamed",
        lambda s, g: {"number": s, "class": g},
        {"loss": {"number": MSE, "class": SPARSE}, "metrics": {"class": "accuracy"}},
    ),
}


@as_keras_now
@pytest.mark.parametrize("weighted", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STRUCTURES)
def test_as_keras_evaluates(name, weighted):
    kind, pack, options = STRUCTURES[name]
    x, score, group, weights = data(weighted)
    # With sample weights Keras finds no target by name, and none in a list that lacks some.
    keras_y = [score, group] if weighted and kind == "list" else None
    expected, found = evaluated(
        two_outputs(kind), x, pack(score, group), weights, keras_y, **options
    )
    for metric, value in found.items():
        assert value == pytest.approx(expected[metric], rel=1e-5), metric
    assert len(found) == 1 + sum(
        metric.count("_loss") == 0 for metric in expected if metric != "loss"
    )


REFUSED = {
    "a foreign name": ("list", lambda s, g: {"score": s, "other": g}),
    "one name too many": ("list", lambda s, g: {"score": s, "group": g, "more": g}),
    "a name missing": ("list", lambda s, g: {"score": s}),
    "a foreign key": ("dict", lambda s, g: {"score": s, "other": g}),
    "one key too many": ("dict", lambda s, g: {"score": s, "group": g, "more": g}),
    "names of layers, not of outputs": ("renamed", by_name),
    "one target for two outputs": ("list", lambda s, g: [s]),
}


@as_keras_now
@pytest.mark.parametrize("name", REFUSED)
def test_what_keras_refuses(name):
    kind, pack = REFUSED[name]
    x, score, _, _ = data()
    y = pack(score, score)
    model = two_outputs(kind)
    model.compile(loss="mse")
    with pytest.raises((ValueError, TypeError, KeyError)):
        model.evaluate(x, y, batch_size=EXAMPLES, verbose=0)
    with pytest.raises(ValueError, match="must be as the model's outputs are.*Received"):
        KerasLearner(model, "mse", Source(x, y))


@pytest.mark.parametrize("pack", [lambda s, g: (s, g), lambda s, g: [g, s]])
def test_a_list_of_targets_for_a_dict_of_outputs_is_refused(pack):
    """Keras pairs them in the order of sorted keys, whatever the order of the outputs is."""
    x, score, group, _ = data()
    with pytest.raises(ValueError, match="must be as the model's outputs are"):
        KerasLearner(two_outputs("dict"), by_name(MSE, SPARSE), Source(x, pack(score, group)))


def test_later_batches_by_other_names_are_refused():
    x, score, group, _ = data()
    source = Source(x, by_name(score, group))
    maml = MAML(KerasLearner(two_outputs("dict"), by_name(MSE, SPARSE), source), 0.01)
    for y in ({"score": score, "other": group}, [score, group]):
        with pytest.raises(ValueError, match="Received"):
            maml.adapt((x, y))


def test_validation_of_two_outputs():
    x, score, group, _ = data()
    source = Source(x, [score, group])
    learner = KerasLearner(
        two_outputs("list"), [MSE, SPARSE], source, metrics={"group": "accuracy"}
    )
    maml = MAML(learner, 0.01, meta_batch_size=2)
    history = maml.fit(2, validation=source, validation_tasks=2, save_best="val_group_accuracy")
    assert history.history.keys() >= {"val_loss", "val_group_accuracy"}


def test_subclassed_models_have_outputs_without_names():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.score, self.group = keras.layers.Dense(1), keras.layers.Dense(1)

        def call(self, x):
            return [self.score(x), self.group(x)]

    x, score, _, _ = data()
    keras.utils.set_random_seed(0)
    model = Two()
    options = {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]}
    expected, found = evaluated(model, x, [score, score + 1], None, **options)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert {"mae", "mse"} <= found.keys()


# Sequences.


def sequences(mask, loss="mse"):
    """Return a model of sequences with an embedding of tokens, of which 0 is masked."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Embedding(6, 3, mask_zero=mask),
        keras.layers.LSTM(4, return_sequences=True, use_cudnn=False),
        keras.layers.Dense(2 if loss == SPARSE else 1, "softmax" if loss == SPARSE else "sigmoid"),
    ]
    return keras.Sequential(layers)


@as_keras_now
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        ("mse", ["mae", "mse"]),
        pytest.param(SPARSE, ["accuracy"], marks=pytest.mark.slow),
        pytest.param("binary_crossentropy", ["binary_accuracy"], marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("steps", [pytest.param(3, marks=pytest.mark.slow), EXAMPLES])
def test_a_padded_task_of_sequences_is_the_unpadded_one(mask, loss, metrics, steps):
    """Loss, metrics and meta-gradient, against Keras and the task without its padding."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 6, (EXAMPLES, steps)).astype("int32")
    x[:, -1] = 0
    x[1, 1:] = 0
    y = rng.integers(2, size=(EXAMPLES, steps, 1))
    y = y.astype("int32" if loss == SPARSE else "float32")
    count = 3
    weights = np.array([1.0] * count + [0.0] * (EXAMPLES - count), "float32")
    whole, short = (x, y, weights), (x[:count], y[:count])
    model = sequences(mask, loss)
    found = {}
    for name, batch in (("padded", whole), ("short", short)):
        learner = KerasLearner(model, loss, Source(*batch), metrics=metrics)
        options = {"task_execution": "looped", "jit_compile": False, "reduction": "mean"}
        maml = MAML(learner, 0.1, optimizer=keras.optimizers.SGD(0.1), **options)
        stacked = tf.nest.map_structure(lambda a: np.stack([a, a]), batch)
        gradient = maml.meta_gradient(stacked, stacked)
        evaluation = maml.evaluate(Source(*batch), n_tasks=1, optimization_steps=(0, 1))
        found[name] = gradient, evaluation.mean
    for a, b in zip(*(found[name][0].gradients for name in found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)
    for metric in ("loss", *learner.metric_names):
        np.testing.assert_allclose(
            found["padded"][1][metric], found["short"][1][metric], rtol=1e-5, err_msg=metric
        )
    model.compile(loss=loss, metrics=metrics)
    expected = model.evaluate(*short, batch_size=count, verbose=0, return_dict=True)
    for metric, value in expected.items():
        assert float(found["short"][1][metric][0]) == pytest.approx(value, rel=1e-5), metric


def test_padding_with_masks_by_hand():
    """Two sequences of which three steps count: the mean of their squares, to seven digits."""
    inputs = keras.Input((2, 1), dtype="float64")
    masked = keras.layers.Masking(dtype="float64")(inputs)
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", dtype="float64")
    model = keras.Model(inputs, outputs(masked))
    x = np.array([[[1.0], [2.0]], [[3.0], [0.0]], [[5.0], [7.0]]])
    y, weights = np.zeros_like(x), np.array([1.0, 1.0, 0.0])
    loss = in_float64(keras.losses.MeanSquaredError())
    learner = KerasLearner(model, loss, Source(x, y, weights))
    found, _ = MAML(learner, 0.1).adapt((x, y, weights), 0).predict_on_batch((x, y, weights))
    assert float(found) == pytest.approx((1 + 4 + 9) / 3, rel=1e-7)


def test_heads_take_one_array_of_targets():
    x, score, group, _ = data()
    learner = KerasLearner(two_outputs("list"), [MSE, SPARSE], Source(x, [score, group]))
    for algorithm in (ProtoNet, RidgeRegressionHead):
        with pytest.raises(ValueError, match="y must be one array|must be given"):
            algorithm(learner, ways=4).adapt((x, [score, group]))
    assert dc.metalearning.MAML(learner).adapt((x, [score, group]))
