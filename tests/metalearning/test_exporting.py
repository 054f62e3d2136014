"""SavedModels of adaptation and prediction, and Keras models of adapted tasks."""

import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from awkward import ALGORITHMS
from keras import layers
from learners import Quadratic

import deepchem_meta as dc
from deepchem_meta.engine.tracing import TracedOrEager
from deepchem_meta.metalearning import (
    MAML,
    GaussianProcessHead,
    KerasLearner,
    MatchingNet,
    ProtoMAML,
    ProtoNet,
)
from deepchem_meta.metalearning import RidgeRegressionHead as Ridge

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation", "ignore:.*np.object:FutureWarning"
)
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 4)).astype("float32")
Y = RNG.permutation(np.arange(23) % 3).astype("int64")
QUERY = RNG.normal(size=(7, 4)).astype("float32")
PLAIN = {"task_execution": "looped", "jit_compile": False}


def learner(loss=LOGITS, outputs=3, activation=None, dtype=None, **options):
    keras.utils.set_random_seed(0)
    parts = [keras.Input((4,)), layers.Dense(5, "tanh"), layers.Dropout(0.3)]
    if options.get("batch_norm"):
        parts.append(layers.BatchNormalization())
    last = [layers.Dense(6, "tanh", name="hidden"), layers.Dense(outputs, activation)]
    model = keras.Sequential([*parts, *last])
    return KerasLearner(model, loss, **{"embedding": "hidden", **options})


def algorithm(name, learner, **options):
    rates = {"FineTuning": ([0.1],), "ImplicitMAML": (0.1, 3)}.get(name, ())
    heads = ("ProtoNet", "MatchingNet", "ProtoMAML", "RidgeRegressionHead", "GaussianProcessHead")
    ways = {"ways": 3} if name in heads else {}
    return ALGORITHMS[name](learner, *rates, **ways, **PLAIN, **options)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_is_exported_gives_what_the_algorithm_gives(name, tmp_path):
    made = algorithm(name, learner(batch_norm="support"))
    made.export(tmp_path / "served")
    loaded = tf.saved_model.load(tmp_path / "served")
    serve = loaded.signatures["adapt_and_predict"]
    for examples in (5, 23):
        wanted = made.adapt((X[:examples], Y[:examples])).predict(QUERY)
        arrays = {"support_x": X[:examples], "support_y": Y[:examples], "query_x": QUERY}
        tensors = {key: tf.constant(array) for key, array in arrays.items()}
        np.testing.assert_allclose(serve(**tensors)["outputs"], wanted, rtol=1e-4, atol=1e-5)
        direct = loaded.adapt_and_predict(*tensors.values())["outputs"]
        np.testing.assert_allclose(direct, wanted, rtol=1e-4, atol=1e-5)
    assert ("adapt" in loaded.signatures) == made.adapts_in_steps
    if made.adapts_in_steps:
        values = loaded.signatures["adapt"](support_x=tf.constant(X), support_y=tf.constant(Y))
        adapted = made.adapt((X, Y))
        path = made.learner.variables[0].path.replace("/", "_")
        np.testing.assert_allclose(values[path], adapted.variables[0], rtol=1e-4, atol=1e-6)


def test_it_is_a_copy_with_the_steps_asked_for(tmp_path):
    made = algorithm("MAML", learner())
    wanted = made.adapt((X, Y), optimization_steps=3).predict(QUERY)
    made.export(tmp_path / "served", optimization_steps=3)
    for variable in made.learner.variables:
        variable.assign(0 * variable)
    loaded = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(
        loaded.adapt_and_predict(X, Y, QUERY)["outputs"], wanted, rtol=1e-4, atol=1e-5
    )


