"""Adaptation to one task, and prediction after it."""

import keras
import numpy as np
import pytest
from keras import layers
from learners import Sine, values

import deepchem_meta as dc
from deepchem_meta.metalearning import MAML, KerasLearner, ProtoNet, RidgeRegressionHead

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 4)).astype("float32")
WORDS = np.array(["finch", "crane", "hawk"] * 3)
NUMBERS = np.array([1, 0, 2] * 3)


def classifier(loss=LOGITS, outputs=3, activation=None, **options):
    """Return a learner without tasks."""
    keras.utils.set_random_seed(0)
    parts = [keras.Input((4,)), layers.Dense(5, "tanh"), layers.BatchNormalization()]
    model = keras.Sequential([*parts, layers.Dense(outputs, activation)])
    return KerasLearner(model, loss, **{"batch_norm": "support", **options})


def test_adapt_leaves_the_learner_alone_and_is_training_on_one_batch():
    learner = Sine(dtype="float64")
    maml = MAML(learner, learning_rate=0.1, optimization_steps=3)
    learner.select_task()
    batch = learner.get_batch()
    before = values(learner)
    adapted = maml.adapt(batch)
    five = maml.adapt(batch, optimization_steps=5)
    for a, b in zip(values(learner), before, strict=True):
        np.testing.assert_array_equal(a, b)
    learner.get_batch = lambda: batch
    maml.train_on_current_task(optimization_steps=3, restore=False)
    for a, b in zip(adapted.variables, values(learner), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    loss, outputs = maml.predict_on_batch(batch)
    assert float(adapted.predict_on_batch(batch)[0]) == pytest.approx(float(loss), rel=1e-12)
    np.testing.assert_allclose(adapted.predict(batch)[0], outputs[0], rtol=1e-12)
    assert float(five.predict_on_batch(batch)[0]) < float(loss)


def test_predictions_are_numpy_in_the_structure_of_the_outputs():
    learner = Sine()
    learner.select_task()
    adapted = MAML(learner).adapt(learner.get_batch())
    (outputs,) = adapted.predict(learner.get_batch())
    assert type(outputs) is np.ndarray
    with pytest.raises(TypeError, match="`batch_size` needs a KerasLearner"):
        adapted.predict(learner.get_batch(), batch_size=2)
    x = keras.Input((4,))
    model = keras.Model(x, {"a": layers.Dense(1)(x), "b": layers.Dense(2)(x)})
    several = MAML(KerasLearner(model, "mse")).adapt((X, {"a": X[:, :1], "b": X[:, 2:]}))
    outputs = several.predict(X, batch_size=4)
    assert {name: type(one) for name, one in outputs.items()} == {"a": np.ndarray, "b": np.ndarray}
    plain = several.to_model().predict(X, verbose=0)
    for name, one in outputs.items():
        np.testing.assert_allclose(one, plain[name], rtol=1e-5)


def test_lists_of_numbers_are_arrays():
    adapted = ProtoNet(classifier(), ways=3).adapt((X.tolist(), NUMBERS.tolist()))
    np.testing.assert_array_equal(adapted.predict(X.tolist()), adapted.predict(X))


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
def test_batches_do_not_change_predictions(batch_size):
    adapted = MAML(classifier(), 0.1, 2).adapt((X, NUMBERS))
    whole = adapted.predict(X)
    np.testing.assert_allclose(adapted.predict(X, batch_size), whole, rtol=1e-5, atol=1e-6)
    plain = adapted.to_model()
    np.testing.assert_allclose(whole, plain.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_more_examples_than_are_computed_at_once(monkeypatch):
    monkeypatch.setattr("deepchem_meta.metalearning.adapted_task._EXAMPLES_AT_ONCE", 4)
    sizes = []
    for mode in ("support", "transductive"):
        maml = MAML(classifier(batch_norm=mode), 0.1, 1)
        compute = maml.runner.outputs
        count = lambda adapted, x, f=compute: [sizes.append(len(x)), f(adapted, x)][1]  # noqa: E731
        monkeypatch.setattr(maml.runner, "outputs", count)
        maml.adapt((X, NUMBERS)).predict(X)
    assert sizes == [4, 4, 1, 9]


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True])
def test_batch_sizes_that_are_none(batch_size):
    adapted = MAML(classifier(), 0.1, 1).adapt((X, NUMBERS))
    with pytest.raises((TypeError, ValueError), match="`batch_size` must be"):
        adapted.predict(X, batch_size)


@pytest.mark.parametrize("make", [lambda learner: MAML(learner, 0.1, 3), lambda learner: None])
def test_words_as_labels(make):
    learner = classifier()
    algorithm = make(learner) or ProtoNet(learner, ways=3)
    by_name, by_number = (algorithm.adapt((X, y)) for y in (WORDS, NUMBERS))
    np.testing.assert_array_equal(by_name.predict(X), by_number.predict(X))
    classes = by_number.predict_classes(X)
    np.testing.assert_array_equal(classes, by_number.predict(X).argmax(1))
    assert by_name.class_names.tolist() == ["crane", "finch", "hawk"]
    np.testing.assert_array_equal(by_name.predict_classes(X), by_name.class_names[classes])
    assert by_number.class_names is None


def test_a_class_without_a_name_is_not_predicted():
    maml = MAML(classifier(), 0.0, 1)  # outputs as they are
    adapted = maml.adapt((X, np.where(WORDS == "hawk", "finch", WORDS)))
    outputs = adapted.predict(X)
    assert (outputs.argmax(1) == 2).any()
    wanted = np.array(["crane", "finch"])[outputs[:, :2].argmax(1)]
    np.testing.assert_array_equal(adapted.predict_classes(X), wanted)


