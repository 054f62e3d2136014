import keras
import numpy as np
import pytest
import tensorflow as tf
from learners import Classes, Function, Sine, episodes

from deepchem_meta import metalearning
from deepchem_meta.metalearning import (
    GaussianProcessHead,
    KerasLearner,
    MatchingNet,
    ProtoMAML,
    ProtoNet,
    RidgeRegressionHead,
)
from deepchem_meta.tasks import AssayTasks, FewShotClassificationTasks, SinusoidTasks

ALGORITHMS = [ProtoNet, MatchingNet, RidgeRegressionHead, GaussianProcessHead, ProtoMAML]
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def classes(shots=1, queries=3):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(9), 8)
    x = rng.normal(size=(9, 4))[labels] + 0.2 * rng.normal(size=(72, 4))
    return FewShotClassificationTasks(
        x.astype("float32"), labels, ways=3, shots=shots, queries=queries
    )


def keras_learner(tasks, embedding="hidden", **options):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential([dense(8, "tanh", name="hidden"), dense(tasks.ways)])
    return KerasLearner(model, LOGITS, tasks, metrics=["accuracy"], embedding=embedding, **options)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_learns_with_keras_and_predicts_without_labels(algorithm):
    tasks = classes(shots=2, queries=4)
    learner = keras_learner(tasks)
    head_of_model = learner.model.layers[1].kernel.numpy()
    trained = algorithm(learner, meta_batch_size=4, seed=0)
    trained.fit(60)
    np.testing.assert_array_equal(learner.model.layers[1].kernel, head_of_model)  # not used
    found = trained.evaluate(tasks, n_tasks=50)
    assert found.mean["accuracy"][0] > 0.9
    support, query = (
        tuple(array[0] for array in part) for part in tasks.sample(1, np.random.default_rng(1))
    )
    adapted = trained.adapt(support)
    loss, logits = adapted.predict_on_batch(query)
    np.testing.assert_allclose(adapted.predict(query[0]), logits, rtol=1e-5, atol=1e-6)
    assert float(LOGITS(query[1], logits)) == pytest.approx(float(loss), rel=1e-4)
    plain = adapted.to_model().predict(query[0], verbose=0)
    np.testing.assert_allclose(plain, logits, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_padding_changes_nothing(algorithm):
    learner = keras_learner(classes())
    trained = algorithm(learner)
    support, query = classes(shots=2, queries=3).sample(1, np.random.default_rng(0))
    plain = trained.meta_gradient(support, query)
    padded = []
    for part in (support, query):
        x, y = (np.concatenate([array, array[:, :2]], axis=1) for array in part)
        weights = np.ones(y.shape, "float32")
        weights[:, -2:] = 0
        padded.append((x, y, weights))
    padded = trained.meta_gradient(*padded)
    assert padded.loss == pytest.approx(plain.loss, rel=1e-5)
    for a, b in zip(plain.gradients, padded.gradients, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_assays_get_log_odds(algorithm):
    """A model with a single output keeps its metrics, and ROC-AUC has one score an example."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5)).astype("float32")
    y = (x @ rng.normal(size=(5, 4)) > 0).astype("float32")
    tasks = AssayTasks(x, y, shots=6, queries=8)
    dense = keras.layers.Dense
    model = keras.Sequential([dense(8, "tanh", name="hidden"), dense(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    learner = KerasLearner(model, loss, tasks, metrics=["accuracy"], embedding="hidden")
    trained = algorithm(learner, meta_batch_size=4, seed=0)
    trained.fit(30)
    found = trained.evaluate(tasks, n_tasks=8)
    assert found.mean["roc_auc"][0] > 0.7
    assert found.mean["accuracy"][0] > 0.6
    support, query = (
        tuple(array[0] for array in part) for part in tasks.sample(1, np.random.default_rng(1))
    )
    adapted = trained.adapt(support)
    loss_value, log_odds = adapted.predict_on_batch(query)
    assert log_odds.shape == query[1].shape
    assert float(loss(query[1], log_odds)) == pytest.approx(float(loss_value), rel=1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_accuracy_and_outputs_where_the_loss_is_of_probabilities(algorithm):
    """They are probabilities, of which the accuracy is that at one half."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5)).astype("float32")
    y = (x @ rng.normal(size=(5, 4)) > 0.5).astype("float32")
    tasks = AssayTasks(x, y, shots=6, queries=6, balanced=False)
    accuracies = []
    for activation in (None, "sigmoid"):
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense
        model = keras.Sequential([dense(8, "tanh", name="hidden"), dense(1, activation)])
        loss = keras.losses.BinaryCrossentropy(from_logits=activation is None)
        learner = KerasLearner(model, loss, tasks, metrics=["accuracy"], embedding="hidden")
        trained = algorithm(learner)
        accuracies.append(trained.evaluate(tasks, n_tasks=8).mean["accuracy"][0])
        support, query = (
            tuple(array[0] for array in part) for part in tasks.sample(1, np.random.default_rng(1))
        )
        found = trained.adapt(support).predict(query[0])
        outputs = found if activation is None else np.log(found / (1 - found))
        if activation is None:
            expected = outputs
        right = np.mean((outputs > 0) == query[1])
        (metric,) = learner.compute_metrics(query, tf.constant(found)).values()
        assert float(metric) == pytest.approx(right)
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)
    assert accuracies[0] == pytest.approx(accuracies[1])


def test_a_class_that_the_support_set_lacks_is_never_predicted():
    """Its probability is that of float64's epsilon, so that such an example costs 36.04."""
    learner = Classes()
    learner.select_task()
    x, y = learner.get_batch()
    kept = y != 1
    for algorithm in ALGORITHMS:
        adapted = algorithm(learner, ways=3).adapt([x[kept], y[kept]])
        logits = adapted.predict([x, y])
        assert not (np.argmax(logits, axis=1) == 1).any()
        loss, _ = adapted.predict_on_batch([x[~kept], y[~kept]])
        assert 36.0 < float(loss) < 37.2


@pytest.mark.parametrize("wrong", [3, -1])
def test_targets_that_are_no_class_of_a_task(wrong):
    learner = Classes()
    learner.select_task()
    x, y = learner.get_batch()
    y[0] = wrong
    learner.get_batch = lambda: [x, y]
    for algorithm in ALGORITHMS:
        with pytest.raises(ValueError, match="numbers of classes, from 0 to 2"):
            algorithm(learner, ways=3).fit(1)


def test_the_head_goes_with_what_it_was_made_from():
    learner = Classes()
    algorithm = ProtoNet(learner, ways=3)
    learner.select_task()
    algorithm.fit(1)
    algorithm.train_on_current_task()
    algorithm.predict_on_batch(learner.get_batch())
    for change in (lambda: algorithm.fit(1), algorithm.restore):
        algorithm.train_on_current_task()
        change()
        with pytest.raises(ValueError, match="needs a head"):
            algorithm.predict_on_batch(learner.get_batch())


def test_regularisation_losses_of_layers_count():
    tasks = classes(shots=2)
    support, query = tasks.sample(1, np.random.default_rng(0))
    losses = []
    for regularizer in (None, keras.regularizers.L2(0.1)):
        keras.utils.set_random_seed(0)
        layer = keras.layers.Dense(3, kernel_regularizer=regularizer)
        learner = KerasLearner(keras.Sequential([layer]), LOGITS, tasks)
        losses.append(ProtoNet(learner).meta_gradient(support, query).loss)
    assert losses[1] - losses[0] == pytest.approx(0.1 * np.sum(np.square(layer.kernel)), rel=1e-5)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_mixed_precision(algorithm):
    tasks = classes(shots=2)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "tanh", dtype="mixed_bfloat16")]
    learner = KerasLearner(keras.Sequential(layers), LOGITS, tasks)
    assert np.isfinite(algorithm(learner, meta_batch_size=2).fit(2).history["loss"]).all()


