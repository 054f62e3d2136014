"""Time adaptation to held-out tasks, and the drawing of few-shot episodes, on the CPU.

    python tests/benchmarks/held_out.py

The first table: 600 sine tasks, 10 steps of adaptation, the query loss of each. DeepChem's way is
to restore the meta-learned variables from the checkpoint, to train on the task and to predict, one
task after the other; it is run for a few tasks and given for all. The second: 1,000 5-way 1-shot
episodes of 28 x 28 images from an array in memory, beside training on them.
"""

import argparse
import os
import statistics
import time

import numpy as np
from peers import PlainLoop, keras_loss, keras_model
from workloads import WORKLOADS, Learner

TASKS, STEPS, FEW = 600, 10, 30


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each (default 5)")
    rounds = parser.parse_args().rounds
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    adaptation(rounds)
    sampling(rounds)


def adaptation(rounds):
    import deepchem_meta as dc

    workload = WORKLOADS["sine1"]
    source = workload.make_tasks()
    maml = dc.metalearning.MAML(Learner(workload), workload.inner_rate)
    maml.fit(1)
    plain = PlainLoop(workload)
    plain.fit(1)
    options = {"n_tasks": TASKS, "optimization_steps": (STEPS,)}
    first = timed(lambda: maml.evaluate(source, **options))
    ways = {
        "deepchem_meta: evaluate": (lambda: maml.evaluate(source, **options), 1),
        "deepchem_meta: adapt and predict_on_batch": (lambda: one_by_one_adapt(maml), TASKS / FEW),
        "DeepChem's way in deepchem_meta": (lambda: deepchems_way(maml), TASKS / FEW),
        "DeepChem's way, its loop": (lambda: deepchems_way(plain), TASKS / FEW),
    }
    seconds = take_turns(ways, rounds)
    print(f"\n{TASKS} sine tasks, {STEPS} steps of adaptation\n")
    print(f"| {'':<42} | s       | times |\n| {'-' * 42} | ------- | ----- |")
    for name, value in seconds.items():
        ratio = value / seconds["deepchem_meta: evaluate"]
        print(f"| {name:<42} | {value:<7.3f} | {ratio:<5.0f} |")
    print(f"\nThe first call of evaluate, tracing included: {first:.2f} s")


def one_by_one_adapt(maml):
    learner = maml.learner
    for _ in range(FEW):
        learner.select_task()
        maml.adapt(learner.get_batch(), STEPS).predict_on_batch(learner.get_batch())


def deepchems_way(maml):
    learner = maml.learner
    for _ in range(FEW):
        learner.select_task()
        maml.train_on_current_task(STEPS, restore=True)
        maml.predict_on_batch(learner.get_batch())


def sampling(rounds):
    import deepchem_meta as dc

    workload = WORKLOADS["omniglot"]
    images = workload.make_tasks().images
    labels = np.repeat(np.arange(len(images)), images.shape[1])
    tasks = dc.tasks.FewShotClassificationTasks(
        images.reshape(-1, 28, 28, 1), labels, ways=5, shots=1, queries=5
    )
    learner = dc.metalearning.KerasLearner(keras_model(workload), keras_loss(workload.loss), tasks)
    maml = dc.metalearning.MAML(learner, workload.inner_rate, meta_batch_size=8)
    maml.fit(2)
    rng = np.random.default_rng(0)
    seconds = take_turns(
        {
            "draw 1,000 episodes": (lambda: tasks.sample(1000, rng), 1),
            "train on 1,000 episodes": (lambda: maml.fit(25, verbose=0), 1000 / 200),
        },
        rounds,
    )
    print("\n5-way 1-shot, 5 queries a class, 4 convolutions of 64 filters\n")
    for name, value in seconds.items():
        print(f"{name:<24} {value:.3f} s")
    drawn, trained = seconds.values()
    print(f"drawing is {100 * drawn / trained:.2f}% of training")


def take_turns(ways, rounds):
    """Return the median seconds of each way, times its factor."""
    for function, _ in ways.values():
        function()
    times = [
        [timed(function) * factor for function, factor in ways.values()] for _ in range(rounds)
    ]
    columns = zip(*times, strict=True)
    return {name: statistics.median(column) for name, column in zip(ways, columns, strict=True)}


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
