"""Meta-steps spread over replicas and worker processes: the weights, and the time.

    python tests/benchmarks/replicas.py --check --results replicas.json
    python tests/benchmarks/replicas.py --time --results replicas.json

The first trains every algorithm in float64 for 50 meta-steps of 12 tasks, on one device, over
mirrored replicas on virtual CPUs and over worker processes of this machine. It prints how far the
weights are from those of one device, and exits with 1 if any are further than 1e-6.

The second times a meta-step of MAML for three sizes of model, spread in the same ways, and prints
what a step reduces over replicas. From that and a network it works out the share of the reduction
for many accelerators: a ring all-reduce moves 2 (n - 1) / n of the bytes over each link in
2 (n - 1) hops. The time to compute is that of this machine, and of accelerators `--faster` times
as fast.

What is done is kept in the file of results: a run that was cut off goes on.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TASKS, STEPS, TOLERANCE = 12, 50, 1e-6
TASKS_AN_ACCELERATOR, ACCELERATORS = 4, (8, 64, 512)


class Spread(NamedTuple):
    """Over what the tasks of a meta-step are spread."""

    kind: str
    count: int = 1

    def __str__(self):
        counted = f"{self.count} {self.kind}{'s'[: self.count > 1]}"
        return self.kind if self.kind == "one device" else counted

    @property
    def processes(self):
        return self.count if self.kind == "worker" else 1


ONE = Spread("one device")
SPREADS = [
    ONE,
    *(Spread("replica", count) for count in (1, 2, 4)),
    *(Spread("worker", count) for count in (2, 3)),
]


class Size(NamedTuple):
    """A model by the workload that it is of, and how many meta-steps a round takes."""

    label: str
    workload: str
    net: tuple
    steps: int


SIZES = {
    "sine": Size("dense 1-40-40-1", "sine1", (), 500),
    "omniglot": Size("4 conv layers of 64", "omniglot", (), 10),
    "dense": Size("dense 2048-1600-1024-1", "fingerprints", (2048, 1600, 1024, 1), 10),
}
ROUNDS = 5

VARIANTS = ("MAML, vectorised", "MAML, clipped")
"""What is checked besides the algorithms as the conformance tests make them."""


def main():
    arguments = parse_arguments()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.serve:
        job, kind, count, *names = arguments.serve
        return serve(job, Spread(kind, int(count)), names)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the processes, too
    results = Results(arguments.results)
    return check(results) if arguments.check else measure(results, arguments)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="compare the weights")
    what.add_argument("--time", action="store_true", help="time meta-steps")
    what.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--results", help="a JSON file; by default none is kept")
    parser.add_argument("--gigabits", type=float, default=100, help="a second (%(default)s)")
    parser.add_argument("--hop", type=float, default=20, help="microseconds (%(default)s)")
    parser.add_argument("--faster", type=float, default=100, help="accelerators (%(default)s)")
    return parser.parse_args()


class Results:
    """What was found, by job, spread and name; each finding is on disk at once."""

    def __init__(self, path):
        self._path = Path(path) if path else None
        known = self._path is not None and self._path.exists()
        self._found = json.loads(self._path.read_text()) if known else {}

    def of(self, job, spread):
        """Return what was found, by name."""
        return self._found.setdefault(job, {}).setdefault(str(spread), {})

    def gather(self, job, spread, names):
        """Find what is missing, in processes of its own, and return all."""
        found = self.of(job, spread)
        missing = [name for name in names if name not in found]
        if missing:
            for name, value in answers(job, spread, missing):
                found[name] = value
                self._save()
                print(f"{job}, {spread}: {name}", file=sys.stderr, flush=True)
        return found

    def _save(self):
        if self._path is not None:
            part = self._path.with_suffix(".part")
            part.write_text(json.dumps(self._found))
            part.replace(self._path)


# The processes.


def answers(job, spread, names):
    """Start the processes of a spread; yield the name and the value of each answer."""
    processes = start(spread, [job, spread.kind, str(spread.count), *names])
    try:
        for line in processes[0].stdout:
            if line.startswith('["'):
                yield json.loads(line)
        codes = [process.wait() for process in processes]
        if any(codes):
            raise RuntimeError(f"{job}, {spread}: the processes ended with {codes}")
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def start(spread, arguments):
    """Start the processes of a spread, of which the first answers."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(spread.processes)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index in range(spread.processes):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        several = {"TF_CONFIG": json.dumps(place)} if spread.kind == "worker" else {}
        processes.append(
            subprocess.Popen(
                [sys.executable, __file__, "--serve", *arguments],
                env={**os.environ, **several},
                stdout=subprocess.DEVNULL if index else subprocess.PIPE,
                text=True,
            )
        )
    return processes


