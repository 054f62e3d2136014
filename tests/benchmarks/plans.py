"""The plan that `task_execution="auto"` chooses, beside every plan that can be asked for.

    python tests/benchmarks/plans.py --out results
    python tests/benchmarks/plans.py --out results --algorithms MAML --models "LSTM" "attention"

The time of a meta-step of 8 tasks of 5 classes, 5 shots and 5 queries. All plans take turns in one
process; the figures are medians over rounds. MAML runs on every model, and an algorithm of each
other kind on some. A result is a file in the folder ``--out``; what is there already is not run
again. The last column is the time of "auto" over that of the fastest plan.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from deepchem_meta import metalearning as ml
from deepchem_meta.tasks import FewShotClassificationTasks

WAYS = 5
PLANS = {
    "auto": {},
    "looped": {"task_execution": "looped", "jit_compile": False},
    "looped, XLA": {"task_execution": "looped", "jit_compile": True},
    "vectorized": {"task_execution": "vectorized", "jit_compile": False},
    "vectorized, XLA": {"task_execution": "vectorized", "jit_compile": True},
}
ROUNDS = 5
SECONDS_A_TURN = 0.4


def dense(*sizes):
    def make():
        hidden = [keras.layers.Dense(size, "relu") for size in sizes[1:]]
        return keras.Sequential([keras.Input(sizes[:1]), *hidden, keras.layers.Dense(WAYS)])

    return make


def conv():
    layers = [keras.Input((28, 28, 1))]
    for _ in range(4):
        layers += [
            keras.layers.Conv2D(64, 3, strides=2, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(WAYS)])


def lstm():
    return keras.Sequential([keras.Input((20, 8)), keras.layers.LSTM(32), keras.layers.Dense(WAYS)])


def attention():
    x = inputs = keras.Input((20, 16))
    x = keras.layers.LayerNormalization()(x + keras.layers.MultiHeadAttention(2, 8)(x, x))
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(32, "relu")(x))
    return keras.Model(inputs, keras.layers.Dense(WAYS)(x))


def embedding():
    inputs = keras.Input((20,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(200, 32)(inputs))
    x = keras.layers.Dense(32, "relu")(x)
    return keras.Model(inputs, keras.layers.Dense(WAYS)(x))


MODELS = {
    "dense, 9 kB": dense(16, 40, 40),
    "dense, 67 kB": dense(64, 128, 64),
    "dense, 0.4 MB": dense(256, 256, 128),
    "dense, 2 MB": dense(1024, 512),
    "dense, 9 MB": dense(2048, 1024, 256),
    "dense, 21 MB": dense(2048, 2048, 512),
    "convolutions": conv,
    "LSTM": lstm,
    "attention": attention,
    "embedding": embedding,
}
SOME = ("dense, 9 kB", "dense, 0.4 MB", "convolutions")


def maml(cls=ml.MAML, **options):
    return lambda learner, plan: cls(learner, 0.01, 3, 8, seed=0, **options, **plan)


def head(cls):
    return lambda learner, plan: cls(learner, 8, seed=0, **plan)


ALGORITHMS = {
    "MAML": maml(),
    "MAML, first order": maml(first_order=True),
    "MetaSGD": maml(ml.MetaSGD),
    "ImplicitMAML": maml(ml.ImplicitMAML),
    "Reptile": maml(ml.Reptile),
    "ProtoNet": head(ml.ProtoNet),
    "RidgeRegressionHead": head(ml.RidgeRegressionHead),
}


def tasks_for(model):
    """Return tasks of random examples such as the model takes."""
    rng = np.random.default_rng(0)
    (inputs,) = model.inputs
    shape, words = (200, *inputs.shape[1:]), "int" in str(inputs.dtype)
    x = rng.integers(0, 200, shape) if words else rng.normal(size=shape).astype("float32")
    return FewShotClassificationTasks(x, np.arange(200) % 20, ways=WAYS, shots=5, queries=5)


def make(model_name, algorithm_name, plan):
    keras.utils.set_random_seed(0)
    model = MODELS[model_name]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = ml.KerasLearner(model, loss, tasks_for(model), embedding=model.layers[-2].name)
    return ALGORITHMS[algorithm_name](learner, plan)


def prepared(model_name, algorithm_name):
    """Return by plan an algorithm that has compiled, and the meta-steps of a turn."""
    found = {}
    for name, plan in PLANS.items():
        try:
            algorithm = make(model_name, algorithm_name, plan)
            algorithm.fit(4, verbose=0)
        except Exception as error:  # a plan that cannot be had
            if name == "auto":
                raise
            print(f"{model_name}, {algorithm_name}, {name}: {type(error).__name__}", flush=True)
            continue
        begin = time.perf_counter()
        algorithm.fit(4, verbose=0)
        each = (time.perf_counter() - begin) / 4
        found[name] = algorithm, max(2, int(SECONDS_A_TURN / each))
    return found


def measure(model_name, algorithm_name):
    """Return the median time of a meta-step by plan, in ms."""
    contestants = prepared(model_name, algorithm_name)
    times = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, (algorithm, steps) in contestants.items():
            begin = time.perf_counter()
            algorithm.fit(steps, verbose=0)
            times[name].append(1e3 * (time.perf_counter() - begin) / steps)
    return {name: statistics.median(some) for name, some in times.items()}


def print_table(results):
    print("| algorithm | model | " + " | ".join(PLANS) + " | auto / fastest |")
    print("|---" * (len(PLANS) + 3) + "|")
    worst = 0.0
    for (algorithm, model), times in results.items():
        cells = [f"{times[name]:.3g}" if name in times else "" for name in PLANS]
        ratio = times["auto"] / min(times.values())
        worst = max(worst, ratio)
        print(f"| {algorithm} | {model} | " + " | ".join(cells) + f" | {ratio:.2f} |")
    print(f"\nThe worst ratio: {worst:.2f}")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Compare the plans of a meta-step.")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--algorithms", nargs="+", choices=list(ALGORITHMS), default=ALGORITHMS)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=MODELS)
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for algorithm in arguments.algorithms:
        for model in arguments.models:
            if algorithm != "MAML" and model not in SOME:
                continue
            label = "".join(c if c.isalnum() else "_" for c in f"{algorithm}-{model}")
            path = arguments.out / f"{label}.json"
            if not path.exists():
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(measure(model, algorithm)))
                partial.replace(path)
            results[algorithm, model] = json.loads(path.read_text())
            keras.backend.clear_session()
    print_table(results)


if __name__ == "__main__":
    main()
