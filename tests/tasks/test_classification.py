import collections

import h5py
import numpy as np
import pytest

from deepchem_meta.tasks import FewShotClassificationTasks

LABELS = np.random.default_rng(0).permutation(
    np.repeat([7, -2, 30, 4, 11, 9], [9, 12, 10, 9, 9, 9])
)
ROWS = np.arange(len(LABELS))[:, None]  # an example is its row's number


def make(x=ROWS, labels=LABELS, **options):
    return FewShotClassificationTasks(x, labels, **({"ways": 3, "queries": 4} | options))


def test_shapes_and_targets():
    (x, y), (query_x, query_y) = make(shots=2).sample(5, np.random.default_rng(0))
    assert x.shape == (5, 6, 1) and query_x.shape == (5, 12, 1) and x.dtype == ROWS.dtype
    assert y.dtype == query_y.dtype == np.int32
    np.testing.assert_array_equal(y, [[0, 0, 1, 1, 2, 2]] * 5)
    np.testing.assert_array_equal(query_y, [np.repeat([0, 1, 2], 4)] * 5)


def test_tasks_are_well_made():
    """A class a target, no two the same, and no example twice in a task."""
    support, query = make(shots=3, queries=6).sample(300, np.random.default_rng(0))
    x = np.concatenate([support[0], query[0]], axis=1)[..., 0]
    y = np.concatenate([support[1], query[1]], axis=1)
    for rows, targets in zip(x, y, strict=True):
        assert len(set(rows)) == len(rows) == 27
        classes = [set(LABELS[rows[targets == target]]) for target in range(3)]
        assert all(len(labels) == 1 for labels in classes)
        assert len(set.union(*classes)) == 3


def test_classes_and_examples_are_uniform():
    n = 6000
    (x, _), (query_x, _) = make().sample(n, np.random.default_rng(0))
    first = LABELS[x[..., 0]]  # one shot: the class of each target
    for target in range(3):
        _, observed = np.unique(first[:, target], return_counts=True)
        assert ((observed - n / 6) ** 2 / (n / 6)).sum() < 25  # 5 degrees of freedom
    rows = query_x[LABELS[query_x[..., 0]] == 30][:, 0]
    _, observed = np.unique(rows, return_counts=True)
    assert len(observed) == 10
    assert abs(observed / (len(rows) / 10) - 1).max() < 0.1


def test_tasks_depend_on_nothing_but_the_generator():
    tasks = make()
    first, _, again, other = (tasks.sample(4, np.random.default_rng(seed)) for seed in (1, 2, 1, 3))
    np.testing.assert_array_equal(first[0][0], again[0][0])
    np.testing.assert_array_equal(first[1][0], again[1][0])
    assert not np.array_equal(first[1][0], other[1][0])


class Lazy:
    """Gives what it is asked for by a sorted array of different integers, and nothing else."""

    def __init__(self, array):
        self.array, self.asked = array, []

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        assert isinstance(rows, np.ndarray) and (np.diff(rows) > 0).all()
        self.asked.append(len(rows))
        return self.array[rows]


@pytest.mark.parametrize("kind", ["memmap", "h5py", "lazy", "list"])
def test_sources_of_examples(kind, tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (len(LABELS), 4, 4, 1)).astype(np.uint8)
    if kind == "memmap":
        other = np.memmap(tmp_path / "x", np.uint8, "w+", shape=x.shape)
        other[:] = x
    elif kind == "h5py":
        other = h5py.File(tmp_path / "x.h5", "w").create_dataset("x", data=x)
    else:
        other = Lazy(x) if kind == "lazy" else list(x)
    rotations = kind in ("memmap", "h5py")
    expected = make(x, rotations=rotations).sample(6, np.random.default_rng(0))
    tasks = make(other, rotations=rotations)
    drawn = tasks.sample(6, np.random.default_rng(0))
    for a, b in zip(drawn, expected, strict=True):
        assert a[0].dtype == np.uint8 and type(a[0]) is np.ndarray
        np.testing.assert_array_equal(a[0], b[0])
    if kind == "lazy":
        assert max(other.asked) < len(x)
    assert "6 classes" in repr(tasks) or "24 classes" in repr(tasks)


