import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import KERAS, as_keras_now, in_float64

from deepchem_meta.metalearning._keras_loss import OutputLoss

Y = tf.constant([[0.0], [1.0], [1.0]])
OUTPUTS = tf.constant([[0.2], [0.6], [0.9]])
WEIGHTS = tf.constant([1.0, 0.0, 3.0])


@pytest.mark.parametrize(
    "loss",
    ["mse", "MeanSquaredError", keras.losses.MeanSquaredError(), lambda y, p: (y - p)[:, 0] ** 2],
)
def test_losses_by_name_object_and_function(loss):
    found = OutputLoss(loss, OUTPUTS)
    squares = (Y.numpy() - OUTPUTS.numpy())[:, 0] ** 2
    assert float(found(Y, OUTPUTS, None)) == pytest.approx(squares.mean())
    # Two of three examples count; the mean is over them, not over their weights.
    expected = (squares[0] + 3 * squares[2]) / 2
    assert float(found(Y, OUTPUTS, WEIGHTS)) == pytest.approx(expected)


def test_other_reductions():
    squares = (Y.numpy() - OUTPUTS.numpy())[:, 0] ** 2
    weights = WEIGHTS.numpy()
    for reduction, expected in (
        ("sum", (weights * squares).sum()),
        ("mean_with_sample_weight", (weights * squares).sum() / weights.sum()),
    )[: 1 if KERAS < (3, 7) else 2]:
        found = OutputLoss(keras.losses.MeanSquaredError(reduction), OUTPUTS)
        assert float(found(Y, OUTPUTS, WEIGHTS)) == pytest.approx(expected, rel=1e-6)


def test_weights_of_0_alone_give_0():
    assert float(OutputLoss("mse", OUTPUTS)(Y, OUTPUTS, tf.zeros(3))) == 0.0


def test_several_outputs():
    for outputs, y, loss in (
        ([OUTPUTS, 2 * OUTPUTS], [Y, Y], ["mse", "mae"]),
        ({"a": OUTPUTS, "b": 2 * OUTPUTS}, {"a": Y, "b": Y}, {"b": "mae", "a": "mse"}),
    ):
        found = OutputLoss(loss, outputs)(y, outputs, None)
        expected = np.mean((Y - OUTPUTS) ** 2) + np.mean(np.abs(Y - 2 * OUTPUTS))
        assert float(found) == pytest.approx(float(expected), rel=1e-6)
    one_for_all = OutputLoss("mse", [OUTPUTS, OUTPUTS])([Y, Y], [OUTPUTS, OUTPUTS], None)
    assert float(one_for_all) == pytest.approx(2 * float(np.mean((Y - OUTPUTS) ** 2)))


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        (["mse"], OUTPUTS),
        (["mse"], [OUTPUTS, OUTPUTS]),
        ({"c": "mse"}, {"a": OUTPUTS, "b": OUTPUTS}),
        (["mse", "mse"], {"a": OUTPUTS, "b": OUTPUTS}),
        ([None, None], [OUTPUTS, OUTPUTS]),
        ("nonsense", OUTPUTS),
    ],
)
def test_bad_losses(loss, outputs):
    with pytest.raises(ValueError, match="Received"):
        OutputLoss(loss, outputs)


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "fits"),
    [
        ("mse", (3,), (3, 1), True),
        ("mse", (3, 1), (3, 1), True),
        ("mse", (3, 2), (3, 1), False),
        ("mse", (3,), (3, 2), False),
        ("binary_crossentropy", (3, 4), (3, 4), True),
        ("sparse_categorical_crossentropy", (3,), (3, 4), True),
        ("sparse_categorical_crossentropy", (3, 1), (3, 4), True),
        ("sparse_categorical_crossentropy", (3, 4), (3, 4), False),
        (lambda y, p: tf.zeros(3), (3, 7), (3, 1), True),  # what a user's own wants is not known
    ],
)
def test_shapes_that_keras_would_broadcast(loss, y, outputs, fits):
    found = OutputLoss(loss, tf.zeros(outputs))
    for axes in (1, 2):
        tasks = (2,) * (axes - 1)
        if fits:
            found.check(np.zeros(tasks + y), [outputs[1:]], axes)
        else:
            with pytest.raises(ValueError, match="must fit the loss"):
                found.check(np.zeros(tasks + y), [outputs[1:]], axes)
    if not fits:
        with pytest.raises(ValueError, match="must fit the loss"):
            found(tf.zeros(y), tf.zeros(outputs), None)


