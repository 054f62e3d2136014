"""What stays in memory: of many objects, many meta-steps, many shapes; and fits in threads.

python tests/benchmarks/lasting.py
python tests/benchmarks/lasting.py --part objects --count 300

Each part has a process of its own, and prints the memory that the process holds, in MB, at several
points.
"""

import argparse
import gc
import os
import subprocess
import sys
import threading

COUNTS = {"objects": 300, "steps": 200_000, "shapes": 1000, "threads": 4, "fork": 1}


def make(seed=0, **options):
    """Return MAML over a small net and sine curves."""
    import keras

    import deepchem_meta as dc

    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(40, "relu"), keras.layers.Dense(1)]
    )
    learner = dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks(shots=5))
    return dc.metalearning.MAML(learner, 0.01, meta_batch_size=4, seed=seed, **options)


def memory():
    """Return the megabytes that this process holds."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def graphs():
    """Return how many graphs of functions are alive."""
    from tensorflow.python.framework.func_graph import FuncGraph

    return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())


def objects(count):
    """Fit and delete many objects, without XLA, whose compiled code TensorFlow keeps."""
    for number in range(count + 1):
        if number in {1, 10, *range(0, count + 1, max(1, count // 5))}:
            print(f"| {number} objects | {memory():.0f} | {graphs()} graphs |", flush=True)
        make(number, jit_compile=False).fit(3, verbose=0)


def steps(count):
    """Take many meta-steps with one object."""
    algorithm = make()
    for part in range(6):
        print(f"| {algorithm.step} meta-steps | {memory():.0f} | |", flush=True)
        if part < 5:
            algorithm.fit(count // 5, verbose=0)


def shapes(count):
    """Adapt to, train on and score tasks of many sizes."""
    import numpy as np

    algorithm, rng = make(), np.random.default_rng(0)
    for number in range(count + 1):
        if number in {1, 10, *range(0, count + 1, max(1, count // 5))}:
            print(f"| {number} shapes | {memory():.0f} | {graphs()} graphs |", flush=True)
        x, y = (rng.normal(size=(4, number + 2, 1)).astype("float32") for _ in range(2))
        algorithm.train_on_batch((x, y), (x, y))
        algorithm.adapt((x[0], y[0])).predict(x[1])


def threads(count):
    """Fit several objects at once, and compare with one after the other."""
    import numpy as np

    def fit(number, found):
        algorithm = make(number)
        with lock:
            made.append(algorithm)
        start.wait()
        algorithm.fit(50, verbose=0)
        found[number] = [variable.numpy() for variable in algorithm.learner.variables]

    lock, start, made = threading.Lock(), threading.Event(), []
    at_once: dict = {}
    running = []
    for number in range(count):  # made one by one, since Keras' random seed is one for all
        thread = threading.Thread(target=fit, args=(number, at_once))
        thread.start()
        running.append(thread)
        while len(made) <= number:
            pass
    start.set()
    for thread in running:
        thread.join()
    alone: dict = {}
    for number in range(count):
        fit(number, alone)
    largest = max(
        np.abs(a - b).max()
        for number in range(count)
        for a, b in zip(at_once[number], alone[number], strict=True)
    )
    print(f"| {count} fits in threads, and one by one | largest difference {largest:.1e} | |")


def fork(count):
    """Fit in a forked child."""
    algorithm = make()
    algorithm.fit(2, verbose=0)
    for _ in range(count):
        child = os.fork()
        if not child:
            try:
                algorithm.fit(2, verbose=0)
                print("| a forked child | trained | |", flush=True)
            except RuntimeError as error:
                print(f"| a forked child | {str(error)[:70]}... | |", flush=True)
            os._exit(0)
        os.waitpid(child, 0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=COUNTS, nargs="+", default=list(COUNTS))
    parser.add_argument("--count", type=int, help="how many, in the place of each part's own")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if args.here:
        globals()[args.part[0]](args.count or COUNTS[args.part[0]])
        return 0
    print("| after | MB | |\n|---|---|---|", flush=True)
    failures = 0
    for part in args.part:
        command = [sys.executable, __file__, "--here", "--part", part]
        command += ["--count", str(args.count)] if args.count else []
        failures += bool(subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode)
    return failures


if __name__ == "__main__":
    sys.exit(main())
