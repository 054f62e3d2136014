import warnings

import numpy as np
import pytest

from deepchem_meta.tasks import AssayTasks

NAN = np.nan


def table(compounds=120, assays=5, seed=0, actives=0.3, missing=0.3):
    """Give x, whose first feature is the row's number, and y with gaps."""
    rng = np.random.default_rng(seed)
    x = np.arange(compounds, dtype=np.float32)[:, None] + np.float32([0, 0.5])
    y = (rng.random((compounds, assays)) < actives).astype(float)
    y[rng.random(y.shape) < missing] = NAN
    return x, y


X, Y = table()


def make(x=X, y=Y, w=None, **options):
    return AssayTasks(x, y, w, **({"shots": 3, "queries": 4} | options))


def rows_of(batch):
    return batch[0][..., 0].astype(int)


def counts(y):
    return np.array([(y == 0).sum(axis=0), (y == 1).sum(axis=0)])


def test_shapes_and_balance():
    tasks = make()
    support, query = tasks.sample(7, np.random.default_rng(0))
    assert [array.shape for array in support] == [(7, 6, 2), (7, 6, 1)]
    assert [array.shape for array in query] == [(7, 8, 2), (7, 8, 1)]
    assert all(array.dtype == np.float32 for array in (*support, *query))
    np.testing.assert_array_equal(support[1][..., 0], [[0, 0, 0, 1, 1, 1]] * 7)
    np.testing.assert_array_equal(query[1][..., 0], [[0] * 4 + [1] * 4] * 7)


@pytest.mark.parametrize("queries", [4, "rest"])
@pytest.mark.parametrize("balanced", [True, False])
def test_tasks_are_well_made(queries, balanced):
    """Results are the table's, no compound is there twice, and the rest is all the rest."""
    tasks = make(queries=queries, balanced=balanced)
    which = np.repeat(np.arange(5), 20)
    support, query = tasks.sample(100, np.random.default_rng(0), assays=which)
    if queries == "rest":
        (*support, ones), (*query, weight) = support, query
        assert (ones == 1).all() and query[0].shape[1] == (~np.isnan(Y)).sum(axis=0).max() - 6
    else:
        weight = np.ones(query[0].shape[:2])
    for i, assay in enumerate(which):
        used, asked = rows_of(support)[i], rows_of(query)[i]
        np.testing.assert_array_equal(support[1][i, :, 0], Y[used, assay])
        np.testing.assert_array_equal(query[1][i, :, 0], Y[asked, assay])
        assert (asked[weight[i] == 0] == asked[0]).all()
        asked = asked[weight[i] > 0]
        assert len({*used, *asked}) == len(used) + len(asked)
        if queries == "rest":
            assert {*used, *asked} == set(np.flatnonzero(~np.isnan(Y[:, assay])))


def test_own_rate():
    x, y = table(2000, 3)
    y[:, 1] = np.where(np.arange(2000) < 40, 1, 0)  # 2 %, which rounds to none of 16
    y[:, 2] = np.where(np.arange(2000) < 1960, 1, 0)
    tasks = make(x, y, shots=8, queries=20, balanced=False)
    support, query = tasks.sample(3, np.random.default_rng(0), assays=[0, 1, 2])
    rate = counts(y)[1, 0] / counts(y)[:, 0].sum()
    np.testing.assert_array_equal(support[1].sum(axis=(1, 2)), [round(16 * rate), 1, 15])
    np.testing.assert_array_equal(query[1].sum(axis=(1, 2)), [round(40 * rate), 1, 39])


def test_assays_come_in_rounds():
    x = np.tile(np.arange(5.0), (120, 1))
    tasks = AssayTasks(x, Y, shots=1, queries=1)
    # Which assay a task is of shows in the compounds of its many queries.
    seen = []
    support, query = make(queries="rest").sample(50, np.random.default_rng(0))
    for used, asked, weight in zip(rows_of(support), rows_of(query), query[2], strict=True):
        there = {*used, *asked[weight > 0]}
        seen.append([there == set(np.flatnonzero(~np.isnan(column))) for column in Y.T].index(True))
    rounds = np.reshape(seen, (10, 5))
    np.testing.assert_array_equal(np.sort(rounds, axis=1), [[0, 1, 2, 3, 4]] * 10)
    assert len(np.unique(rounds, axis=0)) > 5
    assert tasks.sample(3, np.random.default_rng(0))[0][0].shape == (3, 2, 5)


