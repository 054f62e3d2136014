"""Assays as long tables."""

import gzip
import json
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("rdkit")

from rdkit import Chem

from deepchem_meta.tasks import (
    AssayTasks,
    Descriptors,
    MoleculeFeatures,
    MorganCounts,
    SideBySide,
    Standardizer,
)

SMILES = [
    f"{ring}{'C' * n}{end}"
    for ring in ("c1ccccc1", "C1CCNCC1")
    for n in range(8)
    for end in ("O", "N", "F")
]
RNG = np.random.default_rng(0)
SIZES = {"kinase": 40, "enzyme": 24, "channel": 12}


def rows(regression=False):
    """Return assays, SMILES and values, in mixed order."""
    table = []
    for name, size in SIZES.items():
        for i, smiles in enumerate(RNG.permutation(SMILES)[:size]):
            table.append((name, str(smiles), float(RNG.normal()) if regression else i % 3 == 0))
    return [table[i] for i in np.random.default_rng(1).permutation(len(table))]


TABLE = rows()
OPTIONS = {"shots": 2, "queries": 2}


def make(table=TABLE, **options):
    assays, smiles, values = zip(*table, strict=True)
    return AssayTasks.from_results(assays, smiles, np.array(values, float), **OPTIONS | options)


def write(path, table=TABLE, header="assay,smiles,active"):
    lines = [header, *(f"{a},{s},{float(v):g}" for a, s, v in table)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def wide(table):
    """Return the same results as a dense table."""
    names, smiles = (list(dict.fromkeys(column)) for column in list(zip(*table, strict=True))[:2])
    y = np.full((len(smiles), len(names)), np.nan)
    for assay, text, value in table:
        y[smiles.index(text), names.index(assay)] = value
    return AssayTasks(MorganCounts()(smiles), y, names=names, ids=smiles, **OPTIONS)


def test_a_long_table_is_the_wide_one(tmp_path):
    dense = wide(TABLE)
    for tasks in (make(), AssayTasks.from_long_csv(write(tmp_path / "a.csv"), **OPTIONS)):
        assert tasks.names == dense.names and len(tasks.ids) == len(dense.ids)
        np.testing.assert_array_equal(tasks.y, dense.y)
        np.testing.assert_array_equal(np.asarray(tasks.x), dense.x)
        for a, b in zip(
            *(t.sample(5, np.random.default_rng(3)) for t in (tasks, dense)), strict=True
        ):
            for one, other in zip(a, b, strict=True):
                np.testing.assert_array_equal(one, other)


def test_memory_does_not_grow_with_compounds_times_assays():
    """2,000 assays over 4,000 compounds would be a table of 64 MB."""
    smiles = [f"[{1 + n // 40}CH3]{'C' * (n % 40)}" for n in range(4000)]
    assays = [f"assay {n // 2}" for n in range(4000)]
    options = {"task_type": "regression", "shots": 1, "queries": 1}
    tracemalloc.start()
    tasks = AssayTasks.from_results(
        assays, smiles, np.arange(4000.0), featurizer=MorganCounts(16), **options
    )
    _, test = tasks.split(test=500)
    test.sample(3, RNG)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tasks.names) == 2000 and len(tasks.ids) == 4000
    assert peak < 10e6


def test_a_molecule_is_once_in_a_task_however_it_is_written():
    doubled = [*TABLE, *((name, f"{smiles}.Cl", v) for name, smiles, v in TABLE)]
    tasks = make(doubled, standardizer=Standardizer())
    assert tasks.merged == (2 * len(TABLE), len({smiles for _, smiles, _ in TABLE}), {})
    np.testing.assert_array_equal(tasks.y, make().y)


def test_results_that_differ_are_merged_and_counted():
    table = [*TABLE, ("enzyme", TABLE[0][1], 0.0), ("enzyme", TABLE[0][1], 1.0)]
    table = [row for row in table if row[:2] != ("enzyme", TABLE[0][1])] + [
        ("enzyme", TABLE[0][1], v) for v in (1.0, 1.0, 0.0)
    ]
    with pytest.warns(UserWarning, match=r"^1 times .*enzyme 1.*the majority was taken"):
        tasks = make(table)
    column, row = tasks.names.index("enzyme"), tasks.ids.index(Chem.CanonSmiles(TABLE[0][1]))
    assert tasks.y[row, column] == 1 and tasks.merged == (3, 1, {"enzyme": 1})
    with pytest.warns(UserWarning, match="their mean was taken"):
        numbers = make(table, task_type="regression")
    assert numbers.y[row, column] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="must have one result in an assay.*3 rows"):
        make(table, duplicates="raise")
    tie = [*table, ("enzyme", TABLE[0][1], 0.0)]
    with pytest.warns(UserWarning, match="none in a tie"):
        assert np.isnan(make(tie).y[row, column])


def test_rows_that_are_left_out_are_listed(tmp_path):
    path = write(tmp_path / "a.csv", [*TABLE, ("kinase", "nonsense", 1.0)])
    with pytest.raises(ValueError, match=f"line {len(TABLE) + 2}: 'nonsense' cannot be read"):
        AssayTasks.from_long_csv(path, **OPTIONS)
    tasks = AssayTasks.from_long_csv(path, on_error="drop", **OPTIONS)
    assert tasks.dropped_rows == [(len(TABLE) + 2, "nonsense", "cannot be read by RDKit")]
    small = make([*TABLE, ("tiny", "C", 1.0), ("tiny", "CC", 0.0)], drop_small=True)
    assert small.dropped == {"tiny": {"inactive": 1, "active": 1}} and "tiny" not in small.names


