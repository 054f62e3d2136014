"""Learning curves beside the same algorithms written anew in JAX, at the settings of the papers.

    python tests/benchmarks/curves.py --data images_background.zip --out curves
    python tests/benchmarks/curves.py --data images_background.zip --out curves --steps 5000
    python tests/benchmarks/curves.py --data images_background.zip --out curves --plot curves.png

Omniglot, 5 ways and 1 shot. The package and `curves_jax.py` start from the same weights, and get
the same tasks in the same order, which are drawn from the number of the meta-step. They take turns,
``--every`` meta-steps each, and are then tested on the same 100 tasks of characters of held-out
alphabets. After each turn the state is stored in the folder ``--out``, so a run that was cut off
goes on, and a call with more ``--steps`` too. The tables are of all that is there.

Sums are rounded in another order in the two, so that after many meta-steps the weights differ; the
curves coincide. The loss is the query loss in training, its mean over each turn. Seconds are the
processor's, of all cores, and the median over the turns, of which the first one compiles.
"""

import argparse
import json
import math
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import curves_jax
import keras
import numpy as np
import tensorflow as tf
from few_shot import WORKLOADS
from keras.optimizers import schedules

from deepchem_meta import metalearning as ml

SEED = 0
TEST_TASKS = 100


class Setting(NamedTuple):
    """An algorithm as its paper has it for Omniglot, 5 ways and 1 shot."""

    ours: Callable  # learner -> algorithm
    jax: Callable  # () -> algorithm, optimizer
    tasks: int  # of a meta-step
    test_steps: int
    published: float
    after: int | None = None  # meta-steps, where the paper or its code says
    ways: int = 5
    shots: int = 1
    queries: int = 1


def constant(count):
    return 1e-3


def adam(rate=1e-3, epsilon=1e-7):
    return keras.optimizers.Adam(rate, epsilon=epsilon)


def falling(total):
    """Return SGD whose rate falls linearly from 1 to 0, in Keras."""
    return keras.optimizers.SGD(schedules.PolynomialDecay(1.0, total, 0.0))


