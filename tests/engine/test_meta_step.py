"""Plans that agree, and traces that last."""

import numpy as np
from learners import Sine, episodes, values

from deepchem_meta.metalearning import MAML

FAST = {"meta_batch_size": 2, "task_execution": "vectorized", "jit_compile": False}


def test_plans_agree():
    found = []
    for options in (
        {"task_execution": "looped", "jit_compile": False},
        {"task_execution": "looped", "jit_compile": True},
        {"task_execution": "vectorized", "jit_compile": False},
        {"task_execution": "vectorized", "jit_compile": True},
    ):
        learner = Sine(dtype="float64")
        maml = MAML(learner, meta_batch_size=3, optimization_steps=2, **options)
        maml.fit(5)
        plan = maml.execution_plan
        assert plan.vectorized == (options["task_execution"] == "vectorized")
        assert plan.jit_compile == options["jit_compile"]
        found.append(values(learner))
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_nothing_is_traced_after_the_first_call(caplog):
    calls = []

    class Counting(Sine):
        def compute_model(self, inputs, variables, training):
            calls.append(training)
            return super().compute_model(inputs, variables, training)

    learner = Counting()
    maml = MAML(learner, **FAST)
    maml.fit(5)
    batch = learner.get_batch()
    maml.train_on_current_task()
    maml.predict_on_batch(batch)
    maml.adapt(batch)
    maml.fit(1)
    before = len(calls)
    for _ in range(3):
        maml.learning_rate *= 0.5
        maml.fit(5)
        maml.fit(1)
        maml.train_on_current_task(2)
        maml.predict_on_batch(batch)
        maml.adapt(batch)
        maml.meta_gradient(*episodes(learner, 2))
        maml.train_on_batch(*episodes(learner, 2))
    assert len(calls) == before
