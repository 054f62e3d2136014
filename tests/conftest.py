"""What all tests share: quiet logs, fixed seeds and the folder of shared data."""

import os
from pathlib import Path

# Both are read when TensorFlow and matplotlib are imported, so they are set before that.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import keras
import pytest

TESTS = Path(__file__).resolve().parent

# --doctest-modules imports every file; benchmarks and helpers are scripts, not tests.
collect_ignore = [
    str(path.relative_to(TESTS))
    for path in TESTS.rglob("*.py")
    if not path.name.startswith("test_") and path.name != "conftest.py"
]


@pytest.fixture(autouse=True)
def seed_everything():
    """Seed Python, NumPy and TensorFlow, so that a test does not depend on those before it."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def shared_data():
    """Give the folder of data sets and DeepChem's recorded results next to the checkout."""
    folder = TESTS.parent.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data folder ../shared/data next to the checkout, which is not there")
    return folder