def test_several_inputs_and_outputs_have_names(tmp_path):
    keras.utils.set_random_seed(0)
    a, b = keras.Input((4,), name="a"), keras.Input((None, 2), name="b")
    joined = layers.Concatenate()([a, layers.GlobalAveragePooling1D()(b)])
    model = keras.Model({"a": a, "b": b}, {"p": layers.Dense(1)(joined), "q": layers.Dense(2)(a)})
    maml = MAML(KerasLearner(model, "mse"), 0.1, 2, **PLAIN)
    maml.export(tmp_path / "served")
    serve = tf.saved_model.load(tmp_path / "served").signatures["adapt_and_predict"]
    x = {"a": X, "b": RNG.normal(size=(23, 3, 2)).astype("float32")}
    y = {"p": X[:, :1], "q": X[:, :2]}
    wanted = maml.adapt((x, y)).predict(x)
    flat = {f"{part}_x_{key}": array for part in ("support", "query") for key, array in x.items()}
    flat |= {f"support_y_{key}": array for key, array in y.items()}
    found = serve(**{key: tf.constant(array) for key, array in flat.items()})
    for key, array in wanted.items():
        np.testing.assert_allclose(found[f"outputs_{key}"], array, rtol=1e-4, atol=1e-5)


def test_it_needs_tensorflow_alone(tmp_path):
    made = algorithm("MAML", learner(batch_norm="support"))
    made.export(tmp_path / "served")
    wanted = np.stack([made.adapt((X[:n], Y[:n])).predict(QUERY) for n in (5, 23)])
    np.savez(tmp_path / "case.npz", x=X, y=Y, query=QUERY, wanted=wanted)
    program = textwrap.dedent(
        """
        import sys
        sys.modules["deepchem_meta"] = sys.modules["keras"] = None  # importing them fails
        import numpy as np
        import tensorflow as tf

        case = np.load("case.npz")
        serve = tf.saved_model.load("served").signatures["adapt_and_predict"]
        for count, wanted in zip((5, 23), case["wanted"], strict=True):
            arrays = {"support_x": case["x"][:count], "support_y": case["y"][:count]}
            tensors = {key: tf.constant(array) for key, array in arrays.items()}
            found = serve(query_x=tf.constant(case["query"]), **tensors)["outputs"]
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        """
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_what_cannot_be_exported(tmp_path):
    made = algorithm("MAML", learner())
    with pytest.raises(ValueError, match=r"`format` must be 'tf_saved_model'.*to_model"):
        made.export(tmp_path / "a", format="onnx")
    with pytest.raises(TypeError, match="`export` needs a KerasLearner.*Received: Quadratic"):
        MAML(Quadratic(), **PLAIN).export(tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(ValueError, match="`path` must be a new folder, or one with a SavedModel"):
        made.export(tmp_path / "full")
    with pytest.raises(TypeError, match="`path` must be a path"):
        made.export(None)
    with pytest.raises(ValueError, match="`optimization_steps` must be at least 0"):
        made.export(tmp_path / "a", optimization_steps=-1)

    eager = KerasLearner(keras.Sequential([keras.Input((4,)), layers.Dense(3)]), LOGITS)
    eager.model.layers[0].call = lambda x: x.numpy()
    with pytest.raises(TypeError, match="`export` needs a model that TensorFlow can trace"):
        MAML(eager, **PLAIN).export(tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
    made.export(tmp_path / "a")
    made.export(tmp_path / "a")  # is replaced
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "full"]


HEADS = {
    "ProtoNet": lambda learner, **o: ProtoNet(learner, **o),
    "cosine": lambda learner, **o: ProtoNet(learner, distance="cosine", **o),
    "mahalanobis": lambda learner, **o: ProtoNet(learner, distance="mahalanobis", **o),
    "MatchingNet": lambda learner, **o: MatchingNet(learner, **o),
    "sharp": lambda learner, **o: MatchingNet(learner, temperature=300.0, **o),
    "Ridge": lambda learner, **o: Ridge(learner, **o),
    "process": lambda learner, **o: GaussianProcessHead(learner, **o),
    "ProtoMAML": lambda learner, **o: ProtoMAML(learner, 0.1, 3, **o),
}
BINARY = keras.losses.BinaryCrossentropy(from_logits=True)
FORMS = {
    "classes": ({}, 3, Y),
    "absent": ({}, 3, Y % 2),
    "probabilities": ({"loss": "sparse_categorical_crossentropy", "activation": "softmax"}, 3, Y),
    "one output": ({"loss": BINARY, "outputs": 1}, 2, Y % 2),
    "one probability": (
        {"loss": "binary_crossentropy", "outputs": 1, "activation": "sigmoid"},
        2,
        Y % 2,
    ),
    "support": ({"batch_norm": "support"}, 3, Y),
    "outputs": ({"embedding": None}, 3, Y),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("head", HEADS)
def test_heads_are_plain_keras_models(head, form, tmp_path):
    options, ways, y = FORMS[form]
    adapted = HEADS[head](learner(**options), ways=ways, **PLAIN).adapt((X, y))
    wanted, model = adapted.predict(QUERY), adapted.to_model()
    np.testing.assert_allclose(model.predict(QUERY, verbose=0), wanted, rtol=1e-3, atol=2e-5)
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    np.testing.assert_allclose(again.predict(QUERY, verbose=0), wanted, rtol=1e-3, atol=2e-5)


def test_linear_heads_are_dense_layers():
    for head in ("ProtoNet", "cosine", "Ridge", "ProtoMAML"):
        model = HEADS[head](learner(), ways=3, **PLAIN).adapt((X, Y)).to_model()
        assert [type(one) for one in model.layers].count(layers.Dense) == 1, head
        assert not any(isinstance(one, layers.Lambda) for one in model._flatten_layers())


def test_regression_and_pictures():
    ridge = Ridge(learner("mse", 2), **PLAIN).adapt((X, X[:, :2]))
    np.testing.assert_allclose(
        ridge.to_model().predict(QUERY, verbose=0), ridge.predict(QUERY), rtol=1e-3, atol=1e-5
    )
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(2, 3), layers.Conv2D(3, 3)])
    pictures = RNG.normal(size=(9, 6, 6, 1)).astype("float32")
    proto = ProtoNet(KerasLearner(model, "mse"), ways=3, **PLAIN).adapt((pictures, Y[:9]))
    np.testing.assert_allclose(
        proto.to_model().predict(pictures, verbose=0), proto.predict(pictures), rtol=1e-3, atol=1e-4
    )


def test_a_head_of_ones_own_says_what_is_missing():
    class Own(ProtoNet):
        head_layers = dc.metalearning.EmbeddingAlgorithm.head_layers

    with pytest.raises(TypeError, match="implement `head_layers`.*Received: a Own"):
        Own(learner(), ways=3, **PLAIN).adapt((X, Y)).to_model()


def run_onnx(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def run_litert(path, x):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(path))
    (given,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(output["index"])


@pytest.mark.parametrize("head", [*HEADS, "MAML"])
@pytest.mark.parametrize(
    ("format", "end", "run"), [("onnx", "onnx", run_onnx), ("litert", "tflite", run_litert)]
)
def test_other_formats(head, format, end, run, tmp_path):
    pytest.importorskip("tf2onnx" if format == "onnx" else "ai_edge_litert")
    made = HEADS[head](learner(), ways=3, **PLAIN) if head in HEADS else MAML(learner(), 0.1, 2)
    adapted = made.adapt((X, Y))
    path = tmp_path / f"model.{end}"
    adapted.to_model().export(path, format=format, verbose=False)
    np.testing.assert_allclose(run(path, QUERY), adapted.predict(QUERY), rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("mode", ["support", "transductive", "running"])
@pytest.mark.parametrize("name", ["MAML", "ProtoNet", "ProtoMAML", "RidgeRegressionHead"])
def test_a_new_number_of_examples_needs_no_trace_from_the_second_on(name, mode, monkeypatch):
    traced = []
    trace = TracedOrEager._concrete
    monkeypatch.setattr(
        TracedOrEager, "_concrete", lambda *args: [traced.append(args), trace(*args)][1]
    )
    made = algorithm(name, learner(batch_norm=mode))
    counts = []
    for examples in (5, 23, 7, 20, 3):
        made.adapt((X[:examples], Y[:examples])).predict(X[:examples])
        counts.append(len(traced))
    assert counts == [2, 4, 4, 4, 4]
