import csv
import gzip
import sys
import types
import warnings

import numpy as np
import pytest

from deepchem_meta.tasks import AssayTasks, scaffolds

rng = np.random.default_rng(0)
X = np.arange(120, dtype=np.float32)[:, None] + np.float32([0, 0.5])
Y = (rng.random((120, 5)) < 0.3).astype(float)
Y[rng.random(Y.shape) < 0.3] = np.nan


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
        message = r'on_error="drop".* 1 of 13 .*: line 14: \'C1CC\(\' cannot be read by RDKit$'
        with pytest.raises(ValueError, match=message):
            AssayTasks.from_csv(path, **options)
        tasks = AssayTasks.from_csv(path, on_error="drop", **options)
        assert tasks.names == ["A", "B"] and tasks.x.shape == (12, 2048)
        assert tasks.ids == ["C" * (i + 1) for i in range(12)]
        assert tasks.dropped_smiles == ["C1CC("]
        assert tasks.dropped_rows == [(14, "C1CC(", "cannot be read by RDKit")]
        assert tasks.left_out == {"mol_id": "has no numbers, but words such as 'm0'"}
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

    def test_reports_stay_with_the_parts(self, tmp_path):
        path = tmp_path / "table.csv"
        rows = [f"{i % 2},>{i % 3 % 2},{'C' * (i + 1)},{i // 4 % 2}" for i in range(24)]
        path.write_text("\n".join(["A,B,smiles,C", *rows, "", "1,1,C C,1", "0,0,,1"]))
        options = {"shots": 1, "queries": 2, "on_error": "drop", "qualifiers": "bound"}
        tasks = AssayTasks.from_csv(path, assays=["B", "A"], **options)
        parts = [*tasks.split(["A"]), tasks.replace(shots=2), tasks.take(np.arange(20))]
        for part in [tasks, *parts]:
            assert part.left_out == {"C": "is not among `assays`"}
            assert [row[:2] for row in part.dropped_rows] == [(27, "C C"), (28, "")]
            assert part.dropped_smiles == ["C C", ""]
            assert part.qualified == ({"B": 24} if "B" in part.names else {})

    def test_rows_of_one_molecule(self, tmp_path):
        path = tmp_path / "table.csv"
        rows = [f"{'C' * (i + 2)}O,{i % 2}" for i in range(10)]
        path.write_text("\n".join(["smiles,A", *rows, "OCC,", "[CH3:1]CO,0", "OCCC,0", ""]))
        options = {"shots": 1, "queries": 2}
        with pytest.warns(UserWarning, match=r"1 times .* \(A 1\)") as caught:
            tasks = AssayTasks.from_csv(path, **options)
        assert len(caught) == 1 and caught[0].filename == __file__
        assert tasks.ids[10:] == ["OCC", "[CH3:1]CO", "OCCC"]
        assert tasks.molecules.tolist() == [*range(10), 0, 0, 1]
        assert tasks.merged == (5, 2, {"A": 1})
        nan = np.nan
        expected = [0, nan, *(i % 2 for i in range(2, 10)), nan, nan, nan]
        np.testing.assert_array_equal(tasks.y[:, 0], expected)
        message = r"2 with several, in the rows 0, 10, 11 \('CCO'\), 1, 12 \('CCCO'\)$"
        with pytest.raises(ValueError, match=message):
            AssayTasks.from_csv(path, duplicates="raise", **options)

    def test_ids_of_a_dataset_are_read_as_smiles(self, monkeypatch):
        smiles = ["C" * (i + 2) + "O" for i in range(118)] + ["OCC", "X1"]
        dataset = types.SimpleNamespace(X=X, y=np.nan_to_num(Y), w=None, ids=np.array(smiles))
        dataset.y[118] = dataset.y[0]
        tasks = AssayTasks.from_dataset(dataset, shots=2, queries=3)
        assert tasks.merged == (2, 1, {}) and tasks.ids == smiles
        assert tasks.molecules.tolist() == [*range(118), 0, 118]
        monkeypatch.setitem(sys.modules, "rdkit.Chem", None)  # as they are
        assert AssayTasks.from_dataset(dataset, shots=2, queries=3).merged.rows == 0

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"featurizer": "ECFP"}, TypeError, "`featurizer` must be a function"),
            ({"featurizer": lambda s: np.ones((3, 2))}, ValueError, r"12 molecules.* \(3, 2\)$"),
            ({"on_error": "skip"}, ValueError, "`on_error` must be one of"),
            ({"smiles": "mol_id"}, ValueError, r"as some remain\).* 13 of 13 .*: line 2: 'm0' ca"),
        ],
    )
    def test_bad_arguments(self, path, options, error, message):
        options = {"smiles": "SMI", "shots": 1, "queries": 2, "on_error": "drop"} | options
        with pytest.raises(error, match=message):
            AssayTasks.from_csv(path, **options)

    @pytest.mark.slow
    def test_muv_has_molecules_in_two_rows(self, shared_data):
        """Of 93,127 molecules 40 are there twice, by RDKit and pandas, and no result differs."""
        pandas = pytest.importorskip("pandas")
        from rdkit import Chem, rdBase

        frame = pandas.read_csv(shared_data / "muv.csv.gz")
        with rdBase.BlockLogs():
            names = [Chem.CanonSmiles(text) for text in frame["smiles"]]
        results = frame.drop(columns=["smiles", "mol_id"]).groupby(names)
        sizes = results.size()
        tasks = AssayTasks.from_csv(
            shared_data / "muv.csv.gz",
            featurizer=lambda smiles: np.zeros((len(smiles), 1)),
            queries="rest",
        )
        assert tasks.merged == (sizes[sizes > 1].sum(), (sizes > 1).sum(), {}) == (80, 40, {})
        assert (results.nunique() < 2).to_numpy().all()
        assert (~np.isnan(tasks.y)).sum() == results.first().notna().to_numpy().sum()

    @pytest.mark.parametrize("name", ["tox21", "sider"])
    def test_published_tables_have_each_molecule_once(self, shared_data, name):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tasks = AssayTasks.from_csv(
                shared_data / f"{name}.csv.gz",
                featurizer=lambda smiles: np.zeros((len(smiles), 1)),
                on_error="drop",
                drop_small=True,
                duplicates="raise",
            )
        assert tasks.merged == (0, 0, {})
