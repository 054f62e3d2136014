import collections
import warnings

import numpy as np
import pytest

from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.task_source import KnownSource
from deepchem_meta.evaluation import EstimatorBaseline
from deepchem_meta.tasks import GroupedTasks, pad_tasks

NAN = np.nan
SIZES = {"ann": 30, "bob": 12, "cyd": 25, "dan": 9, "eve": 14}
GROUPS = np.random.default_rng(0).permutation(np.repeat(list(SIZES), list(SIZES.values())))
ROWS = np.arange(len(GROUPS), dtype=np.float32)[:, None]  # an example is its row's number
Y = np.random.default_rng(1).normal(50.0, 9.0, len(GROUPS))
# In each group "ill", "mild" and "well" in turn.
PLACE = np.array([(GROUPS[:row] == group).sum() for row, group in enumerate(GROUPS)])
WORDS = np.array(["well", "ill", "mild"])[PLACE % 3]


def make(x=ROWS, y=Y, groups=GROUPS, **options):
    return GroupedTasks(x, y, groups, **({"shots": 4, "queries": 5} | options))


def classes(y=WORDS, **options):
    return make(y=y, **({"task_type": "classification", "shots": 1, "queries": 2} | options))


def rows_of(batch):
    return batch[0][..., 0].astype(int)


def test_shapes_and_dtypes():
    support, query = make().sample(7, np.random.default_rng(0))
    assert [array.shape for array in support] == [(7, 4, 1), (7, 4, 1)]
    assert [array.shape for array in query] == [(7, 5, 1), (7, 5, 1)]
    assert all(array.dtype == np.float32 for array in (*support, *query))
    support, query = classes().sample(7, np.random.default_rng(0))
    assert support[0].shape == (7, 3, 1) and query[0].shape == (7, 6, 1)
    assert support[1].dtype == query[1].dtype == np.int32
    np.testing.assert_array_equal(support[1], [[0, 1, 2]] * 7)
    np.testing.assert_array_equal(query[1], [[0, 0, 1, 1, 2, 2]] * 7)


@pytest.mark.parametrize("queries", [2, "rest"])
@pytest.mark.parametrize("source", [make, classes])
def test_200_tasks_are_well_made(source, queries):
    """A task is of one group, no row is in it twice, and the rest is all the rest."""
    tasks = source(queries=queries)
    which = np.arange(200) % 5
    support, query = tasks.sample(200, np.random.default_rng(0), assays=which)
    weight = query[2] if len(query) == 3 else np.ones(query[0].shape[:2])
    assert len(support) == len(query) == (3 if queries == "rest" else 2)
    y = Y.astype(np.float32) if source is make else np.unique(WORDS, return_inverse=True)[1]
    for i, group in enumerate(which):
        used, asked = rows_of(support)[i], rows_of(query)[i]
        assert (asked[weight[i] == 0] == asked[0]).all()
        for rows, targets in ((used, support[1][i]), (asked, query[1][i])):
            np.testing.assert_array_equal(targets.ravel(), y[rows])
            assert set(GROUPS[rows]) == {tasks.names[group]}
        asked = asked[weight[i] > 0]
        assert len({*used, *asked}) == len(used) + len(asked)
        if queries == "rest":
            assert {*used, *asked} == set(np.flatnonzero(tasks.names[group] == GROUPS))


