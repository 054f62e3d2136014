"""The algorithms of docs/tutorials/own_algorithm.md pass the table that the package's own pass."""

import re
from pathlib import Path

import pytest
from metalearning import test_conformance as conformance

import deepchem_meta as dc

PAGE = Path(__file__).parent.parent.parent / "docs" / "tutorials" / "own_algorithm.md"


def definitions():
    """Return the classes that the page defines, by name."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    imports = "import keras\nimport tensorflow as tf\nimport deepchem_meta as dc\n"
    classes = re.findall(r"^class .*?(?=^\S(?!lass)|\Z)", "\n".join(blocks), re.DOTALL | re.M)
    found = {}
    exec(imports + "\n".join(classes), found)
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, dc.metalearning.MetaAlgorithm)
    }


def sign_maml(learner, rate, steps, tasks, **options):
    return definitions()["SignMAML"](learner, rate, steps, meta_batch_size=tasks, **options)


def scaled_proto_net(learner, rate, steps, tasks, **options):
    make = definitions()["ScaledProtoNet"]
    return make(learner, meta_batch_size=tasks, ways=3, **options)


@pytest.fixture(autouse=True)
def in_the_table(monkeypatch):
    monkeypatch.setitem(conformance.MAKERS, "SignMAML", sign_maml)
    monkeypatch.setitem(conformance.MAKERS, "ScaledProtoNet", scaled_proto_net)
    heads = (*conformance.HEADS, "ScaledProtoNet")
    monkeypatch.setattr(conformance, "HEADS", heads)
    monkeypatch.setattr(conformance, "OF_CLASSES", (*conformance.OF_CLASSES, "ScaledProtoNet"))


NAMES = pytest.mark.parametrize("name", ["SignMAML", "ScaledProtoNet"])


def test_the_page_defines_them():
    assert {"SignMAML", "ScaledProtoNet"} <= set(definitions())
    lines = PAGE.read_text(encoding="utf-8").split("class SignMAML")[1].partition("```")[0]
    assert len([line for line in lines.splitlines() if line.strip()]) <= 20


@NAMES
def test_fits_with_any_number_of_steps_and_tasks(name):
    conformance.test_fits_in_either_precision_and_leaves_the_unused_alone(name, "float64")
    conformance.test_no_steps_and_one_task(name, 0, 2)
    conformance.test_no_steps_and_one_task(name, 1, 1)


@NAMES
def test_every_way_to_run_it_gives_the_same(name):
    conformance.test_vectorised_looped_and_compiled_agree(name)
    conformance.test_a_meta_batch_in_parts_gives_the_same(name)
    conformance.test_evaluate_is_adapt_and_predict(name)
    conformance.test_ragged_batches(name)


@NAMES
def test_it_can_be_resumed_and_is_not_traced_again(name, tmp_path, monkeypatch):
    conformance.test_resumed_is_uninterrupted(name, tmp_path)
    conformance.test_nothing_is_traced_again(name, monkeypatch)


@NAMES
def test_meta_gradient_by_central_differences(name):
    conformance.test_meta_gradient_by_central_differences(name, False)


@NAMES
def test_the_current_task(name):
    conformance.test_on_one_batch_the_current_task_is_adapted_to_as_any(name)
    conformance.test_adapts_to_the_current_task_and_predicts(name)
