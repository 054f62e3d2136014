"""Files that take the place of others, together."""

import os
import stat

import pytest

from deepchem_meta._replacing import replacing


def test_files_are_replaced_together_and_others_left_alone(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.html"
    a.write_text("earlier")
    a.chmod(0o640)
    (tmp_path / "a.csv.tmp").write_text("of somebody else")
    with replacing(a, b) as (first, second):
        first.write_text("new")
        second.write_text("page")
        assert a.read_text() == "earlier" and not b.exists()
    assert a.read_text() == "new" and b.read_text() == "page"
    assert stat.S_IMODE(a.stat().st_mode) == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.tmp", "b.html"]
    assert (tmp_path / "a.csv.tmp").read_text() == "of somebody else"


def test_an_exception_leaves_all_as_it_was(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.html"
    a.write_text("earlier")
    with pytest.raises(KeyboardInterrupt), replacing(a, b) as (first, _):
        first.write_text("new")
        raise KeyboardInterrupt
    assert a.read_text() == "earlier" and [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_link_stays_and_leads_to_the_new_file(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target.csv", tmp_path / "a.csv"
    target.write_text("earlier")
    link.symlink_to(target)
    with replacing(link) as (part,):
        part.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["target.csv"]


@pytest.mark.parametrize("name", ["none/a.csv", "r" * 300])
def test_what_cannot_be_written_is_said_before_the_block(name, tmp_path):
    with pytest.raises(OSError) as caught, replacing(tmp_path / "a.csv", tmp_path / name):
        raise AssertionError("the block was run")
    assert caught.value.filename == os.fspath(tmp_path / name)
    assert not list(tmp_path.iterdir())
