"""Every algorithm on the same held-out tasks after the same time of training.

    python tests/benchmarks/algorithms.py omniglot5 --data images_background.zip --out results
    python tests/benchmarks/algorithms.py sinusoid5 sinusoid10 --minutes 1 --out results
    python tests/benchmarks/algorithms.py tox21 --data tox21.csv.gz --minutes 1 --out results

The time is processor time, twice the minutes given, so that what else runs on the machine does not
count: minutes on two cores. Each result is a file in the folder ``--out``; what is there already is
not run again, so a run that was cut off goes on. The number of steps of adaptation is chosen on
tasks of the training classes (Omniglot), on training tasks (sinusoid) or on validation assays,
which also choose the checkpoint. Schedules that fall over the whole training (Reptile, MAML++) are
set for the number of meta-steps that the time allows, by a fifth of the training beforehand.
"""

import argparse
import functools
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import keras
import numpy as np

import deepchem_meta as dc
from deepchem_meta import metalearning as ml

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples"))

LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class ProcessorTime(keras.callbacks.Callback):
    """Ends the training after some minutes on two cores."""

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 120 * minutes

    def on_train_begin(self, logs=None):
        self.start, self.wall, self.steps = time.process_time(), time.monotonic(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if time.process_time() > self.start + self.seconds:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.wall = time.monotonic() - self.wall


class Pace(keras.callbacks.Callback):
    """Finds out how many meta-steps some minutes on two cores allow, by a fifth of them."""

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 120 * minutes

    def on_train_begin(self, logs=None):
        self.start, self.steps = time.process_time(), 0

    def on_train_batch_end(self, batch, logs=None):
        now = time.process_time() - self.start
        if self.steps == 0:
            self.compiled = now
        self.steps += 1
        if now > self.compiled + self.seconds / 5:
            each = (now - self.compiled) / (self.steps - 1)
            self.total = max(1, int((self.seconds - self.compiled) / each))
            self.model.stop_training = True


class Workload(NamedTuple):
    """Where the tasks come from, and what is trained on them and how."""

    train: object
    choose: object  # what the number of steps is chosen on
    test: object
    learner: object  # tasks -> learner
    algorithms: dict  # name -> learner -> algorithm
    sources: Mapping = MappingProxyType({})  # name -> another source to train on
    metric: str = "loss"
    n_tasks: int = 600
    n_choose: int = 100
    validation: Mapping = MappingProxyType({})  # arguments of fit


def maml(learner, rate, steps, tasks, cls=ml.MAML, **options):
    options = {"optimizer": keras.optimizers.Adam(1e-3), **options}
    return cls(learner, rate, steps, tasks, seed=0, **options)


def stepless(learner, tasks, cls=ml.ProtoNet, **options):
    return cls(learner, tasks, keras.optimizers.Adam(1e-3), seed=0, **options)


def maml_plus_plus(learner, rate, steps, tasks, total):
    """MAML++ with all of its parts, two of which are scaled to the whole training."""
    return ml.MAMLPlusPlus(learner, rate, steps, tasks, total_steps=total, seed=0)


def reptile(learner, total, rate=1e-3, steps=5, tasks=5):
    """Reptile with the paper's settings, whose meta-rate falls linearly."""
    falling = keras.optimizers.schedules.PolynomialDecay(1.0, total, 0.0)
    return ml.Reptile(learner, rate, steps, tasks, keras.optimizers.SGD(falling), seed=0)


SCHEDULED = (maml_plus_plus, reptile)


def omniglot(ways, arguments):
    import omniglot as example

    images, characters = example.load_images(arguments.data, arguments.out / "pictures")
    settings = argparse.Namespace(ways=ways, shots=1, queries=5)
    train, test = example.load_tasks(images, characters, settings)

    def learner(tasks):
        keras.utils.set_random_seed(0)
        model = example.make_model(tasks.ways)
        model.layers[-2].name = "embedding"
        return ml.KerasLearner(model, LOGITS, tasks, metrics=["accuracy"], embedding="embedding")

    part = functools.partial
    tasks = 8 if ways == 5 else 4
    rate, steps = (0.4, 1) if ways == 5 else (0.1, 3)
    algorithms = {
        "MAML": part(maml, rate=rate, steps=steps, tasks=tasks),
        "MAML, first order": part(maml, rate=rate, steps=steps, tasks=tasks, first_order=True),
        "ANIL": part(maml, rate=rate, steps=3, tasks=tasks, cls=ml.ANIL),
        "BOIL": part(maml, rate=rate, steps=steps, tasks=tasks, cls=ml.BOIL),
        "MetaSGD": part(maml, rate=0.1, steps=1, tasks=tasks, cls=ml.MetaSGD),
        "MAMLPlusPlus": part(maml_plus_plus, rate=0.1, steps=3, tasks=tasks),
        "ImplicitMAML": part(maml, rate=0.1, steps=10, tasks=4, cls=ml.ImplicitMAML),
        "Reptile": part(reptile),
        "ProtoMAML": part(maml, rate=0.02, steps=1, tasks=tasks, cls=ml.ProtoMAML),
        "ProtoNet": part(stepless, tasks=2),
        "MatchingNet": part(stepless, tasks=2, cls=ml.MatchingNet),
        "RidgeRegressionHead": part(stepless, tasks=2, cls=ml.RidgeRegressionHead),
        "nearest neighbour": "neighbour",
    }  # fmt: skip
    more = train.replace(ways=20)
    sources = {"Reptile": train.replace(shots=10, queries=1)}
    sources |= dict.fromkeys(("ProtoNet", "MatchingNet", "RidgeRegressionHead"), more)
    return Workload(
        train, train.replace(queries=15), test, learner, algorithms, sources, "accuracy"
    )


def sinusoid(shots, arguments):
    train = dc.tasks.SinusoidTasks(shots=shots, queries=shots)
    test = dc.tasks.SinusoidTasks(shots=shots, queries=100)

    def learner(tasks):
        keras.utils.set_random_seed(0)
        dense = keras.layers.Dense
        model = keras.Sequential([dense(40, "relu"), dense(40, "relu", name="hidden"), dense(1)])
        return ml.KerasLearner(model, "mse", tasks, embedding="hidden")

    part = functools.partial
    algorithms = {
        "MAML": part(maml, rate=0.01, steps=1, tasks=25),
        "MAML, 5 steps": part(maml, rate=0.01, steps=5, tasks=25),
        "MAML, first order": part(maml, rate=0.01, steps=1, tasks=25, first_order=True),
        "ANIL": part(maml, rate=0.01, steps=5, tasks=25, cls=ml.ANIL),
        "BOIL": part(maml, rate=0.01, steps=5, tasks=25, cls=ml.BOIL),
        "MetaSGD": part(maml, rate=0.01, steps=1, tasks=25, cls=ml.MetaSGD),
        "MAMLPlusPlus": part(maml_plus_plus, rate=0.01, steps=5, tasks=25),
        "ImplicitMAML": part(
            maml, rate=0.02, steps=10, tasks=25, cls=ml.ImplicitMAML, regularization=0.5
        ),
        "Reptile": part(reptile, rate=0.02, steps=10),
        "RidgeRegressionHead": part(stepless, tasks=25, cls=ml.RidgeRegressionHead),
        "FineTuning": part(maml, rate=(0.001, 0.01, 0.05), steps=10, tasks=25, cls=ml.FineTuning),
    }  # fmt: skip
    return Workload(train, train, test, learner, algorithms)


def assays(n_test, n_choose, arguments):
    tasks = dc.tasks.AssayTasks.from_csv(arguments.data, shots=10, on_error="drop")
    rest, test = tasks.split(test=n_test)
    train, choose = rest.split(test=n_choose)
    choose, test = choose.replace(queries="rest"), test.replace(queries="rest")

    def learner(tasks):
        keras.utils.set_random_seed(0)
        dense = functools.partial(keras.layers.Dense, kernel_initializer="he_normal")
        model = keras.Sequential([dense(512, "relu"), dense(128, "relu", name="hidden"), dense(1)])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        return ml.KerasLearner(model, loss, tasks, embedding="hidden")

    part = functools.partial
    algorithms = {
        "MAML": part(maml, rate=0.1, steps=5, tasks=8),
        "MAML, first order": part(maml, rate=0.1, steps=5, tasks=8, first_order=True),
        "ANIL": part(maml, rate=0.1, steps=5, tasks=8, cls=ml.ANIL),
        "BOIL": part(maml, rate=0.1, steps=5, tasks=8, cls=ml.BOIL),
        "MetaSGD": part(maml, rate=0.05, steps=3, tasks=8, cls=ml.MetaSGD),
        "MAMLPlusPlus": part(maml_plus_plus, rate=0.1, steps=5, tasks=8),
        "ImplicitMAML": part(maml, rate=0.1, steps=10, tasks=8, cls=ml.ImplicitMAML),
        "Reptile": part(reptile),
        "ProtoMAML": part(maml, rate=0.02, steps=3, tasks=8, cls=ml.ProtoMAML),
        "ProtoNet": part(stepless, tasks=8),
        "MatchingNet": part(stepless, tasks=8, cls=ml.MatchingNet),
        "RidgeRegressionHead": part(stepless, tasks=8, cls=ml.RidgeRegressionHead),
        "FineTuning": part(maml, rate=(0.001, 0.01, 0.1), steps=10, tasks=8, cls=ml.FineTuning),
        "random forest": "forest",
        "logistic regression": "logistic",
        "nearest neighbours": "neighbours",
    }  # fmt: skip
    validation = {
        "validation": choose,
        "validation_tasks": 5 * n_choose,
        "validation_frequency": 50,
        "save_best": "val_roc_auc",
    }
    return Workload(
        train, choose, test, learner, algorithms, {}, "roc_auc", 20 * n_test, 10 * n_choose,
        validation,
    )  # fmt: skip


WORKLOADS = {
    "omniglot5": functools.partial(omniglot, 5),
    "omniglot20": functools.partial(omniglot, 20),
    "sinusoid5": functools.partial(sinusoid, 5),
    "sinusoid10": functools.partial(sinusoid, 10),
    "tox21": functools.partial(assays, 3, 2),
    "sider": functools.partial(assays, 6, 4),
}


def estimator(kind):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    found = {
        "forest": RandomForestClassifier(n_estimators=200, random_state=0),
        "logistic": LogisticRegression(max_iter=1000),
        "neighbours": KNeighborsClassifier(5),
        "neighbour": KNeighborsClassifier(1),
    }[kind]
    return dc.evaluation.EstimatorBaseline(found)


def steps_to_try(algorithm):
    """Return the numbers of steps of adaptation to choose from."""
    trained = algorithm.optimization_steps
    more = (50,) if isinstance(algorithm, ml.Reptile) else ()
    return sorted({trained, 2 * trained, *more} - {0}) or [0]


def best_steps(evaluation, metric):
    mean = {**evaluation.mean}[metric]
    pick = np.argmin if metric == "loss" else np.argmax
    return evaluation.optimization_steps[int(pick(mean))]


def run(workload, name, arguments):
    """Train one algorithm, choose its steps, test it, and return what is to be kept."""
    make = workload.algorithms[name]
    if isinstance(make, str):
        baseline = estimator(make)
        result = baseline.evaluate(workload.test, n_tasks=workload.n_tasks, seed=1)
        return {"steps": 0, "meta_steps": 0, "seconds": 0.0, "result": result.to_dict()}
    source = workload.sources.get(name, workload.train)
    if make.func in SCHEDULED:
        pace = Pace(arguments.minutes)
        trial = make(workload.learner(source), total=10**4)
        trial.fit(10**6, callbacks=[pace], verbose=0, **workload.validation)
        make = functools.partial(make, total=pace.total)
    algorithm = make(workload.learner(source))
    clock = ProcessorTime(arguments.minutes)
    begin = time.monotonic()
    algorithm.fit(10**6, callbacks=[clock], verbose=0, **workload.validation)
    if workload.validation:
        algorithm.restore(best=True)
    trained = time.monotonic()
    tries = steps_to_try(algorithm)
    found = algorithm.evaluate(
        workload.choose, n_tasks=workload.n_choose, optimization_steps=tries, seed=2
    )
    steps = best_steps(found, workload.metric)
    result = algorithm.evaluate(
        workload.test, n_tasks=workload.n_tasks, optimization_steps=(steps,), seed=1
    )
    print(f"{name}: trained {trained - begin:.0f} s, evaluated {time.monotonic() - trained:.0f} s")
    return {
        "steps": steps,
        "meta_steps": clock.steps,
        "seconds": clock.wall,
        "result": result.to_dict(),
    }


def print_table(name, metric, kept):
    print(f"\n{name}: {metric} after as much time for each, mean ± 95% interval over ", end="")
    first = next(iter(kept.values()))["result"]
    print(f"{first['unit']} ({first['n_tasks']} tasks)")
    print(f"{'':24}{metric:>18}{'adaptation steps':>18}{'meta-steps':>12}{'seconds':>9}")
    order = sorted(kept.items(), key=lambda item: item[1]["result"]["mean"][metric][0])
    for algorithm, one in order if metric == "loss" else reversed(order):
        mean, half = (one["result"][key][metric][0] for key in ("mean", "ci95"))
        digits, factor = (3, 1) if metric == "loss" else (1, 100)
        cell = f"{factor * mean:.{digits}f} ± {factor * half:.{digits}f}"
        print(
            f"{algorithm:24}{cell:>18}{one['steps']:>18}{one['meta_steps']:>12}"
            f"{one['seconds']:>9.0f}"
        )


def main(argv=None):
    parser = argparse.ArgumentParser(description="Compare all algorithms.")
    parser.add_argument("workloads", nargs="+", choices=sorted(WORKLOADS))
    parser.add_argument("--algorithms", nargs="*", help="some of them (default: all)")
    parser.add_argument("--data", type=Path, help="of Omniglot, Tox21 or SIDER")
    parser.add_argument("--minutes", type=float, default=4, help="on two cores (%(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.workloads:
        workload = WORKLOADS[name](arguments)
        kept = {}
        for algorithm in arguments.algorithms or workload.algorithms:
            path = arguments.out / f"{name}-{algorithm.replace(' ', '_')}.json"
            if not path.exists():
                found = run(workload, algorithm, arguments)
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(found))
                partial.replace(path)
                print(name, algorithm, found["result"]["mean"], flush=True)
            kept[algorithm] = json.loads(path.read_text())
        print_table(name, workload.metric, kept)


if __name__ == "__main__":
    main()
