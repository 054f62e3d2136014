"""Meta-train with several worker processes, as on several machines.

Each worker is a process with an address, and TensorFlow reads from the environment variable
``TF_CONFIG`` which one it is. On several machines a launcher sets it; here this script starts all
workers on one machine, on free ports of the loopback interface::

    python multi_worker.py --workers 2 --steps 200

Every worker runs the same program. The tasks of a meta-step are spread over them, the gradients
are summed, and all keep the same weights. The first one, the chief, alone writes checkpoints and
reports. A run that was cut off goes on when the command is repeated with the same ``--model-dir``.
"""

import argparse
import json
import os
import socket
import subprocess
import sys


def free_ports(count):
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(count, arguments):
    """Start the workers, and return the exit status of the first that fails, or 0."""
    addresses = [f"localhost:{port}" for port in free_ports(count)]
    workers = []
    for index in range(count):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(place)}
        command = [sys.executable, __file__, *arguments]
        workers.append(subprocess.Popen(command, env=environment))
    return next((status for status in [one.wait() for one in workers] if status), 0)


def work(arguments):
    """Train as one of the workers."""
    import keras
    import tensorflow as tf

    import deepchem_meta as dc

    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else of TensorFlow
    keras.utils.set_random_seed(0)
    tasks = dc.tasks.SinusoidTasks(shots=10)
    with strategy.scope():
        layers = [keras.layers.Dense(40, "relu"), keras.layers.Dense(40, "relu")]
        model = keras.Sequential([keras.Input((1,)), *layers, keras.layers.Dense(1)])
        maml = dc.metalearning.MAML(
            dc.metalearning.KerasLearner(model, "mse", tasks),
            learning_rate=0.01,
            meta_batch_size=arguments.tasks,
            optimizer=keras.optimizers.Adam(1e-3),
            model_dir=arguments.model_dir,
            seed=0,
        )
    maml.fit(arguments.steps, restore="auto", checkpoint_interval=10)
    if strategy.cluster_resolver.task_id == 0:
        found = maml.evaluate(tasks, n_tasks=100, optimization_steps=(0, 1))
        print(f"after {maml.step} meta-steps, {strategy.num_replicas_in_sync} workers:")
        print(found)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=24, help="a meta-step, over all workers")
    parser.add_argument("--model-dir", help="a folder that all workers see")
    arguments = parser.parse_args(argv)
    if "TF_CONFIG" in os.environ:
        work(arguments)
    else:
        sys.exit(start(arguments.workers, sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    main()
