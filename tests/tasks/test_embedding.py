"""Sources over embeddings, against the model's own outputs."""

import keras
import numpy as np
import pytest
from keras import layers

import deepchem_meta as dc
from deepchem_meta.tasks import AssayTasks, FewShotClassificationTasks, GroupedTasks, embed

RNG = np.random.default_rng(0)
PICTURES = RNG.random((60, 6, 6, 1)).astype("float32")
LABELS = np.repeat(["ant", "bee", "cat", "dog", "elk", "fox"], 10)


def backbone(inputs=(6, 6, 1)):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(inputs), layers.Flatten(), layers.Dense(4, "tanh")])


def test_classes_keep_their_settings_and_any_algorithm_runs():
    model = backbone()
    tasks = FewShotClassificationTasks(PICTURES, LABELS, ways=3, shots=2, queries=4)
    embedded = embed(model, tasks, batch_size=7)
    np.testing.assert_allclose(embedded.x, model.predict(PICTURES, verbose=0), rtol=1e-6)
    assert (embedded.ways, embedded.shots, embedded.class_names) == (3, 2, tasks.class_names)
    drawn, wanted = (one.sample(4, np.random.default_rng(1)) for one in (embedded, tasks))
    for (x, y), (pictures, labels) in zip(drawn, wanted, strict=True):
        np.testing.assert_array_equal(y, labels)
        flat = model.predict(pictures.reshape(-1, 6, 6, 1), verbose=0)
        np.testing.assert_allclose(x.reshape(-1, 4), flat, rtol=1e-5, atol=1e-6)
    train, test = embedded.split(test=3)
    assert train.classes == test.classes == 3
    head = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = dc.metalearning.KerasLearner(head, loss, embedded)
    for algorithm in (dc.metalearning.ProtoNet, dc.metalearning.MAML):
        algorithm(learner, meta_batch_size=2, jit_compile=False).fit(1)


def test_pictures_of_a_folder_are_scaled_as_in_their_tasks(tmp_path):
    for label in "abc":
        (tmp_path / label).mkdir()
        for number in range(4):
            picture = RNG.integers(0, 256, (6, 6, 1))
            keras.utils.save_img(tmp_path / label / f"{number}.png", picture, scale=False)
    options = {"image_size": (6, 6), "color_mode": "grayscale", "ways": 2, "queries": 2}
    tasks = FewShotClassificationTasks.from_directory(tmp_path, **options)
    model = backbone()
    (x, _), _ = embed(model, tasks).sample(3, np.random.default_rng(0))
    (pictures, _), _ = tasks.sample(3, np.random.default_rng(0))
    wanted = model.predict(pictures.reshape(-1, 6, 6, 1), verbose=0)
    np.testing.assert_allclose(x.reshape(-1, 4), wanted, rtol=1e-5, atol=1e-6)


def test_groups_and_assays():
    x = RNG.normal(size=(60, 5)).astype("float32")
    model = backbone((5,))
    wanted = model.predict(x, verbose=0)
    groups = GroupedTasks(x, x[:, 0], np.repeat(list("abc"), 20), shots=4)
    np.testing.assert_allclose(embed(model, groups).x, wanted, rtol=1e-6)
    assert embed(model, groups).names == groups.names
    assays = AssayTasks(x, (x[:, :3] > 0).astype(float), shots=4, queries=4)
    embedded = embed(model, assays)
    np.testing.assert_allclose(embedded.x, wanted, rtol=1e-6)
    np.testing.assert_array_equal(embedded.y, assays.y)
    assert embedded.names == assays.names and embedded.shots == 4


def test_several_inputs():
    a, b = keras.Input((5,), name="a"), keras.Input((1,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Concatenate()([a, b]))
    x = {"a": RNG.normal(size=(60, 5)).astype("float32"), "b": np.arange(60.0)[:, np.newaxis]}
    embedded = embed(model, FewShotClassificationTasks(x, LABELS, queries=4))
    np.testing.assert_allclose(embedded.x, np.concatenate([x["a"], x["b"]], axis=1), rtol=1e-6)


def test_what_cannot_be_embedded():
    with pytest.raises(TypeError, match="`map` the elements.*Received: SinusoidTasks"):
        embed(backbone(), dc.tasks.SinusoidTasks())
    tasks = FewShotClassificationTasks(PICTURES, LABELS, queries=4, rotations=True)
    with pytest.raises(ValueError, match="must not have rotations"):
        embed(backbone(), tasks)
    tasks = FewShotClassificationTasks(PICTURES, LABELS, queries=4)
    mean = keras.Sequential([keras.Input((6, 6, 1)), layers.Flatten()])
    mean.predict_on_batch = lambda batch: np.zeros(3)
    with pytest.raises(ValueError, match="`model` must return a row for each example"):
        embed(mean, tasks)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        embed(backbone(), tasks, batch_size=0)


def test_keras_applications():
    """The recipe of the documentation, with weights that are not downloaded."""
    inputs = keras.Input((32, 32, 3))
    net = keras.applications.MobileNetV2(
        (32, 32, 3), include_top=False, weights=None, pooling="avg"
    )
    scaled = layers.Rescaling(2.0, offset=-1.0)(inputs)
    model = keras.Model(inputs, net(scaled, training=False))
    x = RNG.random((12, 32, 32, 3)).astype("float32")
    tasks = FewShotClassificationTasks(x, np.repeat([0, 1], 6), ways=2, queries=3)
    embedded = embed(model, tasks)
    assert embedded.x.shape == (12, 1280)
