import csv
import gzip
import os

import keras
import numpy as np
import pytest
from molecules_small import ACIDS, ALCOHOLS, AMINES, write

pytest.importorskip("rdkit")

import deepchem_meta as dc
from deepchem_meta.pretrained import AssayEncoder
from deepchem_meta.pretrained.encoder import make_net
from deepchem_meta.ranking import _library, rank, ranker
from deepchem_meta.tasks import MorganCounts

SUPPORT = [(s, 1) for s in ALCOHOLS[:6]] + [(s, 0) for s in AMINES[:6]]
LIBRARY = [(f"m{n}", s, n) for n, s in enumerate(ALCOHOLS[6:] + AMINES[6:] + ["OCC", "C1CC", ""])]


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(0)
    net = make_net(2048, (16,), 0.0)
    return AssayEncoder(MorganCounts(), [net])


@pytest.fixture
def files(tmp_path):
    return {
        "support": write(tmp_path / "ten.csv", "smiles,active", SUPPORT),
        "candidates": write(tmp_path / "library.csv", "name,smiles,value", LIBRARY),
        "output": tmp_path / "ranked.csv",
    }


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_actives_come_first_and_every_row_is_there(files, encoder):
    ranking = rank(**files, encoder=encoder)
    rows = rows_of(files["output"])
    assert list(rows[0]) == [
        *("name", "smiles", "value", "probability", "nearest", "nearest_name", "similarity"),
        *("measured", "warning", "rank"),
    ]
    assert sorted(row["name"] for row in rows) == sorted(name for name, _, _ in LIBRARY)
    assert ranking.candidates == len(LIBRARY) == len(rows)
    good = [row for row in rows if row["rank"]]
    assert [int(row["rank"]) for row in good] == list(range(1, len(good) + 1))
    scores = [float(row["probability"]) for row in good]
    assert scores == sorted(scores, reverse=True) and 0 < min(scores) < max(scores) < 1
    top = [row["smiles"] for row in good[:10]]
    assert sum(one.startswith("O") for one in top) >= 7
    # Those that cannot be read come last, with their lines.
    assert [row["warning"] for row in rows[-2:]] == [
        "line 23: 'C1CC' cannot be read by RDKit",
        "line 24: the SMILES is missing",
    ]
    assert ranking.unreadable == 2 and [r.line for r in ranking.unreadable_rows] == [23, 24]
    assert [*ranking.columns, "rank"] == list(rows[0])
    assert [*ranking.best[0], "1"] == list(rows[0].values())


def test_scores_are_those_of_the_process(files, encoder):
    rank(**files, order="library", encoder=encoder)
    rows = [row for row in rows_of(files["output"]) if row["probability"]]
    assert [row["name"] for row in rows] == [name for name, _, _ in LIBRARY[:-2]]
    x = encoder.featurizer([s for s, _ in SUPPORT])
    adapted = encoder.process().adapt((x, np.array([y for _, y in SUPPORT])))
    expected = adapted.predict_proba(encoder.featurizer([row["smiles"] for row in rows]))[:, 1]
    np.testing.assert_allclose([float(row["probability"]) for row in rows], expected, atol=2e-4)


def test_the_nearest_measured_compound_is_rdkits(files, encoder):
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    ranking = rank(**files, encoder=encoder)
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetCountFingerprint(Chem.MolFromSmiles(s)) for s, _ in SUPPORT]
    low = 0
    for row in rows_of(files["output"])[:-2]:
        own = generator.GetCountFingerprint(Chem.MolFromSmiles(row["smiles"]))
        alike = DataStructs.BulkTanimotoSimilarity(own, prints)
        assert float(row["similarity"]) == pytest.approx(max(alike), abs=1e-3)
        assert row["nearest"] == SUPPORT[int(np.argmax(alike))][0]
        assert bool(row["warning"]) == (max(alike) < ranker.DISSIMILAR)
        low += max(alike) < ranker.DISSIMILAR
        known = {"OCC": "1"}.get(row["smiles"], "")
        assert row["measured"] == known
    assert ranking.dissimilar == low


def test_base_rate_changes_probabilities_by_bayes_rule_and_no_rank(files, encoder):
    rank(**files, encoder=encoder)
    before = rows_of(files["output"])[:-2]
    rank(**files, encoder=encoder, base_rate=0.1)
    after = rows_of(files["output"])[:-2]
    assert [row["name"] for row in before] == [row["name"] for row in after]
    odds = [np.array([float(r["probability"]) for r in rows]) for rows in (before, after)]
    odds = [p / (1 - p) for p in odds]
    np.testing.assert_allclose(odds[1] / odds[0], 1 / 9, rtol=0.02)