SETTINGS = {
    # Finn et al. 2017, section 5.2 and appendix A: the tasks, the rates and the steps.
    "MAML": Setting(
        lambda learner: ml.MAML(learner, 0.4, 1, 32, adam(), reduction="mean"),
        lambda: (curves_jax.MAML(0.4, 1, 3), curves_jax.Adam(constant)),
        tasks=32,
        test_steps=3,
        published=98.7,
        after=60_000,
    ),
    # The same; the accuracy is in table 2 of Nichol et al. 2018.
    "MAML, first order": Setting(
        lambda learner: ml.MAML(learner, 0.4, 1, 32, adam(), reduction="mean", first_order=True),
        lambda: (curves_jax.MAML(0.4, 1, 3, first_order=True), curves_jax.Adam(constant)),
        tasks=32,
        test_steps=3,
        published=98.3,
        after=60_000,
    ),
    # Antoniou et al. 2019, section 5: 150 epochs of 500 meta-steps.
    "MAML++": Setting(
        lambda learner: ml.MAMLPlusPlus(learner, 0.1, 5, 16, total_steps=75_000),
        lambda: (
            curves_jax.MAMLPlusPlus(0.1, 5, 75_000),
            curves_jax.Adam(lambda count: curves_jax.cosine(1e-3, 1e-5, count / 75_000)),
        ),
        tasks=16,
        test_steps=5,
        published=99.47,
        after=75_000,
    ),
    # Li et al. 2017, section 4.2. The rates start from one number here, there from several.
    "Meta-SGD": Setting(
        lambda learner: ml.MetaSGD(learner, 0.1, 1, 32, adam()),
        lambda: (curves_jax.MetaSGD(0.1, 1, 1), curves_jax.Adam(constant)),
        tasks=32,
        test_steps=1,
        published=99.53,
    ),
    # Nichol et al. 2018, appendix A; "transductive", as BatchNormalization is here.
    "Reptile": Setting(
        lambda learner: ml.Reptile(learner, 1e-3, 5, 5, falling(100_000)),
        lambda: (
            curves_jax.Reptile(1e-3, 5, 50),
            curves_jax.Descent(lambda count: 1 - count / 100_000),
        ),
        tasks=5,
        test_steps=50,
        published=97.68,
        after=100_000,
        shots=10,
    ),
    # Snell et al. 2017, section 3.1: 60 ways, and a rate that is halved every 2,000 episodes.
    "ProtoNet": Setting(
        lambda learner: ml.ProtoNet(
            learner,
            1,
            adam(schedules.ExponentialDecay(1e-3, 2000, 0.5, staircase=True)),
            temperature=1.0,
        ),
        lambda: (
            curves_jax.ProtoNet(),
            curves_jax.Adam(lambda count: 1e-3 * 0.5 ** (count // 2000)),
        ),
        tasks=1,
        test_steps=0,
        published=98.8,
        ways=60,
        queries=5,
    ),
    # Bertinetto et al. 2019, table 2. The net and the number of tasks are those of this comparison.
    "RidgeRegressionHead": Setting(
        lambda learner: ml.RidgeRegressionHead(learner, 8, adam()),
        lambda: (curves_jax.Ridge(), curves_jax.Adam(constant)),
        tasks=8,
        test_steps=0,
        published=98.55,
        queries=5,
    ),
    # Rajeswaran et al. 2019, with gradient descent in the inner loop, by the authors' code
    # (github.com/aravindr93/imaml_dev), which clips nothing.
    "ImplicitMAML": Setting(
        lambda learner: ml.ImplicitMAML(
            learner, 0.1, 16, 32, adam(epsilon=1e-3), inner_clipnorm=None
        ),
        lambda: (
            curves_jax.ImplicitMAML(0.1, 16, pull=2.0, damping=1.0, cg_steps=5),
            curves_jax.Adam(constant, epsilon=1e-3),
        ),
        tasks=32,
        test_steps=16,
        published=99.16,
        after=20_000,
    ),
}


class Ours:
    """The package."""

    ending = ""

    def __init__(self, setting, learner):
        self.algorithm = setting.ours(learner)
        self.test_steps = setting.test_steps

    def step(self, support, query):
        return self.algorithm.train_on_batch(support, query)["loss"]

    def accuracy(self, support, query):
        tasks = tf.data.Dataset.from_tensor_slices((support, query))
        found = self.algorithm.evaluate(
            tasks, n_tasks=len(query[1]), optimization_steps=self.test_steps
        )
        return found.metrics["accuracy"][:, 0]

    def save(self, path):
        self.algorithm.save(path)

    def load(self, path):
        self.algorithm.load(path)


class Jax(curves_jax.Trainer):
    """What is written by hand."""

    ending = ".npz"

    def __init__(self, setting, learner):
        values = [variable.numpy() for variable in learner.model.trainable_variables]
        super().__init__(*setting.jax(), values)


CONTESTANTS = {"ours": Ours, "jax": Jax}


class Run:
    """The training of one contestant, with the record of its turns in a file."""

    def __init__(self, folder, name, label):
        self.path = folder / f"{name.replace(' ', '_')}-{label}.json"
        self.setting, self.label = SETTINGS[name], label
        self.turns = json.loads(self.path.read_text()) if self.path.exists() else []
        self.contestant = None

    @property
    def steps(self):
        return self.turns[-1]["steps"] if self.turns else 0

    def advance(self, workload, steps):
        """Train up to a number of meta-steps, test, and store."""
        setting = self.setting
        source = workload.train.replace(
            ways=setting.ways, shots=setting.shots, queries=setting.queries
        )
        if self.contestant is None:
            self.contestant = CONTESTANTS[self.label](setting, workload.make_learner(source))
            if self.turns:
                self.contestant.load(self._state(self.steps))
        losses, cpu, wall = [], 0.0, 0.0
        for step in range(self.steps, steps):
            task = source.sample(setting.tasks, np.random.default_rng([SEED, step]))
            before = time.process_time(), time.monotonic()
            losses.append(self.contestant.step(*task))
            cpu, wall = cpu + time.process_time() - before[0], wall + time.monotonic() - before[1]
        test = workload.test.sample(TEST_TASKS, np.random.default_rng(SEED))
        accuracy = 100 * self.contestant.accuracy(*test)
        turn = {
            "steps": steps,
            "loss": float(np.mean(losses)),
            "accuracy": float(accuracy.mean()),
            "interval": float(1.96 * accuracy.std(ddof=1) / math.sqrt(TEST_TASKS)),
            "taken": len(losses),
            "cpu": cpu,
            "wall": wall,
        }
        self._store(turn)

    def cost(self):
        """Return the median seconds of a meta-step."""
        return statistics.median(turn["cpu"] / turn["taken"] for turn in self.turns)

    def at(self, steps):
        """Return the turn that ended after a number of meta-steps, or None."""
        return next((turn for turn in self.turns if turn["steps"] == steps), None)

    def _state(self, steps):
        return self.path.with_name(f"{self.path.stem}-{steps}{self.contestant.ending}")

    def _store(self, turn):
        """Write the state, then the record that names it, and delete the state before."""
        before = self.steps
        self.contestant.save(self._state(turn["steps"]))
        self.turns.append(turn)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.turns, indent=1))
        partial.replace(self.path)
        old = self._state(before)
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)


