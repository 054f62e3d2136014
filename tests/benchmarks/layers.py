"""Print how each kind of Keras layer meta-trains.

    python tests/benchmarks/layers.py

For each: whether second order is exact, how its tasks run, and the largest difference of its
meta-gradient (float64, 2 inner steps) from central differences of plain Keras, relative to the
gradient's norm.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_models import KINDS, largest_difference


def main():
    print("| layer | second order | tasks | XLA | difference |\n|---|---|---|---|---|")
    for name, kind in KINDS.items():
        difference, maml = largest_difference(kind)
        plan = maml.execution_plan
        exact = "yes" if difference < 1e-7 else "no"
        tasks = "vectorised" if plan.vectorized else "looped"
        xla = "yes" if plan.jit_compile else "no"
        print(f"| {name} | {exact} | {tasks} | {xla} | {difference:.1e} |", flush=True)


if __name__ == "__main__":
    main()
