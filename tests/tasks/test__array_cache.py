import numpy as np
import pytest

from deepchem_meta.tasks._array_cache import mapped

CONTENT = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)


def open_array(folder, key=("a", 1), shape=CONTENT.shape, calls=None):
    def fill(out):
        out[:] = CONTENT
        if calls is not None:
            calls.append(key)

    return mapped(folder, "pictures", key, shape, fill)


def test_a_file_is_made_once(tmp_path):
    calls = []
    for _ in range(3):
        array = open_array(tmp_path / "a" / "b", calls=calls)
        assert isinstance(array, np.memmap) and not array.flags.writeable
        np.testing.assert_array_equal(array, CONTENT)
    assert calls == [("a", 1)]
    (path,) = (tmp_path / "a" / "b").iterdir()
    assert path.name.startswith("pictures-") and path.suffix == ".npy"
    np.testing.assert_array_equal(np.load(path), CONTENT)  # an ordinary file of NumPy


def test_another_key_or_shape_is_another_file(tmp_path):
    calls = []
    open_array(tmp_path, calls=calls)
    open_array(tmp_path, key=("a", 2), calls=calls)
    open_array(tmp_path, shape=(2, 7, 5, 3), calls=calls)
    open_array(tmp_path, calls=calls)
    assert len(calls) == 3 == len(list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:3],
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"x",
        lambda data: bytes(len(data)),
        lambda data: data[:150] + bytes([data[150] ^ 1]) + data[151:],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    ],
)
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    calls = []
    open_array(tmp_path, calls=calls)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    np.testing.assert_array_equal(open_array(tmp_path, calls=calls), CONTENT)
    assert len(calls) == 2 and path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def fill(out):
        out[0] = 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapped(tmp_path, "pictures", ("a", 1), CONTENT.shape, fill)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_whole_when_it_gets_its_name(tmp_path):
    """Another process sees no file, or all of it; an array that is open keeps its content."""
    seen = []

    def fill(out):
        seen.append([path.suffix for path in tmp_path.iterdir()])
        inner = open_array(tmp_path)  # as if another process were faster
        np.testing.assert_array_equal(inner, CONTENT)
        out[:] = CONTENT
        seen.append(inner)

    outer = mapped(tmp_path, "pictures", ("a", 1), CONTENT.shape, fill)
    assert seen[0] == [".tmp"]
    np.testing.assert_array_equal(seen[1], outer)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_others_may_read_the_file(tmp_path):
    open_array(tmp_path)
    (path,) = tmp_path.iterdir()
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