def test_the_rest_is_padded_as_pad_tasks_does():
    tasks = make(queries="rest")
    support, query = tasks.sample(5, np.random.default_rng(0), assays=np.arange(5))
    batches = []
    for used, name in zip(rows_of(support), tasks.names, strict=True):
        rows = np.setdiff1d(np.flatnonzero(name == GROUPS), used)
        batches.append((ROWS[rows], Y[rows, None].astype(np.float32)))
    for array, expected in zip(query, pad_tasks(batches), strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
    assert (support[2] == 1).all() and support[2].shape == (5, 4)


def test_equal_groups_need_no_weights():
    tasks = make(groups=np.arange(len(GROUPS)) % 5, queries="rest")
    support, query = tasks.sample(3, np.random.default_rng(0))
    assert len(support) == len(query) == 2 and query[0].shape == (3, 14, 1)


def test_groups_come_in_rounds():
    support, _ = make().sample(50, np.random.default_rng(0))
    drawn = GROUPS[rows_of(support)[:, 0]].reshape(10, 5)
    np.testing.assert_array_equal(np.sort(drawn, axis=1), [sorted(SIZES)] * 10)
    assert len(np.unique(drawn, axis=0)) > 5


def test_evaluation_takes_each_group_equally_often():
    episodes = EpisodeChunks(KnownSource.of(make()), 11, seed=0)
    assert episodes.n_tasks == 15 and episodes.names == sorted(SIZES) * 3
    drawn = [
        group for support, _, count in episodes for group in GROUPS[rows_of(support)[:count, 0]]
    ]
    assert drawn == episodes.names


def test_baselines_are_reported_by_group():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = np.random.default_rng(0).normal(size=(len(GROUPS), 2))
    ridge = EstimatorBaseline(linear_model.Ridge())
    evaluation = ridge.evaluate(make(x, x @ [[1, 0], [2, 5]], queries="rest"), n_tasks=10)
    assert list(evaluation.by_task("r2")) == sorted(SIZES)
    logistic = EstimatorBaseline(linear_model.LogisticRegression())
    for kinds, scores in ((2, {"roc_auc", "average_precision"}), (3, set())):
        evaluation = logistic.evaluate(classes(PLACE % kinds, x=x), n_tasks=10)
        assert list(evaluation.by_task("accuracy")) == sorted(SIZES)
        assert {*evaluation.metrics} == {"accuracy"} | scores


def test_rows_are_uniform():
    n = 6000
    support, query = make().sample(n, np.random.default_rng(0), assays=np.zeros(n, int))
    for batch, size in ((support, 4), (query, 5)):
        observed = np.bincount(rows_of(batch).ravel(), minlength=len(GROUPS))[GROUPS == "ann"]
        expected = n * size / 30
        assert observed.sum() == n * size
        assert ((observed - expected) ** 2 / expected).sum() < 29 + 4 * 58**0.5


def test_tasks_depend_on_nothing_but_the_generator():
    tasks = make(queries="rest")
    first, _, again, other = (tasks.sample(4, np.random.default_rng(seed)) for seed in (1, 2, 1, 3))
    for a, b in zip((*first[0], *first[1]), (*again[0], *again[1]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0][0], other[0][0])


def test_a_group_is_that_of_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"row": ROWS[:, 0], "y": Y, "word": WORDS, "group": GROUPS})
    regression, classification = make(), classes()
    numbers = {name: i for i, name in enumerate(classification.class_names)}
    assert list(frame.groupby("group").groups) == regression.names
    for name, part in frame.groupby("group"):
        x, y = regression.group(name)
        np.testing.assert_array_equal(x[:, 0], part["row"])
        np.testing.assert_array_equal(y[:, 0], part["y"].to_numpy(np.float32))
        x, y = classification.group(name)
        np.testing.assert_array_equal(x[:, 0], part["row"])
        assert y.tolist() == [numbers[word] for word in part["word"]] and y.dtype == np.int32


def test_structures_and_several_outputs():
    x = {"a": ROWS, "b": (np.arange(len(ROWS)), np.stack([Y, Y], axis=1))}
    tasks = make(x, np.stack([Y, -Y], axis=1))
    support, query = tasks.sample(3, np.random.default_rng(0))
    assert support[1].shape == (3, 4, 2) and query[1].shape == (3, 5, 2)
    for batch in (support, query):
        tokens, pairs = batch[0]["b"]
        np.testing.assert_array_equal(batch[0]["a"][..., 0], tokens)
        assert tokens.dtype.kind == "i" and pairs.dtype == np.float32
        np.testing.assert_array_equal(pairs[..., 0], Y[tokens].astype(np.float32))
        np.testing.assert_array_equal(batch[1][..., 1], -pairs[..., 0])
    x, y = tasks.group("dan")
    assert x["b"][1].shape == (9, 2) and y.shape == (9, 2)


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ([3, 10, 3, 10], ["3", "10"]),
        ([3.0, 10.0, 3.0, 10.0], ["3", "10"]),
        (["b", "a", "b", "a"], ["a", "b"]),
        (np.array(["b", "a", "b", "a"], object), ["a", "b"]),
        ([True, False, True, False], ["False", "True"]),
    ],
)
def test_names_of_groups(groups, names):
    tasks = make(ROWS[:4], Y[:4], groups, shots=1, queries=1)
    assert tasks.names == names
    for i in (0, 1):
        x, _ = tasks.group(names[i])
        assert x[:, 0].tolist() == [j for j in range(4) if str(tasks.names[i]) in _text(groups[j])]
    named = make(ROWS[:4], Y[:4], groups, shots=1, queries=1, names=["x", "y"])
    assert named.names == ["x", "y"]
    np.testing.assert_array_equal(named.group("y")[0], tasks.group(names[1])[0])


def _text(group):
    return (str(group), str(int(group)) if isinstance(group, float) else "")


