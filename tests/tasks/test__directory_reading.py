import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from deepchem_meta.tasks import FewShotClassificationTasks
from deepchem_meta.tasks import _directory_reading as reading

FORMS = {"rgb": 3, "grayscale": 1, "rgba": 4}


def write(path, pixels, encode=tf.io.encode_png):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(pixels).numpy())


@pytest.fixture
def folder(tmp_path):
    """Give a folder of three classes, whose pictures are of any size and of two formats."""
    rng = np.random.default_rng(0)
    for name, count in (("owl", 3), ("Cat", 4), ("dog", 5)):
        for i in range(count):
            height, width = rng.integers(9, 40, 2)
            encode, kind = [(tf.io.encode_png, "png"), (tf.io.encode_jpeg, "JPG")][i % 2]
            pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
            write(tmp_path / "pictures" / name / f"{i}.{kind}", pixels, encode)
    return tmp_path / "pictures"


def read(folder, **options):
    defaults = {"image_size": 8, "ways": 2, "queries": 2}
    return FewShotClassificationTasks.from_directory(folder, **(defaults | options))


def by_keras(folder, image_size, **options):
    """Return the pictures and labels that Keras reads, and its names of classes."""
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=image_size, shuffle=False, batch_size=None, verbose=False, **options
    )
    pictures, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.stack(pictures), np.array(labels), dataset.class_names