def test_as_many_targets_as_outputs():
    with pytest.raises(ValueError, match="must be as the model's outputs are"):
        OutputLoss("mse", [OUTPUTS, OUTPUTS]).check([Y], [(1,), (1,)])


@pytest.mark.parametrize(
    "name", ["kl_divergence", "hinge", "poisson", "binary_crossentropy", "mae"]
)
def test_targets_without_the_outputs_last_axis(name):
    found = OutputLoss(name, OUTPUTS)(Y[:, 0], OUTPUTS, None)
    expected = OutputLoss(name, OUTPUTS)(Y, OUTPUTS, None)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("times", [3, 5])
def test_weights_of_sequences_are_those_of_the_examples(times):
    rng = np.random.default_rng(0)
    y, outputs = (tf.constant(rng.normal(size=(3, times, 2)), tf.float32) for _ in range(2))
    squares = np.mean((y - outputs) ** 2, axis=(1, 2))
    found = OutputLoss("mse", outputs)(y, outputs, WEIGHTS)
    assert float(found) == pytest.approx((squares[0] + 3 * squares[2]) / 2, rel=1e-5)
    flags = tf.constant([True, False, True])
    found = OutputLoss("mse", outputs)(y, outputs, flags)
    assert float(found) == pytest.approx((squares[0] + squares[2]) / 2, rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_lambda_in_a_graph(weights):
    loss = OutputLoss(lambda y, p: tf.reduce_sum((y - p) ** 2, axis=-1), OUTPUTS)
    found = tf.function(lambda: loss(Y, OUTPUTS, weights))()
    assert float(found) == pytest.approx(float(loss(Y, OUTPUTS, weights)), rel=1e-6)


def test_a_function_that_takes_the_mean_itself():
    with pytest.raises(ValueError, match="must return a loss for each example"):
        OutputLoss(lambda y, p: tf.reduce_mean((y - p) ** 2), OUTPUTS)(Y, OUTPUTS, None)


def test_no_loss():
    with pytest.raises(ValueError, match="Received: loss=None"):
        OutputLoss(None, OUTPUTS)


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "message"),
    [
        ("sparse_categorical_crossentropy", [1, 2, 3], (3, 3), r"from 0 to 2.*values \[3\]"),
        ("sparse_categorical_crossentropy", [-1, 1, 1], (3, 3), r"values \[-1\]"),
        ("sparse_categorical_crossentropy", [5.5, 1.0, 0.0], (3, 3), r"values \[5.5\]"),
        ("sparse_categorical_crossentropy", [np.nan, 1.0, 0.0], (3, 3), r"values \[nan\]"),
        ("binary_crossentropy", [-1.0, 1.0, 1.0], (3, 1), r"between. .*values \[-1.\]"),
        ("binary_crossentropy", [1.0, 2.0, 1.0], (3, 1), r"between. .*values \[2.\]"),
        ("categorical_crossentropy", [[0, 3], [1, 0], [0, 1]], (3, 2), r"values \[3\]"),
        ("mse", [1.0, np.nan, np.inf], (3, 1), "must be finite. .* 2 values"),
    ],
)
def test_targets_without_a_meaning(loss, y, outputs, message):
    with pytest.raises(ValueError, match=message):
        OutputLoss(loss, tf.zeros(outputs)).check(np.asarray(y), [outputs[1:]])


