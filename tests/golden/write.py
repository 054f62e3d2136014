"""Checkpoints of every algorithm, written once for each version and restored by all later ones.

python tests/golden/write.py

writes the folder of the installed version next to this file, and refuses to write one anew: what a
version has written is never changed. `tests/test_golden.py` restores all of them.
"""

import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

import deepchem_meta as dc
from deepchem_meta import metalearning

FOLDER = Path(__file__).parent
NAMES = sorted(
    name
    for name in metalearning.__all__
    if isinstance(getattr(metalearning, name), type)
    and issubclass(getattr(metalearning, name), metalearning.MetaAlgorithm)
    and name not in ("MetaAlgorithm", "EmbeddingAlgorithm")
)
RATES = ("MAML", "ANIL", "BOIL", "MetaSGD", "ProtoMAML", "Reptile", "ImplicitMAML", "MAMLPlusPlus")
# As it was when the oldest checkpoints were written.
OLDER = {"ImplicitMAML": {"damping": 0.0, "inner_clipnorm": None}}


def make(name, model_dir):
    """Return an algorithm over a small classifier in float64, the same in every version."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(5), 6)
    x = rng.normal(size=(5, 3))[labels] + rng.normal(size=(30, 3))
    tasks = dc.tasks.FewShotClassificationTasks(x, labels, ways=3, shots=2, queries=2)
    layers = [
        keras.layers.Dense(4, "tanh", dtype="float64"),
        keras.layers.BatchNormalization(dtype="float64"),
        keras.layers.Dense(3, dtype="float64"),
    ]
    model = keras.Sequential([keras.Input((3,), dtype="float64"), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    options = {"learning_rate": 0.05, "optimization_steps": 3} if name in RATES else {}
    return getattr(metalearning, name)(
        metalearning.KerasLearner(model, loss, tasks),
        meta_batch_size=2,
        optimizer=dc.models.optimizers.Adam(0.01),
        model_dir=model_dir,
        seed=3,
        task_execution="looped",
        jit_compile=False,
        **options,
        **OLDER.get(name, {}),
    )


def answers(algorithm):
    """Return what a restored algorithm answers, and what one more meta-step makes of it."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 6, 3)), np.tile(np.repeat(np.arange(3), 2), (2, 1))
    adapted = algorithm.adapt((x[0], y[0]))
    found = {"predicted": adapted.predict(x[1])}
    found["loss"] = algorithm.train_on_batch((x, y), (x[::-1], y[::-1]))["loss"]
    found["predicted_after"] = algorithm.adapt((x[0], y[0])).predict(x[1])
    return found


def main():
    target = FOLDER / dc.__version__
    target.mkdir()
    for name in NAMES:
        with tempfile.TemporaryDirectory() as scratch:
            make(name, scratch).fit(3, verbose=0)
            shutil.copytree(scratch, target / name)
            again = make(name, scratch)
            again.restore()
            np.savez(target / f"{name}.npz", **answers(again))


if __name__ == "__main__":
    main()