def test_columns_by_name_and_compressed(tmp_path):
    lines = [
        "SMILES;target;pIC50;year",
        *(f"{s};{a};{i % 7};2020" for i, (a, s, _) in enumerate(TABLE)),
    ]
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    tasks = AssayTasks.from_long_csv(
        path, assay="target", smiles="SMILES", value="pIC50", task_type="regression", **OPTIONS
    )
    assert set(tasks.names) == set(SIZES) and np.nanmax(tasks.y) == 6


def test_fs_mols_own_folder(tmp_path):
    for name in SIZES:
        text = "\n".join(
            json.dumps(
                {"SMILES": s, "Property": str(float(v)), "LogRegressionProperty": str(v + 5.0)}
            )
            for a, s, v in TABLE
            if a == name
        )
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    found, wanted = AssayTasks.from_fs_mol(tmp_path, **OPTIONS), make()
    assert sorted(found.names) == sorted(wanted.names)
    for name in SIZES:
        ones = found.y[:, found.names.index(name)]
        assert np.nansum(ones) == np.nansum(wanted.y[:, wanted.names.index(name)])
    numbers = AssayTasks.from_fs_mol(tmp_path, task_type="regression", **OPTIONS)
    assert np.nanmin(numbers.y) == 5
    (tmp_path / "bad.jsonl.gz").write_bytes(gzip.compress(b'{"SMILES": "C"}'))
    with pytest.raises(ValueError, match=r"bad.jsonl.gz, line 1: a line must be JSON"):
        AssayTasks.from_fs_mol(tmp_path, **OPTIONS)
    with pytest.raises(ValueError, match=r"must have files \*.jsonl.gz"):
        AssayTasks.from_fs_mol(tmp_path / "none", **OPTIONS)


def test_a_test_source_with_the_training_featurizer():
    train = make(featurizer=SideBySide(MorganCounts(32), Descriptors(["MolWt"])))
    test = make(TABLE[:70], featurizer=train.x.featurizer, drop_small=True)
    place = train.ids.index(test.ids[0])
    np.testing.assert_array_equal(test.x[np.array([0])], train.x[np.array([place])])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"values": [1.0, 0.5]}, "Values must be 0 or 1.*0.5 on line 2"),
        ({"values": [np.nan, np.nan]}, "at least one result"),
        ({"assays": ["a"]}, "as long as each other.*Received: 1, 2 and 2"),
        ({"assays": ["a", " "]}, "must have the name of its assay.*on the lines 2"),
        ({"smiles": ["nonsense", "nothing"]}, "Every SMILES must be readable"),
        ({"values": [1.0, 1.0]}, "have results that differ"),
    ],
)
def test_bad_values(changes, match):
    given = {"assays": ["a", "a"], "smiles": ["C", "CC"], "values": [0.0, 1.0]} | changes
    with pytest.raises(ValueError, match=match):
        AssayTasks.from_results(given.pop("assays"), given.pop("smiles"), given.pop("values"))


@pytest.mark.parametrize(
    ("header", "cell", "options", "match"),
    [
        ("assay,smiles,active", "maybe", {}, "must be a number or missing.*'maybe' on line 2"),
        ("assay,smiles,active", ">10", {}, "must have no qualifier.*'>10' on line 2"),
        ("assay,molecule,active", "1", {}, "must name columns of the file.*smiles='smiles'"),
        ("assay,smiles,active", "1", {"value": "activ"}, "must name columns.*value='activ'"),
    ],
)
def test_bad_files(tmp_path, header, cell, options, match):
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\na,C,{cell}\na,CC,0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=match):
        AssayTasks.from_long_csv(path, **options)


def test_qualified_values(tmp_path):
    path = tmp_path / "a.csv"
    lines = [
        "assay,smiles,active",
        *(f"a,{'C' * n},{'>' if n > 6 else ''}{n}" for n in range(1, 9)),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    options = {"task_type": "regression", **OPTIONS}
    bound = AssayTasks.from_long_csv(path, qualifiers="bound", **options)
    assert np.nanmax(bound.y) == 8 and bound.qualified == {"a": 2}
    assert np.nanmax(AssayTasks.from_long_csv(path, qualifiers="drop", **options).y) == 6


def test_features_stay_small_where_compounds_are_taken():
    tasks = make()
    rows = np.arange(len(tasks.ids))[::-1]
    part = tasks.take(rows)
    assert isinstance(part.x, MoleculeFeatures)
    np.testing.assert_array_equal(np.asarray(part.x), np.asarray(tasks.x)[rows])
    np.testing.assert_array_equal(part.y, tasks.y[rows])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"featurizer": len}, "`featurizer` must be a Featurizer"),
        ({"featurizer": MorganCounts}, "`featurizer` must be a Featurizer"),
        ({"standardizer": len}, "`standardizer` must be a Standardizer"),
        ({"cache": 3}, "`cache` must be a folder"),
    ],
)
def test_bad_arguments(options, match):
    with pytest.raises(TypeError, match=match):
        make(**options)
