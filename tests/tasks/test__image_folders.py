import os

import keras
import numpy as np
import pytest

from deepchem_meta.tasks._image_folders import FORMATS, find_images

FILES = [
    *("b/2.png", "b/10.PNG", "b/notes.txt", "b/.hidden.png", "B/1.jpeg", "a b/x.bmp"),
    *("a-b/x.GIF", "a/x.jpg", "a/y.tiff", "a/z.webp", "top.png", ".git/x.png"),
]


def make(folder, files):
    for number, name in enumerate(files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * number)
    return folder


def test_files_and_classes_are_those_of_keras(tmp_path):
    found = find_images(make(tmp_path, FILES))
    dataset = keras.utils.image_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    visible = [path for path in dataset.file_paths if "/.hidden" not in path]
    assert found.class_names == dataset.class_names == ["B", "a", "a b", "a-b", "b"]
    assert [os.path.join(tmp_path, path) for path in found.paths] == visible
    expected = [found.class_names.index(path.split("/")[0]) for path in found.paths]
    np.testing.assert_array_equal(found.labels, expected)
    assert [size for size, _ in found.stamps] == [FILES.index(path) for path in found.paths]
    assert all(path.lower().endswith(FORMATS) for path in found.paths)


def test_folders_of_folders(tmp_path):
    files = ["Greek/alpha/1.png", "Greek/beta/1.png", "Greek/beta/2.png", "x/y/z/1.png", "q/1.png"]
    found = find_images(str(make(tmp_path, files)))
    assert found.class_names == ["Greek/alpha", "Greek/beta", "q", "x/y/z"]
    assert found.paths == [
        *("Greek/alpha/1.png", "Greek/beta/1.png", "Greek/beta/2.png"),
        *("q/1.png", "x/y/z/1.png"),
    ]
    assert found.labels.tolist() == [0, 1, 1, 2, 3] and found.labels.dtype == np.int64


def test_links_are_followed(tmp_path):
    make(tmp_path / "store", ["owl/1.png"])
    root = make(tmp_path / "root", ["cat/1.png"])
    (root / "bird").symlink_to(tmp_path / "store" / "owl", target_is_directory=True)
    assert find_images(root).class_names == ["bird", "cat"]
    (root / "round").mkdir()
    (root / "round" / "again").symlink_to(root, target_is_directory=True)
    with pytest.raises(ValueError, match="must not lie in itself. Received: 'round/again'"):
        find_images(root)


def test_a_folder_can_be_skipped(tmp_path):
    root = make(tmp_path, ["cat/1.png", "cache/x.npy"])
    with pytest.raises(ValueError, match="1 of 2 in .* that have none: cache$"):
        find_images(root)
    assert find_images(root, skip=root / "cache").class_names == ["cat"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.png", "2.png"], "a folder for each class.*without folders, with 2 pictures$"),
        ([".x/1.png"], "without folders, with 0 pictures$"),
        (
            [f"c{i}/notes.txt" for i in range(6)] + ["d/1.png"],
            r"must have pictures, .*\.png, or folders. Received: 6 of 7 .*: c0, c1, .* and 1 more$",
        ),
        (["a/b/1.txt", "c/1.png"], "1 of 3 in .* that have none: a/b$"),
        (["a/1.png", "a/b/1.png"], "either pictures, .* Received: 1 in .* with both: a$"),
    ],
)
def test_bad_folders(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        find_images(make(tmp_path / "root", files))


def test_what_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "nothing"):
        with pytest.raises(ValueError, match=f"`path` must be a folder. .*{name}'$"):
            find_images(tmp_path / name)