@pytest.mark.parametrize("loss", [keras.losses.Dice(), keras.losses.Tversky()])
def test_losses_that_take_the_mean_themselves_know_no_padding(loss):
    y = tf.constant([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    found = OutputLoss(loss, y)
    assert float(found(y, 0.5 * y, None)) == pytest.approx(float(loss(y, 0.5 * y)))
    with pytest.raises(ValueError, match="for each example where there are sample weights"):
        found(y, 0.5 * y, WEIGHTS)


@pytest.mark.parametrize(
    "reduction", ["sum", pytest.param("mean_with_sample_weight", marks=as_keras_now)]
)
@pytest.mark.parametrize("times", [3, 5])
def test_weights_of_sequences_in_other_reductions(reduction, times):
    rng = np.random.default_rng(0)
    y, outputs = (tf.constant(rng.normal(size=(3, times, 2)), tf.float32) for _ in range(2))
    squares = np.mean((y - outputs) ** 2, axis=2).sum(axis=1)
    expected = (squares * WEIGHTS).numpy().sum()
    if reduction == "mean_with_sample_weight":
        expected /= times * WEIGHTS.numpy().sum()
    loss = keras.losses.MeanSquaredError(reduction)
    assert float(OutputLoss(loss, outputs)(y, outputs, WEIGHTS)) == pytest.approx(
        expected, rel=1e-5
    )


class Brier(keras.losses.Loss):
    """A user's loss, which knows of no missing axis."""

    def call(self, y_true, y_pred):
        return keras.ops.mean((y_true - y_pred) ** 2, axis=-1)


def test_losses_of_the_users_get_targets_with_the_outputs_last_axis():
    expected = np.mean((Y - OUTPUTS) ** 2)
    for y in (Y, Y[:, 0]):
        assert float(OutputLoss(Brier(), OUTPUTS)(y, OUTPUTS, None)) == pytest.approx(expected)


@pytest.mark.parametrize("ignored", [0, 5])
def test_padding_with_a_class_that_is_ignored(ignored):
    """Keras without the padding is the oracle."""
    rng = np.random.default_rng(0)
    y, outputs = np.array([0, 1, 2, 0, 1, 2]), tf.nn.softmax(rng.normal(size=(6, 3)))
    y[ignored] = -1
    loss = in_float64(keras.losses.SparseCategoricalCrossentropy(ignore_class=-1))
    expected = float(loss(y, outputs))
    rows = np.r_[np.arange(6), np.zeros(4, int)]
    weights = tf.constant(np.r_[np.ones(6), np.zeros(4)])
    found = OutputLoss(loss, outputs)(tf.constant(y[rows]), tf.gather(outputs, rows), weights)
    assert float(found) == pytest.approx(expected, rel=1e-7)


def test_a_part_of_one_of_keras_functions_is_one_of_them():
    loss = functools.partial(keras.losses.binary_crossentropy, from_logits=True)
    found = OutputLoss(loss, tf.zeros((3, 2)))
    assert found.probabilities == [tf.sigmoid]
    with pytest.raises(ValueError, match="must be 0, 1, or probabilities"):
        found.check(np.full((3, 2), 2.0), [(2,)])


def test_one_hot_targets_where_class_numbers_are_meant():
    found = OutputLoss("sparse_categorical_crossentropy", tf.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"np.argmax\(y, -1\)"):
        found.check(np.eye(4)[:3], [(4,)])


def test_a_class_that_is_ignored_is_no_class():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    OutputLoss(loss, tf.zeros((3, 4))).check(np.array([-1, 0, 3]), [(4,)])


def test_a_function_of_the_users_may_take_missing_targets():
    OutputLoss(lambda y, p: tf.zeros(3), OUTPUTS).check(np.array([1.0, np.nan, 7.0]), [(1,)])


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum"])
def test_loss_weights(reduction):
    losses = [keras.losses.MeanSquaredError(reduction) for _ in range(2)]
    outputs, y = {"a": OUTPUTS, "b": 2 * OUTPUTS}, {"a": Y, "b": Y}
    plain = [float(loss(Y, out)) for loss, out in zip(losses, outputs.values(), strict=True)]
    losses = dict(zip("ab", losses, strict=True))
    for weights, expected in (
        ({"b": 3.0}, plain[0] + 3 * plain[1]),
        ({"a": 0.5, "b": 3}, 0.5 * plain[0] + 3 * plain[1]),
        (2.0, 2 * sum(plain)),
    ):
        found = OutputLoss(losses, outputs, loss_weights=weights)(y, outputs, None)
        assert float(found) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="`loss_weights` must be"):
        OutputLoss(losses, outputs, loss_weights=[1.0])
    with pytest.raises(TypeError, match="`loss_weights` must be finite"):
        OutputLoss(losses, outputs, loss_weights={"a": np.inf})


@pytest.mark.parametrize(("examples", "steps"), [(4, 3), (3, 3), (5, 1)])
@pytest.mark.parametrize("per_step", [False, True])
def test_padding_leaves_a_masked_loss_as_it_is(examples, steps, per_step):
    """Keras on the examples that count is the oracle, with as many steps as examples too."""
    rng = np.random.default_rng(0)
    y, outputs = rng.normal(size=(2, examples, steps, 2)).astype("float32")
    mask = rng.random((examples, steps)) < 0.6
    mask[:, 0] = True
    weights = rng.uniform(1, 2, (examples, steps) if per_step else examples).astype("float32")
    weights[-2:] = 0

    def masked(array, rows):
        tensor = tf.constant(array[:rows])
        tensor._keras_mask = tf.constant(mask[:rows])
        return tensor

    weight = weights if per_step else weights[:, None]
    rows = examples - 2
    loss = keras.losses.MeanSquaredError()
    expected = loss(y[:rows], masked(outputs, rows), sample_weight=weight[:rows])
    found = OutputLoss("mse", outputs)(
        tf.constant(y), masked(outputs, examples), tf.constant(weights)
    )
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