def test_compounds_are_uniform():
    n = 4000
    support, query = make().sample(n, np.random.default_rng(0), assays=np.zeros(n, int))
    for batch, size in ((support, 3), (query, 4)):
        for value in (0, 1):
            members = np.flatnonzero(Y[:, 0] == value)
            observed = np.bincount(rows_of(batch).ravel(), minlength=120)[members]
            expected = n * size / len(members)
            freedom = len(members) - 1
            chi2 = ((observed - expected) ** 2 / expected).sum()
            assert chi2 < freedom + 4 * (2 * freedom) ** 0.5


def test_tasks_depend_on_nothing_but_the_generator():
    tasks = make(queries="rest")
    first, _, again, other = (tasks.sample(4, np.random.default_rng(seed)) for seed in (1, 2, 1, 3))
    for a, b in zip((*first[0], *first[1]), (*again[0], *again[1]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0][0], other[0][0])


def test_weights():
    w = np.where(np.arange(120)[:, None] < 60, 1.0, 2.5) * np.ones(5)
    w[::3] = 0.0
    y = np.where(w == 0, 9.0, Y)  # what stands where the weight is 0 does not matter
    for tasks in (make(y=y, w=w), make(y=y, w=w, queries="rest"), make(y=y, w=w[:, 0])):
        for batch in tasks.sample(9, np.random.default_rng(0)):
            rows, weight = rows_of(batch), batch[2]
            assert weight.dtype == np.float32 and (rows % 3 > 0).all()
            expected = np.where(rows < 60, 1.0, 2.5)
            np.testing.assert_array_equal(weight[weight > 0], expected[weight > 0])
    # Weights of 0 and 1 say no more than which results are missing.
    support, query = make(y=y, w=np.minimum(w, 1)).sample(9, np.random.default_rng(0))
    assert len(support) == len(query) == 2


def test_rest_without_gaps_needs_no_weights():
    x, y = table(60, 3, missing=0)
    support, query = make(x, y, queries="rest").sample(2, np.random.default_rng(0))
    assert len(support) == len(query) == 2 and query[0].shape == (2, 54, 2)


def test_regression():
    y = np.where(np.isnan(Y), NAN, np.random.default_rng(1).normal(50, 9, Y.shape))
    tasks = make(y=y, task_type="regression", shots=5, queries=7)
    which = np.arange(5)
    support, query = tasks.sample(5, np.random.default_rng(0), assays=which)
    assert support[0].shape == (5, 5, 2) and query[1].shape == (5, 7, 1)
    for batch in (support, query):
        for i, rows in enumerate(rows_of(batch)):
            np.testing.assert_array_equal(batch[1][i, :, 0], y[rows, i].astype(np.float32))
    assert set(tasks.scores) == {"r2", "rmse"} and set(make().scores) == {
        "roc_auc",
        "average_precision",
    }
    rest = tasks.replace(queries="rest").sample(1, np.random.default_rng(0), assays=[2])[1]
    assert rest[2].sum() == (~np.isnan(y[:, 2])).sum() - 5


