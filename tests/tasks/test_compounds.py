import warnings

import keras
import numpy as np
import pytest

from deepchem_meta.metalearning import MAML, KerasLearner
from deepchem_meta.tasks import AssayTasks, Compounds, compounds_from_csv, morgan_fingerprints

pytest.importorskip("rdkit")

TABLE = """\
id,smiles,pIC50,note
a,CCO,5.5,x
b,CCN,n.d.,
c,c1ccccc1,7,y

d,CCCl,,
e,CC(=O)O,>4,z
f,CCF,-,
"""


@pytest.fixture
def read(tmp_path):
    def read(text=TABLE, **options):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return compounds_from_csv(path, **({"qualifiers": "bound"} | options))

    return read


def test_measured_and_others(read):
    compounds = read()
    assert isinstance(compounds, Compounds) and compounds.assay == "pIC50"
    assert compounds.smiles == ["CCO", "c1ccccc1", "CC(=O)O"]
    assert compounds.y.dtype == compounds.x.dtype == np.float32
    np.testing.assert_array_equal(compounds.y, [[5.5], [7], [4]])
    np.testing.assert_array_equal(compounds.x, morgan_fingerprints(compounds.smiles))
    assert compounds.lines.tolist() == [2, 4, 7]
    assert compounds.support == (compounds.x, compounds.y)
    others = compounds.candidates
    assert others.smiles == ["CCN", "CCCl", "CCF"] and others.lines.tolist() == [3, 6, 8]
    np.testing.assert_array_equal(others.x, morgan_fingerprints(others.smiles))
    assert compounds.left_out == {
        "id": "has no numbers, but words such as 'a'",
        "note": "has no numbers, but words such as 'x'",
    }
    assert compounds.qualified == 1 and compounds.dropped_rows == []
    assert compounds.merged == (0, 0, {})
    dropped = read(qualifiers="drop")
    assert dropped.smiles == ["CCO", "c1ccccc1"] and "CC(=O)O" in dropped.candidates.smiles


def test_an_algorithm_adapts_to_them_and_ranks_the_others(read):
    compounds = read("smiles,active\nCCO,1\nCCCl,0\nCCN,\nCCCO,\n")
    model = keras.Sequential([keras.Input((2048,)), keras.layers.Dense(1)])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    tasks = AssayTasks(np.zeros((8, 2048)), [[0], [1]] * 4, shots=1, queries=1)
    learner = KerasLearner(model, loss, tasks)
    maml = MAML(learner, learning_rate=1.0, optimization_steps=5, jit_compile=False)
    adapted = maml.adapt(compounds.support)
    active, inactive = np.ravel(adapted.predict(compounds.x))
    assert active > 0 > inactive
    assert adapted.predict(compounds.candidates.x).shape == (2, 1)


def test_a_featurizer_sees_each_row_that_can_be_read(read):
    seen = []

    def lengths(smiles):
        seen.extend(smiles)
        return [[len(text)] for text in smiles]

    compounds = read(
        "smiles,A\nCCO,1\nC C,2\n,3\nCCCCC,\n", featurizer=lengths, on_error="drop", assay="A"
    )
    assert seen == ["CCO", "CCCCC"]
    assert compounds.x.tolist() == [[3]] and compounds.candidates.x.tolist() == [[5]]
    assert [(row.line, row.smiles) for row in compounds.dropped_rows] == [(3, "C C"), (4, "")]
    assert compounds.dropped_rows[1].reason == "is missing"


def test_one_of_several_assays(read):
    text = "smiles,A,B\nC,1,\nN,0,1\n"
    message = r"must have one assay, or `assay` must name .* Received: 2 assays: 'A', 'B'$"
    with pytest.raises(ValueError, match=message):
        read(text)
    compounds = read(text, assay="B")
    assert compounds.assay == "B" and compounds.smiles == ["N"]
    assert compounds.candidates.smiles == ["C"]
    assert compounds.left_out == {"A": "is not among `assays`"}


def test_each_molecule_is_there_once(read):
    """A molecule that was measured in any row is no candidate."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compounds = read("smiles,A\nCCN,\nCCO,\nOCC,1\nNCC,\nC(O)C,1\nCl,0\n")
    assert compounds.smiles == ["CCO", "Cl"] and compounds.y.ravel().tolist() == [1, 0]
    assert compounds.candidates.smiles == ["CCN"] and compounds.lines.tolist() == [3, 7]
    assert compounds.merged == (5, 2, {})
    with pytest.raises(ValueError, match=r"rows 0, 3 \('CCN'\), 1, 2, 4 \('CCO'\)$"):
        read("smiles,A\nCCN,\nCCO,\nOCC,1\nNCC,\nC(O)C,1\nCl,0\n", duplicates="raise")


@pytest.mark.parametrize(
    ("results", "merged", "rule"),
    [
        ([1, 1, 0, 0], 1, "the majority was taken"),
        ([1, 1, 0, 0.5], 2 / 3, "their mean was taken"),  # not all results are labels
        ([6, 7, 5, 0], 6, "their mean was taken"),
    ],
)
def test_results_that_differ(read, results, merged, rule):
    rows = zip(["CCO", "OCC", "C(C)O", "N"], results, strict=True)
    with pytest.warns(UserWarning, match=rule) as caught:
        compounds = read("\n".join(["smiles,A", *(f"{s},{y}" for s, y in rows)]))
    assert len(caught) == 1 and caught[0].filename == __file__
    np.testing.assert_allclose(compounds.y[0, 0], merged, rtol=1e-6)
    assert compounds.merged == (3, 1, {"A": 1})


def test_a_tie_makes_a_candidate(read):
    with pytest.warns(UserWarning):
        compounds = read("smiles,A\nCCO,1\nN,0\nOCC,0\n")
    assert compounds.smiles == ["N"] and compounds.candidates.smiles == ["CCO"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("smiles,A\nC,\nN,nd\n", {"assay": "A"}, "a compound with a result in 'A'. Received: none"),
        ("smiles,A\nC,\nN,nd\n", {}, "must have a column of numbers"),
        ("smiles,A\nC,1\n", {"assay": "B"}, "without 'B'"),
        ("smiles,A\nC,>1\n", {"qualifiers": "raise"}, "line 2: a result must have no qualifier"),
        ("smiles,A\nC,1e39\n", {}, r"in 1 of 1 assays: A \(1e\+39\)"),
        ("smiles,A\nC(,1\nN,2\n", {}, r"1 of 2 that are not: line 2: 'C\(' cannot be read"),
        ("smiles,A\nC,1\n", {"duplicates": "keep"}, "`duplicates` must be one of"),
        ("smiles,A\nC,1\n", {"on_error": "keep"}, "`on_error` must be one of"),
    ],
)
def test_bad_tables(read, text, options, message):
    with pytest.raises(ValueError, match=message):
        read(text, **options)
