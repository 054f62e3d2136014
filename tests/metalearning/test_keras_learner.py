import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras_models import WithTraining

from deepchem_meta import metalearning
from deepchem_meta import tasks as dc_tasks
from deepchem_meta.metalearning import GaussianProcessHead, KerasLearner
from deepchem_meta.metalearning._keras_function import KerasFunction
from deepchem_meta.tasks import SinusoidTasks

SINES = SinusoidTasks(shots=5, queries=5)


def MAML(learner, *args, **options):
    """Return MAML that compiles nothing: the other plans are compared elsewhere."""
    options = {"task_execution": "looped", "jit_compile": False, **options}
    return metalearning.MAML(learner, *args, **options)


def make(*parts, tasks=SINES, loss="mse", **options):
    """Return a learner with a Sequential model of some layers and a Dense(1)."""
    return KerasLearner(keras.Sequential([*parts, layers.Dense(1)]), loss, tasks, **options)


def one_task(tasks=SINES, seed=1):
    support, query = tasks.sample(1, np.random.default_rng(seed))
    return tuple(tuple(array[0] for array in batch) for batch in (support, query))


def weights(learner):
    return [v.numpy() for v in learner.variables]


class Source:
    """Gives fixed arrays."""

    def __init__(self, *episodes):
        self.episodes = episodes

    def sample(self, n, rng):
        return tf.nest.map_structure(lambda a: np.repeat(a[:1], n, axis=0), self.episodes)


def batch(*shapes, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.normal(size=(1, 4, *shape)).astype(dtype) for shape in shapes)


# Bad input.


def test_a_model_without_weights_needs_an_algorithm_with_numbers_of_its_own():
    learner = KerasLearner(keras.Sequential([layers.ReLU()]), "mse", SINES)
    with pytest.raises(ValueError, match="There must be something to learn"):
        MAML(learner)
    assert GaussianProcessHead(learner).fit(1).history["loss"]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((layers.Dense(1), "mse", SINES), TypeError, "`model` must be a keras.Model"),
        ((keras.Sequential([layers.Dense(1)]), "mse", 3), TypeError, "`tasks` must be an object"),
        ((keras.Sequential([layers.Dense(1)]), "mse", SinusoidTasks), TypeError, "`tasks` must"),
        ((keras.Sequential([layers.Conv2D(1, 3)]), "mse", SINES), ValueError, "cannot be computed"),
        ((keras.Sequential([layers.Dense(1)]), "nonsense", SINES), ValueError, "no such loss"),
        (
            (keras.Sequential([layers.Dense(2)]), "mse", SINES),
            ValueError,
            r"shape \(n, 1\) for outputs",
        ),
        (
            (keras.Sequential([layers.Dense(1)]), ["mse", "mae"], SINES),
            ValueError,
            "as the model's outputs are",
        ),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        KerasLearner(*arguments)


def test_bad_options():
    with pytest.raises(ValueError, match=r"`batch_norm` must be one of .* Received: .*'test'"):
        make(batch_norm="test")
    with pytest.raises(TypeError, match="`metrics` must be a list"):
        make(metrics="mae")
    with pytest.raises(ValueError, match="knows no such metric. Received: 'nonsense'"):
        make(metrics=["nonsense"])


@pytest.mark.parametrize(
    ("episodes", "error", "match"),
    [
        ((batch((1,), (1,)),), TypeError, r"must give \(support, query\)"),
        ((batch((1,)), batch((1,))), TypeError, "tuple as support"),
        (
            (batch((1,), (1,)), (np.ones((1, 4, 1)), np.ones((1, 3, 1)))),
            ValueError,
            "as query|query",
        ),
        (((np.ones(3), np.ones(3)),) * 2, ValueError, "support of shapes"),
    ],
)
def test_bad_tasks(episodes, error, match):
    with pytest.raises(error, match=match):
        make(tasks=Source(*episodes))


def test_labels_outside_the_outputs_range():
    tasks = Source(*[(np.ones((1, 3, 2), "float32"), np.array([[0, 1, 5]]))] * 2)
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(
        ValueError, match=r"loss sparse_categorical_crossentropy.*from 0 to 2.*values \[5\]"
    ):
        KerasLearner(model, keras.losses.SparseCategoricalCrossentropy(from_logits=True), tasks)


# BatchNormalization.


