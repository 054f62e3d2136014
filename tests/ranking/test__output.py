import csv

import numpy as np
import pytest

from deepchem_meta.ranking._output import RankedRows


def test_rows_are_written_by_rank_or_as_they_came(tmp_path):
    path = tmp_path / "a.csv"
    with RankedRows(tmp_path) as rows:
        for name, score in (("a", 0.2), ('b, "quoted"', 0.9), ("c\nd", np.nan), ("e", 0.9)):
            rows.add([name, "x"], score)
        assert len(rows) == 4 and not path.exists()
        assert rows.best(2) == [['b, "quoted"', "x"], ["e", "x"]]
        assert len(rows.best(9)) == 3  # without the one that has no score
        rows.write(path, ["name", "other", "place"], "rank")
        by_rank = list(csv.reader(path.read_text().splitlines(keepends=True)))
        rows.write(path, ["name", "other", "place"], "library")
    as_they_came = list(csv.reader(path.read_text().splitlines(keepends=True)))
    assert by_rank[0] == as_they_came[0] == ["name", "other", "place"]
    assert [(row[0], row[2]) for row in by_rank[1:]] == [
        *(('b, "quoted"', "1"), ("e", "2"), ("a", "3"), ("c\nd", "")),
    ]
    assert [row[0] for row in as_they_came[1:]] == ["a", 'b, "quoted"', "c\nd", "e"]
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]


def test_what_fails_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("earlier")
    with pytest.raises(KeyboardInterrupt), RankedRows(tmp_path) as rows:
        rows.add(["a"], 1.0)
        raise KeyboardInterrupt
    assert path.read_text() == "earlier" and len(list(tmp_path.iterdir())) == 1