def test_small_assays():
    y = Y.copy()
    y[np.flatnonzero(y[:, 1] == 1)[6:], 1] = NAN
    y[:, 3] = 0
    y[:, 4] = NAN
    with pytest.raises(ValueError, match=r"results that differ .* 2 of 5 .*: assay_3 \(120 ina"):
        make(y=y)
    inactive = int((y[:, 1] == 0).sum())
    message = (
        rf"1 of 3 that do not: assay_1 \({inactive} inactive, 6 active; needs 7 and 7\)\. To adapt"
        r" .*`compounds_from_csv`, or make `shots` and `queries` small and take "
        r"`compounds\(assay\)`$"
    )
    with pytest.raises(ValueError, match=message):
        make(y=y[:, :3])
    tasks = make(y=y, drop_small=True, w=np.full(120, 2.0))
    assert tasks.names == ["assay_0", "assay_2"]
    assert tasks.dropped == {
        "assay_1": {"inactive": inactive, "active": 6},
        "assay_3": {"inactive": 120, "active": 0},
        "assay_4": {"inactive": 0, "active": 0},
    }
    support, _ = tasks.sample(2, np.random.default_rng(0), assays=[0, 1])
    np.testing.assert_array_equal(y[rows_of(support), [[0], [2]]], support[1][..., 0])
    make(y=y[:, :3], queries="rest")  # three and at least one more
    with pytest.raises(ValueError, match="as long as some remain"):
        make(y=y[:, 3:], drop_small=True)
    flat = np.where(np.arange(5) == 2, 1.5, np.random.default_rng(0).normal(size=Y.shape))
    tasks = make(y=flat, task_type="regression", drop_small=True)
    assert tasks.dropped == {"assay_2": {"compounds": 120}}


def test_split():
    tasks = make(names=list("abcde"), balanced=False, ids=range(120))
    for test, expected in [(["b", "e"], "be"), (0.4, "de"), (1, "e"), (("a",), "a")]:
        train, held = tasks.split(test)
        assert "".join(held.names) == expected
        assert "".join(train.names) == "".join(sorted(set("abcde") - set(expected)))
        assert train.x is held.x is tasks.x and held.ids == tasks.ids and not held.balanced
    support, _ = tasks.split(["b", "e"])[1].sample(2, np.random.default_rng(0), assays=[0, 1])
    np.testing.assert_array_equal(Y[rows_of(support), [[1], [4]]], support[1][..., 0])


def test_take():
    w = np.linspace(1, 2, 120)
    tasks = make(w=w, ids=[f"m{i}" for i in range(120)], shots=1, queries=2)
    chosen = np.arange(120) % 2 == 0
    for compounds in (chosen, np.flatnonzero(chosen), list(range(0, 120, 2))):
        part = tasks.take(compounds)
        assert part.ids == [f"m{i}" for i in range(0, 120, 2)]
        support, query = part.sample(20, np.random.default_rng(0), assays=[3] * 20)
        for batch in (support, query):
            rows = rows_of(batch)
            assert (rows % 2 == 0).all()
            np.testing.assert_array_equal(Y[rows, 3], batch[1][..., 0])
            np.testing.assert_allclose(w[rows], batch[2], rtol=1e-6)


