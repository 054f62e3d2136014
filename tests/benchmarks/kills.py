"""A run that is killed, terminated and interrupted at random moments, against one that is not.

python tests/benchmarks/kills.py --kills 50 --signals 20

Each start goes on from the last checkpoint (`fit(..., restore="auto")`) until a signal comes:
SIGKILL, SIGTERM with `SaveOnSignal`, or SIGINT without it. At the end the weights must be those of
the run that nothing ended, to the bit; after SIGTERM and SIGINT no meta-step may have been lost.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS = 60_000


def train(folder, patiently):
    """Train until the end or a signal, as the process that is to be killed."""
    import keras

    import deepchem_meta as dc

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(16, "tanh"), keras.layers.Dropout(0.1), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((1,)), *layers])
    learner = dc.metalearning.KerasLearner(model, "mse", dc.tasks.SinusoidTasks(shots=5))
    maml = dc.metalearning.MAML(learner, 0.01, meta_batch_size=4, model_dir=folder, seed=0)
    print("ready", flush=True)
    options = {"restore": "auto", "checkpoint_interval": 1, "verbose": 0}
    try:
        if patiently:
            with dc.metalearning.SaveOnSignal([signal.SIGTERM]) as saving:
                maml.fit(STEPS, callbacks=[saving], **options)
        else:
            maml.fit(STEPS, **options)
    finally:
        print(f"taken {maml.step}", flush=True)
    np.savez(Path(folder, "weights.npz"), *[v.numpy() for v in learner.variables])


def start(folder, number):
    """Return a process that trains, once it is about to."""
    command = [sys.executable, __file__, "--train", str(folder)]
    command += ["--patiently"] if number == signal.SIGTERM else []
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen(command, **quiet)
    process.stdout.readline()
    return process


def saved_step(folder):
    """Return the meta-step of the newest checkpoint, read by TensorFlow alone."""
    import tensorflow as tf

    path = tf.train.latest_checkpoint(folder)
    key = "optimizer/0/.ATTRIBUTES/VARIABLE_VALUE"
    return 0 if path is None else int(tf.train.load_checkpoint(path).get_tensor(key))


def interrupt(folder, number, count, rng):
    """Send a signal to `count` runs; return how many lost a meta-step, and their exit codes."""
    lost, codes = 0, set()
    for _ in range(count):
        process = start(folder, number)
        time.sleep(rng.uniform(0.5, 6))
        process.send_signal(number)
        output, _ = process.communicate()
        codes.add(process.returncode)
        taken = [int(line.split()[1]) for line in output.splitlines() if line.startswith("taken")]
        if taken and taken[0] and number != signal.SIGKILL:
            lost += saved_step(folder) != taken[0]
    return lost, sorted(codes)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--signals", type=int, default=20)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    parser.add_argument("--patiently", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if arguments.train:
        train(arguments.train, arguments.patiently)
        return
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as parts:
        start(whole, signal.SIGKILL).communicate()
        print("| signal | sent | runs that lost a meta-step | exit codes |\n|---|---|---|---|")
        kinds = (
            (signal.SIGKILL, arguments.kills),
            *((number, arguments.signals) for number in (signal.SIGTERM, signal.SIGINT)),
        )
        for number, count in kinds:
            lost, codes = interrupt(parts, number, count, rng)
            lost = "-" if number == signal.SIGKILL else lost
            print(f"| {number.name} | {count} | {lost} | {codes} |", flush=True)
        start(parts, signal.SIGKILL).communicate()
        one, other = (np.load(Path(folder, "weights.npz")) for folder in (whole, parts))
        largest = max(float(np.abs(one[key] - other[key]).max()) for key in one.files)
        print(f"\nLargest difference of the weights from those of a whole run: {largest}")


if __name__ == "__main__":
    main()