def test_support_mode_predicts_single_examples():
    maml = MAML(make(layers.BatchNormalization(), batch_norm="support"), 0.01)
    support, query = one_task()
    adapted = maml.adapt(support, 3)
    together = adapted.predict(query[0])
    alone = [adapted.predict(query[0][i : i + 1])[0] for i in range(5)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    x = support[0]  # the first layer normalises x itself, by its mean and variance
    normalised = [v.numpy() for v in adapted.variables if v.shape == (1,)]
    assert any(np.allclose(v, x.mean()) for v in normalised)
    assert any(np.allclose(v, x.var(), rtol=1e-5) for v in normalised)


def test_transductive_predictions_depend_on_the_others():
    maml = MAML(make(layers.BatchNormalization()), 0.01)
    support, query = one_task()
    adapted = maml.adapt(support, 1)
    assert not np.allclose(adapted.predict(query[0])[:1], adapted.predict(query[0][:1]))
    with pytest.warns(UserWarning, match="their outputs differ"):
        model = adapted.to_model()
    assert not np.allclose(model(query[0]), adapted.predict(query[0]))


def test_running_mode_is_keras():
    learner = make(layers.BatchNormalization(), layers.Dropout(0.5), batch_norm="running")
    maml = MAML(learner, 0.01, meta_batch_size=2)
    maml.fit(20)
    support, query = one_task()
    np.testing.assert_array_equal(
        maml.predict_on_batch(query)[1], learner.model(query[0], training=False)
    )
    mean = learner.model.layers[0].moving_mean.numpy()
    assert mean != 0
    adapted = maml.adapt(support, 2)
    moved = adapted.variables[learner.variables.index(learner.model.layers[0].moving_mean)]
    # Two steps on the support set, each of which moves the average by a hundredth.
    expected = mean
    for _ in range(2):
        expected = 0.99 * expected + 0.01 * support[0].mean()
    np.testing.assert_allclose(moved, expected, rtol=1e-5)


def test_moving_averages_are_the_mean_over_tasks_of_what_each_leaves():
    learner = make(layers.BatchNormalization(), batch_norm="running")
    maml = MAML(learner, 0.01, optimization_steps=2, meta_batch_size=3)
    support, query = SINES.sample(3, np.random.default_rng(0))
    maml.train_on_batch(support, query)
    expected = []
    for xs, xq in zip(support[0], query[0], strict=True):
        mean = 0.0
        for x in (xs, xs, xq):  # two inner steps and the query set
            mean = 0.99 * mean + 0.01 * x.mean()
        expected.append(mean)
    np.testing.assert_allclose(
        learner.model.layers[0].moving_mean.numpy(), [np.mean(expected)], rtol=1e-5
    )


def test_frozen_batch_norm_uses_its_averages_in_all_modes():
    for mode in ("transductive", "support", "running"):
        norm = layers.BatchNormalization(trainable=False)
        maml = MAML(make(norm, batch_norm=mode), 0.01, meta_batch_size=2)
        maml.fit(3)
        np.testing.assert_array_equal(norm.moving_mean, [0.0])
        support, query = one_task()
        adapted = maml.adapt(support, 2)
        np.testing.assert_allclose(
            adapted.predict(query[0])[:1], adapted.predict(query[0][:1]), rtol=1e-5
        )


# Randomness and state.


def test_dropout_changes_the_gradient_from_task_to_task():
    learner = make(layers.Dense(8, "relu"), layers.Dropout(0.5))
    maml = MAML(learner, 0.01, seed=1)
    one, query = one_task()
    twice = [tuple(np.stack([a, a]) for a in part) for part in (one, query)]
    single = [tuple(a[np.newaxis] for a in part) for part in (one, query)]
    both, alone = maml.meta_gradient(*twice), maml.meta_gradient(*single)
    assert both.loss != alone.loss  # the second task has a mask of its own
    again = maml.meta_gradient(*single)
    assert again.loss == alone.loss  # and meta-step 0 always the same one
    start = weights(learner)
    maml.train_on_batch(*single)
    for variable, value in zip(learner.variables, start, strict=True):
        variable.assign(value)
    assert maml.meta_gradient(*single).loss != alone.loss  # meta-step 1 has another


@pytest.mark.parametrize("seed", [3, None])
def test_dropout_is_reproducible(seed):
    def run():
        keras.utils.set_random_seed(0)
        learner = make(layers.Dense(8, "relu"), layers.Dropout(0.5))
        MAML(learner, 0.01, meta_batch_size=2, seed=seed).fit(5)
        return weights(learner)[:-1]

    for a, b in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [1, 7])
