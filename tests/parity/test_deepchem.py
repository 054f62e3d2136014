"""DeepChem's own programs, trajectories and checkpoints."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from learners import Function

import deepchem_meta as dc


class TrajectoryLearner(dc.metalearning.MetaLearner):
    """The learner with which DeepChem's trajectories were recorded."""

    def __init__(self, case):
        self.rng = np.random.RandomState(case["seed"])
        self.dtype = case["dtype"]
        shapes = [(1, 8), (8,), (8, 1), (1,)]
        self.weights = [
            tf.Variable(self.rng.normal(size=shape, scale=0.5).astype(self.dtype))
            for shape in shapes
        ]
        self.rate = 0.05
        if case["learn_rate"]:
            self.rate = tf.Variable(0.05, dtype=self.dtype)
            self.weights.append(self.rate)

    def compute_model(self, inputs, variables, training):
        x, y = inputs
        output = tf.tanh(x @ variables[0] + variables[1]) @ variables[2] + variables[3]
        return tf.reduce_mean((output - y) ** 2), [output]

    @property
    def variables(self):
        return self.weights

    def select_task(self):
        self.amplitude = self.rng.uniform(0.1, 5.0)
        self.phase = self.rng.uniform(0, np.pi)

    def get_batch(self):
        x = self.rng.uniform(-5, 5, (6, 1))
        y = self.amplitude * np.sin(x + self.phase)
        return [x.astype(self.dtype), y.astype(self.dtype)]


# Relative to the largest entry of each variable. Legacy Keras kept the constants of AdaGrad,
# RMSProp and Adam in float32, and DeepChem the rate of `train_on_current_task`.
TOLERANCES = {
    "GradientDescent": {"after_1": 1e-12, "after_25": 1e-12, "after_tuning_3": 1e-6},
    "AdaGrad": {"after_1": 1e-6, "after_25": 1e-6, "after_tuning_3": 1e-6},
    "RMSProp": {"after_1": 1e-6, "after_25": 1e-6, "after_tuning_3": 1e-6},
    "Adam": {"after_1": 2e-6, "after_25": 2e-4, "after_tuning_3": 2e-4},
}


@pytest.mark.parametrize("index", range(7))
def test_trajectories(shared_data, index):
    recorded = json.loads((shared_data / "deepchem-2.8.0-trajectories.json").read_text())
    case = recorded["cases"][index]
    learner = TrajectoryLearner(case)
    optimizer = getattr(dc.models.optimizers, case["optimizer"])(**case["optimizer_kwargs"])
    maml = dc.metalearning.MAML(
        learner,
        learning_rate=learner.rate,
        optimization_steps=case["optimization_steps"],
        meta_batch_size=case["meta_batch_size"],
        optimizer=optimizer,
    )
    tolerances = TOLERANCES[case["optimizer"]]
    if case["dtype"] == "float32":
        tolerances = {key: max(value, 2e-6) for key, value in tolerances.items()}

    def compare(key):
        for variable, expected in zip(learner.variables, case[key], strict=True):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(variable, expected, rtol=0, atol=tolerances[key] * scale)

    maml.fit(1)
    compare("after_1")
    maml.fit(24)
    compare("after_25")
    learner.select_task()
    maml.train_on_current_task(optimization_steps=3, restore=True)
    compare("after_tuning_3")
    loss, _ = maml.predict_on_batch(learner.get_batch())
    assert float(loss) == pytest.approx(case["final_loss"], rel=10 * tolerances["after_tuning_3"])


def test_deepchems_checkpoint(shared_data, tmp_path):
    readme = (shared_data / "README.md").read_text()
    w, b = tf.Variable(np.zeros((3, 2))), tf.Variable(np.zeros(2))
    learner = Function([w, b], lambda inputs, p: tf.reduce_sum(p[0]) + tf.reduce_sum(p[1]))
    folder = shutil.copytree(shared_data / "deepchem-2.8.0-checkpoint", tmp_path / "copy")
    maml = dc.metalearning.MAML(learner, model_dir=folder)
    maml.restore()
    for value in [*w.numpy().ravel(), *b.numpy()]:
        assert repr(float(value)) in readme


def test_checkpoint_restores_in_deepchem(tmp_path):
    """DeepChem restores `tf.train.Checkpoint` objects with the variables under `listed`."""
    v = tf.Variable([1.0, 2.0])
    maml = dc.metalearning.MAML(
        Function([v], lambda inputs, p: tf.reduce_sum(p[0] ** 2)), model_dir=tmp_path
    )
    maml.fit(3)
    checkpoint = tf.train.Checkpoint()
    checkpoint.listed = [tf.Variable([0.0, 0.0])]
    checkpoint.restore(tf.train.latest_checkpoint(tmp_path))
    np.testing.assert_array_equal(checkpoint.listed[0], v)


