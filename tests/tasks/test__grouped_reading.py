import numpy as np
import pytest

from deepchem_meta.tasks import GroupedTasks

TABLE = """\
patient; sex ;age;remark;dose;effect;Unnamed: 0;
007;f;30;;1;5.5;0;x
7;m;41;late;2;-1e1;1;
007;m;30;;3;n.t.;2;
7;f;41;;4;2;3;

007;f;30;;5;3;4;
7;f;41;;6;4;5;
"""
SMALL = {"shots": 1, "queries": 1}


def write(folder, text=TABLE):
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder, text=TABLE, **options):
    columns = {"group": "patient", "target": "effect", "na_values": ["n.t."]}
    return GroupedTasks.from_csv(write(folder, text), **(columns | SMALL | options))


def test_a_csv_file(tmp_path):
    tasks = read(tmp_path)
    assert tasks.names == ["007", "7"] and tasks.features == ["age", "dose"]
    assert tasks.left_out == {
        "sex": "has no numbers, but words such as 'f'",
        "remark": "has no numbers, but words such as 'late'",
        "Unnamed: 0": "has the name that pandas gives to a column without one",
        "column 8 (no name)": "has no name",
    }
    assert tasks.dropped_rows == [(4, "007", "has no target in 'effect'")]
    assert tasks.dropped_rows[0].row == 4 and tasks.dropped == {}
    x, y = tasks.group("7")
    np.testing.assert_array_equal(x, [[41, 2], [41, 4], [41, 6]])
    np.testing.assert_array_equal(y, [[-10], [2], [4]])
    assert x.dtype == y.dtype == np.float32
    for part in (*tasks.split(1), tasks.replace(queries="rest")):
        assert part.features == tasks.features and part.dropped_rows == tasks.dropped_rows
        assert part.left_out == tasks.left_out


def test_columns_that_are_asked_for(tmp_path):
    tasks = read(tmp_path, features=[" dose", "age"], target=["effect"])
    assert tasks.features == ["dose", "age"]
    assert tasks.group("007")[0].tolist() == [[1, 30], [5, 30]]
    assert tasks.left_out["sex"] == "is not among `features`"
    tasks = read(tmp_path, features="dose", target=["effect", "age"])
    assert tasks.group("007")[1].tolist() == [[5.5, 30], [3, 30]]
    assert read(tmp_path, features=["Unnamed: 0"]).features == ["Unnamed: 0"]


@pytest.mark.parametrize(
    ("cells", "class_names", "numbers"),
    [
        (["well", " ill", "well ", "ill"], ["ill", "well"], [1, 0, 1, 0]),
        (["9", "10", "9.0", "010"], ["9", "10"], [0, 1, 0, 1]),  # by number, not by text
        (["9", "10", "x", "9"], ["10", "9", "x"], [1, 0, 2, 1]),
        # "none" and "-" may be classes; an empty cell, NA and what `na_values` has are none.
        (["none", "-", "", "na", "N.T.", "none"], ["-", "none"], [1, 0, 1]),
    ],
)
def test_classes_of_a_csv_file(tmp_path, cells, class_names, numbers):
    lines = [f"{group},{i},{cell}" for group in "ab" for i, cell in enumerate(cells * 2)]
    table = "\n".join(["patient,dose,effect", *lines])
    tasks = read(tmp_path, table, task_type="classification")
    assert tasks.class_names == class_names
    assert tasks.group("b")[1].tolist() == numbers * 2
    assert len(tasks.dropped_rows) == 4 * (len(cells) - len(numbers))


def test_a_csv_file_is_a_frame_of_pandas(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "y"]).round(6)
    frame["count"] = rng.integers(0, 9, 80)
    frame["site"] = rng.choice(["p", "q", "r"], 80)
    frame["kind"] = rng.choice(["low", "high"], 80)
    frame.loc[::7, "y"] = np.nan
    path = tmp_path / "table.csv"
    frame.to_csv(path)  # with the index, in a column without a name
    for task_type, target in (("regression", "y"), ("classification", "kind")):
        columns = {"group": "site", "target": target, "features": ["a", "b", "count"]}
        options = {"task_type": task_type, "shots": 2, "queries": 3}
        ours = GroupedTasks.from_csv(path, **columns, **options)
        theirs = GroupedTasks.from_dataframe(frame, **columns, **options)
        for name, part in frame.dropna(subset=[target]).groupby("site"):
            for tasks in (ours, theirs):
                x, y = tasks.group(name)
                np.testing.assert_array_equal(x, part[["a", "b", "count"]].to_numpy(np.float32))
                if task_type == "regression":
                    np.testing.assert_array_equal(y[:, 0], part["y"].to_numpy(np.float32))
                else:
                    assert [tasks.class_names[i] for i in y] == part["kind"].tolist()
        lines = [row.row for row in ours.dropped_rows]
        labels = [row.row for row in theirs.dropped_rows]
        assert labels == frame.index[frame[target].isna()].tolist()
        assert lines == [label + 2 for label in labels]


