import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import as_keras_now

from deepchem_meta.metalearning._keras_loss import OutputLoss
from deepchem_meta.metalearning._keras_metrics import compute_metric, find_metrics

Y = tf.constant([[0.0], [1.0], [1.0]])
OUTPUTS = tf.constant([[0.2], [0.6], [0.9]])
WEIGHTS = tf.constant([1.0, 0.0, 3.0])
LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)


def find(metrics, y=Y, outputs=OUTPUTS, loss="mse", names=None):
    return find_metrics(metrics, OutputLoss(loss, outputs, names), y, outputs)


@pytest.mark.parametrize(
    ("y", "outputs", "kind"),
    [
        (Y, OUTPUTS, keras.metrics.BinaryAccuracy),
        (tf.constant([0, 1]), tf.zeros((2, 3)), keras.metrics.SparseCategoricalAccuracy),
        (tf.zeros((2, 3)), tf.zeros((2, 3)), keras.metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_is_the_one_that_fits(y, outputs, kind):
    loss = "sparse_categorical_crossentropy" if y.shape.rank == 1 else "binary_crossentropy"
    (metric,) = find(["accuracy"], y, outputs, loss)
    assert type(metric.metric) is kind and metric.name == "accuracy"


@pytest.mark.parametrize(("from_logits", "expected"), [(False, 2 / 3), (True, 1.0)])
def test_accuracy_of_one_output_divides_at_one_half_or_at_its_log_odds(from_logits, expected):
    y, outputs = tf.constant([[0.0], [1.0], [1.0]]), tf.constant([[-0.2], [0.3], [0.9]])
    loss = keras.losses.BinaryCrossentropy(from_logits=from_logits)
    (metric,) = find(["accuracy"], y, outputs, loss)
    assert float(metric([y], outputs, None)) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["acc", "Accuracy", "accuracy"])
def test_accuracy_by_any_of_its_names(name):
    (metric,) = find([name], loss="binary_crossentropy")
    assert metric.name == name
    assert float(metric([Y], OUTPUTS, None)) == 1.0


def test_metrics_have_the_name_they_are_given_by():
    given = ["mae", keras.metrics.mean_squared_error, keras.metrics.AUC(name="auc")]
    assert [metric.name for metric in find(given)] == [
        "mae",
        "mean_squared_error",
        "auc",
    ]


class MeanAbs(keras.metrics.Metric):
    """A metric that returns its variable, as the one in Keras' own documentation does."""

    def __init__(self, **options):
        super().__init__(name="mean_abs", **options)
        self.total = self.add_variable((), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.mean(keras.ops.abs(y_true - y_pred)))

    def result(self):
        return self.total


def test_a_metric_may_return_its_variable():
    (metric,) = find([MeanAbs()])
    assert float(metric([Y], OUTPUTS, None)) == pytest.approx((0.2 + 0.4 + 0.1) / 3, rel=1e-6)


@pytest.mark.parametrize(
    "metric",
    ["kl_divergence", "poisson", "hinge", "categorical_hinge", "bce", "mae", "accuracy",
     lambda y, p: tf.reduce_mean(tf.abs(y - p), -1)],
)  # fmt: skip
def test_targets_without_the_outputs_last_axis(metric):
    (found,) = find([metric], loss="binary_crossentropy")
    expected = float(found([Y], OUTPUTS, None))
    (found,) = find([metric], Y[:, 0], OUTPUTS, "binary_crossentropy")
    assert float(found([Y[:, 0]], OUTPUTS, None)) == pytest.approx(expected, rel=1e-6)


@as_keras_now
def test_a_metric_that_is_a_scalar_does_not_fit():
    with pytest.raises(ValueError, match="A metric must fit the targets and outputs"):
        find([lambda y, p: tf.reduce_mean(tf.abs(y - p))])


def test_metrics_of_one_batch_leave_no_trace():
    (metric,) = find(["mae"])
    for _ in range(2):
        found = metric([Y], OUTPUTS, WEIGHTS)
        assert float(found) == pytest.approx((0.2 + 3 * 0.1) / 4, rel=1e-6)
    assert float(metric.metric.result()) == 0.0


def test_a_metric_is_one_number():
    y, outputs = tf.one_hot([0, 1], 2), tf.constant([[0.9, 0.1], [0.2, 0.8]])
    with pytest.raises(ValueError, match=r"F1Score with `average`.*f1_score of shape \(2,\)"):
        compute_metric(keras.metrics.F1Score(), y, outputs, None)
    found = compute_metric(keras.metrics.F1Score("macro"), y, outputs, None)
    assert float(found) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("name", ["AUC", "Precision", "Recall", "binary_accuracy", "bce"])
def test_metrics_of_probabilities_by_name_get_those_of_logits(name):
    """Keras on the probabilities is the oracle."""
    rng = np.random.default_rng(0)
    y = tf.constant((rng.random((40, 1)) < 0.5).astype("float32"))
    logits = tf.constant(rng.normal(size=(40, 1)) + 1.0, tf.float32)
    reference = keras.metrics.get(name)
    reference.update_state(y, tf.sigmoid(logits))
    (metric,) = find([name], y, logits, LOGITS)
    assert float(metric([y], logits, None)) == pytest.approx(float(reference.result()), rel=1e-6)


def test_metrics_of_probabilities_of_many_classes():
    rng = np.random.default_rng(0)
    y, logits = rng.integers(3, size=20), tf.constant(rng.normal(size=(20, 3)), tf.float32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    (metric,) = find(["sparse_categorical_crossentropy"], tf.constant(y), logits, loss)
    expected = loss(y, logits)
    assert float(metric([tf.constant(y)], logits, None)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.AUC(),
        keras.metrics.Precision(),
        keras.metrics.BinaryAccuracy(),
        keras.metrics.SensitivityAtSpecificity(0.5),
        keras.metrics.binary_crossentropy,
        keras.metrics.F1Score("macro", threshold=0.5),
        keras.metrics.Precision(thresholds=0.5),
    ],
)
def test_metrics_as_objects_must_be_made_for_logits(metric):
    with pytest.raises(ValueError, match="must not get logits.*by name"):
        find([metric], loss=LOGITS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.metrics.AUC(from_logits=True),
        lambda: keras.metrics.Precision(thresholds=0.0),
        pytest.param(
            lambda: keras.metrics.BinaryAccuracy(threshold=0.0),
            marks=as_keras_now,
        ),
        lambda: keras.metrics.MeanSquaredError(),
        lambda: keras.metrics.Hinge(),
    ],
)
def test_metrics_as_objects_that_are(make):
    metric = make()
    reference = type(metric).from_config(metric.get_config())
    reference.update_state(Y, OUTPUTS - 0.5)
    (found,) = find([metric], Y, OUTPUTS - 0.5, LOGITS)
    assert float(found([Y], OUTPUTS - 0.5, None)) == pytest.approx(float(reference.result()))


def test_a_metric_that_does_not_fit():
    y, outputs = tf.constant([0, 1, 2]), tf.constant(np.eye(3), tf.float32)
    with pytest.raises(ValueError, match=r"must fit the targets.*Precision.*\(3,\) and.*\(3, 3\)"):
        find(["Precision"], y, outputs, "sparse_categorical_crossentropy")


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        ([["mae"], ["mse", "mape"]], ["b_mae", "a_mse", "a_mape"]),
        (["mae", "mse"], ["b_mae", "a_mse"]),
        ({"a": "mae"}, ["a_mae"]),
        ({"a": ["mae"], "b": ["mse"]}, ["b_mse", "a_mae"]),
        ([None, ["mae", "mae"]], ["a_mae", "a_mae_1"]),
        ([], []),
    ],
)
def test_metrics_of_several_outputs(metrics, names):
    outputs, y = [OUTPUTS, 2 * OUTPUTS], [Y, Y]
    assert [metric.name for metric in find(metrics, y, outputs, names=["b", "a"])] == names


