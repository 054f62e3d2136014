"""Every algorithm on the same held-out tasks after the same time of training.

    python tests/benchmarks/algorithms.py omniglot5 --data images_background.zip --out results
    python tests/benchmarks/algorithms.py sinusoid5 sinusoid10 --minutes 1 --out results
    python tests/benchmarks/algorithms.py tox21 --data tox21.csv.gz --minutes 1 --out results

The time is processor time, twice the minutes given, so that what else runs on the machine does not
count: minutes on two cores. Each result is a file in the folder ``--out``; what is there already is
not run again, so a run that was cut off goes on.

The number of steps of adaptation is chosen on tasks of the training classes (Omniglot), on training
tasks (sinusoid) or on validation assays. These choose the number of meta-steps too, which are then
taken on all assays but those of the test; what Keras trains stops by itself. Schedules that fall
over the whole training (Reptile, MAML++) are set for the number of meta-steps that the time allows,
by a fifth of the training beforehand.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import keras
import numpy as np
from few_shot import PRETRAINED, SCHEDULED, UNTRAINED, WORKLOADS

from deepchem_meta import metalearning as ml


class ProcessorTime(keras.callbacks.Callback):
    """Ends the training after some minutes on two cores."""

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 120 * minutes

    def on_train_begin(self, logs=None):
        self.start, self.steps = time.process_time(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps = int(self.model.optimizer.iterations)  # a call takes many
        if time.process_time() > self.start + self.seconds:
            self.model.stop_training = True


class Pace(keras.callbacks.Callback):
    """Ends the training after a fifth of the time, not counting the first call, which compiles."""

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 120 * minutes

    def on_train_begin(self, logs=None):
        self.start, self.compiled = time.process_time(), None

    def on_train_batch_end(self, batch, logs=None):
        steps, now = int(self.model.optimizer.iterations), time.process_time() - self.start
        if self.compiled is None:
            self.compiled, self.first = now, steps
        elif now > self.compiled + self.seconds / 5:
            each = (now - self.compiled) / (steps - self.first)
            self.total = max(1, int((self.seconds - self.compiled) / each))
            self.model.stop_training = True


def count_steps(workload, make, source, minutes):
    """Return about how many meta-steps the time allows, by taking some."""
    pace = Pace(minutes)
    algorithm = make(workload.make_learner(source), total=10**4)
    algorithm.fit(10**6, callbacks=[pace], verbose=0, **workload.validation)
    return pace.total


def metalearn(workload, make, source, clock):
    """Return an algorithm trained until the clock stops it, and the meta-steps it took.

    With validation it is as it was at its best, after so many meta-steps.
    """
    algorithm = make(workload.make_learner(source))
    history = algorithm.fit(10**6, callbacks=[clock], verbose=0, **workload.validation).history
    if not workload.validation:
        return algorithm, clock.steps
    algorithm.restore(best=True)
    epochs = 1 + int(np.argmax(history[workload.validation["save_best"]]))
    return algorithm, min(clock.steps, epochs * workload.validation["steps_per_epoch"])


def train_body(workload, make, source, clock):
    """Return an algorithm whose body was trained by Keras, and the steps that took.

    The body had a head for all classes or assays that are known. A tenth of the examples says when
    to stop, if the clock does not before.
    """
    learner = workload.make_learner(source)
    x, y, weights = workload.pooled(source)
    rows = np.random.default_rng(0).permutation(len(x))
    weights = None if weights is None else weights[rows]
    outputs = y.shape[1:] if y.ndim > 1 else (int(y.max()) + 1,)
    heads = [keras.layers.Dense(int(np.prod(outputs))), keras.layers.Reshape(outputs)]
    known = keras.Sequential([*learner.model.layers[:-1], *heads])
    known.compile(keras.optimizers.Adam(1e-3), workload.loss)
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    known.fit(
        x[rows],
        y[rows],
        sample_weight=weights,
        batch_size=128,
        epochs=10**6,
        validation_split=0.1,
        callbacks=[clock, stop],
        verbose=0,
    )
    algorithm = make(learner)
    if isinstance(algorithm, ml.FineTuning):
        algorithm.choose_rate(workload.choose, workload.n_choose, metric=workload.metric)
    return algorithm, clock.steps


def choose_steps(workload, algorithm):
    """Return the number of steps of adaptation that does best where choices are made."""
    trained = algorithm.optimization_steps
    more = (50,) if isinstance(algorithm, ml.Reptile) else ()
    found = algorithm.evaluate(
        workload.choose,
        n_tasks=workload.n_choose,
        optimization_steps=sorted({trained, 2 * trained, *more} - {0}) or [0],
        seed=2,
    )
    best = np.nanargmin if workload.metric == "loss" else np.nanargmax
    return found.optimization_steps[int(best(found.mean[workload.metric]))]


def retrain(workload, make, chosen, steps):
    """Return what was chosen, trained anew on the tasks that choices were made on as well."""
    if make.func in PRETRAINED:
        algorithm, _ = train_body(workload, make, workload.final, ProcessorTime(10**6))
    else:
        algorithm = make(workload.make_learner(workload.final))
        algorithm.fit(steps, verbose=0)
    if isinstance(chosen, ml.FineTuning):
        algorithm.learning_rate = chosen.learning_rate
    return algorithm


def run(workload, name, minutes):
    """Train one algorithm, make its choices, test it, and return what is to be kept."""
    make, clock = workload.algorithms[name], ProcessorTime(minutes)
    begin = time.monotonic()
    if make.func in UNTRAINED:
        algorithm, steps, taken = make(), 0, 0
    else:
        source = workload.sources.get(name, workload.train)
        if make.func in SCHEDULED:
            make = functools.partial(make, total=count_steps(workload, make, source, minutes))
        train = train_body if make.func in PRETRAINED else metalearn
        algorithm, taken = train(workload, make, source, clock)
        steps = choose_steps(workload, algorithm)
        if workload.final is not None:
            algorithm = retrain(workload, make, algorithm, taken)
    result = algorithm.evaluate(
        workload.test, n_tasks=workload.n_tasks, optimization_steps=(steps,), seed=1
    )
    seconds = time.monotonic() - begin
    return {"steps": steps, "meta_steps": taken, "seconds": seconds, "result": result.to_dict()}


def print_table(name, metric, kept):
    print(f"\n{name}: {metric} after as much time for each, mean ± 95% interval over ", end="")
    first = next(iter(kept.values()))["result"]
    print(f"{first['unit']} ({first['n_tasks']} tasks)")
    print(f"{'':32}{metric:>18}{'adaptation steps':>18}{'meta-steps':>12}{'seconds':>9}")
    order = sorted(kept.items(), key=lambda item: item[1]["result"]["mean"][metric][0])
    for algorithm, one in order if metric == "loss" else reversed(order):
        mean, half = (one["result"][key][metric][0] for key in ("mean", "ci95"))
        digits, factor = (3, 1) if metric == "loss" else (1, 100)
        cell = f"{factor * mean:.{digits}f} ± {factor * half:.{digits}f}"
        print(
            f"{algorithm:32}{cell:>18}{one['steps']:>18}{one['meta_steps']:>12}"
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
                found = run(workload, algorithm, arguments.minutes)
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(found))
                partial.replace(path)
                print(name, algorithm, found["result"]["mean"], flush=True)
            kept[algorithm] = json.loads(path.read_text())
        print_table(name, workload.metric, kept)


if __name__ == "__main__":
    main()