def make_frame(pandas, **changes):
    columns = {
        "plot": ["a", "b"] * 4,
        "rain": [1, 2, 3, 4, 5, 6, 7, 8],
        "crop": ["rye", "oat", "oat", "rye", "rye", "oat", "oat", "rye"],
        "yield": [1.0, np.nan, 3, 4, 5, 6, 7, 8],
    }
    return pandas.DataFrame(columns | changes, index=list("ABCDEFGH"))


def test_kinds_of_columns():
    pandas = pytest.importorskip("pandas")
    wet = pandas.array([True, False] * 4, "boolean")
    frame = make_frame(
        pandas,
        wet=wet,
        soil=pandas.Categorical([3, 4] * 4),
        day=pandas.to_datetime(["2020-01-01"] * 8),
        count=pandas.array([1, None, 2, 3, 4, 5, 6, 7], "Int64"),
        price=np.array([1, 2.5] * 4, object),
        nothing=[None] * 8,
        plot=pandas.Categorical(["a ", "b"] * 4),
    )
    tasks = GroupedTasks.from_dataframe(frame, group="plot", target="yield", **SMALL)
    assert tasks.features == ["rain", "wet", "count", "price"]  # count lacks what yield lacks
    assert tasks.left_out == {
        "crop": "has no numbers, but words such as 'rye'",
        "soil": "has no numbers, but words such as 3",
        "day": "has no numbers, but words such as Timestamp('2020-01-01 00:00:00')",
        "nothing": "has no numbers",
    }
    assert tasks.dropped_rows == [("B", "b", "has no target in 'yield'")]
    assert tasks.group("a")[0].tolist() == [[1, 1, 1, 1], [3, 1, 2, 1], [5, 1, 4, 1], [7, 1, 6, 1]]
    two = GroupedTasks.from_dataframe(
        frame, group="plot", target=["yield", "count"], features=["rain"], **SMALL
    )
    assert two.dropped_rows[0].reason == "has no target in 'yield', 'count'"
    assert two.group("b")[1].tolist() == [[4, 3], [6, 5], [8, 7]]
    soil = GroupedTasks.from_dataframe(
        frame, group="soil", target="crop", features=["rain"], task_type="classification", **SMALL
    )
    assert soil.names == ["3", "4"] and soil.class_names == ["oat", "rye"]


def test_columns_need_not_be_named_by_text():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.arange(24).reshape(8, 3))
    frame[3] = [0, 1] * 4
    tasks = GroupedTasks.from_dataframe(frame, group=3, target=0, **SMALL)
    assert tasks.features == ["1", "2"] and tasks.names == ["0", "1"]
    assert tasks.group(1)[0][0].tolist() == [4, 5]