def test_more_names_than_classes():
    with pytest.raises(ValueError, match="from 0 to 2"):
        MAML(classifier(), 0.1, 1).adapt((X, np.array(list("abcdabcda"))))


def test_words_for_numbers_are_refused():
    learner = classifier("mse", 1)
    with pytest.raises(TypeError, match="must be numeric"):
        MAML(learner, 0.1, 1).adapt((X, WORDS))
    with pytest.raises(TypeError, match="must be numeric"):
        RidgeRegressionHead(learner).adapt((X, WORDS))


@pytest.mark.parametrize(
    ("loss", "outputs", "activation"),
    [
        (LOGITS, 3, None),
        ("sparse_categorical_crossentropy", 3, "softmax"),
        (keras.losses.BinaryCrossentropy(from_logits=True), 1, None),
        ("binary_crossentropy", 1, "sigmoid"),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), 1, None),
    ],
)
@pytest.mark.parametrize("head", [False, True])
def test_probabilities(loss, outputs, activation, head):
    ways = max(outputs, 2)
    learner = classifier(loss, outputs, activation)
    algorithm = ProtoNet(learner, ways=ways) if head else MAML(learner, 0.1, 2)
    adapted = algorithm.adapt((X, NUMBERS % ways))
    given, known = adapted.predict(X), adapted.predict_proba(X)
    if activation is None:
        given = np.exp(given) if outputs > 1 else 1 / (1 + np.exp(-given))
    if outputs == 1:
        given = np.concatenate([1 - given, given], axis=1)
    np.testing.assert_allclose(known, given / given.sum(1, keepdims=True), rtol=1e-4, atol=1e-6)
    rated = adapted.predict_proba(X, base_rate=np.full(ways, 1 / ways))
    np.testing.assert_allclose(rated, known, rtol=1e-6, atol=1e-9)
    rare = [1 - 1e-9, *np.full(ways - 1, 1e-9 / (ways - 1))]
    assert (adapted.predict_classes(X, base_rate=rare) == 0).all()


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ("mse", 1),
        (keras.losses.BinaryCrossentropy(from_logits=True), 3),
        (lambda y, outputs: keras.losses.mean_squared_error(y, outputs), 3),
    ],
)
def test_outputs_that_are_no_classes_have_no_probabilities(loss, outputs):
    adapted = MAML(classifier(loss, outputs), 0.1, 1).adapt((X, X[:, :outputs] > 0))
    for method in (adapted.predict_proba, adapted.predict_classes):
        with pytest.raises(TypeError, match="needs outputs of classes.*Received: a KerasLearner"):
            method(X)
    regression = RidgeRegressionHead(classifier("mse", 1)).adapt((X, X[:, 0]))
    with pytest.raises(TypeError, match="needs outputs of classes"):
        regression.predict_proba(X)


def test_a_rare_class_after_balanced_tasks():
    """A classifier of balanced tasks finds the true rate once it is told the base rate."""
    rng = np.random.default_rng(0)
    rate, n = 0.06, 4000
    y = rng.random(n) < rate
    x = (rng.normal(size=n) + 2 * y).astype("float32")[:, np.newaxis]
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    model.set_weights([np.array([[2.0]]), np.array([-2.0])])  # the log-odds of balanced classes
    learner = KerasLearner(model, keras.losses.BinaryCrossentropy(from_logits=True))
    adapted = MAML(learner, 0.0, 0).adapt((x[:4], y[:4]))
    assert adapted.predict_proba(x)[:, 1].mean() > 0.18
    assert adapted.predict_proba(x, base_rate=rate)[:, 1].mean() == pytest.approx(rate, abs=0.01)


def test_a_learner_without_tasks():
    learner = classifier(metrics=["accuracy"])
    assert learner.tasks is None and learner.metric_names == ["accuracy"]
    maml = MAML(learner, 0.1, 1)
    with pytest.raises(ValueError, match="give `tasks` to KerasLearner"):
        maml.fit(1)
    with pytest.raises(ValueError, match="give `tasks` to KerasLearner"):
        maml.train_on_current_task(restore=False)
    tasks = dc.tasks.FewShotClassificationTasks(
        RNG.normal(size=(40, 4)).astype("float32"), np.repeat(np.arange(4), 10), ways=3, queries=5
    )
    keras.utils.set_random_seed(0)
    with_tasks = MAML(KerasLearner(learner.model, LOGITS, tasks, batch_norm="support"), 0.1, 1)
    np.testing.assert_array_equal(
        maml.adapt((X, NUMBERS)).predict(X), with_tasks.adapt((X, NUMBERS)).predict(X)
    )
    assert maml.evaluate(tasks, n_tasks=4).mean["loss"].shape == (4,)
    with pytest.raises(ValueError, match="`ways` must be given"):
        ProtoNet(learner)


def test_a_learner_without_tasks_goes_on_from_one_with_tasks(tmp_path):
    tasks = dc.tasks.SinusoidTasks(shots=5)
    keras.utils.set_random_seed(0)

    def model():
        return keras.Sequential([keras.Input((1,)), layers.Dense(4, "tanh"), layers.Dense(1)])

    trained = MAML(KerasLearner(model(), "mse", tasks), model_dir=tmp_path, **FAST)
    trained.fit(2)
    served = MAML(KerasLearner(model(), "mse"), model_dir=tmp_path, **FAST)
    served.restore()
    support, query = tasks.sample(1, np.random.default_rng(0))
    support = [array[0] for array in support]
    np.testing.assert_array_equal(
        served.adapt(support).predict(query[0][0]), trained.adapt(support).predict(query[0][0])
    )