def test_groups_that_are_numbers_are_named_by_them():
    numbers = np.unique(GROUPS, return_inverse=True)[1] * 7
    tasks = make(groups=numbers)
    assert tasks.names == ["0", "7", "14", "21", "28"]
    assert tasks.split([7, 28])[1].names == tasks.split(np.array([28, 7]))[1].names == ["7", "28"]
    np.testing.assert_array_equal(tasks.group(14)[0][:, 0], np.flatnonzero(GROUPS == "cyd"))


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (WORDS, ["ill", "mild", "well"]),
        (WORDS.astype(object), ["ill", "mild", "well"]),
        (PLACE % 3 + 9, ["9", "10", "11"]),
        ((PLACE % 3).astype(float), ["0", "1", "2"]),
        (PLACE % 2 == 0, ["False", "True"]),
    ],
)
def test_classes(y, names):
    tasks = classes(y)
    assert tasks.class_names == names and tasks.ways == len(names)
    np.testing.assert_array_equal(
        tasks.y, np.unique(y.astype(str) if y.dtype == object else y, return_inverse=True)[1]
    )
    assert f"{len(names)} classes" in repr(tasks)


def test_scores():
    assert set(make().scores) == {"r2", "rmse"} and make().ways is None
    assert set(make(queries=1).scores) == {"rmse"}
    assert set(make(queries="rest").scores) == {"r2", "rmse"}
    assert set(make(queries="rest", shots=8).scores) == {"rmse"}  # dan has one more than that
    assert set(classes(PLACE % 2).scores) == {"roc_auc", "average_precision"}
    assert classes().scores == {}


def test_splits_share_no_group():
    tasks = make()
    seen = set()
    for seed in range(200):
        for test, size in ((0.4, 2), (3, 3)):
            train, held = tasks.split(test, seed=seed)
            assert len(held.names) == size
            assert sorted((*train.names, *held.names)) == tasks.names
            seen.add(tuple(held.names))
    assert len(seen) == 20  # all pairs and all triples
    assert tasks.split(0.4)[1].names == tasks.split(2, seed=0)[1].names
    train, held = tasks.split(["eve", "bob"])
    assert held.names == ["bob", "eve"] and train.x is held.x is tasks.x and train.y is tasks.y
    for part in (train, held):
        support, query = part.sample(100, np.random.default_rng(0))
        rows = np.concatenate([rows_of(support), rows_of(query)], axis=1)
        assert set(GROUPS[rows].ravel()) == set(part.names)
    assert tasks.names == sorted(SIZES)  # the whole stays whole


def test_the_rest_of_a_part_is_padded_to_its_own_largest_group():
    _, held = make(queries="rest").split(["bob", "dan"])
    assert held.sample(2, np.random.default_rng(0))[1][0].shape == (2, 8, 1)


def test_small_groups():
    message = (
        r"at least 15 examples, for .*drop_small=True.* 3 of 5 with fewer: "
        r"bob \(12 examples\), dan \(9 examples\), eve \(14 examples\)$"
    )
    with pytest.raises(ValueError, match=message):
        make(queries=11)
    tasks = make(queries=11, drop_small=True)
    assert tasks.names == ["ann", "cyd"]
    assert tasks.dropped == {name: {"examples": SIZES[name]} for name in ("bob", "dan", "eve")}
    support, _ = tasks.sample(50, np.random.default_rng(0))
    assert set(GROUPS[rows_of(support)].ravel()) == {"ann", "cyd"}
    with pytest.raises(ValueError, match="as long as some remain"):
        make(queries=90, drop_small=True)
    with pytest.raises(ValueError, match=r"4 examples of each class.*dan \(3 ill, 3 mild, 3 well"):
        classes(queries=3)
    # What was left out stays known, and stays out.
    smaller = tasks.replace(queries=2)
    assert smaller.names == ["ann", "cyd"] and smaller.dropped == tasks.dropped
    assert tasks.replace(queries=24).dropped == tasks.dropped | {"cyd": {"examples": 25}}
    assert tasks.split(1)[0].dropped == tasks.dropped


def test_a_group_without_a_class_is_too_small():
    y = np.where((GROUPS == "cyd") & (WORDS == "mild"), "ill", WORDS)
    with pytest.raises(ValueError, match=r"cyd \(\d+ ill, 0 mild, \d+ well\)"):
        classes(y)
    tasks = classes(y, drop_small=True)
    assert list(tasks.dropped) == ["cyd"] and tasks.dropped["cyd"]["mild"] == 0


def test_replace():
    tasks = make().replace(shots=2, queries="rest", drop_small=True)
    assert (tasks.shots, tasks.queries, tasks.drop_small) == (2, "rest", True)
    assert tasks.sample(1, np.random.default_rng(0))[1][0].shape == (1, 28, 1)
    assert make().replace().queries == 5
    assert repr(tasks) == (
        "GroupedTasks(90 examples, 5 groups, shots=2, queries='rest', task_type='regression')"
    )
    with pytest.raises(ValueError, match="at least 12 examples"):
        make().replace(shots=7)