@pytest.mark.parametrize("metrics", [["mae"], {"c": "mae"}, ["mae", "mse", "mape"]])
def test_metrics_that_are_not_as_the_outputs(metrics):
    with pytest.raises(ValueError, match="list with an entry for each"):
        find(metrics, [Y, Y], [OUTPUTS, OUTPUTS], names=["b", "a"])


@pytest.mark.parametrize("metric", ["mae", "AUC", "BinaryIoU", "binary_accuracy", "Recall"])
@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.filterwarnings("ignore:You are passing weight as `float`")
def test_weights_of_examples_count_for_each_step(metric, steps):
    """Keras on the steps as examples of their own is the oracle."""
    rng = np.random.default_rng(0)
    y = (rng.random((3, steps, 1)) < 0.5).astype("float32")
    y[0, 0], y[2, 0] = 0, 1
    outputs = tf.constant(rng.random((3, steps, 1)), tf.float32)
    reference = keras.metrics.get(metric)
    flat = tf.reshape(outputs, (-1, 1))
    reference.update_state(y.reshape(-1, 1), flat, sample_weight=np.repeat(WEIGHTS, steps))
    (found,) = find([metric], tf.constant(y), outputs)
    found = found([tf.constant(y)], outputs, WEIGHTS)
    assert float(found) == pytest.approx(float(reference.result()), rel=1e-6)