@pytest.mark.parametrize("interpolation", ["bilinear", "area", "bicubic", "nearest"])
def test_pictures_are_those_of_keras(folder, interpolation):
    theirs, labels, names = by_keras(folder, (11, 7), interpolation=interpolation)
    tasks = read(folder, image_size=(11, 7), interpolation=interpolation)
    assert tasks.class_names == names == ["Cat", "dog", "owl"]
    bytes_of_theirs = np.clip(np.rint(theirs), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(tasks.x, bytes_of_theirs)
    # What is drawn is a picture in [0, 1], of one class a target, as Keras says.
    for batch in tasks.sample(50, np.random.default_rng(0)):
        x, y = batch
        assert x.dtype == np.float32 and y.dtype == np.int32 and 0 <= x.min() <= x.max() <= 1
        for pictures, targets in zip(x, y, strict=True):
            gaps = abs(pictures[:, None] - np.clip(theirs, 0, 255) / 255).max(axis=(2, 3, 4))
            assert (gaps.min(axis=1) <= 0.5 / 255 + 1e-6).all()
            classes = labels[gaps.argmin(axis=1)]
            assert all(len(set(classes[targets == target])) == 1 for target in (0, 1))
    other = read(folder, image_size=[11, 7], interpolation=interpolation, dtype="uint8")
    (x, _), _ = other.sample(50, np.random.default_rng(0))
    assert x.dtype == np.uint8
    (floats, _), _ = tasks.sample(50, np.random.default_rng(0))
    np.testing.assert_array_equal(floats, np.float32(x / 255.0))


@pytest.mark.parametrize("color_mode", FORMS)
def test_color_modes(tmp_path, color_mode):
    rng = np.random.default_rng(0)
    for i in range(6):
        channels = (1, 3, 4)[i % 3]
        write(
            tmp_path / "ab"[i // 3] / f"{i}.png", rng.integers(0, 256, (9, 9, channels), np.uint8)
        )
    theirs, _, _ = by_keras(tmp_path, (9, 9), color_mode=color_mode)
    tasks = read(tmp_path, image_size=9, color_mode=color_mode, dtype="uint8")
    assert tasks.x.shape == (6, 9, 9, FORMS[color_mode])
    np.testing.assert_array_equal(tasks.x, theirs)


def test_gif_and_bmp(tmp_path):
    dark = np.zeros((4, 4, 3), np.uint8)
    # A GIF of two frames, of one black and one white pixel, and a BMP of four red ones.
    gif = bytes.fromhex(
        "47494638396101000100800000000000ffffff"
        "2c000000000100010000020244010021f90400000000002c00000000010001000002024c01003b"
    )
    bmp = bytes.fromhex(
        "424d46000000000000003600000028000000020000000200000001001800000000001000000000000000"
        "000000000000000000000000" + "0000ff0000ff0000" * 2
    )
    for name in "ab":
        write(tmp_path / name / "0.png", dark)
        (tmp_path / name / "1.gif").write_bytes(gif)
        (tmp_path / name / "2.bmp").write_bytes(bmp)
    pictures = read(tmp_path, image_size=2).x
    assert (pictures[1::3] == 0).all() and (pictures[2::3] == [255, 0, 0]).all()
    np.testing.assert_array_equal(pictures, by_keras(tmp_path, (2, 2))[0])


def test_folders_of_folders(tmp_path):
    for number, name in enumerate(("Greek/beta", "Greek/alpha", "Latin/a", "Latin/b")):
        for i in range(3):
            write(tmp_path / name / f"{i}.png", np.full((5, 5, 1), 10 * number + i, np.uint8))
    tasks = read(tmp_path, color_mode="grayscale", dtype="uint8")
    assert tasks.class_names == ["Greek/alpha", "Greek/beta", "Latin/a", "Latin/b"]
    train, test = tasks.split([name for name in tasks.class_names if name.startswith("Greek/")])
    assert train.class_names == ["Latin/a", "Latin/b"]
    assert test.class_names == ["Greek/alpha", "Greek/beta"]
    for part, numbers in ((train, {2, 3}), (test, {0, 1})):
        support, query = part.sample(20, np.random.default_rng(0))
        drawn = np.concatenate([support[0], query[0]], axis=1)[..., 0, 0, 0]
        assert set((drawn // 10).ravel()) == numbers
        assert all(len(set(task)) == 6 for task in drawn.tolist())


def test_rotations_and_uint8(folder):
    tasks = read(folder, rotations=True, dtype="uint8", ways=12)
    assert tasks.classes == 12 and tasks.class_names == ["Cat", "dog", "owl"]
    (x, _), (query_x, _) = tasks.sample(3, np.random.default_rng(0))
    assert x.dtype == query_x.dtype == np.uint8 and query_x.shape == (3, 24, 8, 8, 3)


def test_the_same_from_memory_and_from_the_cache(folder, tmp_path):
    cache = tmp_path / "new" / "cache"
    for dtype in ("float32", "uint8"):
        parts = []
        for where in (None, cache, str(cache)):
            tasks = read(folder, cache=where, dtype=dtype, rotations=True, ways=5)
            parts.append(tasks.sample(5, np.random.default_rng(0)))
        for other in parts[1:]:
            for a, b in zip((*parts[0][0], *parts[0][1]), (*other[0], *other[1]), strict=True):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype
    assert isinstance(tasks.x, np.memmap) and not tasks.x.flags.writeable
    assert [path.suffix for path in cache.iterdir()] == [".npy"]  # of both, and nothing else


@pytest.fixture
def reads(monkeypatch):
    """Count how often pictures are decoded."""
    calls = []

    def read_images(files, form, out):
        calls.append(len(files.paths))
        original(files, form, out)

    original = reading.read_images
    monkeypatch.setattr(reading, "read_images", read_images)
    return calls


def test_the_cache_is_read_again_only_where_something_changed(folder, tmp_path, reads):
    cache = tmp_path / "cache"

    def pictures(**options):
        return np.asarray(read(folder, cache=cache, **options).x)

    first = pictures()
    np.testing.assert_array_equal(pictures(shots=2, queries=1), first)
    assert reads == [12]
    # Settings.
    pictures(image_size=9)
    pictures(color_mode="grayscale")
    pictures(interpolation="area")
    assert len(reads) == 4
    # Other content of the same size, at another time.
    changed = folder / "owl" / "0.png"
    data = changed.read_bytes()
    pixels = np.random.default_rng(7).integers(0, 256, (20, 20, 3), np.uint8)
    write(changed, pixels)
    new = pictures()
    assert len(reads) == 5 and not np.array_equal(new[9], first[9])
    np.testing.assert_array_equal(new[:9], first[:9])
    stat = changed.stat()
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    pictures()
    assert len(reads) == 6
    # A file more, another name, and back to what was.
    write(folder / "owl" / "9.png", pixels)
    assert pictures().shape[0] == 13 and len(reads) == 7
    (folder / "owl" / "9.png").rename(folder / "dog" / "9.png")
    pictures()
    assert len(reads) == 8
    (folder / "dog" / "9.png").unlink()
    changed.write_bytes(data)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    folder.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(folder)
    pictures()
    pictures()
    assert len(reads) == 9


def test_a_cache_in_the_folder_itself_is_no_class(folder, reads):
    for _ in range(2):
        tasks = read(folder, cache=folder / "cache")
        assert tasks.class_names == ["Cat", "dog", "owl"]
    assert reads == [12]


def test_nothing_is_read_where_tasks_cannot_be_made(folder, reads):
    with pytest.raises(ValueError, match=r"1 of 3 classes with fewer; .*: owl \(3\)$"):
        read(folder, queries=3)
    with pytest.raises(ValueError, match="`ways` must be at most the number of classes"):
        read(folder, ways=4)
    with pytest.raises(ValueError, match="size, size, channels"):
        read(folder, image_size=(8, 9), rotations=True)
    assert reads == []


def test_pictures_that_cannot_be_read(folder, tmp_path):
    for i in range(7):
        (folder / "dog" / f"bad{i}.png").write_bytes(b"" if i else b"no picture")
    whole = (folder / "Cat" / "1.JPG").read_bytes()
    (folder / "Cat" / "1.JPG").write_bytes(whole[:-20])
    message = (
        r"decodes with 3 channels. Received: 8 of 19 in '.*pictures' that it does not: "
        r"Cat/1.JPG, dog/bad0.png, dog/bad1.png, dog/bad2.png, dog/bad3.png and 3 more. "
        r"Of the first it says: [^{]*JPEG[^\[]*$"
    )
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(ValueError, match=message):
            read(folder, cache=cache)
    assert list((tmp_path / "cache").iterdir()) == []  # nor is half a file left


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image_size": 0}, ValueError, "`image_size` must be at least 1"),
        ({"image_size": (8, 8, 3)}, TypeError, "`image_size` must be an int"),
        ({"image_size": "8"}, TypeError, "`image_size`"),
        ({"color_mode": "bgr"}, ValueError, "`color_mode` must be one of"),
        ({"interpolation": "cubic"}, ValueError, "`interpolation` must be one of"),
        ({"dtype": "float64"}, ValueError, "`dtype` must be one of"),
        ({"cache": True}, TypeError, "`cache` must be a folder"),
        ({"ways": 1}, ValueError, "`ways`"),
    ],
)
def test_bad_arguments(folder, options, error, message):
    with pytest.raises(error, match=message):
        read(folder, **options)
