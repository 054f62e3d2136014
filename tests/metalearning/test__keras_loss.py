import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.metalearning._keras_loss import OutputLoss, compute_metric, find_metrics

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
    ):
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
        ({"a": "mse"}, {"a": OUTPUTS, "b": OUTPUTS}),
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
    if fits:
        found.check(tf.zeros(y), tf.zeros(outputs))
    else:
        with pytest.raises(ValueError, match="must fit the loss"):
            found.check(tf.zeros(y), tf.zeros(outputs))


def test_as_many_targets_as_outputs():
    with pytest.raises(ValueError, match="must be as the model's outputs are"):
        OutputLoss("mse", [OUTPUTS, OUTPUTS]).check([Y], [OUTPUTS, OUTPUTS])


@pytest.mark.parametrize(
    ("y", "outputs", "kind"),
    [
        (Y, OUTPUTS, keras.metrics.BinaryAccuracy),
        (tf.constant([0, 1]), tf.zeros((2, 3)), keras.metrics.SparseCategoricalAccuracy),
        (tf.zeros((2, 3)), tf.zeros((2, 3)), keras.metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_is_the_one_that_fits(y, outputs, kind):
    (metric,) = find_metrics(["accuracy"], y, outputs, False)
    assert type(metric) is kind and metric.name == "accuracy"


@pytest.mark.parametrize(("from_logits", "expected"), [(False, 2 / 3), (True, 1.0)])
def test_accuracy_of_one_output_divides_at_one_half_or_at_its_log_odds(from_logits, expected):
    y, outputs = tf.constant([[0.0], [1.0], [1.0]]), tf.constant([[-0.2], [0.3], [0.9]])
    (metric,) = find_metrics(["accuracy"], y, outputs, from_logits)
    assert float(compute_metric(metric, y, outputs, None)) == pytest.approx(expected)
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    assert OutputLoss(loss, outputs).from_logits == from_logits


def test_metrics_have_the_name_they_are_given_by():
    given = ["mae", keras.metrics.mean_squared_error, keras.metrics.AUC(name="auc")]
    assert [m.name for m in find_metrics(given, Y, OUTPUTS, False)] == [
        "mae",
        "mean_squared_error",
        "auc",
    ]


def test_metrics_of_one_batch_leave_no_trace():
    (metric,) = find_metrics(["mae"], Y, OUTPUTS, False)
    for _ in range(2):
        found = compute_metric(metric, Y, OUTPUTS, WEIGHTS)
        assert float(found) == pytest.approx((0.2 + 3 * 0.1) / 4, rel=1e-6)
    assert float(metric.result()) == 0.0


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


def test_a_function_that_takes_the_mean_itself():
    with pytest.raises(ValueError, match="must return a loss for each example"):
        OutputLoss(lambda y, p: tf.reduce_mean((y - p) ** 2), OUTPUTS)(Y, OUTPUTS, None)


def test_no_loss():
    with pytest.raises(ValueError, match="Received: loss=None"):
        OutputLoss(None, OUTPUTS)


def test_a_metric_is_one_number():
    y, outputs = tf.one_hot([0, 1], 2), tf.constant([[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(ValueError, match=r"F1Score with `average`.*f1_score of shape \(2,\)"):
        compute_metric(keras.metrics.F1Score(), y, outputs, None)
    found = compute_metric(keras.metrics.F1Score("macro"), y, outputs, None)
    assert float(found) == pytest.approx(1.0, rel=1e-6)