def test_replace():
    tasks = make(ids=range(120)).replace(shots=2, queries="rest", balanced=False, drop_small=True)
    assert (tasks.shots, tasks.queries, tasks.balanced, tasks.drop_small) == (
        2,
        "rest",
        False,
        True,
    )
    assert make().replace().queries == 4 and tasks.ids == list(range(120))
    assert "queries='rest'" in repr(tasks) and "120 compounds, 5 assays" in repr(tasks)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(shots=0), ValueError, "`shots`"),
        (lambda: make(queries="all"), ValueError, "`queries` must be one of"),
        (lambda: make(queries=2.0), TypeError, "`queries`"),
        (lambda: make(task_type="binary"), ValueError, "`task_type`"),
        (lambda: make(balanced=1), TypeError, "`balanced`"),
        (lambda: make(drop_small=None), TypeError, "`drop_small`"),
        (lambda: make(x=X[:-1]), ValueError, r"119 compounds .*shape \(120, 5\)"),
        (lambda: make(x=X[:, 0]), ValueError, r"`x` must have the shape .*\(120,\)"),
        (lambda: make(x=X.astype(object)), TypeError, "`x` must be an array of numbers"),
        (lambda: make(x=np.where(X == 7, NAN, X)), ValueError, "1 of 120 .* rows 7$"),
        (lambda: make(x=X.astype(float) * 1e39), ValueError, "NaN or infinite"),
        (lambda: make(y=Y[:, 0]), ValueError, r"\(compounds, assays\)"),
        (lambda: make(y=Y + 1), ValueError, r"in 5 of 5 assays: assay_0 \(2.0\), "),
        (lambda: make(y=Y / 0.0, task_type="regression"), ValueError, "finite in float32, or NaN"),
        (lambda: make(y=Y * 1e39, task_type="regression"), ValueError, r"in 5 .* \(1e\+39\)"),
        (lambda: make(w=np.ones((120, 2))), ValueError, r"`w` must have .*\(120, 2\)"),
        (lambda: make(w=-np.ones(120)), ValueError, "from -1.0 to -1.0"),
        (lambda: make(w=np.full(120, NAN)[:, None] * [1, 2, 3, 4, 5]), ValueError, "`w`"),
        (lambda: make(names=["a"] * 5), ValueError, "5 different names"),
        (lambda: make(names="abcde"), ValueError, "5 different names"),
        (lambda: make(names=range(5)), TypeError, "`names` must be strings"),
        (lambda: make(ids=[1]), ValueError, "`ids` must be 120"),
        (lambda: make(ids=[[1]] * 120), TypeError, "hashable"),
        (lambda: make(molecules=[1]), ValueError, "`molecules` must be 120"),
        (lambda: make(duplicates="keep"), ValueError, "`duplicates` must be one of"),
        (lambda: make(ids=[1, *range(119)], duplicates="raise"), ValueError, r"rows 0, 2 \(1\)$"),
        (lambda: make().compounds(0), TypeError, "`assay` must be an assay's name"),
        (lambda: make().compounds("z"), ValueError, "'assay_0', .*'assay_4'. Received: assay='z'"),
        (lambda: make().split(["assay_1", "z"]), ValueError, r"test=\['assay_1', 'z'\]"),
        (lambda: make().split([]), ValueError, "not all"),
        (lambda: make().split("assay_1"), TypeError, "`test` must be a list"),
        (lambda: make().split(5), ValueError, "`test` must be"),
        (lambda: make().take([1, 1]), ValueError, "different rows"),
        (lambda: make().take([120]), ValueError, "from 0 to 119"),
        (lambda: make().take(np.ones(9, bool)), TypeError, "120 bools"),
        (lambda: make().take(np.zeros(120, bool)), ValueError, "none"),
        (lambda: make().take(range(10)), ValueError, "enough compounds|differ"),
        (lambda: make().sample(2, np.random.default_rng(0), [0]), TypeError, "2 integers"),
        (lambda: make().sample(1, np.random.default_rng(0), [5]), ValueError, "from 0 to 4"),
        (lambda: make().sample(1, 0), TypeError, "`rng`"),
    ],
)
@pytest.mark.filterwarnings("ignore:(divide|invalid|All-NaN):RuntimeWarning")
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_results_that_are_no_labels():
    """The message names the assays concerned, their values and the ways out."""
    y = Y.copy()
    y[3, 1], y[4:9, 4] = 0.5, [6.25, 7.5, 8.0, 9.0, 6.25]
    message = (
        r'0, 1 or NaN; task_type="regression" .* `assays` of `from_csv` .* Received: 6 other '
        r"values, in 2 of 5 assays: assay_1 \(0.5\), assay_4 \(6.25, 7.5, 8.0 and 1 more\)$"
    )
    with pytest.raises(ValueError, match=message):
        make(y=y)
    w = np.where(np.isin(y, (0, 1)), 1.0, 0.0)
    assert np.nansum(make(y=y, w=w).y) == y[w > 0].sum()  # values of weight 0 do not matter


def test_compounds():
    tasks = make(names=list("abcde"), shots=1, queries=1)
    for assay, name in enumerate("abcde"):
        x, y = tasks.compounds(name)
        rows = np.flatnonzero(~np.isnan(Y[:, assay]))
        np.testing.assert_array_equal(x, X[rows])
        np.testing.assert_array_equal(y, Y[rows, assay, None])
        assert x.dtype == y.dtype == np.float32
    w = np.where(np.arange(120) % 3 == 0, 0.0, 2.0)
    x, y, weight = make(w=w).compounds("assay_2")
    rows = np.flatnonzero(~np.isnan(Y[:, 2]) & (w > 0))
    np.testing.assert_array_equal(x, X[rows])
    np.testing.assert_array_equal(weight, np.full(len(rows), 2.0))
    assert len(make(queries="rest").compounds("assay_2")) == 2  # nothing is padded


