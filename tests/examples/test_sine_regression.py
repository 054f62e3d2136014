import re
import struct
import sys

import numpy as np
import pytest


@pytest.fixture
def example(load_example):
    return load_example("sine_regression")


def errors_of(table):
    """Return the mean and the half width of the interval in each row of the printed table."""
    rows = re.findall(r"^ *(not adapted|after \d+ steps?) +(\S+) ± (\S+)$", table, re.MULTILINE)
    assert [row[0] for row in rows] == [
        "not adapted",
        "after 1 step",
        "after 5 steps",
        "after 10 steps",
    ]
    return np.array([row[1:] for row in rows], float)


def test_adaptation_helps_and_the_picture_is_written(example, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "sine.png"
    example.main(["--steps", "1000", "--test-tasks", "30", "--output", str(picture)])
    output = capsys.readouterr().out
    errors = errors_of(output)
    assert np.all(np.isfinite(errors))
    assert np.all(errors > 0)
    assert errors[1, 0] < errors[0, 0] / 2
    assert str(picture) in output
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert 800 <= width <= 3000
    assert 300 <= height <= 1500


def test_without_matplotlib_the_table_is_printed(example, tmp_path, capsys, monkeypatch):
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    picture = tmp_path / "sine.png"
    example.main(["--steps", "1", "--test-tasks", "3", "--output", str(picture)])
    output = capsys.readouterr().out
    assert np.all(np.isfinite(errors_of(output)))
    assert "pip install" in output
    assert not picture.exists()


def test_the_same_seed_gives_the_same_table(example, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    tables = []
    for _ in range(2):
        picture = str(tmp_path / "sine.png")
        example.main(["--steps", "2", "--test-tasks", "3", "--seed", "1", "--output", picture])
        tables.append(errors_of(capsys.readouterr().out).tolist())
    assert tables[0] == tables[1]


def test_an_interval_needs_several_tasks(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--test-tasks", "1"])
    assert "--test-tasks must be at least 3" in capsys.readouterr().err
