"""Trains algorithms as one of several workers, and writes the weights.

``python workers.py FOLDER STEPS NAME ...``, with TF_CONFIG in the environment or without. The first
worker writes ``NAME.npz`` into the folder. TensorFlow knows its workers before it is used, so the
tests run this as processes of their own: `run`.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(count, folder, steps, names, wait=True):
    """Start some workers; return the processes, or wait for their exit codes and errors."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    path = os.pathsep.join(map(str, [HERE, HERE.parent, HERE.parents[1]]))
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    workers = []
    for index in range(count):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        workers.append(
            subprocess.Popen(
                [sys.executable, __file__, str(folder), str(steps), *names],
                env={**environment, "TF_CONFIG": json.dumps(place)} if count > 1 else environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    if not wait:
        return workers
    errors = [worker.communicate()[1] for worker in workers]
    return [worker.returncode for worker in workers], errors


def main(folder, steps, names):
    import keras
    import numpy as np
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if "TF_CONFIG" in os.environ:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    from test_conformance import MAKERS, keras_learner

    for name in names:
        with strategy.scope():
            keras.utils.set_random_seed(0)
            learner = keras_learner(name, "float64")
            options = {"optimizer": keras.optimizers.Adam(0.001), "task_execution": "looped"}
            options |= {"jit_compile": False, "model_dir": str(Path(folder, name))}
            algorithm = MAKERS[name](learner, 0.05, 2, 12, seed=0, **options)
        algorithm.fit(int(steps), restore="auto", checkpoint_interval=1)
        if json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0) == 0:
            np.savez(Path(folder, f"{name}.npz"), *[v.numpy() for v in learner.variables])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