# 60 molecules of three rows each, far from one another, with results that agree.
MOLECULES = np.random.default_rng(1).permutation(np.repeat(np.arange(60), 3))
COPIES = np.arange(180, dtype=np.float32)[:, None] + np.float32([0, 0.5])


def repeated(assays=5, seed=0, missing=0.3):
    """Give results of each of 180 rows, equal for all rows of a molecule but for gaps."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (60, assays))[MOLECULES].astype(float)
    y[rng.random(y.shape) < missing] = NAN
    return y


@pytest.mark.parametrize("queries", [4, "rest"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("key", ["ids", "molecules"])
def test_no_task_has_a_molecule_twice(queries, balanced, key):
    y = repeated()
    options = {"shots": 3, "queries": queries, "balanced": balanced, key: MOLECULES}
    tasks = AssayTasks(COPIES, y, **options)
    which = np.arange(200) % 5
    support, query = tasks.sample(200, np.random.default_rng(0), assays=which)
    there = query[2] > 0 if len(query) == 3 else np.ones(query[0].shape[:2], bool)
    for i, assay in enumerate(which):
        used, asked = MOLECULES[rows_of(support)[i]], MOLECULES[rows_of(query)[i][there[i]]]
        assert len({*used, *asked}) == len(used) + len(asked)
        known = {m for m, result in zip(MOLECULES, y[:, assay], strict=True) if result == result}
        assert {*used, *asked} <= known
        if queries == "rest":
            assert {*used, *asked} == known


def test_a_nearest_neighbour_learns_nothing_of_random_labels():
    """Which it does where rows of one molecule stand in support and query set."""
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 16))[MOLECULES]
    y = repeated(assays=60, missing=0)

    def roc_auc(**options):
        tasks = AssayTasks(x, y, shots=5, queries="rest", **options)
        which = np.repeat(np.arange(60), 5)
        (support, labels, *_), (query, truth, *_) = tasks.sample(300, rng, assays=which)
        nearest = ((query[:, :, None] - support[:, None]) ** 2).sum(axis=-1).argmin(axis=-1)
        guesses = np.take_along_axis(labels[..., 0], nearest, axis=1)
        scores = [tasks.scores["roc_auc"](t, g) for t, g in zip(truth, guesses, strict=True)]
        by_assay = np.reshape(scores, (60, 5)).mean(axis=1)
        return by_assay.mean(), by_assay.std(ddof=1) / 60**0.5

    mean, error = roc_auc(ids=MOLECULES)
    assert abs(mean - 0.5) < 3 * error < 0.03
    mean, error = roc_auc()  # of rows, nothing says that they are one molecule
    assert mean - 0.5 > 4 * error


def test_merged_rows():
    """Rows keep their places; a molecule's results are in the first of its rows."""
    ids = np.where(np.arange(120) < 100, np.arange(120), np.arange(120) - 100)
    y = Y.copy()
    y[0, 0], y[100, 0] = 0, 1  # a tie
    y[1, 1], y[101, 1] = NAN, 1  # moves
    y[2, 2], y[102, 2] = 1, 1
    with pytest.warns(UserWarning, match="times the rows of one molecule") as caught:
        tasks = make(y=y, ids=ids)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert tasks.x.shape == X.shape and tasks.ids == list(ids) and tasks.y.shape == Y.shape
    assert tasks.molecules.tolist() == list(ids)
    assert np.isnan(tasks.y[100:]).all() and np.isnan(tasks.y[0, 0])
    assert tasks.y[1, 1] == 1 and tasks.y[2, 2] == 1
    np.testing.assert_array_equal(tasks.y[20:100], y[20:100])
    conflicts = (y[:20] != y[100:]) & ~np.isnan(y[:20] + y[100:])
    assert tasks.merged[:2] == (40, 20)
    assert tasks.merged.conflicts == {
        f"assay_{i}": n for i, n in enumerate(conflicts.sum(axis=0)) if n
    }
    assert repr(tasks).endswith(", 40 rows of 20 molecules merged)")
    assert make().merged == (0, 0, {}) and "merged" not in repr(make(ids=range(120)))