def test_random_tables():
    """Groups of any size and classes in any order, against sets written out by hand."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        examples, kinds, ways = rng.integers(60, 200), rng.integers(1, 6), rng.integers(2, 4)
        groups, y = rng.integers(0, kinds, examples), rng.integers(0, ways, examples)
        x = np.arange(examples)[:, None]
        shots, queries = rng.integers(1, 3, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tasks = GroupedTasks(
                *(x, y, groups),
                shots=int(shots),
                queries=int(queries),
                task_type="classification",
                drop_small=True,
            )
        counts = collections.Counter(zip(groups.tolist(), y.tolist(), strict=True))
        large = {
            group
            for group in set(groups.tolist())
            if all(counts[group, kind] >= shots + queries for kind in range(ways))
        }
        assert {int(name) for name in tasks.names} == large
        support, query = tasks.sample(40, rng)
        rows = np.concatenate([support[0], query[0]], axis=1)[..., 0]
        targets = np.concatenate([support[1], query[1]], axis=1)
        np.testing.assert_array_equal(y[rows], targets)
        assert all(len(set(task)) == len(task) and len(set(groups[task])) == 1 for task in rows)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(shots=0), ValueError, "`shots`"),
        (lambda: make(queries="all"), ValueError, "`queries` must be one of"),
        (lambda: make(task_type="binary"), ValueError, "`task_type`"),
        (lambda: make(drop_small=1), TypeError, "`drop_small`"),
        (lambda: make(x=ROWS[1:]), ValueError, "`y` must have 89 entries.* Received: 90$"),
        (lambda: make(groups=GROUPS[1:]), ValueError, "`groups` must have 90 .* Received: 89$"),
        (lambda: make(x=np.zeros((0, 2))), ValueError, "at least one example"),
        (lambda: make(x=5.0), ValueError, r"example as first axis.*shapes \[\(\)\]"),
        (lambda: make(x={}), ValueError, r"shapes \[\]"),
        (lambda: make(x=(ROWS, ROWS[1:])), ValueError, "of the same length"),
        (lambda: make(x={"a": WORDS}), TypeError, r"`x`\['a'\] must be an array of numbers"),
        (lambda: make(x=np.ma.masked_array(ROWS)), TypeError, "without a mask"),
        (lambda: make(x=np.where(ROWS == 7, NAN, ROWS)), ValueError, "1 of 90 .* rows 7$"),
        (lambda: make(x=ROWS.astype(float) * 1e39), ValueError, "NaN or infinite"),
        (lambda: make(y=WORDS), TypeError, "`y` must be an array of numbers.*classification"),
        (lambda: make(y=np.ma.masked_array(Y)), TypeError, "without a mask"),
        (lambda: make(y=Y[:, None, None]), ValueError, r"outputs\)\. Received: shape"),
        (lambda: make(y=np.where(Y > 60, NAN, Y)), ValueError, "finite in float32; leave out"),
        (lambda: classes(Y), ValueError, "`y` must be whole numbers or strings.* at row 0"),
        (lambda: classes(np.zeros(90)), ValueError, "two classes. Received: the class '0' alone"),
        (lambda: classes(np.where(PLACE == 3, "", WORDS)), ValueError, "5 of 90 None, NaN or bl"),
        (lambda: classes(np.eye(3)[PLACE % 3]), TypeError, r"one-dimensional.*\(90, 3\)"),
        (lambda: make(groups=[None, *GROUPS[1:]]), ValueError, "`groups` .* 1 of 90 .* rows 0$"),
        (lambda: make(groups=Y), ValueError, "`groups` must be whole numbers or strings"),
        (lambda: make(groups=[3, *GROUPS[1:]]), TypeError, "integers or strings"),
        (lambda: make(names=list("abcd")), ValueError, "5 different names.*ann, bob, .* 4: a, b"),
        (lambda: make(names=list("abcda")), ValueError, "5 different names"),
        (lambda: make(names=range(5)), TypeError, "`names` must be strings"),
        (lambda: make().split(["ann", "flo"]), ValueError, "Received: flo$"),
        (lambda: make().split(list(SIZES)), ValueError, "not all"),
        (lambda: make().split([]), ValueError, "Received: none"),
        (lambda: make().split("ann"), TypeError, "`test` must be a list of groups"),
        (lambda: make().split(1.0), ValueError, "`test`"),
        (lambda: make().split(0.5, seed=-1), ValueError, "`seed`"),
        (lambda: make().group("flo"), ValueError, "`name` must be one of ann, .*name='flo'"),
        (lambda: make().sample(0, np.random.default_rng(0)), ValueError, "`n`"),
        (lambda: make().sample(1, np.random), TypeError, "`rng`"),
        (lambda: make().sample(1, np.random.default_rng(0), [5]), ValueError, "from 0 to 4"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