def test_rotations_are_classes():
    image = np.arange(9.0, dtype=np.float32).reshape(3, 3, 1)
    x = np.stack([image + 100 * row for row in range(len(LABELS))])
    before = x.copy()
    tasks = make(x, rotations=True, queries=2)
    assert tasks.classes == 24
    support, query = tasks.sample(500, np.random.default_rng(0))
    np.testing.assert_array_equal(x, before)
    turned = [np.rot90(image, quarters) for quarters in range(4)]
    seen = collections.Counter()
    for task, asked in zip(support[0], query[0], strict=True):
        kinds = []
        for position, picture in enumerate(task):
            row = int(picture.min() // 100)
            quarters = [np.array_equal(picture - 100 * row, t) for t in turned].index(True)
            kinds.append((LABELS[row], quarters))
            for other in asked[2 * position : 2 * position + 2]:
                number = int(other.min() // 100)
                assert LABELS[number] == LABELS[row] and number != row
                np.testing.assert_array_equal(other - 100 * number, turned[quarters])
        assert len(set(kinds)) == 3
        seen.update(kinds)
    assert len(seen) == 24
    assert min(seen.values()) > 35  # of 62.5 expected


def test_split_by_labels():
    train, test = make(ways=2).split([7, 30])
    assert (train.classes, test.classes) == (4, 2) and train.x is test.x is ROWS
    for tasks, labels in ((train, {-2, 4, 11, 9}), (test, {7, 30})):
        (x, _), _ = tasks.sample(50, np.random.default_rng(0))
        assert set(LABELS[x.ravel()]) == labels


WORDS = np.array([f"c{label:+d}" for label in LABELS])


@pytest.mark.parametrize("labels", [WORDS, WORDS.astype(object), WORDS.tolist()])
def test_labels_that_are_words(labels):
    tasks = make(labels=labels)
    assert tasks.class_names == ["c+11", "c+30", "c+4", "c+7", "c+9", "c-2"]
    support, query = tasks.sample(50, np.random.default_rng(0))
    for (x, y), size in ((support, 1), (query, 4)):
        assert y.dtype == np.int32
        words = WORDS[x[..., 0]].reshape(50, 3, size)
        assert (words == words[..., :1]).all()  # a class a target
        assert all(len(set(task)) == 3 for task in words[..., 0].tolist())
    train, test = tasks.replace(ways=2).split(["c-2", "c+7"])
    assert test.class_names == ["c+7", "c-2"] and not {*train.class_names} & {*test.class_names}
    assert set(WORDS[test.sample(20, np.random.default_rng(0))[0][0].ravel()]) == {"c+7", "c-2"}
    train, test = tasks.replace(ways=2).split(0.5)
    assert sorted(train.class_names + test.class_names) == tasks.class_names


def test_class_names_of_integers():
    assert make().class_names == ["-2", "4", "7", "9", "11", "30"]
    images = np.zeros((58, 2, 2, 1), np.uint8)
    assert make(images, rotations=True).class_names == ["-2", "4", "7", "9", "11", "30"]


def test_split_by_fraction_and_number():
    tasks = make(ways=2)
    parts = [tasks.split(test, seed=seed)[1] for test, seed in [(0.5, 0), (3, 0), (0.5, 1)]]
    labels = [
        set(LABELS[part.sample(50, np.random.default_rng(0))[0][0].ravel()]) for part in parts
    ]
    assert [len(group) for group in labels] == [3, 3, 3]
    assert labels[0] == labels[1] != labels[2]
    train, test = make(np.zeros((58, 2, 2, 1)), rotations=True, ways=2).split(0.5)
    assert train.classes == test.classes == 12


def test_replace():
    tasks = make().replace(ways=2, shots=3, queries=5)
    assert tasks.sample(2, np.random.default_rng(0))[1][0].shape == (2, 10, 1)
    assert make().replace().shots == 1
    with pytest.raises(ValueError, match="ways=7, and 6 classes"):
        make().replace(ways=7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(ways=7), ValueError, "`ways` must .* ways=7, and 6 classes"),
        (lambda: make(ways=1), ValueError, "`ways` must be at least 2"),
        (lambda: make(shots=0), ValueError, "`shots`"),
        (lambda: make(queries=True), TypeError, "`queries`"),
        (lambda: make(rotations=1), TypeError, "`rotations`"),
        (
            lambda: make(queries=9),
            ValueError,
            r"= 10 examples. Received: 4 of 6 .*: 4 \(9\), 7 \(9\), 9 \(9\), 11 \(9\)$",
        ),
        (lambda: make(queries=12), ValueError, "6 of 6 .* and 1 more$"),
        (lambda: make(labels=LABELS.astype(float)), TypeError, "integers .*dtype float64"),
        (lambda: make(labels=LABELS[:, None]), TypeError, "one-dimensional"),
        (lambda: make(labels=LABELS[1:]), ValueError, "58 examples and 57 labels"),
        (lambda: make(x=iter([1])), TypeError, "`x` must be an array"),
        (lambda: make(rotations=True), ValueError, r"size, size.*shape \(58, 1\)"),
        (lambda: make(np.zeros((58, 2, 3, 1)), rotations=True), ValueError, "size, size"),
        (lambda: make(np.where(ROWS == 3, np.nan, 1.0)), ValueError, "1 of 58 .* rows 3$"),
        (lambda: make(labels=["", *WORDS[1:]]), ValueError, "`labels` .* 1 of 58 None, NaN or bl"),
        (lambda: make(labels=[3, *WORDS[1:]]), TypeError, "integers or strings"),
        (lambda: make(labels=WORDS, queries=9), ValueError, r": c\+11 \(9\), "),
        (lambda: make(labels=WORDS).split(["c+7", "c"]), ValueError, "Received: c$"),
        (lambda: make(labels=WORDS).split([7]), ValueError, "Received: 7$"),
        (lambda: make().split(["7"]), ValueError, "Received: 7$"),
        (lambda: make().split([7, 8]), ValueError, "Received: 8$"),
        (lambda: make().split([]), ValueError, "at least one class"),
        (lambda: make().split([7]), ValueError, "ways=3, and 1 classes"),
        (lambda: make().split(1.5), ValueError, "`test` must be"),
        (lambda: make().split("7"), TypeError, "`test` must be"),
        (lambda: make().split(0.5, seed=-1), ValueError, "`seed`"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_examples_that_are_not_finite_are_found_when_they_are_read():
    x = np.where(np.isin(LABELS, [7, 30])[:, None], np.inf, 1.0)
    tasks = make(Lazy(x))
    with pytest.raises(ValueError, match="no NaN or infinite .* at rows"):
        tasks.sample(20, np.random.default_rng(0))
    short = Lazy(x)
    short.array = x[:1].repeat(99, axis=0)
    short.__class__ = type("Short", (Lazy,), {"__getitem__": lambda self, rows: x[:1]})
    with pytest.raises(ValueError, match="as many examples as it is asked for"):
        FewShotClassificationTasks(short, np.zeros(99, int) + np.arange(99) % 5).sample(
            1, np.random.default_rng(0)
        )


@pytest.mark.parametrize("kind", [dict, tuple])
def test_several_arrays_as_x(kind):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 3)), np.arange(40)
    labels = np.repeat(np.arange(5), 8)
    x = {"a": a, "b": b} if kind is dict else (a, b)
    tasks = FewShotClassificationTasks(x, labels, ways=3, shots=2, queries=4)
    for part, y in tasks.sample(6, np.random.default_rng(1)):
        first, second = part.values() if kind is dict else part
        assert isinstance(part, kind) and first.shape == (*y.shape, 3)
        np.testing.assert_array_equal(first, a[second])  # the same rows
    alone, _ = FewShotClassificationTasks(a, labels, ways=3, shots=2, queries=4).sample(
        6, np.random.default_rng(1)
    )
    together, _ = tasks.sample(6, np.random.default_rng(1))
    first = together[0]["a"] if kind is dict else together[0][0]
    np.testing.assert_array_equal(first, alone[0])
    assert "(3,) and ()" in repr(tasks)


def test_several_arrays_that_do_not_fit():
    labels = np.repeat(np.arange(5), 8)
    with pytest.raises(ValueError, match="must have the same length"):
        FewShotClassificationTasks({"a": np.zeros((40, 2)), "b": np.zeros(39)}, labels, queries=2)
    with pytest.raises(ValueError, match="at least one array"):
        FewShotClassificationTasks({}, labels, queries=2)
    with pytest.raises(ValueError, match="NaN|finite"):
        FewShotClassificationTasks({"a": np.full(40, np.nan)}, labels, queries=2)