def test_merged_numbers_and_weights():
    y = np.random.default_rng(0).normal(size=(40, 1))
    w = np.linspace(1, 3, 40)
    ids = [*range(30), *range(10)]
    with pytest.warns(UserWarning, match=r"^10 times .*\(assay_0 10\); their mean"):
        tasks = AssayTasks(np.eye(40), y, w, ids=ids, task_type="regression", queries=5)
    for row in range(10):
        pair = [row, row + 30]
        np.testing.assert_allclose(tasks.y[row], np.average(y[pair, 0], weights=w[pair]), 1e-6)
        np.testing.assert_allclose(tasks.w[row], w[pair].mean(), rtol=1e-6)
    x, targets, weight = tasks.compounds("assay_0")
    assert len(x) == len(targets) == len(weight) == 30


def with_conflicts(**options):
    with pytest.warns(UserWarning):
        return AssayTasks(
            COPIES,
            np.random.default_rng(3).integers(0, 2, (180, 5)),
            ids=MOLECULES,
            shots=2,
            queries=3,
            **options,
        )


def test_parts_of_a_merged_table_are_merged_and_silent():
    tasks = with_conflicts()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, test = tasks.split(2)
        parts = [train, test, tasks.replace(queries="rest"), tasks.take(np.arange(180))]
    np.testing.assert_array_equal(np.hstack([train.y, test.y]), tasks.y)
    for part in parts:
        assert part.merged[:2] == tasks.merged[:2] == (180, 60)
        conflicts = {k: n for k, n in tasks.merged.conflicts.items() if k in part.names}
        assert part.merged.conflicts == conflicts and len(conflicts) == len(part.names)
        np.testing.assert_array_equal(part.molecules, tasks.molecules)
    np.testing.assert_array_equal(parts[3].y, tasks.y)


@pytest.mark.parametrize("weights", [None, np.linspace(1, 2, 180)])
def test_take_does_not_lose_a_molecule(weights):
    """Whichever of its rows are taken, its merged results are there once."""
    tasks = with_conflicts(w=weights)
    first = np.unique(MOLECULES, return_index=True)[1]
    others = np.setdiff1d(np.arange(180), first)
    results = dict(zip(MOLECULES[first], tasks.y[first], strict=True))
    for rows in (others, others[::-1], np.random.default_rng(0).permutation(180)[:100]):
        part = tasks.take(rows)
        np.testing.assert_array_equal(part.x, COPIES[rows])
        seen = set()
        for place, molecule in enumerate(MOLECULES[rows]):
            expected = np.full(5, NAN) if molecule in seen else results[molecule]
            np.testing.assert_array_equal(part.y[place], expected)
            if weights is not None and molecule not in seen:
                weight = weights[molecule == MOLECULES].mean()
                np.testing.assert_allclose(part.w[place], weight, rtol=1e-6)
            seen.add(molecule)
        assert part.ids == MOLECULES[rows].tolist()


def test_rows_that_say_nothing_are_not_merged():
    tasks = make(ids=["", None, NAN] * 40)
    np.testing.assert_array_equal(tasks.y, np.float32(Y))
    assert tasks.merged == (0, 0, {}) and len(set(tasks.molecules)) == 120


def test_what_was_left_out_stays_known():
    y = np.column_stack([Y, np.ones(120)])
    tasks = make(y=y, drop_small=True)
    for part in (*tasks.split(2), tasks.replace(shots=2), tasks.take(np.arange(110))):
        assert part.dropped == {"assay_5": {"inactive": 0, "active": 120}}


@pytest.mark.parametrize("name", ["x", "y", "w"])
def test_masks_are_not_lost(name):
    table = {
        "x": np.ones((4, 2)),
        "y": np.array([[0.0], [1.0], [0.0], [1.0]]),
        "w": np.ones((4, 1)),
    }
    table[name] = np.ma.masked_array(table[name], table[name] > 2)
    with pytest.raises(TypeError, match=f"`{name}` must not be a masked array.*NaN"):
        AssayTasks(**table, shots=1, queries=1)