def test_results_do_not_depend_on_steps_per_execution(size):
    def run(size):
        keras.utils.set_random_seed(0)
        parts = layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.5)
        learner = make(*parts, batch_norm="running")
        MAML(learner, 0.01, meta_batch_size=2, seed=0).fit(23, steps_per_execution=size)
        return weights(learner)

    for a, b in zip(run(size), run("auto"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_resumed_is_uninterrupted(tmp_path):
    def build(folder, seed):
        keras.utils.set_random_seed(5)
        learner = make(layers.Dense(8, "relu"), layers.Dropout(0.5))
        return learner, MAML(learner, 0.01, meta_batch_size=2, model_dir=folder, seed=seed)

    whole, maml = build(tmp_path / "whole", 1)
    maml.fit(50)
    _, maml = build(tmp_path / "parts", 1)
    maml.fit(23)
    parts, maml = build(tmp_path / "parts", 99)
    maml.fit(27, restore=True)
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


class Counter(layers.Layer):
    """Counts how often it is computed in training."""

    def build(self, shape):
        self.count = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="count"
        )

    def call(self, x, training=False):
        if training:
            self.count.assign_add(1)
        return x


def test_integers_grow_by_what_all_tasks_add():
    counter = Counter()
    maml = MAML(make(counter), 0.01, optimization_steps=3, meta_batch_size=5)
    maml.fit(2)
    assert int(counter.count.numpy()) == 2 * 5 * (3 + 1)


# Sample weights.


def padded(part, extra):
    """Add examples of weight 0 to a batch."""
    x, y = part
    wide = [np.concatenate([a, 7 * np.ones((extra, *a.shape[1:]), a.dtype)]) for a in (x, y)]
    return *wide, np.repeat(np.float32([1, 0]), [len(x), extra])


@pytest.mark.parametrize("mode", ["transductive", "support", "running"])
def test_padding_changes_nothing(mode):
    learner = make(layers.Dense(4), layers.BatchNormalization(), batch_norm=mode, metrics=["mae"])
    maml = MAML(learner, 0.01, optimization_steps=2)
    episode = one_task()
    plain = [tuple(a[np.newaxis] for a in part) for part in episode]
    wide = [tuple(a[np.newaxis] for a in padded(part, 3)) for part in episode]
    without, with_padding = maml.meta_gradient(*plain), maml.meta_gradient(*wide)
    assert with_padding.loss == pytest.approx(without.loss, rel=1e-4)
    for a, b in zip(without.gradients, with_padding.gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4)
    one, two = (
        maml.evaluate(Source(*episodes), n_tasks=2, optimization_steps=(2,))
        for episodes in (plain, wide)
    )
    np.testing.assert_allclose(one.loss, two.loss, rtol=1e-4)
    np.testing.assert_allclose(one.metrics["mae"], two.metrics["mae"], rtol=1e-4)


def test_weights_may_be_given_or_not():
    maml = MAML(make(), 0.01)  # its tasks have none
    support, query = one_task()
    for part in (support, (*support, np.ones(5, "float32")), padded(support, 2)):
        found = maml.adapt(part, 1).predict(query[0])
        np.testing.assert_allclose(found, maml.adapt(support, 1).predict(query[0]), rtol=1e-5)
    weighted = Source(*[(*batch((1,), (1,)), np.ones((1, 4), "float32")), batch((1,), (1,))])
    maml = MAML(make(tasks=weighted), 0.01, meta_batch_size=2)
    maml.fit(2)
    maml.adapt(support, 1)


def test_weights_multiply_as_in_keras():
    learner = make()
    (x, y), _ = one_task()
    w = np.float32([1, 2, 3, 4, 5])
    inputs = tuple(map(tf.convert_to_tensor, (x, y, w)))
    loss = learner.compute_model(inputs, learner.variables, False)[0]
    expected = np.mean(w * (learner.model(x).numpy()[:, 0] - y[:, 0]) ** 2)
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


# Models of other kinds.


def two_outputs(named):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    joined = layers.Concatenate()([a, b])
    one, two = layers.Dense(1)(joined), layers.Dense(2)(joined)
    return keras.Model({"a": a, "b": b}, {"one": one, "two": two} if named else [one, two])


@pytest.mark.parametrize("named", [True, False])
def test_several_inputs_and_outputs(named):
    a, b, one, two = batch((2,), (3,), (1,), (2,))
    y = {"one": one, "two": two} if named else [one, two]
    loss = {"one": "mse", "two": "mae"} if named else ["mse", "mae"]
    episode = ({"a": a, "b": b}, y)
    learner = KerasLearner(two_outputs(named), loss, Source(episode, episode))
    maml = MAML(learner, 0.01, meta_batch_size=2)
    support = tf.nest.map_structure(lambda array: array[0], episode)
    outputs = maml.adapt(support, 0).predict(support[0])
    first, second = (outputs["one"], outputs["two"]) if named else outputs
    expected = np.mean((first - one[0]) ** 2) + np.mean(np.abs(second - two[0]))
    assert float(maml.predict_on_batch(support)[0]) == pytest.approx(float(expected), rel=1e-5)
    maml.fit(2)
    half = {"one": None, "two": "mae"} if named else [None, "mae"]
    learner = KerasLearner(two_outputs(named), half, Source(episode, episode))
    assert MAML(learner).meta_gradient(episode, episode).gradients[:2].count(None) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "optimizer"),
    [
        ("mixed_float16", lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())),
        ("mixed_bfloat16", keras.optimizers.Adam),
    ],
)
def test_mixed_precision(policy, optimizer):
    keras.utils.set_random_seed(0)
    parts = layers.Dense(16, "relu", dtype=policy), layers.Dense(1, dtype=policy)
    learner = KerasLearner(keras.Sequential(list(parts)), "mse", SINES)
    assert all(v.dtype == "float32" for v in learner.model.trainable_variables)
    history = MAML(learner, 0.01, optimizer=optimizer()).fit(2000).history["loss"]
    assert history[-1] < history[0]