class SineLearner(dc.metalearning.MetaLearner):
    """Sine functions of random amplitude and phase, as DeepChem's own test has them."""

    def __init__(self):
        self.batch_size = 10
        scale = np.sqrt(1 / 40)
        self.w1 = tf.Variable(np.random.normal(size=[1, 40], scale=1.0))
        self.w2 = tf.Variable(np.random.normal(size=[40, 40], scale=scale))
        self.w3 = tf.Variable(np.random.normal(size=[40, 1], scale=scale))
        self.b1 = tf.Variable(np.zeros(40))
        self.b2 = tf.Variable(np.zeros(40))
        self.b3 = tf.Variable(np.zeros(1))

    def compute_model(self, inputs, variables, training):
        x, y = inputs
        w1, w2, w3, b1, b2, b3 = variables
        dense1 = tf.nn.relu(tf.matmul(x, w1) + b1)
        dense2 = tf.nn.relu(tf.matmul(dense1, w2) + b2)
        output = tf.matmul(dense2, w3) + b3
        return tf.reduce_mean(tf.square(output - y)), [output]

    @property
    def variables(self):
        return [self.w1, self.w2, self.w3, self.b1, self.b2, self.b3]

    def select_task(self):
        self.amplitude = 5.0 * np.random.random()
        self.phase = np.pi * np.random.random()

    def get_batch(self):
        x = np.random.uniform(-5.0, 5.0, (self.batch_size, 1))
        return [x, self.amplitude * np.sin(x + self.phase)]


def test_deepchems_program():
    """Meta-train on sines, fine-tune on new ones, reload in new objects."""
    learner = SineLearner()
    optimizer = dc.models.optimizers.Adam(learning_rate=5e-3)
    maml = dc.metalearning.MAML(learner, meta_batch_size=4, optimizer=optimizer)
    maml.fit(9000)
    before, after = [], []
    for _ in range(50):
        learner.select_task()
        maml.restore()
        batch = learner.get_batch()
        loss, _ = maml.predict_on_batch(batch)
        before.append(np.sqrt(loss))
        maml.train_on_current_task()
        loss, _ = maml.predict_on_batch(batch)
        after.append(np.sqrt(loss))
    assert np.average(before) > 1.0
    assert np.average(after) < np.average(before)

    new = dc.metalearning.MAML(SineLearner(), model_dir=maml.model_dir)
    new.restore()
    assert np.sqrt(new.predict_on_batch(batch)[0]) == before[-1]
    new = dc.metalearning.MAML(SineLearner(), model_dir=maml.model_dir)
    new.fit(0, restore=True)
    assert np.sqrt(new.predict_on_batch(batch)[0]) == before[-1]


PROGRAM = """
    import sys
    sys.path.insert(0, {tests!r})
    from learners import ResumableSine
    import deepchem_meta as dc

    learner = ResumableSine()
    maml = dc.metalearning.MAML(
        learner,
        meta_batch_size=2,
        optimizer=dc.models.optimizers.Adam(0.01),
        model_dir={folder!r},
        task_execution="vectorized",
        jit_compile=False,
    )
    maml.fit({steps}, checkpoint_interval=0, restore={restore}, steps_per_execution=20,
        verbose=0)
    print([v.numpy().tolist() for v in learner.variables])
"""


def run(folder, steps, restore):
    code = PROGRAM.format(
        tests=str(Path(__file__).parents[1]), folder=str(folder), steps=steps, restore=restore
    )
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def steps_saved(folder):
    """Return the meta-step of the newest checkpoint; the file `checkpoint` may not name it yet."""
    numbers = [int(path.stem.removeprefix("ckpt-")) for path in Path(folder).glob("ckpt-*.index")]
    path = str(Path(folder, f"ckpt-{max(numbers)}"))
    return int(tf.train.load_variable(path, "optimizer/0/.ATTRIBUTES/VARIABLE_VALUE"))


def test_killed_in_the_middle_and_restarted(tmp_path):
    """After SIGKILL a restart goes on from the last checkpoint as if nothing had happened."""
    victim = run(tmp_path / "killed", 10**9, False)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "killed").glob("*.index"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    saved = steps_saved(tmp_path / "killed")
    assert saved > 20
    resumed, _ = run(tmp_path / "killed", 41, True).communicate()
    whole, _ = run(tmp_path / "whole", saved + 41, False).communicate()
    assert steps_saved(tmp_path / "killed") == saved + 41
    assert resumed == whole != ""