def test_values_with_intervals_and_names_that_are_taken(files, encoder):
    rng = np.random.default_rng(0)
    rows = [(s, 7 + 0.1 * rng.normal()) for s in ALCOHOLS[:8]]
    rows += [(s, 5 + 0.1 * rng.normal()) for s in AMINES[:8]]
    write(files["support"], "smiles,pIC50", rows)
    ranking = rank(**files, encoder=encoder)
    found = rows_of(files["output"])
    assert "value" in found[0] and "predicted_value" in found[0] and "lower" in found[0]
    for row in found[:-2]:
        low, middle, high = (float(row[k]) for k in ("lower", "predicted_value", "upper"))
        assert low < middle < high and middle == pytest.approx((low + high) / 2, abs=2e-4)
    assert ranking.left_out.measure == "spearman"


def test_leaving_out_sees_what_can_be_learned(files, encoder):
    assert rank(**files, encoder=encoder).left_out.value > 0.9
    rng = np.random.default_rng(1)
    write(
        files["support"],
        "smiles,active",
        [(s, y) for (s, _), y in zip(SUPPORT, rng.permutation([0, 1] * 6), strict=True)],
    )
    assert rank(**files, encoder=encoder).left_out.value < 0.85


def test_processes_stream_the_same_scores(files, encoder, monkeypatch):
    rank(**files, encoder=encoder)
    expected = files["output"].read_text()
    monkeypatch.setattr(_library, "_CHUNK", 4)  # so that there are enough for processes
    rank(**files, encoder=encoder)
    found = csv.reader(files["output"].read_text().splitlines())
    for a, b in zip(csv.reader(expected.splitlines()), found, strict=True):
        assert a[:3] == b[:3] and a[4:] == b[4:]


@pytest.mark.parametrize("values", [False, True])
def test_a_chunk_of_which_nothing_can_be_read(values, files, encoder, monkeypatch):
    if values:
        write(
            files["support"], "smiles,pIC50", [(s, 5 + n / 4) for n, (s, _) in enumerate(SUPPORT)]
        )
    rank(**files, encoder=encoder)
    expected = rows_of(files["output"])
    monkeypatch.setattr(_library, "_CHUNK", 1)
    monkeypatch.setattr(_library, "_IN_PARALLEL", 100)
    assert rank(**files, encoder=encoder).unreadable == 2
    found = rows_of(files["output"])
    assert [row["warning"] for row in found] == [row["warning"] for row in expected]


def test_gzipped_and_smi_libraries(files, encoder, tmp_path):
    rank(**files, order="library", encoder=encoder)
    expected = [row["probability"] for row in rows_of(files["output"])]
    with gzip.open(tmp_path / "library.csv.gz", "wt") as file:
        file.write(files["candidates"].read_text())
    rank(**files | {"candidates": tmp_path / "library.csv.gz"}, order="library", encoder=encoder)
    assert [row["probability"] for row in rows_of(files["output"])] == expected
    smi = tmp_path / "library.smi"
    smi.write_text("".join(f"{s} {name}\n" for name, s, _ in LIBRARY[:-1]))
    rank(**files | {"candidates": smi}, order="library", encoder=encoder)
    rows = rows_of(files["output"])
    assert [row["probability"] for row in rows] == expected[:-1]
    assert [row["name"] for row in rows] == [name for name, _, _ in LIBRARY[:-1]]
    assert rows[-1]["warning"] == "line 22: 'C1CC' cannot be read by RDKit"


def test_a_row_of_another_length_is_reported(files, encoder):
    with files["candidates"].open("a") as file:
        file.write("m99,CCO\n")
    ranking = rank(**files, encoder=encoder)
    assert rows_of(files["output"])[-1]["warning"] == "line 25: the row has 2 cells instead of 3"
    assert ranking.unreadable == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "best"}, "`order`"),
        ({"base_rate": 1.5}, "`base_rate`"),
        ({"duplicates": "drop"}, "`duplicates`"),
        ({"unit": "kg"}, "`unit`"),
        ({"candidate_smiles": "structure"}, "the column of SMILES must be one of"),
    ],
)
def test_wrong_arguments_write_nothing(change, message, files, encoder):
    with pytest.raises(ValueError, match=message):
        rank(**files, **change, encoder=encoder)
    assert sorted(p.name for p in files["output"].parent.iterdir()) == ["library.csv", "ten.csv"]