def test_groups_without_any_target():
    pandas = pytest.importorskip("pandas")
    frame = make_frame(pandas, **{"yield": [np.nan, 2.0] * 4})
    options = {"group": "plot", "target": "yield", **SMALL}
    with pytest.raises(ValueError, match=r"rows with a target .* 1 without any: a$"):
        GroupedTasks.from_dataframe(frame, **options)
    tasks = GroupedTasks.from_dataframe(frame, drop_small=True, **options)
    assert tasks.names == ["b"] and tasks.dropped == {"a": {"examples": 0}}


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ((";41;;4;", ";;;4;"), {}, r"column 'age', line 5: a feature must not be missing.*''"),
        ((";41;;4;", ";?;;4;"), {}, r"column 'age', line 5: .*`features` names.*'\?', and 0 more"),
        ((";41;;4;", ";old;;4;"), {}, "column 'age', line 5: it must be a finite number.*'old'"),
        ((";41;;4;", ";>40;;4;"), {}, "column 'age', line 5: a number must have no qualifier"),
        (("-1e1", "low"), {}, "column 'effect', line 3: it must be a finite number.*'low'"),
        (("-1e1", "<1"), {}, "column 'effect', line 3: .*qualifier such as '>'. Received: '<1'"),
        (("\n7;f", "\n ;f"), {}, "column 'patient', line 5: each row must have a group.* 1 more"),
        ((";", ";"), {"group": "id"}, "Received: 'id', and a table with the columns 'patient', "),
        ((";", ";"), {"features": ["dose", "x"]}, "Received: 'x', and a table"),
        ((";", ";"), {"features": [""]}, "Received: '', and a table"),
        ((";", ";"), {"target": []}, "Received: no target"),
        ((";", ";"), {"features": []}, "`features` must be at least one column"),
        ((";", ";"), {"features": ["dose", "dose "]}, "each once"),
        ((";", ";"), {"features": ["effect"]}, "different columns. Received: 'effect' more"),
        ((";", ";"), {"target": "patient"}, "different columns. Received: 'patient' more"),
        ((";", ";"), {"target": "remark"}, "it must be a finite number.* Received: 'late'"),
        ((";", ";"), {"features": ["sex"]}, "column 'sex', line 2: it must be a finite number"),
        (
            (";", ";"),
            {"target": ["sex", "dose"], "task_type": "classification"},
            "one column for classification",
        ),
        ((TABLE.partition("\n")[2], ""), {}, "must have at least one row"),
        ((TABLE, ""), {}, "a table with the columns none"),
    ],
)
def test_bad_files(tmp_path, changes, options, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, TABLE.replace(*changes), **options)


def test_files_without_targets_or_features(tmp_path):
    with pytest.raises(ValueError, match="a row with a target in 'effect'. Received: none"):
        read(tmp_path, "patient,dose,effect\na,1,\nb,2,-\n")
    with pytest.raises(ValueError, match="a column of numbers .* without one: 'dose' has no num"):
        read(tmp_path, "patient,dose,effect\na,,1\nb,,2\n")
    with pytest.raises(ValueError, match="it has no other column"):
        read(tmp_path, "patient,effect\na,1\nb,2\n")
    with pytest.raises(ValueError, match="`x` must have no NaN or infinite values"):
        read(tmp_path, "patient,dose,effect\na,1e50,1\na,1,2\n")


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({"rain": [1.0, np.nan] * 4}, {}, ValueError, "column 'rain', row 'D': a feature must not"),
        ({"rain": [np.inf] * 8}, {"features": ["rain"]}, ValueError, "row 'A': it must be a fini"),
        ({"rain": [1, "x"] * 4}, {}, ValueError, "column 'rain', row 'D': .* Received: 'x', and 2"),
        ({"plot": [None, "b"] * 4}, {}, ValueError, "column 'plot', row 'A': each row must have a"),
        ({"plot": [1.5, 2.0] * 4}, {}, ValueError, "`group` must be whole numbers or strings"),
        ({"plot": [1, "b"] * 4}, {}, TypeError, "`group` must be a one-dimensional array"),
        ({}, {"target": "crop"}, ValueError, "column 'crop', row 'A': it must be a finite number"),
        ({}, {"group": "Plot"}, ValueError, "`frame` must have the columns .* Received: 'Plot'"),
        ({}, {"names": ["x", "y"]}, TypeError, "`names` must not be given"),
        ({}, {"shots": 0}, ValueError, "`shots`"),
        ({}, {"task_type": "both"}, ValueError, "`task_type`"),
    ],
)
def test_bad_frames(changes, options, error, message):
    pandas = pytest.importorskip("pandas")
    frame = make_frame(pandas, **changes)
    columns = {"group": "plot", "target": "yield"}
    with pytest.raises(error, match=message):
        GroupedTasks.from_dataframe(frame, **(columns | SMALL | options))


def test_what_is_no_frame():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="`frame` must be a pandas DataFrame. Received: dict"):
        GroupedTasks.from_dataframe({"a": [1]}, group="a", target="b")
    frame = make_frame(pandas)
    with pytest.raises(ValueError, match="more than one column named 'rain'"):
        GroupedTasks.from_dataframe(
            pandas.concat([frame, frame[["rain"]]], axis=1), group="plot", target="yield"
        )


def test_other_options_of_files(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(TABLE.replace("patient", "Prüfling").replace(";", "|").encode("cp1252"))
    tasks = GroupedTasks.from_csv(
        path,
        group="Prüfling",
        target="effect",
        na_values=["N.T."],
        encoding="cp1252",
        delimiter="|",
        **SMALL,
    )
    assert tasks.features == ["age", "dose"]
    with pytest.raises(TypeError, match="`na_values`"):
        GroupedTasks.from_csv(path, group="a", target="b", na_values="n.t.")