def test_a_dataset_of_tasks():
    support, query = SINES.sample(7, np.random.default_rng(0))
    dataset = tf.data.Dataset.from_tensor_slices((support, query))
    learner = make(tasks=dataset)
    maml = MAML(learner, 0.01, meta_batch_size=2)
    maml.fit(3)
    first, second = (maml.evaluate(dataset, n_tasks=5).loss for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(maml.evaluate(learner.tasks, n_tasks=5).loss, first)


def test_deepchems_calls():
    learner = make(layers.Dense(8, "relu"))
    maml = MAML(learner, 0.01, meta_batch_size=2)
    maml.fit(3)
    learner.select_task()
    support = learner.get_batch()
    before = float(maml.predict_on_batch(support)[0])
    maml.train_on_current_task(20, restore=True)
    assert float(maml.predict_on_batch(support)[0]) < before


# The adapted model.


def adapted_model(learner):
    maml = MAML(learner, 0.01, meta_batch_size=2)
    maml.fit(3)
    before = weights(learner)
    support, query = one_task()
    adapted = maml.adapt(support, 5)
    model = adapted.to_model()
    for a, b in zip(before, weights(learner), strict=True):
        np.testing.assert_array_equal(a, b)
    return model, query[0], adapted.predict(query[0])


def functional():
    x = keras.Input((1,))
    return keras.Model(x, layers.Dense(1)(layers.BatchNormalization()(layers.Dense(4)(x))))


def sequential():
    return keras.Sequential([layers.Dense(4, "relu"), layers.BatchNormalization(), layers.Dense(1)])


LOAD = """
import sys
import keras, numpy as np
if sys.argv[2]:
    sys.path.insert(0, sys.argv[2])
    class Subclassed(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.hidden, self.head = keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)
    @keras.saving.register_keras_serializable("tests")
    class WithTraining(Subclassed):
        def __init__(self, **options):
            super().__init__(**options)
            self.norm = keras.layers.BatchNormalization()
        def call(self, x, training=False):
            return self.head(self.norm(self.hidden(x), training=training))
folder = sys.argv[1]
model = keras.saving.load_model(folder + "/m.keras")
np.save(folder + "/y.npy", model.predict(np.load(folder + "/x.npy"), verbose=0))
assert not any(name.partition(".")[0] == "deepchem_meta" for name in sys.modules)
"""


# Keras on NumPy 2, when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
@pytest.mark.parametrize("make_model", [sequential, functional, WithTraining])
def test_to_model_is_a_plain_keras_model(make_model, tmp_path):
    keras.utils.set_random_seed(0)
    learner = KerasLearner(make_model(), "mse", SINES, batch_norm="support")
    model, x, expected = adapted_model(learner)
    assert type(model) is type(learner.model)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", x)
    written = "yes" if make_model is WithTraining else ""
    finished = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path), written], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["transductive", "running"])