def test_wrong_libraries_write_nothing(files, encoder, tmp_path):
    for text, message in (
        ("", "must have a row for each candidate"),
        ("smiles\n", "must have a row for each candidate"),
        ("name\nred\ngreen\n", "a column must hold SMILES"),
        ('smiles\n"CCO\nCCN\n', "line 2: quotes round a cell must be closed"),
    ):
        files["candidates"].write_text(text)
        with pytest.raises(ValueError, match=message):
            rank(**files, encoder=encoder)
    files["candidates"].write_bytes(b"smiles\nCCO\n\xff\xfe\n")
    with pytest.raises(ValueError, match="in the encoding UTF-8"):
        rank(**files, encoder=encoder)
    with pytest.raises(ValueError, match="`output` must be a file in a folder that exists"):
        rank(**files | {"output": tmp_path / "none" / "a.csv"}, encoder=encoder)
    assert not files["output"].exists() and len(list(tmp_path.iterdir())) == 2
    for change in ({"output": files["candidates"]}, {"report": files["support"]}):
        with pytest.raises(ValueError, match="must be another file than those that are read"):
            rank(**files | change, encoder=encoder)


def test_an_earlier_output_is_kept_until_the_new_one_is_whole(files, encoder, monkeypatch):
    files["output"].write_text("earlier")

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(ranker, "_add", fail)
    with pytest.raises(KeyboardInterrupt):
        rank(**files, encoder=encoder)
    assert files["output"].read_text() == "earlier"
    assert sorted(p.name for p in files["output"].parent.iterdir()) == [
        *("library.csv", "ranked.csv", "ten.csv"),
    ]


def test_history_trains_a_copy_further(files, encoder, tmp_path):
    rows = [("amines", s, int("N" in s)) for s in ALCOHOLS + AMINES]
    rows += [("acids", s, int("=O" in s)) for s in ALCOHOLS + ACIDS] + [("few", "CCO", 1)]
    history = write(tmp_path / "history.csv", "assay,smiles,active", rows)
    before = encoder.embed(["CCO"])
    ranking = rank(**files, history=history, encoder=encoder)
    np.testing.assert_array_equal(encoder.embed(["CCO"]), before)
    assert len(rows_of(files["output"])) == len(LIBRARY)
    used = {"assays": 2, "molecules": 48, "too_small": 1, "unreadable": 0, "unreadable_rows": []}
    used |= {"merged": 0, "contradicting": 0, "qualified": 0, "range": None}
    assert ranking.history == used | {"seconds": ranking.history["seconds"]}
    # Two figures: with the history, and that of the same command without one.
    alone = rank(**files, encoder=encoder)
    assert ranking.without_history == alone.left_out and alone.without_history is None
    # Training takes longer than 22 small molecules, and does not count as ranking.
    assert ranking.seconds < ranking.history["seconds"]
    words = " ".join(dc.ranking.summary(ranking))
    assert f"without the history {alone.left_out.value:.2f}" in words
    assert "History: 2 assays of 48 molecules, learned in" in words


def test_a_history_is_checked_before_the_encoder_is_loaded(files, tmp_path, monkeypatch):
    def fail():
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr(ranker, "load", fail)
    rows = [("amines", s, int("N" in s)) for s in ALCOHOLS + AMINES]
    history = write(tmp_path / "history.csv", "assay,smiles,activity", rows)
    with pytest.raises(ValueError, match="must have the columns assay, smiles and active"):
        rank(**files, history=history)
    with pytest.raises(FileNotFoundError):
        rank(**files, history=tmp_path / "none.csv")
    with pytest.raises(ValueError, match="must be a file"):
        rank(**files, history=tmp_path)


def test_progress_of_the_history_and_of_the_candidates(files, encoder, tmp_path, capsys):
    rows = [("amines", s, int("N" in s)) for s in ALCOHOLS + AMINES]
    history = write(tmp_path / "history.csv", "assay,smiles,active", rows)
    rank(**files, history=history, encoder=encoder, verbose=1)
    shown = capsys.readouterr().out
    assert "300/300" in shown and shown.index("300/300") < shown.index("/candidate")
    assert shown.endswith("\n")
    rank(**files, history=history, encoder=encoder, verbose=0)
    assert capsys.readouterr().out == ""