def serve(job, spread, names):
    """Do a job for each name, as one of the processes of a spread."""
    from workers import silenced_stderr

    sys.path += [str(HERE.parent), str(HERE.parent / "metalearning")]
    with silenced_stderr():
        strategy = make_strategy(spread)
    index = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0)
    for name in names:
        try:
            value = JOBS[job](name, strategy)
        except Exception as error:
            value = {"error": f"{type(error).__name__}: {error}"}
        if index == 0:
            print(json.dumps([name, value]), flush=True)


def make_strategy(spread):
    """Return a strategy; TensorFlow must not have been used before."""
    import tensorflow as tf

    if spread.kind == "worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if spread == ONE:
        return tf.distribute.get_strategy()
    (cpu,) = tf.config.list_physical_devices("CPU")
    virtual = [tf.config.LogicalDeviceConfiguration()] * spread.count
    tf.config.set_logical_device_configuration(cpu, virtual)
    return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(spread.count)])


# The weights.


def check(results):
    """Print how far the weights are from those of one device; return the exit status."""
    names = [*algorithms(), *VARIANTS]
    weights = {str(spread): results.gather("check", spread, names) for spread in SPREADS}
    alone = weights.pop(str(ONE))
    rows, wrong = [], []
    for name in names:
        cells = [difference(alone[name], others[name]) for others in weights.values()]
        rows.append([name, *(cell if isinstance(cell, str) else f"{cell:.1e}" for cell in cells)])
        if not all(isinstance(cell, float) and cell <= TOLERANCE for cell in cells):
            wrong.append(name)
    print(f"\nWeights after {STEPS} meta-steps of {TASKS} tasks in float64: the largest difference")
    print("from one device, over the largest weight of the variable\n")
    print_table(["algorithm", *weights], rows)
    print(f"\nFurther than {TOLERANCE:g}: {', '.join(wrong) or 'none'}")
    for name in names:
        for spread, values in {str(ONE): alone, **weights}.items():
            if "error" in values[name]:
                print(f"{name}, {spread}: {values[name]['error']}")
    return 1 if wrong else 0