def train(name, arguments, workload):
    """Let the contestants take turns."""
    runs = [Run(arguments.out, name, label) for label in arguments.contestants]
    marks = [*range(arguments.every, arguments.steps, arguments.every), arguments.steps]
    for mark in marks:
        for run in runs:
            if run.steps < mark:
                run.advance(workload, mark)
                turn = run.turns[-1]
                print(
                    f"{name}, {run.label}: {mark} meta-steps, loss {turn['loss']:.3f}, "
                    f"accuracy {turn['accuracy']:.1f}%, {turn['cpu'] / turn['taken']:.2f} s each",
                    flush=True,
                )


def print_table(pairs):
    """Print a row for each algorithm, of the last turn that both have taken."""
    row = "{:20}{:>11}{:>8}{:>14}{:>14}{:>12}{:>14}   {}"
    print()
    print(row.format("", "", "tasks", *2 * ("accuracy (%)",), "difference", "seconds", "published"))
    step = "a meta-step"
    print(
        row.format("", "meta-steps", "a step", "ours", "JAX", "in loss", step, "accuracy (after)")
    )
    for name, (ours, jax) in pairs.items():
        both, setting = common(ours, jax), SETTINGS[name]
        if not both:
            continue
        last = [f"{turn['accuracy']:.1f} ± {turn['interval']:.1f}" for turn in both[-1]]
        apart = max(abs(one["loss"] - other["loss"]) for one, other in both)
        cost = f"{ours.cost():.2f} / {jax.cost():.2f}"
        after = f" ({setting.after:,})" if setting.after else ""
        published = f"{setting.published}{after}"
        steps = both[-1][0]["steps"]
        print(row.format(name, steps, setting.tasks, *last, f"{apart:.3f}", cost, published))


def common(ours, jax):
    """Return the pairs of turns after the same meta-steps."""
    pairs = [(turn, jax.at(turn["steps"])) for turn in ours.turns]
    return [pair for pair in pairs if pair[1]]


def print_curves(pairs):
    """Print the accuracies after each turn, ours and JAX's."""
    for name, (ours, jax) in pairs.items():
        points = [
            f"{a['steps']}: {a['accuracy']:.1f} / {b['accuracy']:.1f}" for a, b in common(ours, jax)
        ]
        if points:
            print(f"\n{name}, meta-steps: accuracy of ours / of JAX (%)")
        for start in range(0, len(points), 5):
            print("  " + "   ".join(points[start : start + 5]))


def draw(pairs, path):
    from matplotlib.figure import Figure

    rows = -(-len(pairs) // 4)
    figure = Figure(figsize=(13, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False, sharey=True).ravel()
    for ax in axes[len(pairs) :]:
        ax.remove()
    for ax, (name, runs) in zip(axes, pairs.items(), strict=False):
        for run, label, style in zip(runs, ("deepchem_meta", "JAX"), ("-", "--"), strict=True):
            steps, accuracy, half = (
                np.array([turn[key] for turn in run.turns])
                for key in ("steps", "accuracy", "interval")
            )
            color = "#0072B2" if style == "-" else "#D55E00"
            ax.plot(steps, accuracy, style, color=color, label=label)
            ax.fill_between(steps, accuracy - half, accuracy + half, color=color, alpha=0.15)
        ax.axhline(SETTINGS[name].published, color="gray", linewidth=0.8, linestyle=":")
        ax.set(title=name, xlabel="meta-steps", ylim=(15, 101))
    axes[0].set_ylabel("accuracy (%)")
    axes[0].legend(loc="lower right")
    figure.savefig(path, dpi=120)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="Compare learning curves with JAX.")
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder or zip of ALPHABET/CHARACTER/*.png")
    add("--out", type=Path, required=True, help="folder for states and records")
    add("--algorithms", nargs="*", choices=SETTINGS, default=[*SETTINGS], help="(default: all)")
    add("--contestants", nargs="*", choices=CONTESTANTS, default=[*CONTESTANTS])
    add("--steps", type=int, default=1000, help="meta-steps in all (%(default)s)")
    add("--every", type=int, default=100, help="meta-steps of a turn (%(default)s)")
    add("--plot", type=Path, help="file to draw the curves into")
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    workload = WORKLOADS["omniglot5"](arguments)
    for name in arguments.algorithms:
        train(name, arguments, workload)
    pairs = {
        name: [Run(arguments.out, name, label) for label in CONTESTANTS]
        for name in arguments.algorithms
    }
    print_table(pairs)
    print_curves(pairs)
    if arguments.plot:
        draw(pairs, arguments.plot)


if __name__ == "__main__":
    main()
