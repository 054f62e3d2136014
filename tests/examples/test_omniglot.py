import re
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

ALPHABETS = ("Arabic", "Bengali", "Cyrillic")
CHARACTERS = 2
DRAWINGS = 17
SMALL = ["--ways", "2", "--queries", "2", "--tasks", "2", "--test-tasks", "3"]


@pytest.fixture
def example(load_example):
    return load_example("omniglot")


@pytest.fixture
def folder(tmp_path):
    """Give a folder like Omniglot's, of a line each, black on white, in a place of its own."""
    root = tmp_path / "data" / "images_background"
    rng = np.random.default_rng(0)
    for i, alphabet in enumerate(ALPHABETS):
        for j in range(CHARACTERS):
            character = root / alphabet / f"character{j + 1:02}"
            character.mkdir(parents=True)
            for k in range(DRAWINGS):
                image = np.full((105, 105, 1), 255, "uint8")
                place = 15 * (2 * i + j) + rng.integers(10)
                image[place : place + 5, 20:80] = 0
                png = tf.io.encode_png(image).numpy()
                (character / f"{j:04}_{k + 1:02}.png").write_bytes(png)
    return root.parent


def accuracies(output):
    rows = re.findall(r"^ *(\d+) +\S+ ± \S+ +(\S+) ± (\S+)$", output, re.MULTILINE)
    return {int(steps): float(mean) for steps, mean, _ in rows}


def test_trains_prints_and_draws(example, folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "omniglot.png"
    files = ["--data", str(folder), "--cache", str(tmp_path), "--output", str(picture)]
    example.main([*files, *SMALL, "--steps", "3", "--validate-every", "2"])
    output = capsys.readouterr().out
    assert "102 pictures of 6 characters. Turned in four ways they are 16 to train on" in output
    assert "8 to test, of Cyrillic\n" in output
    assert "2-way 1-shot after 3 meta-steps:" in output
    found = accuracies(output)
    assert list(found) == [0, 1, 3]
    assert all(0 <= accuracy <= 1 for accuracy in found.values())
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_goes_on_where_it_stopped_until_the_time_is_over(
    example, folder, tmp_path, capsys, monkeypatch
):
    def make_model(ways):
        return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(ways)])

    monkeypatch.setattr(example, "make_model", make_model)  # one that compiles quickly
    monkeypatch.setattr(example, "draw_picture", lambda *arguments: None)
    files = ["--data", str(folder), "--cache", str(tmp_path), "--model-dir", str(tmp_path / "m")]
    taken = []
    for limit in (["--steps", "3"], ["--minutes", "0"]):  # ends after the first compiled call
        example.main([*files, *SMALL, *limit])
        taken.append(int(re.search(r"after (\d+) meta-steps:", capsys.readouterr().out)[1]))
    assert taken[0] == 3
    assert 3 < taken[1] < 1000


def test_pictures_are_shares_of_ink_and_kept(example, folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    images, characters = example.load_images(folder, cache)
    assert images.shape == (102, 28, 28, 1)
    assert images.dtype == np.uint8
    assert sorted(set(characters)) == [
        f"{alphabet}/character{j + 1:02}" for alphabet in ALPHABETS for j in range(CHARACTERS)
    ]
    # 5 by 60 of 105 by 105 pixels are black.
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)) / 255, 300 / 105**2, atol=1e-3)
    archive = tmp_path / "omniglot.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.png"):
            file.write(path, path.relative_to(folder))
    monkeypatch.delattr(example, "decode")  # what is kept is not decoded again
    again, names = example.load_images(archive, cache)
    np.testing.assert_array_equal(again, images)
    np.testing.assert_array_equal(names, characters)
    assert len(list(cache.iterdir())) == 1


def test_test_alphabets_are_not_trained_on(example, folder, tmp_path):
    images, characters = example.load_images(folder, tmp_path)
    images[np.char.startswith(characters, "Cyrillic")] = 255
    images[~np.char.startswith(characters, "Cyrillic")] = 0
    train, test = example.load_tasks(images, characters, example.parse_arguments(SMALL))
    rng = np.random.default_rng(0)
    for tasks, ink in ((train, 0), (test, 1)):
        for x, _ in tasks.sample(5, rng):
            assert np.all(x == ink)


@pytest.mark.parametrize("make", ["empty", "missing", "text"])
def test_data_that_cannot_be_read_are_refused(example, tmp_path, make):
    path = tmp_path / "data"
    if make == "empty":
        path.mkdir()
    elif make == "text":
        path.write_text("no zip file")
    with pytest.raises(SystemExit, match="^Error: "):
        example.main(["--data", str(path), "--cache", str(tmp_path)])