def test_a_base_rate_is_for_labels(files, encoder):
    rows = [(s, 5 + n / 4) for n, (s, _) in enumerate(SUPPORT)]
    write(files["support"], "smiles,pIC50", rows)
    with pytest.raises(ValueError, match="unless labels were measured.*with values in 'pIC50'"):
        rank(**files, encoder=encoder, base_rate=0.1)


def test_a_ranked_file_is_ranked_again(files, encoder, tmp_path):
    rank(**files, encoder=encoder)
    again = tmp_path / "again.csv"
    rank(**files | {"candidates": files["output"], "output": again}, encoder=encoder)
    third = tmp_path / "third.csv"
    rank(**files | {"candidates": again, "output": third}, encoder=encoder)
    with third.open(newline="") as file:
        names, *rows = csv.reader(file)
    assert len(set(names)) == len(names)
    assert names[-1] == "predicted_predicted_rank" and {"rank", "predicted_rank"} < set(names)
    places = [names.index(name) for name in ("rank", "predicted_rank", names[-1])]
    assert all(len({row[place] for place in places}) == 1 for row in rows)


def test_stereoisomers_are_told_of_and_bounds_keep_their_sign(files, encoder):
    rows = [("A1", "C[C@H](N)CO", "> 10000 nM"), ("A2", "CCN", "10 nM")]
    rows += [("A3", "CCO", "1000 nM"), ("A4", "CCCO", "100 nM")]
    write(files["support"], "code,smiles,IC50", rows)
    library = ["C[C@@H](N)CO", "OCC([NH3+])C", "C[C@H](N)CO", "CCCCO"]
    write(files["candidates"], "smiles", [(s,) for s in library])
    rank(**files, encoder=encoder, order="library")
    same = "not told apart from the nearest compound: a stereoisomer, for instance"
    found = [(r["nearest_name"], r["measured"], r["warning"]) for r in rows_of(files["output"])]
    assert found == [("A1", "", same), ("A1", "", same), ("A1", "<5", ""), ("A4", "", "")]


def test_a_pipe_is_refused(files, encoder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a file, since it is read more than once"):
        rank(**files | {"candidates": tmp_path / "pipe"}, encoder=encoder)


def test_it_is_a_function_of_the_package():
    assert dc.rank is rank


def test_an_output_that_is_a_pipe_is_refused_and_a_link_followed(files, encoder, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match="`output` must be a file in a folder.* no pipe or device"):
        rank(**files | {"output": tmp_path / "pipe.csv"}, encoder=encoder)
    (tmp_path / "link.csv").symlink_to("target.csv")
    rank(**files | {"output": tmp_path / "link.csv"}, encoder=encoder)
    assert (tmp_path / "link.csv").is_symlink() and len(rows_of(tmp_path / "target.csv")) == 23


def test_files_called_tmp_are_left_alone(files, encoder, tmp_path):
    page = tmp_path / "page.html"
    others = [tmp_path / "ranked.csv.tmp", tmp_path / "page.html.tmp"]
    for other in others:
        other.write_text("of somebody else")
    rank(**files, report=page, encoder=encoder)
    assert [other.read_text() for other in others] == ["of somebody else"] * 2
    assert len(list(tmp_path.iterdir())) == 6


def test_without_the_report_there_is_no_output(files, encoder, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left")

    files["output"].write_text("earlier")
    monkeypatch.setattr(ranker, "write_report", fail)
    with pytest.raises(OSError, match="no space left"):
        rank(**files, report=tmp_path / "page.html", encoder=encoder)
    assert files["output"].read_text() == "earlier" and len(list(tmp_path.iterdir())) == 3


def test_a_report_that_cannot_be_written_is_told_before_the_work(files, monkeypatch, tmp_path):
    def fail():
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr(ranker, "load", fail)
    with pytest.raises(OSError, match="/proc/page.html"):
        rank(**files, report="/proc/page.html")
    assert len(list(tmp_path.iterdir())) == 2


def test_candidates_that_were_left_out_are_large_or_blank(files, encoder):
    write(files["support"], "smiles,active", [*SUPPORT, ("CCSC", 1), ("CSCC", 0)])
    files["candidates"].write_text(f"smiles,n\nCCSC,1\n,\n{'C' * 151},2\n", encoding="utf-16")
    ranking = rank(**files, encoder=encoder, order="library")
    assert [row["warning"] for row in rows_of(files["output"])] == [
        "measured, and left out: as many labels of either class",
        f"line 4: '{'C' * 151}' has 151 atoms, more than 150",
    ]
    assert ranking.blank == 1 and ranking.smiles == "smiles"
