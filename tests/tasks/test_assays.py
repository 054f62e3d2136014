import csv
import gzip
import types

import numpy as np
import pytest

from deepchem_meta.tasks import AssayTasks, scaffolds

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
    message = rf"1 of 3 that do not: assay_1 \({inactive} inactive, 6 active; needs 7 and 7\)$"
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
        (lambda: make(y=Y + 1), ValueError, r"0, 1 or NaN \(task_type.* values, such as 2.0$"),
        (lambda: make(y=Y / 0.0, task_type="regression"), ValueError, "finite or NaN"),
        (lambda: make(w=np.ones((120, 2))), ValueError, r"`w` must have .*\(120, 2\)"),
        (lambda: make(w=-np.ones(120)), ValueError, "from -1.0 to -1.0"),
        (lambda: make(w=np.full(120, NAN)[:, None] * [1, 2, 3, 4, 5]), ValueError, "`w`"),
        (lambda: make(names=["a"] * 5), ValueError, "5 different names"),
        (lambda: make(names="abcde"), ValueError, "5 different names"),
        (lambda: make(names=range(5)), TypeError, "`names` must be strings"),
        (lambda: make(ids=[1]), ValueError, "`ids` must be 120"),
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


@pytest.mark.parametrize("column", [True, False])
def test_from_dataset(column):
    """A DeepChem dataset fills 0 where the weight is 0; of one task, y and w may have one axis."""
    y = Y[:, :1] if column else Y
    w = (~np.isnan(y)).astype(float)
    dataset = types.SimpleNamespace(
        X=X.astype(float),
        y=np.nan_to_num(y)[:, 0] if column else np.nan_to_num(y),
        w=w[:, 0] if column else w,
        ids=np.array([f"m{i}" for i in range(120)], object),
        get_task_names=lambda: np.arange(y.shape[1]),
    )
    tasks = AssayTasks.from_dataset(dataset, shots=2, queries=3)
    assert tasks.names == [str(i) for i in range(y.shape[1])] and tasks.ids[7] == "m7"
    np.testing.assert_array_equal(tasks.y, y)
    assert tasks.x.dtype == np.float32 and tasks.w is None
    del dataset.get_task_names
    dataset.tasks = [f"t{i}" for i in range(y.shape[1])]
    dataset.w = np.ones((120, 1))
    assert AssayTasks.from_dataset(dataset, shots=2).names == dataset.tasks


class TestMolecules:
    @pytest.fixture(autouse=True)
    def rdkit(self):
        pytest.importorskip("rdkit")

    @pytest.fixture
    def path(self, tmp_path):
        lines = [f"{i % 2},{(i // 2) % 2},m{i},{'C' * (i + 1)}" for i in range(12)]
        path = tmp_path / "table.csv"
        path.write_text("\n".join(["A,B,mol_id,SMI", *lines, "1,1,m12,C1CC("]) + "\n")
        return path

    def test_from_csv(self, path):
        options = {"smiles": "SMI", "shots": 1, "queries": 2}
        with pytest.raises(ValueError, match=r"1 of 13 that RDKit cannot read: 'C1CC\('"):
            AssayTasks.from_csv(path, **options)
        tasks = AssayTasks.from_csv(path, on_error="drop", **options)
        assert tasks.names == ["A", "B"] and tasks.x.shape == (12, 2048)
        assert tasks.ids == ["C" * (i + 1) for i in range(12)]
        assert tasks.dropped_smiles == ["C1CC("]
        np.testing.assert_array_equal(tasks.y, [[i % 2, (i // 2) % 2] for i in range(12)])

    def test_featurizer(self, path):
        tasks = AssayTasks.from_csv(
            path,
            smiles="SMI",
            assays=["B"],
            featurizer=lambda smiles: [[len(text), 0] for text in smiles],
            on_error="drop",
            shots=2,
            queries="rest",
        )
        np.testing.assert_array_equal(tasks.x[:, 0], np.arange(1, 13))
        assert tasks.names == ["B"]

    def test_tox21(self, shared_data):
        path = shared_data / "tox21.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        tasks = AssayTasks.from_csv(
            path,
            featurizer=lambda smiles: np.arange(len(smiles))[:, None],
            on_error="drop",
            queries="rest",
        )
        assert len(tasks.names) == 12 and len(rows) == 7831
        dropped = len(tasks.dropped_smiles)
        assert dropped == 8 and len(tasks.ids) == 7823
        unreadable = set(tasks.dropped_smiles)
        for assay, name in enumerate(tasks.names):
            kept = [row[name] for row in rows if row["smiles"] not in unreadable]
            _, query = tasks.sample(1, np.random.default_rng(0), assays=[assay])
            there = query[2][0] > 0
            for value in ("0", "1"):
                found = (query[1][0, there, 0] == int(value)).sum() + 10
                assert found == kept.count(value), name
        train, test = tasks.split(3)
        assert test.names == ["SR-HSE", "SR-MMP", "SR-p53"] and len(train.names) == 9

    def test_molecule_disjoint(self, shared_data):
        tasks = AssayTasks.from_csv(shared_data / "sider.csv.gz", queries=5, drop_small=True)
        groups = np.array(scaffolds(tasks.ids))
        in_test = np.isin(groups, np.unique(groups)[::4])
        (train, _), (_, test) = tasks.take(~in_test).split(6), tasks.take(in_test).split(6)
        assert not set(scaffolds(train.ids)) & set(scaffolds(test.ids))
        assert train.x.shape[1] == 2048 and not set(train.names) & set(test.names)
