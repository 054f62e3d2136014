"""Time of a meta-step of each algorithm, and memory over the number of inner steps.

    python tests/benchmarks/inner_steps.py time
    python tests/benchmarks/inner_steps.py memory

The first prints the time of a meta-step over MAML's, of two workloads: sinusoids (25 tasks of 10
points, a net of 40-40-1) and classes of vectors (8 tasks of 5 ways and 5 shots, a net of
2048-256-64-5); all algorithms take turns in one process, medians over the rounds. The second runs
each setting in a process of its own and prints its largest resident memory, less that of a process
which takes no inner step: 4 tasks of 2,048 examples of 256 numbers through three dense layers.
"""

import argparse
import functools
import resource
import subprocess
import sys
import time

import keras
import numpy as np

import deepchem_meta as dc
from deepchem_meta import metalearning as ml

STEPS = (1, 5, 20, 50)


class Constant:
    """A source that gives the same tasks again and again, which costs nothing."""

    def __init__(self, x, y, ways=None):
        self.episodes, self.ways = ((x, y), (x, y)), ways

    def sample(self, n, rng):
        support, query = self.episodes
        return tuple(tuple(np.repeat(a[:1], n, axis=0) for a in part) for part in (support, query))


def sinusoids():
    tasks = dc.tasks.SinusoidTasks(shots=10, queries=10)
    dense = keras.layers.Dense
    model = keras.Sequential([dense(40, "relu"), dense(40, "relu", name="hidden"), dense(1)])
    return ml.KerasLearner(model, "mse", tasks, embedding="hidden"), 25, 5


def vectors():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 20)
    x = rng.normal(size=(len(labels), 2048)).astype("float32")
    tasks = dc.tasks.FewShotClassificationTasks(x, labels, ways=5, shots=5, queries=5)
    dense = keras.layers.Dense
    model = keras.Sequential([dense(256, "relu"), dense(64, "relu", name="hidden"), dense(5)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return ml.KerasLearner(model, loss, tasks, embedding="hidden"), 8, 5


def of_steps(cls, learner, tasks, steps, **options):
    rate = {"learning_rates": (0.01,)} if cls is ml.FineTuning else {"learning_rate": 0.01}
    return cls(learner, **rate, optimization_steps=steps, meta_batch_size=tasks, **options)


def stepless(cls, learner, tasks, steps):
    return cls(learner, meta_batch_size=tasks)


MAKERS = {
    "MAML": functools.partial(of_steps, ml.MAML),
    "MAML, first order": functools.partial(of_steps, ml.MAML, first_order=True),
    "MAML, recomputed": functools.partial(of_steps, ml.MAML, recompute=True),
    "ANIL": functools.partial(of_steps, ml.ANIL),
    "BOIL": functools.partial(of_steps, ml.BOIL),
    "MetaSGD": functools.partial(of_steps, ml.MetaSGD),
    "MAMLPlusPlus": functools.partial(of_steps, ml.MAMLPlusPlus),
    "ImplicitMAML": functools.partial(of_steps, ml.ImplicitMAML),
    "Reptile": functools.partial(of_steps, ml.Reptile),
    "FineTuning": functools.partial(of_steps, ml.FineTuning),
    "ProtoMAML": functools.partial(of_steps, ml.ProtoMAML),
    "ProtoNet": functools.partial(stepless, ml.ProtoNet),
    "MatchingNet": functools.partial(stepless, ml.MatchingNet),
    "RidgeRegressionHead": functools.partial(stepless, ml.RidgeRegressionHead),
}
OF_CLASSES = ("ProtoMAML", "ProtoNet", "MatchingNet")


def print_times(rounds, seconds):
    for workload in (sinusoids, vectors):
        made, counts, times = {}, {}, {}
        for name, make in MAKERS.items():
            if workload is sinusoids and name in OF_CLASSES:
                continue
            keras.utils.set_random_seed(0)
            algorithm = make(*workload())
            begin = time.perf_counter()
            algorithm.fit(1)
            first = time.perf_counter() - begin
            algorithm.fit(200)  # the function for many meta-steps a call
            begin = time.perf_counter()
            algorithm.fit(20)
            counts[name] = max(20, int(20 * seconds / (time.perf_counter() - begin)))
            made[name], times[name] = (algorithm, first), []
        for _ in range(rounds):
            for name, (algorithm, _) in made.items():
                begin = time.perf_counter()
                algorithm.fit(counts[name])
                times[name].append((time.perf_counter() - begin) / counts[name])
        reference = np.median(times["MAML"])
        print(f"\n{workload.__name__}: 5 inner steps, median of {rounds} rounds")
        print(f"{'':22}{'ms a meta-step':>16}{'over MAML':>12}{'first step, s':>15}  plan")
        for name, (algorithm, first) in made.items():
            median = np.median(times[name])
            plan = algorithm.execution_plan
            how = f"{'vectorised' if plan.vectorized else 'looped'}{', XLA' * plan.jit_compile}"
            print(f"{name:22}{1e3 * median:16.3f}{median / reference:12.2f}{first:15.1f}  {how}")


def run_one(name, steps):
    """Take a few meta-steps, and print the largest resident memory in MB."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 2048, 256)).astype("float32")
    y = rng.integers(0, 10, size=(1, 2048)).astype("int32")
    dense = keras.layers.Dense
    model = keras.Sequential([dense(256, "relu"), dense(256, "relu", name="hidden"), dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner = ml.KerasLearner(model, loss, Constant(x, y, 10), embedding="hidden")
    algorithm = MAKERS[name](learner, 4, steps)
    algorithm.fit(1)
    begin = time.perf_counter()
    algorithm.fit(3)
    seconds = (time.perf_counter() - begin) / 3
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, seconds)


def measure(name, steps):
    command = [sys.executable, __file__, "one", "--algorithm", name, "--steps", str(steps)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(map(float, finished.stdout.split()[-2:]))


def print_memory():
    names = ("MAML", "MAML, recomputed", "MAML, first order", "ImplicitMAML", "Reptile")
    empty, _ = measure("MAML", 0)
    print(f"MB more than the {empty:.0f} of a process without inner steps (seconds a meta-step)")
    print(f"{'inner steps':22}" + "".join(f"{steps:>18}" for steps in STEPS))
    for name in names:
        cells = []
        for steps in STEPS:
            peak, seconds = measure(name, steps)
            cells.append(f"{peak - empty:.0f} ({seconds:.2f})")
        print(f"{name:22}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Time and memory of all algorithms.")
    parser.add_argument("what", choices=["time", "memory", "one"])
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round (%(default)s)")
    parser.add_argument("--algorithm", help="of `one`")
    parser.add_argument("--steps", type=int, help="of `one`")
    arguments = parser.parse_args()
    if arguments.what == "time":
        print_times(arguments.rounds, arguments.seconds)
    elif arguments.what == "memory":
        print_memory()
    else:
        run_one(arguments.algorithm, arguments.steps)


if __name__ == "__main__":
    main()