def test_embedding_of_a_layer_that_models_share():
    shared = keras.layers.Dense(8, "tanh", name="hidden")
    other = keras.Sequential([keras.Input((4,)), shared, keras.layers.Dense(2)])
    tasks = classes()
    model = keras.Sequential([shared, keras.layers.Dense(3)])
    learner = KerasLearner(model, LOGITS, tasks, embedding="hidden")
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(learner.embed(x), other.layers[0](x), rtol=1e-6)


def test_embed_gives_the_named_layers_output():
    learner = keras_learner(classes())
    x = np.ones((2, 4), "float32")
    hidden = learner.model.layers[0]
    np.testing.assert_allclose(learner.embed(x), hidden(x), rtol=1e-6)
    whole = keras_learner(classes(), embedding=None)
    np.testing.assert_allclose(whole.embed(x), whole.model(x), rtol=1e-6)
    with pytest.raises(ValueError, match="`embedding` must name a layer"):
        keras_learner(classes(), embedding="nothing")


def test_dropout_is_off_outside_meta_steps():
    tasks = classes(shots=2, queries=3)
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.5)]
    learner = KerasLearner(keras.Sequential(layers), LOGITS, tasks)
    algorithm = ProtoNet(learner, seed=0)
    support, query = tasks.sample(1, np.random.default_rng(0))
    x, y = (array[0] for array in support)
    adapted = algorithm.adapt((x, y))
    centers = np.stack([learner.embed(x)[y == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(adapted.head[0], centers, rtol=1e-5)
    one, other = (algorithm.meta_gradient(support, query).loss for _ in range(2))
    assert one == other  # the same meta-step has the same masks
    algorithm.fit(1)
    assert algorithm.meta_gradient(support, query).loss != one


def test_regression_needs_no_ways():
    dense = keras.layers.Dense
    keras.utils.set_random_seed(0)
    model = keras.Sequential([dense(16, "tanh", name="hidden"), dense(1)])
    learner = KerasLearner(model, "mse", SinusoidTasks(10, 10), metrics=["mae"], embedding="hidden")
    ridge = RidgeRegressionHead(learner, 10, keras.optimizers.Adam(0.01), seed=0)
    assert ridge.ways is None
    ridge.fit(300)
    found = ridge.evaluate(SinusoidTasks(10, 10), n_tasks=50)
    assert found.mean["loss"][0] < 2.0 and set(found.metrics) == {"mae"}


def test_head_of_the_current_task():
    learner = Classes()
    algorithm = ProtoNet(learner, ways=3)
    algorithm.fit(1)
    learner.select_task()
    with pytest.raises(ValueError, match="needs a head: call `train_on_current_task`"):
        algorithm.predict_on_batch(learner.get_batch())
    algorithm.train_on_current_task()
    query = learner.get_batch()
    loss, _ = algorithm.predict_on_batch(query)
    assert float(loss) > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bad_learners(algorithm):
    with pytest.raises(TypeError, match="have a method compute_embedding"):
        algorithm(Function([tf.Variable(1.0)], None))
    if algorithm not in (RidgeRegressionHead, GaussianProcessHead):
        with pytest.raises(ValueError, match="`ways` must be given"):
            algorithm(Sine())
    with pytest.raises(ValueError, match="`ways` must be"):
        algorithm(Classes(), ways=1)


def test_bad_embeddings():
    learner = Classes()
    learner.compute_embedding = lambda inputs, variables, training: variables[0]
    with pytest.raises(TypeError, match="`compute_embedding` must return"):
        ProtoNet(learner, ways=3).meta_gradient(*episodes(learner, 1))


# Targets that are no classes, of a learner that does not say what its batches are.


class Relabelled(Classes):
    """Classes whose labels are changed."""

    def __init__(self, change, place="both", **options):
        super().__init__(**options)
        self.change = change
        self.place = place
        self.drawn = 0

    def get_batch(self):
        x, y = super().get_batch()
        self.drawn += 1
        place = "support" if self.drawn % 2 else "query"
        wrong = self.drawn > 2 and self.place in (place, "both")
        return [x, self.change(y) if wrong else y]


HEADS = {
    "ProtoNet": metalearning.ProtoNet,
    "MatchingNet": metalearning.MatchingNet,
    "RidgeRegressionHead": metalearning.RidgeRegressionHead,
    "GaussianProcessHead": metalearning.GaussianProcessHead,
    "ProtoMAML": metalearning.ProtoMAML,
}
WRONG = {
    "from 1 on": lambda y: y + 1,
    "-1 and 1": lambda y: 2 * (y > 0).astype("int32") - 1,
    "measured": lambda y: y.astype("float32") + 4.3,
}
PLANS = [("looped", False), pytest.param(("vectorized", True), marks=pytest.mark.slow)]


@pytest.mark.parametrize(
    "wrong", ["from 1 on", *(pytest.param(w, marks=pytest.mark.slow) for w in list(WRONG)[1:])]
)
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", HEADS)
def test_labels_out_of_range_are_named(name, plan, wrong):
    """Compiled too, where an example with no class was left out in silence or gave NaN."""
    options = dict(zip(("task_execution", "jit_compile"), plan, strict=True))
    good, bad = Classes(), WRONG[wrong]

    def make(learner=good):
        return HEADS[name](learner, meta_batch_size=1, ways=3, **options)

    message = "must be the numbers of classes, from 0 to 2"
    algorithm = make()
    good.select_task()
    x, y = good.get_batch()
    adapted = algorithm.adapt([x, y])
    algorithm.train_on_current_task(1, restore=False)
    stacked = [[x[None], y[None]], [x[None], bad(y)[None]]]
    for call in (algorithm.meta_gradient, algorithm.train_on_batch):
        call(stacked[0], stacked[0])
    for call in (
        lambda: algorithm.adapt([x, bad(y)]),
        lambda: adapted.predict_on_batch([x, bad(y)]),
        lambda: algorithm.predict_on_batch([x, bad(y)]),
        lambda: algorithm.meta_gradient(*stacked),
        lambda: algorithm.meta_gradient(*stacked[::-1]),
        lambda: algorithm.train_on_batch(*stacked),
        lambda: algorithm.evaluate(Fixed(*stacked), n_tasks=1),
        lambda: algorithm.evaluate(Fixed(*stacked[::-1]), n_tasks=1),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for place in ("support", "query"):
        with pytest.raises(ValueError, match=message):
            make(Relabelled(bad, place)).fit(3)


class Fixed:
    """Always the same tasks."""

    def __init__(self, *episodes):
        self.episodes = episodes

    def sample(self, n, rng):
        return tuple([np.repeat(a, n, 0) for a in part] for part in self.episodes)


def test_as_many_targets_as_embedded_examples():
    learner = Classes()
    x, y = np.zeros((6, 2), "float32"), np.arange(6, dtype="int32") % 3
    algorithm = metalearning.ProtoNet(learner, ways=3)
    algorithm.adapt([x, y])
    for targets in (y[:4], y[0], np.tile(y, (6, 1))):
        with pytest.raises(ValueError, match="Received"):
            algorithm.adapt([x, targets])


class KeepsItsPlace(Classes):
    """A learner whose state is its selected task, as any that can be resumed has it."""

    def get_state(self):
        return {"rng": self.rng.bit_generator.state, "centers": getattr(self, "centers", None)}

    def set_state(self, state):
        self.rng.bit_generator.state = state["rng"]
        self.centers = state["centers"]


@pytest.mark.parametrize("name", HEADS)
def test_the_selected_task_stays_selected(name):
    learner = KeepsItsPlace()
    algorithm = HEADS[name](learner, meta_batch_size=1, ways=3)
    algorithm.fit(2)
    learner.select_task()
    centers = learner.centers
    algorithm.train_on_current_task(2)
    np.testing.assert_array_equal(learner.centers, centers)
    algorithm.predict_on_batch(learner.get_batch())
    np.testing.assert_array_equal(learner.centers, centers)


@pytest.mark.parametrize("algorithm", [ProtoNet, MatchingNet, RidgeRegressionHead])
def test_a_task_that_was_selected_stays(algorithm):
    """Restoring the variables for a task must not put the learner back to an earlier one."""

    class Numbered(metalearning.MetaLearner):
        def __init__(self):
            self.weight, self.task, self.put_back = tf.Variable(np.eye(3, dtype="float32")), 0, 0

        @property
        def variables(self):
            return [self.weight]

        def select_task(self):
            self.task += 1

        def get_batch(self):
            y = np.tile([0, 1], 4)
            x = np.random.default_rng(self.task).normal(size=(8, 3)) + 3 * y[:, None]
            return [x.astype("float32"), y]

        def compute_embedding(self, inputs, variables, training):
            return inputs[0] @ variables[0], inputs[1]

        def get_state(self):
            return {"task": self.task}

        def set_state(self, state):
            self.task, self.put_back = state["task"], self.put_back + 1

    learner = Numbered()
    trained = algorithm(learner, ways=2, meta_batch_size=2)
    trained.fit(4)
    learner.select_task()
    selected, learner.put_back = learner.task, 0
    trained.train_on_current_task()
    trained.predict_on_batch(learner.get_batch())
    assert (learner.task, learner.put_back) == (selected, 0)