@pytest.mark.filterwarnings("ignore:A Keras model by itself cannot be")
def test_to_model_in_the_other_modes(mode):
    keras.utils.set_random_seed(0)
    learner = KerasLearner(sequential(), "mse", SINES, batch_norm=mode)
    model, x, expected = adapted_model(learner)
    if mode == "running":
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    else:  # it has the support set's statistics, and does not depend on the other examples
        np.testing.assert_allclose(model(x)[:1], model(x[:1]), rtol=1e-5)


class NoConfig(keras.Model):
    """A model that Keras cannot make another one of."""

    def __init__(self, layer):
        super().__init__()
        self.layer = [layer, object()][0]

    def call(self, x):
        return self.layer(x)

    def get_config(self):
        raise NotImplementedError


def test_a_model_that_cannot_be_copied_says_what_to_add():
    learner = KerasLearner(NoConfig(layers.Dense(1)), "mse", SINES)
    adapted = MAML(learner).adapt(one_task()[0])
    with pytest.raises(TypeError, match="must have a `get_config`"):
        adapted.to_model()


def test_to_model_needs_a_keras_learner():
    from learners import Sine

    learner = Sine()
    learner.select_task()
    with pytest.raises(TypeError, match="needs a learner that is a KerasLearner"):
        MAML(learner).adapt(learner.get_batch()).to_model()


# What TensorFlow cannot do.


class Resize(layers.Layer):
    def __init__(self, method):
        super().__init__()
        self.method = method

    def call(self, x):
        return tf.image.resize(x, (4, 4), method=self.method)


@pytest.mark.parametrize(
    ("method", "operation"), [("bicubic", "ResizeBicubicGrad"), ("bilinear", "ResizeBilinearGrad")]
)
def test_no_second_derivative(method, operation):
    episode = batch((2, 2, 1), (1,))
    parts = layers.Conv2D(1, 1), Resize(method), layers.Flatten(), layers.Dense(1)
    learner = KerasLearner(keras.Sequential(list(parts)), "mse", Source(episode, episode))
    for algorithm in (MAML, metalearning.ImplicitMAML):
        with pytest.raises(NotImplementedError, match=rf"{operation}. Use\s+`first_order=True`"):
            algorithm(learner).fit(1)
    MAML(learner, first_order=True).fit(1)
    MAML(learner).adapt(tf.nest.map_structure(lambda array: array[0], episode))


def test_a_normalization_layer_survives_copying():
    adaptive = layers.Normalization()
    adaptive.adapt(np.float32([[1.0], [5.0]]))
    for layer in (layers.Normalization(mean=3.0, variance=4.0), adaptive):
        model, x, expected = adapted_model(make(layer, layers.Dense(4)))
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)


def test_recompute_gives_the_same_gradient():
    learner = make(layers.Dense(4, "tanh"), layers.BatchNormalization(), batch_norm="running")
    support, query = SINES.sample(2, np.random.default_rng(0))
    found = [
        MAML(learner, 0.01, 3, recompute=recompute, seed=0).meta_gradient(support, query)
        for recompute in (False, True)
    ]
    assert found[0].loss == pytest.approx(found[1].loss, rel=1e-6)
    for a, b in zip(found[0].gradients, found[1].gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_nothing_is_traced_again(monkeypatch):
    learner = make(layers.Dense(4), layers.BatchNormalization())
    maml = metalearning.MAML(learner, 0.01, meta_batch_size=2)
    maml.fit(10)
    maml.evaluate(SINES, n_tasks=4)
    monkeypatch.setattr(KerasFunction, "call", None)  # would be called in a trace
    maml.fit(10)
    maml.evaluate(SINES, n_tasks=4)


# Random layers in adaptation.


def dropping(**options):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(16, "tanh"), layers.Dropout(0.5), layers.GaussianNoise(0.5)]
    model = keras.Sequential([*hidden, layers.Dense(1)])
    return KerasLearner(model, "mse", SINES, **options)