def algorithms():
    """Return the names of the exported algorithms, from the table of the conformance tests."""
    code = "from test_conformance import MAKERS; print(*MAKERS)"
    path = os.pathsep.join([str(HERE.parent), str(HERE.parent / "metalearning")])
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{os.getenv('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", code]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return finished.stdout.split()


def difference(one, other):
    """Return the largest relative difference of two lists of variables, or "failed"."""
    if "error" in one or "error" in other:
        return "failed"
    import numpy as np

    largest = 0.0
    for a, b in zip(map(np.array, one["weights"]), map(np.array, other["weights"]), strict=True):
        scale = np.abs(a).max() or 1.0
        largest = max(largest, float(np.abs(a - b).max() / scale))
    return largest


def train(name, strategy):
    """Train an algorithm, and return all that it has learned."""
    import keras
    import numpy as np
    from test_conformance import MAKERS, keras_learner

    name, _, variant = name.partition(", ")
    clip = {"global_clipnorm": 0.1} if variant == "clipped" else {}
    execution = "vectorized" if variant == "vectorised" else "looped"
    with strategy.scope():
        keras.utils.set_random_seed(0)
        learner = keras_learner(name, "float64")
        options = {"optimizer": keras.optimizers.Adam(0.001, **clip), "jit_compile": False}
        algorithm = MAKERS[name](
            learner, 0.05, 2, TASKS, seed=0, task_execution=execution, **options
        )
    learned = algorithm.roles.meta_variables
    start = [variable.numpy() for variable in learned]
    algorithm.fit(STEPS, verbose=0)
    if all((a == v.numpy()).all() for a, v in zip(start, learned, strict=True)):
        raise RuntimeError("nothing was learned")
    variables = [*learner.variables, *algorithm.roles.own, *algorithm.roles.own_state]
    return {"weights": [np.ravel(variable.numpy()).tolist() for variable in variables]}


# The time.


def measure(results, arguments):
    """Print the times, and the shares of the reduction; return the exit status."""
    times = {str(spread): results.gather("time", spread, SIZES) for spread in SPREADS}
    compute = results.gather("compute", ONE, SIZES)
    failed = [value for found in (*times.values(), compute) for value in found.values()]
    failed = [value["error"] for value in failed if "error" in value]
    if failed:
        print(*failed, sep="\n")
        return 1
    print_times(times)
    print_shares(compute, arguments)
    return 0


def print_times(times):
    print(f"\nms a meta-step of {TASKS} tasks, median of {ROUNDS} rounds; {os.cpu_count()} cores\n")
    rows = []
    for name, size in SIZES.items():
        alone = times[str(ONE)][name]
        cells = [milliseconds(found[name]["seconds"]) for found in times.values()]
        reduced = f"{alone['bytes'] / 1e6:.3g} MB in {alone['vectors']} vectors"
        rows.append([size.label, f"{alone['weights']:,}", reduced, *cells])
    print_table(["model", "weights", "reduced a step", *times], rows)


def print_shares(compute, arguments):
    """Print on what a step spends its time, on paper, for many accelerators."""
    network = f"{arguments.gigabits:g} Gbit/s, {arguments.hop:g} microseconds a hop"
    print(f"\nOn paper: {TASKS_AN_ACCELERATOR} tasks an accelerator; {network}\n")
    rows, halves = [], []
    faster = f"{arguments.faster:g} times as fast"
    for name, size in SIZES.items():
        here = compute[name]["seconds"]
        speeds = here, here / arguments.faster
        for count in ACCELERATORS:
            reducing = ring(compute[name], count, arguments)
            shares = [f"{reducing / (seconds + reducing):.2%}" for seconds in speeds]
            times = [milliseconds(seconds) for seconds in (here, reducing)]
            rows.append([size.label, count, *times, *shares])
        halves.append([size.label, *(dominates(compute[name], s, arguments) for s in speeds)])
    heads = ["computing, ms", "reducing, ms", "share", f"share if computing is {faster}"]
    print_table(["model", "accelerators", *heads], rows)
    print("\nAccelerators from which on the reduction takes half of a step\n")
    print_table(["model", "as fast as here", faster], halves)


def ring(reduced, count, arguments):
    """Return the seconds of a step's ring all-reduces, one for each dtype."""
    moved = 2 * (count - 1) / count * reduced["bytes"]
    hops = 2 * (count - 1) * reduced["vectors"]
    return moved * 8 / (arguments.gigabits * 1e9) + hops * arguments.hop * 1e-6


def dominates(reduced, seconds, arguments):
    """Return from how many accelerators on the reduction takes as long as computing."""
    limit = 10**5
    for count in range(2, limit):
        if ring(reduced, count, arguments) >= seconds:
            return count
    return f"> {limit:,}"


def time_spread(name, strategy):
    return timed(name, strategy, TASKS)


def time_one(name, strategy):
    return timed(name, strategy, TASKS_AN_ACCELERATOR)


def timed(name, strategy, tasks):
    """Time a meta-step of MAML without the checkpoint at the end."""
    import keras

    from deepchem_meta.engine.optimizer import accumulation_dtype

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.seconds = -time.perf_counter()

        def on_train_end(self, logs=None):
            self.seconds += time.perf_counter()

    maml, steps = make_maml(name, strategy, tasks), SIZES[name].steps
    clock, seconds = Clock(), []
    for _ in range(1 + ROUNDS):  # the first compiles
        maml.fit(steps, callbacks=[clock], verbose=0)
        seconds.append(clock.seconds / steps)
    summed = [*maml.roles.meta_variables, *maml.roles.state_variables]
    nbytes = [v.shape.num_elements() * accumulation_dtype(v).size for v in summed]
    return {
        "seconds": statistics.median(seconds[1:]),
        "weights": sum(v.shape.num_elements() for v in summed),
        "bytes": sum(nbytes) + 8,  # and the loss
        "vectors": len({"float64", *(accumulation_dtype(v).name for v in summed)}),
    }


def make_maml(name, strategy, tasks):
    import dataclasses

    from workloads import WORKLOADS, LearnerOfManyTasks, dense_values

    import deepchem_meta as dc

    size = SIZES[name]
    workload = WORKLOADS[size.workload]
    if size.net:
        values = lambda rng: dense_values(rng, size.net)  # noqa: E731
        workload = dataclasses.replace(workload, values=values)
    with strategy.scope():
        learner = LearnerOfManyTasks(workload)
        rate, steps = workload.inner_rate, 1
        return dc.metalearning.MAML(learner, rate, steps, meta_batch_size=tasks, seed=0)


def milliseconds(seconds):
    return f"{1e3 * seconds:.3g}"


def print_table(heads, rows):
    print(f"| {' | '.join(map(str, heads))} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


JOBS = {"check": train, "time": time_spread, "compute": time_one}

if __name__ == "__main__":
    sys.exit(main())
