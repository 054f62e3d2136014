"""What ImplicitMAML needs to train: an ablation on sine curves.

    python tests/benchmarks/implicit.py --out results
    python tests/benchmarks/implicit.py --out results --meta-steps 3000 --points 5

Each variant differs from the defaults in what its name says. All have the same start weights and
the same tasks, 25 a meta-step, and 16 inner steps of 0.01. The mean squared error is that of 600
tasks with 100 queries after 16 steps, at marks of 500 meta-steps. A variant whose loss is no longer
finite ends there. Each result is a file in the folder ``--out``; what is there already is not run
again.
"""

import argparse
import json
import time
from pathlib import Path

import keras

from deepchem_meta import metalearning as ml
from deepchem_meta.tasks import SinusoidTasks

MARK = 500
STEPS, RATE, TASKS = 16, 0.01, 25


def adam(epsilon):
    return keras.optimizers.Adam(1e-3, epsilon=epsilon)


VARIANTS = {
    "default": {},
    "clipped at 10": {"inner_clipnorm": 10.0},
    "not clipped": {"inner_clipnorm": None},
    "damping 0.3": {"damping": 0.3},
    "damping 3": {"damping": 3.0},
    "damping 0, the exact formula": {"damping": 0.0},
    "damping 0, not clipped": {"damping": 0.0, "inner_clipnorm": None},
    "Adam's epsilon 1e-7": {"optimizer": adam(1e-7)},
    "MAML, 5 steps": None,
}


def make(options, points):
    """Return an algorithm over a net of its own."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential([dense(40, "relu"), dense(40, "relu"), dense(1)])
    learner = ml.KerasLearner(model, "mse", SinusoidTasks(shots=points, queries=points))
    if options is None:
        return ml.MAML(learner, RATE, 5, TASKS, adam(1e-7), seed=0)
    return ml.ImplicitMAML(
        learner, RATE, STEPS, TASKS, **({"optimizer": adam(1e-3)} | options), seed=0
    )


def run(name, points, meta_steps):
    """Return the errors at the marks, and the seconds that training took."""
    algorithm, test = make(VARIANTS[name], points), SinusoidTasks(shots=points, queries=100)
    errors, seconds = [], 0.0
    for _ in range(0, meta_steps, MARK):
        begin = time.process_time()
        try:
            algorithm.fit(MARK, verbose=0)
        except FloatingPointError:
            return {"errors": errors, "ended": algorithm.step, "seconds": seconds}
        seconds += time.process_time() - begin
        found = algorithm.evaluate(test, n_tasks=600, seed=1)
        errors.append(float(found.mean["loss"][-1]))
    return {"errors": errors, "ended": None, "seconds": seconds}


def print_table(results, meta_steps):
    marks = range(MARK, meta_steps + 1, MARK)
    print("| variant | " + " | ".join(map(str, marks)) + " | processor s |")
    print("|---" * (len(marks) + 2) + "|")
    for name, found in results.items():
        cells = [f"{error:.3f}" for error in found["errors"]]
        if found["ended"] is not None:
            cells.append(f"not finite near {found['ended']}")
        cells += [""] * (len(marks) - len(cells))
        print(f"| {name} | " + " | ".join(cells) + f" | {found['seconds']:.0f} |")


def main(argv=None):
    parser = argparse.ArgumentParser(description="What ImplicitMAML needs to train.")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--points", type=int, default=5, help="of a support set (%(default)s)")
    parser.add_argument("--meta-steps", type=int, default=3000)
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in arguments.variants:
        label = "".join(c if c.isalnum() else "_" for c in name)
        path = arguments.out / f"sine{arguments.points}-{arguments.meta_steps}-{label}.json"
        if not path.exists():
            found = run(name, arguments.points, arguments.meta_steps)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(found))
            partial.replace(path)
            print(name, found, flush=True)
        results[name] = json.loads(path.read_text())
    print_table(results, arguments.meta_steps)


if __name__ == "__main__":
    main()