def test_adaptation_of_a_head_does_not_drop():
    labels = np.arange(60) % 6
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    tasks = dc_tasks.FewShotClassificationTasks(x, labels, ways=3, queries=2)
    found = []
    for seed in (0, 1):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([layers.Dense(8, "tanh"), layers.Dropout(0.5), layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        learner = KerasLearner(model, loss, tasks)
        options = {"task_execution": "looped", "jit_compile": False, "seed": seed}
        adapted = metalearning.ProtoMAML(learner, 0.1, 3, **options).adapt(one_task(tasks)[0])
        found.append(adapted.predict(x[:5]))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("algorithm", [MAML, metalearning.Reptile, metalearning.MAMLPlusPlus])
def test_adaptation_does_not_drop(algorithm):
    """The same whatever the seed, and as a model without the random layers adapts."""
    found = []
    for seed in (0, 1):
        adapted = algorithm(dropping(), 0.1, seed=seed).adapt(one_task()[0], 3)
        found.append([v.numpy() for v in adapted.variables if v.dtype.is_floating])
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Dense(16, "tanh"), layers.Dense(1)])
    learner = KerasLearner(model, "mse", SINES)
    start = [w.numpy() for w in dropping().model.trainable_weights]
    for weight, value in zip(model.trainable_weights, start, strict=True):
        weight.assign(value)
    plain = algorithm(learner, 0.1)
    found.append([v.numpy() for v in plain.adapt(one_task()[0], 3).variables])
    for a, b, c in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-5, atol=1e-6)


def test_adaptation_drops_where_asked_to():
    learner = dropping(dropout_in_adaptation=True)
    one, other = (MAML(learner, 0.1, seed=seed).adapt(one_task()[0], 3) for seed in (0, 1))
    assert not np.allclose(one.variables[0], other.variables[0])
    again = MAML(learner, 0.1, seed=0).adapt(one_task()[0], 3)
    np.testing.assert_array_equal(again.variables[0], one.variables[0])
    with pytest.raises(TypeError, match="`dropout_in_adaptation` must be True or False"):
        dropping(dropout_in_adaptation="yes")


def test_evaluation_and_the_current_task_do_not_drop():
    evaluations = [
        MAML(dropping(), 0.1, seed=seed).evaluate(
            SINES, n_tasks=3, optimization_steps=(0, 3), seed=s
        )
        for seed, s in ((0, 5), (1, 5))
    ]
    np.testing.assert_array_equal(*(one.loss for one in evaluations))
    weights = []
    for seed in (0, 1):
        learner = dropping()
        learner._selected = one_task()[0] and tuple(
            tf.nest.map_structure(lambda a: a[None], part) for part in one_task()
        )
        MAML(learner, 0.1, seed=seed).train_on_current_task(2, restore=False)
        weights.append([v.numpy() for v in learner.model.trainable_weights])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_drops():
    losses = [MAML(dropping(), 0.1, seed=seed).fit(1).history["loss"][0] for seed in (0, 1)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("mode", ["transductive", "support", "running"])
def test_batch_norm_in_adaptation_is_as_in_training(mode):
    """The statistics are those of the batch at hand in every mode, with Dropout beside it too."""
    found = []
    for options in ({}, {"dropout_in_adaptation": True}):
        keras.utils.set_random_seed(0)
        learner = make(layers.BatchNormalization(), batch_norm=mode, **options)
        found.append(MAML(learner, 0.1, seed=0).adapt(one_task()[0], 3).variables)
    for a, b in zip(*found, strict=True):
        if a.dtype.is_floating:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_transductive_model_says_that_it_predicts_otherwise():
    adapted = MAML(make(layers.BatchNormalization()), 0.01).adapt(one_task()[0])
    with pytest.warns(UserWarning, match="their outputs differ") as caught:
        adapted.to_model()
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3):
            adapted.to_model()
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MAML(make(layers.BatchNormalization(), batch_norm="support")).adapt(
            one_task()[0]
        ).to_model()
        MAML(make(), 0.01).adapt(one_task()[0]).to_model()
